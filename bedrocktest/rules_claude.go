package bedrocktest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// How a request asks Claude to reason, and what goes with that.

// claudeThinkingFields are the member thinking of Claude's body.
type claudeThinkingFields struct {
	Type         string                     `json:"type"`
	BudgetTokens *int64                     `json:"budget_tokens"`
	Effort       json.RawMessage            `json:"effort"`
	BlockBinding map[string]json.RawMessage `json:"block_binding"`
}

const (
	insteadOfModes   = `Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`
	insteadOfNothing = `Use "thinking.type.between_tools" for the lowest thinking setting, or "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`
)

var claudeModes = []string{"adaptive", "between_tools", "disabled", "enabled"}

func (m *modelRules) claudeThinking() *Reply {
	raw, ok := m.asked.fields["thinking"]
	if ok && string(raw) != "null" {
		var t claudeThinkingFields
		if json.Unmarshal(raw, &t) != nil {
			return m.says("thinking: Input should be a valid dictionary or object to extract fields from")
		}
		if r := m.claudeMode(t); r != nil {
			return r
		}
	}
	if r := m.systemEffort(); r != nil {
		return r
	}
	t := m.req.Thinking
	efforts := m.c.Thinking
	switch mode := bedrockkit.ThinkingMode(t.Mode); {
	case t.Effort == "":
	case efforts.Effort(t.Effort) == bedrockkit.No:
		return m.says("output_config.effort: Input should be %s", orList(efforts.Efforts))
	case efforts.EffortWith(t.Effort, mode) == bedrockkit.No && mode == bedrockkit.ThinkingDisabled:
		return m.says("output_config.effort: effort '%s' is not supported when thinking is disabled", t.Effort)
	case efforts.EffortWith(t.Effort, mode) == bedrockkit.No:
		return m.says("output_config.effort: effort '%s' is not supported with \"thinking.type.%s\"", t.Effort, mode)
	}
	return nil
}

// orList is "'low', 'medium' or 'high'".
func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	if n := len(quoted) - 1; n > 0 {
		return strings.Join(quoted[:n], ", ") + " or " + quoted[n]
	}
	return strings.Join(quoted, "")
}

// claudeMode checks the mode and what stands beside it.
func (m *modelRules) claudeMode(t claudeThinkingFields) *Reply {
	mode := bedrockkit.ThinkingMode(t.Type)
	switch {
	case t.Type == "":
		return m.says("thinking: Unable to extract tag using discriminator 'type'")
	case !slices.Contains(claudeModes, t.Type) && m.known():
		return m.says("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: '%s'", t.Type, strings.Join(claudeModes, "', '"))
	case m.no(bedrockkit.FeatureThinking) && mode != bedrockkit.ThinkingDisabled:
		return m.says("thinking: Extra inputs are not permitted")
	case m.c.Thinking.Mode(mode) == bedrockkit.No:
		return m.refusedMode(mode)
	case len(t.Effort) > 0:
		return m.says("thinking.%s.effort: Extra inputs are not permitted", mode)
	case mode == bedrockkit.ThinkingEnabled && m.known():
		if r := m.budget(t.BudgetTokens); r != nil {
			return r
		}
	}
	_, old := t.BlockBinding["mismatch_behavior"]
	_, now := t.BlockBinding["prefix_mismatch_behavior"]
	switch {
	case t.BlockBinding == nil:
	case m.c.Thinking.BlockBinding == bedrockkit.No:
		return m.says("thinking.%s.block_binding: Extra inputs are not permitted", mode)
	case old && now:
		return m.says("cannot set both block_binding.prefix_mismatch_behavior and block_binding.mismatch_behavior; send only prefix_mismatch_behavior")
	}
	return nil
}

func (m *modelRules) refusedMode(mode bedrockkit.ThinkingMode) *Reply {
	instead := insteadOfModes
	switch {
	case mode == bedrockkit.ThinkingBetweenTools:
		return m.says(`"thinking.type.between_tools" is not supported for this model.`)
	case mode == bedrockkit.ThinkingAdaptive:
		return m.says("adaptive thinking is not supported on this model")
	case mode == bedrockkit.ThinkingDisabled && m.c.Thinking.Mode(bedrockkit.ThinkingBetweenTools) == bedrockkit.Yes:
		instead = insteadOfNothing
	}
	return m.says(`"thinking.type.%s" is not supported for this model. %s`, mode, instead)
}

// defaultMinBudget is the least budget of a model whose own is not known.
const defaultMinBudget = 1024

func (m *modelRules) budget(budget *int64) *Reply {
	least := int64(m.c.Thinking.MinBudget)
	if least == 0 {
		least = defaultMinBudget
	}
	switch {
	case budget == nil:
		return m.says("thinking.enabled.budget_tokens: Field required")
	case *budget < least:
		return m.says("thinking.enabled.budget_tokens: Input should be greater than or equal to %d", least)
	case m.req.MaxTokens > 0 && *budget >= m.req.MaxTokens && !m.beta("interleaved-thinking-2025-05-14"):
		return m.says("`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size")
	}
	return nil
}

// beta reports whether the request asks for a feature that is not yet general.
func (m *modelRules) beta(name string) bool {
	var names []string
	return json.Unmarshal(m.asked.fields["anthropic_beta"], &names) == nil && slices.Contains(names, name)
}

// systemEffort checks an effort that a message of the system sets for the turn.
func (m *modelRules) systemEffort() *Reply {
	var messages []map[string]json.RawMessage
	if json.Unmarshal(m.asked.fields["messages"], &messages) != nil {
		return nil
	}
	takes := m.beta("mid-conversation-effort-2026-08-01") &&
		slices.Contains([]bedrockkit.ModelID{"anthropic.claude-fable-5-1", "anthropic.claude-mythos-5-1"}, m.s.resolve(m.req.Model).Base())
	for i, message := range messages {
		if _, ok := message["output_config"]; ok && !takes {
			return m.says("messages.%d.output_config: Extra inputs are not permitted", i)
		}
	}
	return nil
}

func (m *modelRules) claudeSampling() *Reply {
	s := m.c.Sampling
	var topK *float64
	_ = json.Unmarshal(m.asked.fields["top_k"], &topK)
	temperature, topP := m.req.Temperature, m.req.TopP
	for _, p := range []struct {
		name  string
		value *float64
		takes bedrockkit.Parameter
	}{{"temperature", temperature, s.Temperature}, {"top_p", topP, s.TopP}, {"top_k", topK, s.TopK}} {
		if p.value != nil && p.takes.Takes(*p.value) == bedrockkit.No {
			return m.says("`%s` is deprecated for this model.", p.name)
		}
	}
	if temperature != nil && topP != nil && s.Both == bedrockkit.No {
		return m.says("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
	}
	if !m.known() || m.req.Thinking.Mode != string(bedrockkit.ThinkingEnabled) && m.req.Thinking.Mode != string(bedrockkit.ThinkingAdaptive) {
		return nil
	}
	switch {
	case temperature != nil && *temperature != 1:
		return m.says("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.")
	case topP != nil && *topP < 0.95:
		return m.says("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled or in adaptive mode.")
	case topK != nil:
		return m.says("`top_k` must be unset when thinking is enabled or in adaptive mode.")
	}
	return nil
}

// claudeReasoning checks the thinking blocks that are sent back: each is signed,
// and on some models bound to what came before it.
func (m *modelRules) claudeReasoning() *Reply {
	var t claudeThinkingFields
	_ = json.Unmarshal(m.asked.fields["thinking"], &t)
	drops := string(t.BlockBinding["prefix_mismatch_behavior"]) == `"drop_block"` || string(t.BlockBinding["mismatch_behavior"]) == `"drop_block"`
	for i, message := range m.req.Messages {
		for j, b := range message.Blocks {
			if b.Reasoning == nil || b.Reasoning.Redacted != nil {
				continue
			}
			if b.Reasoning.Signature == "" {
				return m.says("messages.%d.content.%d.thinking.signature: Field required", i, j)
			}
			if drops || !m.c.Thinking.BoundTo("prefix") {
				continue
			}
			if what := prefixDiffers(b.Reasoning.Signature, m.req.prefix(i)); what != "" {
				return m.says("messages.%d.content.%d: Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to \"drop_block\". %s", i, j, what)
			}
		}
	}
	return nil
}

// A prefix stands for what came before a message: the tools, the system prompt
// and the messages.
type prefix struct{ tools, system, messages uint64 }

// prefix is what comes before a message.
func (req *Request) prefix(message int) (p prefix) {
	for _, part := range req.cache {
		fold := func(sum *uint64) { *sum = (*sum^part.key)*0x9E3779B97F4A7C15 + 1 }
		switch {
		case part.kind == "tools":
			fold(&p.tools)
		case part.kind == "system":
			fold(&p.system)
		case part.message < message:
			fold(&p.messages)
		}
	}
	return p
}

const boundSignature = "bedrocktest bound"

// signature signs a thinking block so that its place is known.
func (p prefix) signature(text string) string {
	parts := []string{boundSignature, identifier(20, "signature", text)}
	for _, n := range []uint64{p.tools, p.system, p.messages} {
		parts = append(parts, strconv.FormatUint(n, 36))
	}
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, ":")))
}

// prefixDiffers says what comes before a block that did not when it was signed:
// empty if nothing does, or if the server has not signed it.
func prefixDiffers(signature string, now prefix) string {
	data, err := base64.StdEncoding.DecodeString(signature)
	parts := strings.Split(string(data), ":")
	if err != nil || len(parts) != 5 || parts[0] != boundSignature {
		return ""
	}
	for _, part := range []struct {
		was string
		now uint64
		say string
	}{
		{parts[3], now.system, "The system prompt differs."},
		{parts[2], now.tools, "The tools differ."},
		{parts[4], now.messages, "The earlier messages differ."},
	} {
		if part.was != strconv.FormatUint(part.now, 36) {
			return part.say
		}
	}
	return ""
}
