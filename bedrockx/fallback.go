package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// A Target is where a call may go if its own model or region fails.
type Target struct {
	// Model answers instead. The default is the call's own model, which makes sense
	// with another API. Each model family has its own body for InvokeModel, so for
	// InvokeModel it must be a model that takes the same body, or Call.Encode must be
	// set: it adapts the call to the target, or refuses it before anything is sent.
	Model bedrockkit.ModelID

	// API is another client, for another region or account. The default is the
	// client's own API.
	API RuntimeAPI

	// Region is where the target is priced. If API is the SDK's own client, the
	// default is its region.
	Region string

	// Account names the account that API belongs to, for quotas. The default is
	// Options.Account if API is the client's own, otherwise no name.
	Account string
}

// ErrCircuitOpen is the error of a target that is skipped for a while because it has
// failed too often. errors.Is also finds [ErrOverloaded].
var ErrCircuitOpen = errors.New("the circuit breaker is open")

// fallsBack says which kinds another target may fix.
func fallsBack(e *Error) bool {
	switch e.Kind {
	case KindLimited, KindThrottled, KindDailyQuota, KindQuota, KindNotReady, KindTimeout, KindModelError, KindOverloaded,
		KindInternal, KindConnection, KindTruncated, KindCorrupt, KindEmpty, KindStalled:
		return true
	}
	return false
}

// fallback tries the call's own model first, so that prompt caches stay warm,
// and then the targets in their order. For a stream that ends with the first
// output, like everything below it.
func (c *Client) fallback(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		own := Target{Model: call.Model, API: call.api, Region: call.Region, Account: call.account}
		targets := call.Options.Fallback
		var failed, last *Error // the error so far, and that of the last target
		for i := -1; i < len(targets); i++ {
			target := own
			if i >= 0 {
				if target = targets[i].resolved(own); target.among(own, targets[:i]) {
					continue
				}
				if !call.Options.FallbackOn(failed) || ctx.Err() != nil || !call.again(last) {
					break
				}
			}
			body, err := call.forTarget(target)
			if err != nil {
				return err
			}
			call.aim(target)
			call.use(body)
			call.Fallback = i >= 0
			err = c.guarded(ctx, call, next)
			if err == nil {
				return nil
			}
			last = asError(ctx, err)
			if failed != nil && last.Kind.unsuited() {
				// The call's own model would have taken the request.
				failed.note = fmt.Sprintf("the fallback on %s has failed: %s", call.Model, last.Kind)
				continue
			}
			failed = last
		}
		return failed
	}
}

// among reports whether a target is the call's own or one of others. Of APIs
// that cannot be compared nobody knows.
func (t Target) among(own Target, others []Target) bool {
	key := t.key()
	if key.api == nil {
		return false
	}
	for _, other := range others {
		if key == other.resolved(own).key() {
			return true
		}
	}
	return key == own.key()
}

// unsuited reports whether an error says that the request and the target do not
// go together.
func (k Kind) unsuited() bool {
	switch k {
	case KindValidation, KindNotFound, KindAccessDenied, KindContextOverflow, KindCredentials:
		return true
	}
	return false
}

// resolved fills in what the target leaves to the call's own.
func (t Target) resolved(own Target) Target {
	setDefault(&t.Model, own.Model)
	if t.API == nil {
		t.API = own.API
		setDefault(&t.Region, own.Region)
		setDefault(&t.Account, own.Account)
	}
	if sdk, ok := t.API.(*bedrockruntime.Client); ok {
		setDefault(&t.Region, sdk.Options().Region)
	}
	return t
}

// checkTargets refuses what a target of Options.Fallback does not take while
// nothing is spent.
func checkTargets(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		if err := call.checkTargets(); err != nil {
			return err
		}
		return next(ctx, call)
	}
}

func (c *Call) checkTargets() error {
	asked := Target{Model: c.Model, API: c.api, Region: c.Region, Account: c.account}
	for i, t := range c.Options.Fallback {
		if t.Model == "" {
			continue
		}
		if err := t.Model.Validate(); err != nil {
			return &Error{Kind: KindValidation, Err: fmt.Errorf("fallback target %d: %w", i+1, err)}
		}
		own := c.resolved(c.Model)
		if (c.Op == bedrockkit.OpInvokeModel || c.Op == bedrockkit.OpInvokeModelWithResponseStream) && otherBody(own, c.resolved(t.Model)) {
			return &Error{Kind: KindValidation, Err: fmt.Errorf("fallback target %d: %s does not take the body of %s; use Converse to fall back on it", i+1, t.Model, own)}
		}
		if _, err := c.forTarget(t.resolved(asked)); err != nil {
			var e *Error
			if errors.As(err, &e) && e.Kind == KindValidation { // what is said again
				err = e.Err
			}
			return &Error{Kind: KindValidation, Err: fmt.Errorf("fallback target %d, %s: %w", i+1, t.Model, err)}
		}
	}
	return nil
}

// aim points the call at a target.
func (c *Call) aim(t Target) {
	c.Model, c.api, c.Region, c.account = t.Model, t.API, t.Region, t.Account
	c.sdk, _ = t.API.(*bedrockruntime.Client)
}

// guarded runs the attempts at one target behind its breaker.
func (c *Client) guarded(ctx context.Context, call *Call, next Handler) error {
	o := call.Options
	if o.BreakerFailures < 0 || len(o.Fallback) == 0 && o.BreakerFailures == 0 {
		return next(ctx, call)
	}
	b := c.breakers.get(call.target())
	if !b.allow(o, time.Now()) {
		e := &Error{Kind: KindOverloaded, Err: fmt.Errorf("%w for %s", ErrCircuitOpen, call.Model)}
		call.skipped(e)
		return e
	}
	err := next(ctx, call)
	b.record(o, time.Now(), err)
	return err
}
