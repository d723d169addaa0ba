package bedrockx_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
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
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// cachedClient returns a client whose answers are kept, and its cache.
func cachedClient(t *testing.T, srv *bedrocktest.Server, optFns ...func(*bedrockx.CacheOptions)) (*bedrockx.Client, *bedrockx.Cache) {
	c := bedrockx.NewCache(memcache.New(), optFns...)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = c }, quick), c
}

// ask is a request whose answer may be kept.
func ask(text string) converse.Request {
	return converse.Request{Model: haiku, Temperature: aws.Float64(0), Messages: []converse.Message{converse.User(text)}}
}

func drain(t *testing.T, s *stream.Stream) *stream.Result {
	t.Helper()
	for _, err := range s.Events() {
		require.NoError(t, err)
	}
	return s.Result()
}

// An answer is the same from the service and from the cache, whether it was
// kept of a unary call or of a stream, and whichever of them asks.
func TestCacheForms(t *testing.T) {
	tool := converse.ToolSpec{Name: "search", Description: "d", InputSchema: json.RawMessage(`{"type":"object"}`)}
	replies := map[string]func() *bedrocktest.Reply{
		"text":      func() *bedrocktest.Reply { return bedrocktest.Text("<ワンピース> & \"more\"\n") },
		"texts":     func() *bedrocktest.Reply { return bedrocktest.Text("one").Text("two").Stop("stop_sequence") },
		"reasoning": func() *bedrocktest.Reply { return bedrocktest.Reasoning("hm").Redacted([]byte("secret")).Text("So.") },
		"tools": func() *bedrocktest.Reply {
			return bedrocktest.Text("Let me look.").ToolUse("search", map[string]any{"q": "<x>", "n": int64(12345678901234567)})
		},
		"no input": func() *bedrocktest.Reply { return bedrocktest.ToolUse("search", nil) },
	}
	for name, reply := range replies {
		for _, filled := range []string{"unary", "stream"} {
			t.Run(name+" kept of a "+filled, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, c := cachedClient(t, srv)
				chat := converse.New(client, converse.Call(func(o *bedrockx.Options) { o.CachePolicy.ToolUse = true }))
				req := ask("hello")
				req.Tools = []converse.ToolSpec{tool}
				send := func(chat *converse.Client, kind string) (content any, result *stream.Result) {
					if kind == "unary" {
						r, err := chat.Send(t.Context(), req)
						require.NoError(t, err)
						return r.Message, &stream.Result{Outcome: r.Outcome}
					}
					s, err := chat.Stream(t.Context(), req)
					require.NoError(t, err)
					r := drain(t, s)
					assert.True(t, r.Complete)
					return r.Blocks, r
				}
				direct := map[string]any{}
				for _, kind := range []string{"unary", "stream"} {
					srv.Reply(reply())
					direct[kind], _ = send(converse.New(bedrockx.New(srv.Client())), kind)
				}
				srv.Reply(reply())
				content, first := send(chat, filled)
				assert.Equal(t, direct[filled], content)
				require.False(t, first.CacheHit)
				require.NotNil(t, first.Cost)
				assert.Positive(t, first.Cost.Sign())
				assert.Positive(t, first.Usage.Total())
				for range 2 {
					for _, kind := range []string{"unary", "stream"} {
						content, again := send(chat, kind)
						assert.True(t, again.CacheHit, kind)
						assert.Equal(t, direct[kind], content, kind)
						assert.Equal(t, first.StopReason, again.StopReason, kind)
						assert.Equal(t, haiku, again.Model, kind)
						require.NotNil(t, again.Cost, kind)
						assert.Zero(t, again.Cost.Sign(), kind)
						assert.Equal(t, bedrockkit.Usage{}, again.Usage, kind)
					}
				}
				assert.Len(t, srv.Requests(), 3)
				stats := c.Stats()
				assert.EqualValues(t, 4, stats.Hits)
				assert.EqualValues(t, 1, stats.Kept)
				assert.Equal(t, first.Cost.Mul(4), stats.Saved)
				assert.Equal(t, 4*first.Usage.OutputTokens, stats.SavedUsage.OutputTokens)
				assert.InDelta(t, 0.8, stats.HitRatio(), 1e-9)
			})
		}
	}
}

// The families of InvokeModel: the answer to one form is that to the other.
func TestCacheFamilies(t *testing.T) {
	for _, tt := range []struct {
		model bedrockkit.ModelID
		dec   func() stream.Decoder
		body  string
	}{
		{"us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.NewDecoder, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"hi"}]}`},
		{"amazon.nova-lite-v1:0", nova.NewDecoder, `{"schemaVersion":"messages-v1","inferenceConfig":{"temperature":0},"messages":[{"role":"user","content":[{"text":"hi"}]}]}`},
		{"meta.llama3-8b-instruct-v1:0", llama.NewDecoder, `{"prompt":"hi","temperature":0}`},
		{"mistral.mistral-7b-instruct-v0:2", mistral.NewDecoder, `{"prompt":"hi","temperature":0}`},
		{"amazon.titan-text-express-v1", titan.NewDecoder, `{"inputText":"hi","textGenerationConfig":{"temperature":0}}`},
		{"cohere.command-r-v1:0", cohere.NewDecoder, `{"message":"hi","temperature":0}`},
	} {
		for _, filled := range []string{"unary", "stream"} {
			t.Run(string(tt.model)+" kept of a "+filled, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.AnyModel = true })
				cached, c := cachedClient(t, srv)
				plain := bedrockx.New(srv.Client())
				send := func(client *bedrockx.Client, kind string) (any, bool) {
					if kind == "unary" {
						r, err := bedrockx.Invoke(t.Context(), client, tt.model, rawPayload(tt.body))
						require.NoError(t, err)
						var body map[string]any
						require.NoError(t, json.Unmarshal(r.Output, &body))
						return body, r.CacheHit
					}
					s, err := stream.InvokeModel(t.Context(), client, &bedrockruntime.InvokeModelWithResponseStreamInput{
						ModelId: aws.String(string(tt.model)), Body: []byte(tt.body), ContentType: aws.String("application/json"),
					}, tt.dec)
					require.NoError(t, err)
					r := drain(t, s)
					assert.Equal(t, bedrockkit.StopEndTurn, r.StopReason)
					return r.Blocks, r.CacheHit
				}
				reply := func() *bedrocktest.Reply { return bedrocktest.Text("<ワンピース> & more") }
				direct := map[string]any{}
				for _, kind := range []string{"unary", "stream"} {
					srv.Reply(reply())
					direct[kind], _ = send(plain, kind)
				}
				srv.Reply(reply())
				content, hit := send(cached, filled)
				assert.False(t, hit)
				assert.Equal(t, direct[filled], content)
				for _, kind := range []string{"unary", "stream", "unary"} {
					content, hit := send(cached, kind)
					assert.True(t, hit, kind)
					assert.Equal(t, direct[kind], content, kind)
				}
				assert.Len(t, srv.Requests(), 3)
				assert.Empty(t, c.Stats().Unkept)
			})
		}
	}
}

// rawPayload is a body of any family; what stopped it is told as the stream's
// decoder does.
type rawPayload string

func (p rawPayload) EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error) {
	return json.RawMessage(p), nil
}

func (p rawPayload) DecodeInvoke(body json.RawMessage) (json.RawMessage, bedrockkit.Usage, bedrockkit.StopReason, error) {
	return body, bedrockkit.Usage{Unknown: true}, bedrockkit.StopEndTurn, nil
}

// ofTenant are the options of one call.
func ofTenant(name string) func(*converse.Options) {
	return converse.Call(func(o *bedrockx.Options) { o.Tenant = name })
}

// What differs in anything that the answer depends on is a miss.
func TestCacheMisses(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
		o.Responder, o.Ignore = bedrocktest.Echo, []bedrocktest.Rule{bedrocktest.RuleSampling}
	})
	client, c := cachedClient(t, srv)
	chat := converse.New(client)
	send := func(req converse.Request, optFns ...func(*converse.Options)) bool {
		t.Helper()
		r, err := chat.Send(t.Context(), req, optFns...)
		require.NoError(t, err)
		return r.CacheHit
	}
	require.False(t, send(ask("hello")))
	require.True(t, send(ask("hello")))
	changed := ask("hello")
	// A model that is not known takes temperature beside topP.
	unknown := converse.Call(func(o *bedrockx.Options) {
		o.Capabilities = func(bedrockkit.ModelID) (bedrockkit.Capability, bool) { return bedrockkit.Capability{}, false }
	})
	for name, change := range map[string]func(*converse.Request){
		"text": func(r *converse.Request) { r.Messages = []converse.Message{converse.User("hello ")} },
		"history": func(r *converse.Request) {
			r.Messages = []converse.Message{converse.User("a"), converse.Assistant("b"), converse.User("hello")}
		},
		"system":      func(r *converse.Request) { r.System = converse.Contents{converse.Text("s")} },
		"max tokens":  func(r *converse.Request) { r.MaxTokens = 7 },
		"top p":       func(r *converse.Request) { r.TopP = aws.Float64(0.5) },
		"stop":        func(r *converse.Request) { r.StopSequences = []string{"x"} },
		"model":       func(r *converse.Request) { r.Model = sonnet },
		"tier":        func(r *converse.Request) { r.ServiceTier = bedrockkit.TierFlex },
		"temperature": func(r *converse.Request) { r.Temperature = aws.Float64(0.5) },
	} {
		req := changed
		change(&req)
		assert.False(t, send(req, unknown), name)
	}
	assert.False(t, send(ask("hello"), ofTenant("b")), "another tenant")
	assert.True(t, send(ask("hello"), ofTenant("b")))
	assert.False(t, send(ask("hello"), converse.Call(func(o *bedrockx.Options) { o.Region = "eu-west-1" })), "another region")
	assert.False(t, send(ask("hello"), converse.Call(func(o *bedrockx.Options) { o.Account = "1" })), "another account")
	vary := converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Vary = []cache.Param{{Name: "beta", Value: "x"}} })
	assert.False(t, send(ask("hello"), vary), "a header")
	assert.True(t, send(ask("hello"), vary))
	assert.False(t, send(ask("hello"), converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Fresh = true })), "asked for a new one")
	assert.False(t, send(ask("hello"), converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Off = true })), "off")

	warm := ask("warm")
	warm.Temperature = nil
	for range 2 {
		assert.False(t, send(warm), "the temperature is the model's own")
	}
	anyTemperature := converse.Call(func(o *bedrockx.Options) { o.CachePolicy.AnyTemperature = true })
	assert.False(t, send(warm, anyTemperature))
	assert.True(t, send(warm, anyTemperature))
	assert.False(t, send(warm), "who did not ask for it does not get it")

	same := ask("hello")
	same.Metadata = map[string]string{"user": "1"}
	assert.True(t, send(same), "what is for the logs is no other request")
	assert.EqualValues(t, 1, c.Stats().Misses[bedrockx.CacheFresh])
	assert.EqualValues(t, 4, c.Stats().Misses[bedrockx.CacheTemperature])
}

// Headers of InvokeModel are of the request too.
func TestCacheInvokeHeaders(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	client, c := cachedClient(t, srv)
	body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"hi"}]}`
	send := func(change func(*bedrockruntime.InvokeModelWithResponseStreamInput)) bool {
		in := &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(string(model)), Body: []byte(body)}
		change(in)
		s, err := stream.InvokeModel(t.Context(), client, in, anthropic.NewDecoder)
		require.NoError(t, err)
		return drain(t, s).CacheHit
	}
	type input = bedrockruntime.InvokeModelWithResponseStreamInput
	assert.False(t, send(func(*input) {}))
	assert.True(t, send(func(*input) {}))
	assert.True(t, send(func(in *input) {
		in.ContentType, in.Accept = aws.String("application/json"), aws.String("application/json")
	}), "the defaults")
	for name, change := range map[string]func(*input){
		"accept":      func(in *input) { in.Accept = aws.String("*/*") },
		"performance": func(in *input) { in.PerformanceConfigLatency = "optimized" },
		"trace":       func(in *input) { in.Trace = "ENABLED_FULL" },
	} {
		assert.False(t, send(change), name)
		assert.True(t, send(change), name)
	}
	twice := strings.Replace(body, `"max_tokens":9`, `"max_tokens":9,"max_tokens":9`, 1)
	for range 2 {
		assert.False(t, send(func(in *input) { in.Body = []byte(twice) }), "a body that has no one meaning passes by")
	}
	assert.EqualValues(t, 2, c.Stats().Misses[bedrockx.CacheRequest])
}

// An input of the SDK is serialized by the SDK, once, and sent in these bytes.
func TestCacheSDKInput(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	seen := 0
	client, _ := cachedClient(t, srv)
	in := &bedrockruntime.ConverseStreamInput{
		ModelId:         aws.String(string(haiku)),
		Messages:        []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hello"}}}},
		InferenceConfig: &types.InferenceConfiguration{Temperature: aws.Float32(0), MaxTokens: aws.Int32(2048)},
	}
	send := func(in *bedrockruntime.ConverseStreamInput, c *bedrockx.Client) *stream.Result {
		s, err := stream.Converse(t.Context(), c, in, func(o *bedrockx.Options) {
			o.SDKOptions = append(o.SDKOptions, func(*bedrockruntime.Options) { seen++ })
		})
		require.NoError(t, err)
		return drain(t, s)
	}
	srv.Reply(bedrocktest.Text("x"), bedrocktest.Text("x"))
	plain := send(in, bedrockx.New(srv.Client()))
	first := send(in, client)
	assert.False(t, first.CacheHit)
	again := send(in, client)
	assert.True(t, again.CacheHit)
	assert.Equal(t, plain.Blocks, again.Blocks)
	sent := srv.Requests()
	require.Len(t, sent, 2)
	assert.Equal(t, string(sent[0].Body), string(sent[1].Body))
	assert.Equal(t, sent[0].Header.Get("Content-Type"), sent[1].Header.Get("Content-Type"))
	assert.Equal(t, 2, seen, "options are for requests that are sent")

	r, err := converse.New(client).Send(t.Context(), ask("hello"))
	require.NoError(t, err)
	assert.True(t, r.CacheHit, "it is the same request")

	changed := *in
	changed.System = []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "s"}}
	srv.Reply(bedrocktest.Text("y"))
	assert.False(t, send(&changed, client).CacheHit)

	_, err = stream.Converse(t.Context(), client, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(string(haiku)), GuardrailConfig: &types.GuardrailStreamConfiguration{}, Messages: []types.Message{{}},
	})
	assert.ErrorIs(t, err, bedrockx.ErrValidation, "what is wrong with the input is told as ever")
}

// What is not a whole answer is not kept, and the caller gets it as ever.
func TestCacheUnkept(t *testing.T) {
	for name, tt := range map[string]struct {
		reply func() *bedrocktest.Reply
		why   bedrockx.CacheReason
		fails bool
	}{
		"cut by max tokens": {func() *bedrocktest.Reply { return bedrocktest.Text("x").Stop("max_tokens") }, bedrockx.CacheIncomplete, false},
		"filtered":          {func() *bedrocktest.Reply { return bedrocktest.Text("x").Stop("content_filtered") }, bedrockx.CacheIncomplete, false},
		"guardrail":         {func() *bedrocktest.Reply { return bedrocktest.Text("x").Stop("guardrail_intervened") }, bedrockx.CacheIncomplete, false},
		"tool use":          {func() *bedrocktest.Reply { return bedrocktest.ToolUse("search", nil) }, bedrockx.CacheToolUse, false},
		"too large":         {func() *bedrocktest.Reply { return bedrocktest.Text(strings.Repeat("x", 5000)) }, bedrockx.CacheTooLarge, false},
		"refused":           {func() *bedrocktest.Reply { return bedrocktest.Error(400, "ValidationException", "no") }, bedrockx.CacheFailed, true},
	} {
		for _, kind := range []string{"unary", "stream"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, c := cachedClient(t, srv, func(o *bedrockx.CacheOptions) { o.MaxBytes = 4000 })
				chat := converse.New(client)
				req := ask("hello")
				req.Tools = []converse.ToolSpec{{Name: "search", InputSchema: json.RawMessage(`{"type":"object"}`)}}
				for range 2 {
					srv.Reply(tt.reply())
					var err error
					if kind == "unary" {
						_, err = chat.Send(t.Context(), req)
					} else {
						var s *stream.Stream
						if s, err = chat.Stream(t.Context(), req); err == nil {
							assert.False(t, drain(t, s).CacheHit)
						}
					}
					assert.Equal(t, tt.fails, err != nil)
				}
				assert.Len(t, srv.Requests(), 2)
				stats := c.Stats()
				assert.Equal(t, map[bedrockx.CacheReason]uint64{tt.why: 2}, stats.Unkept)
				assert.Zero(t, stats.Kept)
				assert.Zero(t, stats.InFlight)
			})
		}
	}
}

// Who has not asked for it gets no answer that asks for tools, of whoever it was
// kept or is under way.
func TestCacheToolUseIsForWhoAsks(t *testing.T) {
	for _, kind := range []string{"unary", "stream"} {
		t.Run(kind, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			client, c := cachedClient(t, srv)
			chat := converse.New(client)
			req := ask("hello")
			req.Tools = []converse.ToolSpec{{Name: "search", InputSchema: json.RawMessage(`{"type":"object"}`)}}
			send := func(optFns ...func(*converse.Options)) (hit bool, reason bedrockkit.StopReason) {
				if kind == "unary" {
					r, err := chat.Send(t.Context(), req, optFns...)
					require.NoError(t, err)
					return r.CacheHit, r.StopReason
				}
				s, err := chat.Stream(t.Context(), req, optFns...)
				require.NoError(t, err)
				r := drain(t, s)
				return r.CacheHit, r.StopReason
			}
			tools := converse.Call(func(o *bedrockx.Options) { o.CachePolicy.ToolUse = true })
			srv.Reply(bedrocktest.ToolUse("search", nil))
			send(tools)
			hit, reason := send(tools)
			assert.True(t, hit)
			assert.Equal(t, bedrockkit.StopToolUse, reason)

			srv.Reply(bedrocktest.Text("answer"))
			hit, reason = send()
			assert.False(t, hit)
			assert.Equal(t, bedrockkit.StopEndTurn, reason)
			assert.EqualValues(t, 1, c.Stats().Misses[bedrockx.CacheToolUse])
			hit, _ = send()
			assert.True(t, hit, "the newer answer took its place")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv)
		chat := converse.New(client)
		srv.Reply(bedrocktest.ToolUse("search", nil).Delay(time.Second))
		srv.Reply(bedrocktest.Text("answer"))
		var wg sync.WaitGroup
		for _, tools := range []bool{true, false} {
			wg.Go(func() {
				r, err := chat.Send(t.Context(), ask("hello"), converse.Call(func(o *bedrockx.Options) { o.CachePolicy.ToolUse = tools }))
				if assert.NoError(t, err) {
					assert.Equal(t, tools, r.StopReason == bedrockkit.StopToolUse)
					assert.False(t, r.CacheHit)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}

// A stream that breaks, is left or is cut is not kept, its error is what it is
// without a cache, and what broke before the first output is retried.
func TestCacheBrokenStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		reply *bedrocktest.Reply
		want  error
	}{
		"cut":       {bedrocktest.Text("one two three four").ChunkSize(4).EndAfter(4), bedrockx.ErrTruncated},
		"aborted":   {bedrocktest.Text("one two three four").ChunkSize(4).AbortAfter(700), bedrockx.ErrTruncated},
		"exception": {bedrocktest.Text("one two three four").ChunkSize(4).ExceptionAfter(4, "ThrottlingException", "slow"), bedrockx.ErrThrottled},
		"corrupt":   {bedrocktest.Text("one two three four").ChunkSize(4).Corrupt(4, 20), bedrockx.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			var errs [2]error
			for i := range errs {
				srv := bedrocktest.NewServer(t)
				client, c := cachedClient(t, srv)
				if i == 1 {
					client = bedrockx.New(srv.Client(), quick)
				}
				srv.Reply(bedrocktest.Throttle(), tt.reply)
				s, err := converse.New(client).Stream(t.Context(), ask("hello"))
				require.NoError(t, err, "the first attempt was retried")
				for _, err := range s.Events() {
					errs[i] = err
				}
				assert.ErrorIs(t, errs[i], tt.want)
				assert.NotEmpty(t, s.Result().Text())
				assert.Equal(t, 2, s.Result().Attempts)
				assert.Nil(t, s.Result().Cost)
				if i == 0 {
					assert.Equal(t, map[bedrockx.CacheReason]uint64{bedrockx.CacheFailed: 1}, c.Stats().Unkept)
				}
			}
			ports := regexp.MustCompile(`127\.0\.0\.1:\d+`)
			assert.Equal(t, ports.ReplaceAllString(errs[1].Error(), ""), ports.ReplaceAllString(errs[0].Error(), ""), "the error is that of a client without a cache")
		})
	}
}

// A stream that stalls does so for all who read it, with the error of a stall.
func TestCacheStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, c := cachedClient(t, srv)
		chat := converse.New(client, converse.Call(func(o *bedrockx.Options) { o.IdleTimeout = time.Minute }))
		srv.Reply(bedrocktest.Text("one two three").ChunkSize(4).StallAfter(3))
		var streams []*stream.Stream
		for range 2 {
			s, err := chat.Stream(t.Context(), ask("hello"))
			require.NoError(t, err)
			streams = append(streams, s)
		}
		var wg sync.WaitGroup
		for _, s := range streams {
			wg.Go(func() {
				var last error
				for _, err := range s.Events() {
					last = err
				}
				assert.ErrorIs(t, last, bedrockx.ErrStalled)
				assert.NotEmpty(t, s.Result().Text())
			})
		}
		wg.Wait()
		assert.Zero(t, c.Stats().Kept)
		assert.Zero(t, c.Stats().InFlight)
	})
}

// 100 callers at once, of whom the first is cancelled: one request, 99 answers,
// and one of them pays.
func TestCacheLeaderCanceled(t *testing.T) {
	for _, kind := range []string{"unary", "stream"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, c := cachedClient(t, srv)
				chat := converse.New(client)
				srv.Reply(bedrocktest.Text("one two three").Delay(10 * time.Second))
				var cancelled, paid, hits atomic.Int64
				call := func(ctx context.Context) {
					var hit bool
					var cost *pricing.Amount
					var text string
					var err error
					if kind == "unary" {
						var r *converse.Response
						if r, err = chat.Send(ctx, ask("hello")); err == nil {
							hit, cost, text = r.CacheHit, r.Cost, r.Text()
						}
					} else {
						var s *stream.Stream
						if s, err = chat.Stream(ctx, ask("hello")); err == nil {
							r := drain(t, s)
							hit, cost, text = r.CacheHit, r.Cost, r.Text()
						}
					}
					if errors.Is(err, context.Canceled) {
						cancelled.Add(1)
						return
					}
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, "one two three", text)
					if assert.NotNil(t, cost) && cost.Sign() > 0 {
						assert.False(t, hit)
						paid.Add(1)
					} else {
						assert.True(t, hit)
						hits.Add(1)
					}
				}
				leader, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				go call(leader)
				synctest.Wait()
				for range 99 {
					go call(t.Context())
				}
				synctest.Wait()
				assert.Equal(t, 1, c.Stats().InFlight)
				cancel()
				synctest.Wait()
				assert.EqualValues(t, 1, cancelled.Load(), "the first one does not wait for the others")
				<-time.After(time.Minute)
				synctest.Wait()
				assert.EqualValues(t, 1, paid.Load())
				assert.EqualValues(t, 98, hits.Load())
				assert.Len(t, srv.Requests(), 1)
				stats := c.Stats()
				assert.Zero(t, stats.InFlight)
				assert.EqualValues(t, 98, stats.Shared)
				assert.Positive(t, stats.Saved.Sign())
			})
		})
	}
}

// Callers of a stream that is under way get it from its beginning, each at his
// own speed, and may leave it, the first one too.
func TestCacheSharedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, c := cachedClient(t, srv)
		chat := converse.New(client)
		srv.Reply(bedrocktest.Text("one two three four five six").ChunkSize(4).Pace(1))
		first, err := chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		for _, err := range first.Text() {
			require.NoError(t, err)
			break // leaves it after its first piece
		}
		assert.Empty(t, c.Stats().InFlight, "nobody is left")
		assert.Equal(t, map[bedrockx.CacheReason]uint64{bedrockx.CacheFailed: 1}, c.Stats().Unkept)

		srv.Reply(bedrocktest.Text("one two three four five six").ChunkSize(4).Pace(1))
		first, err = chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		second, err := chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		for text, err := range first.Text() {
			require.NoError(t, err)
			assert.Equal(t, "one ", text)
			break
		}
		assert.Equal(t, 1, c.Stats().InFlight)
		unary := make(chan *converse.Response)
		go func() {
			r, err := chat.Send(t.Context(), ask("hello"))
			assert.NoError(t, err)
			unary <- r
		}()
		r := drain(t, second)
		assert.Equal(t, "one two three four five six", r.Text())
		assert.True(t, r.CacheHit)
		u := <-unary
		assert.Equal(t, r.Text(), u.Text(), "a unary call waits for the end of the stream")
		assert.True(t, u.CacheHit)
		assert.Len(t, srv.Requests(), 2)
		assert.Nil(t, first.Result().Cost, "what a stream took that was left is not known")
		assert.EqualValues(t, 2, c.Stats().Shared)
		s, err := chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		assert.True(t, drain(t, s).CacheHit)
	})
}

// The last caller to go ends the request, and returns when it has ended.
func TestCacheLastCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, c := cachedClient(t, srv)
		srv.Reply(bedrocktest.Text("late").Delay(time.Hour))
		budget := pricing.NewBudget(mustAmount(t, "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := converse.New(client).Send(ctx, ask("hello"), converse.Call(func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} }))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, c.Stats().InFlight)
		var e *bedrockx.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 1, e.Attempts)
		assert.Positive(t, budget.Spent().Sign(), "what was sent may be billed")
	})
}

func mustAmount(t *testing.T, s string) pricing.Amount {
	a, err := pricing.ParseAmount(s)
	require.NoError(t, err)
	return a
}

// A retry is not waited for that would come after the deadline of every caller.
func TestCacheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv)
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "10"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := converse.New(client).Send(ctx, ask("hello"))
		assert.ErrorIs(t, err, bedrockx.ErrThrottled)
		assert.NoError(t, ctx.Err(), "it is told at once")

		// With another caller, who has more time, both are answered.
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "3").Delay(time.Second), bedrocktest.Text("x"))
		var wg sync.WaitGroup
		for _, timeout := range []time.Duration{2 * time.Second, time.Minute} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := converse.New(client).Send(ctx, ask("again"))
				if timeout == time.Minute {
					assert.NoError(t, err)
				} else {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		}
		wg.Wait()
	})
}

// 100,000 callers of one missing key cost one call.
func TestCacheManyCallers(t *testing.T) {
	callers := int64(10_000)
	if testing.Short() {
		callers = 1000
	}
	srv := bedrocktest.NewServer(t, inProcess)
	client, c := cachedClient(t, srv)
	hold := make(chan struct{})
	srv.Control(bedrockkit.OpInvokeModel, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		<-hold
		return bedrocktest.Text("x")
	})
	var done sync.WaitGroup
	var arrived, paid atomic.Int64
	req := request("hello")
	req.Temperature = new(float64)
	for range callers {
		done.Go(func() {
			if arrived.Add(1) == callers {
				close(hold)
			}
			r, err := bedrockx.Invoke(context.Background(), client, model, req)
			if assert.NoError(t, err) && !r.CacheHit {
				paid.Add(1)
			}
		})
	}
	done.Wait()
	assert.Len(t, srv.Requests(), 1)
	assert.EqualValues(t, 1, paid.Load())
	stats := c.Stats()
	assert.EqualValues(t, callers-1, stats.Hits+stats.Shared)
}

// A caller who found nothing in the store, and comes to send when the answer
// has just been stored, does not send.
func TestCacheLateCaller(t *testing.T) {
	for _, kind := range []string{"unary", "stream"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				filled := make(chan struct{})
				var gets atomic.Int64
				c := bedrockx.NewCache(&store{Store: memcache.New(), get: func() error {
					if gets.Add(1) == 1 {
						<-filled
						return cache.ErrNotFound
					}
					return nil
				}})
				chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = c }))
				late := make(chan bool)
				go func() {
					if kind == "unary" {
						r, err := chat.Send(t.Context(), ask("hello"))
						assert.NoError(t, err)
						late <- r.CacheHit
						return
					}
					s, err := chat.Stream(t.Context(), ask("hello"))
					assert.NoError(t, err)
					late <- drain(t, s).CacheHit
				}()
				synctest.Wait()
				srv.Reply(bedrocktest.Text("x"))
				_, err := chat.Send(t.Context(), ask("hello"))
				require.NoError(t, err)
				close(filled)
				assert.True(t, <-late)
				assert.Len(t, srv.Requests(), 1)
				assert.EqualValues(t, 1, c.Stats().Hits)
				assert.Zero(t, c.Stats().InFlight)
			})
		})
	}
}

// An answer past its TTL is given once more, while it is asked for anew.
func TestCacheStale(t *testing.T) {
	for _, kind := range []string{"unary", "stream"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				var mu sync.Mutex
				var told []error
				client, c := cachedClient(t, srv, func(o *bedrockx.CacheOptions) {
					o.TTL, o.Stale = time.Minute, time.Hour
					o.OnError = func(_ context.Context, err error) { mu.Lock(); told = append(told, err); mu.Unlock() }
				})
				budget := pricing.NewBudget(mustAmount(t, "1"))
				chat := converse.New(client, converse.Call(func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} }))
				send := func() (string, bool) {
					if kind == "unary" {
						r, err := chat.Send(t.Context(), ask("hello"))
						require.NoError(t, err)
						return r.Text(), r.CacheHit
					}
					s, err := chat.Stream(t.Context(), ask("hello"))
					require.NoError(t, err)
					r := drain(t, s)
					return r.Text(), r.CacheHit
				}
				usage := bedrockkit.Usage{InputTokens: 1000, OutputTokens: 1000}
				srv.Reply(bedrocktest.Text("old").Usage(usage))
				_, hit := send()
				assert.False(t, hit)
				spent := budget.Spent()
				<-time.After(2 * time.Minute)

				srv.Reply(bedrocktest.Text("new").Usage(usage).Delay(10 * time.Second))
				for range 3 {
					text, hit := send()
					assert.Equal(t, "old", text)
					assert.True(t, hit)
				}
				synctest.Wait()
				assert.Equal(t, 1, c.Stats().Refreshing)
				<-time.After(11 * time.Second)
				text, hit := send()
				assert.Equal(t, "new", text)
				assert.True(t, hit)
				assert.Equal(t, spent.Mul(2), budget.Spent(), "a refresh is a call that costs")
				assert.EqualValues(t, 3, c.Stats().Stale)

				// One that fails leaves the old answer, and is told.
				<-time.After(2 * time.Minute)
				srv.Reply(bedrocktest.Error(400, "ValidationException", "no"))
				text, _ = send()
				assert.Equal(t, "new", text)
				synctest.Wait()
				mu.Lock()
				require.Len(t, told, 1)
				assert.ErrorIs(t, told[0], bedrockx.ErrValidation)
				mu.Unlock()

				// Close ends the one that is under way.
				srv.Reply(bedrocktest.Text("never").Delay(time.Hour))
				send()
				synctest.Wait()
				assert.Equal(t, 1, c.Stats().Refreshing)
				require.NoError(t, c.Close())
				assert.Zero(t, c.Stats().Refreshing)
				text, hit = send()
				assert.Equal(t, "new", text, "a closed cache has its hits")
				assert.True(t, hit)
				<-time.After(2 * time.Hour)
				srv.Reply(bedrocktest.Text("newest"))
				text, hit = send()
				assert.Equal(t, "newest", text)
				assert.False(t, hit)
			})
		})
	}
}

// store is one that can be made to fail.
type store struct {
	cache.Store
	get, set func() error
	value    func(cache.Key) []byte
}

func (s *store) Get(ctx context.Context, key cache.Key) (cache.Entry, error) {
	if s.get != nil {
		if err := s.get(); err != nil {
			return cache.Entry{}, err
		}
	}
	if s.value != nil {
		return cache.Entry{Value: s.value(key)}, nil
	}
	return s.Store.Get(ctx, key)
}

func (s *store) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	if s.set != nil {
		if err := s.set(); err != nil {
			return err
		}
	}
	return s.Store.Set(ctx, key, value, ttl)
}

// Whatever a store does, the request succeeds, and errors hold nothing of it.
func TestCacheSickStore(t *testing.T) {
	kaputt := func() error { return errors.New("kaputt") }
	for name, tt := range map[string]struct {
		store  store
		why    bedrockx.CacheReason
		unkept bool
	}{
		"down":           {store{get: kaputt, set: kaputt}, bedrockx.CacheUnavailable, true},
		"read-only":      {store{set: kaputt}, bedrockx.CacheAbsent, true},
		"corrupt":        {store{get: func() error { return cache.ErrCorrupt }}, bedrockx.CacheCorrupt, false},
		"rubbish":        {store{value: always("canary")}, bedrockx.CacheCorrupt, false},
		"empty":          {store{value: always("")}, bedrockx.CacheCorrupt, false},
		"cut":            {store{value: always("\x01\x00\x02\xc8")}, bedrockx.CacheCorrupt, false},
		"another answer": {store{value: entryOf(`{"canary":1}`)}, bedrockx.CacheForm, false},
	} {
		for _, kind := range []string{"unary", "stream"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				s := tt.store
				s.Store = memcache.New()
				var told []string
				c := bedrockx.NewCache(&s, func(o *bedrockx.CacheOptions) {
					o.OnError = func(_ context.Context, err error) { told = append(told, err.Error()) }
				})
				chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = c }))
				srv.Reply(bedrocktest.Text("answer"))
				if kind == "unary" {
					r, err := chat.Send(t.Context(), ask("canary"))
					require.NoError(t, err)
					assert.Equal(t, "answer", r.Text())
					assert.False(t, r.CacheHit)
				} else {
					s, err := chat.Stream(t.Context(), ask("canary"))
					require.NoError(t, err)
					r := drain(t, s)
					assert.Equal(t, "answer", r.Text())
					assert.False(t, r.CacheHit)
				}
				why := tt.why
				if why == bedrockx.CacheForm && kind == "unary" {
					why = bedrockx.CacheCorrupt
				}
				assert.Equal(t, map[bedrockx.CacheReason]uint64{why: 1}, c.Stats().Misses)
				assert.Equal(t, tt.unkept, c.Stats().Unkept[bedrockx.CacheUnavailable] == 1)
				assert.NotContains(t, fmt.Sprint(told), "canary")
			})
		}
	}
}

func always(value string) func(cache.Key) []byte {
	return func(cache.Key) []byte { return []byte(value) }
}

// entryOf is an entry as NewCache writes it, with a body of one's own.
func entryOf(body string) func(cache.Key) []byte {
	return func(key cache.Key) []byte {
		b := append([]byte{1, 0, 0, 0, 0}, key.Sum[:]...)
		b = append(b, 0)
		b = append(b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f) // fresh for long
		b = append(b, 1, 'm', 0, 0, 0)
		b = append(b, 0, 0, 0, 0, 0, 0)
		b = append(b, body...)
		binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[5:], crc32.MakeTable(crc32.Castagnoli)))
		return b
	}
}

// No TTL is too long.
func TestCacheForEver(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	client, _ := cachedClient(t, srv, func(o *bedrockx.CacheOptions) { o.TTL, o.Stale = math.MaxInt64, time.Hour })
	chat := converse.New(client)
	for i := range 2 {
		r, err := chat.Send(t.Context(), ask("hello"))
		require.NoError(t, err)
		assert.Equal(t, i > 0, r.CacheHit)
	}
}

// A store that mixes entries up, cuts them or changes a byte of them gives
// nobody a wrong answer.
func TestCacheDamagedEntries(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	var good [2][]byte // the entries of the two questions
	questions := [2]string{"Do you ship?", "Do you hire?"}
	s := &store{Store: memcache.New()}
	chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = bedrockx.NewCache(s) }))
	given := func(value []byte) bool {
		s.value = func(cache.Key) []byte { return value }
		r, err := chat.Send(t.Context(), ask(questions[0]))
		require.NoError(t, err)
		require.Contains(t, r.Text(), questions[0])
		return r.CacheHit
	}
	for i, q := range questions {
		var key cache.Key
		s.value = nil
		_, err := chat.Send(t.Context(), ask(q))
		require.NoError(t, err)
		s.value = func(k cache.Key) []byte { key = k; return nil }
		_, err = chat.Send(t.Context(), ask(q))
		require.NoError(t, err)
		e, err := s.Store.Get(t.Context(), key)
		require.NoError(t, err)
		good[i] = e.Value
	}
	assert.True(t, given(good[0]))
	assert.False(t, given(good[1]), "of another request")
	for i := range good[0] {
		bad := slices.Clone(good[0])
		bad[i] ^= 1
		assert.False(t, given(bad), "byte %d changed", i)
		assert.False(t, given(good[0][:i]), "cut at byte %d", i)
	}
	assert.False(t, given(append(slices.Clone(good[0]), ' ')), "longer")
}

// A panic below is an error for all who wait, which does not say what it was
// given, and the client lives on.
func TestCachePanic(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client, c := cachedClient(t, srv)
	chat := converse.New(client)
	_, err := chat.Send(t.Context(), ask("hello"), converse.Call(func(o *bedrockx.Options) {
		o.SDKOptions = append(o.SDKOptions, func(*bedrockruntime.Options) { panic("canary") })
	}))
	var panicked *cache.PanicError
	require.ErrorAs(t, err, &panicked)
	assert.Equal(t, "canary", panicked.Value)
	assert.NotContains(t, err.Error(), "canary")
	assert.Zero(t, c.Stats().InFlight)
	srv.Reply(bedrocktest.Text("x"))
	_, err = chat.Send(t.Context(), ask("hello"))
	assert.NoError(t, err)

	// Nor does a store that panics.
	var told []error
	c = bedrockx.NewCache(&store{Store: memcache.New(), set: func() error { panic("canary") }}, func(o *bedrockx.CacheOptions) {
		o.OnError = func(_ context.Context, err error) { told = append(told, err) }
	})
	srv.Reply(bedrocktest.Text("y"))
	r, err := chat.Send(t.Context(), ask("hello"), converse.Call(func(o *bedrockx.Options) { o.Cache = c }))
	require.NoError(t, err)
	assert.Equal(t, "y", r.Text())
	require.Len(t, told, 1)
	assert.NotContains(t, told[0].Error(), "canary")
}

// What another model has answered is kept under its name, and not as an answer
// of the one that was asked.
func TestCacheFallback(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client, _ := cachedClient(t, srv)
	chat := converse.New(client, converse.Call(fallBackOn(bedrockx.Target{Model: sonnet})), converse.Call(func(o *bedrockx.Options) { o.MaxAttempts = 1 }))
	srv.Reply(bedrocktest.Exception("ServiceUnavailableException"), bedrocktest.Text("of sonnet"))
	r, err := chat.Send(t.Context(), ask("hello"))
	require.NoError(t, err)
	assert.Equal(t, sonnet, r.Model)
	assert.Equal(t, 2, r.Attempts)

	srv.Reply(bedrocktest.Text("of haiku"))
	r, err = chat.Send(t.Context(), ask("hello"))
	require.NoError(t, err)
	assert.False(t, r.CacheHit)
	assert.Equal(t, haiku, r.Model)

	for _, want := range []bedrockkit.ModelID{sonnet, haiku} {
		req := ask("hello")
		req.Model = want
		r, err = chat.Send(t.Context(), req)
		require.NoError(t, err)
		assert.True(t, r.CacheHit)
		assert.Equal(t, want, r.Model)
	}
}

// What hits have saved is in the ledger, by tenant.
func TestCacheLedger(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	ledger := pricing.NewLedger()
	client, c := cachedClient(t, srv, func(o *bedrockx.CacheOptions) { o.Ledger = ledger })
	chat := converse.New(client)
	srv.Reply(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 1000, OutputTokens: 10}))
	first, err := chat.Send(t.Context(), ask("hello"), ofTenant("a"))
	require.NoError(t, err)
	assert.Empty(t, ledger.Sums())
	for range 3 {
		_, err := chat.Send(t.Context(), ask("hello"), ofTenant("a"))
		require.NoError(t, err)
	}
	sums := ledger.Sums()
	require.Len(t, sums, 1)
	assert.Equal(t, "a", sums[0].Tenant)
	assert.EqualValues(t, 3, sums[0].Requests)
	assert.EqualValues(t, 3000, sums[0].Usage.InputTokens)
	assert.Equal(t, first.Cost.Mul(3), sums[0].Cost)
	data, err := json.Marshal(c.Stats())
	require.NoError(t, err)
	assert.JSONEq(t, fmt.Sprintf(`{"hits":3,"shared":0,"misses":{"absent":1},"kept":1,"unkept":{},"saved":%q,
		"saved_usage":{"input_tokens":3000,"output_tokens":30},"in_flight":0,"refreshing":0}`, first.Cost.Mul(3)), string(data))
}

// A hit can be streamed at a pace, and left on the way.
func TestCachePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv, func(o *bedrockx.CacheOptions) { o.Pace = 10 })
		chat := converse.New(client)
		srv.Reply(bedrocktest.Text(strings.Repeat("ワ", 100)))
		_, err := chat.Send(t.Context(), ask("hello"))
		require.NoError(t, err)
		began := time.Now()
		s, err := chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		pieces := 0
		for text, err := range s.Text() {
			require.NoError(t, err)
			assert.Equal(t, "ワワワワ", text)
			pieces++
		}
		assert.Equal(t, 25, pieces)
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.True(t, s.Result().CacheHit)

		s, err = chat.Stream(t.Context(), ask("hello"))
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { s.Close() })
		for _, err = range s.Text() {
			if err != nil {
				break
			}
		}
		assert.ErrorIs(t, err, stream.ErrClosed)
	})
}

// An embedding has neither a temperature nor a stop reason.
func TestCacheEmbeddings(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client, c := cachedClient(t, srv)
	send := func(optFns ...func(*bedrockx.Options)) *bedrockx.Result[titan.EmbedResponse] {
		r, err := bedrockx.Invoke(t.Context(), client, "amazon.titan-embed-text-v2:0", titan.EmbedRequest{InputText: "pirates"}, optFns...)
		require.NoError(t, err)
		return r
	}
	anyTemperature := func(o *bedrockx.Options) { o.CachePolicy.AnyTemperature = true }
	first := send(anyTemperature)
	again := send(anyTemperature)
	assert.True(t, again.CacheHit)
	assert.Equal(t, first.Output, again.Output)
	assert.False(t, send().CacheHit)
	assert.Len(t, srv.Requests(), 2)
	assert.EqualValues(t, 1, c.Stats().Kept)
}

// mock is a RuntimeAPI without HTTP.
type mockInvoke struct {
	bedrockx.RuntimeAPI
	calls atomic.Int64
}

func (m *mockInvoke) InvokeModel(context.Context, *bedrockruntime.InvokeModelInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error) {
	m.calls.Add(1)
	return &bedrockruntime.InvokeModelOutput{Body: []byte(`{"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`)}, nil
}

// The answers of a mock are not kept, and are given as they were.
func TestCacheMock(t *testing.T) {
	api := &mockInvoke{}
	c := bedrockx.NewCache(memcache.New())
	client := bedrockx.New(api, func(o *bedrockx.Options) { o.Cache = c })
	for range 2 {
		req := request("hi")
		req.Temperature = new(float64)
		r, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.Equal(t, "hi", r.Output.Text())
		assert.False(t, r.CacheHit)
	}
	assert.EqualValues(t, 2, api.calls.Load())
	assert.EqualValues(t, 2, c.Stats().Unkept[bedrockx.CacheRequest])
}

// Callers come and go at all times, some of streams; who stays is answered.
func TestCacheUnderLoad(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	client, c := cachedClient(t, srv)
	chat := converse.New(client)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				req := ask(fmt.Sprint("question ", i%10))
				leave := (i+w)%4 == 0
				if leave {
					go cancel()
				}
				fresh := converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Fresh = i%3 == 0 })
				var err error
				if w%2 == 0 {
					_, err = chat.Send(ctx, req, fresh)
				} else {
					var s *stream.Stream
					if s, err = chat.Stream(ctx, req, fresh); err == nil {
						for _, err = range s.Events() {
							if err != nil || i%5 == 0 {
								break
							}
						}
						s.Close()
					}
				}
				if !leave {
					assert.NoError(t, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	assert.Zero(t, c.Stats().InFlight)
}

// BenchmarkCacheHit is a call that is answered from memory, through the whole
// pipeline and its own decoding.
func BenchmarkCacheHit(b *testing.B) {
	srv := bedrocktest.NewServer(b, inProcess)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = bedrockx.NewCache(memcache.New()) })
	for _, n := range []int{1000, 20_000} {
		body := rawPayload(fmt.Sprintf(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":%q}]}`, strings.Repeat("A pirate. ", n/10)))
		srv.Reply(bedrocktest.Text("x"))
		b.Run(fmt.Sprintf("%d kB", n/1000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bedrockx.Invoke(b.Context(), client, model, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A policy that looks at answers sees those of the cache too, and what one
// caller's refuses, another's may take.
func TestCacheRefusedAnswers(t *testing.T) {
	for _, kind := range []string{"unary", "stream"} {
		t.Run(kind, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			client, c := cachedClient(t, srv)
			chat := converse.New(client)
			refused := errors.New("not here")
			strict := converse.Call(func(o *bedrockx.Options) {
				o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
					return func(ctx context.Context, call *bedrockx.Call) error {
						call.OnText = append(call.OnText, func(text string) error {
							if strings.Contains(text, "secret") {
								return refused
							}
							return nil
						})
						return next(ctx, call)
					}
				})
			})
			send := func(optFns ...func(*converse.Options)) (hit bool, err error) {
				if kind == "unary" {
					r, err := chat.Send(t.Context(), ask("hello"), optFns...)
					return err == nil && r.CacheHit, err
				}
				s, err := chat.Stream(t.Context(), ask("hello"), optFns...)
				if err != nil {
					return false, err
				}
				for _, err := range s.Events() {
					if err != nil {
						return false, err
					}
				}
				return s.Result().CacheHit, nil
			}
			srv.Reply(bedrocktest.Text("the secret"))
			_, err := send()
			require.NoError(t, err)
			for range 2 {
				_, err := send(strict)
				assert.ErrorIs(t, err, refused)
				hit, err := send()
				require.NoError(t, err)
				assert.True(t, hit)
			}
			assert.Len(t, srv.Requests(), 1)
			assert.Zero(t, c.Stats().InFlight)
		})
	}
}

// The parameters of InvokeModel are the same wherever they are set.
func TestCacheInvokeParams(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	client, _ := cachedClient(t, srv)
	body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"hi"}]}`
	send := func(p bedrockx.InvokeParams) bool {
		r, err := bedrockx.Invoke(t.Context(), client, model, rawPayload(body), func(o *bedrockx.Options) { o.Invoke = p })
		require.NoError(t, err)
		return r.CacheHit
	}
	for _, p := range []bedrockx.InvokeParams{{}, {Latency: "optimized"}, {ServiceTier: "flex"}, {Guardrail: bedrockkit.Guardrail{Trace: "enabled"}}} {
		assert.False(t, send(p), "%+v", p)
		assert.True(t, send(p), "%+v", p)
	}
	s, err := stream.InvokeModel(t.Context(), client, &bedrockruntime.InvokeModelWithResponseStreamInput{
		ModelId: aws.String(string(model)), Body: []byte(body), PerformanceConfigLatency: "optimized",
	}, anthropic.NewDecoder)
	require.NoError(t, err)
	assert.True(t, drain(t, s).CacheHit)
}
