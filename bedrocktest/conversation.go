package bedrocktest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
)

// A Conversation is what a request asks the model, whatever body it came in.
type Conversation struct {
	System   []string
	Messages []Message
	Tools    []Tool

	ToolChoice    ToolChoice
	MaxTokens     int64 // 0 if it was not set
	Temperature   *float64
	TopP          *float64
	StopSequences []string

	// Thinking is how the model was asked to reason.
	Thinking Thinking

	// OutputSchema is the JSON Schema that the answer must fit, if one was
	// asked for.
	OutputSchema json.RawMessage

	cache      []cachePart // the prompt in cache order: tools, system, messages
	cacheMarks []string    // the TTLs of its cache points, as they were sent
}

// A Message is one turn.
type Message struct {
	Role   string // "user" or "assistant" (or "system", where the API takes one)
	Blocks []Block
}

// A Block is a piece of content: the field that is set says which kind. Text is
// the kind of a block in which no other field is set.
type Block struct {
	Text       string
	ToolUse    *ToolCall
	ToolResult *ToolResult
	Reasoning  *ReasoningBlock

	// Raw is the block as it was sent. In a [Reply] it is sent as it is: a
	// block of a kind that clients do not know.
	Raw json.RawMessage

	pieces []string // what a stream sends it in; set by Reply.Chunks
}

// A ToolCall is the model's call of a tool.
type ToolCall struct {
	ID    string // in a Reply: empty means that the server gives one
	Name  string
	Input json.RawMessage
}

// A ToolResult is the caller's answer to a [ToolCall].
type ToolResult struct {
	ID      string
	Content []Block // text, or Raw for JSON, images and documents
	Error   bool    // the status is "error"
}

// A ReasoningBlock is what the model thought. Either Text or Redacted is set.
type ReasoningBlock struct {
	Text      string
	Signature string // in a Reply: empty means that the server makes one
	Redacted  []byte
}

// A Tool is one that the model may call.
type Tool struct {
	Name        string
	Description string
	Schema      json.RawMessage // of its input
}

// A ToolChoice says whether a tool must be called.
type ToolChoice struct {
	Mode string // "auto", "any", "tool", "none"; empty if it was not set
	Name string // of the tool, with mode "tool"
}

// Thinking is how a request asks the model to reason, in the words of the model
// family: "thinking" and "output_config" of Anthropic, "reasoningConfig" of
// Nova, "reasoning_effort" of OpenAI, outputConfig of Converse. What was not said
// is zero.
type Thinking struct {
	Mode    string // "enabled", "adaptive", "disabled"…
	Budget  int64  // in tokens
	Effort  string // "low", "medium", "high"…
	Omitted bool   // the reasoning is not to be shown: its text is empty
}

// asked reports whether the request wants reasoning.
func (t Thinking) asked() bool {
	switch t.Mode {
	case "", "disabled", "none":
		return t.Mode == "" && t.Effort != "" && t.Effort != "none"
	}
	return true
}

// readThinking reads the fields of a model's own body that ask for reasoning.
func readThinking(fields json.RawMessage) (t Thinking) {
	var v struct {
		Thinking struct {
			Type    string `json:"type"`
			Budget  int64  `json:"budget_tokens"`
			Display string `json:"display"`
		} `json:"thinking"`
		OutputConfig struct {
			Effort string `json:"effort"`
		} `json:"output_config"`
		ReasoningConfig struct {
			Type   string `json:"type"`
			Effort string `json:"maxReasoningEffort"`
		} `json:"reasoningConfig"`
		ReasoningEffort string `json:"reasoning_effort"`
		Reasoning       struct {
			Effort string `json:"effort"`
		} `json:"reasoning"`
	}
	// A field of another type is refused elsewhere; the others are read.
	_ = json.Unmarshal(fields, &v)
	t.Mode = cmp.Or(v.Thinking.Type, v.ReasoningConfig.Type)
	t.Budget, t.Omitted = v.Thinking.Budget, v.Thinking.Display == "omitted"
	t.Effort = cmp.Or(v.OutputConfig.Effort, v.ReasoningConfig.Effort, v.ReasoningEffort, v.Reasoning.Effort)
	return t
}

// LastText is the text of the last user message, its blocks joined by newlines.
func (c *Conversation) LastText() string {
	for i := len(c.Messages) - 1; i >= 0; i-- {
		if c.Messages[i].Role == "user" {
			return c.Messages[i].Text()
		}
	}
	return ""
}

// ToolResults are the tool results of the last message: what the model
// has to go on from. Nil if the last message holds none.
func (c *Conversation) ToolResults() []ToolResult {
	if len(c.Messages) == 0 {
		return nil
	}
	var results []ToolResult
	for _, b := range c.Messages[len(c.Messages)-1].Blocks {
		if b.ToolResult != nil {
			results = append(results, *b.ToolResult)
		}
	}
	return results
}

// ToolCall returns the call of that id in the conversation.
func (c *Conversation) ToolCall(id string) (ToolCall, bool) {
	for _, m := range c.Messages {
		for _, b := range m.Blocks {
			if b.ToolUse != nil && b.ToolUse.ID == id {
				return *b.ToolUse, true
			}
		}
	}
	return ToolCall{}, false
}

// Text is the text of the message, its text blocks joined by newlines.
func (m Message) Text() string { return textOf(m.Blocks) }

// Text is the text of the result, JSON content as it was sent, joined by
// newlines.
func (r ToolResult) Text() string {
	var parts []string
	for _, b := range r.Content {
		if b.Text != "" {
			parts = append(parts, b.Text)
			continue
		}
		var v struct{ JSON json.RawMessage }
		if json.Unmarshal(b.Raw, &v) == nil && len(v.JSON) > 0 {
			parts = append(parts, string(v.JSON))
		}
	}
	return strings.Join(parts, "\n")
}

func textOf(blocks []Block) string {
	var parts []string
	for _, b := range blocks {
		if b.Text != "" {
			parts = append(parts, b.Text)
		}
	}
	return strings.Join(parts, "\n")
}

// marshal is json.Marshal without the escaping for HTML, which Bedrock does
// not do. The values that come here can all be encoded.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("bedrocktest: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
