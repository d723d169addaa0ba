package bedrocktest

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
)

// The chat of Cohere's Command R. Reasoning cannot be said in it and is left out.
// Source: "Cohere Command R and Command R+ models", inference parameters, Bedrock
// User Guide.

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
