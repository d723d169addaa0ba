package bedrockx

import (
	"errors"
	"sync/atomic"
	"time"
)

// A breaker leaves a target alone that fails too often, so that callers do not
// wait for it in vain and it can recover. While it is open, one call at a time
// may probe whether the target is well again.
//
// It holds no lock: calls of one model share it.
type breaker struct {
	openUntil atomic.Int64 // Unix nanoseconds; 0 while it is closed
	window    atomic.Int64 // when the counts began
	failed    atomic.Int64
	answered  atomic.Int64
}

// allow reports whether a call may go to the target.
func (b *breaker) allow(o *Options, now time.Time) bool {
	until := b.openUntil.Load()
	if until == 0 {
		return true
	}
	if now.UnixNano() < until {
		return false
	}
	// Half open: this call is the probe; the others wait for one more cooldown,
	// which also ends a probe that nobody hears of again.
	return b.openUntil.CompareAndSwap(until, now.Add(o.BreakerCooldown).UnixNano())
}

// record takes in how a call ended. What says nothing of the target's health
// does not count: cancellations, and errors of the request.
func (b *breaker) record(o *Options, now time.Time, err error) {
	switch {
	case err == nil:
		if b.openUntil.Load() != 0 {
			b.failed.Store(0)
			b.answered.Store(0)
			b.openUntil.Store(0)
		}
		b.roll(o, now)
		b.answered.Add(1)
	case unhealthy(err):
		if b.openUntil.Load() != 0 {
			b.openUntil.Store(now.Add(o.BreakerCooldown).UnixNano())
			return
		}
		b.roll(o, now)
		failed := b.failed.Add(1)
		if failed >= int64(o.breakerFailures()) && failed >= b.answered.Load() {
			b.openUntil.Store(now.Add(o.BreakerCooldown).UnixNano())
		}
	}
}

// roll begins a new window where the old one is over.
func (b *breaker) roll(o *Options, now time.Time) {
	began := b.window.Load()
	if now.UnixNano()-began > int64(o.BreakerCooldown)*2 && b.window.CompareAndSwap(began, now.UnixNano()) {
		b.failed.Store(0)
		b.answered.Store(0)
	}
}

// idle reports whether the breaker is closed and has nothing to count. One that
// nobody has probed for an hour after it opened is so, too.
func (b *breaker) idle(now time.Time) bool {
	if until := b.openUntil.Load(); until != 0 {
		return now.UnixNano()-until > int64(time.Hour)
	}
	return b.failed.Load() == 0
}

func unhealthy(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case KindTimeout, KindModelError, KindOverloaded, KindInternal, KindConnection, KindTruncated, KindCorrupt, KindEmpty, KindStalled, KindNotReady:
		return true
	}
	return false
}

func (o *Options) breakerFailures() int {
	if o.BreakerFailures > 0 {
		return o.BreakerFailures
	}
	return 5
}
