package stream

import (
	"encoding/json"

	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Anthropic decodes the stream of Anthropic's Messages API.
var Anthropic = decoderOf(func() family { return &anthropicFamily{} })

type anthropicFamily struct {
	usage anthropic.Usage
	stop  bedrockkit.StopReason
}

func (*anthropicFamily) scan(event []byte) (delta, bool) { return scanAnthropicDelta(event) }

// scanAnthropicDelta reads the deltas of text, tool inputs and thinking:
// {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"…"}}.
// What nearly every event looks like is tried first.
func scanAnthropicDelta(event []byte) (d delta, ok bool) {
	s := jsonscan.New(event)
	if s.Skip(`{"type":"content_block_delta","index":`) {
		if d.index, ok = s.Number(); ok && s.Skip(`,"delta":{"type":"text_delta","text":`) {
			if d.raw, ok = s.Str(); ok && s.Skip(`}}`) && s.End() {
				d.typ = Text
				return d, true
			}
		}
	}
	d, s = delta{}, jsonscan.New(event)
	var typ, inner, name []byte
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "type":
			typ, ok = s.Str()
			ok = ok && string(typ) == "content_block_delta"
		case "index":
			d.index, ok = s.Number()
		case "delta":
			if name != nil {
				return false
			}
			ok = s.Object(func(key []byte) (ok bool) {
				if string(key) == "type" {
					inner, ok = s.Str()
					return ok
				}
				if name != nil {
					return false
				}
				name = key
				d.raw, ok = s.Str()
				return ok
			})
		}
		return ok
	})
	if !ok || typ == nil || !s.End() {
		return d, false
	}
	switch {
	case string(inner) == "text_delta" && string(name) == "text":
		d.typ = Text
	case string(inner) == "input_json_delta" && string(name) == "partial_json":
		d.typ = ToolInput
	case string(inner) == "thinking_delta" && string(name) == "thinking":
		d.typ = Reasoning
	default:
		return d, false
	}
	return d, true
}

// event reads any event of the Messages API.
func (d *anthropicFamily) event(s *Stream, event []byte) error {
	var v struct {
		Type    string
		Index   int
		Message struct{ Usage anthropic.Usage }
		Block   json.RawMessage `json:"content_block"`
		Delta   json.RawMessage
		Usage   *anthropic.Usage
		Error   struct{ Type, Message string }
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	switch v.Type {
	case "message_start":
		d.usage = v.Message.Usage
		return s.add(Event{Type: MessageStart})
	case "content_block_start":
		return d.blockStart(s, v.Index, v.Block)
	case "content_block_delta":
		return d.delta(s, v.Index, v.Delta)
	case "content_block_stop":
		return s.add(Event{Type: BlockStop, Index: v.Index})
	case "message_delta":
		var stop struct {
			StopReason string `json:"stop_reason"`
		}
		if err := read(v.Delta, &stop); err != nil {
			return err
		}
		if stop.StopReason != "" {
			d.stop = anthropic.StopReason(stop.StopReason)
		}
		if v.Usage != nil {
			// Cumulative: each field that is there replaces the one before.
			if err := read(event, &struct{ Usage *anthropic.Usage }{&d.usage}); err != nil {
				return err
			}
		}
		return nil
	case "message_stop":
		if err := s.add(Event{Type: MessageStop, StopReason: v.stopped(d.stop)}); err != nil {
			return err
		}
		usage := d.usage.Buckets()
		if usage.Unknown {
			usage = v.Metrics.usage()
		}
		return s.add(Event{Type: Metadata, Usage: &usage, Raw: clone(event)})
	case "ping":
		return nil
	case "error":
		return &smithy.GenericAPIError{Code: v.Error.Type, Message: v.Error.Message}
	}
	return s.add(Event{Type: Unknown, Index: v.Index, Name: v.Type, Raw: clone(event)})
}

func (d *anthropicFamily) blockStart(s *Stream, index int, raw json.RawMessage) error {
	var block anthropic.Block
	if err := read(raw, &block); err != nil {
		return err
	}
	ev := Event{Type: BlockStart, Index: index}
	switch block.Type {
	case "text", "thinking":
	case "tool_use":
		ev.ToolUseID, ev.ToolName = block.ID, block.Name
	case "redacted_thinking":
		if err := s.add(ev); err != nil {
			return err
		}
		data, err := json.Marshal(block.Data)
		if err != nil {
			return err
		}
		return s.add(Event{Type: Redacted, Index: index, Raw: data})
	default:
		ev.Raw = clone(raw)
	}
	if err := s.add(ev); err != nil {
		return err
	}
	// A block may start with some of its content.
	switch {
	case block.Text != "":
		return s.add(Event{Type: Text, Index: index, Text: block.Text})
	case block.Thinking != "":
		return s.add(Event{Type: Reasoning, Index: index, Text: block.Thinking})
	}
	return nil
}

func (d *anthropicFamily) delta(s *Stream, index int, raw json.RawMessage) error {
	var v struct {
		Type        string
		Text        string
		PartialJSON string `json:"partial_json"`
		Thinking    string
		Signature   string
		Citation    json.RawMessage
	}
	if err := read(raw, &v); err != nil {
		return err
	}
	ev := Event{Index: index}
	switch v.Type {
	case "text_delta":
		ev.Type, ev.Text = Text, v.Text
	case "input_json_delta":
		ev.Type, ev.Text = ToolInput, v.PartialJSON
	case "thinking_delta":
		ev.Type, ev.Text = Reasoning, v.Thinking
	case "signature_delta":
		ev.Type, ev.Text = Signature, v.Signature
	case "citations_delta":
		ev.Type, ev.Raw = Citation, clone(v.Citation)
	default:
		ev.Type, ev.Name, ev.Raw = Unknown, v.Type, clone(raw)
	}
	return s.add(ev)
}
