package bedrocktest

import (
	"encoding/json"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// The families whose models take a chat in their provider's own words: Cohere's
// Command R and Mistral's chat completion. Reasoning cannot be said in them and
// is left out. Source: "Cohere Command R and Command R+ models" and "Mistral AI
// chat completion", inference parameters, Bedrock User Guide.

type cohereChat struct{}

type cohereCall struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
}

func (cohereChat) read(req *Request) *Reply {
	var body struct {
		Message     string `json:"message"`
		Preamble    string `json:"preamble"`
		ChatHistory []struct {
			Role      string       `json:"role"`
			Message   string       `json:"message"`
			ToolCalls []cohereCall `json:"tool_calls"`
		} `json:"chat_history"`
		Tools []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
			Parameters  map[string]struct {
				Type        string `json:"type"`
				Description string `json:"description"`
				Required    bool   `json:"required"`
			} `json:"parameter_definitions"`
		} `json:"tools"`
		ToolResults []struct {
			Call    cohereCall      `json:"call"`
			Outputs json.RawMessage `json:"outputs"`
		} `json:"tool_results"`
		MaxTokens     *int64   `json:"max_tokens"`
		Temperature   *float64 `json:"temperature"`
		P             *float64 `json:"p"`
		StopSequences []string `json:"stop_sequences"`
	}
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	req.StopSequences, req.Temperature, req.TopP = body.StopSequences, body.Temperature, body.P
	message := body.Message
	if len(body.ToolResults) > 0 && message == "" {
		message = "results" // which need none
	}
	if r := checkPrompt(req, "message", message, "max_tokens", body.MaxTokens); r != nil {
		return r
	}
	req.Messages = nil
	if body.Preamble != "" {
		req.System = []string{body.Preamble}
	}
	for _, m := range body.ChatHistory {
		message := Message{Role: "user", Blocks: []Block{{Text: m.Message}}}
		if m.Role == "CHATBOT" {
			message.Role = "assistant"
		}
		for _, call := range m.ToolCalls {
			message.Blocks = append(message.Blocks, Block{ToolUse: &ToolCall{ID: call.Name, Name: call.Name, Input: call.Parameters}})
		}
		req.Messages = append(req.Messages, message)
	}
	last := Message{Role: "user"}
	if body.Message != "" {
		last.Blocks = append(last.Blocks, Block{Text: body.Message})
	}
	for _, result := range body.ToolResults {
		last.Blocks = append(last.Blocks, Block{ToolResult: &ToolResult{ID: result.Call.Name, Content: []Block{{Text: string(result.Outputs)}}}})
	}
	req.Messages = append(req.Messages, last)
	types := map[string]string{"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
	for _, t := range body.Tools {
		properties, required := object{}, []string{}
		for name, p := range t.Parameters {
			property := object{"description": p.Description}
			if typ, ok := types[p.Type]; ok {
				property["type"] = typ
			}
			properties[name] = property
			if p.Required {
				required = append(required, name)
			}
		}
		schema := marshal(object{"type": "object", "properties": properties, "required": required})
		req.Tools = append(req.Tools, Tool{Name: t.Name, Description: t.Description, Schema: schema})
	}
	return nil
}

func (cohereChat) reason(a *answer) string {
	switch {
	case a.length():
		return "MAX_TOKENS"
	case a.stop == bedrockkit.StopSequence:
		return "STOP_SEQUENCE"
	case a.stop == bedrockkit.StopContentFiltered:
		return "ERROR_TOXIC"
	}
	return "COMPLETE"
}

func (f cohereChat) response(a *answer) object {
	text, _ := a.text()
	v := object{"response_id": identifier(36, "response", a.id), "generation_id": identifier(36, "generation", a.id), "text": text, "finish_reason": f.reason(a)}
	if calls := f.calls(a); calls != nil {
		v["tool_calls"] = calls
	}
	return v
}

func (cohereChat) calls(a *answer) (calls []cohereCall) {
	for _, b := range a.blocks {
		if b.ToolUse != nil {
			calls = append(calls, cohereCall{b.ToolUse.Name, b.ToolUse.input()})
		}
	}
	return calls
}

func (f cohereChat) body(a *answer) []byte { return marshal(f.response(a)) }

func (f cohereChat) frames(a *answer) []Frame {
	frames := []Frame{{Type: "stream-start", Payload: marshal(object{"event_type": "stream-start", "is_finished": false, "generation_id": identifier(36, "generation", a.id)})}}
	_, pieces := a.text()
	for _, p := range pieces {
		frames = append(frames, Frame{Type: "text-generation", Payload: marshal(object{"event_type": "text-generation", "is_finished": false, "text": p}), Tokens: CountTokens(p)})
	}
	if calls := f.calls(a); calls != nil {
		frames = append(frames, Frame{Type: "tool-calls-generation", Payload: marshal(object{"event_type": "tool-calls-generation", "is_finished": false, "tool_calls": calls})})
	}
	return append(frames, Frame{Type: "stream-end", Payload: marshal(object{
		"event_type": "stream-end", "is_finished": true, "finish_reason": f.reason(a), "response": f.response(a),
		"amazon-bedrock-invocationMetrics": a.invocationMetrics(),
	})})
}

type mistralChat struct{}

type mistralCall struct {
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func (mistralChat) read(req *Request) *Reply {
	var body struct {
		Messages []struct {
			Role       string          `json:"role"`
			Content    json.RawMessage `json:"content"` // a string or parts
			ToolCalls  []mistralCall   `json:"tool_calls"`
			ToolCallID string          `json:"tool_call_id"`
		} `json:"messages"`
		Tools []struct {
			Function struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
		ToolChoice  any      `json:"tool_choice"`
		MaxTokens   *int64   `json:"max_tokens"`
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"top_p"`
	}
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	req.Temperature, req.TopP = body.Temperature, body.TopP
	if n := body.MaxTokens; n != nil {
		if *n < 1 {
			return invalid("Malformed input request: #/max_tokens: %d is not greater or equal to 1, please reformat your input and try again.", *n)
		}
		req.MaxTokens = *n
	}
	if len(body.Messages) == 0 {
		return invalid("Malformed input request: #/messages: expected minimum item count: 1, found: 0, please reformat your input and try again.")
	}
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
		case "system":
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
	for _, t := range body.Tools {
		req.Tools = append(req.Tools, Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters})
	}
	if mode, ok := body.ToolChoice.(string); ok {
		req.ToolChoice.Mode = mode
	}
	return nil
}

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

func (mistralChat) reason(a *answer) string {
	if a.stop == bedrockkit.StopToolUse {
		return "tool_calls"
	}
	return stopOrLength(a)
}

func (mistralChat) calls(a *answer) (calls []object) {
	for _, b := range a.blocks {
		if b.ToolUse != nil {
			calls = append(calls, object{"id": b.ToolUse.ID, "index": len(calls), "function": object{"name": b.ToolUse.Name, "arguments": string(b.ToolUse.input())}})
		}
	}
	return calls
}

func (f mistralChat) usage(a *answer, v object) object {
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
	return marshal(f.usage(a, object{"id": a.id, "object": "chat.completion", "model": a.req.Model.Base(), "choices": f.choice(a, "message", message, f.reason(a))}))
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
	last := f.usage(a, chunk(message, f.reason(a)))
	last["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
	return append(frames, Frame{Type: "choices", Payload: marshal(last)})
}
