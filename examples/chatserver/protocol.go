package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/converse"
)

// The bounds on what a client sends.
const (
	maxQuestion  = 4000     // code points of one message
	maxMessages  = 100      // of one conversation
	maxMessage   = 16 << 10 // bytes of one message's text
	maxAnswer    = 4096     // tokens
	maxRequestID = 64
)

// question is a valid question: what both doors, WebSocket and HTTP, come to.
type question struct {
	ID          string
	Model       string // "haiku" or "sonnet"
	Messages    []converse.Message
	MaxTokens   int
	Temperature *float64
}

// chatFrame is what a client sends over the WebSocket. A type is optional, so
// that {"messages":[…],"model":"sonnet"} is enough.
type chatFrame struct {
	Type      string        `json:"type"` // "chat" (default) or "stop"
	RequestID string        `json:"request_id"`
	Messages  []chatMessage `json:"messages"`
	Model     string        `json:"model"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// question validates a frame of the type chat.
func (f chatFrame) question() (question, error) {
	q := question{ID: f.RequestID, Model: f.Model}
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
		if err := checkText(path+".content", m.Content, want == converse.RoleUser); err != nil {
			return q, err
		}
		q.Messages = append(q.Messages, converse.Message{Role: want, Content: converse.Contents{converse.Text(m.Content)}})
	}
	if len(f.Messages)%2 == 0 {
		return q, &badInput{"messages", "must end with a message of the user"}
	}
	return q, nil
}

func (q *question) checkModel(byDefault string) error {
	if q.Model == "" {
		q.Model = byDefault
	}
	if q.Model != "haiku" && q.Model != "sonnet" {
		return &badInput{"model", `must be "haiku" or "sonnet"`}
	}
	return nil
}

// checkText bounds one message. Only what a person types is held to
// maxQuestion: an answer that is sent back may be longer.
func checkText(path, text string, typed bool) error {
	if strings.TrimSpace(text) == "" {
		return &badInput{path, "must not be empty"}
	}
	if n := utf8.RuneCountInString(text); typed && n > maxQuestion {
		return &badInput{path, fmt.Sprintf("has %d characters; at most %d are allowed", n, maxQuestion)}
	}
	if len(text) > maxMessage {
		return &badInput{path, fmt.Sprintf("has %d bytes; at most %d are allowed", len(text), maxMessage)}
	}
	return nil
}

// queryBody is the body of POST /v1/manga/query.
type queryBody struct {
	Query          *string  `json:"query"`
	Model          string   `json:"model"`
	MaxTokens      *float64 `json:"max_tokens"`
	Temperature    *float64 `json:"temperature"`
	ConversationID *string  `json:"conversation_id"`
	Language       string   `json:"language"`
}

var conversationID = regexp.MustCompile(`^[a-f0-9-]{36}$`)

func (b queryBody) question() (question, error) {
	q := question{Model: b.Model, MaxTokens: 512, Temperature: b.Temperature}
	if b.Query == nil {
		return q, &badInput{"query", "is required"}
	}
	if err := checkText("query", *b.Query, true); err != nil {
		return q, err
	}
	if err := q.checkModel("haiku"); err != nil {
		return q, err
	}
	if b.MaxTokens != nil {
		if n := *b.MaxTokens; n != math.Trunc(n) || n < 1 || n > maxAnswer {
			return q, &badInput{"max_tokens", fmt.Sprintf("must be a whole number from 1 to %d", maxAnswer)}
		}
		q.MaxTokens = int(*b.MaxTokens)
	}
	if t := b.Temperature; t != nil && (*t < 0 || *t > 1) {
		return q, &badInput{"temperature", "must be from 0 to 1"}
	}
	if b.ConversationID != nil && !conversationID.MatchString(*b.ConversationID) {
		return q, &badInput{"conversation_id", "must be 36 characters of a-f, 0-9 and -"}
	}
	text := *b.Query
	switch b.Language {
	case "", "auto":
	case "en":
		text += "\n\n(Please answer in English.)"
	case "ja":
		text += "\n\n(日本語で答えてください。)"
	default:
		return q, &badInput{"language", `must be "en", "ja" or "auto"`}
	}
	q.Messages = []converse.Message{converse.User(text)}
	return q, nil
}

// decodeJSON reads one JSON value and says in plain words what is wrong.
func decodeJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return &badInput{wrong.Field, fmt.Sprintf("must not be a %s", wrong.Value)}
		}
		return &badInput{"", "the message is not valid JSON of the expected form"}
	}
	if _, err := dec.Token(); err != io.EOF {
		return &badInput{"", "there is something after the JSON value"}
	}
	return nil
}

// What the server sends over the WebSocket: one struct, each message with the
// fields that its type has.
type serverFrame struct {
	Type      string `json:"type"`
	RequestID string `json:"request_id,omitempty"`

	Model    bedrockkit.ModelID `json:"model,omitempty"` // start, complete
	Data     string             `json:"data,omitempty"`  // token
	Sequence int                `json:"sequence,omitempty"`

	ToolUseID string          `json:"tool_use_id,omitempty"` // tool_use, tool_result
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	Status    string          `json:"status,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`

	Usage        *bedrockkit.Usage     `json:"usage,omitempty"` // complete
	StopReason   bedrockkit.StopReason `json:"stop_reason,omitempty"`
	CostUSD      string                `json:"cost_usd,omitempty"`
	LatencyMS    int64                 `json:"latency_ms,omitempty"`
	FirstTokenMS int64                 `json:"time_to_first_token_ms,omitempty"`

	*problem // error
}

// queryResponse is the body of a successful POST /v1/manga/query.
type queryResponse struct {
	Response   string                `json:"response"`
	Model      bedrockkit.ModelID    `json:"model"`
	Usage      bedrockkit.Usage      `json:"usage"`
	StopReason bedrockkit.StopReason `json:"stop_reason"`
	CostUSD    string                `json:"cost_usd,omitempty"`
	RequestID  string                `json:"request_id"`
}

type errorResponse struct {
	Error     string        `json:"error"`
	Details   []errorDetail `json:"details,omitempty"`
	RequestID string        `json:"request_id"`
}

type errorDetail struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}
