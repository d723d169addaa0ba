package titan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// EmbedRequest is the body of a request to Titan Text Embeddings, V1 or V2.
// InputText is required; V1 knows nothing else.
type EmbedRequest struct {
	InputText      string   `json:"inputText"`
	Dimensions     int      `json:"dimensions,omitempty"`     // 256, 512 or 1024 (default)
	Normalize      *bool    `json:"normalize,omitempty"`      // to the length 1, default true
	EmbeddingTypes []string `json:"embeddingTypes,omitempty"` // "float" (default), "binary"

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// EmbedResponse is the body of a response.
type EmbedResponse struct {
	Embedding           []float32         `json:"embedding,omitempty"` // empty where only "binary" was asked for
	EmbeddingsByType    *EmbeddingsByType `json:"embeddingsByType,omitempty"`
	InputTextTokenCount *int64            `json:"inputTextTokenCount"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// EmbeddingsByType has what EmbeddingTypes asked for.
type EmbeddingsByType struct {
	Float  []float32 `json:"float,omitempty"`
	Binary []int8    `json:"binary,omitempty"` // 0 or 1 for each dimension
}

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r EmbedRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := embeds.Check(model); err != nil {
		return nil, err
	}
	base := string(model.Base())
	first := strings.HasPrefix(base, "amazon.titan-embed-text-v1") || strings.HasPrefix(base, "amazon.titan-embed-g1-text")
	switch {
	case strings.TrimSpace(r.InputText) == "":
		return nil, errors.New("inputText is empty")
	case first && (r.Dimensions != 0 || r.Normalize != nil || len(r.EmbeddingTypes) > 0):
		return nil, fmt.Errorf("%s takes inputText alone; dimensions, normalize and embeddingTypes are of amazon.titan-embed-text-v2:0", base)
	}
	if r.Dimensions != 0 {
		if err := family.Among("dimensions", r.Dimensions, 256, 512, 1024); err != nil {
			return nil, err
		}
	}
	for i, t := range r.EmbeddingTypes {
		if err := family.Among(fmt.Sprintf("embeddingTypes[%d]", i), t, "float", "binary"); err != nil {
			return nil, err
		}
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r EmbedRequest) DecodeInvoke(body json.RawMessage) (EmbedResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp EmbedResponse
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if t := resp.EmbeddingsByType; len(resp.Embedding) == 0 && (t == nil || len(t.Float)+len(t.Binary) == 0) {
		return resp, bedrockkit.Usage{}, "", errors.New("the response has no embedding")
	}
	return resp, family.Usage(resp.InputTextTokenCount, new(int64)), "", nil
}

// MultimodalRequest is the body of a request to Titan Multimodal Embeddings
// G1. It has a text, an image, or both, whose embeddings are then averaged.
type MultimodalRequest struct {
	InputText       string           `json:"inputText,omitempty"`
	InputImage      []byte           `json:"inputImage,omitempty"` // base64 in JSON
	EmbeddingConfig *EmbeddingConfig `json:"embeddingConfig,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// EmbeddingConfig says how long a vector is.
type EmbeddingConfig struct {
	OutputEmbeddingLength int `json:"outputEmbeddingLength"` // 256, 384 or 1024 (default)
}

// MultimodalResponse is the body of a response.
type MultimodalResponse struct {
	Embedding           []float32 `json:"embedding"`
	InputTextTokenCount *int64    `json:"inputTextTokenCount"`
	Message             string    `json:"message,omitempty"` // what went wrong

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r MultimodalRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := multimodal.Check(model); err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.InputText) == "" && len(r.InputImage) == 0 {
		return nil, errors.New("it has neither an inputText nor an inputImage")
	}
	if c := r.EmbeddingConfig; c != nil {
		if err := family.Among("outputEmbeddingLength", c.OutputEmbeddingLength, 256, 384, 1024); err != nil {
			return nil, err
		}
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response. The usage of a request with an
// image is unknown to the body, which counts its text alone.
func (r MultimodalRequest) DecodeInvoke(body json.RawMessage) (MultimodalResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp MultimodalResponse
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Embedding) == 0 {
		return resp, bedrockkit.Usage{}, "", fmt.Errorf("the response has no embedding; its message is %q", resp.Message)
	}
	usage := bedrockkit.Usage{Unknown: true}
	if len(r.InputImage) == 0 {
		usage = family.Usage(resp.InputTextTokenCount, new(int64))
	}
	return resp, usage, "", nil
}

type (
	plainEmbedRequest       EmbedRequest
	plainEmbedResponse      EmbedResponse
	plainMultimodalRequest  MultimodalRequest
	plainMultimodalResponse MultimodalResponse
)

// MarshalJSON writes the body as the model takes it.
func (r EmbedRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainEmbedRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *EmbedRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainEmbedRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r EmbedResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainEmbedResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *EmbedResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainEmbedResponse)(r))
	return err
}

// MarshalJSON writes the body as the model takes it.
func (r MultimodalRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainMultimodalRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *MultimodalRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainMultimodalRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r MultimodalResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainMultimodalResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *MultimodalResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainMultimodalResponse)(r))
	return err
}
