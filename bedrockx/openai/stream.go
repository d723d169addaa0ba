package openai

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Chat Completions. Reasoning,
// text and each tool call are blocks of their own, in the order in which they
// come.
func NewDecoder() event.Decoder { return &decoder{open: -1, calls: map[int]int{}} }

type decoder struct {
	begun   bool
	stopped bool
	blocks  int         // that have begun
	open    int         // the block of text or reasoning that has not ended, -1 if there is none
	kind    event.Type  // of the open block
	calls   map[int]int // the block of each tool call, by its index

	tags tags
}

func (*decoder) Name() string { return "openai" }

// A chunk is what a decoder reads of one.
type chunk struct {
	Choices []struct {
		Delta struct {
			Content          string
			ReasoningContent string `json:"reasoning_content"`
			Reasoning        string
			Refusal          string
			ToolCalls        []struct {
				Index    *int
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		FinishReason string `json:"finish_reason"`
	}
	Usage *Usage
	Error *struct{ Message string }
	event.Invocation
}

func (d *decoder) Decode(raw []byte, to event.Sink) error {
	if typ, text, ok := scan(raw); ok && d.continues(typ) && len(text) > 0 && to.AddEscaped(typ, d.open, text) {
		return nil
	}
	var v chunk
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	switch {
	case len(v.Choices) > 1:
		return errors.New("a chunk of more than one choice")
	case len(v.Choices) == 0 && v.Usage == nil && v.Metrics == nil:
		return family.Unknown(to, "", raw)
	}
	if len(v.Choices) == 1 {
		if err := d.choice(&v, to); err != nil {
			return err
		}
	}
	usage := v.Metrics.Usage()
	if usage.Unknown && v.Usage != nil {
		usage = v.Usage.Buckets()
	}
	if v.Usage == nil && v.Metrics == nil {
		return nil
	}
	return to.Add(event.Event{Type: event.Metadata, Usage: &usage, Raw: family.Clone(raw)})
}

// continues reports whether a piece goes on with the open block. What is in
// tags is read with encoding/json.
func (d *decoder) continues(kind event.Type) bool {
	return d.open >= 0 && d.kind == kind && (kind == event.Reasoning || d.tags.outside)
}

func (d *decoder) choice(v *chunk, to event.Sink) error {
	if !d.begun {
		d.begun = true
		if err := to.Add(event.Event{Type: event.MessageStart}); err != nil {
			return err
		}
	}
	delta := &v.Choices[0].Delta
	if err := d.piece(to, event.Reasoning, delta.ReasoningContent+delta.Reasoning); err != nil {
		return err
	}
	reasoning, text := d.tags.take(delta.Content)
	if err := d.piece(to, event.Reasoning, reasoning); err != nil {
		return err
	}
	if err := d.piece(to, event.Text, text+delta.Refusal); err != nil {
		return err
	}
	for _, call := range delta.ToolCalls {
		// A call comes in pieces; those after the first may lack its index and id.
		index := len(d.calls)
		switch {
		case call.Index != nil:
			index = *call.Index
		case call.ID == "" && call.Function.Name == "" && index > 0:
			index--
		}
		block, known := d.calls[index]
		if !known {
			if err := d.close(to); err != nil {
				return err
			}
			block = d.blocks
			d.calls[index] = block
			d.blocks++
			if err := to.Add(event.Event{Type: event.BlockStart, Index: block, ToolUseID: call.ID, ToolName: call.Function.Name}); err != nil {
				return err
			}
		}
		if call.Function.Arguments == "" {
			continue
		}
		if err := to.Add(event.Event{Type: event.ToolInput, Index: block, Text: call.Function.Arguments}); err != nil {
			return err
		}
	}
	if v.Choices[0].FinishReason == "" || d.stopped {
		return nil
	}
	return d.stop(StopReason(v.Choices[0].FinishReason), &v.Invocation, to)
}

// piece adds a piece to the open block, if it is of its kind, or to a new one.
func (d *decoder) piece(to event.Sink, kind event.Type, text string) error {
	if text == "" {
		return nil
	}
	if d.open >= 0 && d.kind != kind {
		if err := d.close(to); err != nil {
			return err
		}
	}
	if d.open < 0 {
		d.open, d.kind = d.blocks, kind
		d.blocks++
	}
	return to.Add(event.Event{Type: kind, Index: d.open, Text: text})
}

// close ends the open block.
func (d *decoder) close(to event.Sink) error {
	if d.open < 0 {
		return nil
	}
	index := d.open
	d.open = -1
	return to.Add(event.Event{Type: event.BlockStop, Index: index})
}

func (d *decoder) stop(reason bedrockkit.StopReason, in *event.Invocation, to event.Sink) error {
	d.stopped = true
	reasoning, text := d.tags.rest()
	if err := d.piece(to, event.Reasoning, reasoning); err != nil {
		return err
	}
	if err := d.piece(to, event.Text, text); err != nil {
		return err
	}
	if err := d.close(to); err != nil {
		return err
	}
	for block := range d.blocks {
		for _, call := range d.calls {
			if call != block {
				continue
			}
			if err := to.Add(event.Event{Type: event.BlockStop, Index: block}); err != nil {
				return err
			}
		}
	}
	return to.Add(event.Event{Type: event.MessageStop, StopReason: in.Stopped(reason)})
}

// tags takes the reasoning that stands in tags at the beginning of the text, as
// it comes in pieces.
type tags struct {
	inside  bool   // of the tags
	outside bool   // what comes is text, to its end
	held    string // what may be the beginning of a tag
}

func (t *tags) take(piece string) (reasoning, text string) {
	if t.outside || piece == "" {
		return "", piece
	}
	piece = t.held + piece
	t.held = ""
	if !t.inside {
		switch {
		case strings.HasPrefix(piece, reasoningBegin):
			t.inside = true
			piece = piece[len(reasoningBegin):]
		case strings.HasPrefix(reasoningBegin, piece):
			t.held = piece
			return "", ""
		default:
			t.outside = true
			return "", piece
		}
	}
	reasoning, text, t.outside = strings.Cut(piece, reasoningEnd)
	if t.outside {
		return reasoning, text
	}
	// The end of the piece may be the beginning of the end.
	for n := min(len(piece), len(reasoningEnd)-1); n > 0; n-- {
		if strings.HasSuffix(piece, reasoningEnd[:n]) {
			t.held = piece[len(piece)-n:]
			return piece[:len(piece)-n], ""
		}
	}
	return piece, ""
}

// rest is what was held back, at the end of the answer.
func (t *tags) rest() (reasoning, text string) {
	held := t.held
	t.held = ""
	if t.inside {
		return held, ""
	}
	return "", held
}

// scan reads the chunk that comes for every token of text or reasoning:
// {"id":"…","object":"chat.completion.chunk","created":0,"model":"…","choices":[{"index":0,"delta":{"content":"…"},"finish_reason":null}]}.
func scan(chunk []byte) (typ event.Type, raw []byte, ok bool) {
	s := jsonscan.New(chunk)
	text := func(t event.Type) (ok bool) {
		if s.Word("null") {
			return true
		}
		if raw != nil {
			return false
		}
		typ = t
		raw, ok = s.Str()
		return ok
	}
	ok = s.Object(func(key []byte) bool {
		switch string(key) {
		case "choices":
			return s.Only(func(key []byte) bool {
				switch string(key) {
				case "index":
					n, ok := s.Number()
					return ok && n == 0
				case "delta":
					return s.Object(func(key []byte) bool {
						switch string(key) {
						case "role":
							return s.Name()
						case "content":
							return text(event.Text)
						case "reasoning_content", "reasoning":
							return text(event.Reasoning)
						case "tool_calls", "refusal":
							return s.Word("null")
						}
						return false
					})
				case "finish_reason", "logprobs":
					return s.Word("null")
				}
				return false
			})
		case "id", "object", "model", "service_tier", "system_fingerprint":
			return s.Word("null") || s.Name()
		case "created":
			return s.Digits()
		case "usage":
			return s.Word("null")
		}
		return false
	})
	return typ, raw, ok && s.End()
}
