package bedrockkit

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Feature is a set of features that only some models have. In JSON it is a list of
// their names.
type Feature uint32

// The features.
const (
	FeatureSystem           Feature = 1 << iota // a system prompt
	FeatureSystemMessages                       // messages of the role system, between the others
	FeatureDocuments                            // documents as content
	FeatureImages                               // images as content
	FeatureVideo                                // video as content
	FeatureAudio                                // audio as content
	FeatureTools                                // tools
	FeatureToolChoice                           // a tool that must be called; see also [Capability.ForcesTool]
	FeatureToolStreaming                        // tools in ConverseStream
	FeatureStrictTools                          // tools whose input must follow their schema
	FeatureThinking                             // reasoning
	FeatureStructuredOutput                     // an output format with a JSON Schema
	FeaturePrefill                              // the beginning of the answer, as a last message of the assistant
	FeaturePromptCache                          // cache points; see [PromptCache]
	FeatureConverse                             // Converse and ConverseStream on bedrock-runtime
	FeatureInvokeModel                          // InvokeModel on bedrock-runtime
	FeatureCountTokens                          // CountTokens on bedrock-runtime
	FeatureBatch                                // batch inference jobs
	FeatureOnDemand                             // calls by the bare model id, without an inference profile
)

var featureNames = []string{"system", "system_messages", "documents", "images", "video", "audio",
	"tools", "tool_choice", "tool_streaming", "strict_tools", "thinking", "structured_output", "prefill", "prompt_cache",
	"converse", "invoke_model", "count_tokens", "batch", "on_demand"}

// ParseFeature returns the feature with a name, as in JSON. It fails if no feature has
// the name.
func ParseFeature(name string) (Feature, error) {
	for i, known := range featureNames {
		if name == known {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown feature %q; there are %s", name, strings.Join(featureNames, ", "))
}

// Names returns the names of the features in the set.
func (f Feature) Names() []string {
	names := []string{}
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// AllFeatures returns the set of all features.
func AllFeatures() Feature { return 1<<len(featureNames) - 1 }

// MarshalJSON returns the names of the features as a list.
func (f Feature) MarshalJSON() ([]byte, error) { return json.Marshal(f.Names()) }

// UnmarshalJSON reads a list of names.
func (f *Feature) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*f = 0
	for _, name := range names {
		one, err := ParseFeature(name)
		if err != nil {
			return err
		}
		*f |= one
	}
	return nil
}

// Features are the features that a model has, and the features that it is known not to
// have. A feature in neither set is unknown.
type Features struct {
	Yes Feature `json:"yes,omitzero"`
	No  Feature `json:"no,omitzero"`
}

// Supports returns No if one of the features in f is No, Yes if all are Yes, and
// otherwise Unknown.
func (s Features) Supports(f Feature) Support {
	switch {
	case s.No&f != 0:
		return No
	case s.Yes&f == f:
		return Yes
	}
	return Unknown
}
