package telemetry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	spare = "us.anthropic.claude-sonnet-4-6"
)

// observed is a client and what its calls reported.
type observed struct {
	*bedrockx.Client
	srv     *bedrocktest.Server
	spans   *tracetest.InMemoryExporter
	metrics *sdkmetric.ManualReader
}

func newObserved(t *testing.T, optFns ...func(*telemetry.Options)) observed {
	o := observed{srv: bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true }),
		spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader()}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(o.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.metrics))
	t.Cleanup(func() {
		_ = traces.Shutdown(context.Background())
		_ = meters.Shutdown(context.Background())
	})
	providers := func(o *telemetry.Options) { o.TracerProvider, o.MeterProvider = traces, meters }
	o.Client = bedrockx.New(o.srv.Client(), telemetry.Option(append([]func(*telemetry.Options){providers}, optFns...)...),
		func(o *bedrockx.Options) { o.BaseDelay, o.MaxDelay = 1, 1 })
	return o
}

func ask(text string) anthropic.Request {
	return anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(text)}}
}

// of is the attributes of a span by name.
func of(span tracetest.SpanStub) map[string]any {
	found := map[string]any{}
	for _, a := range span.Attributes {
		found[string(a.Key)] = a.Value.AsInterface()
	}
	return found
}

// recorded is the sum (of a counter) or the count (of a histogram) of a metric,
// over the series that have an attribute.
func (o observed) recorded(t *testing.T, name string, with ...attribute.KeyValue) float64 {
	var data metricdata.ResourceMetrics
	require.NoError(t, o.metrics.Collect(t.Context(), &data))
	matches := func(set attribute.Set) bool {
		for _, a := range with {
			if v, ok := set.Value(a.Key); !ok || v != a.Value {
				return false
			}
		}
		return true
	}
	var sum float64
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					if matches(p.Attributes) {
						sum += float64(p.Sum)
					}
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					if matches(p.Attributes) {
						sum += float64(p.Count)
					}
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					if matches(p.Attributes) {
						sum += p.Value
					}
				}
			}
		}
	}
	return sum
}

func TestUnary(t *testing.T) {
	o := newObserved(t, func(o *telemetry.Options) {
		o.Attributes = func(context.Context, *bedrockx.Call) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("tenant", "manga")}
		}
	})
	o.srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("Hello!"))
	result, err := bedrockx.Invoke(t.Context(), o.Client, model, ask("Hi"))
	require.NoError(t, err)

	spans := o.spans.GetSpans()
	require.Len(t, spans, 3, "two attempts and the call")
	first, second, call := spans[0], spans[1], spans[2]
	assert.Equal(t, "chat "+model, call.Name)
	assert.Equal(t, codes.Unset, call.Status.Code)
	got := of(call)
	assert.Equal(t, "aws.bedrock", got["gen_ai.provider.name"])
	assert.Equal(t, model, got["gen_ai.request.model"])
	assert.Equal(t, model, got["gen_ai.response.model"])
	assert.EqualValues(t, 100, got["gen_ai.request.max_tokens"])
	assert.Equal(t, false, got["gen_ai.request.stream"])
	assert.Equal(t, []string{"end_turn"}, got["gen_ai.response.finish_reasons"])
	assert.EqualValues(t, result.Usage.TotalInput(), got["gen_ai.usage.input_tokens"])
	assert.EqualValues(t, result.Usage.OutputTokens, got["gen_ai.usage.output_tokens"])
	assert.EqualValues(t, 2, got["bedrockkit.attempts"])
	assert.InDelta(t, result.Cost.Float64(), got["bedrockkit.cost.usd"], 1e-12)
	assert.Equal(t, result.RequestID, got["aws.request_id"])
	assert.Equal(t, "us-east-1", got["cloud.region"])
	assert.Contains(t, o.srv.URL(), got["server.address"])
	assert.Equal(t, got["server.address"], of(second)["server.address"])
	assert.Equal(t, "manga", got["tenant"])

	for i, attempt := range []tracetest.SpanStub{first, second} {
		assert.Equal(t, call.SpanContext.SpanID(), attempt.Parent.SpanID())
		assert.EqualValues(t, i+1, of(attempt)["bedrockkit.attempt"])
	}
	assert.Equal(t, "throttled", of(first)["error.type"])
	assert.NotEqual(t, of(first)["aws.request_id"], of(second)["aws.request_id"])
	assert.NotContains(t, of(second), "error.type")
	assert.False(t, first.EndTime.After(second.StartTime))

	tenant := attribute.String("tenant", "manga")
	assert.EqualValues(t, result.Usage.TotalInput(), o.recorded(t, "gen_ai.client.token.usage", tenant, attribute.String("gen_ai.token.type", "input")))
	assert.EqualValues(t, result.Usage.OutputTokens, o.recorded(t, "gen_ai.client.token.usage", attribute.String("gen_ai.token.type", "output")))
	assert.EqualValues(t, 1, o.recorded(t, "gen_ai.client.operation.duration", tenant))
	assert.InDelta(t, result.Cost.Float64(), o.recorded(t, "bedrockkit.cost"), 1e-12)
	assert.Zero(t, o.recorded(t, "gen_ai.client.operation.time_to_first_chunk"), "it is of streams")
}

func openStream(t *testing.T, o observed, text string, optFns ...func(*bedrockx.Options)) (*stream.Stream, error) {
	body := `{"messages":[{"role":"user","content":[{"text":"` + text + `"}]}],"system":[{"text":"Be kind."}]}`
	return stream.Open(t.Context(), o.Client, &bedrockx.Call{Op: bedrockkit.OpConverseStream, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(body),
		SDKInput: func() (any, error) {
			return &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model)}, nil
		}}, nil, optFns...)
}

// The span of a stream ends with the stream, whichever way it ends.
func TestStream(t *testing.T) {
	tests := map[string]struct {
		reply *bedrocktest.Reply
		kind  string
	}{
		"whole":         {bedrocktest.Text("One Piece is a manga."), ""},
		"breaks off":    {bedrocktest.Text("One Piece is a manga.").ChunkSize(4).EndAfter(3), "truncated"},
		"has an error":  {bedrocktest.Text("One Piece is a manga.").ChunkSize(4).ExceptionAfter(3, "throttlingException", "no"), "throttled"},
		"is left alone": {bedrocktest.Text("One Piece is a manga.").ChunkSize(4), "canceled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := newObserved(t)
			o.srv.Reply(tt.reply)
			s, err := openStream(t, o, "Hi")
			require.NoError(t, err)
			require.Len(t, o.spans.GetSpans(), 1, "the attempt has ended with the first output, the call has not")
			for _, err := range s.Text() {
				if name == "is left alone" {
					break
				}
				if err != nil {
					break
				}
			}
			spans := o.spans.GetSpans()
			require.Len(t, spans, 2)
			got := of(spans[1])
			assert.Equal(t, true, got["gen_ai.request.stream"])
			assert.EqualValues(t, 1, o.recorded(t, "gen_ai.client.operation.time_to_first_chunk"))
			if tt.kind == "" {
				assert.Equal(t, codes.Unset, spans[1].Status.Code)
				assert.Positive(t, got["gen_ai.usage.output_tokens"])
				assert.EqualValues(t, 1, o.recorded(t, "gen_ai.server.time_per_output_token"))
				return
			}
			assert.Equal(t, codes.Error, spans[1].Status.Code)
			assert.Equal(t, tt.kind, got["error.type"])
			assert.EqualValues(t, 1, o.recorded(t, "gen_ai.client.operation.duration", attribute.String("error.type", tt.kind)))
			assert.NotContains(t, got, "gen_ai.usage.output_tokens")
		})
	}
}

func TestFallback(t *testing.T) {
	o := newObserved(t)
	o.srv.Reply(bedrocktest.Exception("ServiceQuotaExceededException"), bedrocktest.Text("Hello!"))
	_, err := bedrockx.Invoke(t.Context(), o.Client, model, ask("Hi"), func(o *bedrockx.Options) { o.Fallback = []bedrockx.Target{{Model: spare}} })
	require.NoError(t, err)
	spans := o.spans.GetSpans()
	got := of(spans[len(spans)-1])
	assert.Equal(t, model, got["gen_ai.request.model"])
	assert.Equal(t, spare, got["gen_ai.response.model"])
	assert.Equal(t, true, got["bedrockkit.fallback"])
}

// What was said stays out, on every path, unless it is asked for.
func TestContent(t *testing.T) {
	const canary = "canary-prompt-1234"
	replies := []*bedrocktest.Reply{
		bedrocktest.Text(canary),
		bedrocktest.Error(400, "ValidationException", "malformed: "+canary),
		bedrocktest.Error(500, "InternalServerException", canary),
		bedrocktest.Body(200, "text/html", []byte("<html>"+canary)),
		bedrocktest.Body(200, "application/json", []byte(`{"content":{"`+canary+`":1}}`)),
	}
	for _, capture := range []bool{false, true} {
		o := newObserved(t, func(o *telemetry.Options) { o.CaptureInput = capture })
		for _, reply := range replies {
			o.srv.Reply(reply)
			_, _ = bedrockx.Invoke(t.Context(), o.Client, model, ask(canary), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		}
		o.srv.Reply(bedrocktest.Text(canary).CutAfter(200))
		if s, err := openStream(t, o, canary, func(o *bedrockx.Options) { o.MaxAttempts = 1 }); err == nil {
			for range s.Text() {
			}
		}
		o.srv.Reply(bedrocktest.Text("Hello!"))
		assert.Panics(t, func() {
			_ = o.Client.Do(t.Context(), &bedrockx.Call{Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"` + canary + `"}]}]}`),
				Decode: func(context.Context, *bedrockx.Response) error { panic(canary) }})
		})
		var all strings.Builder
		for _, span := range o.spans.GetSpans() {
			fmt.Fprintf(&all, "%s %v %v %v\n", span.Name, span.Attributes, span.Status, span.Events)
		}
		var data metricdata.ResourceMetrics
		require.NoError(t, o.metrics.Collect(t.Context(), &data))
		fmt.Fprintf(&all, "%+v", data)
		assert.Contains(t, all.String(), "validation")
		if !capture {
			assert.NotContains(t, all.String(), canary)
			continue
		}
		assert.Contains(t, all.String(), canary)
		for _, span := range o.spans.GetSpans() {
			assert.NotContains(t, span.Status.Description, canary)
		}
	}
}

// Without a provider nothing is recorded, and nothing breaks.
func TestWithoutProviders(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	client := bedrockx.New(srv.Client(), telemetry.Option())
	_, err := bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
	require.NoError(t, err)
}
