package titan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// TextRequest is the body of a request to a Titan Text model. InputText is
// required.
type TextRequest struct {
	InputText            string      `json:"inputText"`
	TextGenerationConfig *TextConfig `json:"textGenerationConfig,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// TextConfig are the inference parameters.
type TextConfig struct {
	MaxTokenCount int      `json:"maxTokenCount,omitempty"` // default 512
	Temperature   *float64 `json:"temperature,omitempty"`   // 0 to 1, default 0.7
	TopP          *float64 `json:"topP,omitempty"`          // 0 to 1, default 0.9
	StopSequences []string `json:"stopSequences,omitempty"`
}

// TextResponse is the body of a response.
type TextResponse struct {
	InputTextTokenCount *int64       `json:"inputTextTokenCount"`
	Results             []TextResult `json:"results"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// TextResult is one text; a response has one.
type TextResult struct {
	TokenCount       *int64 `json:"tokenCount"`
	OutputText       string `json:"outputText"`
	CompletionReason string `json:"completionReason"` // "FINISH", "LENGTH", "CONTENT_FILTERED"…; see [StopReason]
}

// Text is all text of the response.
func (r TextResponse) Text() string {
	var b strings.Builder
	for _, result := range r.Results {
		b.WriteString(result.OutputText)
	}
	return b.String()
}

// StopReason translates a completion reason into a stop reason of Converse;
// one that means nothing else passes through.
func StopReason(completion string) bedrockkit.StopReason {
	switch completion {
	case "FINISH", "FINISHED":
		return bedrockkit.StopEndTurn
	case "LENGTH":
		return bedrockkit.StopMaxTokens
	case "STOP_CRITERIA_MET":
		return bedrockkit.StopSequence
	case "CONTENT_FILTERED":
		return bedrockkit.StopContentFiltered
	}
	return bedrockkit.StopReason(completion)
}

// MaxOutputTokens is MaxTokenCount, or the service's default.
func (r TextRequest) MaxOutputTokens() int {
	if c := r.TextGenerationConfig; c != nil && c.MaxTokenCount > 0 {
		return c.MaxTokenCount
	}
	return defaultMaxTokenCount
}

const defaultMaxTokenCount = 512

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r TextRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := texts.Check(model); err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.InputText) == "" {
		return nil, errors.New("inputText is empty")
	}
	if c := r.TextGenerationConfig; c != nil {
		if c.MaxTokenCount < 0 {
			return nil, fmt.Errorf("maxTokenCount is %d; it is at least 1, or 0 for the service's default", c.MaxTokenCount)
		}
		if err := errors.Join(family.Between("temperature", c.Temperature, 0, 1), family.Between("topP", c.TopP, 0, 1)); err != nil {
			return nil, err
		}
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r TextRequest) DecodeInvoke(body json.RawMessage) (TextResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp TextResponse
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Results) == 0 {
		return resp, bedrockkit.Usage{}, "", errors.New("the response has no results")
	}
	output := new(int64)
	for _, result := range resp.Results {
		if result.TokenCount == nil {
			output = nil
			break
		}
		*output += *result.TokenCount
	}
	return resp, family.Usage(resp.InputTextTokenCount, output), StopReason(resp.Results[0].CompletionReason), nil
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
