package quota

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Priority says which requests go first if several wait for a quota.
type Priority int

// The priorities. If requests of both wait, one request in five is of [Batch], so that
// work that no user waits for makes progress. The zero value means [Interactive].
const (
	Interactive Priority = iota + 1
	Batch
)

// A Request is what an attempt needs from a quota.
type Request struct {
	// Input is the size of the input in tokens, including cached input. Output is the
	// maximum size of the answer: max tokens.
	Input, Output int64

	// Estimated says that Input is an estimate. A request that is too large for its
	// quota is refused at once; for that check, only half of an estimate counts.
	Estimated bool

	Priority Priority
}

// Tokens returns how many tokens the request reserves.
func (r Request) Tokens() int64 { return r.Input + r.Output }

// least is the least that the request reserves.
func (r Request) least() int64 {
	if r.Estimated {
		return r.Input/2 + r.Output
	}
	return r.Tokens()
}

// Error is the error of a request that the limiter did not admit. errors.Is finds
// [ErrLimited], unless the context was canceled. If the context was canceled or its
// deadline has passed, errors.Is finds the context's error and its cause.
type Error struct {
	Quota      Quota
	RetryAfter time.Duration // how long until there is room; 0 if that is not known
	Waited     time.Duration // in the queue
	Err        error         // the context's error and its cause, if it has ended

	reason string
}

// Error says which quota it is and why the request was not admitted.
func (e *Error) Error() string {
	if e.canceled() {
		return fmt.Sprintf("%v, while waiting for the client's own quota", e.Err)
	}
	of := string(e.Quota.Model)
	if e.Quota.Region != "" {
		of += " in " + e.Quota.Region
	}
	text := fmt.Sprintf("the quota of %s is %s a minute: %s", of, e.Quota.amount(), e.reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the context's error and its cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [ErrLimited] and the limiter stopped the request.
func (e *Error) Is(target error) bool { return target == ErrLimited && !e.canceled() }

func (e *Error) canceled() bool { return e.Err != nil && !errors.Is(e.Err, context.DeadlineExceeded) }

// A Reservation is what a request has reserved from its quota, until it is settled. It
// is safe for concurrent use.
type Reservation struct {
	// Waited is how long the request waited for room.
	Waited time.Duration

	lane   *Lane
	tokens int64
	local  bool // it is of the limiter's own store, as the other one failed
	done   atomic.Bool
}

// Tokens returns how many tokens were reserved.
func (r *Reservation) Tokens() int64 { return r.tokens }

// Settle replaces what was reserved by what was used, as the service does when a
// request has ended. used is [Quota.Taken] of the request's usage, 0 if the request
// was refused before the model ran, or Tokens of the reservation if the usage is not
// known. Only the first call has an effect. It settles even if ctx has ended.
// Options.OnError gets the store's error.
func (r *Reservation) Settle(ctx context.Context, used int64) {
	if r.done.Swap(true) {
		return
	}
	if used != r.tokens {
		ctx = context.WithoutCancel(ctx) // what was used was used
		r.lane.limiter.tell(ctx, OpSettle, r.local, r.lane.quota, func(s Store, q Quota) error { return s.Settle(ctx, q, used-r.tokens) })
	}
	r.lane.settled(r.tokens)
}

// Throttled reports to the lane that the service has throttled the request. The rate
// of the quota is halved, and recovers by a hundredth of the quota each second.
func (r *Reservation) Throttled(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	r.lane.slowed()
	r.lane.limiter.tell(ctx, OpThrottled, r.local, r.lane.quota, func(s Store, q Quota) error { return s.Throttled(ctx, q) })
}
