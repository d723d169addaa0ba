package telemetry

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// scope is the name of the instrumentation.
const scope = "github.com/mangaassist/bedrockkit/asyncq/telemetry"

// Options are the options of [Worker] and [Jobs]. The zero value of a field means its default.
type Options struct {
	// MeterProvider is OpenTelemetry's global one by default.
	MeterProvider metric.MeterProvider
}

// traceContext reads and writes traceparent.
var traceContext propagation.TraceContext

// Producer is an option of asyncq.NewProducer: the trace of a submission goes with
// its message.
func Producer() func(*asyncq.ProducerOptions) {
	return func(o *asyncq.ProducerOptions) {
		o.TraceParent = func(ctx context.Context) string {
			carrier := propagation.MapCarrier{}
			traceContext.Inject(ctx, carrier)
			return carrier["traceparent"]
		}
	}
}

// Worker is an option of asyncq.NewWorker: what [Jobs] does, for a worker.
func Worker(optFns ...func(*Options)) func(*asyncq.WorkerOptions) {
	jobs := Jobs(optFns...)
	return func(o *asyncq.WorkerOptions) { jobs(&o.JobOptions) }
}

// Jobs sets the options of jobs, such as those of awslambda.New: their events become
// metrics, and the context of a job continues the trace of its submission. An Observe
// that the options have already is called as well. The error of an instrument that
// cannot be made goes to OpenTelemetry's error handler.
func Jobs(optFns ...func(*Options)) func(*asyncq.JobOptions) {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	meter := o.MeterProvider.Meter(scope)
	messages, err1 := meter.Int64Counter("asyncq.messages", metric.WithUnit("{message}"), metric.WithDescription("Messages that were received."))
	events, err2 := meter.Int64Counter("asyncq.events", metric.WithUnit("{event}"), metric.WithDescription("What a worker did, by kind."))
	duration, err3 := meter.Float64Histogram("asyncq.job.duration", metric.WithUnit("s"), metric.WithDescription("Duration of an attempt that has ended."),
		metric.WithExplicitBucketBoundaries(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900))
	wait, err4 := meter.Float64Histogram("asyncq.job.wait", metric.WithUnit("s"), metric.WithDescription("Time from the submission of a job to the beginning of an attempt."),
		metric.WithExplicitBucketBoundaries(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600, 86400))
	age, err5 := meter.Float64Histogram("asyncq.job.age", metric.WithUnit("s"), metric.WithDescription("Time from the submission of a job to its end."),
		metric.WithExplicitBucketBoundaries(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600, 86400))
	attempts, err6 := meter.Int64Histogram("asyncq.job.attempts", metric.WithUnit("{attempt}"), metric.WithDescription("Attempts of a job that has ended."),
		metric.WithExplicitBucketBoundaries(1, 2, 3, 5, 10))
	hold, err7 := meter.Float64Histogram("asyncq.hold", metric.WithUnit("s"), metric.WithDescription("For how long a message is held without a slot, by reason."),
		metric.WithExplicitBucketBoundaries(1, 5, 15, 60, 300, 900, 3600, 21600, 43200))
	for _, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if err != nil {
			otel.Handle(err)
		}
	}
	ctx := context.Background() // an event has none, and metrics need none
	observe := func(e asyncq.Event) {
		attrs := []attribute.KeyValue{attribute.String("messaging.system", "aws_sqs")}
		if e.Queue != "" {
			attrs = append(attrs, attribute.String("messaging.destination.name", e.Queue))
		}
		if e.Kind == asyncq.EventReceived {
			messages.Add(ctx, int64(e.Count), metric.WithAttributes(attrs...))
			return
		}
		if e.Kind == asyncq.EventStarted {
			wait.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(attrs...))
		}
		attrs = append(attrs, attribute.String("asyncq.event", string(e.Kind)))
		if e.ErrorClass != "" {
			attrs = append(attrs, attribute.String("error.type", e.ErrorClass))
		}
		set := metric.WithAttributeSet(attribute.NewSet(attrs...))
		events.Add(ctx, 1, set)
		switch e.Kind {
		case asyncq.EventCompleted, asyncq.EventCanceled, asyncq.EventFailed, asyncq.EventRetried:
			duration.Record(ctx, e.Duration.Seconds(), set)
		case asyncq.EventHeld:
			hold.Record(ctx, e.Duration.Seconds(), set)
		}
		switch e.Kind {
		case asyncq.EventCompleted, asyncq.EventCanceled, asyncq.EventFailed:
			age.Record(ctx, e.Age.Seconds(), set)
			attempts.Record(ctx, int64(e.Attempt), set)
		}
	}
	return func(o *asyncq.JobOptions) {
		before := o.Observe
		o.Observe = func(e asyncq.Event) {
			if before != nil {
				before(e)
			}
			observe(e)
		}
		o.WithTrace = func(ctx context.Context, traceParent string) context.Context {
			return traceContext.Extract(ctx, propagation.MapCarrier{"traceparent": traceParent})
		}
	}
}
