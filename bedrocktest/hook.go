package bedrocktest

import (
	"context"
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// A Hook is a function that was registered with [Server.Control].
type Hook struct {
	s     *Server
	op    bedrockkit.Operation
	fn    Responder
	kept  bool
	busy  bool // it is being called
	spent bool // it has answered and was dropped
	calls int
}

// Control runs fn on the next request of an operation, before the server looks
// at it: it may look, wait, or answer by returning a Reply, an error included.
// A hook that has answered is dropped; one that returned nil stays, and the
// request goes on to the next hook. Hooks run in the order in which they were
// registered, before scripted replies. A hook serves one request at a time:
// others that come meanwhile pass it by, unless it is kept.
func (s *Server) Control(op bedrockkit.Operation, fn Responder) *Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Hook{s: s, op: op, fn: fn}
	s.hooks = append(s.hooks, h)
	return h
}

// Keep makes the hook stay after it has answered. It then need not be called
// at all.
func (h *Hook) Keep() *Hook {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.kept = true
	if h.spent { // a request came between Control and Keep
		h.spent = false
		h.s.hooks = append(h.s.hooks, h)
	}
	return h
}

// Remove drops the hook.
func (h *Hook) Remove() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.spent = false
	h.remove()
}

// remove is called with the server's lock.
func (h *Hook) remove() {
	h.s.hooks = slices.DeleteFunc(h.s.hooks, func(o *Hook) bool { return o == h })
}

// control asks the hooks. A hook that is not kept serves one request at a time:
// another that comes meanwhile passes it by, and it is dropped in the moment in
// which it is free again, or a third would find it.
func (s *Server) control(ctx context.Context, req *Request) *Reply {
	s.mu.Lock()
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	for _, h := range hooks {
		if !h.claim(req.Op) {
			continue
		}
		if r := h.call(ctx, req); r != nil {
			return r
		}
	}
	return nil
}

// call releases the hook in any case, also if its function panics.
func (h *Hook) call(ctx context.Context, req *Request) (r *Reply) {
	defer func() { h.release(r != nil) }()
	return h.fn(ctx, req)
}

func (h *Hook) claim(op bedrockkit.Operation) bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if h.op != AnyOp && h.op != op || h.busy && !h.kept || !slices.Contains(h.s.hooks, h) {
		return false
	}
	h.busy = true
	h.calls++
	return true
}

func (h *Hook) release(answered bool) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.busy = false
	if answered && !h.kept {
		h.remove()
		h.spent = true
	}
}
