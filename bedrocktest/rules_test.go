package bedrocktest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

const (
	opus55   = "us.anthropic.claude-opus-5-5"
	opus5    = "us.anthropic.claude-opus-5"
	opus46   = "us.anthropic.claude-opus-4-6-v1"
	sonnet55 = "us.anthropic.claude-sonnet-5-5"
	haiku55  = "us.anthropic.claude-haiku-5-5"
	fable51  = "us.anthropic.claude-fable-5-1"
	nova2    = "us.amazon.nova-2-lite-v1:0"
)

// modelRules are requests by Converse, each with the rule that refuses it and
// what it says.
var modelRules = []struct {
	rule        bedrocktest.Rule
	model, more string // members beside the messages
	want        string // empty: it is taken
}{
	{bedrocktest.RuleSampling, opus55, `"inferenceConfig":{"temperature":0.2}`, "`temperature` is deprecated for this model."},
	{bedrocktest.RuleSampling, opus5, `"inferenceConfig":{"topP":0.2}`, "`top_p` is deprecated for this model."},
	{bedrocktest.RuleSampling, haiku55, `"additionalModelRequestFields":{"top_k":3}`, "`top_k` is deprecated for this model."},
	{bedrocktest.RuleSampling, fable51, `"inferenceConfig":{"temperature":0.5}`, "`temperature` is deprecated for this model."},
	{bedrocktest.RuleSampling, fable51, `"inferenceConfig":{"temperature":1}`, ""},
	{bedrocktest.RuleSampling, haiku, `"inferenceConfig":{"temperature":0.5,"topP":0.5}`, "`temperature` and `top_p` cannot both be specified for this model. Please use only one."},
	{bedrocktest.RuleSampling, haiku, `"inferenceConfig":{"temperature":0.5,"maxTokens":2000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}`, "`temperature` may only be set to 1"},
	{bedrocktest.RuleThinking, opus55, `"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}`,
		`"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`},
	{bedrocktest.RuleThinking, opus55, `"additionalModelRequestFields":{"thinking":{"type":"disabled"}}`, `"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive"`},
	{bedrocktest.RuleThinking, sonnet55, `"additionalModelRequestFields":{"thinking":{"type":"disabled"}}`, `Use "thinking.type.between_tools" for the lowest thinking setting`},
	{bedrocktest.RuleThinking, sonnet55, `"additionalModelRequestFields":{"thinking":{"type":"between_tools"}}`, ""},
	{bedrocktest.RuleThinking, sonnet55, `"additionalModelRequestFields":{"thinking":{"type":"between_tools"},"output_config":{"effort":"max"}}`, "effort 'max' is not supported"},
	{bedrocktest.RuleThinking, opus5, `"additionalModelRequestFields":{"thinking":{"type":"between_tools"}}`, `"thinking.type.between_tools" is not supported for this model.`},
	{bedrocktest.RuleThinking, haiku, `"additionalModelRequestFields":{"thinking":{"type":"adaptive"}}`, "adaptive thinking is not supported on this model"},
	{bedrocktest.RuleThinking, haiku, `"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1000}}`, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"},
	{bedrocktest.RuleThinking, haiku, `"additionalModelRequestFields":{"thinking":{"type":"enabled"}}`, "thinking.enabled.budget_tokens: Field required"},
	{bedrocktest.RuleThinking, haiku, `"inferenceConfig":{"maxTokens":2000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}}`, "`max_tokens` must be greater than `thinking.budget_tokens`"},
	{bedrocktest.RuleThinking, haiku, `"inferenceConfig":{"maxTokens":2000},"additionalModelRequestFields":{"anthropic_beta":["interleaved-thinking-2025-05-14"],"thinking":{"type":"enabled","budget_tokens":2000}}`, ""},
	{bedrocktest.RuleThinking, opus5, `"additionalModelRequestFields":{"thinking":{"type":"adaptive","effort":"low"}}`, "thinking.adaptive.effort: Extra inputs are not permitted"},
	{bedrocktest.RuleThinking, opus5, `"additionalModelRequestFields":{"thinking":{"type":"disabled"},"output_config":{"effort":"xhigh"}}`, "effort 'xhigh' is not supported when thinking is disabled"},
	{bedrocktest.RuleThinking, opus5, `"outputConfig":{"effort":"high"},"additionalModelRequestFields":{"thinking":{"type":"disabled"}}`, ""},
	{bedrocktest.RuleThinking, opus5, `"additionalModelRequestFields":{"thinking":{"type":"loud"}}`, "Input tag 'loud' found using 'type'"},
	{bedrocktest.RuleThinking, opus46, `"additionalModelRequestFields":{"thinking":{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}}`, "thinking.adaptive.block_binding: Extra inputs are not permitted"},
	{bedrocktest.RuleThinking, fable51, `"additionalModelRequestFields":{"thinking":{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block","mismatch_behavior":"drop_block"}}}`, "cannot set both block_binding.prefix_mismatch_behavior"},
	{bedrocktest.RuleThinking, "us.openai.gpt-6-astra", `"additionalModelRequestFields":{"reasoning":{"effort":"none"}}`, `reasoning effort "none" is not supported`},
	{bedrocktest.RuleThinking, nova2, `"inferenceConfig":{"maxTokens":100},"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, "must be unset when maxReasoningEffort is high"},
	{bedrocktest.RuleThinking, nova2, `"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, ""},
	{bedrocktest.RuleToolChoice, opus55, choosing(`{"any":{}}`), `tool_choice: type "tool" and "any" are not supported for this model.`},
	{bedrocktest.RuleToolChoice, fable51, choosing(`{"tool":{"name":"f"}}`), `tool_choice: type "tool" and "any" are not supported for this model.`},
	{bedrocktest.RuleToolChoice, opus55, choosing(`{"auto":{}}`), ""},
	{bedrocktest.RuleToolChoice, opus5, choosing(`{"any":{}}`), ""},
	{bedrocktest.RuleToolChoice, haiku, choosing(`{"any":{}}`) + `,"inferenceConfig":{"maxTokens":2000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}`, "Thinking may not be enabled when tool_choice forces tool use."},
	{bedrocktest.RuleStructuredOutput, opus5, `"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}"}}}}`, "output_config.format: Extra inputs are not permitted"},
	{bedrocktest.RuleStructuredOutput, haiku, `"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}"}}}}`, ""},
	{bedrocktest.RuleTools, opus55, strings.Replace(tools, `"name":"f"`, `"name":"f","strict":true`, 1), "tools.0.custom.strict: Extra inputs are not permitted"},
	{bedrocktest.RuleTools, haiku, strings.Replace(tools, `{"type":"object"}`, `{"type":"object","anyOf":[{}]}`, 1), "input_schema does not support oneOf, allOf, or anyOf at the top level"},
	{bedrocktest.RuleTools, "writer.palmyra-vision-7b", tools, "The model returned the following errors: Mantle streaming error for requestId "},
	{bedrocktest.RuleMaxTokens, haiku, `"inferenceConfig":{"maxTokens":64001}`, "The maximum tokens you requested exceeds the model limit of 64000. Try again with a maximum tokens value that is lower than 64000."},
	{bedrocktest.RuleMaxTokens, haiku, `"inferenceConfig":{"maxTokens":64000}`, ""},
	{bedrocktest.RuleStopSequences, haiku, `"inferenceConfig":{"stopSequences":["\n"]}`, "each stop sequence must contain non-whitespace"},
	{bedrocktest.RuleContent, "us.meta.llama3-3-70b-instruct-v1:0", `"system":[{"text":"Be brief."}]`, ""},
}

func choosing(choice string) string {
	return strings.TrimSuffix(tools, "}") + `,"toolChoice":` + choice + `}`
}

func TestModelRules(t *testing.T) {
	srv := echoServer(t)
	for _, tt := range modelRules {
		body := `{"messages":[` + user + `],` + tt.more + `}`
		require.True(t, json.Valid([]byte(body)), body)
		for _, op := range []string{"converse", "converse-stream"} {
			resp, got := do(t, srv, request(t, srv, "/model/"+tt.model+"/"+op, body))
			if tt.want == "" {
				assert.Equal(t, 200, resp.StatusCode, "%s %s: %s", tt.model, tt.more, got)
				continue
			}
			assert.Equal(t, 400, resp.StatusCode, "%s %s", tt.model, tt.more)
			assert.Contains(t, message(got), tt.want, tt.model)
		}
		off := echoServer(t, func(o *bedrocktest.Options) { o.Ignore = []bedrocktest.Rule{tt.rule} })
		resp, got := do(t, off, request(t, off, "/model/"+tt.model+"/converse", body))
		assert.Equal(t, 200, resp.StatusCode, "%s is switched off: %s", tt.rule, got)
	}
}

// What the model's own API says is told as such by Converse, and bare by
// InvokeModel.
func TestRulesOfInvokeModel(t *testing.T) {
	srv := echoServer(t)
	const head = `"anthropic_version":"bedrock-2023-05-31","max_tokens":2000,"messages":[{"role":"user","content":"Hi"}]`
	for more, want := range map[string]string{
		``:                   "",
		`,"temperature":0.5`: "`temperature` is deprecated for this model.",
		`,"top_k":5`:         "`top_k` is deprecated for this model.",
		`,"thinking":{"type":"enabled","budget_tokens":1024}`:                                   `"thinking.type.enabled" is not supported for this model.`,
		`,"output_config":{"format":{"type":"json_schema","schema":{}}}`:                        "output_config.format: Extra inputs are not permitted",
		`,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}`: `tool_choice: type "tool" and "any" are not supported for this model.`,
		`,"tools":[{"name":"f","strict":true,"input_schema":{"type":"object"}}]`:                "tools.0.custom.strict: Extra inputs are not permitted",
		`,"output_config":{"effort":"minimal"}`:                                                 "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
	} {
		resp, got := do(t, srv, request(t, srv, "/model/"+opus55+"/invoke", "{"+head+more+"}"))
		if want == "" {
			assert.Equal(t, 200, resp.StatusCode, got)
			continue
		}
		assert.Equal(t, 400, resp.StatusCode, more)
		assert.Truef(t, strings.HasPrefix(message(got), want), "%s: %s", more, got)
	}
	for model, want := range map[string]string{
		opus55: "max_tokens: 999999 > 128000, which is the maximum allowed number of output tokens for claude-opus-5-5",
	} {
		_, got := do(t, srv, request(t, srv, "/model/"+model+"/invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":999999,"messages":[{"role":"user","content":"Hi"}]}`))
		assert.Equal(t, want, message(got))
	}
	_, got := do(t, srv, request(t, srv, "/model/"+opus55+"/invoke", "{"+strings.Replace(head, `"content":"Hi"}`, `"content":"Hi"},{"role":"system","content":"x","output_config":{"effort":"low"}},{"role":"user","content":"y"}`, 1)+"}"))
	assert.Equal(t, "messages.1.output_config: Extra inputs are not permitted", message(got))
}

func TestPrefillAndReasoning(t *testing.T) {
	srv := echoServer(t)
	assistant := func(block string) string {
		return `{"messages":[` + user + `,{"role":"assistant","content":[` + block + `]}%s]}`
	}
	const next = `,{"role":"user","content":[{"text":"Go on."}]}`
	for _, tt := range []struct{ model, body, after, want string }{
		{opus55, assistant(`{"text":"Well"}`), "", "This model does not support assistant message prefill. The conversation must end with a user message."},
		{haiku, assistant(`{"text":"Well"}`), "", ""},
		{haiku, assistant(`{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"Well"}`), next, "messages.1.content.0.thinking.signature: Field required"},
		{haiku, assistant(`{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"text":"Well"}`), next, ""},
		{"us.deepseek.r1-v1:0", assistant(`{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"Well"}`), next, "User messages cannot contain reasoning content."},
		{nova2, assistant(`{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"Well"}`), next, "User messages cannot contain reasoning content."},
	} {
		resp, got := do(t, srv, request(t, srv, "/model/"+tt.model+"/converse", strings.Replace(tt.body, "%s", tt.after, 1)))
		if tt.want == "" {
			assert.Equal(t, 200, resp.StatusCode, got)
			continue
		}
		assert.Contains(t, message(got), tt.want)
	}
}

// A thinking block of Fable is bound to what came before it.
func TestBoundReasoning(t *testing.T) {
	srv := echoServer(t)
	const thinking = `"additionalModelRequestFields":{"thinking":{"type":"adaptive"}}`
	_, body := do(t, srv, request(t, srv, "/model/"+fable51+"/converse", `{"system":[{"text":"a"}],"messages":[`+user+`],`+thinking+`}`))
	var first struct {
		Output struct{ Message json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &first))
	require.Contains(t, string(first.Output.Message), "signature")
	history := user + "," + string(first.Output.Message) + `,{"role":"user","content":[{"text":"Go on."}]}`
	const drop = `"additionalModelRequestFields":{"thinking":{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}}`
	for body, want := range map[string]string{
		`{"system":[{"text":"a"}],"messages":[` + history + `],` + thinking + `}`:                                     "",
		`{"system":[{"text":"a"},{"cachePoint":{"type":"default"}}],"messages":[` + history + `],` + thinking + `}`:   "",
		`{"system":[{"text":"b"}],"messages":[` + history + `],` + drop + `}`:                                         "",
		`{"system":[{"text":"b"}],"messages":[` + history + `],` + thinking + `}`:                                     "The system prompt differs.",
		`{"system":[{"text":"a"}],"messages":[` + history + `],` + thinking + `,` + tools + `}`:                       "The tools differ.",
		`{"system":[{"text":"a"}],"messages":[` + strings.Replace(history, `"Hi"`, `"Ho"`, 1) + `],` + thinking + `}`: "The earlier messages differ.",
	} {
		resp, got := do(t, srv, request(t, srv, "/model/"+fable51+"/converse", body))
		if want == "" {
			assert.Equal(t, 200, resp.StatusCode, got)
			continue
		}
		assert.Equal(t, 400, resp.StatusCode, body)
		assert.Contains(t, message(got), "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation.")
		assert.Contains(t, message(got), want)
	}
}

// Rules of one operation, or of models that are not Claude.
func TestRulesOfOtherModels(t *testing.T) {
	const llama = "us.meta.llama3-3-70b-instruct-v1:0"
	srv := echoServer(t)
	for _, tt := range []struct{ model, op, body, want string }{
		{llama, "converse", `{"messages":[` + user + `],` + choosing(`{"any":{}}`) + `}`, "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again."},
		{llama, "converse-stream", `{"messages":[` + user + `],` + tools + `}`, "This model doesn't support tool use in streaming mode."},
		{"us.deepseek.r1-v1:0", "converse", `{"messages":[` + user + `],` + tools + `}`, "This model doesn't support tool use."},
		{"us.amazon.nova-micro-v1:0", "converse", `{"messages":[{"role":"user","content":[{"text":"Hi"},{"image":{"format":"png","source":{"bytes":"AA=="}}}]}]}`, "This model doesn't support the image content block that you provided. Update the content block and try again."},
		{"us.amazon.nova-micro-v1:0", "converse", `{"messages":[` + user + `],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}"}}}}}`, "This model doesn't support the outputConfig.textFormat field."},
		{gptOSS, "invoke", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, "This model doesn't support the image content block that you provided."},
	} {
		resp, got := do(t, srv, request(t, srv, "/model/"+tt.model+"/"+tt.op, tt.body))
		assert.Equal(t, 400, resp.StatusCode, tt.body)
		assert.Contains(t, message(got), tt.want)
	}
}

func TestWindow(t *testing.T) {
	srv := echoServer(t)
	_, got := do(t, srv, request(t, srv, "/model/"+haiku+"/converse", `{"messages":[{"role":"user","content":[{"text":"`+strings.Repeat("word ", 210_000)+`"}]}]}`))
	assert.Regexp(t, `^The model returned the following errors: prompt is too long: \d+ tokens > 200000 maximum$`, message(got))
}

func TestUnknownRule(t *testing.T) {
	_, err := bedrocktest.New(func(o *bedrocktest.Options) { o.Ignore = []bedrocktest.Rule{"all"} })
	assert.ErrorContains(t, err, `there is no rule "all"; the rules are [`)
}

// The control plane tells the same facts.
func TestCatalogTellsTheTable(t *testing.T) {
	srv := echoServer(t)
	_, body := do(t, srv, request(t, srv, "/foundation-models/anthropic.claude-opus-5-5", ""))
	assert.Contains(t, body, `"modelId":"anthropic.claude-opus-5-5"`)
	assert.Contains(t, body, `"inferenceTypesSupported":["INFERENCE_PROFILE"]`)
	resp, _ := do(t, srv, request(t, srv, "/foundation-models/amazon.nova-sonic-v1:0", ""))
	assert.Equal(t, 404, resp.StatusCode)
	seen := map[string]bool{}
	for token := ""; ; {
		_, body := do(t, srv, request(t, srv, "/inference-profiles?maxResults=50&type=SYSTEM_DEFINED&nextToken="+token, ""))
		var page struct {
			NextToken string
			List      []struct{ InferenceProfileID string } `json:"inferenceProfileSummaries"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page), body)
		for _, p := range page.List {
			seen[p.InferenceProfileID] = true
		}
		if token = page.NextToken; token == "" {
			break
		}
	}
	assert.True(t, seen["global.anthropic.claude-opus-5-5"])
	assert.False(t, seen["us.anthropic.claude-3-haiku-20240307-v1:0"], "it has ended")
	assert.Greater(t, len(seen), 100)
}
