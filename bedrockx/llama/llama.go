package llama

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// Request is the body of a request. Prompt is required.
type Request struct {
	Prompt      string   `json:"prompt"`
	Images      [][]byte `json:"images,omitempty"`      // of the models from 3.2 on that see; base64 in JSON
	MaxGenLen   int      `json:"max_gen_len,omitempty"` // tokens, default 512
	Temperature *float64 `json:"temperature,omitempty"` // 0 to 1, default 0.5
	TopP        *float64 `json:"top_p,omitempty"`       // 0 to 1, default 0.9

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Response is the body of a response.
type Response struct {
	Generation           string `json:"generation"`
	PromptTokenCount     *int64 `json:"prompt_token_count"`
	GenerationTokenCount *int64 `json:"generation_token_count"`
	StopReason           string `json:"stop_reason"` // "stop" or "length"; see [StopReason]

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// StopReason translates a stop reason into that of Converse; one that means
// nothing else passes through.
func StopReason(reason string) bedrockkit.StopReason {
	switch reason {
	case "stop":
		return bedrockkit.StopEndTurn
	case "length":
		return bedrockkit.StopMaxTokens
	}
	return bedrockkit.StopReason(reason)
}

// MaxOutputTokens is MaxGenLen, or the service's default.
func (r Request) MaxOutputTokens() int {
	if r.MaxGenLen == 0 {
		return defaultMaxGenLen
	}
	return r.MaxGenLen
}

const defaultMaxGenLen = 512

// Continued is the request for the rest of an answer that begins with soFar.
func (r Request) Continued(soFar string) Request {
	r.Prompt += soFar
	return r
}

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r Request) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := prompts.Check(model); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return nil, errors.New("prompt is empty")
	case r.MaxGenLen < 0:
		return nil, fmt.Errorf("max_gen_len is %d; it is at least 1, or 0 for the service's default", r.MaxGenLen)
	}
	if err := errors.Join(family.Between("temperature", r.Temperature, 0, 1), family.Between("top_p", r.TopP, 0, 1)); err != nil {
		return nil, err
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r Request) DecodeInvoke(body json.RawMessage) (Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp Response
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if resp.StopReason == "" && resp.Generation == "" {
		return resp, bedrockkit.Usage{}, "", errors.New("the response has neither a generation nor a stop reason")
	}
	return resp, family.Usage(resp.PromptTokenCount, resp.GenerationTokenCount), StopReason(resp.StopReason), nil
}

type (
	plainRequest  Request
	plainResponse Response
)

// MarshalJSON writes the body as the model takes it.
func (r Request) MarshalJSON() ([]byte, error) { return family.Marshal(plainRequest(r), r.Extra) }

// UnmarshalJSON reads a body.
func (r *Request) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r Response) MarshalJSON() ([]byte, error) { return family.Marshal(plainResponse(r), r.Extra) }

// UnmarshalJSON reads a body.
func (r *Response) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainResponse)(r))
	return err
}
