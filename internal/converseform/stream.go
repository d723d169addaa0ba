// Package converseform is the form of an answer of Converse and ConverseStream,
// which the bodies and chunks of Nova's models have as well. Source:
// ConverseResponse and ConverseStreamOutput, API reference; "Complete request
// schema", Nova User Guide.
package converseform

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Decode reads an event of ConverseStream, of the type that its frame says.
func Decode(eventType, payload []byte, to event.Sink) error {
	switch string(eventType) {
	case "contentBlockDelta":
		if ScanDelta(payload, to) {
			return nil
		}
		return decodeDelta(payload, to)
	case "contentBlockStop":
		var v struct{ ContentBlockIndex int }
		if err := json.Unmarshal(payload, &v); err != nil {
			return err
		}
		return to.Add(event.Event{Type: event.BlockStop, Index: v.ContentBlockIndex})
	case "messageStart":
		return to.Add(event.Event{Type: event.MessageStart})
	case "contentBlockStart":
		var v struct {
			ContentBlockIndex int
			Start             map[string]json.RawMessage
		}
		if err := json.Unmarshal(payload, &v); err != nil {
			return err
		}
		ev := event.Event{Type: event.BlockStart, Index: v.ContentBlockIndex}
		if raw, ok := v.Start["toolUse"]; ok {
			var tool struct{ ToolUseID, Name, Type string }
			if err := json.Unmarshal(raw, &tool); err != nil {
				return err
			}
			if tool.Type == "" || tool.Type == "tool_use" {
				ev.ToolUseID, ev.ToolName = tool.ToolUseID, tool.Name
			} else {
				ev.Raw = family.Clone(payload) // one that the service runs by itself
			}
		} else if len(v.Start) > 0 {
			ev.Raw = family.Clone(payload)
		}
		return to.Add(ev)
	case "messageStop":
		var v struct {
			StopReason                    bedrockkit.StopReason
			AdditionalModelResponseFields json.RawMessage
		}
		if err := json.Unmarshal(payload, &v); err != nil {
			return err
		}
		if v.StopReason == "" {
			return errors.New("a message stop without a reason")
		}
		return to.Add(event.Event{Type: event.MessageStop, StopReason: v.StopReason, Raw: v.AdditionalModelResponseFields})
	case "metadata":
		usage, tier, err := readMetadata(payload)
		if err != nil {
			return err
		}
		return to.Add(event.Event{Type: event.Metadata, Usage: usage, ServiceTier: tier, Raw: family.Clone(payload)})
	}
	if !json.Valid(payload) {
		return fmt.Errorf("the event %q is not JSON", eventType)
	}
	return family.Unknown(to, string(eventType), payload)
}

// ScanDelta reads the deltas of text and of tool inputs, which come with every
// token, and reports whether it did:
// {"contentBlockIndex":0,"delta":{"text":"…"},"p":"…"}. The service writes them
// in this order and without spaces, which is tried first.
func ScanDelta(payload []byte, to event.Sink) bool {
	typ, index, raw, ok := scanDelta(payload)
	return ok && to.AddEscaped(typ, index, raw)
}

func scanDelta(payload []byte) (typ event.Type, index int, raw []byte, ok bool) {
	s := jsonscan.New(payload)
	if s.Skip(`{"contentBlockIndex":`) {
		if index, ok = s.Number(); ok && s.Skip(`,"delta":{"text":`) {
			if raw, ok = s.Str(); ok && s.Skip(`}`) && (s.Skip(`}`) || s.Skip(`,"p":`) && padding(&s)) && s.End() {
				return event.Text, index, raw, true
			}
		}
	}
	index, s = 0, jsonscan.New(payload)
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "contentBlockIndex":
			index, ok = s.Number()
		case "p":
			_, ok = s.Str()
		case "delta":
			if typ != 0 {
				return false
			}
			ok = s.Object(func(key []byte) (ok bool) {
				switch {
				case typ != 0:
					return false
				case string(key) == "text":
					typ = event.Text
					raw, ok = s.Str()
				case string(key) == "toolUse":
					ok = s.Object(func(key []byte) (ok bool) {
						if string(key) != "input" || typ != 0 {
							return false
						}
						typ = event.ToolInput
						raw, ok = s.Str()
						return ok
					})
				}
				return ok
			})
		}
		return ok
	})
	return typ, index, raw, ok && typ != 0 && s.End()
}

// padding takes a string and the end of its object.
func padding(s *jsonscan.Scanner) bool {
	_, ok := s.Str()
	return ok && s.Take('}')
}

// decodeDelta reads any delta.
func decodeDelta(payload []byte, to event.Sink) error {
	var v struct {
		ContentBlockIndex int
		Delta             map[string]json.RawMessage
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return err
	}
	ev := event.Event{Type: event.Unknown, Index: v.ContentBlockIndex, Name: "contentBlockDelta"}
	var err error
	switch {
	case v.Delta["text"] != nil:
		ev.Type = event.Text
		err = json.Unmarshal(v.Delta["text"], &ev.Text)
	case v.Delta["toolUse"] != nil:
		var tool struct{ Input string }
		err = json.Unmarshal(v.Delta["toolUse"], &tool)
		ev.Type, ev.Text = event.ToolInput, tool.Input
	case v.Delta["reasoningContent"] != nil:
		var r map[string]json.RawMessage
		if err = json.Unmarshal(v.Delta["reasoningContent"], &r); err != nil {
			return err
		}
		switch {
		case r["text"] != nil:
			ev.Type = event.Reasoning
			err = json.Unmarshal(r["text"], &ev.Text)
		case r["signature"] != nil:
			ev.Type = event.Signature
			err = json.Unmarshal(r["signature"], &ev.Text)
		case r["redactedContent"] != nil:
			ev.Type, ev.Raw = event.Redacted, family.Clone(r["redactedContent"])
		default:
			ev.Raw = family.Clone(payload)
		}
	case v.Delta["citation"] != nil:
		ev.Type, ev.Raw = event.Citation, family.Clone(v.Delta["citation"])
	default:
		ev.Raw = family.Clone(payload)
	}
	if err != nil {
		return err
	}
	if ev.Type != event.Unknown {
		ev.Name = ""
	}
	return to.Add(ev)
}

func readMetadata(payload []byte) (*bedrockkit.Usage, bedrockkit.ServiceTier, error) {
	var v struct {
		Usage       json.RawMessage
		ServiceTier struct{ Type bedrockkit.ServiceTier }
		Performance struct{ Latency bedrockkit.Latency } `json:"performanceConfig"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return nil, "", err
	}
	tier := bedrockkit.ServedTier(v.ServiceTier.Type, v.Performance.Latency)
	if v.Usage == nil {
		return nil, tier, nil
	}
	// The answer is whole, whatever is wrong with its usage: that is unknown then.
	usage, _ := bedrockkit.ParseConverseUsage(v.Usage)
	return &usage, tier, nil
}
