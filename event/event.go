package event

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Type is the type of an [Event].
type Type uint8

// The types, and the fields of the event that each sets in addition to Type.
const (
	MessageStart Type = iota + 1 // the message begins
	BlockStart                   // a block begins: Index; ToolUseID and ToolName of a tool use
	Text                         // a piece of text: Index, Text
	ToolInput                    // a piece of the JSON of a tool's input: Index, Text
	Reasoning                    // a piece of reasoning: Index, Text
	Signature                    // of reasoning: Index, Text
	Redacted                     // encrypted reasoning: Index, Raw (the service's JSON)
	Citation                     // a source of the text: Index, Raw
	BlockStop                    // a block is complete: Index
	MessageStop                  // the message is complete: StopReason
	Metadata                     // the usage of the answer: Usage, ServiceTier, Raw; see Event.Details
	Unknown                      // an event that this version does not know: Index, -1 if it is not in a block; Name, Raw
	Chunk                        // an unread chunk, from RawChunks: Raw
)

var names = [...]string{
	MessageStart: "message_start", BlockStart: "block_start", Text: "text", ToolInput: "tool_input",
	Reasoning: "reasoning", Signature: "signature", Redacted: "redacted", Citation: "citation",
	BlockStop: "block_stop", MessageStop: "message_stop", Metadata: "metadata", Unknown: "unknown", Chunk: "chunk",
}

// String returns the name of the type, such as "tool_input".
func (t Type) String() string {
	if int(t) < len(names) && names[t] != "" {
		return names[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// MarshalText returns the name of the type. It fails for a type without a name.
func (t Type) MarshalText() ([]byte, error) {
	if int(t) >= len(names) || names[t] == "" {
		return nil, fmt.Errorf("event: %s has no name", t)
	}
	return []byte(names[t]), nil
}

// UnmarshalText reads the name of a type. It fails for an unknown name.
func (t *Type) UnmarshalText(text []byte) error {
	if i := slices.Index(names[:], string(text)); i > 0 {
		*t = Type(i)
		return nil
	}
	return fmt.Errorf("event: %q is not the name of a type", text)
}

// Event is one event of an answer. It is a value and stays valid.
type Event struct {
	Type        Type                   `json:"type"`
	Index       int                    `json:"index,omitempty"` // of the content block
	Text        string                 `json:"text,omitempty"`
	ToolUseID   string                 `json:"tool_use_id,omitempty"`
	ToolName    string                 `json:"tool_name,omitempty"`
	Name        string                 `json:"name,omitempty"` // the service's name of an unknown event
	StopReason  bedrockkit.StopReason  `json:"stop_reason,omitempty"`
	Usage       *bedrockkit.Usage      `json:"usage,omitempty"`
	ServiceTier bedrockkit.ServiceTier `json:"service_tier,omitempty"` // that served it, see bedrockkit.ServedTier
	Raw         json.RawMessage        `json:"raw,omitempty"`          // the service's JSON
}

// Details are the metadata of a stream, except its usage and tier. A field that the
// service did not send is zero.
type Details struct {
	Latency     time.Duration   `json:"latency_ns,omitempty"`    // of the whole answer, as the service measured it
	FirstByte   time.Duration   `json:"first_byte_ns,omitempty"` // until its first byte, as the service measured it; only InvokeModel has it
	Performance string          `json:"performance,omitempty"`   // the performance configuration: "standard" or "optimized"
	Trace       json.RawMessage `json:"trace,omitempty"`         // of a guardrail or a prompt router
}

// Details reads the rest of an event of type [Metadata], without Usage and
// ServiceTier. It is empty for other events.
func (e Event) Details() (Details, error) {
	if e.Type != Metadata {
		return Details{}, nil
	}
	return detailsOf(e.Raw)
}

// detailsOf reads the metadata of ConverseStream, of Nova's stream, or the last
// event of another family.
func detailsOf(raw json.RawMessage) (Details, error) {
	type metadata struct {
		Metrics           struct{ LatencyMS int64 }
		Trace             json.RawMessage
		PerformanceConfig struct{ Latency string }
	}
	var v struct {
		metadata
		Inner metadata `json:"metadata"`
		Last  struct {
			InvocationLatency int64 // milliseconds, as is FirstByteLatency
			FirstByteLatency  int64
		} `json:"amazon-bedrock-invocationMetrics"`
		Guard json.RawMessage `json:"amazon-bedrock-trace"`
	}
	if len(raw) == 0 {
		return Details{}, nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Details{}, fmt.Errorf("event: reading the metadata: %w", err)
	}
	d := Details{
		Latency:     time.Duration(cmp.Or(v.Metrics.LatencyMS, v.Inner.Metrics.LatencyMS, v.Last.InvocationLatency)) * time.Millisecond,
		FirstByte:   time.Duration(v.Last.FirstByteLatency) * time.Millisecond,
		Performance: cmp.Or(v.PerformanceConfig.Latency, v.Inner.PerformanceConfig.Latency),
		Trace:       v.Trace,
	}
	for _, trace := range []json.RawMessage{v.Inner.Trace, v.Guard} {
		if d.Trace == nil && string(trace) != "{}" {
			d.Trace = trace
		}
	}
	return d, nil
}
