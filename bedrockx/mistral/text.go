package mistral

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// TextRequest is the body of a text completion. Prompt is required, in the
// model's own format: <s>[INST] … [/INST].
type TextRequest struct {
	Prompt      string   `json:"prompt"`
	MaxTokens   int      `json:"max_tokens,omitempty"` // default: what the model gives
	Stop        []string `json:"stop,omitempty"`       // 10 at most
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"` // 0 to 1
	TopK        *int     `json:"top_k,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// TextResponse is the body of a response. It does not have the usage, which is
// that of the response's headers.
type TextResponse struct {
	Outputs []Output `json:"outputs"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Output is one text; a response has one.
type Output struct {
	Text       string `json:"text"`
	StopReason string `json:"stop_reason"` // "stop" or "length"; see [StopReason]
}

// Text is all text of the response.
func (r TextResponse) Text() string {
	var b strings.Builder
	for _, output := range r.Outputs {
		b.WriteString(output.Text)
	}
	return b.String()
}

// StopReason translates a stop reason into that of Converse; one that means
// nothing else passes through.
func StopReason(reason string) bedrockkit.StopReason {
	switch reason {
	case "stop":
		return bedrockkit.StopEndTurn
	case "length":
		return bedrockkit.StopMaxTokens
	case "tool_calls":
		return bedrockkit.StopToolUse
	case "model_length":
		return bedrockkit.StopContextWindowExceeded
	}
	return bedrockkit.StopReason(reason)
}

// MaxOutputTokens is MaxTokens; 0 stands for the most that the model gives.
func (r TextRequest) MaxOutputTokens() int { return r.MaxTokens }

// Continued is the request for the rest of an answer that begins with soFar.
func (r TextRequest) Continued(soFar string) TextRequest {
	r.Prompt += soFar
	return r
}

const maxStops = 10

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r TextRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := texts.Check(model); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return nil, errors.New("prompt is empty")
	case len(r.Stop) > maxStops:
		return nil, fmt.Errorf("it has %d stop sequences; a request has %d at most", len(r.Stop), maxStops)
	}
	if err := checkSampling(r.MaxTokens, r.Temperature, r.TopP); err != nil {
		return nil, err
	}
	return r.MarshalJSON()
}

// checkSampling holds for both bodies.
func checkSampling(maxTokens int, temperature, topP *float64) error {
	if maxTokens < 0 {
		return fmt.Errorf("max_tokens is %d; it is at least 1, or 0 for the service's default", maxTokens)
	}
	if temperature != nil && *temperature < 0 {
		return fmt.Errorf("temperature is %v; it is at least 0", *temperature)
	}
	return family.Between("top_p", topP, 0, 1)
}

// DecodeInvoke reads the body of a response.
func (r TextRequest) DecodeInvoke(body json.RawMessage) (TextResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp TextResponse
	unknown := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, unknown, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Outputs) == 0 {
		return resp, unknown, "", errors.New("the response has no outputs")
	}
	return resp, unknown, StopReason(resp.Outputs[0].StopReason), nil
}

type (
	plainTextRequest  TextRequest
	plainTextResponse TextResponse
)

// MarshalJSON writes the body as the model takes it.
func (r TextRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainTextRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *TextRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainTextRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r TextResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainTextResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *TextResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainTextResponse)(r))
	return err
}
