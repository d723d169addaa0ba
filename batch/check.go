package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// checkModel refuses what batch inference is known not to take.
func checkModel(model bedrockkit.ModelID) error {
	ident, err := model.Parse()
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	if ident.Kind == bedrockkit.KindProvisionedModel {
		return fmt.Errorf("batch: %s: %w: it is a provisioned model", model, ErrNoBatch)
	}
	known, _ := bedrockkit.Capabilities(model)
	if known.Supports(bedrockkit.FeatureBatch) == bedrockkit.No {
		return fmt.Errorf("batch: %s: %w; these have: %s", model, ErrNoBatch, strings.Join(withBatch(model.Provider()), ", "))
	}
	if ident.Kind == bedrockkit.KindFoundationModel && known.Supports(bedrockkit.FeatureOnDemand) == bedrockkit.No {
		return fmt.Errorf("batch: %s is reached by inference profiles only, as us.%s", model, ident.Base)
	}
	return nil
}

// withBatch are the models that have batch inference: those of the provider, or
// of all if it has none.
func withBatch(provider string) []string {
	var own, all []string
	for _, m := range bedrockkit.Models() {
		if m.Supports(bedrockkit.FeatureBatch) != bedrockkit.Yes {
			continue
		}
		all = append(all, string(m.ID))
		if m.ID.Provider() == provider {
			own = append(own, string(m.ID))
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

// check refuses what batch inference does not take of a request that a live call
// would. Sources: "Process multiple prompts with batch inference" and "Format and
// upload your batch inference data", Amazon Bedrock User Guide.
func (j *Job) check(in any, body []byte) error {
	if c, ok := in.(*Converse); ok && c.OutputFormat != nil && !j.StructuredOutput {
		return errors.New("it asks for a structured output; set Job.StructuredOutput if batch inference takes it in your region")
	}
	switch key := suspicious(body); {
	case key == "":
	case typed(body, "cachePoint", "default"), typed(body, "cache_control", "ephemeral"):
		return fmt.Errorf("it has a %s; batch inference has no prompt caching, so leave it out", key)
	case typed(body, "s3Location", ""):
		return errors.New("it has media in S3, which would have to lie beside the input files; send them inline")
	}
	return nil
}

// suspicious is a key of JSON that may say what batch inference does not take,
// empty of nearly every record. It goes from string to string.
func suspicious(body []byte) string {
	s := jsonscan.New(body)
	for s.Seek('"') {
		text, ok := s.Str()
		if !ok {
			return ""
		}
		switch string(text) {
		case "cachePoint", "cache_control", "s3Location":
			return string(text)
		}
	}
	return ""
}

// typed reports whether JSON has a key, at any depth, whose value is an object
// with a type; of any type if it is empty.
func typed(body []byte, key, value string) bool {
	found := false
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if m, ok := v[key].(map[string]any); ok && (value == "" || m["type"] == value) {
				found = true
			}
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, member := range v {
				walk(member)
			}
		}
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		walk(v)
	}
	return found
}

// texter is a response that gives its text.
type texter interface{ Text() string }

// cut reports whether an answer has ended at its bound before it said anything.
func cut(out any, stop bedrockkit.StopReason) bool {
	if !stop.Length() {
		return false
	}
	if r, ok := out.(*converse.Response); ok {
		if r == nil {
			return false
		}
		for _, c := range r.Message.Content {
			if _, tool := c.(converse.ToolUse); tool {
				return false
			}
		}
	}
	t, ok := out.(texter)
	return ok && t.Text() == ""
}
