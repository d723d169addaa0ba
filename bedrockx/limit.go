package bedrockx

import (
	"context"
	"errors"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

// ErrLimited is the error of a call that a [quota.Limiter] stopped because its quota
// had no room in time. Nothing was sent. The errors of the service's own quotas are
// [ErrThrottled], [ErrDailyQuota] and [ErrQuota].
var ErrLimited = quota.ErrLimited

// lane returns that of the call's quota, or nil if it has none. An ARN that does
// not name its model may have a quota of its own; else its model's counts.
func (c *Call) lane() *quota.Lane {
	l := c.Options.Limiter
	if found := l.Lane(c.account, c.Region, c.Model); found != nil || c.Model.Base() != "" {
		return found
	}
	return l.Lane(c.account, c.Region, c.Resolved())
}

// limit holds each attempt back until its quota has room. The tokens of a stream
// are settled when it has ended, long after the attempt.
func limit(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		if call.Options.Limiter == nil {
			return next(ctx, call)
		}
		lane := call.lane()
		if lane == nil {
			return next(ctx, call)
		}
		held, err := lane.Acquire(ctx, call.asks(ctx, lane.Quota()))
		if err != nil {
			return call.limited(err)
		}
		call.Queued += held.Waited
		flows := false                      // the attempt has become a stream that goes on
		failed := &Error{Kind: KindUnknown} // if it panics
		defer func() {
			if !flows {
				call.settle(ctx, held, lane, failed, false)
			}
		}()
		if failed = asError(ctx, next(ctx, call)); failed != nil {
			return failed
		}
		if flows = call.Op.Streaming(); flows {
			call.OnEnd(func(err error) { call.settle(ctx, held, lane, asError(ctx, err), true) })
		}
		return nil
	}
}

// limited is the error of an attempt that was not let go.
func (c *Call) limited(err error) *Error {
	e := &Error{Kind: KindLimited, Err: err}
	if !errors.Is(err, ErrLimited) {
		e.Kind = KindCanceled
	}
	var held *quota.Error
	if errors.As(err, &held) {
		c.Queued += held.Waited
		e.RetryAfter = held.RetryAfter
	}
	c.skipped(e)
	return e
}

// settle replaces what an attempt has reserved by what it used, as the service
// does. An attempt that was refused before the model ran has used nothing. One
// whose usage nobody knows has used all, as the model may have run to its end.
// flowed says that it was a stream and had output.
func (c *Call) settle(ctx context.Context, held *quota.Reservation, lane *quota.Lane, err *Error, flowed bool) {
	if err != nil && err.Kind == KindThrottled {
		held.Throttled(ctx)
	}
	used := held.Tokens()
	switch {
	case c.Usage.Unknown:
	case err == nil, c.Usage != bedrockkit.Usage{}:
		used = lane.Quota().Taken(c.Usage)
	case !flowed && err.Kind.refused():
		used = 0
	}
	held.Settle(ctx, used)
}

// asError is the *Error of an attempt, nil for nil.
func asError(ctx context.Context, err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	return classify(ctx, err)
}

// guessedOutput is the most that an unknown model puts out.
const guessedOutput = 64_000

// asks is what an attempt asks of its quota.
func (c *Call) asks(ctx context.Context, q quota.Quota) quota.Request {
	c.measure(ctx)
	r := quota.Request{Input: c.input, Output: c.most, Estimated: c.estimated, Priority: c.Options.Priority}
	if r.Output == 0 {
		r.Output = q.MaxTokens
	}
	if r.Output <= 0 {
		var known bool
		if r.Output, known = c.mostOutput(c.Model); !known {
			r.Output = guessedOutput
			if q.TokensPerMinute > 0 { // no guess is a reason to refuse
				r.Output = max(0, min(r.Output, q.TokensPerMinute-r.Input))
			}
		}
	}
	return r
}

// measure finds the size of the call's input and its max tokens, once.
func (c *Call) measure(ctx context.Context) {
	if c.input > 0 {
		return
	}
	c.most = int64(c.MaxTokens)
	n, counted := c.count(ctx)
	if counted && c.most > 0 {
		c.input = n
		return
	}
	body := c.sketch()
	c.most = c.maxTokens(body)
	if c.input = n; !counted {
		c.input, c.estimated = max(1, estimateTokens(body)), true
	}
}

// count is the size of the input as Options.InputTokens counts it, once, and
// whether it does.
func (c *Call) count(ctx context.Context) (int64, bool) {
	if count := c.Options.InputTokens; count != nil && c.counted == 0 {
		c.counted = -1
		if n, err := count(ctx, c); err == nil {
			c.counted = max(1, n)
		}
	}
	return c.counted, c.counted > 0
}
