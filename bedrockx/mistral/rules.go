package mistral

import (
	"fmt"

	"github.com/mangaassist/bedrockkit"
)

// CheckModel holds the request against what is known of a model: tools, the
// demand for them and images. An error names the field and what would be right.
// What is not known of the model is not refused.
func (r ChatRequest) CheckModel(c bedrockkit.Capability) error {
	no := func(f bedrockkit.Feature) bool { return c.Supports(f) == bedrockkit.No }
	switch {
	case len(r.Tools) > 0 && no(bedrockkit.FeatureTools):
		return fmt.Errorf("tools: %s takes none", c.ID)
	case string(r.ToolChoice) == `"any"` && (no(bedrockkit.FeatureToolChoice) || c.ToolChoice.Any == bedrockkit.No):
		return fmt.Errorf("tool_choice is any; %s takes auto or none", c.ID)
	}
	if no(bedrockkit.FeatureImages) {
		for i, m := range r.Messages {
			for j, part := range m.Content {
				if part.ImageURL != nil {
					return fmt.Errorf("messages[%d].content[%d].image_url: %s takes no images", i, j, c.ID)
				}
			}
		}
	}
	return nil
}
