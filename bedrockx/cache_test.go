package bedrockx_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
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
			return bedrocktest.Text("Let me look.").ToolUse("search", map[string]any{"q": "<x>", "n": 12345678901234567})
		},
		"no input": func() *bedrocktest.Reply { return bedrocktest.ToolUse("search", nil) },
	}
	for name, reply := range replies {
		for _, filled := range []string{"unary", "stream"} {
			t.Run(name+" kept of a "+filled, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, c := cachedClient(t, srv)
				chat := converse.New(client, func(o *converse.Options) {
					o.Call = append(o.Call, func(o *bedrockx.Options) { o.Caching.ToolUse = true })
				})
				req := ask("hello")
				req.Tools = []converse.ToolSpec{tool}
				send := func(chat *converse.Client, kind string) (content any, result *stream.Result) {
					if kind == "unary" {
						r, err := chat.Send(t.Context(), req)
						require.NoError(t, err)
						return r.Message, &stream.Result{StopReason: r.StopReason, CacheHit: r.CacheHit, Cost: r.Cost, Usage: r.Usage, Model: r.Model}
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
		dec   stream.Decoder
		body  string
	}{
		{"anthropic.claude-3-haiku-20240307-v1:0", stream.Anthropic, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"hi"}]}`},
		{"amazon.nova-lite-v1:0", stream.Nova, `{"schemaVersion":"messages-v1","inferenceConfig":{"temperature":0},"messages":[{"role":"user","content":[{"text":"hi"}]}]}`},
		{"meta.llama3-8b-instruct-v1:0", stream.Llama, `{"prompt":"hi","temperature":0}`},
		{"mistral.mistral-7b-instruct-v0:2", stream.Mistral, `{"prompt":"hi","temperature":0}`},
		{"amazon.titan-text-express-v1", stream.Titan, `{"inputText":"hi","textGenerationConfig":{"temperature":0}}`},
		{"cohere.command-r-v1:0", stream.Cohere, `{"message":"hi","temperature":0}`},
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
