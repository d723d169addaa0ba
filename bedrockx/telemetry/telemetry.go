package telemetry

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// scope is the name of the instrumentation.
const scope = "github.com/mangaassist/bedrockkit/bedrockx/telemetry"

// Options are the options of [Option]. The zero value of a field means its default.
type Options struct {
	// The providers; the defaults are OpenTelemetry's global ones.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// Attributes are added to the span and the metrics of a call, such as a tenant
	// from the context. Each value is a separate time series, so there should be few.
	Attributes func(context.Context, *bedrockx.Call) []attribute.KeyValue

	// CaptureInput puts the messages and the system prompt of a request into its span,
	// as gen_ai.input.messages and gen_ai.system_instructions in the form of the
	// conventions, if the call's body is JSON that has them. Only the size of images
	// and documents is recorded. The default is false, because prompts are personal
	// data.
	CaptureInput bool

	// CaptureOutput puts the text of an answer into its span, as
	// gen_ai.output.messages. The default is false.
	CaptureOutput bool

	// MaxInput bounds what is captured, in bytes of each attribute. Messages are
	// kept whole, the newest first; bedrockkit.input.messages.dropped counts the
	// others. An answer that is longer is left out. The default is 16 KiB.
	MaxInput int
}

// Option returns an option for [bedrockx.New] that reports every call. If an
// instrument cannot be made, OpenTelemetry's error handler gets the error.
func Option(optFns ...func(*Options)) func(*bedrockx.Options) {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.MaxInput <= 0 {
		o.MaxInput = 16 << 10
	}
	i := newInstruments(o)
	return func(opts *bedrockx.Options) {
		opts.Middleware = append(opts.Middleware, i.middleware)
		opts.OnAttempt = append(opts.OnAttempt, i.attempt)
	}
}

type instruments struct {
	o        Options
	tracer   trace.Tracer
	tokens   metric.Int64Histogram
	duration metric.Float64Histogram
	first    metric.Float64Histogram
	perToken metric.Float64Histogram
	cost     metric.Float64Counter
}

func newInstruments(o Options) *instruments {
	meter := o.MeterProvider.Meter(scope)
	i := &instruments{o: o, tracer: o.TracerProvider.Tracer(scope)}
	var errs [5]error
	i.tokens, errs[0] = meter.Int64Histogram("gen_ai.client.token.usage", metric.WithUnit("{token}"),
		metric.WithDescription("Number of input and output tokens used."),
		metric.WithExplicitBucketBoundaries(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864))
	i.duration, errs[1] = meter.Float64Histogram("gen_ai.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("GenAI operation duration."),
		metric.WithExplicitBucketBoundaries(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92))
	i.first, errs[2] = meter.Float64Histogram("gen_ai.client.operation.time_to_first_chunk", metric.WithUnit("s"),
		metric.WithDescription("Time to the first output of a stream, with its retries."),
		metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	i.perToken, errs[3] = meter.Float64Histogram("gen_ai.server.time_per_output_token", metric.WithUnit("s"),
		metric.WithDescription("Time for each output token of a stream after the first, as seen by the client."),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5))
	i.cost, errs[4] = meter.Float64Counter("bedrockkit.cost", metric.WithUnit("USD"),
		metric.WithDescription("What calls cost, as far as it is known."))
	for _, err := range errs {
		if err != nil {
			otel.Handle(err)
		}
	}
	return i
}

// operation is the gen_ai.operation.name of a call.
func operation(call *bedrockx.Call) string {
	if strings.Contains(string(call.Model), "embed") {
		return "embeddings"
	}
	return "chat"
}

func (i *instruments) middleware(next bedrockx.Handler) bedrockx.Handler {
	return func(ctx context.Context, call *bedrockx.Call) error {
		requested := call.Model
		common := []attribute.KeyValue{
			attribute.String("gen_ai.operation.name", operation(call)),
			attribute.String("gen_ai.provider.name", "aws.bedrock"),
			attribute.String("gen_ai.request.model", string(requested)),
		}
		if i.o.Attributes != nil {
			common = append(common, i.o.Attributes(ctx, call)...)
		}
		attrs := append(common[:len(common):len(common)], attribute.Bool("gen_ai.request.stream", call.Op.Streaming()))
		if call.MaxTokens > 0 {
			attrs = append(attrs, attribute.Int("gen_ai.request.max_tokens", call.MaxTokens))
		}
		ctx, span := i.tracer.Start(ctx, operation(call)+" "+string(requested), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
		if i.o.CaptureInput && span.IsRecording() {
			span.SetAttributes(i.input(call)...)
		}
		if id := guardrailID(call); id != "" {
			span.SetAttributes(attribute.String("aws.bedrock.guardrail.id", id))
		}
		var answer strings.Builder
		if i.o.CaptureOutput && span.IsRecording() {
			call.OnText = append(call.OnText, func(text string) error {
				if answer.Len() <= i.o.MaxInput {
					answer.WriteString(text)
				}
				return nil
			})
		}
		call.OnEnd(func(err error) {
			if answer.Len() > 0 && answer.Len() <= i.o.MaxInput {
				span.SetAttributes(output(answer.String(), call.StopReason))
			}
			i.finish(context.WithoutCancel(ctx), span, call, common, err)
		})
		return next(ctx, call)
	}
}

// finish ends the span of a call and records its metrics.
func (i *instruments) finish(ctx context.Context, span trace.Span, call *bedrockx.Call, common []attribute.KeyValue, err error) {
	common = append(common, attribute.String("gen_ai.response.model", string(call.Model)))
	if region := call.Region; region != "" {
		common = append(common, attribute.String("cloud.region", region))
	}
	attrs := []attribute.KeyValue{
		attribute.String("gen_ai.response.model", string(call.Model)),
		attribute.Int("bedrockkit.attempts", call.Attempts),
	}
	if region := call.Region; region != "" {
		attrs = append(attrs, attribute.String("cloud.region", region))
	}
	if call.Host != "" {
		attrs = append(attrs, server(call.Host)...)
	}
	if call.RequestID != "" {
		attrs = append(attrs, attribute.String("aws.request_id", call.RequestID))
	}
	if call.StopReason != "" {
		attrs = append(attrs, attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(call.StopReason)}))
	}
	if call.CacheHit {
		attrs = append(attrs, attribute.Bool("bedrockkit.cache_hit", true))
	}
	if call.Fallback {
		attrs = append(attrs, attribute.Bool("bedrockkit.fallback", true))
	}
	u := call.Usage
	known := !u.Unknown && u.Total() > 0
	if known {
		attrs = append(attrs, attribute.Int64("gen_ai.usage.input_tokens", u.TotalInput()), attribute.Int64("gen_ai.usage.output_tokens", u.OutputTokens))
		if u.CacheReadTokens > 0 {
			attrs = append(attrs, attribute.Int64("gen_ai.usage.cache_read.input_tokens", u.CacheReadTokens))
		}
		if written := u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens; written > 0 {
			attrs = append(attrs, attribute.Int64("gen_ai.usage.cache_creation.input_tokens", written))
		}
	}
	if call.Cost != nil {
		attrs = append(attrs, attribute.Float64("bedrockkit.cost.usd", call.Cost.Float64()))
	}
	failed := common
	if err != nil {
		kind := errorType(err)
		attrs = append(attrs, attribute.String("error.type", kind))
		failed = append(common[:len(common):len(common)], attribute.String("error.type", kind))
		span.SetStatus(codes.Error, kind)
	}
	span.SetAttributes(attrs...)

	set := metric.WithAttributeSet(attribute.NewSet(common...))
	i.duration.Record(ctx, call.Latency.Seconds(), metric.WithAttributeSet(attribute.NewSet(failed...)))
	if call.Cost != nil {
		i.cost.Add(ctx, call.Cost.Float64(), set)
	}
	if known && !call.CacheHit {
		for kind, n := range map[string]int64{"input": u.TotalInput(), "output": u.OutputTokens} {
			i.tokens.Record(ctx, n, metric.WithAttributeSet(attribute.NewSet(append(common[:len(common):len(common)], attribute.String("gen_ai.token.type", kind))...)))
		}
	}
	if call.Op.Streaming() && call.FirstOutput > 0 && !call.CacheHit {
		i.first.Record(ctx, call.FirstOutput.Seconds(), set)
		if err == nil && known && u.OutputTokens > 1 {
			i.perToken.Record(ctx, (call.Latency-call.FirstOutput).Seconds()/float64(u.OutputTokens-1), set)
		}
	}
	span.End()
}

// attempt reports one request that was sent, as a span below that of its call.
func (i *instruments) attempt(ctx context.Context, _ *bedrockx.Call, a bedrockx.Attempt) {
	_, span := i.tracer.Start(ctx, "attempt", trace.WithSpanKind(trace.SpanKindInternal), trace.WithTimestamp(a.Began), trace.WithAttributes(
		attribute.Int("bedrockkit.attempt", a.Number), attribute.String("gen_ai.request.model", string(a.Model))))
	if a.Region != "" {
		span.SetAttributes(attribute.String("cloud.region", a.Region))
	}
	if a.Host != "" {
		span.SetAttributes(server(a.Host)...)
	}
	if a.RequestID != "" {
		span.SetAttributes(attribute.String("aws.request_id", a.RequestID))
	}
	if a.Err != nil {
		kind := errorType(a.Err)
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, kind)
	}
	span.End(trace.WithTimestamp(a.Began.Add(a.Latency.Round(time.Nanosecond))))
}

// server is the endpoint that a request was sent to.
func server(host string) []attribute.KeyValue {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			return []attribute.KeyValue{attribute.String("server.address", name), attribute.Int("server.port", n)}
		}
	}
	return []attribute.KeyValue{attribute.String("server.address", host)}
}

// errorType is the kind of an error in the form of the conventions.
func errorType(err error) string {
	return strings.ReplaceAll(string(bedrockx.KindOf(err)), " ", "_")
}
