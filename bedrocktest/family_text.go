package bedrocktest

import (
	"encoding/json"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// The families whose models take one prompt and give one text: Titan Text,
// Llama and Mistral. Tool calls and reasoning cannot be said in their bodies
// and are left out. Source: "Inference request parameters and response fields
// for foundation models", Bedrock User Guide.

// prompt makes a conversation of one.
func (c *Conversation) prompt(text string) {
	c.Messages = []Message{{Role: "user", Blocks: []Block{{Text: text}}}}
}

// text is the answer's text with the pieces that a stream sends.
func (a *answer) text() (whole string, pieces []string) {
	for _, b := range a.blocks {
		if b.isText() {
			whole += b.Text
			pieces = append(pieces, b.pieces...)
		}
	}
	return whole, pieces
}

func (a *answer) length() bool { return a.stop == bedrockkit.StopMaxTokens }

const malformed = "Malformed input request, please reformat your input and try again."

func checkPrompt(req *Request, field, prompt string, maxField string, maxTokens *int64) *Reply {
	switch {
	case prompt == "":
		return invalid("Malformed input request: #: required key [%s] not found, please reformat your input and try again.", field)
	case strings.TrimSpace(prompt) == "":
		return invalid("Malformed input request: #/%s: expected minLength: 1, please reformat your input and try again.", field)
	case maxTokens != nil && *maxTokens < 1:
		return invalid("Malformed input request: #/%s: %d is not greater or equal to 1, please reformat your input and try again.", maxField, *maxTokens)
	case maxTokens != nil:
		req.MaxTokens = *maxTokens
	}
	req.prompt(prompt)
	return nil
}

type titanText struct{}

func (titanText) read(req *Request) *Reply {
	var body struct {
		InputText string `json:"inputText"`
		Config    struct {
			MaxTokenCount *int64   `json:"maxTokenCount"`
			StopSequences []string `json:"stopSequences"`
			Temperature   *float64 `json:"temperature"`
			TopP          *float64 `json:"topP"`
		} `json:"textGenerationConfig"`
	}
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	req.StopSequences, req.Temperature, req.TopP = body.Config.StopSequences, body.Config.Temperature, body.Config.TopP
	return checkPrompt(req, "inputText", body.InputText, "textGenerationConfig/maxTokenCount", body.Config.MaxTokenCount)
}

func (titanText) reason(a *answer) string {
	switch {
	case a.length():
		return "LENGTH"
	case a.stop == bedrockkit.StopSequence:
		return "STOP_CRITERIA_MET"
	case a.stop == bedrockkit.StopContentFiltered:
		return "CONTENT_FILTERED"
	}
	return "FINISH"
}

func (f titanText) body(a *answer) []byte {
	text, _ := a.text()
	return marshal(object{
		"inputTextTokenCount": a.usage.TotalInput(),
		"results":             []object{{"tokenCount": a.usage.OutputTokens, "outputText": text, "completionReason": f.reason(a)}},
	})
}

func (f titanText) frames(a *answer) []Frame {
	_, pieces := a.text()
	if len(pieces) == 0 {
		pieces = []string{""}
	}
	var frames []Frame
	for i, p := range pieces {
		v := object{"outputText": p, "index": 0, "totalOutputTextTokenCount": nil, "completionReason": nil, "inputTextTokenCount": nil}
		if i == 0 {
			v["inputTextTokenCount"] = a.usage.TotalInput()
		}
		if i == len(pieces)-1 {
			v["totalOutputTextTokenCount"], v["completionReason"] = a.usage.OutputTokens, f.reason(a)
			v["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
		}
		frames = append(frames, Frame{Type: "outputText", Payload: marshal(v), Tokens: CountTokens(p)})
	}
	return frames
}

type llama struct{}

func (llama) read(req *Request) *Reply {
	var body struct {
		Prompt      string   `json:"prompt"`
		MaxGenLen   *int64   `json:"max_gen_len"`
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"top_p"`
	}
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	req.Temperature, req.TopP = body.Temperature, body.TopP
	return checkPrompt(req, "prompt", body.Prompt, "max_gen_len", body.MaxGenLen)
}

func stopOrLength(a *answer) string {
	if a.length() {
		return "length"
	}
	return "stop"
}

func (llama) body(a *answer) []byte {
	text, _ := a.text()
	return marshal(object{
		"generation": text, "prompt_token_count": a.usage.TotalInput(),
		"generation_token_count": a.usage.OutputTokens, "stop_reason": stopOrLength(a),
	})
}

func (llama) frames(a *answer) []Frame {
	_, pieces := a.text()
	var frames []Frame
	var n int64
	add := func(piece string, stop any, last bool) {
		n += CountTokens(piece)
		v := object{"generation": piece, "prompt_token_count": nil, "generation_token_count": min(n, a.usage.OutputTokens), "stop_reason": stop}
		if len(frames) == 0 {
			v["prompt_token_count"] = a.usage.TotalInput()
		}
		if last {
			v["generation_token_count"] = a.usage.OutputTokens
			v["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
		}
		frames = append(frames, Frame{Type: "generation", Payload: marshal(v), Tokens: CountTokens(piece)})
	}
	for _, p := range pieces {
		add(p, nil, false)
	}
	add("", stopOrLength(a), true)
	return frames
}

// deepSeekR1 is a prompt for one choice. Source: "DeepSeek models", inference
// parameters, Bedrock User Guide.
type deepSeekR1 struct{ mistral }

func (deepSeekR1) choice(text string, stop any) object {
	return object{"choices": []object{{"index": 0, "text": text, "stop_reason": stop}}}
}

func (f deepSeekR1) body(a *answer) []byte {
	text, _ := a.text()
	return marshal(f.choice(text, stopOrLength(a)))
}

func (f deepSeekR1) frames(a *answer) []Frame {
	_, pieces := a.text()
	var frames []Frame
	for _, p := range pieces {
		frames = append(frames, Frame{Type: "choices", Payload: marshal(f.choice(p, nil)), Tokens: CountTokens(p)})
	}
	last := f.choice("", stopOrLength(a))
	last["amazon-bedrock-invocationMetrics"] = a.invocationMetrics()
	return append(frames, Frame{Type: "choices", Payload: marshal(last)})
}

type mistral struct{}

func (mistral) read(req *Request) *Reply {
	var body struct {
		Messages    json.RawMessage `json:"messages"`
		Prompt      string          `json:"prompt"`
		MaxTokens   *int64          `json:"max_tokens"`
		Stop        []string        `json:"stop"`
		Temperature *float64        `json:"temperature"`
		TopP        *float64        `json:"top_p"`
	}
	if json.Unmarshal(req.Body, &body) != nil {
		return invalid(malformed)
	}
	if body.Messages != nil {
		req.family = mistralChat{}
		return req.family.read(req)
	}
	req.StopSequences, req.Temperature, req.TopP = body.Stop, body.Temperature, body.TopP
	return checkPrompt(req, "prompt", body.Prompt, "max_tokens", body.MaxTokens)
}

func (mistral) body(a *answer) []byte {
	text, _ := a.text()
	return marshal(object{"outputs": []object{{"text": text, "stop_reason": stopOrLength(a)}}})
}

func (mistral) frames(a *answer) []Frame {
	_, pieces := a.text()
	var frames []Frame
	for _, p := range pieces {
		frames = append(frames, Frame{
			Type:    "outputs",
			Payload: marshal(object{"outputs": []object{{"text": p, "stop_reason": nil}}}),
			Tokens:  CountTokens(p),
		})
	}
	return append(frames, Frame{Type: "outputs", Payload: marshal(object{
		"outputs":                          []object{{"text": "", "stop_reason": stopOrLength(a)}},
		"amazon-bedrock-invocationMetrics": a.invocationMetrics(),
	})})
}
