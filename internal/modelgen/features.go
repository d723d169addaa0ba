package main

import (
	"github.com/mangaassist/bedrockkit"
)

// converseFeatures reads converse-features.json, the features of older models
// by the guide's own tables. Each names the models that have a feature, so that
// what a row does not list is a no; for a few it says nothing.
func (b *build) converseFeatures(data []byte) error {
	var file struct {
		Sources map[string]bedrockkit.ModelSource `json:"sources"`
		Models  []struct {
			ID          bedrockkit.ModelID `json:"id"`
			MaxInput    int                `json:"max_input"`
			MaxOutput   int                `json:"max_output"`
			Features    bedrockkit.Feature `json:"features"`
			PromptCache struct {
				MinTokens int  `json:"min_tokens"`
				OneHour   bool `json:"one_hour"`
				Tools     bool `json:"tools"`
			} `json:"prompt_cache"`
			Sources []string `json:"sources"`
		} `json:"models"`
	}
	if err := strict(data, &file); err != nil {
		return err
	}
	for name, s := range file.Sources {
		if err := b.source(name, s); err != nil {
			return err
		}
	}
	documented := func(source string) bedrockkit.Fact {
		return bedrockkit.Fact{Confidence: "documented", Sources: []string{source}}
	}
	for _, m := range file.Models {
		c := b.rows[m.ID]
		if c == nil {
			c = &bedrockkit.Capability{ID: m.ID, Facts: map[string]bedrockkit.Fact{}}
			b.rows[m.ID] = c
		}
		for source, features := range map[string]bedrockkit.Feature{
			"converse-features": bedrockkit.FeatureSystem | bedrockkit.FeatureDocuments | bedrockkit.FeatureImages | bedrockkit.FeatureTools | bedrockkit.FeatureToolStreaming,
			"tool-choice":       bedrockkit.FeatureToolChoice,
			"modalities":        bedrockkit.FeatureVideo,
			"extended-thinking": bedrockkit.FeatureThinking,
			"structured-output": bedrockkit.FeatureStructuredOutput,
		} {
			for _, name := range features.Names() {
				f, _ := bedrockkit.ParseFeature(name)
				b.set(c, f, supported(m.Features&f != 0), documented(source))
			}
		}
		b.set(c, bedrockkit.FeatureConverse, bedrockkit.Yes, documented("converse-features"))
		if m.Features&bedrockkit.FeaturePrefill != 0 {
			b.set(c, bedrockkit.FeaturePrefill, bedrockkit.Yes, bedrockkit.Fact{Confidence: "peer", Sources: []string{"anthropic-prefill"}})
		}
		if _, known := c.Facts["tool_choice"]; !known && m.Features&bedrockkit.FeatureToolChoice != 0 {
			c.ToolChoice.Any = bedrockkit.Yes
			if m.ID.Provider() != "mistral" { // the API reference names no model of Mistral for a named tool
				c.ToolChoice.Tool = bedrockkit.Yes
			}
			c.Facts["tool_choice"] = documented("tool-choice")
		}
		b.set(c, bedrockkit.FeaturePromptCache, supported(m.PromptCache.MinTokens > 0), documented("prompt-caching"))
		if _, known := c.Facts["prompt_cache"]; !known && m.PromptCache.MinTokens > 0 {
			p := &c.PromptCache
			p.MinTokens, p.MaxPoints, p.TTLs = m.PromptCache.MinTokens, 4, []string{"5m"}
			if m.PromptCache.OneHour {
				p.TTLs = append(p.TTLs, "1h")
			}
			p.System, p.Messages, p.Tools = bedrockkit.Yes, bedrockkit.Yes, supported(m.PromptCache.Tools)
			c.Facts["prompt_cache"] = documented("prompt-caching")
		}
		limits := bedrockkit.Fact{Confidence: "peer", Sources: []string{"bounds"}}
		fillLimit(c, "max_input", &c.MaxInput, m.MaxInput, limits)
		fillLimit(c, "max_output", &c.MaxOutput, m.MaxOutput, limits)
	}
	return nil
}
