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
	"github.com/mangaassist/bedrockkit/quota"
)

// Options are the policies of a [Client] or of one call. The zero value of a field
// means its default. A negative duration or count means none.
type Options struct {
	// MaxAttempts is the most requests that one call sends to one target: to its own
	// model, and to each target of Fallback. The default is 3; 1 means no retries.
	// Errors that a retry cannot fix are never retried. A few kinds have other bounds;
	// see [Kind].
	MaxAttempts int

	// BaseDelay and MaxDelay bound the wait before a retry: a random time of at most
	// BaseDelay × 2^(retry-1) and at most MaxDelay ("full jitter"). The defaults are
	// 200 ms and 20 s. If the service sends Retry-After, the client waits that long,
	// if the caller's deadline allows it. If Retry-After is longer than both MaxDelay
	// and AttemptTimeout, the call fails at once, and the error says how long to wait.
	BaseDelay time.Duration
	MaxDelay  time.Duration

	// RetryBudget bounds the share of retries among the requests to one target
	// (account, region and model). It is a number of retries; every five calls that
	// were answered add one. So a client does not multiply the load on a service that
	// is failing. If no retry is left, the call returns the error as after its last
	// attempt. The default is 100, as in the AWS SDK; negative means no bound.
	RetryBudget int

	// AttemptTimeout bounds one attempt: a unary call until the end of its response, a
	// stream until the headers of its response. The default is 120 s. For a unary call
	// it grows with the possible length of the answer: to an hour for 128,000 max
	// tokens, or, without max tokens, for the most that the model can answer. The
	// error is [ErrAttemptTimeout]. A request that timed out was billed, so it is not
	// sent to the same target again; a target of Fallback is tried.
	AttemptTimeout time.Duration

	// FirstEventTimeout bounds the time from the headers of a stream to its first
	// output. The default is AttemptTimeout, with the growth of a unary call if the
	// model may think without output. The error is [ErrFirstEventTimeout]; the request
	// is not sent to the same target again.
	FirstEventTimeout time.Duration

	// IdleTimeout bounds each wait for more of a stream while it is being read. The
	// default is 60 s, and grows as FirstEventTimeout does. The error is [ErrStalled].
	IdleTimeout time.Duration

	// Continue is how often a stream that broke after its first output is continued.
	// The text so far is sent back to the model as the beginning of its answer, and
	// the reader sees one answer. The default is 0, never. It needs a model that takes
	// the beginning of its answer (prefill), and an answer that has only text so far.
	// The usage of the broken part is not known, so the cost is not known either. The
	// result says that it was continued.
	Continue int

	// MaxResponseBytes bounds the size of a response: the body of a unary response
	// after decompression, or all events of a stream together. The default is 64 MiB.
	// The error is [ErrTooLarge].
	MaxResponseBytes int64

	// MaxFrameBytes bounds the size of one frame of a stream. The default is 24 MiB,
	// the most that the encoding allows. The error is [ErrTooLarge].
	MaxFrameBytes int

	// Fallback are the targets to try, in order, after the call's own model has failed
	// and has no retry left. A target that was tried already is left out. If a target
	// cannot take the request, its error does not replace the error before it. The
	// default is none. The result's Model is the model that answered, and its Failures
	// say why the others did not.
	Fallback []Target

	// FallbackOn reports whether the next target is tried after an error. The default
	// is true for errors that another target may fix: throttling, quotas, timeouts and
	// failures of the model, the service or the connection.
	FallbackOn func(*Error) bool

	// BreakerFailures is how many failures open the circuit breaker of a target, if at
	// least half of its calls failed. The target is then skipped for BreakerCooldown;
	// after that, single calls probe it. The default is 5 if there is a Fallback,
	// otherwise no breaker; negative means no breaker. The error is [ErrCircuitOpen].
	// BreakerCooldown is 10 s by default. Failures are counted over twice
	// BreakerCooldown.
	BreakerFailures int
	BreakerCooldown time.Duration

	// Limiter delays an attempt until its quota of requests and tokens per minute has
	// room for it. The error is [ErrLimited] if there is no room in time. The default
	// is none. All clients of a process should share one.
	Limiter *quota.Limiter

	// Priority says whether the call goes before other calls that wait for a quota.
	// The default is [quota.Interactive]; the profile [Batch] sets [quota.Batch].
	Priority quota.Priority

	// InputTokens returns the size of a call's input in tokens, as the service counts
	// it; see CountedInput. It is called at most once for a call: if a Limiter needs
	// the size, or if a budget needs it and the bytes of the body do not show the
	// tokens, as for images. For those it must not return less than what is billed. If
	// it is nil or fails, a Limiter estimates from the body, and a budget uses the
	// model's context window. It must be safe for concurrent use.
	InputTokens func(context.Context, *Call) (int64, error)

	// Account names the account that is called, such as "123456789012". Set it if
	// targets are in several accounts, because each account has its own quotas. The
	// default is the empty name.
	Account string

	// MaxCost bounds the cost of one call in US dollars, and MaxTotalTokens its tokens
	// of input and output together. Budgets bound all calls that share them. A call is
	// refused before it is sent if it may take more, or if the most that it may take
	// is not known. The error is [ErrBudget]. Possible retries and fallback count too.
	// There is no bound by default.
	//
	// The most that a call can take is one token for each byte of its text, and the
	// prompts that the service adds. The rate is the highest that may apply, for the
	// requested tier and for cache writes. Images, documents, audio and video count as
	// InputTokens says; without it, they count as the model's whole context window.
	// Tools that the service runs and prompts of Prompt Management always count as the
	// whole window.
	MaxCost        *pricing.Amount
	MaxTotalTokens int64
	Budgets        []*pricing.Budget

	// Cache answers calls that were answered before. CachePolicy says what may be
	// kept. There is no cache by default.
	Cache       *Cache
	CachePolicy CachePolicy

	// Tenant names who makes the call. A cache never gives the answer of one tenant to
	// another. The default is the empty name, which is a tenant too.
	Tenant string

	// Invoke are the parameters of InvokeModel that are not in its body, such as
	// a guardrail. There are none by default.
	Invoke InvokeParams

	// OnAttempt functions are called after each attempt, in the goroutine of the call
	// and before the next attempt. So they see the requests that retries and fallback
	// hide. If calls share an answer through a Cache, only the functions of the call
	// that pays are called, and the next attempt may have begun by then. No function
	// is called after its call has returned. A Cache that refreshes in the background
	// (CacheOptions.Stale) makes a new call with the same options. Each function must
	// be safe for concurrent use. There are none by default.
	OnAttempt []func(context.Context, *Call, Attempt)

	// OnSkipped functions are called when something is left out of a call because the
	// model does not take it or is not known well enough. They are called once for
	// each call, model and thing that is left out, before the call is sent; for a
	// price, when the call has ended. Each function must be safe for concurrent use.
	// There are none by default.
	OnSkipped []func(context.Context, *Call, Skipped)

	// Resolve returns the model for an id that does not name it, such as the ARN of an
	// application inference profile. Prices and capabilities are looked up by what it
	// returns. It is called more than once for a call, so it should keep its answers,
	// as package bedrockx/profiles does. If it fails, the model is unknown: the call
	// goes on, and CostErr says why it has no price. By default no such id is
	// resolved.
	Resolve func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error)

	// Capabilities returns what a model takes. It is used for the checks before a
	// request is sent, such as the bound on the answer. The default is
	// [bedrockkit.Capabilities]. If it does not know a model, nothing is checked.
	Capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)

	// Prices is the rate table. The default is [pricing.Default].
	Prices *pricing.Table

	// Region is where calls are priced. The default is the region of the SDK
	// client.
	Region string

	// Middleware are your own policies. The first one is the outermost.
	Middleware []Middleware

	// SDKOptions are passed to every call of the SDK client, as its per-call options.
	SDKOptions []func(*bedrockruntime.Options)

	// IdleConns is how many idle connections [NewFromConfig] keeps for reuse with
	// HTTP/1.1. The default is 50. It should be close to the number of calls at the
	// same time: if it is lower, connections are closed and opened again all the time.
	IdleConns int

	attemptDefault time.Duration // what AttemptTimeout is, if nobody has set it
}

const idleDefault = 60 * time.Second

// Lambda sets the policies of a short-lived function: 2 attempts of 30 s, 10 idle
// connections. It does not change fields that are already set.
func Lambda(o *Options) {
	setDefault(&o.AttemptTimeout, 30*time.Second) // and no more
	o.profile(2, 0, 10)
}

// Service sets the policies of a long-running service, which are the defaults: 3
// attempts of 120 s or more, 50 idle connections. It does not change fields that are
// already set.
func Service(o *Options) { o.profile(3, 120*time.Second, 50) }

// Batch sets the policies of work that no user waits for: 5 attempts of 300 s or more,
// 256 idle connections, [quota.Batch]. It does not change fields that are already set.
func Batch(o *Options) {
	setDefault(&o.Priority, quota.Batch)
	o.profile(5, 300*time.Second, 256)
}

func (o *Options) profile(attempts int, timeout time.Duration, conns int) {
	setDefault(&o.MaxAttempts, attempts)
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout, o.attemptDefault = timeout, timeout
	}
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
	setDefault(&o.Priority, quota.Interactive)
	setDefault(&o.FirstEventTimeout, o.AttemptTimeout)
	setDefault(&o.IdleTimeout, idleDefault)
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
	o.OnSkipped = slices.Clone(o.OnSkipped)
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
