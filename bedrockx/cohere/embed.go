package cohere

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// What embeddings are for. Those of a search are made with SearchDocument for
// what is to be found and with SearchQuery for what it is found by.
const (
	SearchDocument = "search_document"
	SearchQuery    = "search_query"
	Classification = "classification"
	Clustering     = "clustering"
	ImageInput     = "image" // of Embed v3, for images
)

// EmbedRequest is the body of a request to Embed, v3 or v4. InputType is
// required, and one of Texts, Images and Inputs.
type EmbedRequest struct {
	InputType       string   `json:"input_type"` // as [SearchDocument]
	Texts           []string `json:"texts,omitempty"`
	Images          []string `json:"images,omitempty"` // data URIs, as [DataURI] makes them; v3 takes one
	Inputs          []Input  `json:"inputs,omitempty"` // v4: texts and images of one thing, together
	EmbeddingTypes  []string `json:"embedding_types,omitempty"`
	OutputDimension int      `json:"output_dimension,omitempty"` // v4: 256, 512, 1024 or 1536 (default)
	MaxTokens       int      `json:"max_tokens,omitempty"`       // v4: of each input, default 128,000
	Truncate        string   `json:"truncate,omitempty"`         // what is too long: "NONE" (an error), and "START" or "END" in v3, "LEFT" or "RIGHT" in v4

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Input is one thing to embed.
type Input struct {
	Content []Part `json:"content"`
}

// Part is a text or an image of an input.
type Part struct {
	Type     string `json:"type"` // "text" or "image_url"
	Text     string `json:"text,omitempty"`
	ImageURL string `json:"image_url,omitempty"` // a data URI
}

// EmbedResponse is the body of a response.
type EmbedResponse struct {
	ID           string     `json:"id"`
	ResponseType string     `json:"response_type"` // "embeddings_floats" or "embeddings_by_type"
	Embeddings   Embeddings `json:"embeddings"`
	Texts        []string   `json:"texts,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Embeddings are the vectors by type, each list in the order of the inputs.
// Binary vectors have eight dimensions in a number.
type Embeddings struct {
	Float   [][]float32 `json:"float,omitempty"`
	Int8    [][]int8    `json:"int8,omitempty"`
	Uint8   [][]uint16  `json:"uint8,omitempty"` // 0 to 255; Go's uint8 would be base64 in JSON
	Binary  [][]int8    `json:"binary,omitempty"`
	Ubinary [][]uint16  `json:"ubinary,omitempty"` // likewise
}

// UnmarshalJSON reads vectors by type, or the list of floats that comes where
// no type was asked for.
func (e *Embeddings) UnmarshalJSON(data []byte) error {
	*e = Embeddings{}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte{'['}) {
		return json.Unmarshal(data, &e.Float)
	}
	type plain Embeddings
	return json.Unmarshal(data, (*plain)(e))
}

func (e *Embeddings) count() int {
	return max(len(e.Float), len(e.Int8), len(e.Uint8), len(e.Binary), len(e.Ubinary))
}

// maxInputs is the most that one request embeds.
const maxInputs = 96

var (
	inputTypes     = []string{SearchDocument, SearchQuery, Classification, Clustering, ImageInput}
	embeddingTypes = []string{"float", "int8", "uint8", "binary", "ubinary"}
)

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r EmbedRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := embeds.Check(model); err != nil {
		return nil, err
	}
	if err := family.Among("input_type", r.InputType, inputTypes...); err != nil {
		return nil, err
	}
	given, n := 0, 0
	for _, length := range []int{len(r.Texts), len(r.Images), len(r.Inputs)} {
		if n = max(n, length); length > 0 {
			given++
		}
	}
	base := string(model.Base())
	v3 := strings.HasPrefix(base, "cohere.embed-english") || strings.HasPrefix(base, "cohere.embed-multilingual")
	switch {
	case given != 1:
		return nil, errors.New("give one of texts, images and inputs")
	case n > maxInputs:
		return nil, fmt.Errorf("it has %d inputs; a request has %d at most", n, maxInputs)
	case v3 && (len(r.Inputs) > 0 || r.OutputDimension != 0 || r.MaxTokens != 0):
		return nil, fmt.Errorf("inputs, output_dimension and max_tokens are of cohere.embed-v4; the model is %s", base)
	case r.MaxTokens < 0:
		return nil, fmt.Errorf("max_tokens is %d; it is at least 1, or 0 for the service's default", r.MaxTokens)
	}
	if r.OutputDimension != 0 {
		if err := family.Among("output_dimension", r.OutputDimension, 256, 512, 1024, 1536); err != nil {
			return nil, err
		}
	}
	for i, text := range r.Texts {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("texts[%d] is blank", i)
		}
	}
	for i, image := range r.Images {
		if !strings.HasPrefix(image, "data:") {
			return nil, fmt.Errorf("images[%d] is no data URI; cohere.DataURI makes one", i)
		}
	}
	for i, t := range r.EmbeddingTypes {
		if err := family.Among(fmt.Sprintf("embedding_types[%d]", i), t, embeddingTypes...); err != nil {
			return nil, err
		}
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response. One with another number of
// vectors than the request has inputs is an error, as nobody could tell whose
// they are.
func (r EmbedRequest) DecodeInvoke(body json.RawMessage) (EmbedResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp EmbedResponse
	unknown := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, unknown, "", fmt.Errorf("reading the response: %w", err)
	}
	if want, got := len(r.Texts)+len(r.Images)+len(r.Inputs), resp.Embeddings.count(); got != want {
		return resp, unknown, "", fmt.Errorf("the response has %d embeddings for %d inputs", got, want)
	}
	return resp, unknown, "", nil
}

type (
	plainEmbedRequest  EmbedRequest
	plainEmbedResponse EmbedResponse
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

// MarshalJSON writes the body, its embeddings by type.
func (r EmbedResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainEmbedResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *EmbedResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainEmbedResponse)(r))
	return err
}

// DataURI returns an image as Embed takes it.
func DataURI(mediaType string, data []byte) string { return family.DataURI(mediaType, data) }
