package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/quota/internal/bucket"
)

// recovery is how long a rate takes at most until it is whole again.
const recovery = time.Duration((1 - bucket.Floor) / bucket.Recovery * float64(time.Second))

// A Lane is the queue of one quota, in an account and a region. It is safe for
// concurrent use. The first request in the queue asks the store until there is room
// for it; then the next request is first. So a lane needs no goroutine of its own.
type Lane struct {
	limiter *Limiter
	quota   Quota

	mu       sync.Mutex
	waiting  [2][]*waiter // interactive and batch, each first come, first served
	leader   *waiter
	streak   int   // interactive requests that went while one of batch waited
	reserved int64 // tokens of the requests under way

	slowUntil time.Time // the rate may be lower than the quota's

	admitted, shed, throttled atomic.Int64
}

// Quota returns the quota, with its account, region and defaults filled in.
func (l *Lane) Quota() Quota { return l.quota }

// Stats returns a snapshot of the lane's counts.
func (l *Lane) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Account: l.quota.Account, Region: l.quota.Region, Model: l.quota.Model,
		Waiting: len(l.waiting[0]) + len(l.waiting[1]), Reserved: l.reserved,
		Admitted: l.admitted.Load(), Shed: l.shed.Load(), Throttled: l.throttled.Load(),
	}
}

// A waiter is a request that waits.
type waiter struct {
	class  int           // in Lane.waiting
	latest time.Time     // when it gives up
	turn   chan struct{} // it leads now, or tokens were given back
}

// interactivePerBatch is how many interactive requests go before one of batch.
const interactivePerBatch = 4

// maxPoll bounds the wait before the leader asks again, as others who share the
// store may have given tokens back.
const maxPoll = time.Second

// Acquire waits until the quota has room for a request, and reserves it. Settle the
// reservation when the request has ended. The error is an [*Error]; nothing is
// reserved then. A request is refused at once if it can never fit, or if it cannot fit
// in time even if all running requests gave back what they have reserved.
func (l *Lane) Acquire(ctx context.Context, req Request) (*Reservation, error) {
	if err := l.fits(req); err != nil {
		return nil, err
	}
	r := &Reservation{lane: l, tokens: req.Tokens()}
	var wait time.Duration
	if l.idle() {
		var err *Error
		if wait, err = l.ask(ctx, r); err != nil {
			return nil, err
		}
		if wait == 0 {
			return r, nil
		}
	}
	began := time.Now()
	err := l.queue(ctx, req, r, wait)
	waited := time.Since(began)
	if err != nil {
		err.Waited = waited
		return nil, err
	}
	r.Waited = waited
	return r, nil
}

// fits refuses what the quota can never have room for.
func (l *Lane) fits(req Request) *Error {
	switch limit := l.quota.TokensPerMinute; {
	case req.Input < 0 || req.Output < 0 || req.Tokens() < 0:
		return l.refuse(0, "a request of %d tokens and max tokens of %d cannot be counted", req.Input, req.Output)
	case limit <= 0:
	case req.Output > limit:
		return l.refuse(0, "the call reserves its max tokens of %d; set them lower", req.Output)
	case req.least() > limit:
		return l.refuse(0, "the call reserves its input of %d tokens and its max tokens of %d; shorten it or set them lower", req.Input, req.Output)
	}
	return nil
}

// queue waits in the queue until the request has its reservation. wait is what
// the store has answered to it, 0 if it was not asked.
func (l *Lane) queue(ctx context.Context, req Request, r *Reservation, wait time.Duration) *Error {
	w, err := l.enter(ctx, req, r, wait)
	if err != nil {
		return err
	}
	defer l.leave(w)
	began := time.Now()
	giveUp, again := time.NewTimer(l.limiter.options.MaxWait), time.NewTimer(time.Hour)
	defer giveUp.Stop()
	defer again.Stop()
	for {
		select {
		case <-w.turn:
		case <-again.C:
		case <-giveUp.C:
			return l.refuse(0, "the call has waited for room for %d tokens for %s", r.tokens, time.Since(began))
		case <-ctx.Done():
			return l.gone(ctx)
		}
		if !l.leads(w) {
			continue // another one was put before it, and signals when it is its turn
		}
		wait, err := l.ask(ctx, r)
		switch {
		case err != nil:
			return err
		case wait == 0:
			l.went(w)
			return nil
		case l.tooLate(w, r, wait):
			return l.refuse(wait, "there will be no room for %d tokens for %s", r.tokens, wait)
		}
		again.Reset(min(wait, maxPoll))
	}
}

// idle reports whether nobody waits.
func (l *Lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting[0])+len(l.waiting[1]) == 0
}

// ask asks the store for what a call needs. It returns how long to wait, 0 where
// it has it.
func (l *Lane) ask(ctx context.Context, r *Reservation) (time.Duration, *Error) {
	wait, local, err := l.limiter.reserve(ctx, l.quota, r.tokens)
	if err != nil {
		return 0, l.gone(ctx)
	}
	r.local = local
	if wait > 0 {
		return wait, nil
	}
	l.admitted.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved += r.tokens
	return 0, nil
}

// enter puts a call into the queue. wait is what the store has said to it, 0
// where it was not asked.
func (l *Lane) enter(ctx context.Context, req Request, r *Reservation, wait time.Duration) (*waiter, *Error) {
	o := &l.limiter.options
	w := &waiter{latest: time.Now().Add(o.MaxWait), turn: make(chan struct{}, 1)}
	if req.Priority == Batch {
		w.class = 1
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.latest) {
		w.latest = deadline
	}
	if o.MaxWait < 0 || l.tooLate(w, r, wait) {
		return nil, l.refuse(wait, "there is no room for %d tokens in time", r.tokens)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.waiting[0]) + len(l.waiting[1]); n >= o.MaxQueue {
		return nil, l.refuse(wait, "%d calls wait for it already", n)
	}
	l.waiting[w.class] = append(l.waiting[w.class], w)
	l.elect()
	return w, nil
}

// tooLate reports whether a call that has to wait cannot be let go in time,
// even if all that is reserved were given back. Only the process itself knows
// what that is, so with a shared store nobody gives up before his time.
func (l *Lane) tooLate(w *waiter, r *Reservation, wait time.Duration) bool {
	if l.limiter.shared && !r.local {
		return false
	}
	now := time.Now()
	if rate := float64(l.quota.TokensPerMinute) / float64(time.Minute); rate > 0 {
		l.mu.Lock()
		if now.Before(l.slowUntil) {
			rate *= bucket.Floor // what is given back counts for more
		}
		wait -= time.Duration(float64(l.reserved) / rate)
		l.mu.Unlock()
	}
	return now.Add(wait).After(w.latest)
}

// elect has the one lead whose turn it is. The lane is locked.
func (l *Lane) elect() {
	interactive, batch := l.waiting[0], l.waiting[1]
	var next *waiter
	switch {
	case len(batch) > 0 && (len(interactive) == 0 || l.streak >= interactivePerBatch):
		next = batch[0]
	case len(interactive) > 0:
		next = interactive[0]
	}
	if next != l.leader {
		l.leader = next
		l.wake()
	}
}

// wake has the leader ask again. The lane is locked.
func (l *Lane) wake() {
	if l.leader == nil {
		return
	}
	select {
	case l.leader.turn <- struct{}{}:
	default: // it was signalled
	}
}

func (l *Lane) leads(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leader == w
}

// went counts a call that was let go.
func (l *Lane) went(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case w.class == 1:
		l.streak = 0
	case len(l.waiting[1]) > 0:
		l.streak++
	}
}

// leave takes a call out of the queue, however its wait has ended.
func (l *Lane) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting[w.class], w)
	l.waiting[w.class] = slices.Delete(l.waiting[w.class], i, i+1)
	l.elect()
}

// settled reports that an attempt has ended that had reserved so many tokens.
func (l *Lane) settled(tokens int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved -= tokens
	l.wake()
}

// slowed reports that the service has throttled an attempt.
func (l *Lane) slowed() {
	l.throttled.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowUntil = time.Now().Add(recovery)
}

// refuse is the error of a request that is not let go.
func (l *Lane) refuse(wait time.Duration, format string, args ...any) *Error {
	l.shed.Add(1)
	return &Error{Quota: l.quota, RetryAfter: wait, reason: fmt.Sprintf(format, args...)}
}

// gone is the error of a request whose context has ended while it waited.
func (l *Lane) gone(ctx context.Context) *Error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause != err {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Quota: l.quota, Err: err}
	}
	e := l.refuse(0, "there was no room before the caller's deadline")
	e.Err = err
	return e
}
