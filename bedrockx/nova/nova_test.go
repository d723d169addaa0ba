package nova_test

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
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
)

const model bedrockkit.ModelID = "us.amazon.nova-lite-v1:0"

func ptr[T any](v T) *T { return &v }

func ExampleRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura."))
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	topK := 20
	result, err := bedrockx.Invoke(context.Background(), client, "us.amazon.nova-lite-v1:0", nova.Request{
		System:          nova.Text("Answer in a few words."),
		Messages:        []nova.Message{nova.User("Who wrote Berserk?")},
		InferenceConfig: nova.InferenceConfig{MaxTokens: 100, TopK: &topK},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Output.Text(), result.StopReason)
	// Output: Kentaro Miura. end_turn
}

func TestAsItIsSent(t *testing.T) {
	req := nova.Request{
		System: []nova.Block{{Text: "s"}, {CachePoint: &nova.CachePoint{Type: "default"}}},
		Messages: []nova.Message{
			{Role: "user", Content: []nova.Block{
				{Text: "<u>"},
				{Image: &nova.Media{Format: "png", Source: nova.MediaSource{Bytes: []byte{0xff}}}},
				{Video: &nova.Media{Format: "mp4", Source: nova.MediaSource{S3Location: &nova.S3Location{URI: "s3://b/k"}}}},
				{Document: &nova.Media{Format: "pdf", Name: "d", Source: nova.MediaSource{Bytes: []byte("%")}}},
			}},
			{Role: "assistant", Content: []nova.Block{
				{ReasoningContent: json.RawMessage(`{"reasoningText":{"text":"hm","signature":"<c2ln>"}}`)},
				{ToolUse: &nova.ToolUse{ToolUseID: "t", Name: "n"}},
				{Raw: json.RawMessage(`{"hologram":{"z":1.50,"a":"<"}}`)},
			}},
			{Role: "user", Content: []nova.Block{{ToolResult: &nova.ToolResult{ToolUseID: "t", Status: "error", Content: []nova.Block{{JSON: json.RawMessage(`{"n":12345678901234567890}`)}}}}}},
		},
		InferenceConfig: nova.InferenceConfig{MaxTokens: 9, Temperature: ptr(0.0), TopK: ptr(3), StopSequences: []string{"END"}, ReasoningConfig: &nova.ReasoningConfig{Type: "enabled", MaxReasoningEffort: "low"}},
		ToolConfig: &nova.ToolConfig{
			Tools:      []nova.Tool{{ToolSpec: &nova.ToolSpec{Name: "n", Description: "d", InputSchema: nova.InputSchema{JSON: json.RawMessage(`{"type":"object"}`)}}}, {Extra: map[string]json.RawMessage{"systemTool": json.RawMessage(`{"name":"nova_grounding"}`)}}},
			ToolChoice: &nova.ToolChoice{Tool: &nova.ToolByName{Name: "n"}},
		},
		Extra: map[string]json.RawMessage{"new": json.RawMessage("1")},
	}
	want := `{"schemaVersion":"messages-v1","inferenceConfig":{"maxTokens":9,"temperature":0,"topK":3,"stopSequences":["END"],"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}},` +
		`"toolConfig":{"tools":[{"toolSpec":{"name":"n","description":"d","inputSchema":{"json":{"type":"object"}}}},{"systemTool":{"name":"nova_grounding"}}],"toolChoice":{"tool":{"name":"n"}}},` +
		`"system":[{"text":"s"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"<u>"},{"image":{"format":"png","source":{"bytes":"/w=="}}},` +
		`{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://b/k"}}}},{"document":{"format":"pdf","name":"d","source":{"bytes":"JQ=="}}}]},` +
		`{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"<c2ln>"}}},{"toolUse":{"toolUseId":"t","name":"n","input":{}}},{"hologram":{"z":1.50,"a":"<"}}]},` +
		`{"role":"user","content":[{"toolResult":{"toolUseId":"t","content":[{"json":{"n":12345678901234567890}}],"status":"error"}}]}],"new":1}`
	body, err := req.EncodeInvoke(model)
	require.NoError(t, err)
	assert.Equal(t, want, string(body))
	var read nova.Request
	require.NoError(t, json.Unmarshal(body, &read))
	again, err := read.EncodeInvoke(model)
	require.NoError(t, err)
	assert.Equal(t, want, string(again))
	assert.Equal(t, 9, req.MaxOutputTokens())
}

func TestToolTurn(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	client := bedrockx.New(srv.Client())
	usage := bedrockkit.Usage{InputTokens: 5, OutputTokens: 6, CacheReadTokens: 7, CacheWrite5mTokens: 8}
	srv.Reply(bedrocktest.Reasoning("I should look.").ToolUse("stock", map[string]any{"title": "Berserk"}).Usage(usage), bedrocktest.Text("Three."))
	req := nova.Request{
		Messages:   []nova.Message{nova.User("How many?")},
		ToolConfig: &nova.ToolConfig{Tools: []nova.Tool{{ToolSpec: &nova.ToolSpec{Name: "stock", Description: "d", InputSchema: nova.InputSchema{JSON: json.RawMessage(`{"type":"object"}`)}}}}},
	}
	first, err := bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.StopToolUse, first.StopReason)
	assert.Equal(t, usage, first.Usage)
	message := first.Output.Output.Message
	require.Len(t, message.Content, 2)
	call := message.Content[1].ToolUse
	require.NotNil(t, call)
	req.Messages = append(req.Messages, message, nova.Message{Role: "user", Content: []nova.Block{{ToolResult: &nova.ToolResult{ToolUseID: call.ToolUseID, Content: nova.Text("3")}}}})
	second, err := bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	assert.Equal(t, "Three.", second.Output.Text())
	reasoning := srv.Requests()[1].Messages[1].Blocks[0].Reasoning
	require.NotNil(t, reasoning)
	assert.Equal(t, "I should look.", reasoning.Text)
	assert.Empty(t, reasoning.Signature, "Claude alone signs")
}

func TestRefused(t *testing.T) {
	block := func(b nova.Block) nova.Request {
		return nova.Request{Messages: []nova.Message{{Role: "user", Content: []nova.Block{b}}}}
	}
	with := func(change func(*nova.Request)) nova.Request {
		r := nova.Request{Messages: []nova.Message{nova.User("x")}}
		change(&r)
		return r
	}
	for name, tt := range map[string]struct {
		req  nova.Request
		want string
	}{
		"no messages": {nova.Request{}, "messages is empty"},
		"role":        {nova.Request{Messages: []nova.Message{{Role: "system"}}}, "messages[0].role"},
		"first role":  {nova.Request{Messages: []nova.Message{nova.Assistant("x")}}, "the first message is the user's"},
		"no content":  {nova.Request{Messages: []nova.Message{{Role: "user"}}}, "messages[0].content is empty"},
		"empty":       {block(nova.Block{}), "messages[0].content[0] is empty"},
		"two":         {block(nova.Block{Text: "x", CachePoint: &nova.CachePoint{}}), "2 members"},
		"raw":         {block(nova.Block{Raw: json.RawMessage("{")}), "content[0]: raw is not JSON"},
		"blank":       {block(nova.Block{Text: " "}), "content[0].text is blank"},
		"system":      {with(func(r *nova.Request) { r.System = nova.Text("\n") }), "system[0].text"},
		"tool use":    {block(nova.Block{ToolUse: &nova.ToolUse{}}), "toolUse"},
		"tool result": {block(nova.Block{ToolResult: &nova.ToolResult{}}), "toolResult.toolUseId"},
		"media":       {block(nova.Block{Image: &nova.Media{Format: "png"}}), "bytes and s3Location"},
		"tokens":      {with(func(r *nova.Request) { r.InferenceConfig.MaxTokens = -1 }), "maxTokens is -1"},
		"topP":        {with(func(r *nova.Request) { r.InferenceConfig.TopP = ptr(1.5) }), "topP is 1.5"},
		"tool":        {with(func(r *nova.Request) { r.ToolConfig = &nova.ToolConfig{Tools: []nova.Tool{{}}} }), "tools[0] is empty"},
		"tool name": {with(func(r *nova.Request) {
			r.ToolConfig = &nova.ToolConfig{Tools: []nova.Tool{{ToolSpec: &nova.ToolSpec{}}}}
		}), "no name"},
		"schema": {with(func(r *nova.Request) {
			r.ToolConfig = &nova.ToolConfig{Tools: []nova.Tool{{ToolSpec: &nova.ToolSpec{Name: "n"}}}}
		}), "not JSON"},
		"choice": {with(func(r *nova.Request) {
			r.ToolConfig = &nova.ToolConfig{ToolChoice: &nova.ToolChoice{Tool: &nova.ToolByName{Name: "n"}}}
		}), "not among"},
	} {
		_, err := tt.req.EncodeInvoke(model)
		assert.ErrorContains(t, err, tt.want, name)
	}
	_, err := nova.Request{Messages: []nova.Message{nova.User("x")}}.EncodeInvoke("amazon.titan-text-express-v1")
	assert.ErrorContains(t, err, "amazon.nova-…")
}

func TestDecode(t *testing.T) {
	body := `{"output":{"message":{"role":"assistant","content":[{"text":""},{"hologram":{"z":1.50}},{"toolUse":{"toolUseId":"t","name":"n","input":{},"type":"server_tool_use"}}]}},"stopReason":"new","usage":{"inputTokens":1,"outputTokens":1,"cacheReadInputTokenCount":-1},"extra":[1]}`
	resp, usage, stop, err := nova.Request{}.DecodeInvoke(json.RawMessage(body))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	assert.Equal(t, bedrockkit.StopReason("new"), stop)
	assert.Equal(t, "n", resp.Output.Message.Content[2].ToolUse.Name)
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"content":[{"text":""},{"hologram":{"z":1.50}},{"toolUse":{"toolUseId":"t","name":"n","input":{},"type":"server_tool_use"}}]`)
	assert.Contains(t, string(stored), `"extra":[1]`)
	for _, body := range []string{`{"message":"no"}`, `[]`, `{"output":{"message":{"content":[{"text":5}]}}}`} {
		_, _, _, err := nova.Request{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}
