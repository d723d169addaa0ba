package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Target is where a call may go instead when its own model or region fails.
type Target struct {
	// Model answers instead; the default is the call's own, which makes sense
	// with another API. For InvokeModel, whose bodies are a provider's own, it
	// must be a model of the same provider.
	Model bedrockkit.ModelID

	// API is another client, as of another region or account; the default is
	// the client's own.
	API RuntimeAPI

	// Region is where the target is priced. The default is that of API, where
	// it is the SDK's own client.
	Region string

	// Account names the account that API belongs to, for quotas. The default
	// is Options.Account where API is the client's own, otherwise none.
	Account string
}

// A Failure is an attempt that did not answer.
type Failure struct {
	Model     bedrockkit.ModelID `json:"model"`
	Region    string             `json:"region,omitempty"`
	Kind      Kind               `json:"kind"`
	RequestID string             `json:"request_id,omitempty"`
	Latency   time.Duration      `json:"latency_ns"` // 0 where nothing was sent

	// Usage and Cost are what the attempt took, where its response told the
	// usage before it was refused. The cost of the call holds it too.
	Usage bedrockkit.Usage `json:"usage,omitzero"`
	Cost  *pricing.Amount  `json:"cost,omitempty"`

	sent bool // and not held back here
}

// ErrCircuitOpen is the error of a target that is left alone for a while
// because it has failed too often; errors.Is also finds [ErrOverloaded].
var ErrCircuitOpen = errors.New("the circuit breaker is open")

// fallsBack says which kinds another target may mend.
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
		own := Target{Model: call.Model, API: call.api, Region: call.region, Account: call.account}
		targets := call.Options.Fallback
		if err := checkTargets(call, targets); err != nil {
			return err
		}
		for i := -1; ; i++ {
			target := own
			if i >= 0 {
				target = targets[i].resolved(own)
			}
			call.aim(target)
			call.Fallback = i >= 0
			last := i == len(targets)-1
			err := c.guarded(ctx, call, next)
			if err == nil {
				return nil
			}
			e, ok := err.(*Error)
			if !ok {
				e = classify(ctx, err)
			}
			if last || !call.Options.FallbackOn(e) || ctx.Err() != nil || !call.again(e) {
				return e
			}
		}
	}
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

func checkTargets(call *Call, targets []Target) error {
	for i, t := range targets {
		if t.Model == "" {
			continue
		}
		if err := t.Model.Validate(); err != nil {
			return &Error{Kind: KindValidation, Err: fmt.Errorf("fallback target %d: %w", i+1, err)}
		}
		own, other := call.Model.Provider(), t.Model.Provider()
		if (call.Op == OpInvokeModel || call.Op == OpInvokeModelStream) && own != "" && other != "" && own != other {
			return &Error{Kind: KindValidation, Err: fmt.Errorf("fallback target %d: the body is one of %s, which %s does not take; use Converse to fall back on another provider", i+1, own, t.Model)}
		}
	}
	return nil
}

// aim points the call at a target.
func (c *Call) aim(t Target) {
	c.Model, c.api, c.region, c.account = t.Model, t.API, t.Region, t.Account
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
		call.Failures = append(call.Failures, Failure{Model: call.Model, Region: call.region, Kind: e.Kind})
		return e
	}
	err := next(ctx, call)
	b.record(o, time.Now(), err)
	return err
}
