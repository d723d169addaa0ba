package bedrockx

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Options are the policies of a [Client] or of one call. The zero value of a
// field means its default, a negative duration or count means none.
type Options struct {
	// MaxAttempts is the most requests that one call sends. The default is 3;
	// 1 means no retries. Errors that a retry cannot mend are never retried;
	// a few kinds have bounds of their own, listed at [Kind].
	MaxAttempts int

	// BaseDelay and MaxDelay bound the wait before a retry: a random time of
	// at most BaseDelay × 2^(retry-1) and at most MaxDelay ("full jitter").
	// The defaults are 200 ms and 20 s. A Retry-After of the service is
	// honoured as far as the caller's deadline allows; one that is longer than
	// MaxDelay and AttemptTimeout is an error at once, which says how long.
	BaseDelay time.Duration
	MaxDelay  time.Duration

	// RetryBudget bounds the share of retries among the requests to one target
	// (account, region and model): so many retries, and one more for every five
	// calls that were answered. So a client does not multiply the load on a
	// service that is failing. Without a retry left, the error is returned as
	// if it had been the last attempt's. The default is 100, as that of the
	// AWS SDK; negative means no such bound.
	RetryBudget int

	// AttemptTimeout bounds one attempt: that of a unary call to the end of
	// its response, that of a stream to the headers of its response. The
	// default is 120 s. The error is [ErrAttemptTimeout].
	AttemptTimeout time.Duration

	// FirstEventTimeout bounds the time from the headers of a stream to its
	// first output. The default is AttemptTimeout. The error is
	// [ErrFirstEventTimeout].
	FirstEventTimeout time.Duration

	// IdleTimeout bounds each wait for more of a stream, while somebody reads
	// it. The default is 60 s. The error is [ErrStalled].
	IdleTimeout time.Duration

	// Continue is how often a stream is continued that broke after its first
	// output: the text so far is given back to the model as the beginning of
	// its answer, and what it adds is read on as one answer. The default is 0,
	// never. It needs a model that takes the beginning of its answer (prefill),
	// and an answer that is only text so far. What the broken part took is not
	// known, so neither is the cost. The result says that it was continued.
	Continue int

	// MaxResponseBytes bounds a response: the body of a unary one after
	// decompression, the events of a stream together. The default is 64 MiB.
	// The error is [ErrTooLarge].
	MaxResponseBytes int64

	// MaxFrameBytes bounds one frame of a stream. The default is 24 MiB, what
	// the encoding allows. The error is [ErrTooLarge].
	MaxFrameBytes int

	// Fallback are the targets to try in their order when the call's own model
	// has failed, retries included. The default is none. What answered is the
	// Model of the result, and its Failures say why.
	Fallback []Target

	// FallbackOn says which errors the next target is tried for. The default
	// is those that another target may mend: throttling, quotas, timeouts and
	// failures of the model, the service or the connection.
	FallbackOn func(*Error) bool

	// BreakerFailures is how many failures of one target, half of its calls or
	// more, open its circuit breaker: it is then left alone for
	// BreakerCooldown, after which single calls probe it. The default is 5
	// where there is a Fallback, otherwise none; negative means none. The error
	// is [ErrCircuitOpen]. BreakerCooldown is 10 s by default, and failures are
	// counted over twice that time.
	BreakerFailures int
	BreakerCooldown time.Duration

	// Limiter holds calls back until their quota of requests and tokens per
	// minute has room for them. The default is none. It is meant to be shared
	// by the clients of a process.
	Limiter *Limiter

	// Priority says whether the call goes before others that wait for a quota.
	// The default is [PriorityInteractive].
	Priority Priority

	// Account names the account that is called, such as "123456789012", where
	// targets are in several: each has quotas of its own. The default is the
	// empty name.
	Account string

	// MaxCost bounds what one call may cost in US dollars, MaxTotalTokens what
	// it may take in tokens of input and output, and Budgets what the calls may
	// that share them. A call that may take more is refused before it is sent;
	// the error is [ErrBudget]. What retries and fallback may take counts, too.
	// The default is no bound.
	MaxCost        *pricing.Amount
	MaxTotalTokens int64
	Budgets        []*Budget

	// Cache answers calls that were answered before, and Caching says what of a
	// call may be kept. The default is no cache.
	Cache   *Cache
	Caching Caching

	// Tenant is whose calls these are. A cache gives no answer of one tenant to
	// another. The default is the empty name, which is a tenant too.
	Tenant string

	// Invoke are the parameters of InvokeModel that are not in its body, such as
	// a guardrail. There are none by default.
	Invoke InvokeParams

	// OnAttempt are called after each attempt, in the goroutine of the call
	// and before the next attempt; so they see the requests that retries and
	// fallback hide. Each must be safe for concurrent use. There are none by
	// default.
	OnAttempt []func(context.Context, *Call, Attempt)

	// Resolve tells the model behind an id that does not tell it, as the ARN of
	// an application inference profile does not; prices and capabilities go by
	// what it returns. It is asked more than once for a call, so it should
	// remember, as that of package bedrockx/profiles does. Its error leaves the
	// model unknown: the call goes on, and CostErr says why it has no price.
	// The default knows none.
	Resolve func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error)

	// Capabilities says what a model takes, for what is checked before a
	// request is sent, such as its bound on the answer. The default is
	// [bedrockkit.Capabilities]; where a model is not known to it, nothing is
	// checked.
	Capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)

	// Prices is the rate table. The default is [pricing.Default].
	Prices *pricing.Table

	// Region is where calls are priced. The default is the region of the SDK
	// client.
	Region string

	// Middleware are policies of yours, the first one outermost.
	Middleware []Middleware

	// SDKOptions are given to every call of the SDK client, as its own
	// per-call options are.
	SDKOptions []func(*bedrockruntime.Options)

	// IdleConns is how many idle connections [NewFromConfig] keeps for reuse
	// with HTTP/1.1. The default is 50. It should be near the number of calls
	// at once: with fewer, connections are dialled anew all the time.
	IdleConns int
}

// Lambda sets the policies of a short-lived function: 2 attempts of 30 s, 10
// idle connections. Fields that are already set stay.
func Lambda(o *Options) { o.profile(2, 30*time.Second, 10) }

// Service sets the policies of a long-running service, which are the defaults:
// 3 attempts of 120 s, 50 idle connections. Fields that are already set stay.
func Service(o *Options) { o.profile(3, 120*time.Second, 50) }

// Batch sets the policies of work that nobody waits for: 5 attempts of 300 s,
// 256 idle connections, [PriorityBatch]. Fields that are already set stay.
func Batch(o *Options) {
	setDefault(&o.Priority, PriorityBatch)
	o.profile(5, 300*time.Second, 256)
}

func (o *Options) profile(attempts int, timeout time.Duration, conns int) {
	setDefault(&o.MaxAttempts, attempts)
	setDefault(&o.AttemptTimeout, timeout)
	setDefault(&o.IdleConns, conns)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// resolved fills in the defaults, but for those that depend on the targets or
// on the SDK client.
func (o Options) resolved() Options {
	Service(&o)
	o.MaxAttempts = max(o.MaxAttempts, 1)
	setDefault(&o.BaseDelay, 200*time.Millisecond)
	setDefault(&o.MaxDelay, 20*time.Second)
	setDefault(&o.RetryBudget, 100)
	setDefault(&o.Priority, PriorityInteractive)
	setDefault(&o.FirstEventTimeout, o.AttemptTimeout)
	setDefault(&o.IdleTimeout, 60*time.Second)
	setDefault(&o.MaxResponseBytes, 64<<20)
	setDefault(&o.MaxFrameBytes, 24<<20)
	setDefault(&o.BreakerCooldown, 10*time.Second)
	if o.FallbackOn == nil {
		o.FallbackOn = fallsBack
	}
	if o.Capabilities == nil {
		o.Capabilities = bedrockkit.Capabilities
	}
	if o.Prices == nil {
		o.Prices = pricing.Default()
	}
	return o
}

// copied returns a copy that shares no slice with o.
func (o Options) copied() Options {
	o.Middleware = slices.Clone(o.Middleware)
	o.SDKOptions = slices.Clone(o.SDKOptions)
	o.Fallback = slices.Clone(o.Fallback)
	o.Budgets = slices.Clone(o.Budgets)
	o.OnAttempt = slices.Clone(o.OnAttempt)
	return o
}

// tune sizes the pool of the SDK's default HTTP client. Another client is the
// caller's and stays as it is.
func (o Options) tune(client aws.HTTPClient) aws.HTTPClient {
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	buildable, ok := client.(*awshttp.BuildableClient)
	if !ok {
		return client
	}
	return buildable.WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = o.IdleConns
		t.MaxIdleConns = max(t.MaxIdleConns, o.IdleConns)
		t.MaxConnsPerHost = 0 // a bound would block streams, without an error
	})
}
