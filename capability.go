package bedrockkit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Feature is a set of things that not every model takes in a Converse request.
// In JSON it is a list of their names.
type Feature uint16

// The features.
const (
	FeatureSystem           Feature = 1 << iota // a system prompt
	FeatureDocuments                            // documents as content
	FeatureImages                               // images as content
	FeatureVideo                                // video as content
	FeatureTools                                // tools
	FeatureToolChoice                           // a tool that must be called
	FeatureToolStreaming                        // tools in ConverseStream
	FeatureThinking                             // reasoning that is returned
	FeatureStructuredOutput                     // an output format with a JSON Schema
	FeaturePrefill                              // the beginning of the answer, as a last message of the assistant
)

var featureNames = []string{"system", "documents", "images", "video", "tools", "tool_choice", "tool_streaming",
	"thinking", "structured_output", "prefill"}

// MarshalJSON returns the names of the features as a list.
func (f Feature) MarshalJSON() ([]byte, error) {
	names := []string{}
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads a list of names.
func (f *Feature) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*f = 0
next:
	for _, name := range names {
		for i, known := range featureNames {
			if name == known {
				*f |= 1 << i
				continue next
			}
		}
		return fmt.Errorf("unknown feature %q; there are %s", name, strings.Join(featureNames, ", "))
	}
	return nil
}

// PromptCache says how a model caches the beginning of prompts.
type PromptCache struct {
	MinTokens int  `json:"min_tokens"`         // the shortest prefix that is cached; 0 where the model caches none
	OneHour   bool `json:"one_hour,omitempty"` // whether a TTL of an hour can be asked for beside five minutes
	Tools     bool `json:"tools,omitempty"`    // whether a cache point may stand behind tools
}

// Capability is what a model is known to take and give.
type Capability struct {
	// ID is the base model's id without its version; it stands for all ids
	// that begin so.
	ID ModelID `json:"id"`

	// MaxInput is the context window and MaxOutput the longest answer, in
	// tokens; 0 where that is not known.
	MaxInput  int `json:"max_input,omitempty"`
	MaxOutput int `json:"max_output,omitempty"`

	Features    Feature     `json:"features"`
	PromptCache PromptCache `json:"prompt_cache,omitzero"`
}

// Has reports whether the model has all of some features.
func (c Capability) Has(f Feature) bool { return c.Features&f == f }

// Capabilities is what is known of the model behind an id, a profile or an ARN.
// It reports false for a model that the table (capabilities.json, where each
// row has its sources) does not have and for an ARN that says nothing of its
// model: nothing can be checked then, and nothing is to be refused.
func Capabilities(id ModelID) (Capability, bool) {
	base := string(id.Base())
	if base == "" {
		return Capability{}, false
	}
	table := capabilities()
	// The longest id that what follows is only a version of.
	for i := len(base); i > 0; i = strings.LastIndexAny(base[:i], "-:") {
		if c, ok := table[base[:i]]; ok && isVersion(base[i:]) {
			return c, true
		}
	}
	return Capability{}, false
}

// isVersion reports whether the rest of an id says which version of a model it
// is, as "-20251001-v1:0", "-v1:0" and "" do, and not another model, as "-5".
func isVersion(rest string) bool {
	if rest == "" || strings.HasPrefix(rest, ":") {
		return true
	}
	rest, ok := strings.CutPrefix(rest, "-")
	first, _, _ := strings.Cut(rest, "-")
	if !ok || first == "" {
		return false
	}
	if first[0] == 'v' {
		return len(first) > 1 && '0' <= first[1] && first[1] <= '9'
	}
	return len(first) == len("20251001") && strings.Trim(first, "0123456789") == ""
}

//go:embed capabilities.json
var capabilitiesJSON []byte

var capabilities = sync.OnceValue(func() map[string]Capability {
	var table struct {
		Models []Capability `json:"models"`
	}
	if err := json.Unmarshal(capabilitiesJSON, &table); err != nil {
		panic(fmt.Sprintf("bedrockkit: capabilities.json: %v", err)) // a test reads it
	}
	byID := make(map[string]Capability, len(table.Models))
	for _, c := range table.Models {
		byID[string(c.ID)] = c
	}
	return byID
})
