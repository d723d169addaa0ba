package bedrocktest

import "slices"

// A Rule is a kind of refusals that depend on the model, so that a test can
// switch it off by [Options.Ignore].
type Rule string

// The rules. What they refuse is in the table of models (models.json of the root
// package), with its sources: a request is refused only for a documented or
// measured no, never for what is unknown.
const (
	RuleModel            Rule = "model"             // gated models, that an account does not see
	RuleAction           Rule = "action"            // operations that the model does not have
	RuleOnDemand         Rule = "on_demand"         // bare ids of models that are called by profiles only
	RuleContent          Rule = "content"           // system prompts, images, documents, video that the model does not take
	RuleTools            Rule = "tools"             // tools, tools in streams, strict tools, tool schemas
	RuleToolChoice       Rule = "tool_choice"       // tools that must be called, also while the model thinks
	RulePrefill          Rule = "prefill"           // a last message of the assistant
	RulePromptCache      Rule = "prompt_cache"      // cache points and their TTLs
	RuleStructuredOutput Rule = "structured_output" // output formats
	RuleSampling         Rule = "sampling"          // temperature, top_p and top_k
	RuleThinking         Rule = "thinking"          // modes, budgets and efforts of reasoning
	RuleReasoning        Rule = "reasoning"         // reasoning that is sent back
	RuleMaxTokens        Rule = "max_tokens"        // more output than the model gives
	RuleWindow           Rule = "window"            // more input than the model's window
	RuleStopSequences    Rule = "stop_sequences"    // stop sequences of white space
)

// Rules returns all rules.
func Rules() []Rule {
	return []Rule{RuleModel, RuleAction, RuleOnDemand, RuleContent, RuleTools, RuleToolChoice, RulePrefill, RulePromptCache,
		RuleStructuredOutput, RuleSampling, RuleThinking, RuleReasoning, RuleMaxTokens, RuleWindow, RuleStopSequences}
}

func (s *Server) ignores(r Rule) bool { return slices.Contains(s.opts.Ignore, r) }
