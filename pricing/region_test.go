package pricing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A region that is not told is us-east-1 for some ids, and must be told for
// others unless it decides nothing.
func TestRegionThatIsNotTold(t *testing.T) {
	million := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 1_000_000}
	for model, want := range map[bedrockkit.ModelID]string{
		"amazon.nova-2-lite-v1:0":                        "3.08",
		"us.amazon.nova-2-lite-v1:0":                     "3.08",
		"global.amazon.nova-2-lite-v1:0":                 "2.8",
		"jp.amazon.nova-2-lite-v1:0":                     "3.707", // the list has one region of it
		"eu.anthropic.claude-opus-4-8":                   "33",    // the same in all
		"eu.cohere.embed-v4:0":                           "",      // it has no output
		"eu.amazon.nova-2-lite-v1:0":                     "",
		"apac.amazon.nova-pro-v1:0":                      "",
		"apac.anthropic.claude-3-5-sonnet-20240620-v1:0": "18", // dearer in other geographies alone
		"eu.anthropic.claude-3-5-sonnet-20240620-v1:0":   "",   // dearer in some of its regions
		"arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-2-lite-v1:0": "4.026",
		"mistral.mistral-large-2407-v1:0": "", // not in us-east-1
	} {
		got, err := pricing.Default().Cost(model, million, on("2026-11-29"))
		if want == "" {
			assert.ErrorIs(t, err, pricing.ErrNoRate, model)
			continue
		}
		require.NoError(t, err, model)
		assert.Equal(t, want, got.String(), model)
	}
	_, err := pricing.Default().Cost("mistral.mistral-large-2407-v1:0", million)
	assert.ErrorContains(t, err, "no rate in us-east-1; there is one in us-west-2")
	_, err = pricing.Default().Cost("eu.amazon.nova-2-lite-v1:0", million)
	assert.ErrorContains(t, err, "no rate without a region: the prices of eu. differ")
	got, err := pricing.Default().Cost("eu.amazon.nova-2-lite-v1:0", million, region("eu-central-1"))
	require.NoError(t, err)
	assert.Equal(t, "4.026", got.String())

	b, err := pricing.Default().Breakdown("openai.gpt-5.6-sol", bedrockkit.Usage{InputTokens: 1}, on("2026-08-20"))
	require.NoError(t, err)
	assert.Equal(t, "us-east-1 2026-08-20", b.Region+" "+b.Day)
	assert.Equal(t, []string{"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"}, pricing.Default().Regions("eu.amazon.nova-2-lite-v1:0"))
	assert.Empty(t, pricing.Default().Regions("anthropic.claude-opus-4-8"))
	assert.Empty(t, pricing.Default().Regions("acme.one"))
}

// A model with one price in all commercial regions has none elsewhere: other
// partitions have prices of their own, and a misspelt region is none at all.
func TestOtherPartitionsAreNotPricedAsCommercial(t *testing.T) {
	million := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 1_000_000}
	for _, id := range []bedrockkit.ModelID{"anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-opus-5", "amazon.nova-2-lite-v1:0"} {
		for _, region := range []string{"cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1", "US-EAST-1", " us-east-1", "us-east", "us-east-0", "us-east-1a", "nowhere"} {
			_, err := pricing.Default().Cost(id, million, func(o *pricing.CostOptions) { o.Region = region })
			assert.ErrorIs(t, err, pricing.ErrNoRate, "%s in %q", id, region)
			assert.ErrorContains(t, err, region)
		}
	}
	for _, gov := range []string{"us-gov-west-1", "us-gov-east-1"} {
		_, err := pricing.Default().Cost("global.anthropic.claude-opus-5", million, func(o *pricing.CostOptions) { o.Region = gov })
		assert.ErrorIs(t, err, pricing.ErrNoRate, "GovCloud has no global profile")
		cost, err := pricing.Default().Cost("anthropic.claude-opus-5", million, func(o *pricing.CostOptions) { o.Region = gov })
		require.NoError(t, err)
		assert.Equal(t, "36", cost.String())
	}
	for _, region := range []string{"us-east-1", "ap-southeast-7", "mx-central-1", "il-central-1", "af-south-1", "me-south-1"} {
		cost, err := pricing.Default().Cost("anthropic.claude-haiku-4-5-20251001-v1:0", million, func(o *pricing.CostOptions) { o.Region = region })
		require.NoError(t, err)
		assert.Equal(t, "6.6", cost.String(), region)
	}
}

func TestTwinsCostWhatTheirBaseDoes(t *testing.T) {
	for _, id := range []bedrockkit.ModelID{"amazon.nova-lite-v1:0:300k", "us.meta.llama4-scout-17b-instruct-v1:0:10m", "anthropic.claude-3-5-sonnet-20240620-v1:0:18k"} {
		_, known := pricing.Default().Model(id)
		assert.True(t, known, id)
	}
	for _, id := range []bedrockkit.ModelID{"amazon.nova-lite-v1:0:300", "amazon.nova-lite-v1:0:k", "amazon.nova-lite-v1:0:xk", "amazon.nova-lite-v1:0:24k:24k", "anthropic.claude-v2:9"} {
		_, known := pricing.Default().Model(id)
		assert.False(t, known, id)
	}
}
