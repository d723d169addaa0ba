package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/openai"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/stream"
)

const (
	oss  bedrockkit.ModelID = "openai.gpt-oss-120b-1:0"
	qwen bedrockkit.ModelID = "qwen.qwen3-32b-v1:0"
)

func ptr[T any](v T) *T { return &v }

func newFake(tb testing.TB) (*bedrocktest.Server, *bedrockx.Client) {
	srv := bedrocktest.NewServer(tb, func(o *bedrocktest.Options) { o.InProcess = true })
	return srv, bedrockx.New(srv.Client())
}

func ExampleRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura."))
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	result, err := bedrockx.Invoke(context.Background(), client, "openai.gpt-oss-120b-1:0", openai.Request{
		MaxTokens:       500,
		ReasoningEffort: "low",
		Messages:        []openai.Message{openai.System("Answer in a few words."), openai.User("Who wrote Berserk?")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Output.Text(), result.StopReason)
	// Output: Kentaro Miura. end_turn
}

// A tool and its result, with reasoning in either of its places.
func TestTools(t *testing.T) {
	for _, model := range []bedrockkit.ModelID{oss, qwen} {
		srv, client := newFake(t)
		srv.Reply(bedrocktest.Reasoning("Look it up.").ToolUse("stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."))
		req := openai.Request{
			MaxTokens:  100,
			Messages:   []openai.Message{openai.System("You sell manga."), openai.User("How many?")},
			Tools:      []openai.Tool{{Function: openai.Function{Name: "stock", Description: "Copies of a title", Parameters: json.RawMessage(`{"type":"object"}`)}}},
			ToolChoice: &openai.ToolChoice{Name: "stock"},
		}
		first, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.Equal(t, bedrockkit.StopToolUse, first.StopReason)
		assert.Equal(t, "Look it up.", first.Output.Reasoning())
		assert.Empty(t, first.Output.Text())
		assert.Positive(t, first.Usage.InputTokens)
		message := first.Output.Message()
		require.Len(t, message.ToolCalls, 1)
		assert.JSONEq(t, `{"title":"Berserk"}`, message.ToolCalls[0].Function.Arguments)

		req.Messages = append(req.Messages, message, openai.ToolResult(message.ToolCalls[0].ID, `{"copies":3}`))
		req.ToolChoice = nil
		second, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.Equal(t, "Three.", second.Output.Text())
		assert.JSONEq(t, `{"copies":3}`, srv.Requests()[1].ToolResults()[0].Text())
		assert.Equal(t, int64(100), srv.Requests()[0].MaxTokens)
		assert.NotContains(t, string(srv.Requests()[1].Body), "Look it up", "reasoning is not sent back")
		assert.Equal(t, "tool", srv.Requests()[0].ToolChoice.Mode)
	}
}

// A stream is a request that knows how its answer is read.
func TestStream(t *testing.T) {
	for _, model := range []bedrockkit.ModelID{oss, qwen} {
		srv, client := newFake(t)
		srv.Reply(bedrocktest.Reasoning("Hm, hm.").Text("One two three.").ToolUse("stock", map[string]any{"n": 1}).ChunkSize(3))
		s, err := stream.Invoke(t.Context(), client, model, openai.Request{Messages: []openai.Message{openai.User("Go")},
			Tools: []openai.Tool{{Function: openai.Function{Name: "stock", Parameters: json.RawMessage(`{"type":"object"}`)}}}})
		require.NoError(t, err)
		text := ""
		for piece, err := range s.Text() {
			require.NoError(t, err)
			text += piece
		}
		assert.Equal(t, "One two three.", text, model)
		r := s.Result()
		require.Len(t, r.Blocks, 3)
		assert.Equal(t, stream.BlockReasoning, r.Blocks[0].Kind)
		assert.Equal(t, "Hm, hm.", r.Blocks[0].Text)
		assert.JSONEq(t, `{"n":1}`, string(r.Blocks[2].Input))
		assert.Equal(t, bedrockkit.StopToolUse, r.StopReason)
		assert.True(t, r.Complete)
		assert.False(t, r.Usage.Unknown)
	}
}

// An answer is an answer, streamed or not: one entry of a cache serves both.
func TestCached(t *testing.T) {
	for _, model := range []bedrockkit.ModelID{oss, qwen} {
		srv, _ := newFake(t)
		store := bedrockx.NewCache(memcache.New())
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = store })
		srv.Reply(bedrocktest.Reasoning("Hm.").Text("One two three."))
		req := openai.Request{Temperature: ptr(0.0), Messages: []openai.Message{openai.User("Go")}}
		s, err := stream.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		for _, err := range s.Events() {
			require.NoError(t, err)
		}
		result, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.True(t, result.CacheHit)
		assert.Equal(t, "One two three.", result.Output.Text())
		assert.Equal(t, "Hm.", result.Output.Reasoning())
		assert.Len(t, srv.Requests(), 1)
	}
}

func TestBody(t *testing.T) {
	req := openai.Request{
		MaxTokens: 9, Temperature: ptr(0.5), Stop: []string{"END"}, Seed: ptr(int64(7)), ReasoningEffort: "high", ParallelToolCalls: ptr(false),
		ResponseFormat: openai.JSON("answer", json.RawMessage(`{"type":"object"}`)),
		Messages: []openai.Message{
			{Role: "user", Content: openai.Content{{Type: "text", Text: "<"}, openai.Image("image/png", []byte{1})}},
			{Role: "assistant", ToolCalls: []openai.ToolCall{{ID: "1", Type: "function", Function: openai.FunctionCall{Name: "f", Arguments: "{}"}}}}, openai.ToolResult("1", "ok"),
		},
		Extra: map[string]json.RawMessage{"user": json.RawMessage(`"u"`)},
	}
	const rest = `"temperature":0.5,"seed":7,"stop":["END"],"reasoning_effort":"high","parallel_tool_calls":false,` +
		`"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"},"strict":true}}`
	const messages = `{"messages":[{"role":"user","content":[{"type":"text","text":"<"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQ=="}}]},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"ok","tool_call_id":"1"}],`
	body, err := req.EncodeInvoke(qwen)
	require.NoError(t, err)
	assert.Equal(t, messages+`"max_tokens":9,`+rest+`,"user":"u"}`, string(body))
	var read openai.Request
	require.NoError(t, json.Unmarshal(body, &read))
	assert.Equal(t, req, read)

	body, err = req.EncodeInvoke(oss)
	require.NoError(t, err)
	assert.Equal(t, messages+rest+`,"max_completion_tokens":9,"user":"u"}`, string(body), "the name that OpenAI's models take")
	assert.Equal(t, 9, req.MaxOutputTokens())
	assert.Equal(t, 9, req.MaxTokens, "the request was not changed")
	assert.Len(t, req.Extra, 1)

	for _, choice := range []string{`"required"`, `{"type":"function","function":{"name":"f"}}`} {
		var c openai.ToolChoice
		require.NoError(t, json.Unmarshal([]byte(choice), &c))
		again, err := json.Marshal(c)
		require.NoError(t, err)
		assert.Equal(t, choice, string(again))
	}
	assert.Error(t, json.Unmarshal([]byte(`{"type":"function"}`), new(openai.ToolChoice)))
}

func TestRefused(t *testing.T) {
	with := func(change func(*openai.Request)) openai.Request {
		r := openai.Request{Messages: []openai.Message{openai.User("x")}}
		change(&r)
		return r
	}
	say := func(m ...openai.Message) openai.Request { return openai.Request{Messages: m} }
	tool := func(name string) openai.Tool { return openai.Tool{Function: openai.Function{Name: name}} }
	call := openai.Message{Role: "assistant", ToolCalls: []openai.ToolCall{{ID: "1", Function: openai.FunctionCall{Name: "f"}}}}
	for name, tt := range map[string]struct {
		req  openai.Request
		want string
	}{
		"no messages":     {openai.Request{}, "messages is empty"},
		"role":            {say(openai.Message{Role: "model"}), "messages[0].role"},
		"empty":           {say(openai.Message{Role: "user"}), "messages[0].content is empty"},
		"part":            {say(openai.Message{Role: "user", Content: openai.Content{{Text: "x"}}}), "messages[0].content[0] has no type"},
		"image":           {say(openai.Message{Role: "user", Content: openai.Content{{Type: "image_url"}}}), "image_url has no url"},
		"assistant":       {say(openai.Message{Role: "assistant"}), "neither content nor tool calls"},
		"call without id": {say(openai.Message{Role: "assistant", ToolCalls: []openai.ToolCall{{}}}), "tool_calls[0] needs an id"},
		"call twice":      {say(call, call), "as is that of another call"},
		"result of none":  {say(openai.User("x"), openai.ToolResult("9", "x")), "messages[1].tool_call_id is \"9\""},
		"result twice":    {say(call, openai.ToolResult("1", "x"), openai.ToolResult("1", "x")), "messages[2].tool_call_id"},
		"tokens":          {with(func(r *openai.Request) { r.MaxTokens = -1 }), "max_tokens is -1"},
		"tokens twice": {with(func(r *openai.Request) {
			r.MaxTokens, r.Extra = 1, map[string]json.RawMessage{"max_completion_tokens": json.RawMessage("2")}
		}), "both set"},
		"tool name":  {with(func(r *openai.Request) { r.Tools = []openai.Tool{tool("a b")} }), "tools[0].function.name"},
		"tool twice": {with(func(r *openai.Request) { r.Tools = []openai.Tool{tool("a"), tool("a")} }), "another tool"},
		"tool type":  {with(func(r *openai.Request) { r.Tools = []openai.Tool{{Type: "web"}} }), "tools[0].type"},
		"schema": {with(func(r *openai.Request) {
			r.Tools = []openai.Tool{{Function: openai.Function{Name: "a", Parameters: json.RawMessage(`[]`)}}}
		}), "not a JSON object"},
		"choice":          {with(func(r *openai.Request) { r.ToolChoice = &openai.ToolChoice{Mode: "any"} }), "tool_choice is \"any\""},
		"choice of none":  {with(func(r *openai.Request) { r.ToolChoice = &openai.ToolChoice{Name: "a"} }), "not a tool of the request"},
		"choice of two":   {with(func(r *openai.Request) { r.ToolChoice = &openai.ToolChoice{Name: "a", Mode: "auto"} }), "it needs one"},
		"required":        {with(func(r *openai.Request) { r.ToolChoice = &openai.ToolChoice{Mode: "required"} }), "has no tools"},
		"format":          {with(func(r *openai.Request) { r.ResponseFormat = &openai.ResponseFormat{Type: "xml"} }), "response_format.type"},
		"format's schema": {with(func(r *openai.Request) { r.ResponseFormat = openai.JSON("", nil) }), "response_format.json_schema"},
		"temperature":     {with(func(r *openai.Request) { r.Temperature = ptr(2.1) }), "temperature is 2.1"},
		"penalty":         {with(func(r *openai.Request) { r.PresencePenalty = ptr(-3.0) }), "presence_penalty is -3"},
	} {
		_, err := tt.req.EncodeInvoke(qwen)
		assert.ErrorContains(t, err, tt.want, name)
		_, err = tt.req.EncodeInvoke("amazon.nova-lite-v1:0")
		assert.ErrorContains(t, err, "openai.Request is for models named openai.…", name)
	}
	for _, model := range []bedrockkit.ModelID{"deepseek.v3.2", "zai.glm-5", "moonshot.kimi-k2-thinking", "moonshotai.kimi-k3", "minimax.minimax-m2", "google.gemma-3-27b-it",
		"nvidia.nemotron-nano-9b-v2", "us.xai.grok-4.6", "mistral.mistral-large-3-675b-instruct", "global.openai.gpt-6-sol"} {
		_, err := openai.Request{Messages: []openai.Message{openai.User("x")}}.EncodeInvoke(model)
		assert.NoError(t, err, model)
	}
	for _, model := range []bedrockkit.ModelID{"us.deepseek.r1-v1:0", "mistral.mistral-large-2407-v1:0"} {
		_, err := openai.Request{Messages: []openai.Message{openai.User("x")}}.EncodeInvoke(model)
		assert.Error(t, err, "%s takes another body", model)
	}
}

func TestDecode(t *testing.T) {
	body := `{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"<reasoning>h</reasoning>x","annotations":[1]},"finish_reason":"length"}],` +
		`"usage":{"prompt_tokens":2600,"completion_tokens":20,"total_tokens":2620,"prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":400}},"new":1}`
	resp, usage, stop, err := openai.Request{}.DecodeInvoke(json.RawMessage(body))
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 200, OutputTokens: 20, CacheReadTokens: 2000, CacheWrite5mTokens: 400}, usage)
	assert.Equal(t, bedrockkit.StopMaxTokens, stop)
	assert.Equal(t, "x", resp.Text())
	assert.Equal(t, "h", resp.Reasoning())
	assert.Equal(t, openai.Assistant("x"), resp.Message())
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.JSONEq(t, body, string(stored))

	cut := openai.Response{Choices: []openai.Choice{{Message: openai.Assistant("<reasoning>h")}}}
	assert.Empty(t, cut.Text())
	assert.Equal(t, "h", cut.Reasoning())
	assert.Empty(t, openai.Response{}.Text()+openai.Response{}.Reasoning())
	assert.Equal(t, openai.Message{Role: "assistant"}, openai.Response{}.Message())
	for _, body := range []string{`{"choices":[]}`, `[]`, `{"choices":[{"message":{"content":5}}]}`} {
		_, _, _, err := openai.Request{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
	assert.Equal(t, bedrockkit.StopContentFiltered, openai.StopReason("content_filter"))
}
