package socket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// MaxQuestion is what one question may have, in code points.
const MaxQuestion = 4000

// The other bounds on what a client sends.
const (
	maxMessages  = 100      // of one conversation
	maxMessage   = 16 << 10 // bytes of one message's text
	maxRequestID = 64
)

// question is a valid question over the WebSocket.
type question struct {
	ID       string
	Model    string     // "haiku", "sonnet" or "auto"
	Route    rest.Route // the model that is to answer
	Fresh    bool
	Messages []converse.Message
}

// chatFrame is what a client sends over the WebSocket. A type is optional, so
// that {"messages":[…],"model":"sonnet"} is enough.
type chatFrame struct {
	Type      string        `json:"type"` // "chat" (default), "resume" or "stop"
	RequestID string        `json:"request_id"`
	Messages  []chatMessage `json:"messages"` // chat
	Model     string        `json:"model"`
	Fresh     bool          `json:"fresh"` // chat: the model is to be asked, whatever the cache has

	// AnswerID is what the start of the answer said, and After the sequence of
	// the last frame that the client has seen of it.
	AnswerID string `json:"answer_id"` // resume; stop, for an answer that another connection is sent
	After    int64  `json:"after"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// question validates a frame of the type chat.
func (f chatFrame) question() (question, error) {
	q := question{ID: f.RequestID, Model: f.Model, Fresh: f.Fresh}
	if q.ID != "" && !requestID.MatchString(q.ID) {
		return q, &badInput{"request_id", fmt.Sprintf("must be 1 to %d letters, digits, _ or -", maxRequestID)}
	}
	if err := q.checkModel("sonnet"); err != nil {
		return q, err
	}
	if len(f.Messages) == 0 {
		return q, &badInput{"messages", "must hold at least one message"}
	}
	if len(f.Messages) > maxMessages {
		return q, &badInput{"messages", fmt.Sprintf("must hold at most %d messages; start a new conversation", maxMessages)}
	}
	for i, m := range f.Messages {
		path := fmt.Sprintf("messages[%d]", i)
		want := converse.RoleUser
		if i%2 == 1 {
			want = converse.RoleAssistant
		}
		if converse.Role(m.Role) != want {
			return q, &badInput{path + ".role", fmt.Sprintf("must be %q; user and assistant alternate, user first", want)}
		}
		text := rest.Clean(m.Content)
		if err := checkText(path+".content", text, want == converse.RoleUser); err != nil {
			return q, err
		}
		q.Messages = append(q.Messages, converse.Message{Role: want, Content: converse.Contents{converse.Text(text)}})
	}
	if len(f.Messages)%2 == 0 {
		return q, &badInput{"messages", "must end with a message of the user"}
	}
	return q, nil
}

// checkResume validates a frame of the type resume.
func (f chatFrame) checkResume() error {
	switch {
	case !requestID.MatchString(f.RequestID):
		return &badInput{"request_id", fmt.Sprintf("must be 1 to %d letters, digits, _ or -", maxRequestID)}
	case !requestID.MatchString(f.AnswerID):
		return &badInput{"answer_id", "must be the answer_id of the answer's start"}
	case f.After < 0:
		return &badInput{"after", "must be the sequence of the last frame, or 0"}
	}
	return nil
}

func (q *question) checkModel(byDefault string) error {
	if q.Model == "" {
		q.Model = byDefault
	}
	if q.Model != "haiku" && q.Model != "sonnet" && q.Model != rest.Auto {
		return &badInput{"model", `must be "haiku", "sonnet" or "auto"`}
	}
	return nil
}

// checkText bounds one message. Only what a person types is held to
// MaxQuestion: an answer that is sent back may be longer.
func checkText(path, text string, typed bool) error {
	if strings.TrimSpace(text) == "" {
		return &badInput{path, "must not be empty"}
	}
	if n := utf8.RuneCountInString(text); typed && n > MaxQuestion {
		return &badInput{path, fmt.Sprintf("has %d characters; at most %d are allowed", n, MaxQuestion)}
	}
	if len(text) > maxMessage {
		return &badInput{path, fmt.Sprintf("has %d bytes; at most %d are allowed", len(text), maxMessage)}
	}
	return nil
}

// decodeJSON reads one JSON value and says in plain words what is wrong.
func decodeJSON(data []byte, v any) error {
	if wrong, ok := rest.CheckJSON(data); !ok {
		return &badInput{wrong.Path, wrong.Message}
	}
	if err := json.Unmarshal(data, v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return &badInput{wrong.Field, fmt.Sprintf("must not be a %s", wrong.Value)}
		}
		return &badInput{"", "the message is not valid JSON of the expected form"}
	}
	return nil
}

// What the server sends over the WebSocket: one struct, each message with the
// fields that its type has.
type serverFrame struct {
	Type      string `json:"type"`
	RequestID string `json:"request_id,omitempty"`

	AnswerID string             `json:"answer_id,omitempty"` // start: for a resume
	Sequence int64              `json:"sequence,omitempty"`  // all others: for a resume
	Model    bedrockkit.ModelID `json:"model,omitempty"`     // start, complete: there the one that answered
	Reason   string             `json:"reason,omitempty"`    // start, complete: why the model, if the client chose auto
	Data     string             `json:"data,omitempty"`      // token

	ToolUseID string          `json:"tool_use_id,omitempty"` // tool_use, tool_result
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	Status    string          `json:"status,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`

	Usage        *bedrockkit.Usage     `json:"usage,omitempty"` // complete
	StopReason   bedrockkit.StopReason `json:"stop_reason,omitempty"`
	CostUSD      string                `json:"cost_usd,omitempty"`
	Cached       bool                  `json:"cached,omitempty"` // it was given before
	LatencyMS    int64                 `json:"latency_ms,omitempty"`
	FirstTokenMS int64                 `json:"time_to_first_token_ms,omitempty"`

	*rest.Problem // error
}

// append appends the frame's JSON, in which <, > and & are one byte each, as package
// stream counts them. An answer has hundreds of frames with text, so such a frame is written
// by hand.
func (f *serverFrame) append(b []byte) ([]byte, error) {
	if f.Type == "token" {
		b = appendText(append(b, `{"type":"token","request_id":`...), f.RequestID)
		b = strconv.AppendInt(append(b, `,"sequence":`...), f.Sequence, 10)
		b = appendText(append(b, `,"data":`...), f.Data)
		return append(b, '}'), nil
	}
	return appendJSON(b, f)
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	plain := utf8.ValidString(text)
	for i := 0; plain && i < len(text); i++ {
		plain = text[i] >= ' ' && text[i] != '"' && text[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), text...), '"')
	}
	b, _ = appendJSON(b, text) // a string always can
	return b
}

// appendJSON appends what encoding/json makes of a value.
func appendJSON(b []byte, v any) ([]byte, error) {
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return append(b, bytes.TrimSuffix(data.Bytes(), []byte("\n"))...), err
}

// A badInput says what is wrong with what a client sent.
type badInput struct{ path, message string }

func (e *badInput) Error() string {
	if e.path == "" {
		return e.message
	}
	return fmt.Sprintf("%s: %s", e.path, e.message)
}

// failed is the frame of a problem with a request.
func failed(p rest.Problem, request string) serverFrame {
	if !requestID.MatchString(request) {
		request = ""
	}
	return serverFrame{Type: "error", RequestID: request, Problem: &p}
}
