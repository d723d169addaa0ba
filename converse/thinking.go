package converse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// minThinking is the smallest budget (Amazon Bedrock User Guide, "Extended
// thinking").
const minThinking = 1024

// additionalFields are those of the request with its thinking.
func (r *Request) additionalFields() json.RawMessage {
	if r.Thinking == 0 {
		return r.AdditionalFields
	}
	b := fmt.Appendf(nil, `{"thinking":{"type":"enabled","budget_tokens":%d}`, r.Thinking)
	rest := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.AdditionalFields), []byte{'{'}))
	if len(rest) == 0 || rest[0] == '}' {
		return append(b, '}')
	}
	return append(append(b, ','), rest...)
}

// thinking finds what a model that thinks would refuse.
func (c *checker) thinking() {
	r := c.request
	if r.Thinking == 0 {
		return
	}
	const path = "additionalModelRequestFields.thinking.budget_tokens"
	if provider, _, found := strings.Cut(string(r.Model.Base()), "."); found && provider != "anthropic" {
		c.add(path, "it is for models of Anthropic; others have parameters of their own, as additional fields")
	}
	if r.Thinking < minThinking {
		c.add(path, "it is %d; it must be at least %d", r.Thinking, minThinking)
	}
	if r.MaxTokens != 0 && r.MaxTokens <= r.Thinking {
		c.add(path, "it is %d, and maxTokens, which has to hold the answer as well, is %d", r.Thinking, r.MaxTokens)
	}
	if t := r.Temperature; t != nil && *t != 1 {
		c.add("inferenceConfig.temperature", "it is %v; a model that thinks takes none but 1", *t)
	}
	if p := r.TopP; p != nil && *p < 0.95 {
		c.add("inferenceConfig.topP", "it is %v; a model that thinks takes 0.95 and more", *p)
	}
	if r.ToolChoice != (ToolChoice{}) {
		c.add("toolConfig.toolChoice", "a model that thinks cannot be made to call a tool")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(r.AdditionalFields, &fields) == nil && fields["thinking"] != nil {
		c.add(path, "the additional fields have a thinking of their own")
	}
}
