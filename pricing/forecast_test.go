package pricing_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// store is the workload of a manga store's assistant.
func store() pricing.Workload {
	return pricing.Workload{
		MessagesPerDay: 1_000_000,
		Routes: []pricing.Route{
			{Model: "anthropic.claude-3-haiku-20240307-v1:0", Share: 0.8},
			{Model: "anthropic.claude-3-sonnet-20240229-v1:0", Share: 0.2},
		},
		InputTokens: 500, OutputTokens: 300,
	}
}

func TestForecast(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		f, err := pricing.Default().Forecast(store())
		require.NoError(t, err)
		assert.Equal(t, "1600", f.Day.String())
		assert.Equal(t, "48000", f.Cost.String())
		assert.Equal(t, 30, f.Days)
		assert.Equal(t, "0.0016", f.PerAnswer.String())
		assert.Equal(t, "400", f.PerModel[0].Day.String())
		assert.Equal(t, "1200", f.PerModel[1].Day.String())
		assert.Equal(t, []pricing.Part{
			{Dimension: pricing.Input, Tier: bedrockkit.TierStandard, Amount: amount(t, "3000")},
			{Dimension: pricing.Output, Tier: bedrockkit.TierStandard, Amount: amount(t, "9000")},
		}, f.PerModel[0].Parts)
		assert.Equal(t, pricing.Savings{}, f.Savings)
	})
	t.Run("response cache", func(t *testing.T) {
		w := store()
		w.CacheHitRate = 0.15
		f, err := pricing.Default().Forecast(w)
		require.NoError(t, err)
		assert.Equal(t, "1600", f.ListDay.String())
		assert.Equal(t, "48000", f.List.String())
		assert.Equal(t, "7200", f.Savings.ResponseCache.String())
		assert.Equal(t, "40800", f.Cost.String())
	})
	t.Run("batch", func(t *testing.T) {
		w := store()
		w.BatchShare = 1
		f, err := pricing.Default().Forecast(w)
		require.NoError(t, err)
		assert.Equal(t, "24000", f.Cost.String())
		assert.Equal(t, "24000", f.Savings.Batch.String())
		assert.Equal(t, pricing.TierBatch, f.PerModel[0].Parts[0].Tier)
	})
	t.Run("prompt cache", func(t *testing.T) {
		f, err := pricing.Default().Forecast(pricing.Workload{
			MessagesPerDay: 1000, Days: 1,
			Routes:      []pricing.Route{{Model: sonnet45, Share: 1, InputTokens: new(10_000.0), OutputTokens: new(100.0)}},
			InputTokens: 7, OutputTokens: 7, // the route has its own
			PromptCacheRead: 0.8, PromptCacheWrite: 0.1,
		})
		require.NoError(t, err)
		// 10⁶ fresh × 3.3 + 8·10⁶ read × 0.33 + 10⁶ written × 4.125 + 10⁵ out × 16.5, per million
		assert.Equal(t, "11.715", f.Cost.String())
		assert.Equal(t, "34.65", f.List.String())
		assert.Equal(t, "22.935", f.Savings.PromptCache.String())
	})
	t.Run("all together add up", func(t *testing.T) {
		w := store()
		w.CacheHitRate, w.BatchShare, w.PromptCacheRead, w.InputTokens, w.Days = 0.15, 0.3, 0.5, 512.25, 365
		f, err := pricing.Default().Forecast(w)
		require.NoError(t, err)
		s := f.Savings
		assert.Equal(t, f.List, f.Cost.Add(s.ResponseCache).Add(s.PromptCache).Add(s.Batch))
		assert.Equal(t, f.List, f.ListDay.Mul(365))
		var models, parts pricing.Amount
		for _, m := range f.PerModel {
			models = models.Add(m.Cost)
			for _, p := range m.Parts {
				parts = parts.Add(p.Amount)
			}
		}
		assert.Equal(t, f.Cost, models)
		assert.Equal(t, f.Cost, parts)
	})
	t.Run("nobody writes", func(t *testing.T) {
		w := store()
		w.MessagesPerDay = 0
		f, err := pricing.Default().Forecast(w)
		require.NoError(t, err)
		assert.True(t, f.Cost.IsZero())
		assert.True(t, f.PerAnswer.IsZero())
	})
}

func TestForecastRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*pricing.Workload)
		want   error
	}{
		"shares that are no whole": {func(w *pricing.Workload) { w.Routes[0].Share = 0.7 }, pricing.ErrInvalidWorkload},
		"a share that is no share": {func(w *pricing.Workload) { w.Routes[0].Share = 1.2; w.Routes[1].Share = -0.2 }, pricing.ErrInvalidWorkload},
		"no number":                {func(w *pricing.Workload) { w.CacheHitRate = math.NaN() }, pricing.ErrInvalidWorkload},
		"too much cached":          {func(w *pricing.Workload) { w.PromptCacheRead, w.PromptCacheWrite = 0.6, 0.6 }, pricing.ErrInvalidWorkload},
		"no routes":                {func(w *pricing.Workload) { w.Routes = nil }, pricing.ErrInvalidWorkload},
		"negative messages":        {func(w *pricing.Workload) { w.MessagesPerDay = -1 }, pricing.ErrInvalidWorkload},
		"negative tokens":          {func(w *pricing.Workload) { w.InputTokens = -1 }, pricing.ErrInvalidWorkload},
		"endless":                  {func(w *pricing.Workload) { w.Days = 1 << 30 }, pricing.ErrInvalidWorkload},
		"an unknown model":         {func(w *pricing.Workload) { w.Routes[0].Model = "acme.one" }, pricing.ErrUnknownModel},
		"an unknown model of no tokens": {func(w *pricing.Workload) {
			w.InputTokens, w.OutputTokens, w.Routes[0].Model = 0, 0, "acme.one"
		}, pricing.ErrUnknownModel},
		"no flex of no tokens": {func(w *pricing.Workload) {
			w.InputTokens, w.OutputTokens, w.Tier = 0, 0, bedrockkit.TierFlex
		}, pricing.ErrNoRate},
		"an unknown tier":   {func(w *pricing.Workload) { w.Tier = "express" }, pricing.ErrNoRate},
		"no flex of Claude": {func(w *pricing.Workload) { w.Tier = bedrockkit.TierFlex }, pricing.ErrNoRate},
		"no batch of the model": {func(w *pricing.Workload) {
			w.BatchShare, w.Routes = 0.5, []pricing.Route{{Model: "deepseek.r1-v1:0", Share: 1}}
		}, pricing.ErrNoRate},
	} {
		w := store()
		tt.change(&w)
		_, err := pricing.Default().Forecast(w)
		assert.ErrorIs(t, err, tt.want, name)
	}
}

func TestForecastJSON(t *testing.T) {
	w := store()
	data, err := json.Marshal(w)
	require.NoError(t, err)
	var again pricing.Workload
	require.NoError(t, json.Unmarshal(data, &again))
	assert.Equal(t, w, again)

	f, err := pricing.Default().Forecast(w)
	require.NoError(t, err)
	data, err = json.Marshal(f)
	require.NoError(t, err)
	assert.Contains(t, string(data), `"list_day":"1600"`)
	var back pricing.Forecast
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, f, back)
}

// Chat and embeddings are one workload: the route that embeds has no output.
func TestForecastOfRoutesWithoutOutput(t *testing.T) {
	w := pricing.Workload{MessagesPerDay: 1_000_000, InputTokens: 500, OutputTokens: 300, Routes: []pricing.Route{
		{Model: lite, Share: 0.5},
		{Model: "amazon.titan-embed-text-v2:0", Share: 0.5, OutputTokens: new(0.0)},
	}}
	f, err := pricing.Default().Forecast(w)
	require.NoError(t, err)
	assert.Equal(t, "56", f.Day.String()) // 15 + 36 and 5
	w.Routes[1].OutputTokens = nil
	_, err = pricing.Default().Forecast(w)
	assert.ErrorIs(t, err, pricing.ErrNoRate)
	w.Routes = []pricing.Route{{Model: "eu.amazon.nova-2-lite-v1:0", Share: 1}}
	_, err = pricing.Default().Forecast(w)
	assert.ErrorContains(t, err, "no rate without a region: the prices of eu. differ")
	w.Region = "eu-central-1"
	f, err = pricing.Default().Forecast(w)
	require.NoError(t, err)
	assert.Equal(t, "1293.6", f.Day.String()) // 500M × 0.429 + 300M × 3.597
}
