package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// Message is a turn of the conversation.
type Message struct {
	Role       string     `json:"role"` // "system", "developer", "user", "assistant" or "tool"
	Content    Content    `json:"content"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // of an assistant
	ToolCallID string     `json:"tool_call_id,omitempty"` // of a tool's result

	// What the model has thought, in the word that it has for it. It is not
	// sent back; see Response.Message.
	ReasoningContent string `json:"reasoning_content,omitempty"`
	Reasoning        string `json:"reasoning,omitempty"`

	// Refusal is why the model does not answer.
	Refusal string `json:"refusal,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the message that are not above
}

// System returns a message that tells the model how to behave.
func System(text string) Message { return Message{Role: "system", Content: Text(text)} }

// User returns a user's message of one text.
func User(text string) Message { return Message{Role: "user", Content: Text(text)} }

// Assistant returns an assistant's message of one text.
func Assistant(text string) Message { return Message{Role: "assistant", Content: Text(text)} }

// ToolResult returns what a tool gave for the call of an id.
func ToolResult(id, text string) Message {
	return Message{Role: "tool", ToolCallID: id, Content: Text(text)}
}

// Content is a text, or parts, some of them images. One text is a string in
// JSON.
type Content []Part

// Text returns content of one text.
func Text(text string) Content { return Content{{Type: "text", Text: text}} }

// Text is all text of the content.
func (c Content) Text() string {
	var b strings.Builder
	for _, part := range c {
		if part.Type == "text" {
			b.WriteString(part.Text)
		}
	}
	return b.String()
}

// Part is a text or an image.
type Part struct {
	Type     string    `json:"type"` // "text" or "image_url"
	Text     string    `json:"text,omitempty"`
	ImageURL *ImageURL `json:"image_url,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the part that are not above
}

// ImageURL says where an image is: in a data URI.
type ImageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"` // "auto" (default), "low" or "high"
}

// Image returns an image, such as one of the media type image/png, as a part of
// a message.
func Image(mediaType string, data []byte) Part {
	return Part{Type: "image_url", ImageURL: &ImageURL{URL: family.DataURI(mediaType, data)}}
}

// ToolCall is a call that the model wants.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type,omitempty"` // "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall is the name and the arguments of a call.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // a JSON object, as text
}

// check finds what cannot be right in a message. open are the calls of messages
// before it that have no result yet.
func (m *Message) check(open map[string]bool) error {
	switch m.Role {
	case "system", "developer", "user":
		if len(m.Content) == 0 {
			return errors.New(".content is empty")
		}
	case "assistant":
		if len(m.Content) == 0 && len(m.ToolCalls) == 0 {
			return errors.New(" has neither content nor tool calls")
		}
		for i, call := range m.ToolCalls {
			switch {
			case call.ID == "" || call.Function.Name == "":
				return fmt.Errorf(".tool_calls[%d] needs an id and a function's name", i)
			case open[call.ID]:
				return fmt.Errorf(".tool_calls[%d].id is %q, as is that of another call", i, call.ID)
			}
			open[call.ID] = true
		}
	case "tool":
		if !open[m.ToolCallID] {
			return fmt.Errorf(".tool_call_id is %q; no call before it has this id and no result", m.ToolCallID)
		}
		delete(open, m.ToolCallID)
	default:
		return fmt.Errorf(".role is %q; it is system, developer, user, assistant or tool", m.Role)
	}
	for i, part := range m.Content {
		if part.Type == "image_url" && (part.ImageURL == nil || part.ImageURL.URL == "") {
			return fmt.Errorf(".content[%d].image_url has no url; openai.Image makes one", i)
		}
		if part.Type == "" {
			return fmt.Errorf(".content[%d] has no type; it is text or image_url", i)
		}
	}
	return nil
}

type (
	plainMessage Message
	plainPart    Part
)

// MarshalJSON writes the message as the models take it.
func (m Message) MarshalJSON() ([]byte, error) { return family.Marshal(plainMessage(m), m.Extra) }

// UnmarshalJSON reads a message.
func (m *Message) UnmarshalJSON(data []byte) (err error) {
	m.Extra, err = family.Unmarshal(data, (*plainMessage)(m))
	return err
}

// MarshalJSON writes the part as the models take it.
func (p Part) MarshalJSON() ([]byte, error) { return family.Marshal(plainPart(p), p.Extra) }

// UnmarshalJSON reads a part.
func (p *Part) UnmarshalJSON(data []byte) (err error) {
	p.Extra, err = family.Unmarshal(data, (*plainPart)(p))
	return err
}

// MarshalJSON writes one text as a string, and no content as null.
func (c Content) MarshalJSON() ([]byte, error) {
	switch {
	case len(c) == 0:
		return []byte("null"), nil
	case len(c) == 1 && c[0].Type == "text" && c[0].Extra == nil:
		return family.Marshal(c[0].Text, nil)
	}
	return family.Marshal([]Part(c), nil)
}

// UnmarshalJSON reads a string or parts. An empty string is not content.
func (c *Content) UnmarshalJSON(data []byte) error {
	parts, err := family.TextOrParts(data, func(text string) []Part { return Text(text) })
	*c = parts
	return err
}
