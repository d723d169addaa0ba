package bedrocktest

import (
	"context"
	"net/http"
	"sync"
)

// What bounds the server's memory, whatever it is sent.

// requestOverhead stands for what a request takes beside its body.
const requestOverhead = 4 << 10

// remember keeps a request for [Server.Requests], and forgets the oldest ones
// that are too many. It is called with the lock.
func (s *Server) remember(req *Request) {
	if s.opts.KeepRequests < 0 {
		return
	}
	s.requests = append(s.requests, req)
	s.kept += int64(len(req.Body))
	for len(s.requests) > 0 && (len(s.requests) > s.opts.KeepRequests || s.kept > s.opts.KeepBytes) {
		s.kept -= int64(len(s.requests[0].Body))
		s.requests[0] = nil
		s.requests = s.requests[1:]
	}
}

// weight is what a request counts of [Options.MaxInFlight].
func (s *Server) weight(r *http.Request) int64 {
	if s.opts.MaxInFlight == 0 {
		return 0
	}
	n := r.ContentLength
	if n < 0 || n > s.opts.MaxBody {
		n = s.opts.MaxBody
	}
	return min(n+requestOverhead, s.opts.MaxInFlight)
}

// A gate lets in as much as is free, first come, first served.
type gate struct {
	mu      sync.Mutex
	free    int64
	waiting []waiter
}

type waiter struct {
	n  int64
	in chan struct{} // closed when it is let in
}

// acquire waits until n are free, and reports false if ctx ended first.
func (g *gate) acquire(ctx context.Context, n int64) bool {
	g.mu.Lock()
	if len(g.waiting) == 0 && n <= g.free {
		g.free -= n
		g.mu.Unlock()
		return true
	}
	w := waiter{n, make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	select {
	case <-w.in:
		return true
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.waiting {
		if g.waiting[i].in == w.in {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.admit() // those who waited for this one to fit
			return false
		}
	}
	g.free += n // it was let in at the same moment
	g.admit()
	return false
}

func (g *gate) release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += n
	g.admit()
}

// admit lets in those who fit. It is called with the lock.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.waiting[0].n <= g.free {
		g.free -= g.waiting[0].n
		close(g.waiting[0].in)
		g.waiting = g.waiting[1:]
	}
}
