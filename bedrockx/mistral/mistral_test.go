package mistral_test

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
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
)

const (
	mixtral bedrockkit.ModelID = "mistral.mixtral-8x7b-instruct-v0:1"
	large24 bedrockkit.ModelID = "mistral.mistral-large-2407-v1:0"
	large3  bedrockkit.ModelID = "mistral.mistral-large-3-675b-instruct"
)

func ptr[T any](v T) *T { return &v }

func newFake(tb testing.TB) (*bedrocktest.Server, *bedrockx.Client) {
	srv := bedrocktest.NewServer(tb, func(o *bedrocktest.Options) { o.InProcess = true })
	return srv, bedrockx.New(srv.Client())
}

func ExampleChatRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura."))
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	result, err := bedrockx.Invoke(context.Background(), client, "mistral.mistral-large-2407-v1:0", mistral.ChatRequest{
		MaxTokens: 100,
		Messages:  []mistral.Message{mistral.System("Answer in a few words."), mistral.User("Who wrote Berserk?")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Output.Text(), result.StopReason)
	// Output: Kentaro Miura. end_turn
}

func TestText(t *testing.T) {
	srv, client := newFake(t)
	srv.Reply(bedrocktest.Text("One two").Stop("max_tokens"))
	req := mistral.TextRequest{Prompt: "<s>[INST] Hi [/INST]", MaxTokens: 9, Stop: []string{"END"}, TopK: ptr(5), Extra: map[string]json.RawMessage{"seed": json.RawMessage("1")}}
	result, err := bedrockx.Invoke(t.Context(), client, mixtral, req)
	require.NoError(t, err)
	assert.Equal(t, "One two", result.Output.Text())
	assert.Equal(t, bedrockkit.StopMaxTokens, result.StopReason)
	assert.False(t, result.Usage.Unknown, "it is that of the headers")
	assert.Equal(t, `{"prompt":"<s>[INST] Hi [/INST]","max_tokens":9,"stop":["END"],"top_k":5,"seed":1}`, string(srv.Requests()[0].Body))
	assert.Equal(t, 9, req.MaxOutputTokens())
	var read mistral.TextRequest
	require.NoError(t, json.Unmarshal(srv.Requests()[0].Body, &read))
	assert.Equal(t, req, read)
}

// A tool and its result, in the words of the older models and of the newer.
func TestChat(t *testing.T) {
	for _, model := range []bedrockkit.ModelID{large24, large3} {
		srv, client := newFake(t)
		srv.Reply(bedrocktest.ToolUse("stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."))
		req := mistral.ChatRequest{
			MaxTokens: 100,
			Messages:  []mistral.Message{mistral.System("You sell manga."), mistral.User("How many?")},
			Tools:     []mistral.Tool{{Function: mistral.Function{Name: "stock", Parameters: json.RawMessage(`{"type":"object"}`)}}},
		}
		first, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.Equal(t, bedrockkit.StopToolUse, first.StopReason)
		message := first.Output.Choices[0].Message
		require.Len(t, message.ToolCalls, 1)
		assert.JSONEq(t, `{"title":"Berserk"}`, message.ToolCalls[0].Function.Arguments)
		assert.Positive(t, first.Usage.InputTokens)

		req.Messages = append(req.Messages, message, mistral.ToolResult(message.ToolCalls[0].ID, `{"copies":3}`))
		second, err := bedrockx.Invoke(t.Context(), client, model, req)
		require.NoError(t, err)
		assert.Equal(t, "Three.", second.Output.Text())
		assert.Equal(t, bedrockkit.StopEndTurn, second.StopReason)
		assert.JSONEq(t, `{"copies":3}`, srv.Requests()[1].ToolResults()[0].Text())
		assert.Equal(t, 100, req.MaxOutputTokens())
	}
}

func TestContent(t *testing.T) {
	body, err := mistral.ChatRequest{Messages: []mistral.Message{
		{Role: "user", Content: mistral.Content{{Type: "text", Text: "<"}, {Type: "image_url", ImageURL: &mistral.ImageURL{URL: "data:image/png;base64,AQ=="}}}},
		{Role: "assistant", ToolCalls: []mistral.ToolCall{{ID: "1"}}}, mistral.Assistant("a"),
	}}.EncodeInvoke(large24)
	require.NoError(t, err)
	want := `{"messages":[{"role":"user","content":[{"type":"text","text":"<"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQ=="}}]},` +
		`{"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"name":"","arguments":""}}]},{"role":"assistant","content":"a"}]}`
	assert.Equal(t, want, string(body))
	var read mistral.ChatRequest
	require.NoError(t, json.Unmarshal(body, &read))
	again, err := read.EncodeInvoke(large24)
	require.NoError(t, err)
	assert.Equal(t, want, string(again))
}

func TestRefused(t *testing.T) {
	message := func(m mistral.Message) mistral.ChatRequest {
		return mistral.ChatRequest{Messages: []mistral.Message{m}}
	}
	for name, tt := range map[string]struct {
		req interface {
			EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
		}
		want string
	}{
		"prompt":      {mistral.TextRequest{}, "prompt is empty"},
		"stops":       {mistral.TextRequest{Prompt: "x", Stop: make([]string, 11)}, "11 stop sequences"},
		"tokens":      {mistral.TextRequest{Prompt: "x", MaxTokens: -1}, "max_tokens is -1"},
		"temperature": {mistral.TextRequest{Prompt: "x", Temperature: ptr(-1.0)}, "temperature is -1"},
		"top_p":       {mistral.TextRequest{Prompt: "x", TopP: ptr(1.1)}, "top_p is 1.1"},
		"no messages": {mistral.ChatRequest{}, "messages is empty"},
		"role":        {message(mistral.Message{Role: "model"}), "messages[0].role"},
		"empty":       {message(mistral.Message{Role: "user"}), "messages[0].content"},
		"assistant":   {message(mistral.Message{Role: "assistant"}), "neither content nor tool calls"},
		"tool":        {message(mistral.Message{Role: "tool"}), "tool_call_id"},
		"name":        {mistral.ChatRequest{Messages: []mistral.Message{mistral.User("x")}, Tools: []mistral.Tool{{}}}, "tools[0].function"},
	} {
		_, err := tt.req.EncodeInvoke(large24)
		assert.ErrorContains(t, err, tt.want, name)
		_, err = tt.req.EncodeInvoke("amazon.nova-lite-v1:0")
		assert.ErrorContains(t, err, "mistral.…", name)
	}
}

func TestDecode(t *testing.T) {
	body := `{"choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[1]},{"type":"text","text":"x"}],"prefix":false},"finish_reason":"model_length"}],"usage":{"prompt_tokens":1},"new":1}`
	resp, usage, stop, err := mistral.ChatRequest{}.DecodeInvoke(json.RawMessage(body))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	assert.Equal(t, bedrockkit.StopContextWindowExceeded, stop)
	assert.Equal(t, "x", resp.Text())
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	for _, want := range []string{`{"type":"thinking","thinking":[1]}`, `"prefix":false`, `"new":1`} {
		assert.Contains(t, string(stored), want)
	}
	assert.Empty(t, mistral.ChatResponse{}.Text())
	for _, body := range []string{`{"choices":[]}`, `[]`, `{"choices":[{"message":{"content":5}}]}`} {
		_, _, _, err := mistral.ChatRequest{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
	for _, body := range []string{`{"outputs":[]}`, `[]`} {
		_, _, _, err := mistral.TextRequest{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}
