package stream

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Cohere decodes the stream of Cohere's Command R models.
var Cohere = decoderOf(func() family { return &cohereFamily{} })

type cohereFamily struct{ completion }

// scan reads {"event_type":"text-generation","is_finished":false,"text":"…"}.
func (f *cohereFamily) scan(event []byte) (delta, bool) {
	var raw, typ []byte
	s := jsonscan.New(event)
	ok := s.Object(func(key []byte) (ok bool) {
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
	return f.scanned(raw, ok && string(typ) == "text-generation" && s.End())
}

func (f *cohereFamily) event(s *Stream, event []byte) error {
	var v struct {
		EventType    string `json:"event_type"`
		Text         string
		Citations    []json.RawMessage
		ToolCalls    []cohere.ToolCall `json:"tool_calls"`
		FinishReason string            `json:"finish_reason"`
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	stop := cohere.StopReason(v.FinishReason)
	switch v.EventType {
	case "stream-start":
		return f.begin(s)
	case "text-generation":
		if err := f.text(s, v.Text); err != nil {
			return err
		}
	case "citation-generation":
		for _, c := range v.Citations {
			f.spoke = true
			if err := s.add(Event{Type: Citation, Raw: c}); err != nil {
				return err
			}
		}
	case "tool-calls-generation":
		if err := f.begin(s); err != nil {
			return err
		}
		for _, call := range v.ToolCalls {
			index, err := f.call(s, "", call.Name)
			if err != nil {
				return err
			}
			if err := s.add(Event{Type: ToolInput, Index: index, Text: string(call.Parameters)}); err != nil {
				return err
			}
		}
	case "stream-end":
		// It repeats the whole answer, which has come.
		if stop == bedrockkit.StopEndTurn && f.calls > 0 {
			stop = bedrockkit.StopToolUse
		}
	default:
		if v.Metrics == nil {
			return f.unknown(s, v.EventType, event)
		}
	}
	return f.end(s, stop, bedrockkit.Usage{Unknown: true}, &v.invocation, event)
}
