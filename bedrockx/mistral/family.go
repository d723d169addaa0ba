package mistral

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies and the models that take them.
var (
	texts = family.Body{Name: "mistral.TextRequest", Models: []string{"mistral."}}
	chats = family.Body{Name: "mistral.ChatRequest", Models: []string{"mistral."}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{texts, chats},
	MaxTokens: family.MaxTokens,
	Usage:     usageOf,
	Split:     split,
	Join:      join,
}

func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct{ Usage Usage }
	if json.Unmarshal(response, &v) != nil || v.Usage.PromptTokens == nil || v.Usage.CompletionTokens == nil {
		return bedrockkit.Usage{}, false
	}
	return v.Usage.Buckets(), true
}
