package converse

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NoThinking, as [Request.Thinking], turns reasoning off. If the least mode that the
// model takes is reasoning between tool calls, it selects that mode. It is an error
// for a model that always thinks, or if it is not known how to turn its thinking off.
// If such a model takes an Effort, use that to bound its thinking.
const NoThinking = -1

// minThinking is the smallest budget of a model whose own is not known (Amazon
// Bedrock User Guide, "Extended thinking").
const minThinking = 1024

// interleaved is the beta in which the budget may be larger than max tokens,
// since it is that of all thinking between the calls of tools. Source: Amazon
// Bedrock User Guide, "Extended thinking", 2026-11.
const interleaved = "interleaved-thinking-2025-05-14"

// A thought is how a request makes its model reason.
type thought struct {
	mode   bedrockkit.ThinkingMode // "" if nobody knows
	asked  bool                    // by Request.Thinking or by the additional fields
	budget int                     // of the mode enabled
	effort string
	own    map[string]json.RawMessage // the additional fields
}

// on reports whether the model is known to think.
func (t *thought) on() bool { return t.mode != "" && t.mode != bedrockkit.ThinkingDisabled }

// beta reports whether the additional fields ask for a beta of Claude.
func (t *thought) beta(name string) bool {
	var names []string
	return json.Unmarshal(t.own["anthropic_beta"], &names) == nil && slices.Contains(names, name)
}

// thought is how the request makes a model reason: by Thinking and Effort, by
// the fields of the model itself, or by default.
func (r *Request) thought(s *subject) thought {
	t := thought{effort: r.Effort}
	if len(r.AdditionalFields) > 0 {
		t.own = ownFields(r.AdditionalFields)
	}
	if t.effort == "" && len(t.own) > 0 {
		t.effort = t.ownEffort(s)
	}
	switch {
	case len(t.own["thinking"]) > 0 && string(t.own["thinking"]) != "null":
		var own struct {
			Type   bedrockkit.ThinkingMode `json:"type"`
			Budget int                     `json:"budget_tokens"`
		}
		_ = json.Unmarshal(t.own["thinking"], &own) // of another form, it is for the model to refuse
		t.mode, t.budget, t.asked = own.Type, own.Budget, true
	case s.Thinking.Kind == bedrockkit.ThinkingNova && len(t.own["reasoningConfig"]) > 0 && string(t.own["reasoningConfig"]) != "null":
		var own struct{ Type bedrockkit.ThinkingMode }
		_ = json.Unmarshal(t.own["reasoningConfig"], &own) // likewise
		if t.mode = own.Type; own.Type == bedrockkit.ThinkingDisabled {
			t.effort = ""
		}
	case r.Thinking != 0:
		t.mode, t.asked = s.mode(r.Thinking > 0), true
		if t.mode == bedrockkit.ThinkingEnabled {
			t.budget = r.Thinking
		}
	case s.Thinking.Kind == bedrockkit.ThinkingNova && t.effort != "":
		t.mode = bedrockkit.ThinkingEnabled
	case s.Thinking.Default == "" && (s.Thinking.OnByDefault() == bedrockkit.Yes || s.Thinking.Kind == bedrockkit.ThinkingFixed):
		t.mode = bedrockkit.ThinkingAdaptive
	default:
		t.mode = s.Thinking.Default
	}
	return t
}

// ownFields are the additional fields; what is not an object is found elsewhere.
func ownFields(raw json.RawMessage) (own map[string]json.RawMessage) {
	_ = json.Unmarshal(raw, &own)
	return own
}

// ownEffort is the effort that the additional fields ask for.
func (t *thought) ownEffort(s *subject) (effort string) {
	path := strings.Split(s.Thinking.Field, ".")
	switch {
	case s.claude():
		path = []string{"output_config", "effort"}
	case s.Thinking.Kind == bedrockkit.ThinkingNova:
		path = append(path, "maxReasoningEffort")
	}
	value := t.own[path[0]]
	if value == nil && s.Thinking.Kind == bedrockkit.ThinkingEffort {
		path, value = path[:1], t.own["reasoning_effort"] // which other routes call it
	}
	if value == nil {
		return "" // as of nearly every request
	}
	for _, key := range path[1:] {
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(value, &inner)
		value = inner[key]
	}
	_ = json.Unmarshal(value, &effort) // of another form, it is for the model to refuse
	return effort
}

// mode is Claude's mode of thinking for a request that wants it, or none: with a
// budget if the model takes one, or as much as the model sees fit. Of a model
// that is not known it is what the request says.
func (s *subject) mode(on bool) bedrockkit.ThinkingMode {
	takes := s.Thinking.Mode
	switch {
	case on && takes(bedrockkit.ThinkingEnabled) == bedrockkit.No && takes(bedrockkit.ThinkingAdaptive) == bedrockkit.Yes:
		return bedrockkit.ThinkingAdaptive
	case on:
		return bedrockkit.ThinkingEnabled
	case takes(bedrockkit.ThinkingDisabled) == bedrockkit.No && takes(bedrockkit.ThinkingBetweenTools) == bedrockkit.Yes:
		return bedrockkit.ThinkingBetweenTools
	}
	return bedrockkit.ThinkingDisabled
}

// room is how many tokens of an answer the model needs to think in, beside the
// answer itself. They are a choice of ours: what an effort takes is not
// documented, and each token of it is reserved of the quota.
func (r *Request) room(s *subject) int {
	if r.Thinking > 0 {
		return r.Thinking
	}
	t := r.thought(s)
	effort := t.effort
	if effort == "" {
		effort = s.Thinking.DefaultEffort
	}
	switch {
	case t.budget > 0:
		return t.budget
	case !t.on() && (s.Thinking.Kind != bedrockkit.ThinkingEffort || r.Thinking < 0 || effort == "none"):
		return 0
	}
	switch effort {
	case "low", "minimal":
		return 4 << 10
	case "high":
		return 16 << 10
	case "xhigh":
		return 32 << 10
	case "max":
		return 64 << 10
	}
	return 8 << 10
}

// reasoningFields are the members that Thinking and Effort add to the model's
// own fields, and the effort that Converse has a field for.
func (r *Request) reasoningFields(s *subject) (fields []member, effort string) {
	quoted := func(text string) json.RawMessage { return appendString(nil, text) }
	switch s.Thinking.Kind {
	case bedrockkit.ThinkingNova:
		switch {
		case r.Effort != "":
			fields = append(fields, member{Key: "reasoningConfig", Value: jsonscan.Join([]member{{Key: "type", Value: quoted("enabled")}, {Key: "maxReasoningEffort", Value: quoted(r.Effort)}})})
		case r.Thinking < 0:
			fields = append(fields, member{Key: "reasoningConfig", Value: json.RawMessage(`{"type":"disabled"}`)})
		}
		return fields, ""
	case bedrockkit.ThinkingEffort:
		effort := r.Effort
		if r.Thinking < 0 && effort == "" {
			effort = "none"
		}
		if effort == "" || s.Thinking.Field == "" {
			return nil, effort
		}
		path := strings.Split(s.Thinking.Field, ".")
		value := quoted(effort)
		for _, key := range slices.Backward(path[1:]) {
			value = jsonscan.Join([]member{{Key: key, Value: value}})
		}
		return []member{{Key: path[0], Value: value}}, ""
	}
	if r.Thinking == 0 && !r.dropsBlocks(s) || r.Thinking < 0 && s.no(bedrockkit.FeatureThinking) {
		return nil, r.Effort
	}
	t := r.thought(s)
	thinking := []member{{Key: "type", Value: quoted(string(t.mode))}}
	if t.mode == bedrockkit.ThinkingEnabled {
		thinking = append(thinking, member{Key: "budget_tokens", Value: strconv.AppendInt(nil, int64(r.Thinking), 10)})
	}
	if r.dropsBlocks(s) {
		thinking = append(thinking, member{Key: "block_binding", Value: json.RawMessage(`{"prefix_mismatch_behavior":"drop_block"}`)})
	}
	return []member{{Key: "thinking", Value: jsonscan.Join(thinking)}}, r.Effort
}

// dropsBlocks reports whether the service is asked to drop thinking that no
// longer fits what comes before it, instead of refusing the request: where a
// history holds thinking, the model takes the field, and the caller has said
// nothing of it. Source: Amazon Bedrock User Guide, "Thinking block binding",
// 2026-10.
func (r *Request) dropsBlocks(s *subject) bool {
	if s.Thinking.BlockBinding != bedrockkit.Yes || !holdsThinking(r.Messages) {
		return false
	}
	t := r.thought(s)
	return t.own["thinking"] == nil && t.on()
}

func holdsThinking(messages []Message) bool {
	return slices.ContainsFunc(messages, func(m Message) bool { return slices.ContainsFunc(m.Content, isThinking) })
}

func isThinking(c Content) bool {
	switch c.(type) {
	case Reasoning, Redacted:
		return true
	}
	return false
}

// modelFields are the additional fields of the request with those of its
// reasoning, and the effort.
func (r *Request) modelFields(s *subject) (fields json.RawMessage, effort string) {
	own, effort := r.reasoningFields(s)
	if len(own) == 0 {
		return r.AdditionalFields, effort
	}
	b := jsonscan.Join(own)
	rest := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.AdditionalFields), []byte{'{'}))
	if len(rest) == 0 || rest[0] == '}' {
		return b, effort
	}
	return append(append(b[:len(b)-1], ','), rest...), effort
}

// thinking finds what is wrong with how the model is to reason.
func (c *checker) thinking() {
	r, s, t := c.request, &c.subject, &c.thought
	own, _ := r.reasoningFields(s)
	for _, m := range own {
		if t.own[m.Key] != nil {
			c.add("additionalModelRequestFields."+m.Key, "it is set by Thinking or Effort and as an additional field; leave one out")
			return
		}
	}
	if r.Thinking < NoThinking {
		c.add("additionalModelRequestFields.thinking", "it is %d; it must be at least %d, or NoThinking", r.Thinking, minThinking)
	}
	switch kind := s.Thinking.Kind; {
	case s.claude(), kind == bedrockkit.ThinkingClaude:
		c.claudeThinking()
	case r.Thinking > 0 && s.base != "":
		c.add("additionalModelRequestFields.thinking", "a budget is for models of Anthropic; others take Effort, or parameters of their own as additional fields")
	case r.Thinking < 0 && (kind == bedrockkit.ThinkingFixed || kind == bedrockkit.ThinkingEffort && r.Effort == "" && s.Thinking.Effort("none") == bedrockkit.No):
		c.add("additionalModelRequestFields.thinking", "the model always thinks, or no field that stops it is known; leave NoThinking out")
	}
	if t.effort == "" {
		return
	}
	switch {
	case r.Effort != "" && s.no(bedrockkit.FeatureThinking):
		c.add("outputConfig.effort", "the model has no effort")
	case s.Thinking.Effort(t.effort) == bedrockkit.No:
		c.add("outputConfig.effort", "it is not one that the model takes: %s", strings.Join(s.Thinking.Efforts, ", "))
	case s.Thinking.EffortWith(t.effort, t.mode) == bedrockkit.No:
		c.add("outputConfig.effort", "it is over %s, the highest that the model takes beside the thinking %s", s.Thinking.EffortCaps[t.mode], t.mode)
	case s.Thinking.Kind == bedrockkit.ThinkingNova && t.effort == "high" && (r.MaxTokens > 0 || r.Temperature != nil || r.TopP != nil):
		c.add("inferenceConfig", "the effort high takes no maxTokens, temperature or topP; set MaxTokens to NoMaxTokens")
	}
}

// claudeThinking finds what is wrong with Claude's field thinking and with what
// stands beside it.
func (c *checker) claudeThinking() {
	r, s, t := c.request, &c.subject, &c.thought
	const path = "additionalModelRequestFields.thinking"
	if !t.asked {
		return
	}
	modes := s.Thinking
	switch {
	case t.mode == "":
		c.add(path+".type", "it is empty; it must be adaptive, between_tools, disabled or enabled")
	case s.ID == "": // what a Claude of tomorrow refuses nobody knows
		return
	case s.no(bedrockkit.FeatureThinking) && t.on():
		c.add(path, "the model does not think")
	case r.Thinking < 0 && t.mode == bedrockkit.ThinkingDisabled && modes.Mode(t.mode) == bedrockkit.No:
		c.add(path, "the model always thinks; leave NoThinking out and set Effort")
	case modes.Mode(t.mode) == bedrockkit.No:
		c.add(path+".type", "the model does not take %s", t.mode)
	case t.mode == bedrockkit.ThinkingEnabled:
		least := modes.MinBudget
		if least == 0 {
			least = minThinking
		}
		switch {
		case t.budget < least:
			c.add(path+".budget_tokens", "it is %d; it must be at least %d", t.budget, least)
		case r.MaxTokens > 0 && r.MaxTokens <= t.budget && !t.beta(interleaved):
			c.add(path+".budget_tokens", "it is %d, and maxTokens, which must cover the thinking and the answer, is %d", t.budget, r.MaxTokens)
		}
	}
	if t.mode != bedrockkit.ThinkingEnabled && t.mode != bedrockkit.ThinkingAdaptive {
		return
	}
	if v := r.Temperature; v != nil && *v != 1 && s.Sampling.Temperature.Takes(*v) != bedrockkit.No {
		c.add("inferenceConfig.temperature", "it is %v; a model that thinks takes none but 1", *v)
	}
	if v := r.TopP; v != nil && *v < 0.95 && s.Sampling.TopP.Takes(*v) != bedrockkit.No {
		c.add("inferenceConfig.topP", "it is %v; a model that thinks takes 0.95 and more", *v)
	}
	if t.own["top_k"] != nil && s.Sampling.TopK.Accepted != bedrockkit.No {
		c.add("additionalModelRequestFields.top_k", "a model that thinks takes none")
	}
}
