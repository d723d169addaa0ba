// Package answer turns a model's whole answer from its unary form, a JSON body,
// into its streamed form, the frames of an event stream, and back. So what was
// kept of one can be given to a caller of the other.
//
// Nothing is lost that a reader could miss: an answer with a part that it does
// not know to say in the other form is [ErrForm].
package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// ErrForm says that an answer cannot be turned into the other form.
var ErrForm = errors.New("the answer has no other form that is known")

// A Frame is an encoded frame of a stream.
type Frame struct {
	Bytes []byte
	Text  int // the characters of the answer that it brings
}

// Split returns the body of a unary answer as the frames of a stream, with
// texts in pieces of so many characters, 0 for whole ones. invoke says that it
// is a body of InvokeModel, and not of Converse.
func Split(body []byte, invoke bool, piece int) ([]Frame, error) {
	s := &splitter{piece: piece, invoke: invoke}
	var top object
	if json.Unmarshal(body, &top) != nil {
		return nil, ErrForm
	}
	err := ErrForm
	switch {
	case !invoke:
		err = s.converse(top)
	case top["output"] != nil:
		s.nova = true
		err = s.converse(top)
	case text(top["type"]) == "message":
		err = s.anthropic(top)
	case top["generation"] != nil:
		err = s.llama(top)
	case top["outputs"] != nil:
		err = s.mistral(top)
	case top["results"] != nil:
		err = s.titan(top)
	case top["finish_reason"] != nil && top["text"] != nil:
		err = s.cohere(top)
	}
	if err != nil {
		return nil, err
	}
	return s.frames, nil
}

// Join returns the frames of a whole stream as the body of a unary answer.
func Join(frames []byte, invoke bool, maxFrame int) (json.RawMessage, error) {
	var events []event
	r := eventstream.NewReader(bytes.NewReader(frames), maxFrame)
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || string(f.MessageType) != "event" {
			return nil, ErrForm
		}
		ev := event{name: string(f.EventType), raw: bytes.Clone(f.Payload)}
		if invoke {
			var chunk struct{ Bytes []byte }
			if ev.name != "chunk" || json.Unmarshal(f.Payload, &chunk) != nil {
				return nil, ErrForm
			}
			ev = event{raw: chunk.Bytes}
		}
		if json.Unmarshal(ev.raw, &ev.object) != nil {
			return nil, ErrForm
		}
		delete(ev.object, "p") // padding
		delete(ev.object, "amazon-bedrock-invocationMetrics")
		events = append(events, ev)
	}
	if len(events) == 0 {
		return nil, ErrForm
	}
	var body any
	var err error
	first := events[0].object
	switch {
	case !invoke:
		body, err = joinConverse(events)
	case first["messageStart"] != nil:
		body, err = joinNova(events)
	case text(first["type"]) == "message_start":
		body, err = joinAnthropic(events)
	case first["generation"] != nil:
		body, err = joinLlama(events)
	case first["outputs"] != nil:
		body, err = joinMistral(events)
	case first["outputText"] != nil:
		body, err = joinTitan(events)
	case first["event_type"] != nil:
		body, err = joinCohere(events)
	default:
		return nil, ErrForm
	}
	if err != nil {
		return nil, err
	}
	return marshal(body)
}

type object = map[string]json.RawMessage

// An event is that of a stream, taken out of its chunk where it was in one.
type event struct {
	name   string
	raw    json.RawMessage
	object object
}

// read reads a part of an answer that must be of a form.
func read(raw json.RawMessage, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return nil
}

// text is a JSON string, empty for anything else.
func text(raw json.RawMessage) (s string) {
	if len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &s)
	}
	return s
}

// isNull reports whether a member says nothing.
func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// marshal is json.Marshal that leaves "<", ">" and "&" as they are.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// A splitter gathers the frames of a stream.
type splitter struct {
	piece  int
	invoke bool
	nova   bool // the events of Converse, each as a member of a chunk
	frames []Frame
}

// add adds a frame with so many characters of text.
func (s *splitter) add(name string, payload any, characters int) error {
	if s.nova {
		payload = map[string]any{name: payload}
	}
	raw, err := marshal(payload)
	if err != nil {
		return err
	}
	if s.invoke {
		name = "chunk"
		if raw, err = marshal(map[string][]byte{"bytes": raw}); err != nil {
			return err
		}
	}
	s.frames = append(s.frames, Frame{eventstream.AppendEvent(nil, name, raw), characters})
	return nil
}

// pieces adds a frame for each piece of a text.
func (s *splitter) pieces(name, text string, payload func(piece string) any) error {
	for text != "" {
		n := len(text)
		if s.piece > 0 {
			n = 0
			for range s.piece {
				if n == len(text) {
					break
				}
				_, size := utf8.DecodeRuneInString(text[n:])
				n += size
			}
		}
		if err := s.add(name, payload(text[:n]), utf8.RuneCountInString(text[:n])); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}
