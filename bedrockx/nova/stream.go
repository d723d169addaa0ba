package nova

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/converseform"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// NewDecoder returns a decoder of the streams of Amazon's Nova models: the
// events of ConverseStream, each the one member of an object.
func NewDecoder() event.Decoder { return decoder{} }

// NewDecoder returns a decoder of the answer.
func (Request) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct{}

func (decoder) Name() string { return "nova" }

func (decoder) Decode(chunk []byte, to event.Sink) error {
	const open = `{"contentBlockDelta":`
	if len(chunk) > len(open) && string(chunk[:len(open)]) == open && chunk[len(chunk)-1] == '}' &&
		converseform.ScanDelta(chunk[len(open):len(chunk)-1], to) {
		return nil
	}
	var v struct {
		MessageStart      json.RawMessage
		ContentBlockStart json.RawMessage
		ContentBlockDelta json.RawMessage
		ContentBlockStop  json.RawMessage
		MessageStop       json.RawMessage
		Metadata          json.RawMessage
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	switch {
	case v.MessageStart != nil:
		return converseform.Decode([]byte("messageStart"), v.MessageStart, to)
	case v.ContentBlockStart != nil:
		return converseform.Decode([]byte("contentBlockStart"), v.ContentBlockStart, to)
	case v.ContentBlockDelta != nil:
		return converseform.Decode([]byte("contentBlockDelta"), v.ContentBlockDelta, to)
	case v.ContentBlockStop != nil:
		return converseform.Decode([]byte("contentBlockStop"), v.ContentBlockStop, to)
	case v.MessageStop != nil:
		return converseform.Decode([]byte("messageStop"), v.MessageStop, to)
	case v.Metadata != nil || v.Metrics != nil:
		usage := bedrockkit.Usage{Unknown: true}
		if v.Metadata != nil {
			var m struct{ Usage Usage }
			if err := json.Unmarshal(v.Metadata, &m); err != nil {
				return err
			}
			usage = m.Usage.Buckets()
		}
		if usage.Unknown {
			usage = v.Metrics.Usage()
		}
		return to.Add(event.Event{Type: event.Metadata, Usage: &usage, Raw: family.Clone(chunk)})
	}
	return family.Unknown(to, "", chunk)
}
