package stream

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// EventType says what an [Event] is.
type EventType uint8

// The types, and which fields of the event each sets beside Type.
const (
	MessageStart EventType = iota + 1 // the message begins
	BlockStart                        // a block begins: Index; ToolUseID and ToolName of a tool use
	Text                              // a piece of text: Index, Text
	ToolInput                         // a piece of the JSON of a tool's input: Index, Text
	Reasoning                         // a piece of reasoning: Index, Text
	Signature                         // of reasoning: Index, Text
	Redacted                          // reasoning that is encrypted: Index, Raw (the service's JSON)
	Citation                          // a source of the text: Index, Raw
	BlockStop                         // a block is complete: Index
	MessageStop                       // the message is complete: StopReason
	Metadata                          // what it took: Usage, ServiceTier, Raw; see Event.Details
	Unknown                           // what this version does not know: Index, Name, Raw
)

var eventTypes = [...]string{
	MessageStart: "MessageStart", BlockStart: "BlockStart", Text: "Text", ToolInput: "ToolInput",
	Reasoning: "Reasoning", Signature: "Signature", Redacted: "Redacted", Citation: "Citation",
	BlockStop: "BlockStop", MessageStop: "MessageStop", Metadata: "Metadata", Unknown: "Unknown",
}

// String is the name of the type, for logs.
func (t EventType) String() string {
	if int(t) < len(eventTypes) && eventTypes[t] != "" {
		return eventTypes[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// output reports whether a reader could have acted on the event: a retry must
// not come after it. The start of a message or of a block says nothing yet.
func (t EventType) output() bool {
	return t != MessageStart && t != BlockStart && t != Unknown
}

// Event is one event of a stream. It is a value and stays valid.
type Event struct {
	Type        EventType              `json:"-"`
	Index       int                    `json:"index,omitempty"` // of the content block
	Text        string                 `json:"text,omitempty"`
	ToolUseID   string                 `json:"tool_use_id,omitempty"`
	ToolName    string                 `json:"tool_name,omitempty"`
	Name        string                 `json:"name,omitempty"` // the service's name of an unknown event
	StopReason  bedrockkit.StopReason  `json:"stop_reason,omitempty"`
	Usage       *bedrockkit.Usage      `json:"usage,omitempty"`
	ServiceTier bedrockkit.ServiceTier `json:"service_tier,omitempty"` // that served it
	Raw         json.RawMessage        `json:"raw,omitempty"`          // the service's JSON
}

// Details are what the metadata of a stream tells beside its usage and tier.
// What the service did not tell is zero.
type Details struct {
	Latency     time.Duration   `json:"latency_ns,omitempty"`    // of the whole answer, as the service measured it
	FirstByte   time.Duration   `json:"first_byte_ns,omitempty"` // until its first byte, likewise; InvokeModel alone tells it
	Performance string          `json:"performance,omitempty"`   // the performance configuration: "standard" or "optimized"
	Trace       json.RawMessage `json:"trace,omitempty"`         // of a guardrail or a prompt router
}

// Details reads what the event of the type [Metadata] tells beside Usage and
// ServiceTier. Of another event there are none.
func (e Event) Details() (Details, error) {
	if e.Type != Metadata {
		return Details{}, nil
	}
	return detailsOf(e.Raw)
}

// Details reads the result's Metadata. A stream that ended without has none.
func (r *Result) Details() (Details, error) { return detailsOf(r.Metadata) }

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
		Inner metadata          `json:"metadata"`
		Last  invocationMetrics `json:"amazon-bedrock-invocationMetrics"`
		Guard json.RawMessage   `json:"amazon-bedrock-trace"`
	}
	if len(raw) == 0 {
		return Details{}, nil
	}
	if err := read(raw, &v); err != nil {
		return Details{}, err
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
