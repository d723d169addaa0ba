package bedrocktest

import (
	"encoding/json"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// OpenAI's Chat Completions, which most open models take (gpt-oss, Qwen,
// DeepSeek V3, GLM, Kimi…), and Mistral's chat completion, which is nearly the
// same. Sources: "OpenAI models" and "Mistral AI chat completion", inference
// parameters, Bedrock User Guide; OpenAI's API reference, Chat Completions.

type openAI struct{}

type openAICall struct {
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type openAIRequest struct {
	Messages []struct {
		Role       string          `json:"role"`
		Content    json.RawMessage `json:"content"` // a string or parts
		ToolCalls  []openAICall    `json:"tool_calls"`
		ToolCallID string          `json:"tool_call_id"`
	} `json:"messages"`
	Tools []struct {
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	MaxTokens           *int64          `json:"max_tokens"`
	MaxCompletionTokens *int64          `json:"max_completion_tokens"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	Stop                json.RawMessage `json:"stop"` // a string or a list
	ResponseFormat      struct {
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

func (openAI) read(req *Request) *Reply {
	var body openAIRequest
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	req.Temperature, req.TopP, req.Thinking = body.Temperature, body.TopP, readThinking(req.Body)
	req.OutputSchema = body.ResponseFormat.JSONSchema.Schema
	for _, most := range []struct {
		field string
		n     *int64
	}{{"max_tokens", body.MaxTokens}, {"max_completion_tokens", body.MaxCompletionTokens}} {
		if most.n == nil {
			continue
		}
		if *most.n < 1 {
			return invalid("Malformed input request: #/%s: %d is not greater or equal to 1, please reformat your input and try again.", most.field, *most.n)
		}
		req.MaxTokens = *most.n
	}
	if req.StopSequences = texts(body.Stop); body.Stop != nil && req.StopSequences == nil && string(body.Stop) != "null" {
		return invalid(malformed)
	}
	if len(body.Messages) == 0 {
		return invalid("Malformed input request: #/messages: expected minimum item count: 1, found: 0, please reformat your input and try again.")
	}
	if r := body.readMessages(req); r != nil {
		return r
	}
	for _, t := range body.Tools {
		tool := Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters}
		req.Tools = append(req.Tools, tool)
	}
	req.ToolChoice = body.choice()
	return nil
}

// texts are what a string or a list of strings holds, or nil.
func texts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

func (body *openAIRequest) readMessages(req *Request) *Reply {
	for i, m := range body.Messages {
		blocks, err := anthropicBlocks(m.Content)
		if err != nil {
			return invalid(malformed)
		}
		message := Message{Role: m.Role}
		for _, b := range blocks {
			if b.Type == "text" {
				message.Blocks = append(message.Blocks, Block{Text: b.Text})
			} else {
				message.Blocks = append(message.Blocks, Block{Raw: m.Content})
			}
		}
		switch m.Role {
		case "system", "developer":
			req.System = append(req.System, message.Text())
			continue
		case "tool":
			result := Block{ToolResult: &ToolResult{ID: m.ToolCallID, Content: message.Blocks}}
			// The results of one turn are one message here.
			if n := len(req.Messages); n > 0 && len(req.Messages[n-1].Blocks) > 0 && req.Messages[n-1].Blocks[0].ToolResult != nil {
				req.Messages[n-1].Blocks = append(req.Messages[n-1].Blocks, result)
				continue
			}
			message = Message{Role: "user", Blocks: []Block{result}}
		case "assistant":
			for _, call := range m.ToolCalls {
				message.Blocks = append(message.Blocks, Block{ToolUse: &ToolCall{ID: call.ID, Name: call.Function.Name, Input: json.RawMessage(call.Function.Arguments)}})
			}
		case "user":
		default:
			return invalid("Malformed input request: #/messages/%d/role: %s is not a valid enum value, please reformat your input and try again.", i, m.Role)
		}
		req.Messages = append(req.Messages, message)
	}
	return nil
}

// choice is the tool choice: a word, or an object that names a function. What
// OpenAI calls "required" is "any" with Mistral and here.
func (body *openAIRequest) choice() (c ToolChoice) {
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	switch {
	case json.Unmarshal(body.ToolChoice, &c.Mode) == nil:
		if c.Mode == "required" {
			c.Mode = "any"
		}
	case json.Unmarshal(body.ToolChoice, &named) == nil && named.Function.Name != "":
		c = ToolChoice{Mode: "tool", Name: named.Function.Name}
	}
	return c
}

func (openAI) reason(a *answer) string {
	switch a.stop {
	case bedrockkit.StopToolUse:
		return "tool_calls"
	case bedrockkit.StopContentFiltered:
		return "content_filter"
	}
	return stopOrLength(a)
}

// inlineReasoning reports whether the model's reasoning stands in its text, in
// tags: that of gpt-oss does. The others have a field for it.
func inlineReasoning(a *answer) bool {
	return strings.HasPrefix(string(a.req.Model.Base()), "openai.gpt-oss")
}

const (
	reasoningBegin = "<reasoning>"
	reasoningEnd   = "</reasoning>"
)

// openAICreated is the time of all answers: the same requests give the same
// bytes.
const openAICreated = 1_767_225_600

func (f openAI) head(a *answer, kind string) object {
	return object{"id": "chatcmpl-" + a.id, "object": kind, "created": openAICreated, "model": a.req.Model.Base(), "service_tier": "default"}
}

// usage counts cached tokens within the prompt's, as OpenAI does.
func (openAI) usage(a *answer) object {
	var reasoning int64
	for _, b := range a.blocks {
		if b.Reasoning != nil {
			reasoning += blockTokens(b)
		}
	}
	return object{
		"prompt_tokens": a.usage.TotalInput(), "completion_tokens": a.usage.OutputTokens, "total_tokens": a.usage.Total(),
		"prompt_tokens_details":     object{"cached_tokens": a.usage.CacheReadTokens},
		"completion_tokens_details": object{"reasoning_tokens": reasoning},
	}
}

func (f openAI) body(a *answer) []byte {
	content, _ := a.text()
	message := object{"role": "assistant", "refusal": nil}
	reasoning := ""
	var calls []object
	for _, b := range a.blocks {
		switch {
		case b.Reasoning != nil:
			reasoning += b.Reasoning.Text
		case b.ToolUse != nil:
			calls = append(calls, openAIToolCall(b.ToolUse, string(b.ToolUse.input())))
		}
	}
	switch {
	case reasoning == "":
	case inlineReasoning(a):
		content = reasoningBegin + reasoning + reasoningEnd + content
	default:
		message["reasoning_content"] = reasoning
	}
	message["content"] = content
	if calls != nil {
		message["tool_calls"] = calls
		if content == "" {
			message["content"] = nil
		}
	}
	v := f.head(a, "chat.completion")
	v["choices"] = []object{{"index": 0, "message": message, "logprobs": nil, "finish_reason": f.reason(a)}}
	v["usage"] = f.usage(a)
	return marshal(v)
}

func openAIToolCall(call *ToolCall, arguments string) object {
	return object{"id": call.ID, "type": "function", "function": object{"name": call.Name, "arguments": arguments}}
}

func (f openAI) frames(a *answer) []Frame {
	var frames []Frame
	chunk := func(delta object, reason any, tokens int64) {
		v := f.head(a, "chat.completion.chunk")
		v["choices"] = []object{{"index": 0, "delta": delta, "finish_reason": reason}}
		frames = append(frames, Frame{Type: "choices", Payload: marshal(v), Tokens: tokens})
	}
	content := func(piece string) { chunk(object{"content": piece}, nil, CountTokens(piece)) }
	chunk(object{"role": "assistant", "content": ""}, nil, 0)
	call := 0
	for _, b := range a.blocks {
		switch {
		case b.Reasoning != nil && inlineReasoning(a):
			content(reasoningBegin)
			for _, p := range b.pieces {
				content(p)
			}
			content(reasoningEnd)
		case b.Reasoning != nil:
			for _, p := range b.pieces {
				chunk(object{"reasoning_content": p}, nil, CountTokens(p))
			}
		case b.ToolUse != nil:
			first := openAIToolCall(b.ToolUse, "")
			first["index"] = call
			chunk(object{"tool_calls": []object{first}}, nil, 0)
			for _, p := range b.pieces {
				chunk(object{"tool_calls": []object{{"index": call, "function": object{"arguments": p}}}}, nil, CountTokens(p))
			}
			call++
		case b.isText():
			for _, p := range b.pieces {
				content(p)
			}
		}
	}
	chunk(object{}, f.reason(a), 0)
	last := f.head(a, "chat.completion.chunk")
	last["choices"], last["usage"] = []object{}, f.usage(a)
	last["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
	return append(frames, Frame{Type: "usage", Payload: marshal(last)})
}

// mistralChat reads what openAI reads. Reasoning cannot be said in its answers
// and is left out.
type mistralChat struct{ openAI }

// older reports whether the model's words are those of Mistral Large 24.02 and
// 24.07; the later ones say the same as OpenAI's chat completion.
func (mistralChat) older(a *answer) bool {
	return strings.Contains(string(a.req.Model), "mistral-large-24")
}

func (f mistralChat) choice(a *answer, key string, message object, reason any) []object {
	word := "finish_reason"
	if f.older(a) {
		word, key = "stop_reason", "message"
	}
	return []object{{"index": 0, key: message, word: reason}}
}

func (mistralChat) calls(a *answer) (calls []object) {
	for _, b := range a.blocks {
		if b.ToolUse != nil {
			calls = append(calls, object{"id": b.ToolUse.ID, "index": len(calls), "function": object{"name": b.ToolUse.Name, "arguments": string(b.ToolUse.input())}})
		}
	}
	return calls
}

func (f mistralChat) withUsage(a *answer, v object) object {
	if !f.older(a) {
		v["usage"] = object{"prompt_tokens": a.usage.TotalInput(), "completion_tokens": a.usage.OutputTokens, "total_tokens": a.usage.Total()}
	}
	return v
}

func (f mistralChat) body(a *answer) []byte {
	text, _ := a.text()
	message := object{"role": "assistant", "content": text}
	if calls := f.calls(a); calls != nil {
		message["tool_calls"] = calls
	}
	return marshal(f.withUsage(a, object{"id": a.id, "object": "chat.completion", "model": a.req.Model.Base(), "choices": f.choice(a, "message", message, f.reason(a))}))
}

func (f mistralChat) frames(a *answer) []Frame {
	var frames []Frame
	chunk := func(message object, reason any) object {
		return object{"id": a.id, "object": "chat.completion.chunk", "model": a.req.Model.Base(), "choices": f.choice(a, "delta", message, reason)}
	}
	_, pieces := a.text()
	for _, p := range pieces {
		frames = append(frames, Frame{Type: "choices", Payload: marshal(chunk(object{"role": "assistant", "content": p}, nil)), Tokens: CountTokens(p)})
	}
	message := object{"role": "assistant", "content": ""}
	if calls := f.calls(a); calls != nil {
		message["tool_calls"] = calls
	}
	last := f.withUsage(a, chunk(message, f.reason(a)))
	last["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
	return append(frames, Frame{Type: "choices", Payload: marshal(last)})
}
