package openai

import (
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// CheckModel holds the request against what is known of a model: the effort of
// reasoning, tools and the demand for them, strict tools, response formats and
// images. An error names the field and what would be right. What is not known of
// the model is not refused.
func (r Request) CheckModel(c bedrockkit.Capability) error {
	no := func(f bedrockkit.Feature) bool { return c.Supports(f) == bedrockkit.No }
	if effort := r.ReasoningEffort; effort != "" && c.Thinking.Effort(effort) == bedrockkit.No {
		return fmt.Errorf("reasoning_effort is %q; %s takes %s", effort, c.ID, strings.Join(c.Thinking.Efforts, ", "))
	}
	if f := r.ResponseFormat; f != nil && f.Type == "json_schema" && no(bedrockkit.FeatureStructuredOutput) {
		return fmt.Errorf("response_format is a JSON Schema; %s takes none, so offer a tool with the schema", c.ID)
	}
	if len(r.Tools) > 0 && no(bedrockkit.FeatureTools) {
		return fmt.Errorf("tools: %s takes none", c.ID)
	}
	for i, t := range r.Tools {
		if t.Function.Strict != nil && *t.Function.Strict && no(bedrockkit.FeatureStrictTools) {
			return fmt.Errorf("tools[%d].function.strict is not taken by %s", i, c.ID)
		}
	}
	if choice := r.ToolChoice; choice != nil && (choice.Name != "" || choice.Mode == "required") {
		demand, takes := "required", c.ToolChoice.Any
		if choice.Name != "" {
			demand, takes = "a tool's name", c.ToolChoice.Tool
		}
		if takes == bedrockkit.No || no(bedrockkit.FeatureToolChoice) {
			return fmt.Errorf("tool_choice is %s; %s takes auto or none", demand, c.ID)
		}
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
