package openai

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// chats is the body and the models that take it.
var chats = family.Body{Name: "openai.Request", Models: []string{
	"openai.", "qwen.", "deepseek.v", "zai.", "moonshot", "minimax.", "google.gemma", "nvidia.nemotron", "xai.grok",
	"mistral.mistral-large-3", "mistral.ministral", "mistral.magistral", "mistral.voxtral", "mistral.devstral",
}}

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{chats},
	MaxTokens: maxTokens,
	Usage:     usageOf,
	Question:  family.SingleMessage,
	Split:     split,
	Join:      join,
}

func maxTokens(request []byte) int64 {
	return max(family.Bound(request, "max_tokens"), family.Bound(request, "max_completion_tokens"))
}

func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct{ Usage Usage }
	if json.Unmarshal(response, &v) != nil || v.Usage.PromptTokens == nil || v.Usage.CompletionTokens == nil {
		return bedrockkit.Usage{}, false
	}
	return v.Usage.Buckets(), true
}
