package cohere

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// RerankRequest is the body of a request to Cohere Rerank or Amazon Rerank.
// Query and Documents are required.
type RerankRequest struct {
	Query      string   `json:"query"`
	Documents  []string `json:"documents"`             // 1,000 at most
	TopN       int      `json:"top_n,omitempty"`       // the best ones, default all
	APIVersion int      `json:"api_version,omitempty"` // of Cohere's models: at least 2, which is filled in

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// RerankResponse is the body of a response.
type RerankResponse struct {
	Results []Rank `json:"results"` // the most relevant first

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Rank is how well a document fits.
type Rank struct {
	Index          int     `json:"index"` // into the request's documents
	RelevanceScore float64 `json:"relevance_score"`
}

const (
	maxDocuments  = 1000
	leastAPI      = 2
	cohereReranks = "cohere.rerank"
)

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r RerankRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := reranks.Check(model); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(r.Query) == "":
		return nil, errors.New("query is empty")
	case len(r.Documents) == 0:
		return nil, errors.New("documents is empty")
	case len(r.Documents) > maxDocuments:
		return nil, fmt.Errorf("it has %d documents; a request has %d at most", len(r.Documents), maxDocuments)
	case r.TopN < 0:
		return nil, fmt.Errorf("top_n is %d; it is at least 1, or 0 for all", r.TopN)
	}
	for i, document := range r.Documents {
		if strings.TrimSpace(document) == "" {
			return nil, fmt.Errorf("documents[%d] is blank", i)
		}
	}
	if r.APIVersion == 0 && strings.HasPrefix(string(model.Base()), cohereReranks) {
		r.APIVersion = leastAPI
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response. An index that is none of the
// documents is an error.
func (r RerankRequest) DecodeInvoke(body json.RawMessage) (RerankResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp RerankResponse
	unknown := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, unknown, "", fmt.Errorf("reading the response: %w", err)
	}
	if len(resp.Results) == 0 {
		return resp, unknown, "", errors.New("the response has no results")
	}
	for i, rank := range resp.Results {
		if rank.Index < 0 || rank.Index >= len(r.Documents) {
			return resp, unknown, "", fmt.Errorf("results[%d].index is %d, of %d documents", i, rank.Index, len(r.Documents))
		}
	}
	return resp, unknown, "", nil
}

type (
	plainRerankRequest  RerankRequest
	plainRerankResponse RerankResponse
)

// MarshalJSON writes the body as the model takes it.
func (r RerankRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainRerankRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *RerankRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainRerankRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r RerankResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainRerankResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *RerankResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainRerankResponse)(r))
	return err
}
