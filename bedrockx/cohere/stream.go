package cohere

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Cohere's Command R models.
func NewDecoder() event.Decoder { return &decoder{} }

// NewDecoder returns a decoder of the answer.
func (ChatRequest) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct{ family.Completion }

func (*decoder) Name() string { return "cohere" }

func (d *decoder) Decode(chunk []byte, to event.Sink) error {
	if raw, ok := scan(chunk); d.Scanned(to, raw, ok) {
		return nil
	}
	var v struct {
		EventType    string `json:"event_type"`
		Text         string
		Citations    []json.RawMessage
		ToolCalls    []ToolCall `json:"tool_calls"`
		FinishReason string     `json:"finish_reason"`
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	stop := StopReason(v.FinishReason)
	switch v.EventType {
	case "stream-start":
		return d.Begin(to)
	case "text-generation":
		if err := d.Text(to, v.Text); err != nil {
			return err
		}
	case "citation-generation":
		for _, c := range v.Citations {
			if err := d.Citation(to, c); err != nil {
				return err
			}
		}
	case "tool-calls-generation":
		if err := d.Begin(to); err != nil {
			return err
		}
		for _, call := range v.ToolCalls {
			index, err := d.Call(to, "", call.Name)
			if err != nil {
				return err
			}
			if err := to.Add(event.Event{Type: event.ToolInput, Index: index, Text: string(call.Parameters)}); err != nil {
				return err
			}
		}
	case "stream-end":
		// It repeats the whole answer, which has come.
		if stop == bedrockkit.StopEndTurn && d.Calls() > 0 {
			stop = bedrockkit.StopToolUse
		}
	default:
		if v.Metrics == nil {
			return family.Unknown(to, v.EventType, chunk)
		}
	}
	return d.End(to, stop, bedrockkit.Usage{Unknown: true}, &v.Invocation, chunk)
}

// scan reads the chunk that comes for every token:
// {"event_type":"text-generation","is_finished":false,"text":"…"}.
func scan(chunk []byte) (raw []byte, ok bool) {
	var typ []byte
	s := jsonscan.New(chunk)
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "event_type":
			typ, ok = s.Str()
		case "is_finished":
			ok = s.Word("false")
		case "text":
			if ok = raw == nil; ok {
				raw, ok = s.Str()
			}
		}
		return ok
	})
	return raw, ok && string(typ) == "text-generation" && s.End()
}
