package pricing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Prices that others found wrong in tables of their own, and public lists that
// were not made into this one, by the public report. Dollars for a million.
func TestPricesOfPublicReports(t *testing.T) {
	const (
		v1, v2 = "anthropic.claude-3-5-sonnet-20240620-v1:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"
		in     = pricing.Input
		out    = pricing.Output
		read   = pricing.CacheRead
		w5     = pricing.CacheWrite5m
		w30    = pricing.CacheWrite30m
		w1h    = pricing.CacheWrite1h
	)
	for _, tt := range []struct {
		report, model, region, day, tier string
		dimension                        pricing.Dimension
		want                             string
	}{
		{"Helicone/helicone#5709", v1, "us-east-1", "2025-11-30", "", in, "3"},
		{"Helicone/helicone#5709", v1, "us-east-1", "2025-12-01", "", in, "6"},
		{"Helicone/helicone#5709", v2, "us-east-1", "2025-12-01", "", out, "30"},
		{"Helicone/helicone#5709", "us." + v1, "us-west-2", "2026-02-10", "", in, "6"},
		{"Helicone/helicone#5709", v1, "us-east-1", "2025-12-01", "batch", out, "15"},
		{"Helicone/helicone#5709", v2, "us-east-1", "2025-12-01", "", read, "0.6"},
		{"Helicone/helicone#5709", v2, "us-east-1", "2025-12-01", "", w5, "7.5"},
		{"Helicone/helicone#5709", v2, "us-east-1", "2025-11-30", "", w5, "3.75"},
		{"posit-dev/positron#9339", v1, "ap-northeast-1", "2026-02-10", "", in, "3"},
		{"anomalyco/models.dev#6793", "amazon.nova-micro-v1:0", "", "", "", w5, "0.035"},
		{"anomalyco/models.dev#6793", "us.amazon.nova-premier-v1:0", "", "", "", w5, "2.5"},
		{"anomalyco/models.dev#6793", "us.amazon.nova-2-lite-v1:0", "", "", "", w5, "0.33"},
		{"anomalyco/models.dev#6793", "global.amazon.nova-2-lite-v1:0", "", "", "", w5, "0.3"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-luna", "", "2026-07-20", "", in, "1.1"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-luna", "", "2026-07-20", "", out, "6.6"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-luna", "", "2026-07-30", "", in, "0.22"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-terra", "", "2026-07-20", "", in, "2.75"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-terra", "", "2026-07-20", "", out, "16.5"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-sol", "", "2026-08-20", "", in, "5.5"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-sol", "", "2026-08-20", "", out, "33"},
		{"pydantic/genai-prices#556", "global.openai.gpt-5.6-sol", "", "2026-08-20", "", in, "5"},
		{"pydantic/genai-prices#556", "openai.gpt-5.6-sol", "", "2026-08-21", "", in, "4.4"},
		{"kurofune/claudit v1.9.2", "global.anthropic.claude-sonnet-5-5", "", "2026-10-06", "", read, "0.2"},
		{"kurofune/claudit v1.9.2", "global.anthropic.claude-sonnet-5-5", "", "2026-10-07", "", read, "0.1"},
		{"kurofune/claudit v1.9.2", "us.anthropic.claude-sonnet-5-5", "", "2026-10-06", "", read, "0.22"},
		{"kurofune/claudit v1.9.2", "us.anthropic.claude-sonnet-5-5", "", "2026-11-20", "", read, "0.11"},
		{"models.dev", "global.openai.gpt-6-sol", "", "2026-11-01", "", in, "2"},
		{"models.dev", "us.openai.gpt-6-sol", "", "2026-11-01", "", out, "11"},
		{"models.dev", "global.openai.gpt-6-luna", "", "2026-11-01", "", in, "0.1"},
		{"models.dev", "global.openai.gpt-6.1-sol", "", "2026-11-01", "", read, "0.1"},
		{"models.dev", "global.xai.grok-4.7", "", "2026-11-01", "", in, "2"},
		{"models.dev", "us.xai.grok-4.7", "", "2026-11-01", "", out, "6.6"},
		{"models.dev", "global.zai.glm-5.3", "", "2026-11-01", "", in, "1.68"},
		{"models.dev", "us.zai.glm-5.3", "", "2026-11-01", "", out, "5.808"},
		{"models.dev", "global.moonshotai.kimi-k3", "", "2026-11-01", "", w30, "3.75"},
		{"models.dev", "us.moonshotai.kimi-k3", "", "2026-11-01", "", w30, "4.125"},
		{"models.dev", "in.openai.gpt-5.6-luna", "ap-south-1", "2026-11-01", "", w30, "0.275"},
		{"models.dev", "jp.anthropic.claude-opus-5-5", "", "2026-11-01", "", out, "22"},
		{"models.dev", "us.openai.gpt-6-astra", "", "2026-11-01", "", w30, "13.75"},
		{"models.dev", "google.gemma-4-31b", "", "2026-11-01", "", in, "0.14"},
		{"models.dev", "us.writer.palmyra-x5-v1:0", "", "2026-11-01", "", out, "6"},
		{"BerriAI/litellm#42469", "nvidia.nemotron-super-3-120b", "eu-west-2", "", "", out, "1.01"},
		{"BerriAI/litellm#31692", "qwen.qwen3-next-80b-a3b", "eu-west-1", "", "", in, "0.168"},
		{"BerriAI/litellm#42191", "eu.amazon.nova-pro-v1:0", "eu-central-1", "", "", out, "4.2"},
		{"models.dev, Nova", "jp.amazon.nova-2-lite-v1:0", "ap-northeast-1", "", "", out, "3.311"},
		{"models.dev, Nova", "ca.amazon.nova-lite-v1:0", "ca-central-1", "", "", in, "0.064"},
		{"LiteLLM", "meta.llama3-8b-instruct-v1:0", "sa-east-1", "", "", in, "0.5"},
		{"LiteLLM", "arn:aws:bedrock:sa-east-1::foundation-model/meta.llama3-70b-instruct-v1:0", "", "", "", out, "5.88"},
		{"models.dev", "us-gov.openai.gpt-oss-120b-1:0", "us-gov-west-1", "", "", in, "0.18"},
		{"BerriAI/litellm#42679", "anthropic.claude-sonnet-4-6", "eu-west-2", "", "", in, "3.3"},
		{"BerriAI/litellm#42679", "global.anthropic.claude-sonnet-4-6", "eu-west-2", "", "", in, "3"},
		{"earendil-works/pi#9457", "anthropic.claude-sonnet-4-6", "", "", "", w1h, "6.6"},
		{"models.dev", "nvidia.nemotron-super-3-120b", "", "", "", out, "0.65"},
		{"TheKrush/PromptFuel v1.0.22", "global.anthropic.claude-fable-5-1", "", "", "", w1h, "20"},
		{"twice the input", "us.anthropic.claude-opus-5", "", "", "", w1h, "11"},
		{"genai-prices, aws.yml", "amazon.nova-2-sonic-v1:0", "", "", "", pricing.SpeechOutput, "12"},
		{"genai-prices, aws.yml", "amazon.nova-sonic-v1:0", "", "", "", pricing.SpeechInput, "3.4"},
	} {
		const n = 100_000 // below all brackets
		got, err := pricing.Default().Cost(bedrockkit.ModelID(tt.model), bedrockkit.Usage{}, func(o *pricing.CostOptions) {
			o.Region, o.Tier, o.Units = tt.region, bedrockkit.ServiceTier(tt.tier), pricing.Units{tt.dimension: n}
			on("2026-11-29")(o)
			if tt.day != "" {
				on(tt.day)(o)
			}
		})
		if assert.NoError(t, err, "%s: %s", tt.report, tt.model) {
			assert.Equal(t, tt.want, got.Mul(10).String(), "%s: %s %s %s %s", tt.report, tt.model, tt.region, tt.day, tt.dimension)
		}
	}
}

// Above 272K tokens of input the whole request is billed by the bracket
// (pydantic/genai-prices#556, promptfoo/promptfoo#10826).
func TestLongContextOfGPT(t *testing.T) {
	for model, want := range map[bedrockkit.ModelID]string{
		"global.openai.gpt-5.6-sol": "2.7", "us.openai.gpt-5.6-sol": "2.97", "global.openai.gpt-5.6-luna": "0.138", "us.openai.gpt-5.6-luna": "0.1518",
		"us.openai.gpt-5.6-terra": "1.518", "global.openai.gpt-5.6-terra": "1.38", "global.openai.gpt-6-astra": "6.75", "us.openai.gpt-6-astra": "7.425",
	} {
		got, err := pricing.Default().Cost(model, bedrockkit.Usage{InputTokens: 300_000, OutputTokens: 10_000}, on("2026-10-01"))
		require.NoError(t, err, model)
		assert.Equal(t, want, got.String(), model)
	}
}

// A write whose TTL Converse does not tell is one of the only cache that the
// model has (earendil-works/pi#8752).
func TestWritesOfModelsWithOneCache(t *testing.T) {
	u, err := bedrockkit.ParseConverseUsage([]byte(`{"inputTokens":2,"outputTokens":5,"totalTokens":7158,"cacheReadInputTokens":0,"cacheWriteInputTokens":7151}`))
	require.NoError(t, err)
	got, err := pricing.Default().Cost("global.openai.gpt-5.6-sol", u, on("2026-10-01"))
	require.NoError(t, err)
	assert.Equal(t, "0.035863", got.String())
	// Claude has two, so nobody takes one for the other.
	_, err = pricing.Default().Cost("global.anthropic.claude-opus-5", bedrockkit.Usage{CacheWrite30mTokens: 1})
	assert.ErrorIs(t, err, pricing.ErrNoRate)
}

// Cached tokens of a batch have a price that nobody has published
// (BerriAI/litellm#38341).
func TestCachedTokensOfBatches(t *testing.T) {
	batch := func(o *pricing.CostOptions) { o.Tier = pricing.TierBatch }
	_, err := pricing.Default().Cost("us.anthropic.claude-sonnet-4-6", bedrockkit.Usage{InputTokens: 10}, batch)
	require.NoError(t, err)
	_, err = pricing.Default().Cost("us.anthropic.claude-sonnet-4-6", bedrockkit.Usage{InputTokens: 10, CacheReadTokens: 90}, batch)
	var unpriced *pricing.UnpricedError
	require.ErrorAs(t, err, &unpriced)
	require.ErrorIs(t, err, pricing.ErrNoRate)
	assert.Equal(t, []pricing.Quantity{{Dimension: pricing.CacheRead, Units: 90}}, unpriced.Unpriced)
}
