package stream

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Mistral decodes the streams of Mistral AI's models: of text completion and
// of chat completion.
var Mistral = decoderOf(func() family { return &mistralFamily{} })

type mistralFamily struct {
	completion
	ids map[string]int // the blocks of the tool calls
}

// scan reads {"outputs":[{"text":"…","stop_reason":null}]} and
// {"id":"…","choices":[{"index":0,"message":{"role":"assistant","content":"…"},"stop_reason":null}]}.
func (f *mistralFamily) scan(event []byte) (delta, bool) {
	var raw []byte
	s := jsonscan.New(event)
	text := func() (ok bool) {
		if raw != nil {
			return false
		}
		raw, ok = s.Str()
		return ok
	}
	ok := s.Object(func(key []byte) bool {
		switch string(key) {
		case "outputs":
			return s.Only(func(key []byte) bool {
				return string(key) == "text" && text() || string(key) == "stop_reason" && s.Word("null")
			})
		case "choices":
			return s.Only(func(key []byte) bool {
				switch string(key) {
				case "index":
					n, ok := s.Number()
					return ok && n == 0
				case "message", "delta":
					return s.Object(func(key []byte) bool {
						switch string(key) {
						case "role":
							return s.Name()
						case "content":
							return text()
						case "tool_calls":
							return s.Word("null")
						}
						return false
					})
				case "stop_reason", "finish_reason", "logprobs":
					return s.Word("null")
				}
				return false
			})
		case "id", "object", "model":
			return s.Name()
		case "created":
			return s.Digits()
		case "usage":
			return s.Word("null")
		}
		return false
	})
	return f.scanned(raw, ok && s.End())
}

// mistralMessage is a piece of a chat's answer.
type mistralMessage struct {
	Content   json.RawMessage // a string or parts
	ToolCalls []struct {
		ID       string
		Function struct {
			Name      string
			Arguments json.RawMessage // a string, or the object itself
		}
	} `json:"tool_calls"`
}

func (f *mistralFamily) event(s *Stream, event []byte) error {
	var v struct {
		Outputs []struct {
			Text       string
			StopReason string `json:"stop_reason"`
		}
		Choices []struct {
			Message      *mistralMessage
			Delta        *mistralMessage
			StopReason   string `json:"stop_reason"`
			FinishReason string `json:"finish_reason"`
		}
		Usage *mistral.Usage
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	stop, usage := "", bedrockkit.Usage{Unknown: true}
	if v.Usage != nil {
		usage = counts(v.Usage.PromptTokens, v.Usage.CompletionTokens)
	}
	switch {
	case len(v.Outputs) == 1:
		stop = v.Outputs[0].StopReason
		if err := f.text(s, v.Outputs[0].Text); err != nil {
			return err
		}
	case len(v.Choices) == 1:
		choice := v.Choices[0]
		stop = cmp.Or(choice.StopReason, choice.FinishReason)
		for _, m := range []*mistralMessage{choice.Message, choice.Delta} {
			if m == nil {
				continue
			}
			if err := f.message(s, m); err != nil {
				return err
			}
		}
	case v.Metrics == nil && usage.Unknown:
		return f.unknown(s, "", event)
	}
	return f.end(s, mistral.StopReason(stop), usage, &v.invocation, event)
}

func (f *mistralFamily) message(s *Stream, m *mistralMessage) error {
	if err := f.content(s, m.Content); err != nil {
		return err
	}
	for _, call := range m.ToolCalls {
		if call.ID == "null" {
			call.ID = "" // what Mistral's own API says where there is none
		}
		// A call may come in pieces: the later ones repeat its id or have none.
		index, known := f.ids[call.ID]
		if !known && call.ID == "" && call.Function.Name == "" {
			index, known = f.calls, f.calls > 0
		}
		if !known {
			var err error
			if index, err = f.call(s, call.ID, call.Function.Name); err != nil {
				return err
			}
			if call.ID != "" {
				if f.ids == nil {
					f.ids = map[string]int{}
				}
				f.ids[call.ID] = index
			}
		}
		text := string(call.Function.Arguments)
		if len(text) > 0 && text[0] == '"' {
			if err := read(call.Function.Arguments, &text); err != nil {
				return err
			}
		}
		if text == "" || text == "null" {
			continue
		}
		if err := s.add(Event{Type: ToolInput, Index: index, Text: text}); err != nil {
			return err
		}
	}
	return nil
}

// content adds a string, or the texts among parts. A part that is no text, such
// as thinking, is kept.
func (f *mistralFamily) content(s *Stream, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return f.begin(s)
	}
	if raw[0] == '"' {
		var text string
		if err := read(raw, &text); err != nil {
			return err
		}
		return f.text(s, text)
	}
	var parts []json.RawMessage
	if err := read(raw, &parts); err != nil {
		return err
	}
	for _, raw := range parts {
		var part struct{ Type, Text string }
		if err := read(raw, &part); err != nil {
			return fmt.Errorf("%w: a part of the content", err)
		}
		err := f.begin(s)
		switch {
		case err != nil:
		case part.Type == "text":
			err = f.text(s, part.Text)
		default:
			err = f.unknown(s, part.Type, raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
