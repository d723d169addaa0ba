package app

import (
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/pricing"
)

// models are the models by the names that clients use.
func (s Settings) models() (map[string]bedrockkit.ModelID, error) {
	models := map[string]bedrockkit.ModelID{"haiku": bedrockkit.ModelID(s.Haiku), "sonnet": bedrockkit.ModelID(s.Sonnet)}
	for name, id := range models {
		if err := id.Validate(); err != nil {
			return nil, fmt.Errorf("-%s or MANGA_%s: %w", name, strings.ToUpper(name), err)
		}
	}
	return models, nil
}

// modelInfo is what the page knows of a model.
type modelInfo struct {
	Name string             `json:"name"`
	ID   bedrockkit.ModelID `json:"id,omitempty"`

	// The prices of a million tokens, in US dollars; none if they are not known.
	Input  *pricing.Amount `json:"input_per_million_usd,omitempty"`
	Output *pricing.Amount `json:"output_per_million_usd,omitempty"`

	Routing bool `json:"routing,omitempty"` // the rules choose one of the others
}

// modelInfos are the models that a client can choose, with their prices in a region.
func modelInfos(models map[string]bedrockkit.ModelID, region string) []modelInfo {
	var all []modelInfo
	for _, name := range []string{"haiku", "sonnet"} {
		all = append(all, modelInfo{
			Name: name, ID: models[name],
			Input:  perMillion(models[name], region, bedrockkit.Usage{InputTokens: 1}),
			Output: perMillion(models[name], region, bedrockkit.Usage{OutputTokens: 1}),
		})
	}
	return append(all, modelInfo{Name: rest.Auto, Routing: true})
}

// perMillion is what a million tokens cost, nil if that is not known. It asks for
// the price of one token, as a longer request may have another.
func perMillion(model bedrockkit.ModelID, region string, token bedrockkit.Usage) *pricing.Amount {
	cost, err := pricing.Default().Cost(model, token, func(o *pricing.CostOptions) { o.Region = region })
	if err != nil {
		return nil
	}
	cost = cost.Mul(1_000_000)
	return &cost
}
