package bedrockx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/internal/bucket"
)

// recovery is how long a rate takes at most until it is whole again.
const recovery = time.Duration((1 - bucket.Floor) / bucket.Recovery * float64(time.Second))

// A lane is the calls of one quota. Of those that wait in it one leads: it asks
// the store until there is room for it, and hands over to the next. So a lane
// has no goroutine but the callers'.
type lane struct {
	limiter *Limiter
	quota   Quota

	mu       sync.Mutex
	waiting  [2][]*waiter // interactive and batch, each first come, first served
	leader   *waiter
	streak   int   // interactive calls that went while one of batch waited
	reserved int64 // tokens of the attempts under way

	slowUntil time.Time // the rate may be lower than the quota's

	admitted, shed, throttled atomic.Int64
}

// A waiter is a call that waits.
type waiter struct {
	class  int           // in lane.waiting
	latest time.Time     // when it gives up
	turn   chan struct{} // it leads now, or tokens were given back
}

// interactivePerBatch is how many interactive calls go before one of batch.
const interactivePerBatch = 4

// maxPoll bounds the wait before the leader asks again, as others who share the
// store may have given tokens back.
const maxPoll = time.Second

// admit waits until the quota has room for an attempt, and reserves it.
func (l *lane) admit(ctx context.Context, call *Call) (*reservation, *Error) {
	input, most := l.limiter.size(call, &l.quota)
	if limit := l.quota.TokensPerMinute; limit > 0 && most > limit {
		return nil, l.refuse(0, "the call reserves its max tokens of %d; set them lower", most)
	}
	r := &reservation{lane: l, tokens: input + most}
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
	defer func() { call.Queued += time.Since(began) }()
	w, err := l.enter(ctx, call, r, wait)
	if err != nil {
		return nil, err
	}
	defer l.leave(w)
	giveUp, again := time.NewTimer(l.limiter.options.MaxWait), time.NewTimer(time.Hour)
	defer giveUp.Stop()
	defer again.Stop()
	for {
		select {
		case <-w.turn:
		case <-again.C:
		case <-giveUp.C:
			return nil, l.refuse(0, "the call has waited for room for %d tokens for %s", r.tokens, time.Since(began))
		case <-ctx.Done():
			return nil, l.gone(ctx)
		}
		if !l.leads(w) {
			continue // another one was put before it, and tells when it is its turn
		}
		wait, err := l.ask(ctx, r)
		switch {
		case err != nil:
			return nil, err
		case wait == 0:
			l.went(w)
			return r, nil
		case l.tooLate(w, r, wait):
			return nil, l.refuse(wait, "there will be no room for %d tokens for %s", r.tokens, wait)
		}
		again.Reset(min(wait, maxPoll))
	}
}

// idle reports whether nobody waits.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting[0])+len(l.waiting[1]) == 0
}

// ask asks the store for what a call needs. It returns how long to wait, 0 where
// it has it.
func (l *lane) ask(ctx context.Context, r *reservation) (time.Duration, *Error) {
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
func (l *lane) enter(ctx context.Context, call *Call, r *reservation, wait time.Duration) (*waiter, *Error) {
	o := &l.limiter.options
	w := &waiter{latest: time.Now().Add(o.MaxWait), turn: make(chan struct{}, 1)}
	if call.Options.Priority == PriorityBatch {
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

// tooLate reports whether a call that is told to wait cannot be let go in time,
// even if all that is reserved were given back. Only the process itself knows
// what that is, so with a shared store nobody gives up before his time.
func (l *lane) tooLate(w *waiter, r *reservation, wait time.Duration) bool {
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
func (l *lane) elect() {
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
func (l *lane) wake() {
	if l.leader == nil {
		return
	}
	select {
	case l.leader.turn <- struct{}{}:
	default: // it was told
	}
}

func (l *lane) leads(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leader == w
}

// went counts a call that was let go.
func (l *lane) went(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case w.class == 1:
		l.streak = 0
	case len(l.waiting[1]) > 0:
		l.streak++
	}
}

// leave takes a call out of the queue, whichever way its wait has ended.
func (l *lane) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting[w.class], w)
	l.waiting[w.class] = slices.Delete(l.waiting[w.class], i, i+1)
	l.elect()
}

// settled tells that an attempt has ended which had reserved so many tokens.
func (l *lane) settled(tokens int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved -= tokens
	l.wake()
}

// slowed tells that the service has throttled an attempt.
func (l *lane) slowed() {
	l.throttled.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowUntil = time.Now().Add(recovery)
}

// refuse is the error of a call that is not let go.
func (l *lane) refuse(wait time.Duration, format string, args ...any) *Error {
	l.shed.Add(1)
	of := string(l.quota.Model)
	if l.quota.Region != "" {
		of += " in " + l.quota.Region
	}
	return &Error{Kind: KindLimited, RetryAfter: wait, Err: fmt.Errorf("the quota of %s is %s a minute: %s", of, l.quota.amount(), fmt.Sprintf(format, args...))}
}

func (q Quota) amount() string {
	switch {
	case q.TokensPerMinute <= 0:
		return fmt.Sprintf("%d requests", q.RequestsPerMinute)
	case q.RequestsPerMinute <= 0:
		return fmt.Sprintf("%d tokens", q.TokensPerMinute)
	}
	return fmt.Sprintf("%d tokens and %d requests", q.TokensPerMinute, q.RequestsPerMinute)
}

// gone is the error of a call whose context has ended while it waited.
func (l *lane) gone(ctx context.Context) *Error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Kind: KindCanceled, Err: fmt.Errorf("%w, while waiting for the client's own quota", joinCause(ctx))}
	}
	e := l.refuse(0, "there was no room before the caller's deadline")
	e.Err = fmt.Errorf("%w: %w", e.Err, joinCause(ctx))
	return e
}

// reserve asks the store, or while that fails the limiter's own. An error is
// the context's.
func (l *Limiter) reserve(ctx context.Context, q Quota, tokens int64) (wait time.Duration, local bool, err error) {
	if time.Now().UnixNano() >= l.retryAt.Load() {
		wait, err := l.options.Store.Reserve(ctx, q, tokens)
		if err == nil || ctx.Err() != nil {
			return wait, false, ctx.Err()
		}
		l.failed(err)
	}
	wait, err = l.local.Reserve(ctx, l.share(q), tokens)
	return wait, true, err
}

// tell tells the store of a reservation something that costs no call if it fails.
func (l *Limiter) tell(local bool, q Quota, fn func(QuotaStore, Quota) error) {
	switch {
	case local:
		_ = fn(&l.local, l.share(q)) // it fails only with its context
	case time.Now().UnixNano() >= l.retryAt.Load():
		if err := fn(l.options.Store, q); err != nil {
			l.failed(err)
		}
	}
}

// failed leaves the store alone for a while. What it was not told, the passing
// of a minute mends.
func (l *Limiter) failed(err error) {
	l.retryAt.Store(time.Now().Add(storePause).UnixNano())
	l.options.OnStoreError(err)
}

// share is what the process takes of a quota while the store fails.
func (l *Limiter) share(q Quota) Quota {
	part := func(n int64) int64 {
		if n <= 0 {
			return n
		}
		return max(1, int64(float64(n)*l.options.LocalShare))
	}
	q.TokensPerMinute, q.RequestsPerMinute = part(q.TokensPerMinute), part(q.RequestsPerMinute)
	return q
}

// QuotaStats says how the calls of one quota fare in this process.
type QuotaStats struct {
	Account string             `json:"account,omitempty"`
	Region  string             `json:"region,omitempty"`
	Model   bedrockkit.ModelID `json:"model"`

	Waiting  int   `json:"waiting"`         // calls in the queue
	Reserved int64 `json:"reserved_tokens"` // of the attempts under way

	// Since the limiter was made:
	Admitted  int64 `json:"admitted"`  // attempts that were let go
	Shed      int64 `json:"shed"`      // calls that got ErrLimited
	Throttled int64 `json:"throttled"` // attempts that the service has throttled
}

// Stats returns a snapshot of the quotas that have been used so far, ordered by
// account, region and model.
func (l *Limiter) Stats() []QuotaStats {
	var all []QuotaStats
	l.lanes.Range(func(_, found any) bool {
		lane := found.(*lane)
		lane.mu.Lock()
		defer lane.mu.Unlock()
		all = append(all, QuotaStats{
			Account: lane.quota.Account, Region: lane.quota.Region, Model: lane.quota.Model,
			Waiting: len(lane.waiting[0]) + len(lane.waiting[1]), Reserved: lane.reserved,
			Admitted: lane.admitted.Load(), Shed: lane.shed.Load(), Throttled: lane.throttled.Load(),
		})
		return true
	})
	slices.SortFunc(all, func(a, b QuotaStats) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Model, b.Model))
	})
	return all
}
