package bedrockkit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/quota"
)

// The figures of docs/scale.md and docs/patterns.md are those of the price table and
// of quotas.
func TestFiguresOfScale(t *testing.T) {
	const (
		haiku, sonnet, sonnet5 bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.anthropic.claude-sonnet-4-6", "us.anthropic.claude-sonnet-5"
		nova                   bedrockkit.ModelID = "us.amazon.nova-2-lite-v1:0"
		input, output, peak                       = 500, 300, 3
	)
	text := read(t, "docs/scale.md")
	for _, row := range []struct {
		name  string
		model bedrockkit.ModelID
		share float64
	}{
		{"small model, burndown 5 (Claude Haiku 4.5)", haiku, 0.8},
		{"large model, burndown 5 (Claude Sonnet 4.6)", sonnet, 0.2},
		{"large model, burndown 10 (Claude Sonnet 5)", sonnet5, 0.2},
		{"small model, burndown 1 (Amazon Nova 2 Lite)", nova, 0.8},
	} {
		limiter, err := quota.New([]quota.Quota{{Model: row.model, TokensPerMinute: 1}})
		require.NoError(t, err)
		taken := limiter.Lane("", "us-east-1", row.model).Quota().Taken(bedrockkit.Usage{InputTokens: input, OutputTokens: output})
		mean := float64(taken) * row.share * 1e6 / (24 * 60) / 1e6
		line := fmt.Sprintf("| %s | %.2f M | %.2f M | ", row.name, mean, peak*mean)
		assert.Contains(t, text, line)
		assert.Regexp(t, `(?m)^\Q`+line+`\E\d+ M \| `+thousands(peak*mean*1000)+` M \|$`, text)
	}
	mean := 1e6 / (24.0 * 60 * 60)
	assert.Contains(t, text, fmt.Sprintf("| messages a second, mean | %.1f | %.0f | %s | %s |", mean, 10*mean, thousands(100*mean), thousands(1000*mean)))
	assert.Contains(t, text, fmt.Sprintf("| at the peak | %.0f | %.0f | %s | %s |", peak*mean, 10*peak*mean, thousands(100*peak*mean), thousands(1000*peak*mean)))

	// What one limit carries, in millions of messages a day, of 4 s each.
	for what, messages := range map[string]float64{
		"the frames, if each token is a call": 10_000.0 / output,
		"Lambda's 1,000 concurrent runs":      1_000.0 / 4,
		"API Gateway's 10,000 requests":       10_000.0 / 5 / 4,
		"DynamoDB's 40,000 write units":       40_000.0 / 4,
	} {
		assert.Contains(t, text, fmt.Sprintf("\n| %.0f million | %s", messages/(peak*mean), what))
	}

	day := func(small, large bedrockkit.ModelID, hits, prompt float64) string {
		f, err := pricing.Default().Forecast(pricing.Workload{MessagesPerDay: 1_000_000, InputTokens: input, OutputTokens: output, CacheHitRate: hits, PromptCacheRead: prompt,
			Routes: []pricing.Route{{Model: small, Share: 0.8}, {Model: large, Share: 0.2}}})
		require.NoError(t, err)
		if whole := f.Day.Round(0); whole == f.Day {
			return "$" + thousands(f.Day.Float64())
		}
		return fmt.Sprintf("$%s.%02.0f", thousands(float64(int64(f.Day.Float64()))), 100*(f.Day.Float64()-float64(int64(f.Day.Float64()))))
	}
	for name, want := range map[string]string{
		"Claude Haiku 4.5 and Claude Sonnet 4.6, 80 : 20":                day(haiku, sonnet, 0, 0),
		"the same through the global profiles":                           day("global.anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-sonnet-4-6", 0, 0),
		"the same, 15 % of the answers from a cache":                     day(haiku, sonnet, 0.15, 0),
		"the same, 60 % of the input read from the prompt cache as well": day(haiku, sonnet, 0.15, 0.6),
		"Amazon Nova 2 Lite and Claude Sonnet 4.6, 80 : 20":              day(nova, sonnet, 0, 0),
	} {
		assert.Contains(t, text, fmt.Sprintf("| %s | %s |", name, want))
	}

	patterns := read(t, "docs/patterns.md")
	for _, tier := range []bedrockkit.ServiceTier{bedrockkit.TierStandard, pricing.TierBatch} {
		cost, err := pricing.Default().Cost(haiku, bedrockkit.Usage{InputTokens: input, OutputTokens: output}, func(o *pricing.CostOptions) { o.Tier = tier })
		require.NoError(t, err)
		assert.Contains(t, patterns, "$"+cost.Round(4).String())
	}
}

// thousands writes a number with commas.
func thousands(x float64) string {
	text := fmt.Sprintf("%.0f", x)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
