package guardrail

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// texts are what a guardrail reads of a request: the texts of the user and the
// results of tools, of the whole conversation or of its newest turn: what came
// after the model's last answer. It knows the bodies of Converse and of
// Anthropic's, Amazon's, OpenAI's, Meta's, Mistral's and Cohere's models. A request
// of pictures and the like has no text, which is not an error.
func texts(call *bedrockx.Call, newest bool) ([]string, error) {
	body, err := body(call)
	if err != nil {
		return nil, err
	}
	type text struct {
		Text json.RawMessage `json:"text"`
	}
	var request struct {
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		ChatHistory []struct {
			Role    string          `json:"role"`
			Message json.RawMessage `json:"message"`
		} `json:"chat_history"`
		Prompt    json.RawMessage   `json:"prompt"`
		InputText json.RawMessage   `json:"inputText"`
		Message   json.RawMessage   `json:"message"`
		Query     json.RawMessage   `json:"query"`
		Texts     json.RawMessage   `json:"texts"`
		Inputs    json.RawMessage   `json:"inputs"`
		Documents []json.RawMessage `json:"documents"`
		Embed     text              `json:"singleEmbeddingParams"`
		Draw      text              `json:"textToImageParams"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, ErrNoText
	}
	var turns []reading
	answered := true // the next text begins a turn
	add := func(role string, raw json.RawMessage) {
		switch strings.ToLower(role) {
		case "assistant", "chatbot":
			answered = true
		case "user", "tool":
			if answered {
				turns, answered = append(turns, reading{}), false
			}
			turns[len(turns)-1].content(raw)
		}
	}
	for _, m := range request.Messages {
		add(m.Role, m.Content)
	}
	for _, m := range request.ChatHistory {
		add(m.Role, m.Message)
	}
	for _, raw := range append([]json.RawMessage{request.InputText, request.Message, request.Query, request.Prompt, request.Texts,
		request.Inputs, request.Embed.Text, request.Draw.Text}, request.Documents...) {
		if raw != nil {
			add("user", raw)
		}
	}
	if newest && len(turns) > 1 {
		turns = turns[len(turns)-1:]
	}
	var all reading
	for _, turn := range turns {
		all.texts, all.known = append(all.texts, turn.texts...), all.known || turn.known
	}
	if !all.known {
		return nil, ErrNoText
	}
	return all.texts, nil
}

// body is the JSON body of a call.
func body(call *bedrockx.Call) (json.RawMessage, error) {
	if call.Body != nil || call.SDKInput == nil {
		return call.Body, nil
	}
	in, err := call.SDKInput()
	if err != nil {
		return nil, err
	}
	switch in := in.(type) {
	case *bedrockruntime.InvokeModelInput:
		return in.Body, nil
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		return in.Body, nil
	}
	return nil, ErrNoText // an input of the SDK's own types has no body yet
}

// A reading is the text of contents. Known reports whether any of them was of a
// kind that this package knows.
type reading struct {
	texts []string
	known bool
}

// The members of a block that hold text or other blocks, and the kinds of blocks
// that have none.
var (
	inner  = []string{"text", "guardContent", "toolResult", "content", "searchResult", "document", "title", "context", "source", "value"}
	opaque = []string{"image", "image_url", "video", "audio", "input_audio", "file", "cachePoint"}
)

// content reads a content: a string, a block or a list of them.
func (r *reading) content(raw json.RawMessage) {
	if string(raw) == "null" {
		return
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		r.texts, r.known = append(r.texts, nonBlank(text)...), true
		return
	}
	var blocks []json.RawMessage
	if json.Unmarshal(raw, &blocks) == nil {
		for _, b := range blocks {
			r.content(b)
		}
		return
	}
	var block map[string]json.RawMessage
	if json.Unmarshal(raw, &block) != nil {
		return
	}
	var kind string
	_ = json.Unmarshal(block["type"], &kind) // Converse has none
	for _, name := range inner {
		if part, ok := block[name]; ok {
			r.content(part)
		}
	}
	if part, ok := block["json"]; ok {
		r.texts, r.known = append(r.texts, nonBlank(string(part))...), true
	}
	if part, ok := block["data"]; ok && kind == "text" { // a document of Anthropic's
		r.content(part)
	}
	for _, name := range opaque {
		_, ok := block[name]
		r.known = r.known || ok || kind == name
	}
	r.known = r.known || kind == "document" || block["document"] != nil
}

func nonBlank(texts ...string) []string {
	var all []string
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			all = append(all, text)
		}
	}
	return all
}
