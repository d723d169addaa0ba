package telemetry

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// scope is the name of the instrumentation.
const scope = "github.com/mangaassist/bedrockkit/converse/telemetry"

// Options are the options of [NewAgent]. The zero value of a field means its default.
type Options struct {
	// TracerProvider gets the spans. The default is OpenTelemetry's global provider.
	TracerProvider trace.TracerProvider

	// Name, ID and Description describe the agent. Without a Name, the span of a loop
	// has the name "invoke_agent".
	Name, ID, Description string

	// ConversationID returns the id of the conversation of a request, such as the id
	// of a session from the context. The default is none.
	ConversationID func(context.Context) string

	// Attributes are added to the spans, such as a tenant from the context.
	Attributes func(context.Context) []attribute.KeyValue
}

// A Runner runs tool loops: a [*converse.Client] is one.
type Runner interface {
	Run(context.Context, converse.Request, ...func(*converse.Options)) (*converse.RunResult, error)
	RunStream(context.Context, converse.Request, ...func(*converse.Options)) iter.Seq2[converse.RunEvent, error]
}

// An Agent is a [Runner] whose loops are reported. It is safe for concurrent
// use.
type Agent struct {
	runner Runner
	o      Options
	tracer trace.Tracer
}

var _ Runner = (*Agent)(nil)

// NewAgent returns an agent that runs its loops with runner.
func NewAgent(runner Runner, optFns ...func(*Options)) *Agent {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	return &Agent{runner: runner, o: o, tracer: o.TracerProvider.Tracer(scope)}
}

// Run is [converse.Client.Run] within a span.
func (a *Agent) Run(ctx context.Context, req converse.Request, optFns ...func(*converse.Options)) (*converse.RunResult, error) {
	ctx, span := a.start(ctx, req)
	defer end(span)
	result, err := a.runner.Run(ctx, req, a.with(optFns)...)
	finish(span, result, err)
	return result, err
}

// RunStream is [converse.Client.RunStream] within a span, which ends with the loop. If
// the reader leaves the loop, the span has no result and no error.
func (a *Agent) RunStream(ctx context.Context, req converse.Request, optFns ...func(*converse.Options)) iter.Seq2[converse.RunEvent, error] {
	return func(yield func(converse.RunEvent, error) bool) {
		ctx, span := a.start(ctx, req)
		defer end(span)
		for ev, err := range a.runner.RunStream(ctx, req, a.with(optFns)...) {
			if ev.Result != nil || err != nil {
				finish(span, ev.Result, err)
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

func (a *Agent) start(ctx context.Context, req converse.Request) (context.Context, trace.Span) {
	attrs := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.provider.name", "aws.bedrock"),
	}
	for key, value := range map[string]string{"gen_ai.agent.name": a.o.Name, "gen_ai.agent.id": a.o.ID, "gen_ai.agent.description": a.o.Description,
		"gen_ai.request.model": string(req.Model)} {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	if a.o.ConversationID != nil {
		attrs = append(attrs, attribute.String("gen_ai.conversation.id", a.o.ConversationID(ctx)))
	}
	return a.tracer.Start(ctx, named("invoke_agent", a.o.Name), trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(slices.Concat(attrs, a.attributes(ctx))...))
}

func (a *Agent) attributes(ctx context.Context) []attribute.KeyValue {
	if a.o.Attributes == nil {
		return nil
	}
	return a.o.Attributes(ctx)
}

func named(operation, name string) string {
	if name == "" {
		return operation
	}
	return operation + " " + name
}

// finish says what became of a loop.
func finish(span trace.Span, result *converse.RunResult, err error) {
	if result != nil {
		span.SetAttributes(attribute.Int("bedrockkit.rounds", len(result.Rounds)))
		if u := result.Usage; !u.Unknown {
			span.SetAttributes(attribute.Int64("gen_ai.usage.input_tokens", u.TotalInput()), attribute.Int64("gen_ai.usage.output_tokens", u.OutputTokens))
		}
		if result.Cost != nil {
			span.SetAttributes(attribute.Float64("bedrockkit.cost.usd", result.Cost.Float64()))
		}
		if last := result.Last(); last != nil {
			span.SetAttributes(attribute.String("gen_ai.response.model", string(last.Model)),
				attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(last.StopReason)}))
		}
	}
	if err != nil {
		failed(span, errorType(err))
	}
}

// end ends a span, also while a panic goes on. Deferred directly, Span.End would
// record what was panicked with, which may be anything.
func end(span trace.Span) { span.End() }

func failed(span trace.Span, kind string) {
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, kind)
}

// loopErrors are the loop's own errors, by name.
var loopErrors = map[error]string{
	converse.ErrMaxRounds:    "max_rounds",
	converse.ErrMaxToolCalls: "max_tool_calls",
	converse.ErrMaxRunTokens: "max_run_tokens",
	converse.ErrMaxRunCost:   "max_run_cost",
	converse.ErrMaxRunTime:   "max_run_time",
	converse.ErrPending:      "pending",
	converse.ErrStopped:      "stopped",
}

// errorType is the kind of an error, without its text.
func errorType(err error) string {
	for known, name := range loopErrors {
		if errors.Is(err, known) {
			return name
		}
	}
	return string(bedrockx.KindOf(err))
}

// with returns the options of a loop whose tools are reported.
func (a *Agent) with(optFns []func(*converse.Options)) []func(*converse.Options) {
	return append(slices.Clone(optFns), func(o *converse.Options) {
		o.ToolMiddleware = append([]converse.ToolMiddleware{a.tool}, o.ToolMiddleware...)
	})
}

// tool reports the runs of a tool.
func (a *Agent) tool(next converse.ToolHandler) converse.ToolHandler {
	return func(ctx context.Context, use converse.ToolUse) (converse.Contents, error) {
		ctx, span := a.tracer.Start(ctx, named("execute_tool", use.Name), trace.WithSpanKind(trace.SpanKindInternal),
			trace.WithAttributes(slices.Concat([]attribute.KeyValue{
				attribute.String("gen_ai.operation.name", "execute_tool"),
				attribute.String("gen_ai.tool.name", use.Name),
				attribute.String("gen_ai.tool.type", "function"),
				attribute.String("gen_ai.tool.call.id", use.ID),
			}, a.attributes(ctx))...))
		defer end(span)
		returned := false
		defer func() {
			if !returned {
				failed(span, "panic")
			}
		}()
		content, err := next(ctx, use)
		returned = true
		if err != nil {
			failed(span, toolErrorType(ctx, err))
		}
		return content, err
	}
}

func toolErrorType(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil:
		return "timeout"
	case errors.Is(err, converse.ErrStopped), errors.Is(err, converse.ErrPending):
		return errorType(err)
	}
	return cmp.Or(string(bedrockx.KindOf(err)), "tool_error")
}
