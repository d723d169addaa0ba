package family

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// ErrForm says that an answer cannot be turned into the other form.
var ErrForm = errors.New("the answer has no other form that is known")

// An Object is a JSON object by its members.
type Object = map[string]json.RawMessage

// An Event is one of a stream, taken out of its chunk if it was in one.
type Event struct {
	Name   string // of the frame; empty for a chunk
	Raw    json.RawMessage
	Object Object
}

// A Frame is an encoded frame of a stream.
type Frame struct {
	Bytes []byte
	Text  int // the characters of the answer that it brings
}

// Split returns the body of a unary answer as the frames of a stream, by
// in the form that knows it, with texts in pieces of so many characters,
// 0 for whole ones. chunks says that it is a body of InvokeModel, and not of
// Converse.
func Split(body []byte, chunks bool, piece int, forms ...Family) ([]Frame, error) {
	var top Object
	if json.Unmarshal(body, &top) != nil {
		return nil, ErrForm
	}
	for _, f := range forms {
		s := &Splitter{piece: piece, chunks: chunks}
		if f.Split != nil && f.Split(s, top) == nil {
			return s.frames, nil
		}
	}
	return nil, ErrForm
}

// Join returns the frames of a whole stream as the body of a unary answer, by
// in the form that knows them.
func Join(frames []byte, chunks bool, maxFrame int, forms ...Family) (json.RawMessage, error) {
	var events []Event
	r := eventstream.NewReader(bytes.NewReader(frames), maxFrame)
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || string(f.MessageType) != "event" {
			return nil, ErrForm
		}
		ev := Event{Name: string(f.EventType), Raw: bytes.Clone(f.Payload)}
		if chunks {
			var chunk struct{ Bytes []byte }
			if ev.Name != "chunk" || json.Unmarshal(f.Payload, &chunk) != nil {
				return nil, ErrForm
			}
			ev = Event{Raw: chunk.Bytes}
		}
		if json.Unmarshal(ev.Raw, &ev.Object) != nil {
			return nil, ErrForm
		}
		delete(ev.Object, "p") // padding
		delete(ev.Object, "amazon-bedrock-invocationMetrics")
		events = append(events, ev)
	}
	if len(events) == 0 {
		return nil, ErrForm
	}
	for _, f := range forms {
		if f.Join == nil {
			continue
		}
		if body, err := f.Join(events); err == nil {
			return JSON(body)
		}
	}
	return nil, ErrForm
}

// Read reads a part of an answer that must be of a form.
func Read(raw json.RawMessage, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return nil
}

// Text returns a JSON string, empty for anything else.
func Text(raw json.RawMessage) (s string) {
	if len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &s)
	}
	return s
}

// String reads a JSON string. Anything else, and nothing, is ErrForm.
func String(raw json.RawMessage) (s string, err error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", fmt.Errorf("%w: it is not a string", ErrForm)
	}
	return s, Read(raw, &s)
}

// Within returns ErrForm if an object has a member that is not named.
func Within(body Object, names ...string) error {
	for name := range body {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%w: %q is not known", ErrForm, name)
		}
	}
	return nil
}

// IsNull reports whether a member says nothing.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// JSON is json.Marshal that leaves "<", ">" and "&" as they are.
func JSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Only returns the one element of a list of objects.
func Only(raw json.RawMessage) (Object, error) {
	var list []Object
	if err := Read(raw, &list); err != nil || len(list) != 1 {
		return nil, ErrForm
	}
	return list[0], nil
}

// With sets a member and returns the object.
func With(body Object, name string, value any) (Object, error) {
	raw, err := JSON(value)
	body[name] = raw
	return body, err
}

// A Splitter gathers the frames of a stream.
type Splitter struct {
	// Nested says that an event is the one member of its chunk.
	Nested bool

	piece  int
	chunks bool
	frames []Frame
}

// Add adds a frame with so many characters of text.
func (s *Splitter) Add(name string, payload any, characters int) error {
	if s.Nested {
		payload = map[string]any{name: payload}
	}
	raw, err := JSON(payload)
	if err != nil {
		return err
	}
	if s.chunks {
		name = "chunk"
		if raw, err = JSON(map[string][]byte{"bytes": raw}); err != nil {
			return err
		}
	}
	s.frames = append(s.frames, Frame{eventstream.AppendEvent(nil, name, raw), characters})
	return nil
}

// Pieces adds a frame for each piece of a text.
func (s *Splitter) Pieces(name, text string, payload func(piece string) any) error {
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
		if err := s.Add(name, payload(text[:n]), utf8.RuneCountInString(text[:n])); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// Completion adds a chunk for each piece of a text, a JSON string, and a last
// one without.
func (s *Splitter) Completion(text json.RawMessage, chunk func(piece string, last bool) any) error {
	whole, err := String(text)
	if err != nil {
		return err
	}
	if err := s.Pieces("", whole, func(piece string) any { return chunk(piece, false) }); err != nil {
		return err
	}
	return s.Add("", chunk("", true), 0)
}
