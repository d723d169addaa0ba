package bedrockx

import (
	"context"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Outcome says how a call went: who answered, usage, cost, attempts and times. It is
// part of a [Call], of a [Result], of the result of a stream and of the response of
// package converse. A middleware that answers a call itself sets the fields that it
// knows.
type Outcome struct {
	// Model is the model that the call is sent to and, after its end, the model that
	// answered. A middleware may change it. Region is where the call goes and is
	// priced; it is empty if not known. Host is the host of the last attempt, with its
	// port if the endpoint names one.
	Model  bedrockkit.ModelID `json:"model"`
	Region string             `json:"region,omitempty"`
	Host   string             `json:"host,omitempty"`

	StopReason bedrockkit.StopReason `json:"stop_reason,omitempty"`
	Usage      bedrockkit.Usage      `json:"usage"`

	// ServiceTier is the tier that served the call; the price depends on it. It is
	// [bedrockkit.TierOptimized] for optimized latency, and empty if the response does
	// not say.
	ServiceTier bedrockkit.ServiceTier `json:"service_tier,omitempty"`

	// Cost is what the call cost in US dollars. It includes failed attempts if they
	// said what they used. It is nil until the call has ended. It stays nil if the
	// cost is not known; CostErr then says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`

	// PromptCache is what the service's prompt cache did: the tokens read and written,
	// what a hit saved and what a miss cost. It is nil until the call has ended, if
	// the cache did nothing, or if Cost is nil.
	PromptCache *pricing.PromptCache `json:"caching,omitempty"`

	CacheHit bool `json:"cache_hit,omitempty"` // answered by Options.Cache, which costs nothing
	Fallback bool `json:"fallback,omitempty"`  // a target of Options.Fallback was asked last

	// Attempts counts the requests that were sent, to all targets. Failures are the
	// attempts that failed, and the targets that were skipped.
	Attempts int       `json:"attempts"`
	Failures []Attempt `json:"failures,omitempty"`

	// Skipped is what was left out because the model does not take it or is not known
	// well enough.
	Skipped []Skipped `json:"skipped,omitempty"`

	RequestID string `json:"request_id,omitempty"` // of the last response, success or error

	// Latency is the time of the whole call with its retries; it is 0 until the call
	// has ended. FirstOutput is the time until the first output of a stream. Queued is
	// the part of Latency in which the call waited for a quota.
	Latency     time.Duration `json:"latency_ns"`
	FirstOutput time.Duration `json:"first_output_ns,omitempty"`
	Queued      time.Duration `json:"queued_ns,omitempty"`
}

// An Attempt is one request that was sent, and how it ended. A unary attempt ends with
// its response, an attempt at a stream with its first output. In Outcome.Failures, an
// Attempt with Number 0 is a target that was skipped without a request.
type Attempt struct {
	Number    int                `json:"number,omitempty"` // from 1, over all targets of the call
	Model     bedrockkit.ModelID `json:"model"`
	Region    string             `json:"region,omitempty"` // where it is priced; empty if not known
	Host      string             `json:"host,omitempty"`   // with its port if the endpoint names one; empty for a mock
	RequestID string             `json:"request_id,omitempty"`
	Began     time.Time          `json:"began,omitzero"`
	Latency   time.Duration      `json:"latency_ns"`
	Kind      Kind               `json:"kind,omitempty"` // empty if it answered

	// Usage and Cost are what a failed attempt used, if its response said so. The cost
	// of the call includes it.
	Usage bedrockkit.Usage `json:"usage,omitzero"`
	Cost  *pricing.Amount  `json:"cost,omitempty"`

	Err *Error `json:"-"` // nil if it answered
}

// Snapshot returns what is known of the call so far. Another goroutine may call it
// while the call ends: the result then has everything that End settles, or nothing of
// it.
func (c *Call) Snapshot() Outcome {
	c.settling.Lock()
	defer c.settling.Unlock()
	return c.Outcome
}

// price returns the cost of the call: that of the answer and of attempts that
// were refused after their usage was known. A call that brought neither an
// answer nor usage has no cost that anybody knows, as an attempt that failed may
// have been billed.
func (c *Call) price(err error) (cost *pricing.Amount, saved *pricing.PromptCache, unpriced error) {
	switch {
	case c.CacheHit:
		return new(pricing.Amount), nil, nil
	case err != nil && c.Usage == bedrockkit.Usage{}:
		return nil, nil, err
	}
	sum, unpriced := c.cost()
	if unpriced != nil {
		return nil, nil, unpriced
	}
	for _, f := range c.Failures {
		// An attempt that failed last has its usage in that of the call.
		if f.Cost != nil && !(err != nil && f.Number == c.Attempts) {
			sum = sum.Add(*f.Cost)
		}
	}
	if u := c.Usage; u.InputTokens != u.TotalInput() {
		if caching, err := c.Options.Prices.PromptCache(c.Model, u, c.priced); err == nil {
			saved = &caching
		}
	}
	return &sum, saved, nil
}

// withCharges adds what middleware has charged. A call that was refused before
// anything was sent costs that alone.
func (c *Call) withCharges(cost *pricing.Amount, unpriced error) (*pricing.Amount, error) {
	c.charging.Lock()
	defer c.charging.Unlock()
	switch {
	case c.chargeErr != nil:
		return nil, c.chargeErr
	case c.charged == pricing.Amount{}:
		return cost, unpriced
	case cost == nil && c.Attempts == 0:
		cost, unpriced = new(pricing.Amount), nil
	case cost == nil:
		return nil, unpriced
	}
	sum := cost.Add(c.charged)
	return &sum, unpriced
}

// cost is that of the usage, as the attempt that reported it is billed.
func (c *Call) cost() (pricing.Amount, error) {
	return c.Options.Prices.Cost(c.Model, c.Usage, c.priced)
}

// priced says how the attempt was served.
func (c *Call) priced(o *pricing.CostOptions) {
	o.Region = c.Region
	o.Date = c.asked
	o.Tier = c.ServiceTier
	o.Resolve = c.resolve
}

// failed adds an attempt that did not answer.
func (c *Call) failed(ctx context.Context, e *Error, began time.Time, sent bool) error {
	if !sent {
		c.skipped(e)
		return e
	}
	a := c.attempt(began, e)
	if a.RequestID == "" {
		a.RequestID = e.RequestID
	}
	a.Usage = c.Usage
	if (c.Usage != bedrockkit.Usage{}) {
		if cost, err := c.cost(); err == nil {
			a.Cost = &cost
		}
	}
	c.Failures = append(c.Failures, a)
	c.observe(ctx, a)
	return e
}

// skipped adds a target that was left out: nothing was sent to it.
func (c *Call) skipped(e *Error) {
	c.Failures = append(c.Failures, Attempt{Model: c.Model, Region: c.Region, Kind: e.Kind, Err: e})
}

func (c *Call) attempt(began time.Time, e *Error) Attempt {
	a := Attempt{
		Number: c.Attempts, Model: c.Model, Region: c.Region, Host: c.Host, RequestID: c.RequestID,
		Began: began, Latency: time.Since(began), Err: e,
	}
	if e != nil {
		a.Kind = e.Kind
	}
	return a
}

// observe gives Options.OnAttempt an attempt that has ended.
func (c *Call) observe(ctx context.Context, a Attempt) {
	for _, fn := range c.Options.OnAttempt {
		fn(ctx, c, a)
	}
}
