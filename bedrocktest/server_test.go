package bedrocktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

func TestMain(m *testing.M) {
	// The SDK leaves these behind (v1.50, v1.63.13): for every bidirectional stream
	// the one that waits on a channel that nobody closes, and now and then, where
	// the server ended the stream first, the one that writes the end of the input.
	const sdk = "github.com/aws/aws-sdk-go-v2/service/bedrockruntime."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(sdk+"newAsyncEventStreamReader.func1"),
		goleak.IgnoreAnyFunction(sdk+"(*invokeModelWithBidirectionalStreamInputWriter).writeStream"))
}

// allowEnded is for the families of which no model lives.
func allowEnded(o *bedrocktest.Options) { o.AllowEnded = true }

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// transports runs a test over all that a client can reach the server by.
func transports(t *testing.T, test func(t *testing.T, opt func(*bedrocktest.Options))) {
	for _, inProcess := range []bool{false, true} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("inprocess=%t,http2=%t", inProcess, http2), func(t *testing.T) {
				test(t, func(o *bedrocktest.Options) { o.InProcess, o.HTTP2 = inProcess, http2 })
			})
		}
	}
}

func userText(text string) []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}}
}

func noRetry(o *bedrockruntime.Options) { o.RetryMaxAttempts = 1 }

// streamed is what a ConverseStream gave.
type streamed struct {
	text, input, reasoning, signature string
	stop                              types.StopReason
	usage                             *types.TokenUsage
	events                            int
	toolID, tool                      string
}

func readStream(t testing.TB, client *bedrockruntime.Client, in *bedrockruntime.ConverseStreamInput) (s streamed, err error) {
	out, err := client.ConverseStream(t.Context(), in)
	if err != nil {
		return s, err
	}
	stream := out.GetStream()
	defer stream.Close()
	for e := range stream.Events() {
		s.events++
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockStart:
			if v, ok := e.Value.Start.(*types.ContentBlockStartMemberToolUse); ok {
				s.toolID, s.tool = aws.ToString(v.Value.ToolUseId), aws.ToString(v.Value.Name)
			}
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			switch d := e.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				s.text += d.Value
			case *types.ContentBlockDeltaMemberToolUse:
				s.input += aws.ToString(d.Value.Input)
			case *types.ContentBlockDeltaMemberReasoningContent:
				switch r := d.Value.(type) {
				case *types.ReasoningContentBlockDeltaMemberText:
					s.reasoning += r.Value
				case *types.ReasoningContentBlockDeltaMemberSignature:
					s.signature += r.Value
				}
			}
		case *types.ConverseStreamOutputMemberMessageStop:
			s.stop = e.Value.StopReason
		case *types.ConverseStreamOutputMemberMetadata:
			s.usage = e.Value.Usage
		}
	}
	return s, stream.Err()
}

func TestConverse(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		srv.Reply(bedrocktest.Reasoning("hm").Text("こんにちは").ToolUse("search", map[string]any{"q": "<manga>"}))
		out, err := srv.Client().Converse(t.Context(), &bedrockruntime.ConverseInput{
			ModelId:  aws.String(haiku),
			System:   []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "Be kind."}},
			Messages: userText("Hi"),
		})
		require.NoError(t, err)
		content := out.Output.(*types.ConverseOutputMemberMessage).Value.Content
		require.Len(t, content, 3)
		assert.Equal(t, "こんにちは", content[1].(*types.ContentBlockMemberText).Value)
		call := content[2].(*types.ContentBlockMemberToolUse).Value
		var input map[string]string
		require.NoError(t, call.Input.UnmarshalSmithyDocument(&input))
		assert.Equal(t, map[string]string{"q": "<manga>"}, input)
		assert.Regexp(t, `^tooluse_\w{22}$`, *call.ToolUseId)
		assert.Equal(t, types.StopReasonToolUse, out.StopReason)
		assert.Equal(t, *out.Usage.InputTokens+*out.Usage.OutputTokens, *out.Usage.TotalTokens)
		assert.Greater(t, *out.Metrics.LatencyMs, int64(0))

		got := srv.Requests()
		require.Len(t, got, 1)
		assert.Equal(t, bedrockkit.OpConverse, got[0].Op)
		assert.EqualValues(t, haiku, got[0].Model)
		assert.Equal(t, []string{"Be kind."}, got[0].System)
		assert.Equal(t, "Hi", got[0].LastText())
		assert.Equal(t, 200, got[0].Outcome.Status)
	})
}

func TestConverseStream(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		srv.Reply(bedrocktest.Reasoning("let me see").Text("Hello, world").ToolUse("f", map[string]int{"n": 1}))
		got, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.NoError(t, err)
		assert.Equal(t, "Hello, world", got.text)
		assert.Equal(t, "let me see", got.reasoning)
		assert.NotEmpty(t, got.signature)
		assert.Equal(t, `{"n":1}`, got.input)
		assert.Equal(t, "f", got.tool)
		assert.Equal(t, types.StopReasonToolUse, got.stop)
		require.NotNil(t, got.usage)
		assert.Equal(t, srv.Requests()[0].Outcome.Usage.OutputTokens, int64(*got.usage.OutputTokens))
	})
}

func anthropicBody(text string) []byte {
	b, _ := json.Marshal(map[string]any{
		"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100,
		"messages": []any{map[string]any{"role": "user", "content": text}},
	})
	return b
}

func TestInvokeModelAnthropic(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		srv.Reply(bedrocktest.Text("Hi").ToolUse("f", nil))
		out, err := srv.Client().InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{
			ModelId: aws.String("arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + haiku),
			Body:    anthropicBody("Hello"), ContentType: aws.String("application/json"),
		})
		require.NoError(t, err)
		var v struct {
			Type, Role, Model string
			Content           []map[string]any
			StopReason        string `json:"stop_reason"`
			Usage             map[string]any
		}
		require.NoError(t, json.Unmarshal(out.Body, &v))
		assert.Equal(t, "message", v.Type)
		assert.Equal(t, "claude-haiku-4-5-20251001", v.Model)
		assert.Equal(t, "tool_use", v.StopReason)
		require.Len(t, v.Content, 2)
		assert.Equal(t, map[string]any{"type": "text", "text": "Hi"}, v.Content[0])
		assert.Equal(t, map[string]any{}, v.Content[1]["input"])
		assert.Equal(t, "Hello", srv.Requests()[0].LastText())
		assert.EqualValues(t, 100, srv.Requests()[0].MaxTokens)
	})
}

func TestInvokeModelWithResponseStreamAnthropic(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		srv.Reply(bedrocktest.Text("Hello there").ToolUse("f", map[string]int{"n": 1}))
		out, err := srv.Client().InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: aws.String(haiku), Body: anthropicBody("Hello"),
		})
		require.NoError(t, err)
		stream := out.GetStream()
		defer stream.Close()
		var types_ []string
		var text, input string
		var last map[string]any
		for e := range stream.Events() {
			chunk := e.(*types.ResponseStreamMemberChunk).Value.Bytes
			last = nil
			require.NoError(t, json.Unmarshal(chunk, &last))
			typ := last["type"].(string)
			if len(types_) == 0 || types_[len(types_)-1] != typ {
				types_ = append(types_, typ)
			}
			if d, ok := last["delta"].(map[string]any); ok {
				if s, ok := d["text"].(string); ok {
					text += s
				}
				if s, ok := d["partial_json"].(string); ok {
					input += s
				}
			}
		}
		require.NoError(t, stream.Err())
		assert.Equal(t, "Hello there", text)
		assert.Equal(t, `{"n":1}`, input)
		assert.Equal(t, []string{"message_start", "content_block_start", "content_block_delta", "content_block_stop",
			"content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}, types_)
		assert.Contains(t, last, "amazon-bedrock-invocationMetrics")
	})
}

func TestErrors(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	client := srv.Client(noRetry)
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")}

	srv.Reply(bedrocktest.Throttle().Header("Retry-After", "7"))
	_, err := client.Converse(t.Context(), in)
	var throttled *types.ThrottlingException
	require.ErrorAs(t, err, &throttled)
	assert.Equal(t, "Too many requests, please wait before trying again.", *throttled.Message)

	srv.Reply(bedrocktest.Exception("ModelNotReadyException"))
	_, err = client.Converse(t.Context(), in)
	var notReady *types.ModelNotReadyException
	require.ErrorAs(t, err, &notReady)

	// In a stream after two events; without a stream the error itself.
	broken := bedrocktest.Text("Hello there").ExceptionAfter(2, "ModelStreamErrorException", "boom")
	srv.Reply(broken, broken)
	_, err = readStream(t, client, &bedrockruntime.ConverseStreamInput{ModelId: in.ModelId, Messages: in.Messages})
	var streamErr *types.ModelStreamErrorException
	require.ErrorAs(t, err, &streamErr)
	assert.Equal(t, "boom", *streamErr.Message)
	// An SDK of the floor knows no such error of this operation; its code is there.
	_, err = client.Converse(t.Context(), in)
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, "ModelStreamErrorException", api.ErrorCode())
}

// Each of many hooks answers one of as many requests at the same time.
func TestControlOfParallelRequests(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	const callers, each = 8, 250
	var answered [callers * each]atomic.Int32
	for i := range answered {
		srv.Control(bedrockkit.OpConverse, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			answered[i].Add(1)
			return bedrocktest.Text("ok")
		})
	}
	client := srv.Client()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("hello")})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	for i := range answered {
		assert.EqualValues(t, 1, answered[i].Load(), "hook %d", i)
	}
}

func TestControl(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, bedrocktest.Echo
	})
	client := srv.Client(noRetry)
	ask := func(text string) (string, error) {
		got, err := readStream(t, client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText(text)})
		return got.text, err
	}
	var seen []string
	srv.Control(bedrockkit.OpConverseStream, func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		seen = append(seen, req.LastText())
		return nil
	})
	srv.Control(bedrockkit.OpConverse, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		t.Error("not asked for")
		return nil
	}).Remove()
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Text("first")
	})
	srv.Control(bedrocktest.AnyOp, func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		if req.LastText() == "fail" {
			return bedrocktest.Throttle()
		}
		return nil
	}).Keep()
	for _, tt := range [][2]string{{"a", "first"}, {"b", "You said: b"}} {
		text, err := ask(tt[0])
		require.NoError(t, err)
		assert.Equal(t, tt[1], text)
	}
	for range 2 {
		_, err := ask("fail")
		require.Error(t, err)
	}
	assert.Equal(t, []string{"a", "b", "fail", "fail"}, seen)
}

// A request may come between Control and Keep; the hook stays all the same.
func TestKeepAfterTheFirstRequest(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	hook := srv.Control(bedrockkit.OpConverse, bedrocktest.Echo)
	client := srv.Client(noRetry)
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")}
	for range 3 {
		_, err := client.Converse(t.Context(), in)
		require.NoError(t, err)
		hook.Keep()
	}
	hook.Remove()
	srv.Reply(bedrocktest.Text("from the script"))
	_, err := client.Converse(t.Context(), in)
	require.NoError(t, err)
}

// A reply that is cut or broken after each number of bytes sends exactly those.
func TestCutAndAbort(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		reply := func() *bedrocktest.Reply { return bedrocktest.Text("Hello") }
		fetch := func() ([]byte, error) {
			client := srv.HTTPClient()
			defer client.CloseIdleConnections()
			req := request(t, srv, "/model/"+haiku+"/converse-stream", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`)
			resp, err := client.Do(req)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			return io.ReadAll(resp.Body)
		}
		srv.Reply(reply())
		whole, err := fetch()
		require.NoError(t, err)
		for n := 0; n < len(whole); n += 13 {
			srv.Reply(reply().CutAfter(int64(n)), reply().AbortAfter(int64(n)))
			got, err := fetch()
			require.NoError(t, err)
			require.Equal(t, whole[:n], got)
			got, err = fetch()
			require.Error(t, err, "aborted after %d bytes", n)
			require.True(t, strings.HasPrefix(string(whole), string(got)))
		}
		last := srv.Requests()
		assert.Equal(t, "aborted", last[len(last)-1].Outcome.End)

		// After all of the bytes there is still the end of the response to break.
		srv.Reply(reply().AbortAfter(int64(len(whole))))
		_, err = fetch()
		require.Error(t, err)
	})
}

// What panics in a hook is told by the test, and neither blocks the hook nor
// kills the server.
func TestPanicInAHook(t *testing.T) {
	r := &recorder{TB: t}
	srv := bedrocktest.NewServer(r, inProcess)
	calls := 0
	srv.Control(bedrockkit.OpConverse, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		if calls++; calls == 1 {
			panic("oops")
		}
		return bedrocktest.Text("better")
	})
	client := srv.Client(noRetry)
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")}
	_, err := client.Converse(t.Context(), in)
	require.Error(t, err)
	_, err = client.Converse(t.Context(), in)
	require.NoError(t, err)
	r.finish()
	require.Len(t, r.errors, 1)
	assert.Contains(t, r.errors[0], "answering request #1, Converse to "+haiku+": panic: oops")
	assert.Contains(t, r.errors[0], "server_test.go", "the stack")
	assert.Equal(t, "panicked: oops", srv.Requests()[0].Outcome.End)
}

// Who has an answer can ask how long it was.
func TestBytesAreKnownAtOnce(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := echoServer(t, opt)
		for i := range 100 {
			_, body := do(t, srv, request(t, srv, "/model/"+haiku+"/converse", `{"messages":[`+user+`]}`))
			require.EqualValues(t, len(body), srv.Requests()[i].Outcome.Bytes)
		}
	})
}

// The log is for people.
func TestLog(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := srv.Client(noRetry)
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("Hello").EndAfter(2), bedrocktest.Text("Hello").CutAfter(10))
	for range 3 {
		_, _ = readStream(t, client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi,\n  you")})
	}
	srv.Close() // so that all have finished
	assert.Equal(t, `bedrocktest: 3 requests
#1 ConverseStream `+haiku+` (HTTP/1.1)
     user: Hi, you
  -> 429 ThrottlingException, 65 bytes
#2 ConverseStream `+haiku+` (HTTP/1.1)
     user: Hi, you
  -> 200, 2 events, 380 bytes
#3 ConverseStream `+haiku+` (HTTP/1.1)
     user: Hi, you
  -> 200, 10 bytes, cut`, srv.Log())
}

// What cannot be sent is told as well.
func TestRepliesThatCannotBeSent(t *testing.T) {
	for want, reply := range map[string]*bedrocktest.Reply{
		"invalid WriteHeader code 0":    bedrocktest.Error(0, "ThrottlingException", ""),
		"invalid WriteHeader code 1000": bedrocktest.Body(1000, "text/plain", nil),
		"bedrocktest: json":             bedrocktest.NewReply().Block(bedrocktest.Block{Raw: []byte("{")}),
	} {
		r := &recorder{TB: t}
		srv := bedrocktest.NewServer(r, inProcess)
		srv.Reply(reply)
		_, err := srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.Error(t, err)
		r.finish()
		require.Len(t, r.errors, 1)
		assert.Contains(t, r.errors[0], "panic: "+want)
	}
}

// t.FailNow in a hook ends the goroutine that serves the request.
func TestFailNowInAHook(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt)
		srv.Control(bedrockkit.OpConverse, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			runtime.Goexit()
			return nil
		})
		_, err := srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.Error(t, err)
		srv.Close()
		o := srv.Requests()[0].Outcome
		assert.True(t, o.Done)
		assert.Contains(t, o.End, "t.FailNow")
	})
}

// A server that is mounted in another breaks what it is sending when it is
// closed: what has merely ended would look like a whole answer.
func TestCloseBreaksAnswers(t *testing.T) {
	for name, reply := range map[string]*bedrocktest.Reply{
		"delayed": bedrocktest.Text("Hello").Delay(time.Hour),
		"paced":   bedrocktest.Text("Hello").Pace(0.001),
		"stalled": bedrocktest.Text("Hello").StallAfter(1),
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			outer := httptest.NewServer(srv)
			defer outer.Close()
			begun := make(chan struct{})
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				close(begun)
				return reply
			})
			ask := func() error {
				req := request(t, srv, "/model/"+haiku+"/converse-stream", `{"messages":[`+user+`]}`)
				req.URL.Host = strings.TrimPrefix(outer.URL, "http://")
				resp, err := outer.Client().Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				return err
			}
			go func() { <-begun; srv.Close() }()
			require.Error(t, ask())
			require.Error(t, ask(), "it is closed")
		})
	}
}

// A body that cannot be read is no request: it gets no answer, least of all an
// empty one with status 200.
func TestBrokenRequestBody(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	conn, err := srv.DialContext(t.Context(), "tcp", "")
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /model/"+haiku+"/converse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Empty(t, string(answer))
	assert.Contains(t, srv.Requests()[0].Outcome.End, "the body of the request cannot be read: ")
}

// Inside of a bubble time is the bubble's: a paced stream takes no real time.
func TestPaceInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text("一二三四五六七八九十").Pace(2).Delay(3 * time.Second))
		began := time.Now()
		got, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.NoError(t, err)
		assert.Equal(t, "一二三四五六七八九十", got.text)
		assert.Equal(t, 8*time.Second, time.Since(began))
	})
}

func TestStallsUntilTheClientLeaves(t *testing.T) {
	for name, reply := range map[string]*bedrocktest.Reply{
		"before the headers":     bedrocktest.Text("x").Stall(),
		"before the first event": bedrocktest.Text("x").StallAfter(0),
		"after two events":       bedrocktest.Text("x").StallAfter(2),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				srv.Reply(reply)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				out, err := srv.Client(noRetry).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
				if name == "before the headers" {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				} else {
					require.NoError(t, err)
					n := 0
					for range out.GetStream().Events() {
						n++
					}
					want := map[string]int{"after two events": 2}[name]
					assert.Equal(t, want, n)
					out.GetStream().Close()
				}
				synctest.Wait()
				assert.Equal(t, "stalled until the client left", srv.Requests()[0].Outcome.End)
			})
		})
	}
}

func TestToolLoop(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	client := srv.Client()
	schema := map[string]any{"type": "object", "required": []string{"genre", "year"}, "properties": map[string]any{
		"genre": map[string]any{"type": "string", "enum": []string{"seinen", "shonen"}},
		"year":  map[string]any{"type": "integer", "minimum": 1950},
	}}
	in := &bedrockruntime.ConverseInput{
		ModelId: aws.String(haiku), Messages: userText("Look for manga"),
		ToolConfig: &types.ToolConfiguration{
			Tools:      []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{Name: aws.String("search"), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(schema)}}}},
			ToolChoice: &types.ToolChoiceMemberAny{},
		},
	}
	out, err := client.Converse(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, types.StopReasonToolUse, out.StopReason)
	message := out.Output.(*types.ConverseOutputMemberMessage).Value
	call := message.Content[0].(*types.ContentBlockMemberToolUse).Value
	raw, err := call.Input.MarshalSmithyDocument()
	require.NoError(t, err)
	assert.JSONEq(t, `{"genre":"seinen","year":1950}`, string(raw))

	in.Messages = append(in.Messages, message, types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
		&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: call.ToolUseId, Content: []types.ToolResultContentBlock{
			&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(map[string]int{"found": 3})},
		}}},
	}})
	out, err = client.Converse(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, `search returned: {"found":3}`, out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value)
}

// recorder is a testing.TB that keeps what a server complains of.
type recorder struct {
	testing.TB
	errors   []string
	logs     []string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Failed() bool      { return len(r.errors) > 0 }
func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recorder) Log(args ...any)   { r.logs = append(r.logs, fmt.Sprint(args...)) }
func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }
func (r *recorder) finish() {
	for _, fn := range r.cleanups {
		fn()
	}
}

func TestFailsTheTest(t *testing.T) {
	r := &recorder{TB: t}
	srv := bedrocktest.NewServer(r, func(o *bedrocktest.Options) { o.InProcess = true })
	_, err := srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Anyone?")})
	require.Error(t, err)
	srv.Reply(bedrocktest.Text("too late"))
	srv.Control(bedrockkit.OpConverse, bedrocktest.Echo)
	r.finish()
	require.Len(t, r.errors, 3)
	assert.Contains(t, r.errors[0], "nothing answers request #1, Converse to "+haiku)
	assert.Contains(t, r.errors[1], "1 of 1 scripted replies were not used")
	assert.Contains(t, r.errors[2], "a Control hook of Converse was never called")
	require.Len(t, r.logs, 1)
	assert.Contains(t, r.logs[0], "user: Anyone?")
	assert.Contains(t, r.logs[0], "-> 501 UnexpectedRequest")
}

func TestLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "example.com:0", "nonsense"} {
		_, err := bedrocktest.New(func(o *bedrocktest.Options) { o.Addr = addr })
		require.Error(t, err, addr)
	}
}

func TestClosedServerRefuses(t *testing.T) {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	require.NoError(t, err)
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
	_, err = srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
	require.Error(t, err)
	assert.False(t, errors.Is(err, context.Canceled))
}
