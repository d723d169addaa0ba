package nova

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// EmbedRequest is the body of a request to Nova Multimodal Embeddings: one
// text, image, audio or video. Source: "Complete embeddings request and response
// schema", Amazon Nova User Guide.
type EmbedRequest struct {
	SchemaVersion string      `json:"schemaVersion,omitempty"` // default "nova-multimodal-embed-v1"
	TaskType      string      `json:"taskType"`                // "SINGLE_EMBEDDING", which is filled in
	Params        EmbedParams `json:"singleEmbeddingParams"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// EmbedParams say what is embedded, and for what. One of Text, Image, Audio and
// Video is set.
type EmbedParams struct {
	// EmbeddingPurpose is required: "GENERIC_INDEX" for what is searched in,
	// "GENERIC_RETRIEVAL", "TEXT_RETRIEVAL", "IMAGE_RETRIEVAL",
	// "DOCUMENT_RETRIEVAL", "VIDEO_RETRIEVAL" or "AUDIO_RETRIEVAL" for what is
	// searched with, "CLASSIFICATION" or "CLUSTERING".
	EmbeddingPurpose   string      `json:"embeddingPurpose"`
	EmbeddingDimension int         `json:"embeddingDimension,omitempty"` // 256, 384, 1024 or 3072 (default)
	Text               *EmbedText  `json:"text,omitempty"`
	Image              *EmbedMedia `json:"image,omitempty"`
	Audio              *EmbedMedia `json:"audio,omitempty"`
	Video              *EmbedMedia `json:"video,omitempty"`
}

// EmbedText is a text, itself or in S3.
type EmbedText struct {
	TruncationMode string       `json:"truncationMode"` // "START", "END" or "NONE", which makes a longer text an error
	Value          string       `json:"value,omitempty"`
	Source         *MediaSource `json:"source,omitempty"`
}

// EmbedMedia is an image, an audio or a video.
type EmbedMedia struct {
	Format        string      `json:"format"`                  // "png", "mp3", "mp4"…
	DetailLevel   string      `json:"detailLevel,omitempty"`   // of an image: "STANDARD_IMAGE" (default) or "DOCUMENT_IMAGE"
	EmbeddingMode string      `json:"embeddingMode,omitempty"` // of a video, required: "AUDIO_VIDEO_COMBINED" or "AUDIO_VIDEO_SEPARATE"
	Source        MediaSource `json:"source"`
}

// EmbedResponse is the body of a response. It does not have the usage, which is
// that of the response's headers.
type EmbedResponse struct {
	Embeddings []Embedding `json:"embeddings"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Embedding is a vector. A video whose sound is apart has two.
type Embedding struct {
	EmbeddingType       string    `json:"embeddingType"` // "TEXT", "IMAGE", "AUDIO", "VIDEO" or "AUDIO_VIDEO_COMBINED"
	Embedding           []float64 `json:"embedding"`
	TruncatedCharLength int       `json:"truncatedCharLength,omitempty"` // of a text that was cut: the characters that are left
}

// Embed returns the request for the embedding of a text, which is cut at its end
// if it is too long.
func Embed(purpose, text string) EmbedRequest {
	return EmbedRequest{Params: EmbedParams{EmbeddingPurpose: purpose, Text: &EmbedText{TruncationMode: "END", Value: text}}}
}

var purposes = []string{"GENERIC_INDEX", "GENERIC_RETRIEVAL", "TEXT_RETRIEVAL", "IMAGE_RETRIEVAL", "VIDEO_RETRIEVAL",
	"DOCUMENT_RETRIEVAL", "AUDIO_RETRIEVAL", "CLASSIFICATION", "CLUSTERING"}

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r EmbedRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := embeds.Check(model); err != nil {
		return nil, err
	}
	if err := r.Params.check(); err != nil {
		return nil, fmt.Errorf("singleEmbeddingParams.%w", err)
	}
	if r.TaskType == "" {
		r.TaskType = "SINGLE_EMBEDDING"
	}
	if r.TaskType != "SINGLE_EMBEDDING" {
		return nil, fmt.Errorf("taskType is %q; it is SINGLE_EMBEDDING, others are for StartAsyncInvoke", r.TaskType)
	}
	return r.MarshalJSON()
}

func (p *EmbedParams) check() error {
	set := 0
	for name, m := range map[string]*EmbedMedia{"image": p.Image, "audio": p.Audio, "video": p.Video} {
		if m == nil {
			continue
		}
		set++
		if m.Format == "" {
			return fmt.Errorf("%s.format is empty", name)
		}
		if (len(m.Source.Bytes) > 0) == (m.Source.S3Location != nil) {
			return fmt.Errorf("%s.source needs bytes or an s3Location, and not both", name)
		}
	}
	if t := p.Text; t != nil {
		set++
		if (strings.TrimSpace(t.Value) != "") == (t.Source != nil) {
			return errors.New("text needs a value or a source, and not both")
		}
		if err := family.Among("text.truncationMode", t.TruncationMode, "START", "END", "NONE"); err != nil {
			return err
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("text, image, audio, video: %d of them are set; it needs one", set)
	case p.Video != nil && p.Video.EmbeddingMode == "":
		return errors.New("video.embeddingMode is empty; it is AUDIO_VIDEO_COMBINED or AUDIO_VIDEO_SEPARATE")
	case p.EmbeddingDimension != 0:
		if err := family.Among("embeddingDimension", p.EmbeddingDimension, 256, 384, 1024, 3072); err != nil {
			return err
		}
	}
	return family.Among("embeddingPurpose", p.EmbeddingPurpose, purposes...)
}

// DecodeInvoke reads the body of a response.
func (r EmbedRequest) DecodeInvoke(body json.RawMessage) (EmbedResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp EmbedResponse
	unknown := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, unknown, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Embeddings) == 0 || len(resp.Embeddings[0].Embedding) == 0 {
		return resp, unknown, "", errors.New("the response has no embedding")
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

// MarshalJSON writes the body as it came.
func (r EmbedResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainEmbedResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *EmbedResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainEmbedResponse)(r))
	return err
}
