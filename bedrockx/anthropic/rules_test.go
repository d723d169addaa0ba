package anthropic_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/stream"
)

const (
	opus55   bedrockkit.ModelID = "us.anthropic.claude-opus-5-5"
	opus5    bedrockkit.ModelID = "us.anthropic.claude-opus-5"
	opus48   bedrockkit.ModelID = "us.anthropic.claude-opus-4-8"
	fable51  bedrockkit.ModelID = "us.anthropic.claude-fable-5-1"
	sonnet55 bedrockkit.ModelID = "us.anthropic.claude-sonnet-5-5"
	sonnet46 bedrockkit.ModelID = "us.anthropic.claude-sonnet-4-6"
	haiku55  bedrockkit.ModelID = "us.anthropic.claude-haiku-5-5"
	haiku45  bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	opus41   bedrockkit.ModelID = "us.anthropic.claude-opus-4-1-20250805-v1:0"
	opus3    bedrockkit.ModelID = "anthropic.claude-3-opus-20240229-v1:0"
	instant  bedrockkit.ModelID = "anthropic.claude-instant-v1"
	unheard  bedrockkit.ModelID = "us.anthropic.claude-of-tomorrow"
)

func TestRulesOfModels(t *testing.T) {
	type request = anthropic.Request
	num := func(v float64) *float64 { return &v }
	k := 40
	think := func(kind string) func(*request) {
		return func(r *request) {
			r.Thinking = &anthropic.Thinking{Type: kind}
			if kind == "enabled" {
				r.Thinking.BudgetTokens = 1024
			}
		}
	}
	effort := func(e string) func(*request) {
		return func(r *request) { r.OutputConfig = &anthropic.OutputConfig{Effort: e} }
	}
	temperature := func(v float64) func(*request) { return func(r *request) { r.Temperature = &v } }
	topP := func(v float64) func(*request) { return func(r *request) { r.TopP = &v } }
	force := func(kind string) func(*request) {
		return func(r *request) {
			r.Tools = []anthropic.Tool{{Name: "look", InputSchema: json.RawMessage(`{"type":"object"}`)}}
			r.ToolChoice = &anthropic.ToolChoice{Type: kind}
			if kind == "tool" {
				r.ToolChoice.Name = "look"
			}
		}
	}
	strict := func(r *request) {
		r.Tools = []anthropic.Tool{{Name: "look", InputSchema: json.RawMessage(`{"type":"object"}`), Extra: map[string]json.RawMessage{"strict": json.RawMessage("true")}}}
	}
	format := func(r *request) {
		r.OutputConfig = &anthropic.OutputConfig{Format: json.RawMessage(`{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}`)}
	}
	open := func(r *request) {
		r.OutputConfig = &anthropic.OutputConfig{Format: json.RawMessage(`{"type":"json_schema","schema":{"type":"object"}}`)}
	}
	say := func(role string) func(*request) {
		return func(r *request) {
			r.Messages = append(r.Messages, anthropic.Message{Role: role, Content: anthropic.Text("Yes")})
		}
	}
	binding := func(r *request) {
		r.Thinking = &anthropic.Thinking{Type: "adaptive", BlockBinding: json.RawMessage(`{"prefix_mismatch_behavior":"drop_block"}`)}
	}
	mark := func(ttl string) func(*request) {
		return func(r *request) {
			r.System = anthropic.Text("Be brief.")
			r.System[0].CacheControl = &anthropic.CacheControl{Type: "ephemeral", TTL: ttl}
		}
	}
	show := func(r *request) {
		r.Messages[0].Content = anthropic.Blocks{{Type: "tool_result", ToolUseID: "t", Content: anthropic.Blocks{anthropic.Image("image/png", []byte("x"))}}}
	}
	both := func(r *request) { r.Temperature, r.TopP = num(1), num(0.99) }
	topK := func(r *request) { r.TopK = &k }
	all := func(fns ...func(*request)) func(*request) {
		return func(r *request) {
			for _, fn := range fns {
				fn(r)
			}
		}
	}
	for i, tt := range []struct {
		model bedrockkit.ModelID
		edit  func(*request)
		want  string // in the error; empty if it is right
	}{
		{opus55, think("enabled"), `thinking.type is "enabled"; anthropic.claude-opus-5-5 takes adaptive`},
		{opus55, think("disabled"), "takes adaptive"},
		{opus55, think("adaptive"), ""},
		{sonnet55, think("disabled"), "takes adaptive or between_tools"},
		{sonnet55, think("between_tools"), ""},
		{opus48, think("between_tools"), "takes adaptive or disabled"},
		{haiku45, think("adaptive"), "takes enabled or disabled"},
		{sonnet46, think("enabled"), ""},
		{sonnet46, think("adaptive"), ""},
		{sonnet46, binding, "block_binding is not taken"},
		{fable51, binding, ""},
		{opus55, effort("xhigh"), ""},
		{opus55, effort("none"), "takes low, medium, high, xhigh, max"},
		{haiku55, all(think("disabled"), effort("max")), "it is high at most"},
		{haiku55, all(think("disabled"), effort("high")), ""},
		{sonnet55, all(think("between_tools"), effort("xhigh")), "it is high at most"},
		{opus48, all(think("disabled"), effort("xhigh")), ""},
		{haiku45, effort("high"), ""},
		{opus55, temperature(0.2), "temperature is not taken by anthropic.claude-opus-5-5; leave it out"},
		{opus55, topP(0.9), "top_p is not taken"},
		{opus55, topK, "top_k is not taken"},
		{fable51, temperature(1), ""},
		{fable51, temperature(0.7), "takes 1 or none"},
		{fable51, topP(0.5), "takes 0.99 or none"},
		{fable51, both, "takes one of them"},
		{haiku45, both, "takes one of them"},
		{haiku45, all(temperature(0.3), topK), ""},
		{opus55, force("any"), "cannot be made to call a tool, it takes auto or none"},
		{fable51, force("tool"), "cannot be made to call a tool"},
		{opus55, force("auto"), ""},
		{opus5, all(force("tool"), think("adaptive")), ""},
		{haiku45, force("tool"), ""},
		{haiku45, all(force("tool"), think("enabled")), "while it thinks"},
		{sonnet46, all(force("any"), think("adaptive")), "while it thinks"},
		{opus48, format, "offer a tool with the schema"},
		{haiku45, format, ""},
		{haiku45, open, "output_config.format.schema: no answer can be held to it"},
		{opus48, strict, "tools[0].strict is not taken"},
		{haiku45, strict, ""},
		{sonnet46, say("assistant"), "takes no beginning of its answer"},
		{haiku45, say("assistant"), ""},
		{haiku45, all(think("enabled"), say("assistant")), "no beginning of its answer while it thinks"},
		{haiku45, all(think("disabled"), say("assistant")), ""},
		{haiku45, all(think("enabled"), temperature(0.2)), "none but 1 while it thinks"},
		{haiku45, all(think("enabled"), temperature(1)), ""},
		{haiku45, all(think("enabled"), topP(0.9)), "0.95 and more while it thinks"},
		{haiku45, all(think("enabled"), topK), "top_k is set"},
		{sonnet46, all(think("adaptive"), topK), "top_k is set"},
		{haiku45, all(think("disabled"), topK), ""},
		{haiku45, mark("1h"), ""},
		{opus41, mark("1h"), "system[0].cache_control.ttl is 1h; anthropic.claude-opus-4-1 has 5m"},
		{opus41, mark("5m"), ""},
		{opus3, mark(""), "system[0].cache_control is not taken by anthropic.claude-3-opus"},
		{instant, show, "messages[0].content[0].content[0]: anthropic.claude-instant takes no images"},
		{opus3, show, ""},
		{sonnet46, say("system"), "takes instructions in system alone"},
		{opus48, say("system"), ""},
		{haiku55, say("system"), ""},
		// Of what nobody knows nothing is refused.
		{unheard, all(think("enabled"), effort("xhigh"), both, topK, force("tool"), format, say("assistant")), ""},
	} {
		r := request{MaxTokens: 2000, Messages: []anthropic.Message{anthropic.User("hello")}}
		tt.edit(&r)
		c, _ := bedrockkit.Capabilities(tt.model)
		if err := r.CheckModel(c); tt.want == "" {
			assert.NoError(t, err, "number %d, %s", i, tt.model)
		} else {
			assert.ErrorContains(t, err, tt.want, "number %d, %s", i, tt.model)
		}
		_, err := r.EncodeInvoke(tt.model)
		assert.NoError(t, err, "number %d: the form is right", i)
	}
}

// The rules hold before anything is sent, streamed or not, for the model behind
// an id and for targets of the fallback.
func TestRulesHoldBeforeSending(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	zero := 0.0
	req := anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("hello")}, Temperature: &zero}
	for name, err := range map[string]error{
		"unary": func() error { _, err := bedrockx.Invoke(t.Context(), client, opus55, req); return err }(),
		"stream": func() error {
			_, err := stream.Invoke(t.Context(), client, opus55, req)
			return err
		}(),
		"fallback": func() error {
			_, err := bedrockx.Invoke(t.Context(), client, haiku45, req, func(o *bedrockx.Options) { o.Fallback = []bedrockx.Target{{Model: opus55}} })
			return err
		}(),
	} {
		require.ErrorIs(t, err, bedrockx.ErrValidation, name)
		assert.ErrorContains(t, err, "temperature is not taken by anthropic.claude-opus-5-5", name)
	}
	assert.Empty(t, srv.Requests())
}

// What is new in the body survives being read and written.
func TestNewFieldsSurvive(t *testing.T) {
	const body = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"system","content":[{"type":"text","text":"b"}]}],` +
		`"thinking":{"type":"adaptive","display":"summarized","block_binding":{"prefix_mismatch_behavior":"drop_block"},"of_tomorrow":1},"output_config":{"effort":"xhigh"}}`
	var r anthropic.Request
	require.NoError(t, json.Unmarshal([]byte(body), &r))
	assert.JSONEq(t, `{"prefix_mismatch_behavior":"drop_block"}`, string(r.Thinking.BlockBinding))
	written, err := r.EncodeInvoke(fable51)
	require.NoError(t, err)
	assert.JSONEq(t, body, string(written))
}
