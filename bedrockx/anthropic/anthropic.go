package anthropic

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// Version is the anthropic_version of Bedrock, which EncodeInvoke fills in.
const Version = "bedrock-2023-05-31"

// Request is the body of a Messages request. MaxTokens and Messages are
// required.
type Request struct {
	AnthropicVersion string        `json:"anthropic_version"`        // default [Version]
	AnthropicBeta    []string      `json:"anthropic_beta,omitempty"` // features in beta, by their names
	MaxTokens        int           `json:"max_tokens"`               // thinking included
	System           Blocks        `json:"system,omitempty"`
	Messages         []Message     `json:"messages"`
	Temperature      *float64      `json:"temperature,omitempty"` // 0 to 1, default 1
	TopP             *float64      `json:"top_p,omitempty"`       // 0 to 1
	TopK             *int          `json:"top_k,omitempty"`       // at least 0
	StopSequences    []string      `json:"stop_sequences,omitempty"`
	Tools            []Tool        `json:"tools,omitempty"`
	ToolChoice       *ToolChoice   `json:"tool_choice,omitempty"`
	Thinking         *Thinking     `json:"thinking,omitempty"`
	OutputConfig     *OutputConfig `json:"output_config,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Thinking turns extended thinking on or off.
type Thinking struct {
	Type         string `json:"type"`                    // "adaptive", "enabled", "between_tools" or "disabled", by model
	BudgetTokens int    `json:"budget_tokens,omitempty"` // of "enabled": at least 1,024, and less than MaxTokens unless thinking is interleaved with tool use
	Display      string `json:"display,omitempty"`       // "summarized" or "omitted"

	// BlockBinding says what the service does with thinking blocks of earlier
	// turns that no longer fit, by models that bind them:
	// {"prefix_mismatch_behavior":"drop_block"}.
	BlockBinding json.RawMessage `json:"block_binding,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields that are not above
}

// OutputConfig says how much work an answer is worth and which form it has.
type OutputConfig struct {
	Effort string          `json:"effort,omitempty"` // "low", "medium", "high", "xhigh" or "max", by model; the default is the model's own
	Format json.RawMessage `json:"format,omitempty"` // {"type":"json_schema","schema":{…}}
}

// Tool is a tool that the model may use: one of the caller's with a name, a
// description and a schema, or one of Anthropic's by its type and name, whose
// other fields go into Extra.
type Tool struct {
	Type         string          `json:"type,omitempty"` // empty or "custom" for the caller's; "bash_20250124"…
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema,omitempty"` // a JSON Schema of the type object
	CacheControl *CacheControl   `json:"cache_control,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the tool that are not above
}

// ToolChoice says whether the model is to use a tool, and which.
type ToolChoice struct {
	Type                   string `json:"type"`           // "auto" (default), "any", "tool" or "none"
	Name                   string `json:"name,omitempty"` // of "tool"
	DisableParallelToolUse bool   `json:"disable_parallel_tool_use,omitempty"`
}

// CacheControl marks the end of a prefix to be cached. A request has four
// marks at most.
type CacheControl struct {
	Type string `json:"type"`          // "ephemeral"
	TTL  string `json:"ttl,omitempty"` // "5m" (default) or "1h"; the longer ones come first
}

// Cache returns a mark with a time to live: "5m", "1h", or empty for the
// service's default of five minutes.
func Cache(ttl string) *CacheControl { return &CacheControl{Type: "ephemeral", TTL: ttl} }

// Message is one turn.
type Message struct {
	Role    string `json:"role"` // "user", "assistant" or, for models that take it, "system"
	Content Blocks `json:"content"`
}

// User returns a user's message of one text.
func User(text string) Message { return Message{Role: "user", Content: Text(text)} }

// Assistant returns an assistant's message of one text.
func Assistant(text string) Message { return Message{Role: "assistant", Content: Text(text)} }

// Response is the body of a Messages response.
type Response struct {
	ID           string `json:"id"`
	Type         string `json:"type"` // "message"
	Role         string `json:"role"` // "assistant"
	Model        string `json:"model"`
	Content      Blocks `json:"content"`
	StopReason   string `json:"stop_reason"` // in the words of the Messages API; see [StopReason]
	StopSequence string `json:"stop_sequence,omitempty"`
	Usage        Usage  `json:"usage"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Text is all text of the response.
func (r Response) Text() string { return r.Content.Text() }

// Message is the response as the turn of a conversation that goes on.
func (r Response) Message() Message { return Message{Role: "assistant", Content: r.Content} }

// Usage is the usage of a body. InputTokens exclude what was read from and
// written to the prompt cache.
type Usage struct {
	InputTokens              int64           `json:"input_tokens"`
	OutputTokens             int64           `json:"output_tokens"`
	CacheReadInputTokens     int64           `json:"cache_read_input_tokens,omitempty"`
	CacheCreationInputTokens int64           `json:"cache_creation_input_tokens,omitempty"` // of all TTLs
	CacheCreation            *CacheCreation  `json:"cache_creation,omitempty"`              // by TTL
	ServerToolUse            json.RawMessage `json:"server_tool_use,omitempty"`             // of tools that the service runs
	ServiceTier              string          `json:"service_tier,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the usage that are not above
}

// CacheCreation are the tokens written to the prompt cache, by their TTL.
type CacheCreation struct {
	Ephemeral5m  int64 `json:"ephemeral_5m_input_tokens"`
	Ephemeral30m int64 `json:"ephemeral_30m_input_tokens,omitempty"`
	Ephemeral1h  int64 `json:"ephemeral_1h_input_tokens"`
}

// Buckets is the usage in the disjoint buckets of this module. Cache writes
// whose TTL the body does not give count as written for five minutes, the
// default. A body without usage has zeros; as an answer has some input,
// that is unknown usage.
func (u Usage) Buckets() bedrockkit.Usage {
	b := bedrockkit.Usage{
		InputTokens:        u.InputTokens,
		OutputTokens:       u.OutputTokens,
		CacheReadTokens:    u.CacheReadInputTokens,
		CacheWrite5mTokens: u.CacheCreationInputTokens,
	}
	if c := u.CacheCreation; c != nil {
		b.CacheWrite30mTokens, b.CacheWrite1hTokens = c.Ephemeral30m, c.Ephemeral1h
		if u.CacheCreationInputTokens == 0 {
			b.CacheWrite5mTokens = c.Ephemeral5m // it gives no sum
		} else {
			b.CacheWrite5mTokens -= c.Ephemeral30m + c.Ephemeral1h
		}
	}
	least := min(b.InputTokens, b.OutputTokens, b.CacheReadTokens, b.CacheWrite5mTokens, b.CacheWrite30mTokens, b.CacheWrite1hTokens)
	if least < 0 || b.TotalInput() == 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return b
}

// StopReason translates a stop reason of the Messages API into that of
// Converse; one that means nothing else passes through.
func StopReason(reason string) bedrockkit.StopReason {
	if reason == "refusal" {
		return bedrockkit.StopContentFiltered
	}
	return bedrockkit.StopReason(reason)
}

// MaxOutputTokens is MaxTokens.
func (r Request) MaxOutputTokens() int { return r.MaxTokens }

// Continued is the request for the rest of an answer that begins with soFar,
// which the assistant is made to have said. Models that take no such beginning
// refuse it.
func (r Request) Continued(soFar string) Request {
	r.Messages = slices.Clone(r.Messages)
	n := len(r.Messages) - 1
	if n < 0 || r.Messages[n].Role != "assistant" {
		r.Messages = append(r.Messages, Assistant(soFar))
		return r
	}
	// The request has begun the answer itself.
	content := slices.Clone(r.Messages[n].Content)
	if last := len(content) - 1; last >= 0 && content[last].Type == "text" {
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

// AppendInvoke appends what EncodeInvoke returns to a buffer, which can be used for
// many requests. After an error the buffer is returned as it was.
func (r Request) AppendInvoke(dst []byte, model bedrockkit.ModelID) ([]byte, error) {
	if err := messages.Check(model); err != nil {
		return dst, err
	}
	if err := r.check(); err != nil {
		return dst, err
	}
	if r.AnthropicVersion == "" {
		r.AnthropicVersion = Version
	}
	if body, ok := r.appendPlain(dst); ok {
		return body, nil
	}
	body, err := r.marshal()
	if err != nil {
		return dst, err
	}
	return append(dst, body...), nil
}

// DecodeInvoke reads the body of a response.
func (r Request) DecodeInvoke(body json.RawMessage) (Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp Response
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if resp.StopReason == "" && len(resp.Content) == 0 {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("the response is no message: it has neither content nor a stop reason")
	}
	return resp, resp.Usage.Buckets(), StopReason(resp.StopReason), nil
}
