package stream

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
)

// Nova decodes the stream of Amazon's Nova models: the events of
// ConverseStream, each the one member of an object.
var Nova = decoderOf(func() family { return novaFamily{} })

type novaFamily struct{}

func (novaFamily) scan(event []byte) (delta, bool) {
	const open = `{"contentBlockDelta":`
	if len(event) <= len(open) || string(event[:len(open)]) != open || event[len(event)-1] != '}' {
		return delta{}, false
	}
	return scanConverseDelta(event[len(open) : len(event)-1])
}

func (novaFamily) event(s *Stream, event []byte) error {
	var v struct {
		MessageStart      json.RawMessage
		ContentBlockStart json.RawMessage
		ContentBlockDelta json.RawMessage
		ContentBlockStop  json.RawMessage
		MessageStop       json.RawMessage
		Metadata          json.RawMessage
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	switch {
	case v.MessageStart != nil:
		return converseDecoder{}.decode(s, []byte("messageStart"), v.MessageStart)
	case v.ContentBlockStart != nil:
		return converseDecoder{}.decode(s, []byte("contentBlockStart"), v.ContentBlockStart)
	case v.ContentBlockDelta != nil:
		return converseDecoder{}.decode(s, []byte("contentBlockDelta"), v.ContentBlockDelta)
	case v.ContentBlockStop != nil:
		return converseDecoder{}.decode(s, []byte("contentBlockStop"), v.ContentBlockStop)
	case v.MessageStop != nil:
		return converseDecoder{}.decode(s, []byte("messageStop"), v.MessageStop)
	case v.Metadata != nil || v.Metrics != nil:
		usage := bedrockkit.Usage{Unknown: true}
		if v.Metadata != nil {
			var m struct{ Usage nova.Usage }
			if err := read(v.Metadata, &m); err != nil {
				return err
			}
			usage = m.Usage.Buckets()
		}
		if usage.Unknown {
			usage = v.Metrics.usage()
		}
		return s.add(Event{Type: Metadata, Usage: &usage, Raw: clone(event)})
	}
	return s.add(Event{Type: Unknown, Index: -1, Raw: clone(event)})
}
