package stream

import (
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Titan decodes the stream of Amazon's Titan Text models.
var Titan = decoderOf(func() family { return &titanFamily{} })

type titanFamily struct {
	completion
	input *int64 // only the first chunk tells it
}

// scan reads {"outputText":"…","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}.
func (f *titanFamily) scan(event []byte) (delta, bool) {
	var raw []byte
	s := jsonscan.New(event)
	ok := s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "outputText":
			ok = raw == nil
			if ok {
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
	return f.scanned(raw, ok && s.End())
}

func (f *titanFamily) event(s *Stream, event []byte) error {
	var v struct {
		OutputText                *string
		CompletionReason          string
		InputTextTokenCount       *int64
		TotalOutputTextTokenCount *int64
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	if v.OutputText == nil && v.CompletionReason == "" && v.Metrics == nil {
		return f.unknown(s, "", event)
	}
	if v.InputTextTokenCount != nil {
		f.input = v.InputTextTokenCount
	}
	if v.OutputText != nil {
		if err := f.text(s, *v.OutputText); err != nil {
			return err
		}
	}
	return f.end(s, titan.StopReason(v.CompletionReason), counts(f.input, v.TotalOutputTextTokenCount), &v.invocation, event)
}
