package stream

import (
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// converseDecoder reads the events of ConverseStream (API reference,
// ConverseStreamOutput).
type converseDecoder struct{}

func (converseDecoder) decode(s *Stream, eventType, payload []byte) error {
	switch string(eventType) {
	case "contentBlockDelta":
		if d, ok := scanConverseDelta(payload); ok && s.addRaw(d) {
			return nil
		}
		return decodeConverseDelta(s, payload)
	case "contentBlockStop":
		var v struct{ ContentBlockIndex int }
		if err := read(payload, &v); err != nil {
			return err
		}
		return s.add(Event{Type: BlockStop, Index: v.ContentBlockIndex})
	case "messageStart":
		return s.add(Event{Type: MessageStart})
	case "contentBlockStart":
		var v struct {
			ContentBlockIndex int
			Start             map[string]json.RawMessage
		}
		if err := read(payload, &v); err != nil {
			return err
		}
		ev := Event{Type: BlockStart, Index: v.ContentBlockIndex}
		if raw, ok := v.Start["toolUse"]; ok {
			var tool struct{ ToolUseID, Name, Type string }
			if err := read(raw, &tool); err != nil {
				return err
			}
			if tool.Type == "" || tool.Type == "tool_use" {
				ev.ToolUseID, ev.ToolName = tool.ToolUseID, tool.Name
			} else {
				ev.Raw = clone(payload) // one that the service runs by itself
			}
		} else if len(v.Start) > 0 {
			ev.Raw = clone(payload)
		}
		return s.add(ev)
	case "messageStop":
		var v struct {
			StopReason                    bedrockkit.StopReason
			AdditionalModelResponseFields json.RawMessage
		}
		if err := read(payload, &v); err != nil {
			return err
		}
		if v.StopReason == "" {
			return fmt.Errorf("%w: a message stop without a reason", errFrame)
		}
		return s.add(Event{Type: MessageStop, StopReason: v.StopReason, Raw: v.AdditionalModelResponseFields})
	case "metadata":
		usage, tier, err := readConverseMetadata(payload)
		if err != nil {
			return err
		}
		return s.add(Event{Type: Metadata, Usage: usage, ServiceTier: tier, Raw: clone(payload)})
	}
	if !json.Valid(payload) {
		return fmt.Errorf("%w: the event %q", errFrame, eventType)
	}
	return s.add(Event{Type: Unknown, Index: -1, Name: string(eventType), Raw: clone(payload)})
}

// scanConverseDelta reads the deltas of text and of tool inputs:
// {"contentBlockIndex":0,"delta":{"text":"…"},"p":"…"}. The service writes them
// in this order and without spaces, which is tried first.
func scanConverseDelta(payload []byte) (d delta, ok bool) {
	s := jsonscan.New(payload)
	if s.Skip(`{"contentBlockIndex":`) {
		if d.index, ok = s.Number(); ok && s.Skip(`,"delta":{"text":`) {
			if d.raw, ok = s.Str(); ok && s.Skip(`}`) && (s.Skip(`}`) || s.Skip(`,"p":`) && padding(&s)) && s.End() {
				d.typ = Text
				return d, true
			}
		}
	}
	d, s = delta{}, jsonscan.New(payload)
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "contentBlockIndex":
			d.index, ok = s.Number()
		case "p":
			_, ok = s.Str()
		case "delta":
			if d.typ != 0 {
				return false
			}
			ok = s.Object(func(key []byte) (ok bool) {
				switch {
				case d.typ != 0:
					return false
				case string(key) == "text":
					d.typ = Text
					d.raw, ok = s.Str()
				case string(key) == "toolUse":
					ok = s.Object(func(key []byte) (ok bool) {
						if string(key) != "input" || d.typ != 0 {
							return false
						}
						d.typ = ToolInput
						d.raw, ok = s.Str()
						return ok
					})
				}
				return ok
			})
		}
		return ok
	})
	return d, ok && d.typ != 0 && s.End()
}

// decodeConverseDelta reads any delta.
func decodeConverseDelta(s *Stream, payload []byte) error {
	var v struct {
		ContentBlockIndex int
		Delta             map[string]json.RawMessage
	}
	if err := read(payload, &v); err != nil {
		return err
	}
	ev := Event{Type: Unknown, Index: v.ContentBlockIndex, Name: "contentBlockDelta"}
	var err error
	switch {
	case v.Delta["text"] != nil:
		ev.Type = Text
		err = read(v.Delta["text"], &ev.Text)
	case v.Delta["toolUse"] != nil:
		var tool struct{ Input string }
		err = read(v.Delta["toolUse"], &tool)
		ev.Type, ev.Text = ToolInput, tool.Input
	case v.Delta["reasoningContent"] != nil:
		var r map[string]json.RawMessage
		if err = read(v.Delta["reasoningContent"], &r); err != nil {
			return err
		}
		switch {
		case r["text"] != nil:
			ev.Type = Reasoning
			err = read(r["text"], &ev.Text)
		case r["signature"] != nil:
			ev.Type = Signature
			err = read(r["signature"], &ev.Text)
		case r["redactedContent"] != nil:
			ev.Type, ev.Raw = Redacted, clone(r["redactedContent"])
		default:
			ev.Raw = clone(payload)
		}
	case v.Delta["citation"] != nil:
		ev.Type, ev.Raw = Citation, clone(v.Delta["citation"])
	default:
		ev.Raw = clone(payload)
	}
	if err != nil {
		return err
	}
	if ev.Type != Unknown {
		ev.Name = ""
	}
	return s.add(ev)
}

func readConverseMetadata(payload []byte) (*bedrockkit.Usage, bedrockkit.ServiceTier, error) {
	var v struct {
		Usage       json.RawMessage
		ServiceTier struct{ Type bedrockkit.ServiceTier }
	}
	if err := read(payload, &v); err != nil {
		return nil, "", err
	}
	if v.Usage == nil {
		return nil, v.ServiceTier.Type, nil
	}
	usage, err := bedrockkit.ParseConverseUsage(v.Usage)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errFrame, err)
	}
	return &usage, v.ServiceTier.Type, nil
}

// read unmarshals a payload. encoding/json's error is told without the text
// that it was about.
func read(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

func clone(raw []byte) json.RawMessage { return append(json.RawMessage(nil), raw...) }
