package nova

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// CheckModel holds the request against what is known of a model: reasoning and
// its effort, what does not go with the highest effort, tools and media. An error
// names the field and what would be right. What is not known of the model is
// not refused.
func (r Request) CheckModel(c bedrockkit.Capability) error {
	if t := r.InferenceConfig.ReasoningConfig; t != nil && t.Type == "enabled" {
		effort := t.MaxReasoningEffort
		switch {
		case c.Supports(bedrockkit.FeatureThinking) == bedrockkit.No:
			return fmt.Errorf("inferenceConfig.reasoningConfig: %s does not reason", c.ID)
		case effort != "" && c.Thinking.Effort(effort) == bedrockkit.No:
			return fmt.Errorf("inferenceConfig.reasoningConfig.maxReasoningEffort is %q; %s takes %s", effort, c.ID, strings.Join(c.Thinking.Efforts, ", "))
		case effort == "high" && (r.InferenceConfig.MaxTokens > 0 || r.InferenceConfig.Temperature != nil || r.InferenceConfig.TopP != nil):
			return errors.New("inferenceConfig has maxTokens, temperature or topP; beside the reasoning effort high the model takes none of them")
		}
	}
	if r.ToolConfig != nil && len(r.ToolConfig.Tools) > 0 && c.Supports(bedrockkit.FeatureTools) == bedrockkit.No {
		return fmt.Errorf("toolConfig: %s takes no tools", c.ID)
	}
	for i, m := range r.Messages {
		for j, b := range m.Content {
			for _, media := range []struct {
				block   *Media
				feature bedrockkit.Feature
				name    string
			}{
				{b.Image, bedrockkit.FeatureImages, "image"}, {b.Video, bedrockkit.FeatureVideo, "video"},
				{b.Audio, bedrockkit.FeatureAudio, "audio"}, {b.Document, bedrockkit.FeatureDocuments, "document"},
			} {
				if media.block != nil && c.Supports(media.feature) == bedrockkit.No {
					return fmt.Errorf("messages[%d].content[%d].%s: %s takes none", i, j, media.name, c.ID)
				}
			}
		}
	}
	return nil
}
