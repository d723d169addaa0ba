package stream

import (
	"encoding/json"
	"errors"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Message is one step of an answer, as the reader gets it: a JSON object. The fields
// depend on the type:
//
//	{"type":"token","data":"…","sequence":1}
//	{"type":"reasoning","data":"…","sequence":2}
//	{"type":"tool_use","sequence":3,"round":1,"tool_use_id":"t1","name":"find_manga","input":{…}}
//	{"type":"tool_result","data":"…","sequence":4,"round":1,"tool_use_id":"t1","name":"find_manga","status":"success"}
//	{"type":"usage","sequence":5,"round":1,"usage":{…},"cost":"0.0004","stop_reason":"tool_use"}
//	{"type":"complete","sequence":6,"usage":{…},"cost":"0.0012","stop_reason":"end_turn"}
//	{"type":"error","sequence":6,"code":"throttled"}
//
// A reader should ignore types and fields that it does not know, and messages of type
// ping, which keep a connection open and have no sequence. A message of type complete
// or error ends the answer. Sequences count from 1, so that a reader that lost its
// connection can say what it has seen.
type Message struct {
	Type     string `json:"type"`
	Data     string `json:"data,omitempty"` // token, reasoning: a piece of text; tool_result: the text of the result
	Sequence int64  `json:"sequence"`
	Round    int    `json:"round,omitempty"` // the round of a tool loop, from 1; 0 for a single answer

	ToolUseID string          `json:"tool_use_id,omitempty"` // tool_use, tool_result
	ToolName  string          `json:"name,omitempty"`        // tool_use, tool_result
	Input     json.RawMessage `json:"input,omitempty"`       // tool_use: the whole input, an object
	Status    string          `json:"status,omitempty"`      // tool_result: StatusSuccess or StatusError

	// Truncated reports that Data, Input or Pending was cut or left out, because it
	// was too large for the connection or incomplete.
	Truncated bool `json:"truncated,omitempty"`

	// Usage, Cost and StopReason: a message of type usage has them for one model call,
	// a message of type complete for the whole answer. An error of a tool loop has the
	// usage and cost so far.
	Usage      *bedrockkit.Usage     `json:"usage,omitempty"`
	StopReason bedrockkit.StopReason `json:"stop_reason,omitempty"`
	Cost       string                `json:"cost,omitempty"` // in US dollars, exact; empty if not known

	// Pending are the tool calls that wait for the user: for an approval, or for the
	// answer to a question. Only a message of type complete has them.
	Pending []Pending `json:"pending,omitempty"`

	Code string `json:"code,omitempty"` // error: its kind, such as "throttled"
}

// Pending is a tool call that waits for the user.
type Pending struct {
	ToolUseID string `json:"tool_use_id"`
	ToolName  string `json:"name"`
	Question  string `json:"question,omitempty"` // what the tool asks; empty if the call waits for approval
}

// The types of a [Message].
const (
	TypeToken      = "token"
	TypeReasoning  = "reasoning"
	TypeToolUse    = "tool_use"    // the model asks for a tool
	TypeToolResult = "tool_result" // the tool has run, or was refused
	TypeUsage      = "usage"       // a model call within a tool loop has ended
	TypeComplete   = "complete"
	TypeError      = "error"

	// TypePing is the type of a message that keeps an idle connection open; see
	// [WriteOptions.Heartbeat]. It is not part of the answer and has no sequence.
	TypePing = "ping"
)

// The values of [Message.Status].
const (
	StatusSuccess = "success"
	StatusError   = "error"
)

// Last reports whether the message ends the answer.
func (m Message) Last() bool { return m.Type == TypeComplete || m.Type == TypeError }

// ErrorMessage returns the message that reports an error to a reader. It has the
// error's code, so that the reader knows what to do. It does not have the error's
// text, which may repeat a prompt. The code is what the method MessageCode() string of
// an error in the chain returns, otherwise the bedrockx.Kind.
func ErrorMessage(err error) Message {
	m := Message{Type: TypeError, Code: string(bedrockx.KindOf(err))}
	var coded interface{ MessageCode() string }
	if errors.As(err, &coded) {
		m.Code = coded.MessageCode()
	}
	return m
}
