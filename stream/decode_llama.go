package stream

import (
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Llama decodes the stream of Meta's Llama models.
var Llama = decoderOf(func() family { return &llamaFamily{} })

type llamaFamily struct {
	completion
	prompt *int64 // only the first chunk tells it
}

// scan reads {"generation":"…","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}.
func (f *llamaFamily) scan(event []byte) (delta, bool) {
	var raw []byte
	s := jsonscan.New(event)
	ok := s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "generation":
			ok = raw == nil
			if ok {
				raw, ok = s.Str()
			}
			return ok
		case "generation_token_count":
			return s.Digits()
		case "prompt_token_count", "stop_reason", "logprobs":
			return s.Word("null")
		}
		return false
	})
	return f.scanned(raw, ok && s.End())
}

func (f *llamaFamily) event(s *Stream, event []byte) error {
	var v struct {
		Generation           *string
		PromptTokenCount     *int64 `json:"prompt_token_count"`
		GenerationTokenCount *int64 `json:"generation_token_count"`
		StopReason           string `json:"stop_reason"`
		invocation
	}
	if err := read(event, &v); err != nil {
		return err
	}
	if v.Generation == nil && v.StopReason == "" && v.Metrics == nil {
		return f.unknown(s, "", event)
	}
	if v.PromptTokenCount != nil {
		f.prompt = v.PromptTokenCount
	}
	if v.Generation != nil {
		if err := f.text(s, *v.Generation); err != nil {
			return err
		}
	}
	return f.end(s, llama.StopReason(v.StopReason), counts(f.prompt, v.GenerationTokenCount), &v.invocation, event)
}
