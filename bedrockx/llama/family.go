package llama

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies and the models that take them.
var (
	prompts = family.Body{Name: "llama.Request", Models: []string{"meta.llama"}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{prompts},
	MaxTokens: maxTokens,
	Usage:     usageOf,
	Split:     split,
	Join:      join,
}

func maxTokens(request []byte) int64 { return family.Bound(request, "max_gen_len") }

func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct {
		Prompt     *int64 `json:"prompt_token_count"`
		Generation *int64 `json:"generation_token_count"`
	}
	if json.Unmarshal(response, &v) != nil || v.Prompt == nil || v.Generation == nil {
		return bedrockkit.Usage{}, false
	}
	return family.Usage(v.Prompt, v.Generation), true
}
