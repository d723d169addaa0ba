package stream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/stream"
)

// families are the models whose chunks are no events of Anthropic's.
var families = []struct {
	model, body string
	dec         func() stream.Decoder
}{
	{"us.amazon.nova-lite-v1:0", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`, nova.NewDecoder},
	{"amazon.titan-text-express-v1", `{"inputText":"hello"}`, titan.NewDecoder},
	{"us.meta.llama3-3-70b-instruct-v1:0", `{"prompt":"hello"}`, llama.NewDecoder},
	{"mistral.mixtral-8x7b-instruct-v0:1", `{"prompt":"hello"}`, mistral.NewDecoder},
	{"mistral.mistral-large-2407-v1:0", `{"messages":[{"role":"user","content":"hello"}]}`, mistral.NewDecoder},
	{"mistral.mistral-large-3-675b-instruct", `{"messages":[{"role":"user","content":"hello"}]}`, mistral.NewDecoder},
	{"cohere.command-r-v1:0", `{"message":"hello"}`, cohere.NewDecoder},
}

func eachFamily(t *testing.T, test func(t *testing.T, srv *bedrocktest.Server, open open)) {
	for _, f := range families {
		t.Run(f.model, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
			test(t, srv, func(ctx context.Context, c *bedrockx.Client, optFns ...func(*bedrockx.Options)) (*stream.Stream, error) {
				return stream.InvokeModel(ctx, c, &bedrockruntime.InvokeModelWithResponseStreamInput{
					ModelId: aws.String(f.model), Body: []byte(f.body)}, f.dec, optFns...)
			})
		})
	}
}

func TestFamilyAnswers(t *testing.T) {
	eachFamily(t, func(t *testing.T, srv *bedrocktest.Server, open open) {
		c := bedrockx.New(srv.Client())
		for _, stop := range []bedrockkit.StopReason{bedrockkit.StopEndTurn, bedrockkit.StopMaxTokens} {
			srv.Reply(bedrocktest.Text("一つ \"two\"\n<three>").ChunkSize(3).Stop(stop).Usage(bedrockkit.Usage{InputTokens: 7, OutputTokens: 5}))
			s, err := open(t.Context(), c)
			require.NoError(t, err)
			text, events, err := read(s)
			require.NoError(t, err)
			assert.Equal(t, "一つ \"two\"\n<three>", text)
			assert.Equal(t, stream.MessageStart, events[0].Type)
			assert.Equal(t, stream.Metadata, events[len(events)-1].Type)
			r := s.Result()
			assert.True(t, r.Complete)
			assert.Equal(t, stop, r.StopReason)
			assert.Equal(t, bedrockkit.Usage{InputTokens: 7, OutputTokens: 5}, r.Usage)
			require.Len(t, r.Blocks, 1)
			assert.True(t, r.Blocks[0].Complete)
			details, err := r.Details()
			require.NoError(t, err)
			assert.Positive(t, details.FirstByte)
			assert.Greater(t, details.Latency, details.FirstByte)
		}
	})
}

func TestFamilyToolCalls(t *testing.T) {
	eachFamily(t, func(t *testing.T, srv *bedrocktest.Server, open open) {
		if strings.Contains(t.Name(), "titan") || strings.Contains(t.Name(), "llama") || strings.Contains(t.Name(), "mixtral") {
			return // their bodies cannot say them
		}
		srv.Reply(bedrocktest.Text("Let me look.").ToolUse("search", map[string]any{"q": "漫画"}).ToolUse("stock", nil))
		s, err := open(t.Context(), bedrockx.New(srv.Client()))
		require.NoError(t, err)
		_, _, err = read(s)
		require.NoError(t, err)
		r := s.Result()
		assert.Equal(t, bedrockkit.StopToolUse, r.StopReason)
		require.Len(t, r.Blocks, 3)
		assert.Equal(t, "search", r.Blocks[1].ToolName)
		assert.JSONEq(t, `{"q":"漫画"}`, string(r.Blocks[1].Input))
		assert.Equal(t, `{}`, string(r.Blocks[2].Input))
	})
}

func TestFamiliesCutAtEveryByte(t *testing.T) {
	eachFamily(t, func(t *testing.T, srv *bedrocktest.Server, open open) {
		cuts(t, srv, bedrockx.New(srv.Client()), open, (*bedrocktest.Reply).CutAfter)
	})
}

// A typed request is checked before it is sent, and budgets know its bound.
func TestInvoke(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
	c := bedrockx.New(srv.Client())
	req := llama.Request{Prompt: "hello", MaxGenLen: 77}
	_, err := stream.Invoke(t.Context(), c, "us.amazon.nova-lite-v1:0", req)
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "InvokeModelWithResponseStream us.amazon.nova-lite-v1:0")
	assert.Empty(t, srv.Requests())

	srv.Reply(bedrocktest.Text("Hi"))
	var bound int
	s, err := stream.Invoke(t.Context(), c, "us.meta.llama3-3-70b-instruct-v1:0", req, func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				bound = call.MaxTokens
				return next(ctx, call)
			}
		})
	})
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "Hi", text)
	assert.Equal(t, 77, bound)
	assert.Equal(t, `{"prompt":"hello","max_gen_len":77}`, string(srv.Requests()[0].Body))
}

// An answer that broke goes on where the family can be given its beginning.
func TestInvokeContinued(t *testing.T) {
	begun := []anthropic.Message{anthropic.User("hello"), anthropic.Assistant("Well: ")}
	for _, tt := range []struct {
		name string
		open open
		want string // the last text of the second request
	}{
		{"Anthropic", opening("us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{MaxTokens: 9, Messages: begun[:1]}), "one two"},
		{"Anthropic, begun", opening("us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{MaxTokens: 9, Messages: begun}), "Well: one two"},
		{"Nova", opening("us.amazon.nova-lite-v1:0", nova.Request{Messages: []nova.Message{nova.User("hello")}}), "one two"},
		{"Llama", opening("us.meta.llama3-3-70b-instruct-v1:0", llama.Request{Prompt: "hello: "}), "hello: one two"},
		{"Mistral", opening("mistral.mixtral-8x7b-instruct-v0:1", mistral.TextRequest{Prompt: "hello: "}), "hello: one two"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
			srv.Reply(bedrocktest.Text("one two three").Chunks("one ", "two ", "three").Edit(func(frames []bedrocktest.Frame) []bedrocktest.Frame {
				for i, f := range frames {
					if strings.Contains(string(f.Payload), "three") {
						return frames[:i]
					}
				}
				return frames
			}), bedrocktest.Text("three four").Chunks("three", " four"))
			s, err := tt.open(t.Context(), bedrockx.New(srv.Client()), continued(1))
			require.NoError(t, err)
			text, _, err := read(s)
			require.NoError(t, err)
			assert.Equal(t, "one two three four", text)
			r := s.Result()
			assert.True(t, r.Complete)
			assert.Equal(t, 1, r.Continued)
			assert.True(t, r.Usage.Unknown)
			assert.Len(t, r.Blocks, 1)
			sent := srv.Requests()[1].Messages
			assert.Equal(t, tt.want, sent[len(sent)-1].Text())
		})
	}
	assert.Equal(t, "Well: ", begun[1].Content[0].Text, "the request was not changed")
}

func opening[In stream.Payload](model bedrockkit.ModelID, in In) open {
	return func(ctx context.Context, c *bedrockx.Client, optFns ...func(*bedrockx.Options)) (*stream.Stream, error) {
		return stream.Invoke(ctx, c, model, in, optFns...)
	}
}

// ConverseStream tells the same in words of its own.
func TestDetails(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
	srv.Reply(bedrocktest.Text("one two").ChunkSize(4).Edit(func(frames []bedrocktest.Frame) []bedrocktest.Frame {
		last := &frames[len(frames)-1]
		last.Payload = []byte(`{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":120},"performanceConfig":{"latency":"optimized"},"serviceTier":{"type":"priority"},"trace":{"guardrail":{"x":1}}}`)
		return frames
	}))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	_, events, err := read(s)
	require.NoError(t, err)
	want := stream.Details{Latency: 120 * time.Millisecond, Performance: "optimized", Trace: []byte(`{"guardrail":{"x":1}}`)}
	details, err := events[len(events)-1].Details()
	require.NoError(t, err)
	assert.Equal(t, want, details)
	assert.Equal(t, bedrockkit.ServiceTier("priority+optimized"), events[len(events)-1].ServiceTier)
	details, err = events[0].Details()
	require.NoError(t, err)
	assert.Zero(t, details)
	r := s.Result()
	details, err = r.Details()
	require.NoError(t, err)
	assert.Equal(t, want, details)
	assert.Equal(t, 2, r.Pieces)
}

// The first piece has come after FirstOutput, the others one after another.
func TestPerPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
		srv.Reply(bedrocktest.Text("aaaaaaaaaaaaaaaaaaaa").ChunkSize(4).Pace(1))
		s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) { o.FirstEventTimeout, o.IdleTimeout = -1, -1 })
		require.NoError(t, err)
		assert.Zero(t, s.Result().PerPiece(), "it has not ended")
		_, _, err = read(s)
		require.NoError(t, err)
		r := s.Result()
		assert.Equal(t, 5, r.Pieces)
		assert.Positive(t, r.FirstOutput)
		assert.Equal(t, r.Latency-r.FirstOutput, 4*r.PerPiece())
		assert.Equal(t, time.Second, r.PerPiece(), "one token a second")
	})
}

// A model's exception before its first output is retried, whatever the family.
func TestFamiliesRetry(t *testing.T) {
	eachFamily(t, func(t *testing.T, srv *bedrocktest.Server, open open) {
		srv.Reply(bedrocktest.Text("x").ExceptionAfter(0, "ThrottlingException", "slow down"), bedrocktest.Text("second"))
		s, err := open(t.Context(), bedrockx.New(srv.Client()), quick)
		require.NoError(t, err)
		text, _, err := read(s)
		require.NoError(t, err)
		assert.Equal(t, "second", text)
		assert.Equal(t, 2, s.Result().Attempts)
	})
}

func BenchmarkFamilies(b *testing.B) {
	for _, f := range []struct {
		name, model      string
		dec              func() stream.Decoder
		first, hot, last string
	}{
		{"Nova", "us.amazon.nova-lite-v1:0", nova.NewDecoder, `{"messageStart":{"role":"assistant"}}`,
			`{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":" token%d"}}}`, `{"messageStop":{"stopReason":"end_turn"}}`},
		{"Llama", "us.meta.llama3-3-70b-instruct-v1:0", llama.NewDecoder, `{"generation":"","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
			`{"generation":" token%d","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`, `{"generation":"","generation_token_count":9,"stop_reason":"stop"}`},
		{"Titan", "amazon.titan-text-express-v1", titan.NewDecoder, `{"outputText":"","inputTextTokenCount":7}`,
			`{"outputText":" token%d","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`, `{"outputText":"","completionReason":"FINISH"}`},
		{"Mistral", "mistral.mistral-large-2407-v1:0", mistral.NewDecoder, `{"choices":[{"message":{"content":""}}]}`,
			`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":" token%d"},"stop_reason":null}]}`, `{"choices":[{"stop_reason":"stop"}]}`},
		{"Cohere", "cohere.command-r-v1:0", cohere.NewDecoder, `{"event_type":"stream-start"}`,
			`{"event_type":"text-generation","is_finished":false,"text":" token%d"}`, `{"event_type":"stream-end","finish_reason":"COMPLETE"}`},
	} {
		b.Run(f.name, func(b *testing.B) {
			body := appendChunk(nil, f.first)
			for i := range benchEvents {
				body = appendChunk(body, fmt.Sprintf(f.hot, i))
			}
			client := bedrockx.New(appendChunk(body, f.last).client())
			in := &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(f.model), Body: []byte("{}")}
			b.ReportAllocs()
			for b.Loop() {
				s, err := stream.InvokeModel(b.Context(), client, in, f.dec)
				if err != nil {
					b.Fatal(err)
				}
				drain(b, s)
			}
			reportPerEvent(b)
		})
	}
}
