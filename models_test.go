package bedrockkit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func ExampleCapabilities() {
	c, known := bedrockkit.Capabilities("us.anthropic.claude-opus-5-5")
	fmt.Println(known, c.MaxOutput, c.Supports(bedrockkit.FeatureTools), c.Supports(bedrockkit.FeaturePrefill), c.PromptCache.MinTokens)
	fmt.Println(c.ForcesTool(false), c.Sampling.Temperature.Takes(0.2), c.Thinking.Mode(bedrockkit.ThinkingEnabled), c.Thinking.OnByDefault())

	unknown, known := bedrockkit.Capabilities("example.model-of-tomorrow-v1:0")
	fmt.Println(known, unknown.Supports(bedrockkit.FeatureTools), unknown.Sampling.Temperature.Takes(0.2))
	// Output:
	// true 128000 yes no 512
	// no no no yes
	// false unknown unknown
}

func TestCapabilities(t *testing.T) {
	tests := map[bedrockkit.ModelID]string{
		"anthropic.claude-3-haiku-20240307-v1:0":       "anthropic.claude-3-haiku",
		"anthropic.claude-3-5-sonnet-20240620-v1:0":    "anthropic.claude-3-5-sonnet",
		"anthropic.claude-3-5-sonnet-20241022-v2:0":    "anthropic.claude-3-5-sonnet-20241022",
		"global.anthropic.claude-opus-4-20250514-v1:0": "anthropic.claude-opus-4",
		"us.anthropic.claude-opus-4-5-20251101-v1:0":   "anthropic.claude-opus-4-5",
		"anthropic.claude-opus-4-6-v1":                 "anthropic.claude-opus-4-6",
		"anthropic.claude-opus-4-6":                    "anthropic.claude-opus-4-6",
		"anthropic.claude-v2:1":                        "anthropic.claude",
		"us.anthropic.claude-haiku-5-5":                "anthropic.claude-haiku-5-5",
		"moonshot.kimi-k2-thinking":                    "moonshotai.kimi-k2-thinking",
		"openai.gpt-oss-120b-1:0":                      "openai.gpt-oss-120b",
		"amazon.nova-lite-v1:0":                        "amazon.nova-lite",
		"amazon.nova-2-lite-v1:0":                      "amazon.nova-2-lite",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0":  "amazon.nova-pro",
		"anthropic.claude-opus-4-99-v1:0":                                                   "",
		"anthropic.claude-of-next-year-v1:0":                                                "",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl": "",
		"": "",
	}
	for id, want := range tests {
		c, known := bedrockkit.Capabilities(id)
		assert.Equal(t, want != "", known, id)
		assert.Equal(t, want, string(c.ID), id)
	}

	nova, _ := bedrockkit.Capabilities("amazon.nova-lite-v1:0")
	stored, err := json.Marshal(nova)
	require.NoError(t, err)
	var read bedrockkit.Capability
	require.NoError(t, json.Unmarshal(stored, &read))
	assert.Equal(t, nova, read)
	assert.ErrorContains(t, json.Unmarshal([]byte(`["telepathy"]`), new(bedrockkit.Feature)), "telepathy")
	assert.ErrorContains(t, json.Unmarshal([]byte(`"perhaps"`), new(bedrockkit.Support)), "perhaps")
	assert.Equal(t, "Support(9)", bedrockkit.Support(9).String())
}

func capability(t *testing.T, id bedrockkit.ModelID) bedrockkit.Capability {
	t.Helper()
	c, known := bedrockkit.Capabilities(id)
	require.True(t, known, id)
	return c
}

// The answers of single facts, as the pages and reports have them.
func TestWhatModelsTake(t *testing.T) {
	const yes, no, unknown = bedrockkit.Yes, bedrockkit.No, bedrockkit.Unknown
	opus55 := capability(t, "anthropic.claude-opus-5-5")
	fable51 := capability(t, "anthropic.claude-fable-5-1")
	fable5 := capability(t, "anthropic.claude-fable-5")
	sonnet55 := capability(t, "anthropic.claude-sonnet-5-5")
	haiku55 := capability(t, "anthropic.claude-haiku-5-5")
	opus5 := capability(t, "anthropic.claude-opus-5")
	opus48 := capability(t, "anthropic.claude-opus-4-8")
	sonnet46 := capability(t, "anthropic.claude-sonnet-4-6")
	haiku45 := capability(t, "anthropic.claude-haiku-4-5-20251001-v1:0")
	sonnet37 := capability(t, "anthropic.claude-3-7-sonnet-20250219-v1:0")
	nova, nova2 := capability(t, "amazon.nova-lite-v1:0"), capability(t, "amazon.nova-2-lite-v1:0")
	luna, oss := capability(t, "openai.gpt-5.6-luna"), capability(t, "openai.gpt-oss-120b-1:0")
	llama := capability(t, "meta.llama4-scout-17b-instruct-v1:0")

	for i, test := range []struct{ want, got bedrockkit.Support }{
		{yes, opus55.Supports(bedrockkit.FeatureTools | bedrockkit.FeatureImages)},
		{no, opus55.Supports(bedrockkit.FeatureTools | bedrockkit.FeaturePrefill)},
		{unknown, fable5.Supports(bedrockkit.FeatureStructuredOutput)},
		{unknown, fable5.Supports(bedrockkit.FeatureStrictTools)},
		{no, opus55.Supports(bedrockkit.FeatureOnDemand)},
		{unknown, nova.Supports(bedrockkit.FeatureOnDemand)},
		{yes, haiku45.Supports(bedrockkit.FeatureCountTokens)},
		{no, opus5.Supports(bedrockkit.FeatureCountTokens)},
		{yes, opus48.Supports(bedrockkit.FeatureSystemMessages)},
		{no, sonnet46.Supports(bedrockkit.FeatureSystemMessages)},
		{no, llama.Supports(bedrockkit.FeatureToolStreaming)},
		{yes, llama.Supports(bedrockkit.FeatureTools)},
		// tools that must be called
		{no, opus55.ForcesTool(false)}, {no, opus55.ForcesTool(true)},
		{yes, haiku45.ForcesTool(false)}, {no, haiku45.ForcesTool(true)},
		{yes, opus5.ForcesTool(true)}, {unknown, haiku55.ForcesTool(true)}, {no, sonnet37.ForcesTool(true)},
		// sampling
		{no, opus55.Sampling.Temperature.Takes(1)},
		{yes, fable51.Sampling.Temperature.Takes(1)}, {no, fable51.Sampling.Temperature.Takes(0.7)},
		{yes, fable51.Sampling.TopP.Takes(0.99)}, {no, fable51.Sampling.TopP.Takes(1)}, {yes, fable5.Sampling.TopP.Takes(0.995)},
		{no, haiku45.Sampling.Both}, {unknown, sonnet46.Sampling.Both}, {unknown, haiku45.Sampling.Temperature.Takes(0.7)},
		// thinking
		{no, opus55.Thinking.Mode(bedrockkit.ThinkingDisabled)}, {no, opus48.Thinking.Mode(bedrockkit.ThinkingEnabled)},
		{yes, sonnet46.Thinking.Mode(bedrockkit.ThinkingEnabled)}, {yes, sonnet46.Thinking.Mode(bedrockkit.ThinkingAdaptive)},
		{no, haiku45.Thinking.Mode(bedrockkit.ThinkingAdaptive)}, {no, sonnet37.Thinking.Mode(bedrockkit.ThinkingAdaptive)},
		{yes, sonnet55.Thinking.Mode(bedrockkit.ThinkingBetweenTools)}, {no, opus55.Thinking.Mode(bedrockkit.ThinkingBetweenTools)},
		{yes, opus55.Thinking.OnByDefault()}, {yes, haiku55.Thinking.OnByDefault()}, {no, haiku45.Thinking.OnByDefault()}, {unknown, opus48.Thinking.OnByDefault()},
		{yes, opus55.Thinking.Effort("xhigh")}, {no, opus55.Thinking.Effort("none")}, {unknown, sonnet46.Thinking.Effort("xhigh")}, {unknown, haiku45.Thinking.Effort("high")},
		{no, haiku55.Thinking.EffortWith("max", bedrockkit.ThinkingDisabled)}, {yes, haiku55.Thinking.EffortWith("high", bedrockkit.ThinkingDisabled)},
		{yes, haiku55.Thinking.EffortWith("max", bedrockkit.ThinkingAdaptive)}, {no, sonnet55.Thinking.EffortWith("xhigh", bedrockkit.ThinkingBetweenTools)},
		{yes, fable51.Thinking.BlockBinding}, {no, sonnet46.Thinking.BlockBinding},
		{yes, oss.Thinking.Effort("none")}, {yes, nova2.Thinking.Effort("high")},
		// prompt caches
		{yes, opus55.Supports(bedrockkit.FeaturePromptCache)}, {yes, opus55.PromptCache.TTL("1h")}, {yes, opus55.PromptCache.Tools},
		{no, nova.PromptCache.Tools}, {no, nova.PromptCache.TTL("1h")}, {yes, nova.PromptCache.TTL("5m")},
		{no, luna.Supports(bedrockkit.FeaturePromptCache)}, {yes, luna.PromptCache.Implicit}, {no, llama.Supports(bedrockkit.FeaturePromptCache)},
		// where they are served
		{yes, luna.Supports(bedrockkit.FeatureConverse)}, {no, capability(t, "openai.gpt-5.4").Supports(bedrockkit.FeatureConverse)},
		{no, capability(t, "amazon.nova-2-sonic-v1:0").Supports(bedrockkit.FeatureConverse)},
		{yes, capability(t, "xai.grok-4.7").Tier(bedrockkit.TierFlex)}, {no, opus55.Tier(bedrockkit.TierFlex)}, {unknown, nova.Tier(bedrockkit.TierFlex)},
	} {
		assert.Equal(t, test.want.String(), test.got.String(), "number %d", i)
	}
	assert.Equal(t, []int{10, 15, 5, 0}, []int{opus55.OutputBurndown, opus48.OutputBurndown, haiku45.OutputBurndown, haiku55.OutputBurndown})
	assert.Equal(t, 128_000, sonnet37.MaxOutput)
	assert.True(t, fable51.Thinking.BoundTo("prefix"))
	assert.False(t, haiku55.Thinking.BoundTo("prefix"))
	assert.True(t, haiku55.Thinking.BoundTo("account"))
	assert.Equal(t, "prompt_cache_breakpoint", luna.PromptCache.Breakpoint)

	eu, ok := haiku45.Profile("eu")
	require.True(t, ok)
	assert.EqualValues(t, "eu.anthropic.claude-haiku-4-5-20251001-v1:0", eu.ID)
	to, known := eu.Destinations("eu-central-1")
	assert.True(t, known)
	assert.Contains(t, to, "eu-north-1")
	_, known = eu.Destinations("us-gov-west-1")
	assert.False(t, known, "its profiles were not listed")
	_, ok = haiku45.Profile("ca")
	assert.False(t, ok)
}

func TestLifecycle(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		require.NoError(t, err)
		return d
	}
	haiku3 := capability(t, "anthropic.claude-3-haiku-20240307-v1:0").Lifecycle
	assert.True(t, haiku3.Ended(time.Time{}))
	assert.False(t, haiku3.Ended(day("2026-09-09")))
	assert.True(t, haiku3.Ended(day("2026-09-10")))
	opus41 := capability(t, "anthropic.claude-opus-4-1-20250805-v1:0").Lifecycle
	assert.False(t, opus41.Ended(time.Time{}))
	assert.True(t, opus41.Ended(day("2027-01-08")))
	assert.True(t, capability(t, "meta.llama3-2-1b-instruct-v1:0").Lifecycle.Ended(day("2026-01-01")), "it has ended, and nobody says when")
	assert.False(t, bedrockkit.Lifecycle{}.Ended(time.Time{}))
	assert.False(t, capability(t, "anthropic.claude-haiku-5-5").Lifecycle.Ended(day("2027-12-01")), "not before is no end")
}

func TestModelsFileFitsItsSchema(t *testing.T) {
	var schema jsonschema.Schema
	var table map[string]any
	for name, to := range map[string]any{"models.schema.json": &schema, "models.json": &table} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, to))
	}
	resolved, err := schema.Resolve(nil)
	require.NoError(t, err)
	require.NoError(t, resolved.Validate(table))

	row := table["models"].([]any)[0].(map[string]any)
	row["colour"] = "red"
	assert.Error(t, resolved.Validate(table), "the schema refuses what the table does not have")
	listed, err := json.Marshal(schema.Defs["features"].Items.Enum)
	require.NoError(t, err)
	all, err := json.Marshal(bedrockkit.AllFeatures())
	require.NoError(t, err)
	assert.JSONEq(t, string(all), string(listed))
}

// Every field of every model has a source, and every source is used; what is
// only inferred is no reason to refuse a request.
func TestFactsHaveSources(t *testing.T) {
	sources, used := bedrockkit.ModelSources(), map[string]bool{}
	ids := map[bedrockkit.ModelID]bedrockkit.ModelID{}
	models := bedrockkit.Models()
	require.Greater(t, len(models), 150)
	for i, c := range models {
		if i > 0 {
			assert.Less(t, models[i-1].ID, c.ID, "the rows are sorted, and none is there twice")
		}
		data, err := json.Marshal(c)
		require.NoError(t, err)
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &fields))
		for field := range fields {
			switch field {
			case "id", "note", "facts":
				continue
			case "features":
				assert.Zero(t, c.Features.Yes&c.Features.No, c.ID)
				for _, name := range append(c.Features.Yes.Names(), c.Features.No.Names()...) {
					assert.Contains(t, c.Facts, "features."+name, c.ID)
				}
				for _, name := range c.Features.No.Names() {
					assert.NotEqual(t, "inferred", c.Facts["features."+name].Confidence, "%s: %s", c.ID, name)
				}
				continue
			}
			sourced := false
			for fact := range c.Facts {
				sourced = sourced || fact == field || strings.HasPrefix(fact, field+".")
			}
			assert.True(t, sourced, "%s: %s has no source", c.ID, field)
		}
		for field, f := range c.Facts {
			for _, s := range f.Sources {
				assert.Contains(t, sources, s, "%s: %s", c.ID, field)
				used[s] = true
			}
		}
		for _, id := range append([]bedrockkit.ModelID{c.ID}, c.IDs...) {
			require.NoError(t, id.Validate())
			if other, twice := ids[id]; twice && other != c.ID {
				t.Errorf("%s is an id of %s and of %s", id, other, c.ID)
			}
			ids[id] = c.ID
			found, _ := bedrockkit.Capabilities(id)
			assert.Equal(t, c.ID, found.ID, id)
		}
		for _, p := range c.Profiles {
			from := map[string]bool{}
			for _, r := range p.Routes {
				for _, region := range r.From {
					assert.False(t, from[region], "%s goes two ways from %s", p.ID, region)
					from[region] = true
				}
			}
			assert.NotEmpty(t, p.Prefix(), p.ID)
			assert.Contains(t, append(c.IDs, c.ID), p.ID.Base(), p.ID)
		}
		if c.Supports(bedrockkit.FeatureToolChoice) == bedrockkit.Yes || c.Supports(bedrockkit.FeatureToolStreaming) == bedrockkit.Yes {
			assert.Equal(t, bedrockkit.Yes, c.Supports(bedrockkit.FeatureTools), c.ID)
		}
	}
	for name := range sources {
		assert.True(t, used[name], "no row has the source %q", name)
	}
}

// The slice is the caller's own.
func TestModelsIsACopy(t *testing.T) {
	bedrockkit.Models()[0].ID = "changed"
	assert.NotEqual(t, bedrockkit.ModelID("changed"), bedrockkit.Models()[0].ID)
}
