package anthropic

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/outputschema"
)

// CheckModel holds the request against what is known of a model: thinking,
// effort, sampling, forced tools, native output formats, prefill, messages of the
// role system, images, documents and marks of the prompt cache. An error names
// the field and what would be right. What is not known of the model is not
// refused.
func (r Request) CheckModel(c bedrockkit.Capability) error {
	for _, check := range []func(bedrockkit.Capability) error{
		r.checkModes, r.checkSampling, r.checkForcedTool, r.checkFormats, r.checkRoles, r.checkContent,
	} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// modes is a list of the modes of thinking that a model takes.
func modes(c bedrockkit.Capability) string {
	var names []string
	for _, mode := range []bedrockkit.ThinkingMode{bedrockkit.ThinkingAdaptive, bedrockkit.ThinkingEnabled, bedrockkit.ThinkingBetweenTools, bedrockkit.ThinkingDisabled} {
		if c.Thinking.Mode(mode) == bedrockkit.Yes {
			names = append(names, string(mode))
		}
	}
	if names == nil {
		return "no thinking"
	}
	return strings.Join(names, " or ")
}

func (r Request) checkModes(c bedrockkit.Capability) error {
	mode := c.Thinking.Default
	if t := r.Thinking; t != nil {
		mode = bedrockkit.ThinkingMode(t.Type)
		off := mode == bedrockkit.ThinkingDisabled
		switch {
		case c.Supports(bedrockkit.FeatureThinking) == bedrockkit.No && !off:
			return fmt.Errorf("thinking: %s does not think", c.ID)
		case c.Thinking.Mode(mode) == bedrockkit.No:
			return fmt.Errorf("thinking.type is %q; %s takes %s", mode, c.ID, modes(c))
		case t.BlockBinding != nil && c.Thinking.BlockBinding == bedrockkit.No:
			return fmt.Errorf("thinking.block_binding is not taken by %s", c.ID)
		}
	}
	if r.OutputConfig == nil || r.OutputConfig.Effort == "" {
		return nil
	}
	effort := r.OutputConfig.Effort
	switch {
	case c.Thinking.Effort(effort) == bedrockkit.No:
		return fmt.Errorf("output_config.effort is %q; %s takes %s", effort, c.ID, strings.Join(c.Thinking.Efforts, ", "))
	case c.Thinking.EffortWith(effort, mode) == bedrockkit.No:
		return fmt.Errorf("output_config.effort is %q; beside thinking of the type %s it is %s at most", effort, mode, c.Thinking.EffortCaps[mode])
	}
	return nil
}

func (r Request) checkSampling(c bedrockkit.Capability) error {
	topK := (*float64)(nil)
	if r.TopK != nil {
		k := float64(*r.TopK)
		topK = &k
	}
	for _, p := range []struct {
		name  string
		value *float64
		takes bedrockkit.Parameter
	}{
		{"temperature", r.Temperature, c.Sampling.Temperature}, {"top_p", r.TopP, c.Sampling.TopP}, {"top_k", topK, c.Sampling.TopK},
	} {
		switch {
		case p.value == nil || p.takes.Takes(*p.value) != bedrockkit.No:
		case p.takes.Accepted == bedrockkit.No:
			return fmt.Errorf("%s is not taken by %s; leave it out", p.name, c.ID)
		default:
			return fmt.Errorf("%s is %v; %s takes %s", p.name, *p.value, c.ID, span(p.takes))
		}
	}
	if r.Temperature != nil && r.TopP != nil && c.Sampling.Both == bedrockkit.No {
		return fmt.Errorf("temperature and top_p are both set; %s takes one of them", c.ID)
	}
	if c.ID == "" || r.Thinking == nil || r.Thinking.Type != string(bedrockkit.ThinkingEnabled) && r.Thinking.Type != string(bedrockkit.ThinkingAdaptive) {
		return nil
	}
	switch {
	case r.Temperature != nil && *r.Temperature != 1:
		return fmt.Errorf("temperature is %v; %s takes none but 1 while it thinks", *r.Temperature, c.ID)
	case r.TopP != nil && *r.TopP < 0.95:
		return fmt.Errorf("top_p is %v; %s takes 0.95 and more while it thinks", *r.TopP, c.ID)
	case topK != nil:
		return fmt.Errorf("top_k is set; %s takes none while it thinks", c.ID)
	}
	return nil
}

// span says which values a parameter may have.
func span(p bedrockkit.Parameter) string {
	switch {
	case p.Min != nil && p.Max != nil && *p.Min == *p.Max:
		return fmt.Sprintf("%v or none", *p.Min)
	case p.Min != nil && p.Max != nil:
		return fmt.Sprintf("%v to %v or none", *p.Min, *p.Max)
	case p.Min != nil:
		return fmt.Sprintf("%v or more", *p.Min)
	}
	return fmt.Sprintf("%v or less", *p.Max)
}

// thinks reports whether the model is known to think in the answer.
func (r Request) thinks(c bedrockkit.Capability) bool {
	if r.Thinking == nil {
		return c.Thinking.OnByDefault() == bedrockkit.Yes
	}
	return r.Thinking.Type != string(bedrockkit.ThinkingDisabled)
}

func (r Request) checkForcedTool(c bedrockkit.Capability) error {
	if len(r.Tools) > 0 && c.Supports(bedrockkit.FeatureTools) == bedrockkit.No {
		return fmt.Errorf("tools: %s takes none", c.ID)
	}
	if r.ToolChoice == nil || r.ToolChoice.Type != "any" && r.ToolChoice.Type != "tool" {
		return nil
	}
	switch {
	case c.ForcesTool(false) == bedrockkit.No:
		return fmt.Errorf("tool_choice.type is %q; %s cannot be made to call a tool, it takes auto or none", r.ToolChoice.Type, c.ID)
	case r.thinks(c) && c.ForcesTool(true) == bedrockkit.No:
		return fmt.Errorf("tool_choice.type is %q; %s cannot be made to call a tool while it thinks", r.ToolChoice.Type, c.ID)
	}
	return nil
}

func (r Request) checkFormats(c bedrockkit.Capability) error {
	if r.OutputConfig != nil && len(r.OutputConfig.Format) > 0 && c.Supports(bedrockkit.FeatureStructuredOutput) == bedrockkit.No {
		return fmt.Errorf("output_config.format is not taken by %s; offer a tool with the schema", c.ID)
	}
	if r.OutputConfig != nil && len(r.OutputConfig.Format) > 0 && c.Supports(bedrockkit.FeatureStructuredOutput) == bedrockkit.Yes {
		var format struct{ Schema json.RawMessage }
		if json.Unmarshal(r.OutputConfig.Format, &format) == nil {
			if err := outputschema.Check(format.Schema); err != nil {
				return fmt.Errorf("output_config.format.schema: no answer can be held to it: %w", err)
			}
		}
	}
	if c.Supports(bedrockkit.FeatureStrictTools) == bedrockkit.No {
		if i := slices.IndexFunc(r.Tools, func(t Tool) bool { return string(t.Extra["strict"]) == "true" }); i >= 0 {
			return fmt.Errorf("tools[%d].strict is not taken by %s", i, c.ID)
		}
	}
	return nil
}

func (r Request) checkRoles(c bedrockkit.Capability) error {
	if c.Supports(bedrockkit.FeatureSystemMessages) == bedrockkit.No {
		if i := slices.IndexFunc(r.Messages, func(m Message) bool { return m.Role == "system" }); i >= 0 {
			return fmt.Errorf("messages[%d].role is system; %s takes instructions in system alone", i, c.ID)
		}
	}
	last := len(r.Messages) - 1
	if last < 0 || r.Messages[last].Role != "assistant" || c.ID == "" {
		return nil
	}
	switch {
	case c.Supports(bedrockkit.FeaturePrefill) == bedrockkit.No:
		return fmt.Errorf("messages[%d] is the assistant's; %s takes no beginning of its answer, so end with the user's", last, c.ID)
	case r.thinks(c):
		return fmt.Errorf("messages[%d] is the assistant's; %s takes no beginning of its answer while it thinks", last, c.ID)
	}
	return nil
}

// checkContent checks images, documents and the marks of the prompt cache,
// wherever they are.
func (r Request) checkContent(c bedrockkit.Capability) error {
	for i := range r.Tools {
		if err := checkMark(r.Tools[i].CacheControl, c); err != nil {
			return fmt.Errorf("tools[%d]%w", i, err)
		}
	}
	if err := checkBlocks(r.System, c); err != nil {
		return fmt.Errorf("system%w", err)
	}
	for i, m := range r.Messages {
		if err := checkBlocks(m.Content, c); err != nil {
			return fmt.Errorf("messages[%d].content%w", i, err)
		}
	}
	return nil
}

// checkBlocks returns an error whose text goes on where the path of the blocks
// ends.
func checkBlocks(blocks Blocks, c bedrockkit.Capability) error {
	for i := range blocks {
		b := &blocks[i]
		if err := checkMark(b.CacheControl, c); err != nil {
			return fmt.Errorf("[%d]%w", i, err)
		}
		if b.Type == "image" && c.Supports(bedrockkit.FeatureImages) == bedrockkit.No || b.Type == "document" && c.Supports(bedrockkit.FeatureDocuments) == bedrockkit.No {
			return fmt.Errorf("[%d]: %s takes no %ss", i, c.ID, b.Type)
		}
		if err := checkBlocks(b.Content, c); err != nil {
			return fmt.Errorf("[%d].content%w", i, err)
		}
	}
	return nil
}

func checkMark(mark *CacheControl, c bedrockkit.Capability) error {
	switch {
	case mark == nil:
	case c.Supports(bedrockkit.FeaturePromptCache) == bedrockkit.No:
		return fmt.Errorf(".cache_control is not taken by %s, which caches no prompts", c.ID)
	case mark.TTL != "" && c.PromptCache.TTL(mark.TTL) == bedrockkit.No:
		return fmt.Errorf(".cache_control.ttl is %s; %s has %s", mark.TTL, c.ID, strings.Join(c.PromptCache.TTLs, ", "))
	}
	return nil
}
