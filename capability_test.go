package bedrockkit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func ExampleCapabilities() {
	c, known := bedrockkit.Capabilities("us.anthropic.claude-haiku-4-5-20251001-v1:0")
	fmt.Println(known, c.MaxOutput, c.Has(bedrockkit.FeatureTools), c.PromptCache.MinTokens)
	// Output: true 64000 true 4096
}

func TestCapabilities(t *testing.T) {
	tests := map[bedrockkit.ModelID]string{
		"anthropic.claude-3-haiku-20240307-v1:0":                                            "anthropic.claude-3-haiku",
		"anthropic.claude-3-5-sonnet-20240620-v1:0":                                         "anthropic.claude-3-5-sonnet",
		"anthropic.claude-3-5-sonnet-20241022-v2:0":                                         "anthropic.claude-3-5-sonnet-20241022",
		"global.anthropic.claude-opus-4-20250514-v1:0":                                      "anthropic.claude-opus-4",
		"us.anthropic.claude-opus-4-5-20251101-v1:0":                                        "anthropic.claude-opus-4-5",
		"anthropic.claude-opus-4-6-v1":                                                      "anthropic.claude-opus-4-6",
		"anthropic.claude-opus-4-6":                                                         "anthropic.claude-opus-4-6",
		"anthropic.claude-v2:1":                                                             "anthropic.claude",
		"amazon.nova-lite-v1:0":                                                             "amazon.nova-lite",
		"amazon.nova-2-lite-v1:0":                                                           "amazon.nova-2-lite",
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
	assert.False(t, nova.PromptCache.Tools, "Nova takes no cache point behind tools")
	assert.False(t, nova.Has(bedrockkit.FeatureStructuredOutput))
	assert.True(t, nova.Has(bedrockkit.FeatureTools|bedrockkit.FeatureVideo))
	assert.False(t, nova.Has(bedrockkit.FeatureTools|bedrockkit.FeatureThinking))

	stored, err := json.Marshal(nova)
	require.NoError(t, err)
	var read bedrockkit.Capability
	require.NoError(t, json.Unmarshal(stored, &read))
	assert.Equal(t, nova, read)
	assert.ErrorContains(t, json.Unmarshal([]byte(`["telepathy"]`), new(bedrockkit.Feature)), "telepathy")
}

// The file: every row sourced, once, with features that there are.
func TestCapabilitiesFile(t *testing.T) {
	data, err := os.ReadFile("capabilities.json")
	require.NoError(t, err)
	var table struct {
		Sources map[string]struct{ Title, URL, Date string }
		Models  []struct {
			bedrockkit.Capability
			Sources []string
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&table))
	used := map[string]bool{}
	for i, c := range table.Models {
		if i > 0 {
			assert.Less(t, table.Models[i-1].ID, c.ID, "the rows are sorted, and none is there twice")
		}
		require.NotEmpty(t, c.Sources, c.ID)
		for _, s := range c.Sources {
			assert.Contains(t, table.Sources, s, c.ID)
			used[s] = true
		}
		if c.Has(bedrockkit.FeatureToolChoice) || c.Has(bedrockkit.FeatureToolStreaming) {
			assert.True(t, c.Has(bedrockkit.FeatureTools), c.ID)
		}
	}
	for name, s := range table.Sources {
		assert.True(t, used[name], "no row has the source %q", name)
		assert.NotEmpty(t, s.Title, name)
		assert.Len(t, s.Date, len("2026-11-23"), name)
	}
}
