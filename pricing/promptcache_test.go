package pricing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestPromptCache(t *testing.T) {
	// Claude Haiku 4.5 in the US: input 1.10, write 1.375 (5m) and 2.20 (1h),
	// read 0.11 for a million tokens.
	const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	for _, tt := range []struct {
		name        string
		usage       bedrockkit.Usage
		saved, miss string
	}{
		{"no cache", bedrockkit.Usage{InputTokens: 1e6, OutputTokens: 1e6}, "0", "0"},
		{"hit", bedrockkit.Usage{InputTokens: 10, CacheReadTokens: 1e6}, "0.99", "0"},
		{"miss", bedrockkit.Usage{InputTokens: 10, CacheWrite5mTokens: 1e6}, "0", "1.265"},
		{"both", bedrockkit.Usage{CacheReadTokens: 1e6, CacheWrite1hTokens: 1e6}, "0.99", "2.09"},
	} {
		c, err := pricing.Default().PromptCache(model, tt.usage)
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.saved, c.Saved.String(), tt.name)
		assert.Equal(t, tt.miss, c.MissCost.String(), tt.name)
		assert.Equal(t, tt.usage.TotalInput()-tt.usage.InputTokens, c.ReadTokens+c.WrittenTokens, tt.name)
	}
	_, err := pricing.Default().PromptCache("example.unknown-v1", bedrockkit.Usage{CacheReadTokens: 1})
	assert.ErrorIs(t, err, pricing.ErrUnknownModel)
}
