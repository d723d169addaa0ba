package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/asyncq/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-prompt-1234"

// A job that fails once and is then done, in the trace of its submission.
func TestWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues := memqueue.New()
		names := asyncq.Queues{Normal: "analyses", DeadLetter: "dead"}
		for _, name := range []string{names.Normal, names.DeadLetter} {
			_, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name)})
			require.NoError(t, err)
		}
		status := asyncq.NewMemoryStatus()
		reader := sdkmetric.NewManualReader()
		meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		defer meters.Shutdown(context.WithoutCancel(t.Context()))
		traces := sdktrace.NewTracerProvider()

		var seen []trace.SpanContext
		var told int
		handler := func(ctx context.Context, job *asyncq.Job[string]) error {
			seen = append(seen, trace.SpanContextFromContext(ctx))
			if job.Attempt == 1 {
				return errors.New("failed with " + canary)
			}
			return nil
		}
		worker := asyncq.NewWorker(queues, handler, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status = names, status
			o.Observe = func(asyncq.Event) { told++ }
		}, telemetry.Worker(func(o *telemetry.Options) { o.MeterProvider = meters }))
		jobs, err := asyncq.NewProducer[string](queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = names, status }, telemetry.Producer())
		require.NoError(t, err)

		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- worker.Run(ctx) }()
		submitting, span := traces.Tracer("test").Start(ctx, "a request")
		id, err := jobs.Submit(submitting, asyncq.Request[string]{Payload: canary})
		require.NoError(t, err)
		span.End()
		s, err := asyncq.Wait(ctx, status, id)
		require.NoError(t, err)
		assert.Equal(t, asyncq.Completed, s.State)
		time.Sleep(time.Second)
		stop()
		require.NoError(t, <-stopped)

		require.Len(t, seen, 2)
		for _, sc := range seen {
			assert.Equal(t, span.SpanContext().TraceID(), sc.TraceID())
			assert.True(t, sc.IsRemote())
		}
		assert.Positive(t, told, "the other observer is told as well")

		var data metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(context.WithoutCancel(t.Context()), &data))
		assert.NotContains(t, fmt.Sprintf("%+v", data), canary)
		assert.EqualValues(t, 1, sum(data, "asyncq.messages"))
		assert.EqualValues(t, 2, sum(data, "asyncq.events", "started"))
		assert.EqualValues(t, 1, sum(data, "asyncq.events", "retried"))
		assert.EqualValues(t, 1, sum(data, "asyncq.events", "completed"))
		assert.EqualValues(t, 2, sum(data, "asyncq.job.duration"))
		assert.EqualValues(t, 2, sum(data, "asyncq.job.wait"))
		assert.EqualValues(t, 1, sum(data, "asyncq.job.age"))
		assert.EqualValues(t, 1, sum(data, "asyncq.job.attempts"))
		assert.EqualValues(t, 1, sum(data, "asyncq.hold", "held"))
	})
}

// Without providers and without a trace nothing is reported, and nothing breaks.
func TestNothingIsSetUp(t *testing.T) {
	var p asyncq.ProducerOptions
	telemetry.Producer()(&p)
	assert.Empty(t, p.TraceParent(t.Context()))
	var w asyncq.WorkerOptions
	telemetry.Worker()(&w)
	for _, kind := range []asyncq.EventKind{asyncq.EventReceived, asyncq.EventStarted, asyncq.EventFailed, asyncq.EventAPIError} {
		w.Observe(asyncq.Event{Kind: kind, Count: 1, ErrorClass: "throttled"})
	}
	ctx := w.WithTrace(t.Context(), "no trace context")
	assert.False(t, trace.SpanContextFromContext(ctx).IsValid())
}

// sum is the sum of a counter or the count of a histogram, of one event or of all.
func sum(data metricdata.ResourceMetrics, name string, event ...string) (n int64) {
	counts := func(set attribute.Set) bool {
		v, _ := set.Value("asyncq.event")
		return len(event) == 0 || v.AsString() == event[0]
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					if counts(p.Attributes) {
						n += p.Value
					}
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					if counts(p.Attributes) {
						n += int64(p.Count)
					}
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					if counts(p.Attributes) {
						n += int64(p.Count)
					}
				}
			}
		}
	}
	return n
}
