package converse

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// Options are those of a [Client] or of one call. The zero value of a field
// means its default.
type Options struct {
	// Model, System, MaxTokens and Temperature stand in for what a request
	// leaves out. Model has no default; without a Temperature the model's own
	// holds.
	// MaxTokens is 2,048 by default: without a bound the service reserves the
	// model's maximum of the quota, the most common cause of throttling.
	Model       bedrockkit.ModelID
	System      string
	MaxTokens   int
	Temperature *float64

	// Tools are what the loop runs, and what a request that names no tools
	// offers to the model. Of a request that names tools no others run.
	Tools []Function

	// MaxRounds bounds the requests of one loop. The default is 5; negative
	// means 1. The error is [ErrMaxRounds].
	MaxRounds int

	// MaxToolCalls bounds the tool calls of one loop. A round that would go
	// over it runs none. The default is 50; negative means none at all. The
	// error is [ErrMaxToolCalls].
	MaxToolCalls int

	// MaxRunTokens and MaxRunCost (in US dollars) bound what a loop uses. They
	// are looked at between the rounds: a loop that has reached one and is not
	// done ends, without running the tools that it was asked for. Zero means no
	// bound. The errors are [ErrMaxRunTokens] and [ErrMaxRunCost]. A bound on
	// cost that holds before a request is sent is bedrockx's Options.MaxCost
	// or Options.Budgets.
	MaxRunTokens int64
	MaxRunCost   pricing.Amount

	// MaxRunTime bounds the time of one loop with its tools; what is under way
	// then ends. Zero means no bound but the context's. The error is a
	// [*bedrockx.Error] that is [ErrMaxRunTime].
	MaxRunTime time.Duration

	// ToolConcurrency bounds the tools that run at once in a round. The
	// default is 4; negative means 1.
	ToolConcurrency int

	// ToolTimeout bounds each run of a tool that has no Timeout of its own. The
	// default is 30 s; negative means none. The model is told of it as an error
	// result. A tool that has not returned a second after its context ended is
	// left behind, see [ErrToolAbandoned].
	ToolTimeout time.Duration

	// MaxToolResult bounds the bytes of one tool's result about as it is sent:
	// a picture in base64. The default is 256 KiB. A longer one becomes an error
	// result.
	MaxToolResult int

	// Approve consents to the calls of tools with ToolOptions.Approval. It is
	// asked for one call after another, once the arguments fit the schema and
	// before any tool of the round runs. An error that is [ErrPending] leaves
	// the call open and ends the loop with a [*PendingError]; any other one
	// refuses the call, and the model is told so.
	Approve func(context.Context, ToolUse) error

	// Resume makes a loop begin with the open calls of the request's history:
	// it runs their tools as if the model had just asked. It is for a history
	// that you stored yourself, since whoever can write one can then have any
	// tool called. After a crash a call may have run before: let a side effect
	// be known by the id of the call.
	Resume bool

	// CachePoints, "5m" or "1h", puts cache points of that TTL into each
	// request, as [WithCachePoints] does. It is by the model of the request; a
	// fallback to a model that caches less may be refused. The default is none.
	CachePoints string

	// Repair, if set, makes each request be mended before it is sent, as the
	// function [Repair] does; it is told what was changed, if anything was. By
	// default a request that Bedrock would refuse is an error.
	Repair func([]Change)

	// Call are options of the pipeline for each request.
	Call []func(*bedrockx.Options)
}

func (o Options) resolved() Options {
	setDefault(&o.MaxTokens, 2048)
	setDefault(&o.MaxRounds, 5)
	setDefault(&o.MaxToolCalls, 50)
	setDefault(&o.ToolConcurrency, 4)
	setDefault(&o.ToolTimeout, 30*time.Second)
	setDefault(&o.MaxToolResult, 256<<10)
	o.Tools = slices.Clone(o.Tools)
	o.Call = slices.Clone(o.Call)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// A Client holds conversations. It keeps none of them: a caller's messages go
// in and the answer comes out. It is safe for concurrent use.
type Client struct {
	bedrock      *bedrockx.Client
	capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)
	options      Options
}

// New returns a client whose requests pass the pipeline of c.
func New(c *bedrockx.Client, optFns ...func(*Options)) *Client {
	client := &Client{bedrock: c, capabilities: c.Options().Capabilities}
	client.options = client.with(optFns)
	return client
}

func (c *Client) with(optFns []func(*Options)) Options {
	o := c.options
	if len(optFns) == 0 && o.MaxRounds != 0 {
		return o
	}
	o = o.resolved()
	for _, fn := range optFns {
		fn(&o)
	}
	return o.resolved()
}

// Send sends one request and returns the answer. Tools are not run; see
// [Client.Run]. The error is a [*bedrockx.Error].
func (c *Client) Send(ctx context.Context, req Request, optFns ...func(*Options)) (*Response, error) {
	return c.send(ctx, req, c.with(optFns))
}

func (c *Client) send(ctx context.Context, req Request, o Options) (*Response, error) {
	call, err := c.call(bedrockx.OpConverse, &req, o)
	if err != nil {
		return nil, err
	}
	r := &Response{}
	decoded := false
	call.Decode = func(_ context.Context, resp *bedrockx.Response) error {
		decoded = true
		return r.decode(call, resp)
	}
	call.Share = func(other *bedrockx.Call) func() error {
		other.Decode = func(_ context.Context, resp *bedrockx.Response) error { return new(Response).decode(other, resp) }
		return nil
	}
	if err := c.bedrock.Do(ctx, call, o.Call...); err != nil {
		return nil, err
	}
	if !decoded {
		return nil, call.Fail(ctx, &bedrockx.Error{Kind: bedrockx.KindValidation, Err: errors.New("a middleware has answered the call without calling its Decode")})
	}
	r.settle(call)
	return r, nil
}

// prefills reports whether a model goes on with what it is given as the
// beginning of its answer, as far as that is known.
func (c *Client) prefills(model bedrockkit.ModelID) bool {
	capability, known := c.capabilities(model)
	return !known || capability.Has(bedrockkit.FeaturePrefill)
}

// Stream sends one request and returns the answer as it comes. Tools are not
// run; see [Client.RunStream]. The error is a [*bedrockx.Error].
func (c *Client) Stream(ctx context.Context, req Request, optFns ...func(*Options)) (*stream.Stream, error) {
	return c.stream(ctx, req, c.with(optFns))
}

func (c *Client) stream(ctx context.Context, req Request, o Options) (*stream.Stream, error) {
	call, err := c.call(bedrockx.OpConverseStream, &req, o)
	if err != nil {
		return nil, err
	}
	return stream.Open(ctx, c.bedrock, call, o.Call...)
}

// call makes the pipeline's call of a request, with the options' defaults.
func (c *Client) call(op bedrockx.Operation, req *Request, o Options) (*bedrockx.Call, error) {
	fail := func(err error) error {
		return &bedrockx.Error{Op: op, Model: req.Model, Kind: bedrockx.KindValidation, Err: err}
	}
	setDefault(&req.Model, o.Model)
	if req.isPrompt() {
		o.MaxTokens, o.Temperature, o.System, o.Tools = 0, nil, "", nil
	}
	setDefault(&req.MaxTokens, o.MaxTokens+max(0, req.Thinking))
	if req.Thinking == 0 { // a model that thinks has a temperature of its own
		setDefault(&req.Temperature, o.Temperature)
	}
	if req.System == nil && o.System != "" {
		req.System = Contents{Text(o.System)}
	}
	if req.Tools == nil {
		var err error
		if req.Tools, err = specs(o.Tools); err != nil {
			return nil, fail(err)
		}
	}
	if o.Repair != nil {
		repaired, changes := req.repair(c.capabilities)
		if *req = repaired; len(changes) > 0 {
			o.Repair(changes)
		}
	}
	if o.CachePoints != "" {
		*req = req.withCachePoints(o.CachePoints, c.capabilities)
	}
	if err := req.preflight(op, c.capabilities); err != nil {
		return nil, fail(err)
	}
	body, err := req.appendBody(nil, op)
	if err != nil {
		return nil, fail(err)
	}
	call := &bedrockx.Call{
		Op: op, Model: req.Model, Body: body, MaxTokens: req.MaxTokens,
		SDKInput: func() (any, error) {
			in, err := req.SDK()
			if err != nil || op == bedrockx.OpConverse {
				return in, err
			}
			return req.sdkStreamInput(in), nil
		},
	}
	if op == bedrockx.OpConverseStream && req.Thinking == 0 && c.prefills(req.Model) {
		call.Continuation = func(soFar string) (*bedrockx.Call, error) {
			again := *req
			again.Messages = Append(req.Messages, Assistant(soFar))
			return c.call(op, &again, o)
		}
	}
	return call, nil
}
