package llama

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// NewDecoder returns a decoder of the streams of Meta's Llama models.
func NewDecoder() event.Decoder { return &decoder{} }

// NewDecoder returns a decoder of the answer.
func (Request) NewDecoder() event.Decoder { return NewDecoder() }

type decoder struct {
	family.Completion
	prompt *int64 // only the first chunk tells it
}

func (*decoder) Name() string { return "llama" }

func (d *decoder) Decode(chunk []byte, to event.Sink) error {
	if raw, ok := scan(chunk); d.Scanned(to, raw, ok) {
		return nil
	}
	var v struct {
		Generation           *string
		PromptTokenCount     *int64 `json:"prompt_token_count"`
		GenerationTokenCount *int64 `json:"generation_token_count"`
		StopReason           string `json:"stop_reason"`
		event.Invocation
	}
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	if v.Generation == nil && v.StopReason == "" && v.Metrics == nil {
		return family.Unknown(to, "", chunk)
	}
	if v.PromptTokenCount != nil {
		d.prompt = v.PromptTokenCount
	}
	if v.Generation != nil {
		if err := d.Text(to, *v.Generation); err != nil {
			return err
		}
	}
	return d.End(to, StopReason(v.StopReason), family.Usage(d.prompt, v.GenerationTokenCount), &v.Invocation, chunk)
}

// scan reads the chunk that comes for every token:
// {"generation":"…","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}.
func scan(chunk []byte) (raw []byte, ok bool) {
	s := jsonscan.New(chunk)
	ok = s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "generation":
			if ok = raw == nil; ok {
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
	return raw, ok && s.End()
}
