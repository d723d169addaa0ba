package nova

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/converseform"
	"github.com/mangaassist/bedrockkit/internal/family"
)

const embedding = "amazon.nova-2-multimodal-embeddings"

// The bodies and the models that take them.
var (
	messages = family.Body{Name: "nova.Request", Models: []string{"amazon.nova-"}, Except: []string{"amazon.nova-canvas", "amazon.nova-reel", "amazon.nova-sonic", "amazon.nova-2-sonic", "amazon.nova-2-5-sonic", embedding}}
	embeds   = family.Body{Name: "nova.EmbedRequest", Models: []string{embedding}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{messages, embeds},
	MaxTokens: converseform.MaxTokens,
	Usage:     usageOf,
	Question:  family.SingleMessage,
	Split:     split,
	Join:      join,
}

func usageOf(response []byte) (bedrockkit.Usage, bool) {
	var v struct {
		Output json.RawMessage
		Usage  Usage
	}
	if json.Unmarshal(response, &v) != nil || v.Usage.InputTokens == nil {
		return bedrockkit.Usage{}, false
	}
	return v.Usage.Buckets(), true
}
