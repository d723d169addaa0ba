package converse_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// What the client makes of a request by what is known of its model.

const (
	haiku55  = "us.anthropic.claude-haiku-5-5"
	sonnet55 = "us.anthropic.claude-sonnet-5-5"
	opus55   = "us.anthropic.claude-opus-5-5"
	opus48   = "us.anthropic.claude-opus-4-8"
	opus46   = "us.anthropic.claude-opus-4-6-v1"
	sonnet46 = "us.anthropic.claude-sonnet-4-6"
	nova2    = "us.amazon.nova-2-lite-v1:0"
	gptOSS   = "openai.gpt-oss-120b-1:0"
	deepseek = "us.deepseek.r1-v1:0"
	tomorrow = "us.anthropic.claude-opus-9"
)

// sent is the body of the request that a client makes.
func sent(t *testing.T, model string, req converse.Request, optFns ...func(*converse.Options)) map[string]any {
	t.Helper()
	body := sentBody(t, model, req, optFns...)
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	return v
}

func sentBody(t *testing.T, model string, req converse.Request, optFns ...func(*converse.Options)) string {
	t.Helper()
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Text("ok") }).Keep()
	chat := converse.New(bedrockx.New(srv.Client(), fast), append([]func(*converse.Options){func(o *converse.Options) { o.Model = bedrockkit.ModelID(model) }}, optFns...)...)
	_, err := chat.Send(t.Context(), req)
	require.NoError(t, err)
	return string(srv.Requests()[0].Body)
}

func part(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// Request.Thinking and Effort go where the model takes them, and max tokens
// leaves room for what it thinks.
func TestThinkingAndEffortByModel(t *testing.T) {
	type request = converse.Request
	for _, tt := range []struct {
		name, model string
		change      func(*request)
		fields      string // additionalModelRequestFields
		effort      any    // outputConfig.effort
		maxTokens   any
	}{
		{"a model that thinks if asked", model, func(*request) {}, `null`, nil, 2048.0},
		{"a budget", model, func(r *request) { r.Thinking = 4000 }, `{"thinking":{"type":"enabled","budget_tokens":4000}}`, nil, 6048.0},
		{"no budget is taken", opus48, func(r *request) { r.Thinking = 4000 }, `{"thinking":{"type":"adaptive"}}`, nil, 6048.0},
		{"a budget and an effort", opus46, func(r *request) { r.Thinking, r.Effort = 4000, "max" }, `{"thinking":{"type":"enabled","budget_tokens":4000}}`, "max", 6048.0},
		{"thinking by default", haiku55, func(*request) {}, `null`, nil, 2048.0 + 8<<10},
		{"an effort", haiku55, func(r *request) { r.Effort = "xhigh" }, `null`, "xhigh", 2048.0 + 32<<10},
		{"no thinking", haiku55, func(r *request) { r.Thinking = converse.NoThinking }, `{"thinking":{"type":"disabled"}}`, nil, 2048.0},
		{"the least thinking", sonnet55, func(r *request) { r.Thinking = converse.NoThinking }, `{"thinking":{"type":"between_tools"}}`, nil, 2048.0 + 16<<10},
		{"Nova", nova2, func(r *request) { r.Effort = "low" }, `{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}`, nil, 2048.0 + 4<<10},
		{"Nova's highest effort takes no max tokens", nova2, func(r *request) { r.Effort = "high" }, `{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, nil, nil},
		{"the same by its own field", nova2, func(r *request) {
			r.AdditionalFields = json.RawMessage(`{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`)
		}, `{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, nil, nil},
		{"Nova without by its own field", nova2, func(r *request) {
			r.AdditionalFields = json.RawMessage(`{"reasoningConfig":{"type":"disabled","maxReasoningEffort":"high"}}`)
		}, `{"reasoningConfig":{"type":"disabled","maxReasoningEffort":"high"}}`, nil, 2048.0},
		{"Nova by its own field without an effort", nova2, func(r *request) {
			r.AdditionalFields = json.RawMessage(`{"reasoningConfig":{"type":"enabled"}}`)
		}, `{"reasoningConfig":{"type":"enabled"}}`, nil, 2048.0 + 8<<10},
		{"Nova without", nova2, func(r *request) { r.Thinking = converse.NoThinking }, `{"reasoningConfig":{"type":"disabled"}}`, nil, 2048.0},
		{"gpt-oss", gptOSS, func(r *request) { r.Effort, r.AdditionalFields = "low", json.RawMessage(`{"seed":1}`) }, `{"reasoning_effort":"low","seed":1}`, nil, 2048.0 + 4<<10},
		{"GPT", "us.openai.gpt-5.6-terra", func(r *request) { r.Effort = "low" }, `{"reasoning":{"effort":"low"}}`, nil, 2048.0 + 4<<10},
		{"GPT without", "us.openai.gpt-5.6-terra", func(r *request) { r.Thinking = converse.NoThinking }, `{"reasoning":{"effort":"none"}}`, nil, 2048.0},
		{"a model that always reasons", deepseek, func(*request) {}, `null`, nil, 2048.0 + 8<<10},
		{"no max tokens", haiku55, func(r *request) { r.MaxTokens = converse.NoMaxTokens }, `null`, nil, nil},
		{"max tokens of the caller", haiku55, func(r *request) { r.MaxTokens = 77 }, `null`, nil, 77.0},
		{"a model of tomorrow gets what was written", tomorrow, func(r *request) { r.Thinking, r.Effort = 4000, "extreme" }, `{"thinking":{"type":"enabled","budget_tokens":4000}}`, "extreme", 6048.0},
		{"and keeps its own fields", tomorrow, func(r *request) { r.AdditionalFields = json.RawMessage(`{"thinking":{"type":"dreaming"}}`) }, `{"thinking":{"type":"dreaming"}}`, nil, 2048.0 + 8<<10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := ask("q")
			tt.change(&req)
			got := sent(t, tt.model, req)
			fields, err := json.Marshal(got["additionalModelRequestFields"])
			require.NoError(t, err)
			assert.JSONEq(t, tt.fields, string(fields))
			assert.Equal(t, tt.effort, part(got, "outputConfig", "effort"))
			assert.Equal(t, tt.maxTokens, part(got, "inferenceConfig", "maxTokens"))
		})
	}
}

func TestMaxTokensOfTheOptions(t *testing.T) {
	with := func(n int) func(*converse.Options) { return func(o *converse.Options) { o.MaxTokens = n } }
	assert.Equal(t, 500.0, part(sent(t, haiku55, ask("q"), with(500)), "inferenceConfig", "maxTokens"))
	assert.Nil(t, part(sent(t, haiku55, ask("q"), with(converse.NoMaxTokens)), "inferenceConfig"))
	thinks := ask("q")
	thinks.Thinking = 4000
	assert.Equal(t, 4500.0, part(sent(t, model, thinks, with(500)), "inferenceConfig", "maxTokens"))
	assert.Equal(t, 64000.0, part(sent(t, model, thinks, with(62000)), "inferenceConfig", "maxTokens"), "and no more than the model gives")
	assert.Equal(t, 4096.0, part(sent(t, "ai21.jamba-instruct-v1:0", ask("q"), with(0)), "inferenceConfig", "maxTokens").(float64)+2048, "and no more than the model gives")
}

// A default temperature is left out if the model refuses it, and told.
func TestDefaultTemperature(t *testing.T) {
	warm := func(o *converse.Options) { o.Temperature = ptr(0.2) }
	assert.Equal(t, 0.2, part(sent(t, model, ask("q"), warm), "inferenceConfig", "temperature"))
	assert.Equal(t, 0.2, part(sent(t, tomorrow, ask("q"), warm), "inferenceConfig", "temperature"))
	assert.Nil(t, part(sent(t, opus55, ask("q"), warm), "inferenceConfig", "temperature"))
	assert.Nil(t, part(sent(t, nova2, converse.Request{Messages: ask("q").Messages, Effort: "high"}, warm), "inferenceConfig"))
	for _, fields := range []string{`{"thinking":{"type":"enabled","budget_tokens":1024}}`, `{"thinking":{"type":"adaptive"}}`} {
		req := ask("q")
		req.AdditionalFields = json.RawMessage(fields)
		id := opus46
		assert.Nil(t, part(sent(t, id, req, warm), "inferenceConfig", "temperature"), fields)
	}
	topP := ask("q")
	topP.TopP = ptr(0.9)
	assert.Nil(t, part(sent(t, model, topP, warm), "inferenceConfig", "temperature"), "one of the two")

	own := ask("q")
	own.Temperature = ptr(0.2)
	own.Model = opus55
	assert.ErrorContains(t, converse.Preflight(own), "inferenceConfig.temperature: it is 0.2; the model takes none")
}

// What nobody knows of a model is told once through the hook, and with each
// response.
func TestSkipsAreTold(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return body("tool_use", `{"toolUse":{"toolUseId":"t1","name":"answer","input":{"title":"Monster"}}}`)
	})
	var told []string
	chat := converse.New(bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) {
		o.OnSkipped = append(o.OnSkipped, func(_ context.Context, _ *bedrockx.Call, s bedrockx.Skipped) {
			assert.EqualValues(t, tomorrow, s.Model)
			assert.Equal(t, bedrockkit.Unknown, s.Support)
			told = append(told, s.What)
		})
	}), func(o *converse.Options) {
		o.Model, o.CachePoints, o.System = tomorrow, "5m", converse.Texts(strings.Repeat("rules ", 5000))
	})
	value, result, err := converse.Generate[stockIn](t.Context(), chat, ask("q"))
	require.NoError(t, err)
	assert.Equal(t, "Monster", value.Title)
	var what []string
	for _, s := range result.Last().Skipped {
		what = append(what, s.What)
	}
	assert.ElementsMatch(t, []string{bedrockx.SkipCachePoints, bedrockx.SkipStructuredOutput, bedrockx.SkipPrice}, what)
	assert.Equal(t, what, told)
	req := srv.Requests()[0]
	assert.NotContains(t, string(req.Body), "cachePoint")
	assert.NotContains(t, string(req.Body), "toolChoice", "nobody knows whether the model obeys")
	assert.Contains(t, req.System[len(req.System)-1], `calling the tool "answer"`)
}

// The ladder of Generate: an output format, a tool that must be called, a tool
// that is offered and asked for.
func TestGenerateLadder(t *testing.T) {
	const thinks = `{"thinking":{"type":"enabled","budget_tokens":1024}}`
	for _, tt := range []struct{ name, model, fields, want string }{
		{"an output format", model, "", "format"},
		{"no output format", haiku55, "", "forced"},
		{"nothing can be forced", opus55, "", "offered"},
		{"thinking by its own field", "us.anthropic.claude-opus-4-1-20250805-v1:0", thinks, "offered"},
		{"without", "us.anthropic.claude-opus-4-1-20250805-v1:0", "", "forced"},
		{"adaptive", opus46, `{"thinking":{"type":"adaptive"}}`, "format"},
		{"by any tool alone", "mistral.mistral-large-2402-v1:0", "", "any"},
		{"unknown", tomorrow, "", "offered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				if tt.want == "format" {
					return bedrocktest.Text(`{"title":"Monster"}`)
				}
				return bedrocktest.ToolUse("answer", stockIn{"Monster"})
			})
			chat := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) { o.Model = bedrockkit.ModelID(tt.model) })
			req := ask("q")
			req.AdditionalFields = json.RawMessage(tt.fields)
			if tt.fields != "" {
				req.MaxTokens = 4096
			}
			value, _, err := converse.Generate[stockIn](t.Context(), chat, req)
			require.NoError(t, err)
			assert.Equal(t, "Monster", value.Title)
			body := string(srv.Requests()[0].Body)
			assert.Equal(t, tt.want == "format", strings.Contains(body, "textFormat"))
			assert.Equal(t, tt.want == "forced", strings.Contains(body, `"toolChoice":{"tool":{"name":"answer"}}`))
			assert.Equal(t, tt.want == "any", strings.Contains(body, `"toolChoice":{"any":{}}`))
			assert.Equal(t, tt.want == "offered", strings.Contains(body, `Give your answer by calling the tool`))
		})
	}
}

// Options.Resolve tells the model behind an ARN, and every rule goes by it.
func TestResolvedModelIsKnown(t *testing.T) {
	const profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123def456"
	resolve := func(o *bedrockx.Options) {
		o.Resolve = func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error) { return opus55, nil }
	}
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{profile: opus55} })
	srv.Reply(bedrocktest.Text("ok"))
	chat := converse.New(bedrockx.New(srv.Client(), resolve, fast), func(o *converse.Options) {
		o.Model, o.CachePoints, o.Temperature = profile, "1h", ptr(0.5)
		o.System = converse.Texts(strings.Repeat("a long system prompt that is worth caching. ", 2000))
	})
	_, err := chat.Send(t.Context(), ask("Hi"))
	require.NoError(t, err)
	body := string(srv.Requests()[0].Body)
	assert.Contains(t, body, `{"cachePoint":{"type":"default","ttl":"1h"}}`)
	assert.NotContains(t, body, "temperature")
	assert.Contains(t, body, `"maxTokens":10240`)
	bad := ask("Hi")
	bad.Messages = append(bad.Messages, converse.Assistant("The answer"))
	_, err = chat.Send(t.Context(), bad)
	assert.ErrorContains(t, err, "goes on with no answer")
}

// An answer that broke is continued only by a model that is known to go on with
// what it is given.
func TestOnlyKnownModelsContinue(t *testing.T) {
	for id, want := range map[string]int{model: 2, opus55: 1, tomorrow: 1} {
		srv := bedrocktest.NewServer(t)
		chat := converse.New(bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) { o.Continue = 1 }), func(o *converse.Options) { o.Model = bedrockkit.ModelID(id) })
		asked := 0
		srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			if asked++; asked == 1 {
				return bedrocktest.Text("One two three four five six seven eight").Chunks("One two ", "three four ", "five six ", "seven eight").CutAfter(420)
			}
			return bedrocktest.Text("rest")
		}).Keep()
		s, err := chat.Stream(t.Context(), ask("q"))
		require.NoError(t, err)
		for range s.Events() {
		}
		assert.Len(t, srv.Requests(), want, id)
	}
}

// An answer that breaks twice is asked for with all that has come, once.
func TestContinuedTwice(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	chat := converse.New(bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) { o.Continue = 2 }), func(o *converse.Options) { o.Model = model })
	for _, text := range []string{"One two ", "three four ", "five six"} {
		reply := bedrocktest.Text(text+"seven eight nine").Chunks(text, "seven eight nine")
		if text != "five six" {
			reply = reply.CutAfter(420)
		}
		srv.Reply(reply)
	}
	s, err := chat.Stream(t.Context(), ask("q"))
	require.NoError(t, err)
	text := ""
	for piece, err := range s.Text() {
		require.NoError(t, err)
		text += piece
	}
	requests := srv.Requests()
	require.Len(t, requests, 3)
	for i, want := range []string{"One two", "One two three four"} {
		var body struct {
			Messages []converse.Message `json:"messages"`
		}
		require.NoError(t, json.Unmarshal(requests[i+1].Body, &body))
		require.Len(t, body.Messages, 2)
		assert.Equal(t, want, body.Messages[1].Text())
	}
	assert.Equal(t, "One two three four five sixseven eight nine", text)
}

// Reasoning without a signature goes back to no model, within a loop and in a
// later request; that of Claude to no other family.
func TestReasoningThatNoModelTakesBack(t *testing.T) {
	for _, id := range []string{deepseek, nova2, gptOSS, "us.amazon.nova-pro-v1:0"} {
		t.Run(id, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			n := 0
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				if n++; n == 1 && id != deepseek {
					return body("tool_use", `{"reasoningContent":{"reasoningText":{"text":"I need the stock."}}}`, `{"toolUse":{"toolUseId":"tooluse_a","name":"check_stock","input":{"title":"x"}}}`)
				}
				return body("end_turn", `{"reasoningContent":{"reasoningText":{"text":"They greet me."}}}`, `{"text":"Hello."}`)
			}).Keep()
			chat := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) {
				o.Model = bedrockkit.ModelID(id)
				if id != deepseek {
					o.Tools = []converse.Tool{converse.NewTool("check_stock", "Looks.", func(context.Context, stockIn) (string, error) { return "3", nil })}
				}
			})
			first, err := chat.Run(t.Context(), ask("Hi"))
			require.NoError(t, err)
			assert.IsType(t, converse.Reasoning{}, first.Messages[1].Content[0], "the history has all of it")
			_, err = chat.Run(t.Context(), converse.Request{Messages: converse.Append(first.Messages, converse.User("And then?"))})
			require.NoError(t, err)
			for _, r := range srv.Requests() {
				assert.NotContains(t, string(r.Body), "reasoningContent")
			}
		})
	}
}

// What Claude signed goes to no other family, whether that thinks or not; to a
// model of which nothing is known it goes as it was written.
func TestSignedReasoningByModel(t *testing.T) {
	req := converse.Request{Messages: []converse.Message{
		converse.User("Hi"),
		{Role: converse.RoleAssistant, Content: converse.Contents{converse.Reasoning{Text: "They greet me.", Signature: "s"}, converse.Text("Hello.")}},
		converse.User("And then?"),
	}}
	for id, kept := range map[string]bool{
		model: true, haiku55: true, tomorrow: true,
		gptOSS: false, "us.openai.gpt-5.6-terra": false, "mistral.mistral-large-3-675b-instruct": false,
		"qwen.qwen3-32b-v1:0": false, deepseek: false, nova2: false, "us.meta.llama3-3-70b-instruct-v1:0": false,
	} {
		body := sentBody(t, id, req)
		assert.Equal(t, kept, strings.Contains(body, "reasoningContent"), id)
	}
}

func TestUnsignedReasoningForClaude(t *testing.T) {
	req := converse.Request{Model: model, MaxTokens: 4096, Thinking: 1024, Messages: []converse.Message{
		converse.User("Hi"),
		{Role: converse.RoleAssistant, Content: converse.Contents{converse.Reasoning{Text: "cut off"}, converse.Reasoning{Text: "kept", Signature: "s"}, converse.Text("Hel")}},
		converse.User("Go on"),
	}}
	assert.ErrorContains(t, converse.Preflight(req), "messages[1].content[0].reasoningContent.reasoningText.signature")
	repaired, changes := converse.Repair(req)
	assert.Len(t, changes, 1)
	assert.NoError(t, converse.Preflight(repaired))
	assert.Len(t, repaired.Messages[1].Content, 2)
	assert.NotContains(t, sentBody(t, model, req), "cut off", "a client leaves it out by itself")
}

// Schemas of tools as each family takes them.
func TestToolSchemasByFamily(t *testing.T) {
	const union = `{"type":"object","properties":{"pid":{"type":"integer"}},"anyOf":[{"required":["pid"]},{"properties":{"name":{"type":"string"}},"required":["name"]}]}`
	const closed = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","title":"In","properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"additionalProperties":false,"minProperties":1,"$defs":{"A":{"type":"string"}}}`
	spec := func(schema string) converse.Request {
		req := ask("q")
		req.Tools = []converse.ToolSpec{{Name: "attach", Description: "Attaches.", InputSchema: json.RawMessage(schema)}}
		return req
	}
	for _, tt := range []struct{ name, model, given, want, description string }{
		{"a union for Claude", model, union, `{"type":"object","properties":{"pid":{"type":"integer"},"name":{"type":"string"}}}`,
			`Attaches. (anyOf: [{"required":["pid"]},{"properties":{"name":{"type":"string"}},"required":["name"]}])`},
		{"allOf for Claude", model, `{"type":"object","allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]}]}`, `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`,
			`Attaches. (allOf: [{"properties":{"a":{"type":"string"}},"required":["a"]}])`},
		{"a closed object for Claude", model, closed, closed, "Attaches."},
		{"Nova", nova2, closed, `{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"$defs":{"A":{"type":"string"}}}`, "Attaches. (minProperties: 1)"},
		{"another family", gptOSS, union, union, "Attaches."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := spec(tt.given)
			got := part(sent(t, tt.model, req), "toolConfig", "tools").([]any)[0]
			schema, err := json.Marshal(part(got, "toolSpec", "inputSchema", "json"))
			require.NoError(t, err)
			assert.JSONEq(t, tt.want, string(schema))
			assert.Equal(t, tt.description, part(got, "toolSpec", "description"))
			assert.Equal(t, tt.given, string(req.Tools[0].InputSchema), "the caller's stays")
		})
	}
	req := spec(union)
	req.Model = model
	assert.ErrorContains(t, converse.Preflight(req), "it has anyOf at the top, which models of Anthropic do not take")
}

// Strict tools go out as such where the model may hold them to their schemas.
func TestStrictToolsByModel(t *testing.T) {
	req := ask("q")
	req.Tools = []converse.ToolSpec{{Name: "a", InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false}`), Strict: true}}
	assert.Contains(t, sentBody(t, model, req), `"strict":true`)
	assert.Contains(t, sentBody(t, tomorrow, req), `"strict":true`)
	assert.NotContains(t, sentBody(t, opus55, req), `"strict"`)
	assert.True(t, req.Tools[0].Strict)
}

// An output format is closed as Generate closes it.
func TestOutputFormatIsClosed(t *testing.T) {
	req := ask("q")
	req.OutputFormat = &converse.OutputFormat{Name: "x", Schema: json.RawMessage(`{"type":"object","properties":{"r":{"type":"string","minLength":2}},"required":["r"]}`)}
	body := sentBody(t, model, req)
	assert.Contains(t, body, `additionalProperties\":false`)
	assert.Contains(t, body, `(minLength: 2)`)
	assert.NotContains(t, string(req.OutputFormat.Schema), "additional", "the caller's stays")
}

func TestShortToolIDsForMistral(t *testing.T) {
	use := func(id string) []converse.Message {
		return []converse.Message{converse.User("Hi"),
			{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: id, Name: "f", Input: json.RawMessage(`{}`)}}},
			converse.UserContent(converse.ToolResult{ToolUseID: id, Content: converse.Contents{converse.Text("1")}})}
	}
	req := converse.Request{Model: "us.mistral.pixtral-large-2502-v1:0", MaxTokens: 100, Messages: use("a"),
		Tools: []converse.ToolSpec{{Name: "f", Description: "f", InputSchema: json.RawMessage(`{"type":"object"}`)}}}
	assert.ErrorContains(t, converse.Preflight(req), "wants at least 9")
	repaired, _ := converse.Repair(req)
	assert.NoError(t, converse.Preflight(repaired))
	assert.Equal(t, use("a00000000"), repaired.Messages)
}

// What the table knows to be refused is found before it is sent.
func TestModelFaultsAreFound(t *testing.T) {
	for _, tt := range []struct {
		model  string
		change func(*converse.Request)
		want   string
	}{
		{model, func(r *converse.Request) { r.Temperature, r.TopP = ptr(0.5), ptr(0.9) }, "the model takes one of them"},
		{model, func(r *converse.Request) { r.StopSequences = []string{"\n"} }, "stopSequences[0]: it is blank"},
		{model, func(r *converse.Request) { r.MaxTokens = 64001 }, "at most 64000"},
		{model, func(r *converse.Request) { r.Effort, r.Thinking = "minimal", 2000 }, ""},
		{"anthropic.claude-haiku-5-5", func(*converse.Request) {}, "modelId: the model is not served by its bare id; use "},
		{"amazon.nova-2-sonic-v1:0", func(*converse.Request) {}, "modelId: the model has no Converse"},
		{opus55, func(r *converse.Request) { r.ToolChoice.Any = true }, "cannot be made to call a tool"},
		{opus55, func(r *converse.Request) { r.Thinking = converse.NoThinking }, "thinking: the model always thinks; leave NoThinking out and set Effort"},
		{opus55, func(r *converse.Request) { r.AdditionalFields = json.RawMessage(`{"thinking":{"type":"disabled"}}`) }, "the model does not take disabled"},
		{opus48, func(r *converse.Request) {
			r.AdditionalFields = json.RawMessage(`{"thinking":{"type":"enabled","budget_tokens":2000}}`)
		}, "the model does not take enabled"},
		{haiku55, func(r *converse.Request) { r.Thinking, r.Effort = converse.NoThinking, "max" }, "it is over high"},
		{opus55, func(r *converse.Request) { r.Effort = "minimal" }, "it is not one that the model takes: low, medium, high, xhigh, max"},
		{opus55, func(r *converse.Request) {
			r.OutputFormat = &converse.OutputFormat{Schema: json.RawMessage(`{"type":"object"}`)}
		}, "the model has no output format"},
		{model, func(r *converse.Request) {
			r.Messages = append(r.Messages, converse.Message{Role: converse.RoleSystem, Content: converse.Contents{converse.Text("s")}})
		}, "the model takes a system prompt only"},
		{model, func(r *converse.Request) {
			r.Thinking, r.MaxTokens = 2000, 4000
			r.Messages = append(r.Messages, converse.Assistant("Sure"))
		}, "a model that thinks goes on with no answer"},
		{nova2, func(r *converse.Request) { r.Effort, r.MaxTokens = "high", 100 }, "NoMaxTokens"},
		{nova2, func(r *converse.Request) { r.Thinking = 2000 }, "as additional fields"},
		{deepseek, func(r *converse.Request) { r.Thinking = converse.NoThinking }, "no field that stops it is known"},
		{"us.openai.gpt-5.6-terra", func(r *converse.Request) { r.Effort = "minimal" }, "not one that the model takes"},
		{model, func(r *converse.Request) {
			r.OutputFormat = &converse.OutputFormat{Schema: json.RawMessage(`{"type":"object"}`)}
			r.Messages[0].Content = append(r.Messages[0].Content, converse.Document{Name: "d", Text: "t", Citations: true})
		}, "cannot be in one request"},
	} {
		req := converse.Request{Model: bedrockkit.ModelID(tt.model), MaxTokens: 0, Messages: []converse.Message{converse.User("q")},
			Tools: []converse.ToolSpec{{Name: "f", InputSchema: json.RawMessage(`{"type":"object"}`)}}}
		if tt.model == deepseek {
			req.Tools = nil
		}
		tt.change(&req)
		if tt.want == "" {
			assert.NoError(t, converse.Preflight(req), tt.model)
			continue
		}
		assert.ErrorContains(t, converse.Preflight(req), tt.want, tt.model)
	}
}

// Interleaved thinking may have a budget over max tokens.
func TestInterleavedThinkingBudget(t *testing.T) {
	req := converse.Request{Model: "us.anthropic.claude-opus-4-5-20251101-v1:0", MaxTokens: 4096, Thinking: 16000, Messages: ask("q").Messages}
	assert.ErrorContains(t, converse.Preflight(req), "must cover the thinking and the answer")
	req.AdditionalFields = json.RawMessage(`{"anthropic_beta":["interleaved-thinking-2025-05-14"]}`)
	assert.NoError(t, converse.Preflight(req))
}

func ptr[T any](v T) *T { return &v }

// Of a Claude that the table does not have nothing is refused for how those
// before it think: not here, and not by a fake that knows its name.
func TestThinkingOfAModelOfTomorrowIsLeftToIt(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.Models = true, []bedrockkit.ModelID{"anthropic.claude-opus-9"}
	})
	chat := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) { o.Model = tomorrow })
	for name, change := range map[string]func(*converse.Request){
		"a temperature": func(r *converse.Request) { r.Temperature = ptr(0.2) },
		"top_p":         func(r *converse.Request) { r.TopP = ptr(0.5) },
		"top_k": func(r *converse.Request) {
			r.AdditionalFields = json.RawMessage(`{"top_k":5}`)
		},
		"a small budget":             func(r *converse.Request) { r.Thinking = 100 },
		"a budget over max tokens":   func(r *converse.Request) { r.MaxTokens = 1000 },
		"the beginning of an answer": func(r *converse.Request) { r.Messages = append(r.Messages, converse.Assistant("The")) },
		"a mode of tomorrow": func(r *converse.Request) {
			r.Thinking, r.AdditionalFields = 0, json.RawMessage(`{"thinking":{"type":"dreaming"}}`)
		},
	} {
		req := ask("q")
		req.Model, req.MaxTokens, req.Thinking = tomorrow, 8000, 4000
		change(&req)
		assert.NoError(t, converse.Preflight(req), name)
		srv.Reply(bedrocktest.Text("ok"))
		_, err := chat.Send(t.Context(), req)
		assert.NoError(t, err, name)
	}
}

// The model's own parameters do not go to a model of another provider, and that
// is told. What such a model cannot do without them is refused before anything
// is spent.
func TestFallbackToAnotherProvider(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	chat := converse.New(bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) { o.MaxAttempts = 1 }), func(o *converse.Options) { o.Model = opus46 })
	fallOn := func(ids ...bedrockkit.ModelID) func(*converse.Options) {
		return converse.Call(func(o *bedrockx.Options) {
			for _, id := range ids {
				o.Fallback = append(o.Fallback, bedrockx.Target{Model: id})
			}
		})
	}
	req := ask("q")
	req.AdditionalFields = json.RawMessage(`{"thinking":{"type":"adaptive"},"anthropic_beta":["context-1m-2025-08-07"]}`)
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Throttle(), bedrocktest.Text("ok"))
	result, err := chat.Send(t.Context(), req, fallOn(sonnet46, nova2))
	require.NoError(t, err)
	requests := srv.Requests()
	require.Len(t, requests, 3)
	for i, want := range []bool{true, true, false} {
		assert.Equal(t, want, strings.Contains(string(requests[i].Body), "anthropic_beta"), requests[i].Model)
	}
	assert.Equal(t, []bedrockx.Skipped{{What: bedrockx.SkipAdditionalFields, Model: nova2}}, result.Skipped)

	budget := ask("q")
	budget.Thinking = 4000
	_, err = chat.Send(t.Context(), budget, fallOn(nova2))
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "a budget is for models of Anthropic")
	assert.Len(t, srv.Requests(), 3, "nothing was sent")
}
