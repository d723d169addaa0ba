package bedrockx

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// RuntimeAPI is what a [Client] calls. [*bedrockruntime.Client] implements it.
type RuntimeAPI interface {
	InvokeModel(context.Context, *bedrockruntime.InvokeModelInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error)
	InvokeModelWithResponseStream(context.Context, *bedrockruntime.InvokeModelWithResponseStreamInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelWithResponseStreamOutput, error)
	Converse(context.Context, *bedrockruntime.ConverseInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.ConverseOutput, error)
	ConverseStream(context.Context, *bedrockruntime.ConverseStreamInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.ConverseStreamOutput, error)
}

// A Client sends calls through the pipeline. It is safe for concurrent use. Make one
// for a process and share it.
type Client struct {
	api      RuntimeAPI
	given    Options // as the caller gave them
	options  Options // with the defaults filled in
	handler  Handler
	breakers perTarget[breaker, *breaker]
	retries  perTarget[retryBudget, *retryBudget]
}

// New returns a client that calls api. The options are applied in order. Fields that
// they leave zero get the defaults of [Service].
func New(api RuntimeAPI, optFns ...func(*Options)) *Client {
	c := &Client{api: api}
	for _, fn := range optFns {
		fn(&c.given)
	}
	if sdk, ok := api.(*bedrockruntime.Client); ok && c.given.Region == "" {
		c.given.Region = sdk.Options().Region
	}
	c.options = c.given.resolved()
	c.handler = c.pipeline(&c.options)
	return c
}

// NewFromConfig makes an SDK client from cfg and returns a client that calls it. If
// cfg.HTTPClient is nil or the SDK's default, its connection pool gets the size that
// the options say.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Client {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	cfg.HTTPClient = o.resolved().tune(cfg.HTTPClient)
	return New(bedrockruntime.NewFromConfig(cfg), optFns...)
}

// Options returns a copy of the client's options, with the defaults filled in.
func (c *Client) Options() Options {
	if c == nil {
		return Options{}.resolved()
	}
	return c.options.copied()
}

// Do sends a call through the pipeline. It is for packages that read a response
// themselves, such as stream and converse. [Invoke] is simpler.
//
// A unary call has ended when Do returns. A stream has ended only if Do returned an
// error; otherwise its owner calls [Call.End] when it is done with the body. The
// options apply to this call only. A Call can be sent once.
func (c *Client) Do(ctx context.Context, call *Call, optFns ...func(*Options)) error {
	if c == nil || c.handler == nil {
		return call.fail(&Error{Kind: KindValidation, Err: errors.New("there is no Client: make one with New")})
	}
	handler, o := c.handler, &c.options
	switch {
	case len(optFns) > 0:
		o = new(c.given.copied())
		for _, fn := range optFns {
			fn(o)
		}
		*o = o.resolved()
		handler = c.pipeline(o)
	case len(o.Middleware) > 0: // which may change them
		o = new(c.options)
	}
	call.Options, call.ctx = o, ctx
	if o.Resolve != nil {
		// A cost is settled when the call has ended, also by its context.
		call.resolve = func(id bedrockkit.ModelID) (bedrockkit.ModelID, error) {
			return o.Resolve(context.WithoutCancel(call.ctx), id)
		}
	}
	if err := call.start(); err != nil {
		return call.fail(err)
	}
	call.aim(Target{Model: call.Model, API: c.api, Region: call.Options.Region, Account: call.Options.Account})
	answered := true
	if len(o.Middleware) > 0 && call.Decode != nil { // any of which may answer, and refuse a stream that has begun
		answered = false
		decode := call.Decode
		call.Decode = func(ctx context.Context, resp *Response) error {
			if answered, call.open = true, nil; call.Op.Streaming() {
				call.open = resp.Body
			}
			return decode(ctx, resp)
		}
	}
	returned := false
	defer func() {
		if !returned { // a panic goes on, but what was set aside for the call does not stay so
			call.drop(call.fail(errPanic))
		}
	}()
	err := handler(ctx, call)
	returned = true
	if err == nil && !answered {
		err = &Error{Kind: KindValidation, Err: errors.New("a middleware has answered the call without calling its Decode")}
	}
	switch {
	case err != nil:
		err = call.fail(err)
		call.drop(err)
	case !call.Op.Streaming():
		call.End(nil)
	default:
		call.variants = nil // a call whose stream has begun is not sent again; a continuation is a call of its own
	}
	return err
}

// drop ends a call that has failed. A stream of it that has begun is nobody's.
func (c *Call) drop(err error) {
	if c.open != nil {
		c.open.Close()
	}
	c.End(err)
}

// errPanic is what OnEnd gets for a call in which a policy or a decoder has
// panicked.
var errPanic = errors.New("a step of the call panicked, or ended its goroutine")

// pipeline composes the steps of doc.go's list, the first one outermost.
func (c *Client) pipeline(o *Options) Handler {
	handler := c.retry(limit(send))
	handler = c.fallback(handler)
	whole := new(Handler)
	handler = cached(handler, whole)
	handler = checkTargets(budget(handler))
	for _, m := range slices.Backward(o.Middleware) {
		handler = m(handler)
	}
	*whole = validate(handler)
	return *whole
}

// validate refuses what cannot be right before it costs money.
func validate(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		if err := call.Model.Validate(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
		call.valid = call.Model
		if err := call.encode(); err != nil {
			return err
		}
		if err := call.check(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
		if err := call.Options.Invoke.check(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
		if call.Encode == nil && call.MaxTokens > 0 {
			if err := checkMaxTokens(call.MaxTokens, call.known()); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return Canceled(ctx, call.Op, call.Model)
		}
		return next(ctx, call)
	}
}
