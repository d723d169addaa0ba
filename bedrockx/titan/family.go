package titan

import (
	"encoding/json"
	"math"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies and the models that take them.
var (
	texts      = family.Body{Name: "titan.TextRequest", Models: []string{"amazon.titan-text"}}
	embeds     = family.Body{Name: "titan.EmbedRequest", Models: []string{"amazon.titan-embed-text", "amazon.titan-embed-g1-text"}}
	multimodal = family.Body{Name: "titan.MultimodalRequest", Models: []string{"amazon.titan-embed-image"}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{texts, embeds, multimodal},
	MaxTokens: maxTokens,
	Usage:     usageOf,
	Split:     split,
	Join:      join,
}

func maxTokens(request []byte) int64 {
	return family.Bound(request, "textGenerationConfig", "maxTokenCount")
}

// usageOf reads the usage of a text and of an embedding. That of an embedding
// of an image, which the body does not count, is not known.
func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct {
		InputTextTokenCount *int64
		Results             []struct{ TokenCount int64 }
		Embedding           json.RawMessage
	}
	if json.Unmarshal(response, &v) != nil || v.InputTextTokenCount == nil || v.Results == nil && v.Embedding == nil ||
		v.Embedding != nil && *v.InputTextTokenCount == 0 {
		return bedrockkit.Usage{}, false
	}
	var output int64
	for _, r := range v.Results {
		if r.TokenCount < 0 || output > math.MaxInt64-r.TokenCount {
			return bedrockkit.Usage{Unknown: true}, true
		}
		output += r.TokenCount
	}
	return family.Usage(v.InputTextTokenCount, &output), true
}
