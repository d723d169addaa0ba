package converse

import (
	"bytes"
	"errors"
	"fmt"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"strings"
)

// Role says who wrote a message.
type Role string

// The roles. Only a few models take messages of RoleSystem between the turns. For the
// others, use Request.System.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleSystem    Role = "system"
)

// Message is one turn of a conversation.
type Message struct {
	Role    Role     `json:"role"`
	Content Contents `json:"content"`
}

// User returns a message of the user with one text.
func User(text string) Message {
	return Message{Role: RoleUser, Content: Texts(text)}
}

// Assistant returns a message of the assistant with one text.
func Assistant(text string) Message {
	return Message{Role: RoleAssistant, Content: Texts(text)}
}

// UserContent returns a message of the user with any content, such as a picture and a
// question about it.
func UserContent(content ...Content) Message {
	return Message{Role: RoleUser, Content: content}
}

// Text returns all text of the message, including cited text.
func (m Message) Text() string {
	var b strings.Builder
	for _, c := range m.Content {
		switch c := c.(type) {
		case Text:
			b.WriteString(string(c))
		case CitedText:
			b.WriteString(c.Text())
		}
	}
	return b.String()
}

// ToolUses returns the tool calls that the message asks for, in order.
func (m Message) ToolUses() []ToolUse {
	var uses []ToolUse
	for _, c := range m.Content {
		if use, ok := c.(ToolUse); ok {
			uses = append(uses, use)
		}
	}
	return uses
}

// MarshalJSON writes the message in the form of the Converse API.
func (m Message) MarshalJSON() ([]byte, error) {
	return m.appendJSON(nil)
}

func (m Message) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"role":`...)
	b = appendString(b, string(m.Role))
	b = append(b, `,"content":`...)
	b, err := appendContents(b, m.Content)
	if err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

// Contents is a list of content. Unlike a slice of an interface type, it can be read
// from JSON.
type Contents []Content

// Texts returns texts as content, such as for a system prompt.
func Texts(texts ...string) Contents {
	contents := make(Contents, len(texts))
	for i, text := range texts {
		contents[i] = Text(text)
	}
	return contents
}

// MarshalJSON writes the blocks in the form of the Converse API.
func (c Contents) MarshalJSON() ([]byte, error) {
	return appendContents(nil, c)
}

// UnmarshalJSON reads blocks of the Converse API. A block that this version
// does not know becomes [Raw].
func (c *Contents) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if string(data) == "null" {
		*c = nil
		return nil
	}
	blocks, isList := jsonscan.Entries(data, '[')
	if !isList {
		return errors.New("content is not a list of blocks")
	}
	contents, err := decodeContents(blocks, 0)
	if err != nil {
		return err
	}
	*c = contents
	return nil
}

func decodeContents(blocks []member, within int) (Contents, error) {
	contents := make(Contents, 0, len(blocks))
	for i, block := range blocks {
		c, err := decodeContent(block.Value, within)
		if err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		contents = append(contents, c)
	}
	return contents, nil
}

func appendContents(b []byte, contents Contents) ([]byte, error) {
	b = append(b, '[')
	for i, c := range contents {
		if i > 0 {
			b = append(b, ',')
		}
		if c == nil {
			return nil, fmt.Errorf("content[%d] is nil", i)
		}
		var err error
		if b, err = c.appendJSON(b); err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
	}
	return append(b, ']'), nil
}
