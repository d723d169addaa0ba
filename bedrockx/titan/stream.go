package titan

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Amazon's Titan Text models.
func NewDecoder() event.Decoder { return &decoder{} }

// NewDecoder returns a decoder of the answer.
func (TextRequest) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct {
	family.Completion
	input *int64 // only the first chunk tells it
}

func (*decoder) Name() string { return "titan" }

func (d *decoder) Decode(chunk []byte, to event.Sink) error {
	if raw, ok := scan(chunk); d.Scanned(to, raw, ok) {
		return nil
	}
	var v struct {
		OutputText                *string
		CompletionReason          string
		InputTextTokenCount       *int64
		TotalOutputTextTokenCount *int64
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	if v.OutputText == nil && v.CompletionReason == "" && v.Metrics == nil {
		return family.Unknown(to, "", chunk)
	}
	if v.InputTextTokenCount != nil {
		d.input = v.InputTextTokenCount
	}
	if v.OutputText != nil {
		if err := d.Text(to, *v.OutputText); err != nil {
			return err
		}
	}
	return d.End(to, StopReason(v.CompletionReason), family.Usage(d.input, v.TotalOutputTextTokenCount), &v.Invocation, chunk)
}

// scan reads the chunk that comes for every token:
// {"outputText":"…","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}.
func scan(chunk []byte) (raw []byte, ok bool) {
	s := jsonscan.New(chunk)
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "outputText":
			if ok = raw == nil; ok {
				raw, ok = s.Str()
			}
			return ok
		case "index":
			return s.Digits()
		case "totalOutputTextTokenCount", "completionReason", "inputTextTokenCount":
			return s.Word("null")
		}
		return false
	})
	return raw, ok && s.End()
}
