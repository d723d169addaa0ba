package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// An Assistant answers questions. It is safe for concurrent use.
type Assistant interface {
	// Route returns the model that is to answer a question. Answer and Stream are
	// then called with a question that has this model.
	Route(context.Context, Question) (Route, error)

	// Answer returns a whole answer.
	Answer(context.Context, Question) (Answer, error)

	// Stream returns an answer as it comes.
	Stream(context.Context, Question) (stream.Source, error)
}

// A Question is one that was found valid, with the schema's defaults.
type Question struct {
	RequestID      string
	Text           string
	Model          string // "haiku", "sonnet" or [Auto]
	MaxTokens      int
	Temperature    float64
	ConversationID string // empty: a question by itself
	Language       string // "en", "ja" or "auto"
	Fresh          bool   // the model is to be asked, whatever a cache has
}

// Auto is the model of a question that leaves the choice to the assistant.
const Auto = "auto"

// A Route is the model that answers a question, and why.
type Route struct {
	Model  string // "haiku" or "sonnet"
	Rule   string // that chose it, for the log; empty if the caller chose
	Reason string // the same as a sentence for the caller
}

// An Answer is a whole one.
type Answer struct {
	Text       string
	Model      bedrockkit.ModelID // that answered
	Usage      bedrockkit.Usage
	StopReason bedrockkit.StopReason
	Cost       *pricing.Amount // nil if it is not known
	Cached     bool            // it was given before
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Ready are the parts that the server needs to work, by name, each with a check
	// of a few seconds at most, which is called once a second at most. By default
	// there are none, and it is ready.
	Ready map[string]func(context.Context) error

	// Metrics serves GET /metrics. By default there are none.
	Metrics http.Handler

	// Log gets an error that a client does not see. The default is no log. It
	// gets no question and no answer.
	Log *slog.Logger
}

type api struct {
	assistant Assistant
	jobs      Jobs
	opts      Options
	ready     readiness
}

// New returns the API as a handler. Any other path is a 404 in JSON.
func New(assistant Assistant, jobs Jobs, optFns ...func(*Options)) http.Handler {
	a := &api{assistant: assistant, jobs: jobs}
	for _, fn := range optFns {
		fn(&a.opts)
	}
	if a.opts.Log == nil {
		a.opts.Log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	routes := map[string]map[string]http.HandlerFunc{
		"/v1/manga/query":               {http.MethodPost: a.query},
		"/v1/manga/batch":               {http.MethodPost: a.batch},
		"/v1/manga/status/{request_id}": {http.MethodGet: a.status},
		"/v1/manga/summary":             {http.MethodPost: a.summary},
		"/v1/manga/callback-secret":     {http.MethodGet: a.callbackSecret},
		"/v1/manga/jobs":                {http.MethodGet: a.recent},
		"/v1/manga/jobs/events":         {http.MethodGet: a.watch},
		"/openapi.json":                 {http.MethodGet: a.document},
		"/docs":                         {http.MethodGet: a.docs},
		"/healthz":                      {http.MethodGet: a.healthz},
		"/readyz":                       {http.MethodGet: a.readyz},
	}
	if a.opts.Metrics != nil {
		routes["/metrics"] = map[string]http.HandlerFunc{http.MethodGet: a.opts.Metrics.ServeHTTP}
	}
	for path, methods := range routes {
		allowed := []string{http.MethodOptions}
		for method, handle := range methods {
			mux.HandleFunc(method+" "+path, handle)
			allowed = append(allowed, method)
		}
		slices.Sort(allowed)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			fail(w, r, http.StatusMethodNotAllowed, "The method is not allowed here; allowed: "+strings.Join(allowed, ", ")+".")
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, http.StatusNotFound, "There is nothing here. /docs says what there is.")
	})
	return a.identified(a.recovered(mux))
}

type requestIDKey struct{}

// RequestID is the id of the request that a context belongs to: the one in the
// response's header X-Request-Id. It is empty outside a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// identified gives each request an id. The caller's own is not taken: it would
// be that of somebody else's request if they wanted.
func (a *api) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// recovered makes a panic that request's error.
func (a *api) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				a.opts.Log.Error("panic", "request_id", RequestID(r.Context()), "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack())) // its value may repeat a prompt
				fail(w, r, http.StatusInternalServerError, internal)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// healthz says that the process runs.
func (a *api) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether it can work, and what is not ready. Why is for the log: anybody
// may ask.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	status, answer := a.checkReady(r.Context())
	writeJSON(w, status, answer)
}

const (
	readyTimeout = 3 * time.Second
	readyFor     = time.Second // how long what the checks have found is good
)

// readiness is what the checks have found last. Anybody may ask, and a check may ask
// services that cost money.
type readiness struct {
	mu     sync.Mutex
	until  time.Time
	status int
	answer readyResponse
}

func (a *api) checkReady(ctx context.Context) (int, readyResponse) {
	a.ready.mu.Lock()
	defer a.ready.mu.Unlock()
	if time.Now().Before(a.ready.until) {
		return a.ready.status, a.ready.answer
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout) // others wait for it
	defer cancel()
	status, answer := http.StatusOK, readyResponse{Status: "ready", Checks: map[string]string{}}
	for name, check := range a.opts.Ready {
		answer.Checks[name] = "ready"
		if err := check(ctx); err != nil {
			a.opts.Log.Warn("not ready", "part", name, "error", err)
			status, answer.Status, answer.Checks[name] = http.StatusServiceUnavailable, "not ready", "not ready"
		}
	}
	a.ready.until, a.ready.status, a.ready.answer = time.Now().Add(readyFor), status, answer
	return status, answer
}

type readyResponse struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // it is no HTML, and people read it
	enc.Encode(v)            // an error means that the client has gone
}
