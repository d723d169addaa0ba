package telemetry

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A message of the conventions: gen_ai.input.messages and gen_ai.output.messages
// are lists of them, gen_ai.system_instructions is a list of parts
// (open-telemetry/semantic-conventions, docs/gen-ai, gen-ai-input-messages.json).
type message struct {
	Role         string `json:"role"`
	Parts        []any  `json:"parts"`
	FinishReason string `json:"finish_reason,omitempty"` // of an output message
}

type textPart struct {
	Type    string `json:"type"` // "text" or "reasoning"
	Content string `json:"content"`
}

type callPart struct {
	Type      string          `json:"type"` // "tool_call"
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

type responsePart struct {
	Type     string `json:"type"` // "tool_call_response"
	ID       string `json:"id,omitempty"`
	Response any    `json:"response"`
}

type uriPart struct {
	Type     string `json:"type"` // "uri"
	Modality string `json:"modality"`
	URI      string `json:"uri"`
}

// otherPart stands for what a span should not hold, such as the bytes of a
// picture.
type otherPart struct {
	Type  string `json:"type"`
	Name  string `json:"name,omitempty"`
	Bytes int    `json:"bytes,omitempty"`
}

// input is what CaptureInput asks for: the messages and the system prompt of a
// Converse body, or of one of Anthropic's, Amazon's or OpenAI's form.
func (i *instruments) input(call *bedrockx.Call) []attribute.KeyValue {
	var body struct {
		Messages []struct {
			Role       string          `json:"role"`
			Content    json.RawMessage `json:"content"`
			ToolCalls  json.RawMessage `json:"tool_calls"`
			ToolCallID string          `json:"tool_call_id"`
		} `json:"messages"`
		System json.RawMessage `json:"system"`
	}
	if json.Unmarshal(call.Body, &body) != nil {
		return nil
	}
	var attrs []attribute.KeyValue
	var messages []message
	for _, m := range body.Messages {
		parts := parts(m.Content)
		if m.Role == "tool" {
			parts = []any{responsePart{"tool_call_response", m.ToolCallID, m.Content}}
		}
		messages = append(messages, message{Role: m.Role, Parts: append(parts, toolCalls(m.ToolCalls)...)})
	}
	if len(messages) > 0 {
		kept, dropped := newest(messages, i.o.MaxInput)
		if len(kept) > 0 {
			attrs = append(attrs, encoded("gen_ai.input.messages", kept))
		}
		if dropped > 0 {
			attrs = append(attrs, attribute.Int("bedrockkit.input.messages.dropped", dropped))
		}
	}
	if system := parts(body.System); len(system) > 0 && size(system) <= i.o.MaxInput {
		attrs = append(attrs, encoded("gen_ai.system_instructions", system))
	}
	return attrs
}

// output is what CaptureOutput asks for.
func output(text string, reason bedrockkit.StopReason) attribute.KeyValue {
	return encoded("gen_ai.output.messages", []message{{Role: "assistant", Parts: []any{textPart{"text", text}}, FinishReason: finishReason(reason)}})
}

// finishReason is a stop reason by the name of the conventions, if they have one.
func finishReason(reason bedrockkit.StopReason) string {
	switch reason {
	case bedrockkit.StopEndTurn, bedrockkit.StopSequence:
		return "stop"
	case bedrockkit.StopMaxTokens, bedrockkit.StopContextWindowExceeded:
		return "length"
	case bedrockkit.StopToolUse:
		return "tool_call"
	case bedrockkit.StopGuardrailIntervened, bedrockkit.StopContentFiltered:
		return "content_filter"
	case "":
		return "error"
	}
	return string(reason)
}

// newest keeps the last messages that fit into a number of bytes, each of them
// whole.
func newest(messages []message, most int) (kept []message, dropped int) {
	at, total := len(messages), 2
	for at > 0 {
		if total += size(messages[at-1]) + 1; total > most {
			break
		}
		at--
	}
	return messages[at:], at
}

func size(v any) int {
	data, err := json.Marshal(v)
	if err != nil {
		return 0
	}
	return len(data)
}

func encoded(name string, v any) attribute.KeyValue {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte("[]")
	}
	return attribute.String(name, string(data))
}

// parts are the parts of a content: a text, or a list of blocks.
func parts(content json.RawMessage) []any {
	var text *string
	if json.Unmarshal(content, &text) == nil && text != nil {
		return []any{textPart{"text", *text}}
	}
	var blocks []map[string]json.RawMessage
	_ = json.Unmarshal(content, &blocks)
	list := make([]any, 0, len(blocks)) // the conventions want a list
	for _, block := range blocks {
		list = append(list, part(block))
	}
	return list
}

// part is a block as a part. Converse names a block by its only member,
// Anthropic and OpenAI by a type.
func part(block map[string]json.RawMessage) any {
	var kind string
	if json.Unmarshal(block["type"], &kind) != nil {
		for name, inner := range block {
			if name == "text" {
				kind = name
				break
			}
			kind = name
			var members map[string]json.RawMessage
			if json.Unmarshal(inner, &members) == nil {
				block = members
			}
		}
	}
	switch kind {
	case "text":
		return textPart{"text", str(block, "text")}
	case "guardContent":
		var inner map[string]json.RawMessage
		if json.Unmarshal(block["text"], &inner) == nil {
			return textPart{"text", str(inner, "text")}
		}
		return otherPart{Type: "image"}
	case "citationsContent":
		var text strings.Builder
		for _, p := range parts(block["content"]) {
			if t, ok := p.(textPart); ok {
				text.WriteString(t.Content)
			}
		}
		return textPart{"text", text.String()}
	case "reasoningContent", "thinking":
		text := str(block, "thinking")
		var inner map[string]json.RawMessage
		if json.Unmarshal(block["reasoningText"], &inner) == nil {
			text = str(inner, "text")
		}
		return textPart{"reasoning", text}
	case "toolUse", "tool_use":
		return callPart{"tool_call", str(block, "toolUseId") + str(block, "id"), str(block, "name"), block["input"]}
	case "toolResult", "tool_result":
		return responsePart{"tool_call_response", str(block, "toolUseId") + str(block, "tool_use_id"), response(block["content"])}
	case "image", "document", "video", "audio", "image_url":
		return media(kind, block)
	}
	return otherPart{Type: kind}
}

// response is the content of a result. What is not text is a part in it.
func response(content json.RawMessage) any {
	list := parts(content)
	if len(list) == 1 {
		if text, ok := list[0].(textPart); ok {
			return text.Content
		}
	}
	return list
}

// media is a picture, a document or a recording: where it lies, or its size.
func media(kind string, block map[string]json.RawMessage) any {
	var source struct {
		Bytes string `json:"bytes"`
		Data  string `json:"data"`
		URL   string `json:"url"`
		S3    struct {
			URI string `json:"uri"`
		} `json:"s3Location"`
	}
	_ = json.Unmarshal(block["source"], &source)
	if kind == "image_url" {
		kind = "image"
		_ = json.Unmarshal(block["image_url"], &source)
	}
	uri := source.S3.URI
	if uri == "" && !strings.HasPrefix(source.URL, "data:") {
		uri = source.URL
	}
	if uri != "" {
		return uriPart{"uri", kind, uri}
	}
	return otherPart{Type: kind, Name: str(block, "name"), Bytes: base64.StdEncoding.DecodedLen(len(source.Bytes + source.Data + source.URL))}
}

// toolCalls are the calls of a message in OpenAI's form.
func toolCalls(raw json.RawMessage) []any {
	var calls []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	}
	_ = json.Unmarshal(raw, &calls)
	var list []any
	for _, c := range calls {
		arguments := json.RawMessage(c.Function.Arguments)
		if !json.Valid(arguments) {
			arguments, _ = json.Marshal(c.Function.Arguments)
		}
		list = append(list, callPart{"tool_call", c.ID, c.Function.Name, arguments})
	}
	return list
}

func str(block map[string]json.RawMessage, name string) string {
	var s string
	_ = json.Unmarshal(block[name], &s)
	return s
}

// guardrailID is the guardrail of a Converse request, "" if it has none.
func guardrailID(call *bedrockx.Call) string {
	if !strings.Contains(string(call.Body), `"guardrailConfig"`) {
		return ""
	}
	var body struct {
		Config struct {
			ID string `json:"guardrailIdentifier"`
		} `json:"guardrailConfig"`
	}
	_ = json.Unmarshal(call.Body, &body)
	return body.Config.ID
}
