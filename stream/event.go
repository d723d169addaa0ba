package stream

import (
	"encoding/json"
	"fmt"

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
	Metadata                          // what it took: Usage, ServiceTier, Raw
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
