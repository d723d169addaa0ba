package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// Version is the anthropic_version of Bedrock, which EncodeInvoke fills in.
const Version = "bedrock-2023-05-31"

// Request is the body of a Messages request. MaxTokens and Messages are
// required.
type Request struct {
	AnthropicVersion string          `json:"anthropic_version"` // default [Version]
	MaxTokens        int             `json:"max_tokens"`
	System           Blocks          `json:"system,omitempty"`
	Messages         []Message       `json:"messages"`
	Temperature      *float64        `json:"temperature,omitempty"` // 0 to 1
	TopP             *float64        `json:"top_p,omitempty"`       // 0 to 1
	TopK             *int            `json:"top_k,omitempty"`
	StopSequences    []string        `json:"stop_sequences,omitempty"`
	Tools            []Tool          `json:"tools,omitempty"`
	ToolChoice       json.RawMessage `json:"tool_choice,omitempty"`
	Thinking         *Thinking       `json:"thinking,omitempty"`
	AnthropicBeta    []string        `json:"anthropic_beta,omitempty"`
}

// Thinking turns extended thinking on. BudgetTokens is at least 1,024 and less
// than the request's MaxTokens.
type Thinking struct {
	Type         string `json:"type"` // "enabled"
	BudgetTokens int    `json:"budget_tokens,omitempty"`
}

// Tool is a tool that the model may use.
type Tool struct {
	Type         string          `json:"type,omitempty"`
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`
	CacheControl *CacheControl   `json:"cache_control,omitempty"`
}

// Message is one turn.
type Message struct {
	Role    string `json:"role"` // "user" or "assistant"
	Content Blocks `json:"content"`
}

// User returns a user's message of one text.
func User(text string) Message { return Message{Role: "user", Content: Text(text)} }

// Assistant returns an assistant's message of one text.
func Assistant(text string) Message { return Message{Role: "assistant", Content: Text(text)} }

// Text returns content of one text block.
func Text(text string) Blocks { return Blocks{{Type: "text", Text: text}} }

// Blocks is content. In JSON it is also read from a plain string.
type Blocks []Block

// UnmarshalJSON reads a list of blocks or a string.
func (b *Blocks) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte{'"'}) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*b = Text(text)
		return nil
	}
	return json.Unmarshal(data, (*[]Block)(b))
}

// Block is one block of content; Type says which of the fields it has.
type Block struct {
	Type string `json:"type"` // "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"

	Text   string  `json:"text,omitempty"`
	Source *Source `json:"source,omitempty"` // of an image or a document

	ID    string          `json:"id,omitempty"` // of a tool_use, as are Name and Input
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`

	ToolUseID string `json:"tool_use_id,omitempty"` // of a tool_result, as are Content and IsError
	Content   Blocks `json:"content,omitempty"`
	IsError   bool   `json:"is_error,omitempty"`

	Thinking  string `json:"thinking,omitempty"`
	Signature string `json:"signature,omitempty"` // of thinking; it is to be given back as it came
	Data      string `json:"data,omitempty"`      // of redacted_thinking, likewise

	Citations    json.RawMessage `json:"citations,omitempty"`
	CacheControl *CacheControl   `json:"cache_control,omitempty"`
}

// Source is an image's or a document's data.
type Source struct {
	Type      string `json:"type"` // "base64"
	MediaType string `json:"media_type,omitempty"`
	Data      []byte `json:"data,omitempty"`
}

// CacheControl marks the end of a prefix to be cached.
type CacheControl struct {
	Type string `json:"type"`          // "ephemeral"
	TTL  string `json:"ttl,omitempty"` // "5m" (default) or "1h"
}

// Response is the body of a Messages response.
type Response struct {
	ID           string `json:"id"`
	Type         string `json:"type"`
	Role         string `json:"role"`
	Model        string `json:"model"`
	Content      Blocks `json:"content"`
	StopReason   string `json:"stop_reason"`
	StopSequence string `json:"stop_sequence,omitempty"`
	Usage        Usage  `json:"usage"`
}

// Usage is the usage of a body. InputTokens exclude what was read from and
// written to the prompt cache.
type Usage struct {
	InputTokens              int64 `json:"input_tokens"`
	OutputTokens             int64 `json:"output_tokens"`
	CacheReadInputTokens     int64 `json:"cache_read_input_tokens,omitempty"`
	CacheCreationInputTokens int64 `json:"cache_creation_input_tokens,omitempty"` // of all TTLs
	CacheCreation            *struct {
		Ephemeral5m int64 `json:"ephemeral_5m_input_tokens"`
		Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation,omitempty"` // by TTL
}

// Buckets is the usage in the disjoint buckets of this module. Cache writes
// whose TTL the body does not tell count as written for five minutes, the
// default. A body that tells no usage has zeros; as an answer has some input,
// that is unknown usage.
func (u Usage) Buckets() bedrockkit.Usage {
	b := bedrockkit.Usage{
		InputTokens:        u.InputTokens,
		OutputTokens:       u.OutputTokens,
		CacheReadTokens:    u.CacheReadInputTokens,
		CacheWrite5mTokens: u.CacheCreationInputTokens,
	}
	if c := u.CacheCreation; c != nil {
		b.CacheWrite5mTokens, b.CacheWrite1hTokens = c.Ephemeral5m, c.Ephemeral1h
	}
	least := min(b.InputTokens, b.OutputTokens, b.CacheReadTokens, b.CacheWrite5mTokens, b.CacheWrite1hTokens)
	if least < 0 || b.TotalInput() == 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return b
}

// Text is all text of the response.
func (r Response) Text() string {
	var b strings.Builder
	for _, block := range r.Content {
		if block.Type == "text" {
			b.WriteString(block.Text)
		}
	}
	return b.String()
}

// MaxOutputTokens is MaxTokens.
func (r Request) MaxOutputTokens() int { return r.MaxTokens }

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r Request) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if p := model.Provider(); p != "" && p != "anthropic" {
		return nil, fmt.Errorf("anthropic.Request is for models of anthropic; %s is one of %s", model, p)
	}
	if r.MaxTokens < 1 {
		return nil, fmt.Errorf("max_tokens is %d; give the most tokens that the answer may have, at least 1", r.MaxTokens)
	}
	if len(r.Messages) == 0 {
		return nil, errors.New("messages is empty; give at least one, as anthropic.User(\"…\") makes it")
	}
	for i, m := range r.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return nil, fmt.Errorf("messages[%d].role is %q; it is user or assistant", i, m.Role)
		}
		if len(m.Content) == 0 {
			return nil, fmt.Errorf("messages[%d].content is empty", i)
		}
		for j, b := range m.Content {
			if b.Type == "text" && strings.TrimSpace(b.Text) == "" {
				return nil, fmt.Errorf("messages[%d].content[%d].text is blank", i, j)
			}
		}
	}
	if r.AnthropicVersion == "" {
		r.AnthropicVersion = Version
	}
	return json.Marshal(r)
}

// DecodeInvoke reads the body of a response.
func (r Request) DecodeInvoke(body json.RawMessage) (Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp Response
	if err := json.Unmarshal(body, &resp); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if resp.StopReason == "" && len(resp.Content) == 0 {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("the response is no message: it has neither content nor a stop reason")
	}
	return resp, resp.Usage.Buckets(), StopReason(resp.StopReason), nil
}

// StopReason translates a stop reason of the Messages API into that of
// Converse; one that means nothing else passes through.
func StopReason(reason string) bedrockkit.StopReason {
	if reason == "refusal" {
		return bedrockkit.StopContentFiltered
	}
	return bedrockkit.StopReason(reason)
}
