package bedrockx

import (
	"context"
	"errors"
	"fmt"
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
	CountTokens(context.Context, *bedrockruntime.CountTokensInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.CountTokensOutput, error)
}

// A Client sends calls through the pipeline. It is safe for concurrent use and
// meant to be made once for a process.
type Client struct {
	api      RuntimeAPI
	given    Options // as the caller gave them
	options  Options // with the defaults filled in
	handler  Handler
	breakers perTarget[breaker]
	retries  perTarget[retryBudget]
}

// New returns a client that calls api. The options are applied in their order;
// what they leave zero gets the defaults of [Service].
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

// NewFromConfig returns a client of an SDK client made from cfg. Where
// cfg.HTTPClient is nil or the SDK's own default, its connection pool is sized
// by the options.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Client {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	cfg.HTTPClient = o.resolved().tune(cfg.HTTPClient)
	return New(bedrockruntime.NewFromConfig(cfg), optFns...)
}

// Options returns a copy of the client's options, defaults filled in.
func (c *Client) Options() Options { return c.options.copied() }

// Do sends a call through the pipeline. It is the door for packages that know
// how a response is read, such as stream and converse; [Invoke] is simpler.
//
// A unary call has ended when Do returns. A stream has ended only if Do
// returned an error; otherwise its owner calls [Call.End] when it is done with
// the body. The options hold for this call. A Call can be sent once.
func (c *Client) Do(ctx context.Context, call *Call, optFns ...func(*Options)) error {
	handler, o := c.handler, c.options
	if len(optFns) > 0 {
		o = c.given.copied()
		for _, fn := range optFns {
			fn(&o)
		}
		o = o.resolved()
		handler = c.pipeline(&o)
	}
	call.Options = &o
	if o.Resolve != nil {
		// A cost is settled when the call has ended, also by its context.
		ctx := context.WithoutCancel(ctx)
		call.resolve = func(id bedrockkit.ModelID) (bedrockkit.ModelID, error) { return o.Resolve(ctx, id) }
	}
	if err := call.start(); err != nil {
		return call.fail(err)
	}
	call.aim(Target{Model: call.Model, API: c.api, Region: call.Options.Region, Account: call.Options.Account})
	returned := false
	defer func() {
		if !returned { // a panic goes on, but what was set aside for the call does not stay so
			call.End(call.fail(errPanic))
		}
	}()
	err := handler(ctx, call)
	returned = true
	if err != nil {
		err = call.fail(err)
	}
	if err != nil || !call.Op.Streaming() {
		call.End(err)
	}
	return err
}

// errPanic is what OnEnd is told of a call in which a policy or a decoder has
// panicked.
var errPanic = errors.New("a step of the call panicked, or ended its goroutine")

// pipeline composes the steps of doc.go's list, the first one outermost.
func (c *Client) pipeline(o *Options) Handler {
	handler := c.retry(limit(send))
	handler = c.fallback(handler)
	whole := new(Handler)
	handler = cached(handler, whole)
	handler = budget(handler)
	for _, m := range slices.Backward(o.Middleware) {
		handler = m(handler)
	}
	*whole = validate(handler)
	return *whole
}

// validate refuses what cannot be right before it costs money.
func validate(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		if err := call.check(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
		if err := call.Options.Invoke.check(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
		if c, known := call.Options.Capabilities(call.Resolved()); known && c.MaxOutput > 0 && call.MaxTokens > c.MaxOutput {
			return &Error{Kind: KindValidation, Err: fmt.Errorf("max tokens is %d; %s answers with at most %d", call.MaxTokens, c.ID, c.MaxOutput)}
		}
		if ctx.Err() != nil {
			return Canceled(ctx, call.Op, call.Model)
		}
		return next(ctx, call)
	}
}
