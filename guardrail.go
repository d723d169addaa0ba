package bedrockkit

// Guardrail names the guardrail that checks a request and its answer. The zero value
// is no guardrail. It is used for Converse and for InvokeModel, which have different
// forms of it. Source: GuardrailConfiguration and GuardrailStreamConfiguration of the
// API reference.
type Guardrail struct {
	ID      string `json:"id"`      // or its ARN
	Version string `json:"version"` // a number, or "DRAFT"

	// Trace asks for what the guardrail found, in addition to the answer. The default
	// is none.
	Trace GuardrailTrace `json:"trace,omitempty"`

	// StreamMode says when the text of a ConverseStream is checked. The default is
	// [GuardrailSync]. It has no effect on Converse. For InvokeModel it cannot be set
	// here, because it is part of the model's body.
	StreamMode GuardrailStreamMode `json:"stream_mode,omitempty"`
}

// GuardrailTrace says how much of what a guardrail found comes with the answer.
type GuardrailTrace string

// The traces.
const (
	GuardrailTraceDisabled GuardrailTrace = "disabled"
	GuardrailTraceEnabled  GuardrailTrace = "enabled"      // what it found
	GuardrailTraceFull     GuardrailTrace = "enabled_full" // and what it did not find
)

// GuardrailStreamMode says when a guardrail checks the text of a stream.
type GuardrailStreamMode string

// The modes.
const (
	GuardrailSync  GuardrailStreamMode = "sync"  // before the reader gets it
	GuardrailAsync GuardrailStreamMode = "async" // at the same time, so the reader may have seen a text that is then stopped
)
