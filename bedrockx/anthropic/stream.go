package anthropic

import (
	"encoding/json"
	"errors"

	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Anthropic's Messages API.
func NewDecoder() event.Decoder { return &decoder{} }

// NewDecoder returns a decoder of the answer.
func (Request) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct {
	usage Usage
	stop  bedrockkit.StopReason
}

func (*decoder) Name() string { return "anthropic" }

func (d *decoder) Decode(chunk []byte, to event.Sink) error {
	if typ, index, raw, ok := scanDelta(chunk); ok && to.AddEscaped(typ, index, raw) {
		return nil
	}
	var v struct {
		Type    string
		Index   *int
		Message struct{ Usage plainUsage }
		Block   json.RawMessage `json:"content_block"`
		Delta   json.RawMessage
		Usage   json.RawMessage
		Error   struct{ Type, Message string }
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	index := -1 // of no block
	if v.Index != nil {
		index = *v.Index
	}
	switch v.Type {
	case "message_start":
		d.usage = Usage(v.Message.Usage)
		return to.Add(event.Event{Type: event.MessageStart})
	case "content_block_start":
		return d.blockStart(to, max(0, index), v.Block)
	case "content_block_delta":
		return d.delta(to, max(0, index), v.Delta)
	case "content_block_stop":
		return to.Add(event.Event{Type: event.BlockStop, Index: max(0, index)})
	case "message_delta":
		var stop struct {
			StopReason string `json:"stop_reason"`
		}
		if err := json.Unmarshal(v.Delta, &stop); err != nil {
			return err
		}
		if stop.StopReason != "" {
			d.stop = StopReason(stop.StopReason)
		}
		if v.Usage != nil {
			// Cumulative: each field that is there replaces the one before.
			if err := json.Unmarshal(v.Usage, (*plainUsage)(&d.usage)); err != nil {
				return err
			}
		}
		return nil
	case "message_stop":
		if d.stop == "" {
			return errors.New("a message stop without a reason")
		}
		if err := to.Add(event.Event{Type: event.MessageStop, StopReason: v.Stopped(d.stop)}); err != nil {
			return err
		}
		usage := d.usage.Buckets()
		if usage.Unknown {
			usage = v.Metrics.Usage()
		}
		return to.Add(event.Event{Type: event.Metadata, Usage: &usage, Raw: family.Clone(chunk)})
	case "ping":
		return nil
	case "error":
		return &smithy.GenericAPIError{Code: v.Error.Type, Message: v.Error.Message}
	}
	return to.Add(event.Event{Type: event.Unknown, Index: index, Name: v.Type, Raw: family.Clone(chunk)})
}

// scanDelta reads the deltas of text, tool inputs and thinking:
// {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"…"}}.
// What nearly every event looks like is tried first.
func scanDelta(chunk []byte) (_ event.Type, index int, raw []byte, ok bool) {
	s := jsonscan.New(chunk)
	if s.Skip(`{"type":"content_block_delta","index":`) {
		if index, ok = s.Number(); ok && s.Skip(`,"delta":{"type":"text_delta","text":`) {
			if raw, ok = s.Str(); ok && s.Skip(`}}`) && s.End() {
				return event.Text, index, raw, true
			}
		}
	}
	index, s = 0, jsonscan.New(chunk)
	var typ, inner, name []byte
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "type":
			typ, ok = s.Str()
			ok = ok && string(typ) == "content_block_delta"
		case "index":
			index, ok = s.Number()
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
				raw, ok = s.Str()
				return ok
			})
		}
		return ok
	})
	if !ok || typ == nil || !s.End() {
		return 0, 0, nil, false
	}
	switch {
	case string(inner) == "text_delta" && string(name) == "text":
		return event.Text, index, raw, true
	case string(inner) == "input_json_delta" && string(name) == "partial_json":
		return event.ToolInput, index, raw, true
	case string(inner) == "thinking_delta" && string(name) == "thinking":
		return event.Reasoning, index, raw, true
	}
	return 0, 0, nil, false
}

func (d *decoder) blockStart(to event.Sink, index int, raw json.RawMessage) error {
	var block Block
	if err := json.Unmarshal(raw, &block); err != nil {
		return err
	}
	ev := event.Event{Type: event.BlockStart, Index: index}
	switch block.Type {
	case "text", "thinking":
	case "tool_use":
		ev.ToolUseID, ev.ToolName = block.ID, block.Name
	case "redacted_thinking":
		if err := to.Add(ev); err != nil {
			return err
		}
		data, err := json.Marshal(block.Data)
		if err != nil {
			return err
		}
		return to.Add(event.Event{Type: event.Redacted, Index: index, Raw: data})
	default:
		ev.Raw = family.Clone(raw)
	}
	if err := to.Add(ev); err != nil {
		return err
	}
	// A block may start with some of its content.
	switch {
	case block.Type == "tool_use" && len(block.Input) > 0 && string(block.Input) != "{}" && string(block.Input) != "null":
		return to.Add(event.Event{Type: event.ToolInput, Index: index, Text: string(block.Input)})
	case block.Text != "":
		return to.Add(event.Event{Type: event.Text, Index: index, Text: block.Text})
	case block.Thinking != "":
		return to.Add(event.Event{Type: event.Reasoning, Index: index, Text: block.Thinking})
	}
	return nil
}

func (d *decoder) delta(to event.Sink, index int, raw json.RawMessage) error {
	var v struct {
		Type        string
		Text        string
		PartialJSON string `json:"partial_json"`
		Thinking    string
		Signature   string
		Citation    json.RawMessage
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	ev := event.Event{Index: index}
	switch v.Type {
	case "text_delta":
		ev.Type, ev.Text = event.Text, v.Text
	case "input_json_delta":
		ev.Type, ev.Text = event.ToolInput, v.PartialJSON
	case "thinking_delta":
		ev.Type, ev.Text = event.Reasoning, v.Thinking
	case "signature_delta":
		ev.Type, ev.Text = event.Signature, v.Signature
	case "citations_delta":
		ev.Type, ev.Raw = event.Citation, family.Clone(v.Citation)
	default:
		ev.Type, ev.Name, ev.Raw = event.Unknown, v.Type, family.Clone(raw)
	}
	return to.Add(ev)
}
