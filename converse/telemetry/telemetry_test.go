package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	bedrocktelemetry "github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	model  = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	canary = "canary-1234"
)

type observed struct {
	agent *telemetry.Agent
	srv   *bedrocktest.Server
	spans *tracetest.InMemoryExporter
}

func newObserved(t *testing.T, optFns ...func(*converse.Options)) observed {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	client := bedrockx.New(srv.Client(), bedrocktelemetry.Option(func(o *bedrocktelemetry.Options) { o.TracerProvider = provider }),
		func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	chat := converse.New(client, append([]func(*converse.Options){func(o *converse.Options) { o.Model = model }}, optFns...)...)
	agent := telemetry.NewAgent(chat, func(o *telemetry.Options) {
		o.TracerProvider = provider
		o.Name, o.ID = "store", "a-1"
		o.ConversationID = func(context.Context) string { return "c-1" }
		o.Attributes = func(context.Context) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("tenant", "tokyo")}
		}
	})
	return observed{agent, srv, spans}
}

// span is the one of a name, with its attributes.
func (o observed) span(t *testing.T, name string) (tracetest.SpanStub, map[string]any) {
	t.Helper()
	for _, span := range o.spans.GetSpans() {
		if span.Name == name {
			attrs := map[string]any{}
			for _, kv := range span.Attributes {
				attrs[string(kv.Key)] = kv.Value.AsInterface()
			}
			return span, attrs
		}
	}
	require.Fail(t, "there is no span "+name)
	return tracetest.SpanStub{}, nil
}

func ask(text string) converse.Request {
	return converse.Request{Model: model, Messages: []converse.Message{converse.User(text)}}
}

// run runs the loop both ways; what holds for one holds for the other.
func run(ctx context.Context, streamed bool, r telemetry.Runner, req converse.Request, optFns ...func(*converse.Options)) (*converse.RunResult, error) {
	if !streamed {
		return r.Run(ctx, req, optFns...)
	}
	for ev, err := range r.RunStream(ctx, req, optFns...) {
		if err != nil || ev.Result != nil {
			return ev.Result, err
		}
	}
	return nil, errors.New("no result")
}

func tools(o *converse.Options) {
	o.Tools = []converse.Tool{
		converse.NewTool("look", "Looks.", func(context.Context, struct{}) (string, error) { return canary, nil }),
		converse.NewTool("fail", "Fails.", func(context.Context, struct{}) (string, error) { return "", errors.New(canary) }),
		converse.NewTool("panic", "Panics.", func(context.Context, struct{}) (string, error) { panic(canary) }),
		converse.NewTool("stop", "Stops.", func(context.Context, struct{}) (string, error) { return "", converse.Stop(canary) }),
	}
}

func TestLoop(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("streamed %t", streamed), func(t *testing.T) {
			o := newObserved(t, tools)
			o.srv.Reply(bedrocktest.ToolUse("look", nil).ToolUse("fail", nil).ToolUse("panic", nil), bedrocktest.Text(canary))
			result, err := run(t.Context(), streamed, o.agent, ask(canary))
			require.NoError(t, err)

			loop, attrs := o.span(t, "invoke_agent store")
			assert.Equal(t, "invoke_agent", attrs["gen_ai.operation.name"])
			assert.Equal(t, "aws.bedrock", attrs["gen_ai.provider.name"])
			assert.Equal(t, "a-1", attrs["gen_ai.agent.id"])
			assert.Equal(t, "c-1", attrs["gen_ai.conversation.id"])
			assert.Equal(t, "tokyo", attrs["tenant"])
			assert.Equal(t, model, attrs["gen_ai.response.model"])
			assert.Equal(t, []string{"end_turn"}, attrs["gen_ai.response.finish_reasons"])
			assert.EqualValues(t, 2, attrs["bedrockkit.rounds"])
			assert.EqualValues(t, result.Usage.OutputTokens, attrs["gen_ai.usage.output_tokens"])
			assert.Equal(t, result.Cost.Float64(), attrs["bedrockkit.cost.usd"])

			for name, kind := range map[string]any{"look": nil, "fail": "unknown", "panic": "panic"} {
				span, attrs := o.span(t, "execute_tool "+name)
				assert.Equal(t, loop.SpanContext.SpanID(), span.Parent.SpanID())
				assert.Equal(t, name, attrs["gen_ai.tool.name"])
				assert.Equal(t, "function", attrs["gen_ai.tool.type"])
				assert.NotEmpty(t, attrs["gen_ai.tool.call.id"])
				if kind == nil {
					assert.NotContains(t, attrs, "error.type")
				} else {
					assert.Equal(t, codes.Error, span.Status.Code)
					assert.NotEmpty(t, attrs["error.type"], name)
				}
			}
			chat, _ := o.span(t, "chat "+model)
			assert.Equal(t, loop.SpanContext.SpanID(), chat.Parent.SpanID(), "a request lies below its loop")

			var all strings.Builder
			for _, span := range o.spans.GetSpans() {
				fmt.Fprintf(&all, "%s %v %v %v\n", span.Name, span.Attributes, span.Status, span.Events)
			}
			assert.NotContains(t, all.String(), canary, "nothing that was said is recorded")
		})
	}
}

func TestErrors(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		for name, test := range map[string]struct {
			reply *bedrocktest.Reply
			want  string
			most  int
		}{
			"stopped":  {bedrocktest.ToolUse("stop", nil), "stopped", 5},
			"rounds":   {bedrocktest.ToolUse("look", nil), "max_rounds", -1},
			"throttle": {bedrocktest.Throttle(), "throttled", 5},
		} {
			t.Run(name, func(t *testing.T) {
				o := newObserved(t, tools, func(o *converse.Options) { o.MaxRounds = test.most })
				o.srv.Reply(test.reply)
				_, err := run(t.Context(), streamed, o.agent, ask("Go."))
				require.Error(t, err)
				span, attrs := o.span(t, "invoke_agent store")
				assert.Equal(t, test.want, attrs["error.type"])
				assert.Equal(t, test.want, span.Status.Description)
			})
		}
	}
}

// A reader that leaves ends the span.
func TestReaderLeaves(t *testing.T) {
	o := newObserved(t)
	o.srv.Reply(bedrocktest.Text("One two three.").Chunks("One ", "two ", "three."))
	for range o.agent.RunStream(t.Context(), ask("Count.")) {
		break
	}
	span, _ := o.span(t, "invoke_agent store")
	assert.Equal(t, codes.Unset, span.Status.Code)
}
