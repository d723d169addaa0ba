package resume

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
)

// An Answer says which answer a request asks for.
type Answer struct {
	// ID is the id of the answer. If it is empty, a POST starts an answer with an id
	// of [NewID].
	ID string

	// Open asks the model. Set it if the request may start the answer. It outlives the
	// request, so it must not read the request's body.
	Open Opener
}

// HandlerOptions are the options of [Handler]. The zero value of a field means its
// default.
type HandlerOptions struct {
	// Heartbeat is how long the connection may be idle before a comment is sent.
	// Comments keep the connection open in proxies, and show that a reader is gone.
	// The default is 15 s.
	Heartbeat time.Duration

	// Retry is how long an EventSource waits before it connects again. The default is
	// 1 s.
	Retry time.Duration

	// WriteTimeout bounds each write to a reader. If a write takes longer, the
	// connection is closed; the reader may come back. The default is 10 s. It replaces
	// http.Server.WriteTimeout.
	WriteTimeout time.Duration
}

// Handler serves the answers of a registry as server-sent events.
//
// For each request it first calls answer, which checks who asks and whether the
// answer is theirs. If answer returns false, it has answered the request itself.
//
//   - GET sends the messages after a sequence: the header Last-Event-ID, which an
//     EventSource sends when it connects again, or else the query parameter after,
//     which a page sends that was reloaded. A request with neither is the first
//     one: it starts the answer if there is none and Open is set. No other GET
//     does.
//   - POST starts the answer. With an Accept header of text/event-stream it sends
//     the messages, otherwise it responds with status 201 and {"id":"…"}. The
//     header Answer-Id has the id in both cases. An id that has an answer is not
//     started again, so a POST with an id can be repeated.
//   - DELETE stops the answer: status 204.
//
// The data of an event is the message as JSON, its id is the sequence and its name is
// the type. An error has the name that [stream.SSE] uses. A reader that has seen the
// last message gets status 204. The other statuses are 404 if there is no such answer,
// 400 if the id or the sequence is not valid, 409 for a sequence that the answer has
// not reached ([stream.ErrGap]), and 503 if there is no room, the registry is closed
// or the log fails. After any of these, an EventSource does not connect again.
func Handler(r *Registry, answer func(http.ResponseWriter, *http.Request) (Answer, bool), optFns ...func(*HandlerOptions)) http.Handler {
	var o HandlerOptions
	for _, fn := range optFns {
		fn(&o)
	}
	o.Heartbeat = orDefault(max(0, o.Heartbeat), 15*time.Second)
	o.Retry = orDefault(max(0, o.Retry), time.Second)
	o.WriteTimeout = orDefault(max(0, o.WriteTimeout), 10*time.Second)
	return &handler{r, answer, o}
}

type handler struct {
	registry *Registry
	answer   func(http.ResponseWriter, *http.Request) (Answer, bool)
	options  HandlerOptions
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "use GET, POST or DELETE", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	a, ok := h.answer(w, r)
	if !ok {
		return
	}
	if err := h.serve(w, r, a); err != nil {
		status := HTTPStatus(err)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		http.Error(w, cmp.Or(http.StatusText(status), "the request was cancelled"), status)
	}
}

// serve returns an error if nothing was sent yet.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, a Answer) error {
	if r.Method == http.MethodDelete {
		if err := h.registry.Stop(r.Context(), a.ID); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	after, first, err := After(r)
	if err != nil {
		return err
	}
	if a.ID == "" && r.Method == http.MethodPost {
		a.ID = NewID()
	}
	if a.Open != nil && (first || r.Method == http.MethodPost) {
		if err := h.registry.Start(r.Context(), a.ID, a.Open); err != nil && !errors.Is(err, ErrExists) {
			return err
		}
	}
	if r.Method == http.MethodPost {
		w.Header().Set("Answer-Id", a.ID)
		if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			return h.created(w, r, a)
		}
	}
	return h.send(w, r, a.ID, after)
}

func (h *handler) created(w http.ResponseWriter, r *http.Request, a Answer) error {
	if a.Open == nil { // then it may not be there
		if _, err := h.registry.page(r.Context(), a.ID, 0, 0); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": a.ID}) // a reader that is gone comes back
	return nil
}

// send sends the messages after a sequence until there are no more, the reader is
// gone or the registry is closed.
func (h *handler) send(w http.ResponseWriter, r *http.Request, id string, after int64) error {
	ctx := r.Context()
	p, err := h.registry.page(ctx, id, after, 0)
	if err != nil {
		return err
	}
	if p.Ended && len(p.Messages) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection may serve another request
	events := stream.SSE(w)
	// The id makes each further request of an EventSource one that starts nothing,
	// also before the first message.
	text := fmt.Sprintf("retry: %d\nid: %d\n\n", h.options.Retry.Milliseconds(), after)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(h.options.WriteTimeout)) // not all writers can
		if text != "" {
			if _, err := w.Write([]byte(text)); err != nil || control.Flush() != nil {
				return nil
			}
		}
		for _, m := range p.Messages {
			if events.Send(ctx, m) != nil {
				return nil
			}
			after = m.Sequence
		}
		if p.Ended {
			return nil
		}
		if p, err = h.registry.page(ctx, id, after, h.options.Heartbeat); err != nil {
			return nil // it comes back, and hears then what it was
		}
		text = ""
		if len(p.Messages) == 0 {
			text = ": still here\n\n"
		}
	}
}

// After returns the sequence after which a request asks for messages: its
// Last-Event-ID, otherwise its query parameter after. first reports that it has
// neither. Use it in your own handlers.
func After(r *http.Request) (after int64, first bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, true, nil
	}
	after, err = strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, false, ErrSequence
	}
	return after, false, nil
}

// ErrSequence is the error of a request whose sequence is not a whole number of 0 or
// greater.
var ErrSequence = errors.New("a sequence must be a whole number, 0 or greater")

// HTTPStatus returns the HTTP status for an error of a registry, as [Handler] uses it.
// Use it in your own handlers.
func HTTPStatus(err error) int {
	switch {
	case errors.Is(err, ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, ErrID), errors.Is(err, ErrSequence):
		return http.StatusBadRequest
	case errors.Is(err, stream.ErrGap), errors.Is(err, ErrExists):
		return http.StatusConflict
	case errors.Is(err, context.Canceled):
		return 499 // the client has closed the connection, as nginx calls it
	}
	return http.StatusServiceUnavailable
}
