package webhook

import (
	"sync"
	"time"
)

// The bounds of what is known of receivers.
const (
	maxHangs  = 10_000 // receivers
	maxPutOff = 10 * time.Minute
)

// hangs are the receivers that have not answered in time, by URL. The zero value is
// ready for use.
type hangs struct {
	mu  sync.Mutex
	all map[string]hang
}

// A hang is what is known of one.
type hang struct {
	times int       // attempts in a row without an answer
	until time.Time // it is not asked again before
}

// note counts one more attempt. The receiver is left alone for the timeout, and twice
// as long after each further attempt.
func (h *hangs) note(url string, timeout time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]hang{}
	}
	one := h.all[url]
	if time.Now().Before(one.until) {
		return // it was begun before, beside the one that has counted
	}
	if one.times == 0 && len(h.all) >= maxHangs {
		for other := range h.all { // any of them: it is known again when it hangs again
			delete(h.all, other)
			break
		}
	}
	wait := min(timeout<<min(one.times, 10), max(maxPutOff, timeout))
	h.all[url] = hang{one.times + 1, time.Now().Add(wait)}
}

// forget is for a receiver that has answered.
func (h *hangs) forget(url string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, url)
}

// known reports whether a receiver has not answered the last time, and how long it
// is left alone.
func (h *hangs) known(url string) (bool, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, ok := h.all[url]
	if !ok {
		return false, 0
	}
	return true, max(time.Until(one.until), 0)
}
