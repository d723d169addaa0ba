package converse

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// Options are the options of a [Client] or of one call. The zero value of a field
// means its default. Use [Call] for options of the pipeline, such as a tenant or a
// fallback.
type Options struct {
	// Model, System, MaxTokens and Temperature are used if a request does not set
	// them.
	//
	// Model has no default. MaxTokens is 2,048 by default. For a model that thinks,
	// room for the thinking is added: Request.Thinking, or, by the effort, 4,096
	// (low), 8,192 (medium), 16,384 (high), 32,768 or 65,536 tokens. [NoMaxTokens]
	// sends no bound. The service then reserves the model's maximum of the quota,
	// which is the most common cause of throttling. Without a Temperature, the model
	// uses its own; it is left out if the model is known not to take one.
	// Response.Skipped and bedrockx.Options.OnSkipped report what was left out.
	Model       bedrockkit.ModelID
	System      Contents // as Request.System; [Texts] makes one of a string
	MaxTokens   int
	Temperature *float64

	// Tools are the tools that the loop runs. A request without tools offers all of
	// them to the model. If a request names tools, only those run.
	Tools []Tool

	// ToolSource returns tools in addition to Tools, for lists that change: the tools
	// of an MCP server (package mcptools), or the tools that a user may use. It is
	// called before each request, so a loop sees a change at its next round;
	// [Generate] calls it once. An error ends the loop. After a change, the prompt
	// cache cannot be used. Nil means no such tools.
	ToolSource func(context.Context) ([]Tool, error)

	// MaxRounds bounds the requests of one loop. The default is 5; negative
	// means 1. The error is [ErrMaxRounds].
	MaxRounds int

	// StrictToolUse makes it an error if the stop reason and the tool uses of an
	// answer do not agree: [ErrUnexpectedToolUse] or [ErrNoToolUse]. Some models stop
	// like that. By default, tool uses that come with end_turn run, and a text that
	// comes with tool_use but without a tool use is the answer.
	StrictToolUse bool

	// MaxToolCalls bounds the tool calls of one loop. A round that would exceed it
	// runs no tool. The default is 50; negative means that no tool may run. The error
	// is [ErrMaxToolCalls].
	MaxToolCalls int

	// MaxRunTokens and MaxRunCost (in US dollars) bound what a loop uses. They are
	// checked after each round: a loop that has reached one of them and is not done
	// ends, without running the tools that the model asked for. Zero and nil mean no
	// bound. The errors are [ErrMaxRunTokens] and [ErrMaxRunCost]. To check the cost
	// before a request is sent, use Options.MaxCost or Options.Budgets of package
	// bedrockx.
	MaxRunTokens int64
	MaxRunCost   *pricing.Amount

	// MaxRunTime bounds the time of one loop, including its tools. A running request
	// or tool is then canceled. Zero means no bound except the context's. The error is
	// a [*bedrockx.Error]; errors.Is finds [ErrMaxRunTime].
	MaxRunTime time.Duration

	// ToolConcurrency bounds the tools that run at once in a round. The
	// default is 4; negative means 1.
	ToolConcurrency int

	// ToolTimeout bounds each run of a tool without its own Timeout. The default is 30
	// s; negative means none. The model gets an error result. If a tool has not
	// returned one second after its context ended, the loop goes on without it; see
	// [ErrToolAbandoned].
	ToolTimeout time.Duration

	// MaxToolResult bounds the size of one tool result in bytes, roughly as it is
	// sent: images count as base64. The default is 256 KiB. A longer result becomes an
	// error result.
	MaxToolResult int

	// ToolMiddleware wraps each run of each tool, and also the middleware of
	// [Tool.With]. The first one is the outermost. It gets the context of the run,
	// with the tool's timeout. The default is none.
	ToolMiddleware []ToolMiddleware

	// Approve decides about calls of tools with ToolOptions.Approval. It returns nil
	// to allow the call. If it returns an error that is [ErrPending], the call stays
	// open, and the loop ends with a [*PendingError]. Any other error refuses the
	// call, and the model reads that it was refused. It is called for one call after
	// another, after the arguments were validated and before any tool of the round
	// runs.
	Approve func(context.Context, ToolUse) error

	// Resume makes a loop begin with the open calls of the request's history: it runs
	// their tools, as if the model had just asked for them. Set it only for a history
	// that you stored yourself, because someone who can write the history can have any
	// tool called. After a crash, a call may have run before: use the id of the call
	// to make its side effects idempotent.
	Resume bool

	// CachePoints, "5m" or "1h", adds cache points with that TTL to each request, as
	// [WithCachePoints] does. They follow the rules of the request's model, so a
	// fallback model that caches less may refuse them. The default is none.
	CachePoints string

	// [Repair], if set, makes the client fix each request before it is sent, as the
	// function [Repair] does. It is called with the changes, if there are any. By
	// default, a request that Bedrock would refuse is an error.
	Repair func([]Change)

	pipeline []func(*bedrockx.Options) // see Call

	skipped []bedrockx.Skipped // that were found before the request is made
}

// Call is an option that adds options of the pipeline: a tenant, a bound on cost, a
// fallback. If it is given to [New], they apply to every request. If it is given to a
// request, they apply to that request, after the client's.
//
//	resp, err := chat.Send(ctx, req, converse.Call(func(o *bedrockx.Options) { o.Tenant = "tokyo" }))
func Call(optFns ...func(*bedrockx.Options)) func(*Options) {
	return func(o *Options) { o.pipeline = append(o.pipeline, optFns...) }
}

func (o Options) resolved() Options {
	setDefault(&o.MaxRounds, 5)
	setDefault(&o.MaxToolCalls, 50)
	setDefault(&o.ToolConcurrency, 4)
	setDefault(&o.ToolTimeout, 30*time.Second)
	setDefault(&o.MaxToolResult, 256<<10)
	o.System = slices.Clone(o.System)
	o.Tools = slices.Clone(o.Tools)
	o.pipeline = slices.Clone(o.pipeline)
	o.ToolMiddleware = slices.Clone(o.ToolMiddleware)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// A Client holds conversations. It does not store them: each call passes the messages
// and gets the answer. It is safe for concurrent use.
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
	o, err := o.withSource(ctx)
	if err != nil {
		return nil, toolsError(ctx, bedrockkit.OpConverse, req, o, err)
	}
	call, _ := c.call(bedrockkit.OpConverse, req, o)
	return send(ctx, c.bedrock, call, o.pipeline)
}

// send sends a unary call and reads its answer.
func send(ctx context.Context, c *bedrockx.Client, call *bedrockx.Call, optFns []func(*bedrockx.Options)) (*Response, error) {
	r := &Response{}
	call.Decode = func(_ context.Context, resp *bedrockx.Response) error {
		return r.decode(call, resp)
	}
	call.Share = func(other *bedrockx.Call) func() error {
		other.Decode = func(_ context.Context, resp *bedrockx.Response) error { return new(Response).decode(other, resp) }
		return nil
	}
	if err := c.Do(ctx, call, optFns...); err != nil {
		return nil, err
	}
	r.op, r.Outcome = call.Op, call.Outcome
	return r, nil
}

// Stream sends one request and returns the answer as it comes. Tools are not
// run; see [Client.RunStream]. The error is a [*bedrockx.Error].
func (c *Client) Stream(ctx context.Context, req Request, optFns ...func(*Options)) (*stream.Stream, error) {
	return c.stream(ctx, req, c.with(optFns))
}

func (c *Client) stream(ctx context.Context, req Request, o Options) (*stream.Stream, error) {
	o, err := o.withSource(ctx)
	if err != nil {
		return nil, toolsError(ctx, bedrockkit.OpConverseStream, req, o, err)
	}
	call, again := c.call(bedrockkit.OpConverseStream, req, o)
	return stream.Open(ctx, c.bedrock, call, again, o.pipeline...)
}

// withSource returns the options with the tools of their source among Tools.
func (o Options) withSource(ctx context.Context) (_ Options, err error) {
	if o.ToolSource == nil {
		return o, nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Tool: "Options.ToolSource", Value: v, Stack: debug.Stack()}
		}
	}()
	tools, err := o.ToolSource(ctx)
	if err != nil {
		return o, fmt.Errorf("converse: Options.ToolSource: %w", err)
	}
	o.Tools, o.ToolSource = slices.Concat(o.Tools, tools), nil
	return o, nil
}

// toolsError is the error of a request whose tools could not be had.
func toolsError(ctx context.Context, op bedrockkit.Operation, req Request, o Options, err error) error {
	model := cmp.Or(req.Model, o.Model)
	if ctx.Err() != nil {
		return bedrockx.Canceled(ctx, op, model)
	}
	return &bedrockx.Error{Op: op, Model: model, Err: err}
}

// call makes the pipeline's call of a request. What goes out is made for each
// model that may be asked: see bedrockx.Call.Encode. again makes the call for the
// rest of a streamed answer, for stream.Open.
func (c *Client) call(op bedrockkit.Operation, req Request, o Options) (_ *bedrockx.Call, again func(soFar string) (*bedrockx.Call, error)) {
	setDefault(&req.Model, o.Model)
	call := &bedrockx.Call{Op: op, Outcome: bedrockx.Outcome{Model: req.Model}}
	encoded, goesOn, provider := false, bedrockkit.Unknown, ""
	call.Encode = func(model bedrockkit.ModelID, known bedrockkit.Capability) (bedrockx.Encoded, error) {
		own := !encoded // the call's own model comes first
		encoded = true
		r := req
		s := subject{Capability: known, base: model.Base(), bare: own && isBare(r.Model)}
		e := bedrockx.Encoded{Skipped: slices.Clone(o.skipped)}
		switch {
		case own:
			provider = s.base.Provider()
		default:
			r.Model = model
			if other := s.base.Provider(); len(r.AdditionalFields) > 0 && other != "" && provider != "" && other != provider {
				r.AdditionalFields = nil // the parameters of another provider's models
				e.Skipped = append(e.Skipped, bedrockx.Skipped{What: bedrockx.SkipAdditionalFields})
			}
		}
		if err := r.prepare(&s, o, &e, own); err != nil {
			return e, err
		}
		if err := r.preflight(op, &s); err != nil {
			return e, err
		}
		body, err := r.appendBody(nil, op, &s)
		if err != nil {
			return e, err
		}
		e.Body, e.MaxTokens = body, max(0, r.MaxTokens)
		fields, effort := r.modelFields(&s)
		e.SDKInput = func() (any, error) {
			in, err := r.sdk(fields, effort)
			if err != nil || op == bedrockkit.OpConverse {
				return in, err
			}
			return r.sdkStreamInput(in), nil
		}
		if !own || op != bedrockkit.OpConverseStream {
			return e, nil
		}
		if goesOn = r.goesOn(&s); goesOn != bedrockkit.Yes && call.Options.Continue > 0 {
			e.Skipped = append(e.Skipped, bedrockx.Skipped{What: bedrockx.SkipContinuation, Support: goesOn})
		}
		return e, nil
	}
	return call, func(soFar string) (*bedrockx.Call, error) {
		if goesOn != bedrockkit.Yes {
			return nil, nil
		}
		rest := req
		rest.Messages = Append(req.Messages, Assistant(soFar))
		next, _ := c.call(op, rest, o)
		return next, nil
	}
}

// isBare reports whether an id is that of a model itself.
func isBare(id bedrockkit.ModelID) bool {
	ident, err := id.Parse()
	return err == nil && ident.Kind == bedrockkit.KindFoundationModel
}

// goesOn says whether the model goes on with an answer that was begun, which one
// that thinks does not.
func (r *Request) goesOn(s *subject) bedrockkit.Support {
	if t := r.thought(s); t.on() {
		return bedrockkit.No
	}
	return s.Supports(bedrockkit.FeaturePrefill)
}

// prepare makes of a request what goes out for a model: with the options'
// defaults, repaired, in the model's form and with cache points.
func (r *Request) prepare(s *subject, o Options, e *bedrockx.Encoded, own bool) error {
	skip := func(what string, support bedrockkit.Support) {
		e.Skipped = append(e.Skipped, bedrockx.Skipped{What: what, Support: support})
	}
	if !r.isPrompt() {
		if err := r.fill(s, o, skip); err != nil {
			return err
		}
	}
	if o.Repair != nil {
		kept := *s // repair keeps it; s itself need not be on the heap
		repaired, changes := r.repair(&kept)
		if *r = repaired; len(changes) > 0 && own {
			o.Repair(changes)
		}
	}
	*r = r.fit(s, skip)
	if o.CachePoints != "" && !r.isPrompt() {
		*r = r.withCachePoints(o.CachePoints, s)
		if support := s.Supports(bedrockkit.FeaturePromptCache); support != bedrockkit.Yes {
			skip(bedrockx.SkipCachePoints, support)
		}
	}
	return nil
}

// fill puts the options' defaults in the place of what the request leaves out.
func (r *Request) fill(s *subject, o Options, skip func(string, bedrockkit.Support)) (err error) {
	if r.MaxTokens == 0 {
		r.MaxTokens = r.maxTokens(s, o.MaxTokens)
	}
	if r.Temperature == nil && o.Temperature != nil {
		if r.takesTemperature(s, *o.Temperature) {
			r.Temperature = o.Temperature
		} else {
			skip(bedrockx.SkipTemperature, bedrockkit.No)
		}
	}
	if r.System == nil {
		r.System = o.System
	}
	if r.Tools == nil {
		r.Tools, err = specs(o.Tools)
	}
	return err
}
