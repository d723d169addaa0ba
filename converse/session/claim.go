package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A claim keeps other requests of a session from beginning while one runs. It
// renews itself until it is stopped.
type claim struct {
	client *Client
	id     string
	ctx    context.Context // ends when the claim is lost

	cancel context.CancelCauseFunc
	done   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once

	version int64 // to be read after stop
	lost    error
	saved   bool
}

// claim claims the session that h was loaded from. If another request has claimed
// it, or has saved it since, the error is ErrConflict.
func (c *Client) claim(ctx context.Context, id string, h History) (*claim, error) {
	if time.Now().Before(h.Busy) {
		return nil, fmt.Errorf("%w, which still runs", ErrConflict)
	}
	version, err := c.store.Claim(ctx, id, h.Version, time.Now().Add(c.options.ClaimTime))
	if err != nil {
		return nil, err
	}
	l := &claim{client: c, id: id, version: version, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.wg.Go(l.renew)
	return l, nil
}

// renew keeps the claim alive. A store that is down costs nothing until the
// claim has run out, and then only if another request has begun.
func (l *claim) renew() {
	every := l.client.options.ClaimTime / 3
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-timer.C:
		}
		timer.Reset(every)
		version, err := l.put(time.Now().Add(l.client.options.ClaimTime))
		switch {
		case err == nil:
			l.version = version
		case errors.Is(err, ErrConflict):
			l.lost = err
			l.cancel(fmt.Errorf("session: %w", err)) // what comes now could not be saved
			return
		default:
			l.client.report(l.ctx, fmt.Errorf("session: renewing a claim: %w", err))
		}
	}
}

// put sets the end of the claim; the zero time ends it.
func (l *claim) put(until time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), l.client.options.SaveTimeout)
	defer cancel()
	return l.client.store.Claim(ctx, l.id, l.version, until)
}

// stop ends the renewal and returns the version that the claim has come to, or
// the error by which it was lost.
func (l *claim) stop() (version int64, lost error) {
	l.once.Do(func() { close(l.done) })
	l.wg.Wait()
	return l.version, l.lost
}

// release gives back a claim whose history was not saved.
func (l *claim) release() {
	if _, lost := l.stop(); lost == nil && !l.saved {
		if _, err := l.put(time.Time{}); err != nil && !errors.Is(err, ErrConflict) {
			l.client.report(l.ctx, fmt.Errorf("session: giving a claim back: %w", err))
		}
	}
	l.cancel(nil)
}
