package asyncq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Inference is a payload that asks a model.
type Inference struct {
	Prompt    string             `json:"prompt"`
	System    string             `json:"system,omitempty"`
	Model     bedrockkit.ModelID `json:"model_id,omitempty"`   // default that of the worker's client
	MaxTokens int                `json:"max_tokens,omitempty"` // default that of the worker's client
}

// Validate checks the payload. It is called when the request is submitted, before
// anything is stored.
func (i Inference) Validate() error {
	switch {
	case strings.TrimSpace(i.Prompt) == "":
		return errors.New("prompt is blank")
	case i.MaxTokens < 0:
		return fmt.Errorf("max_tokens is %d; it is at least 1, or 0 for the default", i.MaxTokens)
	case i.Model == "":
		return nil
	}
	if c, known := bedrockkit.Capabilities(i.Model); known && c.MaxOutput > 0 && i.MaxTokens > c.MaxOutput {
		return fmt.Errorf("max_tokens is %d; %s answers with at most %d", i.MaxTokens, c.ID, c.MaxOutput)
	}
	return i.Model.Validate()
}

// ModelAttribute returns the message's attribute ModelId.
func (i Inference) ModelAttribute() string { return string(i.Model) }

// InferenceResult is what [Infer] stores as the result.
type InferenceResult struct {
	Text       string                `json:"text"`
	StopReason bedrockkit.StopReason `json:"stop_reason"`
	Model      bedrockkit.ModelID    `json:"model_id"` // the model that answered
	Usage      bedrockkit.Usage      `json:"usage"`
	Cost       *pricing.Amount       `json:"cost,omitempty"` // US dollars
	Latency    time.Duration         `json:"latency_ns"`
}

// Infer returns the handler of inference jobs: it asks the model and stores the
// answer. If the request itself is wrong, such as a prompt that is too long, it is not
// tried again: the job fails.
func Infer(chat *converse.Client) Handler[Inference] {
	return func(ctx context.Context, job *Job[Inference]) error {
		in := job.Payload
		request := converse.Request{Model: in.Model, MaxTokens: in.MaxTokens, Messages: []converse.Message{converse.User(in.Prompt)}}
		if in.System != "" {
			request.System = converse.Texts(in.System)
		}
		answer, err := chat.Send(ctx, request)
		if err != nil {
			if hopeless(err) {
				return JobDead(err)
			}
			return err
		}
		job.AddUsage(answer.Usage, answer.Cost)
		return job.SetResult(InferenceResult{Text: answer.Text(), StopReason: answer.StopReason, Model: answer.Model,
			Usage: answer.Usage, Cost: answer.Cost, Latency: answer.Latency})
	}
}

// hopeless reports whether no attempt can ever answer. Access that is denied can be
// granted.
func hopeless(err error) bool {
	for _, target := range []error{bedrockx.ErrValidation, bedrockx.ErrContextOverflow, bedrockx.ErrNotFound} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
