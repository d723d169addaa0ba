package bedrocktest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// What a model refuses of a request that is well formed, whatever body it came
// in. The facts are the table's; the messages are those that users of the
// service have published, where there are any.

// An asked is what the rules look at beside the Conversation.
type asked struct {
	fields     map[string]json.RawMessage // of the model's own body
	uses       map[string]bool            // the kinds of content, by Converse's names
	strict     int                        // the number of the first strict tool, from 0; -1 for none
	format     bool                       // an output format with a schema
	citations  bool                       // documents are to be cited
	cacheTools bool                       // a cache point comes after tools
}

// A modelRules holds a request against its model.
type modelRules struct {
	s     *Server
	req   *Request
	asked asked
	c     bedrockkit.Capability
}

// checkModel refuses what the model of the request does not take.
func (s *Server) checkModel(req *Request, a asked) *Reply {
	m := &modelRules{s, req, a, s.capability(req.Model)}
	steps := []struct {
		rule  Rule
		check func() *Reply
	}{
		{RuleContent, m.content},
		{RuleTools, m.tools},
		{RuleToolChoice, m.toolChoice},
		{RulePrefill, m.prefill},
		{RulePromptCache, m.promptCache},
		{RuleStructuredOutput, m.structuredOutput},
		{RuleMaxTokens, m.maxTokens},
		{RuleWindow, m.window},
	}
	if m.claude() {
		steps = append(steps, []struct {
			rule  Rule
			check func() *Reply
		}{
			{RuleThinking, m.claudeThinking},
			{RuleSampling, m.claudeSampling},
			{RuleReasoning, m.claudeReasoning},
			{RuleStopSequences, m.claudeStopSequences},
		}...)
	} else {
		steps = append(steps, []struct {
			rule  Rule
			check func() *Reply
		}{
			{RuleThinking, m.otherThinking},
			{RuleReasoning, m.otherReasoning},
		}...)
	}
	for _, step := range steps {
		if s.ignores(step.rule) {
			continue
		}
		if r := step.check(); r != nil {
			return r
		}
	}
	return nil
}

func (m *modelRules) no(f bedrockkit.Feature) bool { return m.c.Supports(f) == bedrockkit.No }

// known reports whether the table has the model. Of one that the options add
// nobody knows what it refuses.
func (m *modelRules) known() bool { return m.c.ID != "" }

// claude reports whether the body is one of Claude's, or Converse's for it.
func (m *modelRules) claude() bool {
	return m.s.isClaude(m.req) && m.s.resolve(m.req.Model).Base() != ""
}

// says is a refusal of the model's own API, which Converse reports as such.
func (m *modelRules) says(format string, args ...any) *Reply {
	return m.req.modelSays(format, args...)
}

func (req *Request) modelSays(format string, args ...any) *Reply {
	r := invalid(format, args...)
	if req.family == nil {
		r.message = "The model returned the following errors: " + r.message
	}
	return r
}

func (m *modelRules) content() *Reply {
	for _, kind := range []struct {
		name    string
		feature bedrockkit.Feature
	}{
		{"image", bedrockkit.FeatureImages},
		{"document", bedrockkit.FeatureDocuments},
		{"video", bedrockkit.FeatureVideo},
		{"audio", bedrockkit.FeatureAudio},
	} {
		if m.asked.uses[kind.name] && m.no(kind.feature) {
			return invalid("This model doesn't support the %s content block that you provided. Update the content block and try again.", kind.name)
		}
	}
	if len(m.req.System) > 0 && m.no(bedrockkit.FeatureSystem) {
		return invalid("This model doesn't support system messages. Try again without a system message or use a model that supports system messages.")
	}
	for _, message := range m.req.Messages {
		if message.Role == "system" && m.no(bedrockkit.FeatureSystemMessages) {
			return m.says(unexpectedRole, message.Role)
		}
	}
	return nil
}

const unexpectedRole = `messages: Unexpected role "%s". Allowed roles are "user" or "assistant".`

func (m *modelRules) tools() *Reply {
	if len(m.req.Tools) == 0 {
		return nil
	}
	switch {
	case strings.HasPrefix(string(m.s.resolve(m.req.Model).Base()), "writer.palmyra-vision-7b"):
		return m.says(`Mantle streaming error for requestId %s: ErrorEvent { error: APIError { type: "BadRequestError", code: Some(400), message: "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", param: None } }`,
			identifier(36, "request", string(m.req.Body)))
	case m.no(bedrockkit.FeatureTools):
		return invalid("This model doesn't support tool use.")
	case m.req.Op.Streaming() && m.no(bedrockkit.FeatureToolStreaming):
		return invalid("This model doesn't support tool use in streaming mode.")
	case m.asked.strict >= 0 && m.no(bedrockkit.FeatureStrictTools):
		if m.claude() {
			return m.says("tools.%d.custom.strict: Extra inputs are not permitted", m.asked.strict)
		}
		return invalid("This model doesn't support the toolSpec.strict field. Remove toolSpec.strict and try again.")
	}
	if strings.HasPrefix(string(m.s.resolve(m.req.Model).Base()), "mistral.") {
		return m.mistralIDs()
	}
	if !m.claude() {
		return nil
	}
	for i, t := range m.req.Tools {
		var schema map[string]json.RawMessage
		if json.Unmarshal(t.Schema, &schema) != nil {
			continue
		}
		for _, key := range []string{"oneOf", "allOf", "anyOf"} {
			if _, ok := schema[key]; ok {
				return m.says("tools.%d.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level", i)
			}
		}
	}
	return nil
}

// mistralIDs: Mistral AI's models want ids of tool calls of nine characters; the
// longer ones that Bedrock makes are taken. Source: anomalyco/opencode issue 48843.
func (m *modelRules) mistralIDs() *Reply {
	for _, message := range m.req.Messages {
		for _, id := range callIDs(message) {
			if len(id) < 9 {
				return m.says("Tool call id was %s but must be a-z, A-Z, 0-9, with a length of 9.", id)
			}
		}
	}
	return nil
}

// thinks reports whether the model reasons for this request.
func (m *modelRules) thinks() bool {
	switch mode := m.req.Thinking.Mode; mode {
	case "":
		return m.c.Thinking.Kind == bedrockkit.ThinkingClaude && m.c.Thinking.OnByDefault() == bedrockkit.Yes
	default:
		return mode != string(bedrockkit.ThinkingDisabled)
	}
}

func (m *modelRules) toolChoice() *Reply {
	mode := m.req.ToolChoice.Mode
	if mode != "any" && mode != "tool" {
		return nil
	}
	own := m.c.ToolChoice.Any
	if mode == "tool" {
		own = m.c.ToolChoice.Tool
	}
	switch {
	case !m.claude():
		if m.no(bedrockkit.FeatureToolChoice) || own == bedrockkit.No {
			return invalid("This model doesn't support the toolConfig.toolChoice.%s field. Remove toolConfig.toolChoice.%[1]s and try again.", mode)
		}
	case m.no(bedrockkit.FeatureToolChoice) || own == bedrockkit.No:
		return m.says(`tool_choice: type "tool" and "any" are not supported for this model.`)
	case m.thinks() && m.c.ForcesTool(true) == bedrockkit.No:
		return m.says("Thinking may not be enabled when tool_choice forces tool use.")
	}
	return nil
}

func (m *modelRules) prefill() *Reply {
	messages := m.req.Messages
	if len(messages) == 0 || messages[len(messages)-1].Role != "assistant" {
		return nil
	}
	switch {
	case m.no(bedrockkit.FeaturePrefill):
		return m.says("This model does not support assistant message prefill. The conversation must end with a user message.")
	case m.claude() && m.known() && m.thinks():
		return m.says("messages.%d.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks).", len(messages)-1)
	}
	return nil
}

func (m *modelRules) promptCache() *Reply {
	if len(m.req.cacheMarks) == 0 {
		return nil
	}
	cache := m.c.PromptCache
	switch {
	case m.no(bedrockkit.FeaturePromptCache):
		return Error(403, "AccessDeniedException", "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.")
	case m.asked.cacheTools && cache.Tools == bedrockkit.No:
		return invalid("Malformed input request: extraneous key [cachePoint] is not permitted, please reformat your input and try again.")
	}
	for _, ttl := range m.req.cacheMarks {
		if ttl != "" && cache.TTL(ttl) == bedrockkit.No {
			return constraint([]byte(ttl), "cachePoint.ttl", "This model supports a ttl of "+strings.Join(cache.TTLs, ", ")+" only")
		}
	}
	return nil
}

func (m *modelRules) structuredOutput() *Reply {
	if !m.asked.format {
		return nil
	}
	switch {
	case !m.no(bedrockkit.FeatureStructuredOutput):
		if m.claude() && m.asked.citations {
			return m.says("output_config.format: Structured outputs are not supported with citations.")
		}
		if m.claude() && m.c.Supports(bedrockkit.FeatureStructuredOutput) == bedrockkit.Yes {
			if said := new(formatSchema).refusal(m.req.OutputSchema); said != "" {
				return m.says("output_config.format.schema: %s", said)
			}
		}
	case m.claude():
		return m.says("output_config.format: Extra inputs are not permitted")
	default:
		return invalid("This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again.")
	}
	return nil
}

func (m *modelRules) maxTokens() *Reply {
	most := int64(m.c.MaxOutput)
	if most == 0 || m.req.MaxTokens <= most {
		return nil
	}
	if m.claude() && m.req.family != nil {
		name := (&answer{req: m.req}).modelName()
		return m.says("max_tokens: %d > %d, which is the maximum allowed number of output tokens for %s", m.req.MaxTokens, most, name)
	}
	return invalid("The maximum tokens you requested exceeds the model limit of %d. Try again with a maximum tokens value that is lower than %[1]d.", most)
}

// window holds the prompt against the model's window, as far as the server's
// count of tokens goes.
func (m *modelRules) window() *Reply {
	most := int64(m.c.MaxInput)
	if most == 0 {
		return nil
	}
	n := m.req.inputTokens()
	switch {
	case n <= most:
		return nil
	case m.claude():
		return m.says("prompt is too long: %d tokens > %d maximum", n, most)
	}
	return invalid("Input is too long for requested model.")
}

// otherThinking is how a request asks models that are not Claude to reason.
func (m *modelRules) otherThinking() *Reply {
	t := m.req.Thinking
	if m.c.Thinking.Kind == bedrockkit.ThinkingNova && t.Mode == string(bedrockkit.ThinkingEnabled) && t.Effort == "high" &&
		(m.req.MaxTokens > 0 || m.req.Temperature != nil || m.req.TopP != nil) {
		return m.says("maxTokens, temperature and topP must be unset when maxReasoningEffort is high.")
	}
	if t.Effort != "" && m.c.Thinking.Effort(t.Effort) == bedrockkit.No {
		return m.says("reasoning effort %q is not supported for this model. Supported values are: %s.", t.Effort, strings.Join(m.c.Thinking.Efforts, ", "))
	}
	return nil
}

// otherReasoning: models that are not Claude take none of what they thought.
// Known of DeepSeek R1 and Nova 2. Source: langchain-aws #401, oh-my-pi #9086.
func (m *modelRules) otherReasoning() *Reply {
	base := string(m.s.resolve(m.req.Model).Base())
	if !slices.ContainsFunc([]string{"deepseek.r1", "amazon.nova-2-"}, func(p string) bool { return strings.HasPrefix(base, p) }) {
		return nil
	}
	for _, message := range m.req.Messages {
		for _, b := range message.Blocks {
			if b.Reasoning != nil {
				return invalid("User messages cannot contain reasoning content. Please remove the reasoning content and try again.")
			}
		}
	}
	return nil
}

func (m *modelRules) claudeStopSequences() *Reply {
	for _, s := range m.req.StopSequences {
		if strings.TrimSpace(s) == "" {
			return m.says("stop_sequences: each stop sequence must contain non-whitespace")
		}
	}
	return nil
}
