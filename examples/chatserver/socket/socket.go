package socket

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Origins are the origins whose pages may connect, such as
	// "https://manga.example", besides the server's own. The default is none.
	Origins []string

	// Log keeps the answers, so that a client that lost its connection reads on. The
	// default is in memory. With one that processes share, a client may come back
	// to another process.
	Log resume.Log

	// Grace is how long an answer goes on that nobody reads: a page that is reloaded
	// or changes from Wi-Fi to the phone's network comes back within it. The default
	// is 30 s.
	Grace time.Duration

	// Coalesce gathers text for so long before it is sent. The default is 50 ms, which
	// no reader notices; negative means that each token is sent at once.
	Coalesce time.Duration
}

// A Handler speaks with clients: over WebSockets of its own, as an [http.Handler],
// and over those of an API Gateway, with [Handler.Gateway].
type Handler struct {
	assistant *assistant.Assistant
	gate      *auth.Gate
	opts      Options
	registry  *resume.Registry // the answers
	running   running          // those that are being sent
	log       *slog.Logger

	closing context.Context // ends when no connection may go on
	goAway  context.CancelFunc
	cutting context.Context // ends when nothing more may be posted
	cut     context.CancelFunc

	mu     sync.Mutex
	closed bool
	open   sync.WaitGroup // what is served, which http.Server does not wait for
}

// New returns a handler for the assistant's clients. Close it.
func New(a *assistant.Assistant, gate *auth.Gate, log *slog.Logger, optFns ...func(*Options)) *Handler {
	o := Options{Grace: 30 * time.Second}
	for _, fn := range optFns {
		fn(&o)
	}
	h := &Handler{assistant: a, gate: gate, opts: o, log: log}
	h.closing, h.goAway = context.WithCancel(context.Background())
	h.cutting, h.cut = context.WithCancel(context.Background())
	h.registry = h.newRegistry()
	return h
}

// Close ends the connections and lets the answers that run end. Those that still run
// when ctx ends are interrupted, which is its error. What is left to be posted to
// an API Gateway then has another second.
func (h *Handler) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.goAway()
	err := h.registry.Close(ctx)
	defer time.AfterFunc(time.Second, h.cut).Stop()
	h.open.Wait()
	h.cut()
	return err
}

// enter counts something that is served, unless the handler is closed. After it
// comes h.open.Done.
func (h *Handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.open.Add(1)
	}
	return !h.closed
}
