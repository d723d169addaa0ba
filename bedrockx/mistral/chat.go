package mistral

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// ChatRequest is the body of a chat completion. Messages are required.
type ChatRequest struct {
	Messages    []Message       `json:"messages"`
	Tools       []Tool          `json:"tools,omitempty"`
	ToolChoice  json.RawMessage `json:"tool_choice,omitempty"` // "auto" (default), "any" or "none", as a JSON string
	MaxTokens   int             `json:"max_tokens,omitempty"`  // default: what the model gives
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"top_p,omitempty"` // 0 to 1

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Message is a turn of the conversation.
type Message struct {
	Role       string     `json:"role"` // "system", "user", "assistant" or "tool"
	Content    Content    `json:"content"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // of an assistant
	ToolCallID string     `json:"tool_call_id,omitempty"` // of a tool's result

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

// Content is a text, or parts, some of them images. One text is a string
// in JSON.
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
	URL string `json:"url"`
}

// Tool is a tool that the model may use.
type Tool struct {
	Type     string   `json:"type"` // "function", which is filled in
	Function Function `json:"function"`
}

// Function is what a tool is called by.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON Schema
}

// ToolCall is a call that the model wants.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type,omitempty"`
	Function FunctionCall `json:"function"`
}

// FunctionCall is the name and the arguments of a call.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // a JSON object, as text
}

// ChatResponse is the body of a response.
type ChatResponse struct {
	ID      string   `json:"id,omitempty"`
	Model   string   `json:"model,omitempty"`
	Created int64    `json:"created,omitempty"` // Unix time in seconds
	Choices []Choice `json:"choices"`
	Usage   *Usage   `json:"usage,omitempty"` // nil if the model does not give it

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Choice is one answer; a response has one.
type Choice struct {
	Index   int     `json:"index"`
	Message Message `json:"message"`
	// Some models say stop_reason, others finish_reason; see [StopReason].
	StopReason   string `json:"stop_reason,omitempty"`
	FinishReason string `json:"finish_reason,omitempty"`
}

// Usage is the usage of a body.
type Usage struct {
	PromptTokens     *int64         `json:"prompt_tokens"`
	CompletionTokens *int64         `json:"completion_tokens"`
	TotalTokens      *int64         `json:"total_tokens,omitempty"`
	PromptDetails    *PromptDetails `json:"prompt_tokens_details,omitempty"`
}

// PromptDetails are the tokens of a prompt that concern the prompt cache.
type PromptDetails struct {
	CachedTokens     int64 `json:"cached_tokens"` // read from it
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
}

// Buckets is the usage in the disjoint buckets of this module, unknown if the
// body does not give it.
func (u Usage) Buckets() bedrockkit.Usage {
	var d PromptDetails
	if u.PromptDetails != nil {
		d = *u.PromptDetails
	}
	return family.PromptUsage(u.PromptTokens, u.CompletionTokens, u.TotalTokens, d.CachedTokens, d.CacheWriteTokens)
}

// Text is the text of the first choice.
func (r ChatResponse) Text() string {
	if len(r.Choices) == 0 {
		return ""
	}
	return r.Choices[0].Message.Content.Text()
}

// MaxOutputTokens is MaxTokens; 0 stands for the most that the model gives.
func (r ChatRequest) MaxOutputTokens() int { return r.MaxTokens }

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r ChatRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := chats.Check(model); err != nil {
		return nil, err
	}
	if len(r.Messages) == 0 {
		return nil, errors.New("messages is empty; give at least one, as mistral.User(\"…\") makes it")
	}
	for i, m := range r.Messages {
		switch m.Role {
		case "system", "user":
			if len(m.Content) == 0 {
				return nil, fmt.Errorf("messages[%d].content is empty", i)
			}
		case "assistant":
			if len(m.Content) == 0 && len(m.ToolCalls) == 0 {
				return nil, fmt.Errorf("messages[%d] has neither content nor tool calls", i)
			}
		case "tool":
			if m.ToolCallID == "" {
				return nil, fmt.Errorf("messages[%d].tool_call_id is empty; a tool's result names its call", i)
			}
		default:
			return nil, fmt.Errorf("messages[%d].role is %q; it is system, user, assistant or tool", i, m.Role)
		}
	}
	tools := make([]Tool, len(r.Tools))
	for i, tool := range r.Tools {
		if tool.Function.Name == "" {
			return nil, fmt.Errorf("tools[%d].function has no name", i)
		}
		if tool.Type == "" {
			tool.Type = "function"
		}
		tools[i] = tool
	}
	r.Tools = tools
	if err := checkSampling(r.MaxTokens, r.Temperature, r.TopP); err != nil {
		return nil, err
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r ChatRequest) DecodeInvoke(body json.RawMessage) (ChatResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp ChatResponse
	usage := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, usage, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Choices) == 0 {
		return resp, usage, "", errors.New("the response has no choices")
	}
	if u := resp.Usage; u != nil {
		usage = u.Buckets()
	}
	choice := resp.Choices[0]
	return resp, usage, StopReason(cmp.Or(choice.StopReason, choice.FinishReason)), nil
}

type (
	plainChatRequest  ChatRequest
	plainChatResponse ChatResponse
	plainMessage      Message
	plainPart         Part
)

// MarshalJSON writes the body as the model takes it.
func (r ChatRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainChatRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *ChatRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainChatRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r ChatResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainChatResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *ChatResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainChatResponse)(r))
	return err
}

// MarshalJSON writes the message as the model takes it.
func (m Message) MarshalJSON() ([]byte, error) { return family.Marshal(plainMessage(m), m.Extra) }

// UnmarshalJSON reads a message.
func (m *Message) UnmarshalJSON(data []byte) (err error) {
	m.Extra, err = family.Unmarshal(data, (*plainMessage)(m))
	return err
}

// MarshalJSON writes the part as the model takes it.
func (p Part) MarshalJSON() ([]byte, error) { return family.Marshal(plainPart(p), p.Extra) }

// UnmarshalJSON reads a part.
func (p *Part) UnmarshalJSON(data []byte) (err error) {
	p.Extra, err = family.Unmarshal(data, (*plainPart)(p))
	return err
}

// MarshalJSON writes one text, or none, as a string.
func (c Content) MarshalJSON() ([]byte, error) {
	if len(c) == 0 || len(c) == 1 && c[0].Type == "text" && c[0].Extra == nil {
		return family.Marshal(c.Text(), nil)
	}
	return family.Marshal([]Part(c), nil)
}

// UnmarshalJSON reads a string or parts. An empty string is not content.
func (c *Content) UnmarshalJSON(data []byte) error {
	parts, err := family.TextOrParts(data, func(text string) []Part { return Text(text) })
	*c = parts
	return err
}
