package bedrockkit

import "slices"

// ThinkingKind says how a request asks a model to reason.
type ThinkingKind string

// The kinds. An empty kind is not known.
const (
	// ThinkingClaude: the fields thinking (type and, for the mode enabled,
	// budget_tokens) and output_config.effort of Claude.
	ThinkingClaude ThinkingKind = "claude"
	// ThinkingEffort: an effort in its own field; see Thinking.Field.
	ThinkingEffort ThinkingKind = "effort"
	// ThinkingNova: reasoningConfig with type and maxReasoningEffort. The effort
	// high takes no max tokens.
	ThinkingNova ThinkingKind = "reasoning_config"
	// ThinkingFixed: the model reasons, and no field that controls it is known.
	ThinkingFixed ThinkingKind = "fixed"
)

// ThinkingMode is a value of Claude's thinking.type.
type ThinkingMode string

// The modes.
const (
	ThinkingEnabled      ThinkingMode = "enabled"       // with budget_tokens
	ThinkingAdaptive     ThinkingMode = "adaptive"      // the model decides how much, bounded by the effort
	ThinkingBetweenTools ThinkingMode = "between_tools" // only between tool calls
	ThinkingDisabled     ThinkingMode = "disabled"      // none
)

// Thinking says how a model reasons, and which fields control it.
type Thinking struct {
	Kind ThinkingKind `json:"kind,omitempty"`

	// Modes are the values that thinking.type takes or refuses; see [Thinking.Mode].
	Modes map[ThinkingMode]Support `json:"modes,omitempty"`

	// Default is the mode of a request without thinking.type; empty if not known.
	Default ThinkingMode `json:"default,omitempty"`

	// Efforts are the efforts that the model takes, the lowest first. RefusedEfforts
	// are the efforts that it refuses; see [Thinking.Effort]. DefaultEffort is the
	// effort of a request that does not set one.
	Efforts        []string `json:"efforts,omitempty"`
	RefusedEfforts []string `json:"refused_efforts,omitempty"`
	DefaultEffort  string   `json:"default_effort,omitempty"`

	// EffortCaps is the highest effort that may be used with a mode.
	EffortCaps map[ThinkingMode]string `json:"effort_caps,omitempty"`

	// MinBudget is the smallest budget_tokens of the mode enabled; 0 if not known.
	MinBudget int `json:"min_budget,omitempty"`

	// Field is the request field for an effort ("reasoning_effort").
	Field string `json:"field,omitempty"`

	// Display is "omitted" if the text of the thinking is sent only on request, so
	// that a stream may be silent for a long time. It is empty if not known.
	Display string `json:"display,omitempty"`

	// Binding says what the signature of a thinking block is bound to: "model" (no
	// other model takes the block), "prefix" (the system prompt, tools and messages
	// before it must be the same) and "account". Nil if not known.
	Binding []string `json:"binding,omitempty"`

	// BlockBinding says whether the model takes thinking.block_binding. With it, the
	// service drops blocks that no longer fit, instead of refusing the request.
	BlockBinding Support `json:"block_binding,omitzero"`
}

// Mode returns whether the model takes a value of thinking.type.
func (t Thinking) Mode(mode ThinkingMode) Support { return t.Modes[mode] }

// Effort returns whether the model takes an effort.
func (t Thinking) Effort(effort string) Support {
	switch {
	case slices.Contains(t.RefusedEfforts, effort):
		return No
	case slices.Contains(t.Efforts, effort):
		return Yes
	}
	return Unknown
}

// EffortWith returns whether the model takes an effort together with a mode.
func (t Thinking) EffortWith(effort string, mode ThinkingMode) Support {
	most, capped := t.EffortCaps[mode]
	if !capped || t.Effort(effort) != Yes {
		return t.Effort(effort)
	}
	return supportOf(slices.Index(t.Efforts, effort) <= slices.Index(t.Efforts, most))
}

// OnByDefault returns whether the model thinks if a request does not mention thinking.
// Max tokens must then cover the thinking too.
func (t Thinking) OnByDefault() Support {
	switch {
	case t.Default == ThinkingDisabled:
		return No
	case t.Default != "", t.Modes[ThinkingDisabled] == No:
		return Yes
	}
	return Unknown
}

// Silent reports whether it is known that a stream may send nothing while the model
// thinks.
func (t Thinking) Silent() bool { return t.Display == "omitted" }

// BoundTo reports whether thinking blocks are known to be bound to what: "model",
// "prefix" or "account".
func (t Thinking) BoundTo(what string) bool { return slices.Contains(t.Binding, what) }
