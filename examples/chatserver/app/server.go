package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
	"github.com/mangaassist/bedrockkit/examples/chatserver/page"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

// A Server serves the page, the WebSocket behind it and the REST API, and works on
// the analyses.
type Server struct {
	assistant *assistant.Assistant
	jobs      *jobs.Service
	socket    *socket.Handler
	gateway   http.Handler // the routes of an API Gateway's WebSockets; nil if there is none
	gate      *auth.Gate
	origins   []string // whose pages may call from a browser
	metrics   *metrics.Metrics
	books     *catalog.Catalog
	ready     map[string]func(context.Context) error // what must work, by name
	info      info
	log       *slog.Logger
	role      string

	background []func(context.Context) // run while it serves
	stopping   atomic.Bool             // it takes no more requests soon
	summary    []Line
	close      func() // what Build has opened
}

// info is what the page asks first.
type info struct {
	Backend              string      `json:"backend"` // "offline" or "aws"
	Notice               string      `json:"notice,omitempty"`
	Models               []modelInfo `json:"models"`
	MaxQuestionCharacter int         `json:"max_question_characters"`
	NeedsKey             bool        `json:"needs_key"` // the WebSocket needs a ticket, and a ticket an API key
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler {
	if s.role == roleWorker {
		return s.workerHandler()
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(page.Files))
	mux.Handle("GET /ws", s.socket)
	mux.HandleFunc("GET /v1/info", s.serveInfo)
	s.servePages(mux)
	if s.gateway != nil {
		mux.Handle("/gateway/", s.gateway)
	}
	api := s.api()
	for _, path := range []string{"/openapi.json", "/docs", "/healthz", "/readyz"} {
		mux.Handle(path, api)
	}
	mux.Handle("/v1/", s.gate.Handler(api, rest.Fail))
	// Named one by one, they are counted apart.
	for _, path := range []string{"/v1/manga/batch", "/v1/manga/status/{request_id}", "/metrics"} {
		mux.Handle(path, s.gate.Handler(api, rest.Fail))
	}
	mux.Handle("POST /v1/manga/batch", s.gate.Handler(s.paid(api), rest.Fail))
	mux.Handle("POST /v1/ticket", s.gate.Handler(http.HandlerFunc(s.serveTicket), rest.Fail))
	mux.Handle("POST /v1/manga/query", s.gate.Handler(s.paid(s.counted(api)), rest.Fail))
	mux.Handle("GET /v1/manga/jobs/events", s.gate.Handler(s.counted(api), rest.Fail))
	// What keeps other pages out is that browsers say where a request comes from and,
	// on a server without keys, what it was told to go to.
	crossOrigin := http.NewCrossOriginProtection()
	for _, origin := range s.origins {
		if err := crossOrigin.AddTrustedOrigin(origin); err != nil {
			s.log.Error("an origin is not trusted", "origin", origin, "error", err) // Settings.Check has seen it
		}
	}
	protected := crossOrigin.Handler(rest.Shared(s.origins, s.metrics.Handler(mux)))
	if s.gate.Open() {
		protected = sameHost(protected)
	}
	return secured(protected)
}

// API is the REST API alone, for callers whom something in front has let in: the
// context of a request says who, see [auth.WithCaller].
func (s *Server) API() http.Handler { return rest.Shared(s.origins, s.api()) }

func (s *Server) api() http.Handler {
	return rest.New(s.assistant, s.jobs, func(o *rest.Options) { o.Log, o.Metrics, o.Ready = s.log, s.metrics, s.checks() })
}

// workerHandler answers what watches a worker. Nobody calls it for anything else.
func (s *Server) workerHandler() http.Handler {
	mux := http.NewServeMux()
	api := s.API()
	for _, path := range []string{"GET /healthz", "GET /readyz", "GET /metrics"} {
		mux.Handle(path, api)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rest.Fail(w, r, http.StatusNotFound, "This process works on jobs in the background. It has /healthz, /readyz and /metrics.")
	})
	return secured(mux)
}

// paid bounds what a caller's answers cost in a day, before a model is asked.
func (s *Server) paid(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused := s.gate.Afford(r.Context()); refused != nil {
			refused.Header(w.Header())
			rest.Fail(w, r, refused.Status, refused.Message)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// counted bounds the answers that a caller has at once.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end, refused := s.gate.Begin(r.Context())
		if refused != nil {
			refused.Header(w.Header())
			rest.Fail(w, r, refused.Status, refused.Message)
			return
		}
		defer end()
		next.ServeHTTP(w, r)
	})
}

// serveTicket gives a page what it needs to open a WebSocket.
func (s *Server) serveTicket(w http.ResponseWriter, r *http.Request) {
	ticket, err := s.gate.Ticket(r.Context())
	if err != nil {
		s.log.Warn("no ticket", "error", err)
		rest.Fail(w, r, http.StatusServiceUnavailable, "There is no ticket now. Please try again.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]string{"ticket": ticket})
}

// sameHost refuses requests for another host than this machine: a page whose
// name was made to point here (DNS rebinding) has the origin that it asks for.
func sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) && !loopback(r.Host+":80") { // a browser leaves port 80 out
			http.Error(w, "This server answers on loopback addresses only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secured sets the headers that keep a page from doing what this one never
// does, whatever an answer holds.
func secured(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) serveInfo(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.info)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}
