package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// Response is the body of a response.
type Response struct {
	ID          string   `json:"id,omitempty"`
	Object      string   `json:"object,omitempty"`  // "chat.completion"
	Created     int64    `json:"created,omitempty"` // Unix time in seconds
	Model       string   `json:"model,omitempty"`
	Choices     []Choice `json:"choices"`
	Usage       *Usage   `json:"usage,omitempty"` // nil if the model does not give it
	ServiceTier string   `json:"service_tier,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Choice is one answer; a response has one.
type Choice struct {
	Index        int             `json:"index"`
	Message      Message         `json:"message"`
	FinishReason string          `json:"finish_reason"` // "stop", "length", "tool_calls"…; see [StopReason]
	Logprobs     json.RawMessage `json:"logprobs,omitempty"`
}

// Usage is the usage of a body. Most models count what was read from and
// written to the prompt cache within the tokens of the prompt.
type Usage struct {
	PromptTokens      *int64             `json:"prompt_tokens"`
	CompletionTokens  *int64             `json:"completion_tokens"` // reasoning included
	TotalTokens       *int64             `json:"total_tokens,omitempty"`
	PromptDetails     *PromptDetails     `json:"prompt_tokens_details,omitempty"`
	CompletionDetails *CompletionDetails `json:"completion_tokens_details,omitempty"`
}

// PromptDetails are the tokens of a prompt that concern the prompt cache.
type PromptDetails struct {
	CachedTokens     int64 `json:"cached_tokens"` // read from it
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
}

// CompletionDetails are parts of the completion's tokens.
type CompletionDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// Buckets is the usage in the disjoint buckets of this module, unknown if the
// body does not give it. The total says whether the prompt's tokens include
// those of the cache. Cache writes count as written for five minutes: the body
// gives no TTL.
func (u Usage) Buckets() bedrockkit.Usage {
	var d PromptDetails
	if u.PromptDetails != nil {
		d = *u.PromptDetails
	}
	return family.PromptUsage(u.PromptTokens, u.CompletionTokens, u.TotalTokens, d.CachedTokens, d.CacheWriteTokens)
}

// StopReason translates a finish reason into a stop reason of Converse; one that
// means nothing else passes through.
func StopReason(reason string) bedrockkit.StopReason {
	switch reason {
	case "stop":
		return bedrockkit.StopEndTurn
	case "length":
		return bedrockkit.StopMaxTokens
	case "tool_calls", "function_call":
		return bedrockkit.StopToolUse
	case "content_filter":
		return bedrockkit.StopContentFiltered
	}
	return bedrockkit.StopReason(reason)
}

// The tags in which gpt-oss puts its reasoning, at the beginning of the text.
// Source: "OpenAI models", inference parameters, Bedrock User Guide.
const (
	reasoningBegin = "<reasoning>"
	reasoningEnd   = "</reasoning>"
)

// cut takes the reasoning in tags from a text.
func cut(text string) (reasoning, rest string) {
	if inner, ok := strings.CutPrefix(text, reasoningBegin); ok {
		if reasoning, rest, ok = strings.Cut(inner, reasoningEnd); ok {
			return reasoning, rest
		}
		return inner, "" // it was cut off while it thought
	}
	return "", text
}

// Text is the text of the answer, without reasoning.
func (r Response) Text() string {
	if len(r.Choices) == 0 {
		return ""
	}
	_, text := cut(r.Choices[0].Message.Content.Text())
	return text
}

// Reasoning is what the model has thought, as far as it shows it.
func (r Response) Reasoning() string {
	if len(r.Choices) == 0 {
		return ""
	}
	m := r.Choices[0].Message
	tagged, _ := cut(m.Content.Text())
	return m.ReasoningContent + m.Reasoning + tagged
}

// Message is the response as the turn of a conversation that goes on: without
// its reasoning, which the models do not take back.
func (r Response) Message() Message {
	m := Message{Role: "assistant"}
	if text := r.Text(); text != "" {
		m.Content = Text(text)
	}
	if len(r.Choices) > 0 {
		m.ToolCalls = r.Choices[0].Message.ToolCalls
	}
	return m
}

// DecodeInvoke reads the body of a response.
func (r Request) DecodeInvoke(body json.RawMessage) (Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp Response
	usage := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, usage, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Choices) == 0 {
		return resp, usage, "", errors.New("the response has no choices")
	}
	if resp.Usage != nil {
		usage = resp.Usage.Buckets()
	}
	return resp, usage, StopReason(resp.Choices[0].FinishReason), nil
}

type plainResponse Response

// MarshalJSON writes the body as it came, but for fields that are null.
func (r Response) MarshalJSON() ([]byte, error) { return family.Marshal(plainResponse(r), r.Extra) }

// UnmarshalJSON reads a body.
func (r *Response) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainResponse)(r))
	return err
}
