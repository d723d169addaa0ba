package mistral

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Mistral AI's models: of text
// completion and of chat completion.
func NewDecoder() event.Decoder { return &decoder{} }

// NewDecoder returns a decoder of the answer.
func (TextRequest) NewDecoder() event.Decoder { return NewDecoder() }

// NewDecoder returns a decoder of the answer.
func (ChatRequest) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct {
	family.Completion
	ids map[string]int // the blocks of the tool calls
}

func (*decoder) Name() string { return "mistral" }

func (d *decoder) Decode(chunk []byte, to event.Sink) error {
	if raw, ok := scan(chunk); d.Scanned(to, raw, ok) {
		return nil
	}
	var v struct {
		Outputs []struct {
			Text       string
			StopReason string `json:"stop_reason"`
		}
		Choices []struct {
			Message      *piece
			Delta        *piece
			StopReason   string `json:"stop_reason"`
			FinishReason string `json:"finish_reason"`
		}
		Usage *Usage
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	stop, usage := "", bedrockkit.Usage{Unknown: true}
	if v.Usage != nil {
		usage = v.Usage.Buckets()
	}
	switch {
	case len(v.Outputs) == 1:
		stop = v.Outputs[0].StopReason
		if err := d.Text(to, v.Outputs[0].Text); err != nil {
			return err
		}
	case len(v.Choices) == 1:
		choice := v.Choices[0]
		stop = cmp.Or(choice.StopReason, choice.FinishReason)
		for _, m := range []*piece{choice.Message, choice.Delta} {
			if m == nil {
				continue
			}
			if err := d.message(m, to); err != nil {
				return err
			}
		}
	case v.Metrics == nil && usage.Unknown:
		return family.Unknown(to, "", chunk)
	}
	return d.End(to, StopReason(stop), usage, &v.Invocation, chunk)
}

// scan reads the chunks that come for every token:
// {"outputs":[{"text":"…","stop_reason":null}]} and
// {"id":"…","choices":[{"index":0,"message":{"role":"assistant","content":"…"},"stop_reason":null}]}.
func scan(chunk []byte) (raw []byte, ok bool) {
	s := jsonscan.New(chunk)
	text := func() (ok bool) {
		if raw != nil {
			return false
		}
		raw, ok = s.Str()
		return ok
	}
	ok = s.Object(func(key []byte) bool {
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
	return raw, ok && s.End()
}

// piece is a piece of a chat's answer.
type piece struct {
	Content   json.RawMessage // a string or parts
	ToolCalls []struct {
		ID       string
		Function struct {
			Name      string
			Arguments json.RawMessage // a string, or the object itself
		}
	} `json:"tool_calls"`
}

func (d *decoder) message(m *piece, to event.Sink) error {
	if err := d.content(m.Content, to); err != nil {
		return err
	}
	for _, call := range m.ToolCalls {
		if call.ID == "null" {
			call.ID = "" // what Mistral's own API says where there is none
		}
		// A call may come in pieces: the later ones repeat its id or have none.
		index, known := d.ids[call.ID]
		if !known && call.ID == "" && call.Function.Name == "" {
			index, known = d.Calls(), d.Calls() > 0
		}
		if !known {
			var err error
			if index, err = d.Call(to, call.ID, call.Function.Name); err != nil {
				return err
			}
			if call.ID != "" {
				if d.ids == nil {
					d.ids = map[string]int{}
				}
				d.ids[call.ID] = index
			}
		}
		text := string(call.Function.Arguments)
		if len(text) > 0 && text[0] == '"' {
			if err := json.Unmarshal(call.Function.Arguments, &text); err != nil {
				return err
			}
		}
		if text == "" || text == "null" {
			continue
		}
		if err := to.Add(event.Event{Type: event.ToolInput, Index: index, Text: text}); err != nil {
			return err
		}
	}
	return nil
}

// content adds a string, or the texts among parts. A part that is not text, such
// as thinking, is kept.
func (d *decoder) content(raw json.RawMessage, to event.Sink) error {
	if len(raw) == 0 || string(raw) == "null" {
		return d.Begin(to)
	}
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		return d.Text(to, text)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	for _, raw := range parts {
		var part struct{ Type, Text string }
		if err := json.Unmarshal(raw, &part); err != nil {
			return fmt.Errorf("a part of the content: %w", err)
		}
		err := d.Begin(to)
		switch {
		case err != nil:
		case part.Type == "text":
			err = d.Text(to, part.Text)
		default:
			err = family.Unknown(to, part.Type, raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
