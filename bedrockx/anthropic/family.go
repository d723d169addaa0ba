package anthropic

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies and the models that take them.
var (
	messages = family.Body{Name: "anthropic.Request", Models: []string{"anthropic."}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{messages},
	MaxTokens: family.MaxTokens,
	Usage:     usageOf,
	Question:  family.SingleMessage,
	Split:     split,
	Join:      join,
}

func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct {
		Usage struct {
			plainUsage
			InputTokens *int64 `json:"input_tokens"` // and whether there are any
		}
	}
	if json.Unmarshal(response, &v) != nil || v.Usage.InputTokens == nil {
		return bedrockkit.Usage{}, false
	}
	u := Usage(v.Usage.plainUsage)
	u.InputTokens = *v.Usage.InputTokens
	return u.Buckets(), true
}
