package bedrockx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// retry sends again, to the same target, what a retry can fix. For a stream an attempt lasts until
// its first output, so nothing that the caller has seen is ever sent twice.
func (c *Client) retry(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		for sent := 1; ; sent++ {
			err := next(ctx, call)
			if err == nil {
				if b := c.retries.find(call.target()); b != nil {
					b.answered()
				}
				return nil
			}
			e, ok := err.(*Error)
			if !ok {
				e = classify(ctx, err)
			}
			if sent >= e.attempts(call.Options) {
				return e
			}
			if e.RetryAfter > call.Options.MaxDelay && e.RetryAfter > call.Options.AttemptTimeout {
				e.note = fmt.Sprintf("not retried, as the service asks to wait for %s", e.RetryAfter)
				return e
			}
			wait := max(backoff(call.Options, sent), e.RetryAfter)
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
				e.note = "not retried, as the wait would end after the caller's deadline"
				return e
			}
			size, retries := call.Options.RetryBudget, c.retries.get(call.target())
			if size >= 0 && !retries.take(size) {
				e.note = "not retried, as too many calls to the target fail and are retried (Options.RetryBudget)"
				return e
			}
			if !call.again(e) {
				if size >= 0 {
					retries.giveBack()
				}
				return e
			}
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return &Error{Kind: KindCanceled, Err: fmt.Errorf("%w, while waiting to retry after: %w", joinCause(ctx), call.fail(e))}
			}
		}
	}
}

// backoff is a random time below the smaller of MaxDelay and
// BaseDelay × 2^(attempts-1), so that clients that failed together do not come back together.
func backoff(o *Options, attempts int) time.Duration {
	if o.BaseDelay <= 0 || o.MaxDelay <= 0 {
		return 0
	}
	bound := o.MaxDelay
	if shift := attempts - 1; shift < 32 {
		if d := o.BaseDelay << shift; d > 0 && d < bound {
			bound = d
		}
	}
	return rand.N(bound)
}
