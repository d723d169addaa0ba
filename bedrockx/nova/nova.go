package nova

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// SchemaVersion is the version of the body, which EncodeInvoke fills in.
const SchemaVersion = "messages-v1"

// Request is the body of a request. Messages are required.
type Request struct {
	SchemaVersion   string          `json:"schemaVersion"` // default [SchemaVersion]
	System          []Block         `json:"system,omitempty"`
	Messages        []Message       `json:"messages"`
	InferenceConfig InferenceConfig `json:"inferenceConfig,omitzero"`
	ToolConfig      *ToolConfig     `json:"toolConfig,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// InferenceConfig are the inference parameters.
type InferenceConfig struct {
	MaxTokens       int              `json:"maxTokens,omitempty"`   // default: as the model sees fit
	Temperature     *float64         `json:"temperature,omitempty"` // 0 to 1, default 0.7
	TopP            *float64         `json:"topP,omitempty"`        // 0 to 1, default 0.9
	TopK            *int             `json:"topK,omitempty"`        // at least 0
	StopSequences   []string         `json:"stopSequences,omitempty"`
	ReasoningConfig *ReasoningConfig `json:"reasoningConfig,omitempty"` // of Nova 2
}

// ReasoningConfig turns reasoning on.
type ReasoningConfig struct {
	Type               string `json:"type"`                         // "enabled" or "disabled"
	MaxReasoningEffort string `json:"maxReasoningEffort,omitempty"` // "low", "medium" or "high"
}

// ToolConfig are the tools that the model may use.
type ToolConfig struct {
	Tools      []Tool      `json:"tools"`
	ToolChoice *ToolChoice `json:"toolChoice,omitempty"`
}

// Tool is a tool: the caller's, or one of the service's in Extra.
type Tool struct {
	ToolSpec *ToolSpec `json:"toolSpec,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // such as systemTool
}

// ToolSpec is a tool of the caller.
type ToolSpec struct {
	Name        string      `json:"name"` // 64 letters, digits, _ and - at most
	Description string      `json:"description"`
	InputSchema InputSchema `json:"inputSchema"`
}

// InputSchema is a JSON Schema of the type object.
type InputSchema struct {
	JSON json.RawMessage `json:"json"`
}

// ToolChoice says whether the model is to use a tool, and which. One of its
// fields is set.
type ToolChoice struct {
	Auto *struct{}   `json:"auto,omitempty"` // the default
	Any  *struct{}   `json:"any,omitempty"`
	Tool *ToolByName `json:"tool,omitempty"`
}

// ToolByName names a tool.
type ToolByName struct {
	Name string `json:"name"`
}

// Message is one turn.
type Message struct {
	Role    string  `json:"role"` // "user" or "assistant"
	Content []Block `json:"content"`
}

// User returns a user's message of one text.
func User(text string) Message { return Message{Role: "user", Content: Text(text)} }

// Assistant returns an assistant's message of one text.
func Assistant(text string) Message { return Message{Role: "assistant", Content: Text(text)} }

// Text returns content of one text block.
func Text(text string) []Block { return []Block{{Text: text}} }

// Block is one block of content. One of its fields is set, and Raw where it
// came with something that this version does not know.
type Block struct {
	Text             string          `json:"text,omitempty"`
	Image            *Media          `json:"image,omitempty"`
	Video            *Media          `json:"video,omitempty"`
	Audio            *Media          `json:"audio,omitempty"`    // of Nova 2
	Document         *Media          `json:"document,omitempty"` // with a name
	ToolUse          *ToolUse        `json:"toolUse,omitempty"`
	ToolResult       *ToolResult     `json:"toolResult,omitempty"`
	ReasoningContent json.RawMessage `json:"reasoningContent,omitempty"` // it is to be given back as it came
	CachePoint       *CachePoint     `json:"cachePoint,omitempty"`       // the end of a prefix to be cached; not among tools
	JSON             json.RawMessage `json:"json,omitempty"`             // of a tool's result: an object

	// Raw is the whole of a block that has more than the fields above. It is
	// written as it is, whatever the fields say.
	Raw json.RawMessage `json:"-"`
}

// Media is an image, a video, a sound or a document.
type Media struct {
	Format string      `json:"format"`         // "png", "mp4", "pdf"…
	Name   string      `json:"name,omitempty"` // of a document
	Source MediaSource `json:"source"`
}

// MediaSource is where the data are: here, or in S3.
type MediaSource struct {
	Bytes      []byte      `json:"bytes,omitempty"` // base64 in JSON
	S3Location *S3Location `json:"s3Location,omitempty"`
}

// S3Location is an object in S3.
type S3Location struct {
	URI         string `json:"uri"`
	BucketOwner string `json:"bucketOwner,omitempty"` // an account, where it is another one
}

// ToolUse is a call that the model wants.
type ToolUse struct {
	ToolUseID string          `json:"toolUseId"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"` // a JSON object
}

// ToolResult is what a tool gave.
type ToolResult struct {
	ToolUseID string  `json:"toolUseId"`
	Content   []Block `json:"content"`
	Status    string  `json:"status,omitempty"` // "success" (default) or "error"
}

// CachePoint marks the end of a prefix to be cached.
type CachePoint struct {
	Type string `json:"type"` // "default"
}

// Response is the body of a response.
type Response struct {
	Output struct {
		Message Message `json:"message"`
	} `json:"output"`
	StopReason string          `json:"stopReason"` // in the words of Converse
	Usage      Usage           `json:"usage"`
	Trace      json.RawMessage `json:"trace,omitempty"` // of a guardrail

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Text is all text of the response.
func (r Response) Text() string {
	var b strings.Builder
	for _, block := range r.Output.Message.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

// Usage is the usage of a body. InputTokens exclude what was read from and
// written to the prompt cache.
type Usage struct {
	InputTokens               *int64 `json:"inputTokens"`
	OutputTokens              *int64 `json:"outputTokens"`
	TotalTokens               int64  `json:"totalTokens,omitempty"`
	CacheReadInputTokenCount  int64  `json:"cacheReadInputTokenCount,omitempty"`
	CacheWriteInputTokenCount int64  `json:"cacheWriteInputTokenCount,omitempty"`
}

// Buckets is the usage in the disjoint buckets of this module, unknown where
// the body does not give it.
func (u Usage) Buckets() bedrockkit.Usage {
	b := family.Usage(u.InputTokens, u.OutputTokens)
	if b.Unknown || min(u.CacheReadInputTokenCount, u.CacheWriteInputTokenCount) < 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	b.CacheReadTokens, b.CacheWrite5mTokens = u.CacheReadInputTokenCount, u.CacheWriteInputTokenCount
	return b
}

// MaxOutputTokens is MaxTokens; 0 stands for the most that the model gives.
func (r Request) MaxOutputTokens() int { return r.InferenceConfig.MaxTokens }

// Continued is the request for the rest of an answer that begins with soFar,
// which the assistant is made to have said.
func (r Request) Continued(soFar string) Request {
	r.Messages = slices.Clone(r.Messages)
	n := len(r.Messages) - 1
	if n < 0 || r.Messages[n].Role != "assistant" {
		r.Messages = append(r.Messages, Assistant(soFar))
		return r
	}
	// The request has begun the answer itself.
	content := slices.Clone(r.Messages[n].Content)
	if last := len(content) - 1; last >= 0 && content[last].Text != "" {
		content[last].Text += soFar
	} else {
		content = append(content, Text(soFar)...)
	}
	r.Messages[n].Content = content
	return r
}

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r Request) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := messages.Check(model); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r Request) DecodeInvoke(body json.RawMessage) (Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp Response
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if resp.StopReason == "" && len(resp.Output.Message.Content) == 0 {
		return resp, bedrockkit.Usage{}, "", errors.New("the response is no message: it has neither content nor a stop reason")
	}
	return resp, resp.Usage.Buckets(), bedrockkit.StopReason(resp.StopReason), nil
}

// check finds what cannot be right. What depends on the model is left to the
// service.
func (r *Request) check() error {
	if len(r.Messages) == 0 {
		return errors.New("messages is empty; give at least one, as nova.User(\"…\") makes it")
	}
	for i := range r.System {
		if err := r.System[i].check(); err != nil {
			return fmt.Errorf("system[%d]%w", i, err)
		}
	}
	for i, m := range r.Messages {
		switch {
		case m.Role != "user" && m.Role != "assistant":
			return fmt.Errorf("messages[%d].role is %q; it is user or assistant", i, m.Role)
		case i == 0 && m.Role != "user":
			return errors.New("messages[0].role is assistant; the first message is the user's")
		case len(m.Content) == 0:
			return fmt.Errorf("messages[%d].content is empty", i)
		}
		for j := range m.Content {
			if err := m.Content[j].check(); err != nil {
				return fmt.Errorf("messages[%d].content[%d]%w", i, j, err)
			}
		}
	}
	c := r.InferenceConfig
	if c.MaxTokens < 0 {
		return fmt.Errorf("maxTokens is %d; it is at least 1, or 0 for the model's default", c.MaxTokens)
	}
	if t := r.ToolConfig; t != nil {
		if err := t.check(); err != nil {
			return err
		}
	}
	return errors.Join(family.Between("temperature", c.Temperature, 0, 1), family.Between("topP", c.TopP, 0, 1))
}

func (t *ToolConfig) check() error {
	for i, tool := range t.Tools {
		switch s := tool.ToolSpec; {
		case s == nil && len(tool.Extra) == 0:
			return fmt.Errorf("toolConfig.tools[%d] is empty", i)
		case s != nil && s.Name == "":
			return fmt.Errorf("toolConfig.tools[%d].toolSpec has no name", i)
		case s != nil && !json.Valid(s.InputSchema.JSON):
			return fmt.Errorf("toolConfig.tools[%d].toolSpec.inputSchema.json is not JSON", i)
		}
	}
	if c := t.ToolChoice; c != nil && c.Tool != nil {
		named := func(tool Tool) bool { return tool.ToolSpec != nil && tool.ToolSpec.Name == c.Tool.Name }
		if !slices.ContainsFunc(t.Tools, named) {
			return fmt.Errorf("toolChoice names %q, which is not among the tools", c.Tool.Name)
		}
	}
	return nil
}

// check returns an error whose text goes on where the block's path ends.
func (b *Block) check() error {
	if b.Raw != nil {
		if !json.Valid(b.Raw) {
			return errors.New(": raw is not JSON")
		}
		return nil
	}
	members := 0
	for _, set := range []bool{b.Text != "", b.Image != nil, b.Video != nil, b.Audio != nil, b.Document != nil,
		b.ToolUse != nil, b.ToolResult != nil, b.ReasoningContent != nil, b.CachePoint != nil, b.JSON != nil} {
		if set {
			members++
		}
	}
	switch {
	case members == 0:
		return errors.New(" is empty")
	case members > 1:
		return fmt.Errorf(" has %d members; a block has one", members)
	case b.Text != "" && strings.TrimSpace(b.Text) == "":
		return errors.New(".text is blank")
	case b.ToolUse != nil && (b.ToolUse.ToolUseID == "" || b.ToolUse.Name == ""):
		return errors.New(".toolUse has no id or no name")
	case b.ToolResult != nil && b.ToolResult.ToolUseID == "":
		return errors.New(".toolResult.toolUseId is empty")
	}
	for _, m := range []*Media{b.Image, b.Video, b.Audio, b.Document} {
		if m == nil {
			continue
		}
		if m.Format == "" || (len(m.Source.Bytes) == 0) == (m.Source.S3Location == nil) {
			return errors.New(" has media without a format, or not with one of bytes and s3Location")
		}
	}
	return nil
}
