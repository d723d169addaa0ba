package pricing_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

const (
	lite     bedrockkit.ModelID = "amazon.nova-lite-v1:0"
	sonnet45 bedrockkit.ModelID = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
)

func TestBound(t *testing.T) {
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		req   pricing.Request
		opts  []func(*pricing.CostOptions)
		want  string
	}{
		{"tokens", lite, pricing.Request{InputTokens: 1000, MaxOutputTokens: 500}, nil, "0.00018"},
		{"a token has a byte at least, beside the template's", lite, pricing.Request{Text: strings.Repeat("x", 872), MaxOutputTokens: 500}, nil, "0.00018"},
		{"the service's own prompt for tools", lite, pricing.Request{Text: strings.Repeat("x", 848), Tools: true, MaxOutputTokens: 500}, nil, "0.00024"},
		{"all may be written to the cache", sonnet45, pricing.Request{InputTokens: 1000, MaxOutputTokens: 1, CacheWrite: pricing.CacheWrite1h}, nil, "0.0066165"},
		{"at the dearest rate", sonnet45, pricing.Request{InputTokens: 1000, MaxOutputTokens: 1, CacheWrite: pricing.CacheWrite5m}, nil, "0.0066165"},
		{"some models write without being asked", "global.openai.gpt-5.6-sol", pricing.Request{InputTokens: 1000, MaxOutputTokens: 1}, nil, "0.00502"},
		{"the model's longest output", sonnet45, pricing.Request{InputTokens: 1}, nil, "1.0560033"},
		{"an embedding has no output", "amazon.titan-embed-text-v2:0", pricing.Request{InputTokens: 1_000_000}, nil, "0.02"},
		{"flex may be served as standard", "openai.gpt-oss-120b-1:0", pricing.Request{InputTokens: 1_000_000, MaxOutputTokens: 1_000_000}, []func(*pricing.CostOptions){tier(bedrockkit.TierFlex)}, "0.75"},
		{"priority", "openai.gpt-oss-120b-1:0", pricing.Request{InputTokens: 1_000_000, MaxOutputTokens: 1_000_000}, []func(*pricing.CostOptions){tier(bedrockkit.TierPriority)}, "1.3125"},
		{"batch stays batch", "openai.gpt-oss-120b-1:0", pricing.Request{InputTokens: 1_000_000, MaxOutputTokens: 1_000_000}, []func(*pricing.CostOptions){tier(pricing.TierBatch)}, "0.375"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pricing.Default().Bound(tt.model, tt.req, tt.opts...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.String())
		})
	}

	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		req   pricing.Request
		want  error
	}{
		"no input":                  {lite, pricing.Request{MaxOutputTokens: 1}, pricing.ErrUnbounded},
		"no known output":           {"writer.palmyra-vision-7b", pricing.Request{InputTokens: 1}, pricing.ErrUnbounded},
		"no cache dimension":        {lite, pricing.Request{InputTokens: 1, MaxOutputTokens: 1, CacheWrite: "input"}, pricing.ErrUnbounded},
		"no rate of the cache":      {lite, pricing.Request{InputTokens: 1, MaxOutputTokens: 1, CacheWrite: pricing.CacheWrite1h}, pricing.ErrNoRate},
		"no model":                  {"acme.one", pricing.Request{InputTokens: 1}, pricing.ErrUnknownModel},
		"no model but a bound":      {"acme.one", pricing.Request{InputTokens: 1, MaxOutputTokens: 1}, pricing.ErrUnknownModel},
		"an input beyond counting":  {lite, pricing.Request{InputTokens: math.MaxInt64, MaxOutputTokens: 1}, pricing.ErrUnbounded},
		"an output beyond counting": {lite, pricing.Request{InputTokens: 1, MaxOutputTokens: math.MaxInt64}, pricing.ErrUnbounded},
		"a negative output":         {lite, pricing.Request{InputTokens: 1, MaxOutputTokens: -1}, pricing.ErrInvalidUsage},
	} {
		_, err := pricing.Default().Bound(tt.model, tt.req)
		assert.ErrorIs(t, err, tt.want, name)
	}
}

// TestBoundHolds checks that no way to use a request costs more than its bound.
func TestBoundHolds(t *testing.T) {
	const in, out = 10_000, 2_000
	for m := range pricing.Default().Models() {
		for _, prefix := range []bedrockkit.ModelID{"", "us.", "global."} {
			id := prefix + m.ID
			bound, err := pricing.Default().Bound(id, pricing.Request{InputTokens: in, MaxOutputTokens: out, CacheWrite: pricing.CacheWrite5m})
			if err != nil {
				continue
			}
			for _, u := range []bedrockkit.Usage{
				{InputTokens: in, OutputTokens: out}, {CacheWrite5mTokens: in, OutputTokens: out},
				{CacheReadTokens: in / 2, InputTokens: in / 2, OutputTokens: out / 2},
			} {
				if cost, err := pricing.Default().Cost(id, u); err == nil {
					assert.LessOrEqual(t, cost.Cmp(bound), 0, "%s %+v", id, u)
				}
			}
		}
	}
}

func TestEstimate(t *testing.T) {
	count := func(context.Context) (int64, error) { return 1000, nil }
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		req   pricing.Request
		want  string
	}{
		{"counted", lite, pricing.Request{Count: count, OutputTokens: 500, MaxOutputTokens: 4000}, "0.00018"},
		{"given, so not counted", lite, pricing.Request{InputTokens: 2000, Count: count, OutputTokens: 500}, "0.00024"},
		{"by the text", lite, pricing.Request{Text: strings.Repeat("four", 1000), OutputTokens: 500}, "0.00018"},
		{"output at most", lite, pricing.Request{InputTokens: 1000, MaxOutputTokens: 500}, "0.00018"},
		{"cached", sonnet45, pricing.Request{InputTokens: 13_244, CacheReadTokens: 13_216, CacheWrite: pricing.CacheWrite5m, CacheWriteTokens: 25, OutputTokens: 12}, "0.004672305"},
		{"cached for half an hour", "openai.gpt-5.6-luna", pricing.Request{InputTokens: 200_000, CacheWrite: pricing.CacheWrite30m, CacheWriteTokens: 100_000, OutputTokens: 100_000}, "0.1815"},
		{"an embedding", "amazon.titan-embed-text-v2:0", pricing.Request{InputTokens: 1_000_000}, "0.02"},
		{"a rerank query", "cohere.rerank-v3-5:0", pricing.Request{Units: pricing.Units{pricing.Query: 2}}, "0.004"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pricing.Default().Estimate(t.Context(), tt.model, tt.req)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.Expected.String())
			again, err := pricing.Default().Cost(tt.model, got.Usage, func(o *pricing.CostOptions) { o.Units = tt.req.Units })
			require.NoError(t, err)
			assert.Equal(t, got.Expected, again)
		})
	}

	throttled := errors.New("throttled")
	_, err := pricing.Default().Estimate(t.Context(), lite, pricing.Request{Count: func(context.Context) (int64, error) { return 0, throttled }})
	assert.ErrorIs(t, err, throttled)
	_, err = pricing.Default().Estimate(t.Context(), lite, pricing.Request{InputTokens: 1, OutputTokens: 1, CacheReadTokens: 5})
	assert.ErrorIs(t, err, pricing.ErrInvalidUsage, "more read from the cache than there is")
	_, err = pricing.Default().Estimate(t.Context(), lite, pricing.Request{InputTokens: 10, OutputTokens: 1, CacheWriteTokens: 5})
	assert.ErrorContains(t, err, "cache_write dimension")
}

func TestEstimateTokens(t *testing.T) {
	assert.EqualValues(t, 0, pricing.EstimateTokens(""))
	assert.EqualValues(t, 1, pricing.EstimateTokens("a"))
	assert.EqualValues(t, 3, pricing.EstimateTokens("Hello, manga"))
	assert.EqualValues(t, 5, pricing.EstimateTokens("鬼滅の刃を"))
}

func TestCompare(t *testing.T) {
	used := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}
	got := pricing.Default().Compare(used, []bedrockkit.ModelID{
		sonnet45, "acme.one", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-micro-v1:0",
	})
	var order []string
	for _, c := range got {
		order = append(order, c.Cost.String())
	}
	assert.Equal(t, []string{"0.049", "1.5", "1.65", "4.95", "0"}, order)
	assert.ErrorIs(t, got[4].Err, pricing.ErrUnknownModel)
	assert.NoError(t, got[0].Err)
}
