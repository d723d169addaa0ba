package anthropic_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

const model bedrockkit.ModelID = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

func ptr[T any](v T) *T { return &v }

func user(blocks ...anthropic.Block) []anthropic.Message {
	return []anthropic.Message{{Role: "user", Content: blocks}}
}

func TestBlocksAsTheyAreSent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		block anthropic.Block
		want  string
	}{
		{"text", anthropic.Block{Type: "text", Text: "a < b & c"}, `{"type":"text","text":"a < b & c"}`},
		{"cached", anthropic.Block{Type: "text", Text: "x", CacheControl: anthropic.Cache("1h")},
			`{"type":"text","cache_control":{"type":"ephemeral","ttl":"1h"},"text":"x"}`},
		{"image", anthropic.Image("image/png", []byte{0xff, 0}), `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"/wA="}}`},
		{"image by URL", anthropic.Block{Type: "image", Source: &anthropic.Source{Type: "url", URL: "https://example.com/a.png"}},
			`{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}`},
		{"file", anthropic.Block{Type: "document", Source: &anthropic.Source{Type: "file", FileID: "file_1"}},
			`{"type":"document","source":{"type":"file","file_id":"file_1"}}`},
		{"PDF", anthropic.PDF("Vol. 1", []byte("%PDF")), `{"type":"document","title":"Vol. 1","source":{"type":"base64","media_type":"application/pdf","data":"JVBERg=="}}`},
		{"plain text, cited", func() anthropic.Block {
			b := anthropic.TextDocument("List", "a <b>")
			b.Context, b.Citations = "of 2024", &anthropic.Citations{Enabled: true}
			return b
		}(), `{"type":"document","title":"List","context":"of 2024","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"a <b>"}}`},
		{"document of blocks", anthropic.Block{Type: "document", Source: &anthropic.Source{Type: "content", Content: anthropic.Text("one")}},
			`{"type":"document","source":{"type":"content","content":[{"type":"text","text":"one"}]}}`},
		{"tool use without input", anthropic.Block{Type: "tool_use", ID: "t", Name: "n"}, `{"type":"tool_use","id":"t","name":"n","input":{}}`},
		{"tool result", anthropic.Block{Type: "tool_result", ToolUseID: "t", Content: anthropic.Text("no"), IsError: true},
			`{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"text","text":"no"}]}`},
		{"thinking that was left out", anthropic.Block{Type: "thinking", Signature: "c2ln"}, `{"type":"thinking","thinking":"","signature":"c2ln"}`},
		{"redacted", anthropic.Block{Type: "redacted_thinking", Data: "ZGF0YQ=="}, `{"type":"redacted_thinking","data":"ZGF0YQ=="}`},
		{"unknown field", anthropic.Block{Type: "text", Text: "x", Extra: map[string]json.RawMessage{"new": json.RawMessage(`[1, 2]`)}},
			`{"type":"text","text":"x","new":[1,2]}`},
		{"unknown block", anthropic.Block{Raw: json.RawMessage(`{"type":"hologram","depth":3}`)}, `{"type":"hologram","depth":3}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, err := anthropic.Request{MaxTokens: 1, Messages: user(tt.block)}.EncodeInvoke(model)
			require.NoError(t, err)
			assert.Equal(t, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":[`+tt.want+`]}]}`, string(body))

			// What was written is read as what it was.
			var read anthropic.Request
			require.NoError(t, json.Unmarshal(body, &read))
			again, err := read.EncodeInvoke(model)
			require.NoError(t, err)
			assert.Equal(t, string(body), string(again))
		})
	}
}

func TestRequestAsItIsSent(t *testing.T) {
	body, err := anthropic.Request{
		MaxTokens: 4000, System: anthropic.Text("s"), Messages: []anthropic.Message{anthropic.User("u"), anthropic.Assistant("a")},
		TopP: ptr(0.99), TopK: ptr(5), StopSequences: []string{"END"},
		Tools:      []anthropic.Tool{{Name: "n", InputSchema: json.RawMessage(`{"type":"object"}`), CacheControl: anthropic.Cache("")}},
		ToolChoice: &anthropic.ToolChoice{Type: "auto", DisableParallelToolUse: true},
		Thinking:   &anthropic.Thinking{Type: "enabled", BudgetTokens: 2000}, OutputConfig: &anthropic.OutputConfig{Effort: "low"},
		AnthropicBeta: []string{"b"}, Extra: map[string]json.RawMessage{"zeta": json.RawMessage(`1`), "alpha": json.RawMessage(`"<"`)},
	}.EncodeInvoke(model)
	require.NoError(t, err)
	assert.Equal(t, `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b"],"max_tokens":4000,"top_p":0.99,"top_k":5,"stop_sequences":["END"],`+
		`"tools":[{"name":"n","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true},`+
		`"thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"effort":"low"},"system":[{"type":"text","text":"s"}],`+
		`"messages":[{"role":"user","content":[{"type":"text","text":"u"}]},{"role":"assistant","content":[{"type":"text","text":"a"}]}],"alpha":"<","zeta":1}`, string(body))
}

func TestRefused(t *testing.T) {
	tool := anthropic.Tool{Name: "n", InputSchema: json.RawMessage(`{"type":"object"}`)}
	text := func(change func(*anthropic.Block)) func(*anthropic.Request) {
		return func(r *anthropic.Request) { change(&r.Messages[0].Content[0]) }
	}
	marked := anthropic.Block{Type: "text", Text: "x", CacheControl: anthropic.Cache("")}
	for name, tt := range map[string]struct {
		change func(*anthropic.Request)
		want   string
	}{
		"first role":   {func(r *anthropic.Request) { r.Messages[0].Role = "assistant" }, "messages[0].role"},
		"system":       {func(r *anthropic.Request) { r.System = anthropic.Text("") }, "system[0].text"},
		"unknown type": {text(func(b *anthropic.Block) { b.Type = "hologram" }), "messages[0].content[0]: the type"},
		"no type":      {text(func(b *anthropic.Block) { b.Type = "" }), "no type"},
		"no source":    {text(func(b *anthropic.Block) { b.Type = "image" }), "content[0].source"},
		"no id":        {text(func(b *anthropic.Block) { b.Type = "tool_use" }), "id and a name"},
		"input": {text(func(b *anthropic.Block) {
			*b = anthropic.Block{Type: "tool_use", ID: "i", Name: "n", Input: json.RawMessage(`[]`)}
		}), ".input"},
		"no result id":    {text(func(b *anthropic.Block) { b.Type = "tool_result" }), ".tool_use_id"},
		"inner block":     {text(func(b *anthropic.Block) { *b = anthropic.ToolResult("t", " ") }), "content[0].content[0].text"},
		"raw":             {text(func(b *anthropic.Block) { b.Raw = json.RawMessage(`{`) }), "content[0]: raw"},
		"temperature":     {func(r *anthropic.Request) { r.Temperature = ptr(1.5) }, "temperature is 1.5"},
		"stop":            {func(r *anthropic.Request) { r.StopSequences = []string{"\n"} }, "stop_sequences[0]"},
		"tool name":       {func(r *anthropic.Request) { r.Tools = []anthropic.Tool{{Name: "a b", InputSchema: tool.InputSchema}} }, "tools[0]: the name"},
		"no tool name":    {func(r *anthropic.Request) { r.Tools = []anthropic.Tool{{Type: "bash_20250124"}} }, "tools[0]: it has no name"},
		"schema":          {func(r *anthropic.Request) { r.Tools = []anthropic.Tool{{Name: "a"}} }, "input_schema"},
		"choice":          {func(r *anthropic.Request) { r.ToolChoice = &anthropic.ToolChoice{Type: "tool", Name: "m"} }, "not among"},
		"choice type":     {func(r *anthropic.Request) { r.ToolChoice = &anthropic.ToolChoice{Type: "must"} }, "tool_choice.type"},
		"choice of none":  {func(r *anthropic.Request) { r.ToolChoice = &anthropic.ToolChoice{Type: "auto", Name: "n"} }, "to force a tool"},
		"thinking":        {func(r *anthropic.Request) { r.Thinking = &anthropic.Thinking{} }, "thinking has no type"},
		"little thinking": {func(r *anthropic.Request) { r.Thinking = &anthropic.Thinking{Type: "enabled", BudgetTokens: 9} }, "at least 1024"},
		"much thinking":   {func(r *anthropic.Request) { r.Thinking = &anthropic.Thinking{Type: "enabled", BudgetTokens: 4000} }, "leaves nothing"},
		"marks": {func(r *anthropic.Request) {
			r.System = anthropic.Blocks{marked, marked, marked, marked}
			r.Messages[0].Content[0].CacheControl = anthropic.Cache("")
		}, "mark 5"},
		"order of marks": {func(r *anthropic.Request) {
			r.System = anthropic.Blocks{marked}
			r.Messages[0].Content[0].CacheControl = anthropic.Cache("1h")
		}, "longer ones come first"},
		"TTL": {text(func(b *anthropic.Block) { b.CacheControl = anthropic.Cache("2h") }), "5m or 1h"},
		"mark": {func(r *anthropic.Request) {
			tool.CacheControl = &anthropic.CacheControl{}
			r.Tools = []anthropic.Tool{tool}
		}, "tools[0].cache_control"},
		"extra twice": {func(r *anthropic.Request) { r.Extra = map[string]json.RawMessage{"max_tokens": json.RawMessage("1")} }, "max_tokens"},
		"extra":       {func(r *anthropic.Request) { r.Extra = map[string]json.RawMessage{"new": json.RawMessage("{")} }, "not JSON"},
	} {
		r := anthropic.Request{MaxTokens: 4000, Messages: user(anthropic.Block{Type: "text", Text: "x"})}
		tt.change(&r)
		_, err := r.EncodeInvoke(model)
		assert.ErrorContains(t, err, tt.want, name)
	}
	interleaved := anthropic.Request{MaxTokens: 2000, Messages: user(anthropic.Text("x")...), AnthropicBeta: []string{"interleaved-thinking-2025-05-14"},
		Thinking: &anthropic.Thinking{Type: "enabled", BudgetTokens: 4000}}
	_, err := interleaved.EncodeInvoke(model)
	assert.NoError(t, err)
}

// A conversation in which everything comes that the next version will know.
const future = `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[` +
	`{"type":"thinking","thinking":"hm <b>","signature":"c2ln"},` +
	`{"type":"redacted_thinking","data":"ZGF0YQ=="},` +
	`{"type":"text","text":"One","citations":[{"type":"char_location","cited_text":"1","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1,"new":true}],"mood":"<glad>"},` +
	`{"type":"hologram","source":"string","content":7,"zeta":1,"alpha":{"x":1.50}},` +
	`{"type":"tool_use","id":"t1","name":"n","input":{"n":12345678901234567890}}` +
	`],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4,"odd":1},"weather":{"sky":"<blue>"}}`

func TestUnknownThingsGoBackAsTheyCame(t *testing.T) {
	resp, usage, stop, err := anthropic.Request{}.DecodeInvoke(json.RawMessage(future))
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.StopToolUse, stop)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 3, OutputTokens: 4}, usage)
	assert.Equal(t, "One", resp.Text())
	assert.JSONEq(t, `{"sky":"<blue>"}`, string(resp.Extra["weather"]))
	assert.Equal(t, "hologram", resp.Content[3].Type)
	require.NotNil(t, resp.Content[2].Citations)
	cited := resp.Content[2].Citations.List[0]
	assert.Equal(t, "char_location", cited.Type)
	assert.Equal(t, []int{0, 1}, []int{cited.Start, cited.End})

	check := func(m anthropic.Message) {
		t.Helper()
		body, err := anthropic.Request{MaxTokens: 9, Messages: []anthropic.Message{anthropic.User("x"), m}}.EncodeInvoke(model)
		require.NoError(t, err)
		for _, want := range []string{
			`{"type":"thinking","thinking":"hm <b>","signature":"c2ln"}`, `{"type":"redacted_thinking","data":"ZGF0YQ=="}`,
			`[{"type":"char_location","cited_text":"1","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1,"new":true}]`,
			`"mood":"<glad>"`, `{"type":"hologram","source":"string","content":7,"zeta":1,"alpha":{"x":1.50}}`,
			`"input":{"n":12345678901234567890}`,
		} {
			assert.Contains(t, string(body), want)
		}
	}
	check(resp.Message())

	// The same after the response was stored.
	stored, err := resp.MarshalJSON()
	require.NoError(t, err)
	var again anthropic.Response
	require.NoError(t, json.Unmarshal(stored, &again))
	assert.Equal(t, resp, again)
	check(again.Message())
}

func TestKnownResponse(t *testing.T) {
	resp, _, _, err := anthropic.Request{}.DecodeInvoke(json.RawMessage(`{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi","citations":null}],"stop_reason":"refusal","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}}`))
	require.NoError(t, err)
	assert.Equal(t, "Hi", resp.Text())
	assert.Nil(t, resp.Extra)
	assert.Equal(t, bedrockkit.StopContentFiltered, anthropic.StopReason(resp.StopReason))
	for _, body := range []string{`{"error":"x"}`, `[]`, `{"content":[1],"stop_reason":"end_turn"}`, `{"content":[{"type":"text","text":5}],"stop_reason":"end_turn"}`} {
		_, _, _, err := anthropic.Request{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}

// Thinking and its signature, a tool and its result, through the server.
func TestToolTurn(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Reasoning("I should look.").Redacted([]byte("secret")).ToolUse("stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."))
	req := anthropic.Request{
		MaxTokens: 3000, Thinking: &anthropic.Thinking{Type: "enabled", BudgetTokens: 1024},
		Tools:    []anthropic.Tool{{Name: "stock", Description: "d", InputSchema: json.RawMessage(`{"type":"object"}`)}},
		Messages: []anthropic.Message{anthropic.User("How many?")},
	}
	first, err := bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	require.Equal(t, bedrockkit.StopToolUse, first.StopReason)
	call := first.Output.Content[len(first.Output.Content)-1]
	require.Equal(t, "tool_use", call.Type)
	req.Messages = append(req.Messages, first.Output.Message(), anthropic.Message{Role: "user", Content: anthropic.Blocks{anthropic.ToolResult(call.ID, "3")}})
	second, err := bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	assert.Equal(t, "Three.", second.Output.Text())
	assert.Equal(t, 3000, req.MaxOutputTokens())

	sent := srv.Requests()[1]
	reasoning := sent.Messages[1].Blocks[0].Reasoning
	require.NotNil(t, reasoning)
	assert.Equal(t, "I should look.", reasoning.Text)
	assert.NotEmpty(t, reasoning.Signature)
	assert.Equal(t, "secret", string(sent.Messages[1].Blocks[1].Reasoning.Redacted))
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(future))
	f.Add([]byte(`{"content":[{"type":"document","source":{"type":"text","data":"x"}}],"stop_reason":"end_turn"}`))
	f.Add([]byte(`{"content":"plain","stop_reason":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var resp anthropic.Response
		if json.Unmarshal(body, &resp) != nil {
			return
		}
		stored, err := json.Marshal(resp)
		if err != nil {
			// A block without a type is read, and is no block to be sent.
			if !strings.Contains(err.Error(), "no type") {
				t.Fatal(err)
			}
			return
		}
		var again anthropic.Response
		require.NoError(t, json.Unmarshal(stored, &again))
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		assert.Equal(t, string(stored), string(twice))
	})
}

// What a body says that it wrote to the prompt cache is counted whole, also what
// it does not tell the TTL of.
func TestUsageBuckets(t *testing.T) {
	for body, want := range map[string]bedrockkit.Usage{
		`{"input_tokens":10,"output_tokens":1,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0,"ephemeral_30m_input_tokens":200}}`: {
			InputTokens: 10, OutputTokens: 1, CacheWrite5mTokens: 100, CacheWrite30mTokens: 200},
		`{"input_tokens":10,"output_tokens":1,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":50}}`: {
			InputTokens: 10, OutputTokens: 1, CacheWrite5mTokens: 250, CacheWrite1hTokens: 50},
		`{"input_tokens":10,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":100}}`: {InputTokens: 10, OutputTokens: 1, CacheWrite5mTokens: 100},
		`{"output_tokens":1}`: {Unknown: true},
	} {
		var u anthropic.Usage
		require.NoError(t, json.Unmarshal([]byte(body), &u))
		assert.Equal(t, want, u.Buckets(), body)
	}
}

// What the service adds to a body is there when the body is stored.
func TestResponseAsItCame(t *testing.T) {
	const body = `{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,` +
		`"usage":{"input_tokens":1,"output_tokens":1,"inference_geo":"us"},"container":null}`
	for _, body := range []string{body, strings.Replace(body, `"stop_sequence":null`, `"stop_sequence":"END"`, 1)} {
		var r anthropic.Response
		require.NoError(t, json.Unmarshal([]byte(body), &r))
		again, err := json.Marshal(r)
		require.NoError(t, err)
		assert.JSONEq(t, body, string(again))
	}
}
