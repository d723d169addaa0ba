package pricing_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

func tier(t bedrockkit.ServiceTier) func(*pricing.CostOptions) {
	return func(o *pricing.CostOptions) { o.Tier = t }
}

func region(r string) func(*pricing.CostOptions) {
	return func(o *pricing.CostOptions) { o.Region = r }
}

// on is a day for prices that have changed.
func on(day string) func(*pricing.CostOptions) {
	date := must(time.Parse(time.DateOnly, day))
	return func(o *pricing.CostOptions) { o.Date = date }
}

func TestCost(t *testing.T) {
	const m = 1_000_000
	today := []func(*pricing.CostOptions){on("2026-11-29")}
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		usage bedrockkit.Usage
		opts  []func(*pricing.CostOptions)
		want  string
	}{
		{"bare id", "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: 100_000}, nil, "1.65"},
		{"geographic profile", "us.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: 100_000}, nil, "1.65"},
		{"global profile is cheaper", "global.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: 100_000}, nil, "1.5"},
		{"ARN of a global profile", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: 100_000}, nil, "1.5"},
		{"ARN of a model", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: 100_000}, nil, "1.65"},
		{"prompt cache", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13_216, CacheWrite5mTokens: 25}, nil, "0.004672305"},
		{"cache written for an hour", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.Usage{CacheWrite1hTokens: m}, nil, "6.6"},
		{"standard", "openai.gpt-oss-120b-1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){region("us-east-1")}, "0.75"},
		{"standard by name", "openai.gpt-oss-120b-1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier("standard")}, "0.75"},
		{"priority", "openai.gpt-oss-120b-1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier(bedrockkit.TierPriority), region("us-east-1")}, "1.3125"},
		{"flex", "openai.gpt-oss-120b-1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier(bedrockkit.TierFlex)}, "0.375"},
		{"batch", "openai.gpt-oss-120b-1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier(pricing.TierBatch)}, "0.375"},
		{"batch by a profile", "us.anthropic.claude-sonnet-4-6", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier(pricing.TierBatch)}, "9.9"},
		{"short context", "us.openai.gpt-5.6-terra", bedrockkit.Usage{InputTokens: 272_000}, today, "0.5984"},
		{"long context, counted with the cache", "us.openai.gpt-5.6-terra", bedrockkit.Usage{InputTokens: 1, CacheReadTokens: 272_000}, today, "0.1196844"},
		{"latency optimized", "us.amazon.nova-pro-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, []func(*pricing.CostOptions){tier(bedrockkit.TierOptimized)}, "5"},
		{"one cached token", "amazon.nova-micro-v1:0", bedrockkit.Usage{CacheReadTokens: 1}, nil, "0.00000000875"},
		{"GovCloud by prefix", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.Usage{InputTokens: m}, nil, "3.6"},
		{"GovCloud by region", "anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.Usage{InputTokens: m}, []func(*pricing.CostOptions){region("us-gov-west-1")}, "3.6"},
		{"GovCloud by ARN", "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.Usage{InputTokens: m}, nil, "3.6"},
		{"Opus 4.8 is not Opus 4", "anthropic.claude-opus-4-8", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, nil, "33"},
		{"Opus 4", "anthropic.claude-opus-4-20250514-v1:0", bedrockkit.Usage{InputTokens: m, OutputTokens: m}, nil, "90"},
		{"nothing used", "anthropic.claude-opus-4-8", bedrockkit.Usage{}, nil, "0"},
		{"rerank", "cohere.rerank-v3-5:0", bedrockkit.Usage{}, []func(*pricing.CostOptions){func(o *pricing.CostOptions) {
			o.Units = pricing.Units{pricing.Query: pricing.RerankQueries(101)}
		}}, "0.004"},
		{"cache written for half an hour", "openai.gpt-5.6-luna", bedrockkit.Usage{InputTokens: 100_000, CacheWrite30mTokens: 100_000}, today, "0.0495"},
		{"profile of India", "in.openai.gpt-5.6-luna", bedrockkit.Usage{InputTokens: 100_000}, today, "0.022"},
		{"units add to the usage", "openai.gpt-5.6-luna", bedrockkit.Usage{InputTokens: 50_000, CacheReadTokens: 50_000}, append(today, func(o *pricing.CostOptions) {
			o.Units = pricing.Units{pricing.CacheWrite30m: 50_000, pricing.Input: 50_000}
		}), "0.03685"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pricing.Default().Cost(tt.model, tt.usage, tt.opts...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.String())

			b, err := pricing.Default().Breakdown(tt.model, tt.usage, tt.opts...)
			require.NoError(t, err)
			assert.Equal(t, got, b.Total)
			var sum pricing.Amount
			for _, l := range b.Lines {
				sum = sum.Add(l.Amount)
				assert.Equal(t, l.Rate.Of(l.Units), l.Amount)
				assert.NotEmpty(t, l.Sources)
			}
			assert.Equal(t, got, sum)
		})
	}
}

func TestCostUnpriced(t *testing.T) {
	const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
	used := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 7}
	tests := []struct {
		name     string
		model    bedrockkit.ModelID
		usage    bedrockkit.Usage
		opts     []func(*pricing.CostOptions)
		is       error
		priced   string
		unpriced []pricing.Quantity
	}{
		{"a model that is not in the table", "anthropic.claude-opus-9", used, nil, pricing.ErrUnknownModel, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"no substring of a model", "anthropic.claude-opus-4-8-turbo", used, nil, pricing.ErrUnknownModel, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"no model id", "claude-opus-4-20250514", used, nil, pricing.ErrUnknownModel, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"an opaque ARN", profile, used, nil, pricing.ErrUnknownModel, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"provisioned throughput is billed by the hour", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123", used,
			[]func(*pricing.CostOptions){func(o *pricing.CostOptions) {
				o.Resolve = func(bedrockkit.ModelID) (bedrockkit.ModelID, error) { return lite, nil }
			}}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"Claude has no flex tier", "anthropic.claude-haiku-4-5-20251001-v1:0", used, []func(*pricing.CostOptions){tier(bedrockkit.TierFlex)}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"nor for nothing", "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.Usage{}, []func(*pricing.CostOptions){tier(bedrockkit.TierFlex)}, pricing.ErrNoRate, "0", nil},
		{"a tier that does not exist", "anthropic.claude-haiku-4-5-20251001-v1:0", used, []func(*pricing.CostOptions){tier("express")}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"no global price of an older model", "global.anthropic.claude-3-opus-20240229-v1:0", used, nil, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"a bucket without a rate", "amazon.nova-lite-v1:0",
			bedrockkit.Usage{InputTokens: 1_000_000, CacheWrite1hTokens: 9}, nil, pricing.ErrNoRate, "0.06",
			[]pricing.Quantity{{Dimension: pricing.CacheWrite1h, Units: 9}}},
		{"a long context without a price", "us.openai.gpt-6-sol", bedrockkit.Usage{InputTokens: 272_001}, []func(*pricing.CostOptions){tier(bedrockkit.TierPriority)}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 272_001}}},
		{"a bracket without the bucket", "openai.gpt-5.4", bedrockkit.Usage{InputTokens: 272_001, CacheReadTokens: 9}, nil, pricing.ErrNoRate, "1.4960055",
			[]pricing.Quantity{{Dimension: pricing.CacheRead, Units: 9}}},
		{"a region without a row", "amazon.nova-2-lite-v1:0", bedrockkit.Usage{InputTokens: 1}, []func(*pricing.CostOptions){region("eu-west-2")}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1}}},
		{"a profile outside its geography", "us.amazon.nova-lite-v1:0", bedrockkit.Usage{InputTokens: 1}, []func(*pricing.CostOptions){region("eu-central-1")}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1}}},
		{"a profile without rows of regions, outside its geography", "us.anthropic.claude-opus-4-8", bedrockkit.Usage{InputTokens: 1}, []func(*pricing.CostOptions){region("ap-northeast-1")}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1}}},
		{"a geography whose regions differ", "eu.amazon.nova-2-lite-v1:0", bedrockkit.Usage{InputTokens: 1}, nil, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1}}},
		{"a batch that no list has", "global.anthropic.claude-sonnet-4-6", used, []func(*pricing.CostOptions){tier(pricing.TierBatch)}, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"a zero that was none", "anthropic.claude-mythos-preview", used, nil, pricing.ErrNoRate, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1_000_000}, {Dimension: pricing.Output, Units: 7}}},
		{"an unknown dimension", "amazon.nova-lite-v1:0", bedrockkit.Usage{InputTokens: 1}, []func(*pricing.CostOptions){func(o *pricing.CostOptions) {
			o.Units = pricing.Units{"smell": 2}
		}}, pricing.ErrNoRate, "0", []pricing.Quantity{{Dimension: pricing.Input, Units: 1}, {Dimension: "smell", Units: 2}}},
		{"unknown usage is a lower bound", "amazon.nova-lite-v1:0",
			bedrockkit.Usage{InputTokens: 1_000_000, Unknown: true}, nil, pricing.ErrUnknownUsage, "0.06", nil},
		{"unknown usage of an unknown model", "anthropic.claude-opus-9", bedrockkit.Usage{Unknown: true}, nil, pricing.ErrUnknownUsage, "0", nil},
		{"a negative count", "amazon.nova-lite-v1:0", bedrockkit.Usage{InputTokens: -1}, nil, pricing.ErrInvalidUsage, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: -1}}},
		{"a count beyond all bounds", "amazon.nova-lite-v1:0", bedrockkit.Usage{InputTokens: 1 << 62}, nil, pricing.ErrInvalidUsage, "0",
			[]pricing.Quantity{{Dimension: pricing.Input, Units: 1 << 62}}},
		{"a negative unit", "cohere.rerank-v3-5:0", bedrockkit.Usage{}, []func(*pricing.CostOptions){func(o *pricing.CostOptions) {
			o.Units = pricing.Units{pricing.Query: -2}
		}}, pricing.ErrInvalidUsage, "0", []pricing.Quantity{{Dimension: pricing.Query, Units: -2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pricing.Default().Cost(tt.model, tt.usage, tt.opts...)
			require.ErrorIs(t, err, tt.is)
			assert.True(t, got.IsZero(), "what was priced stands in the error, not in the result")
			var e *pricing.UnpricedError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tt.model, e.Model)
			assert.Equal(t, tt.priced, e.Priced.String())
			assert.Equal(t, tt.unpriced, e.Unpriced)

			b, err := pricing.Default().Breakdown(tt.model, tt.usage, tt.opts...)
			require.ErrorIs(t, err, tt.is)
			assert.Equal(t, e.Priced, b.Total)
		})
	}
}

func TestCostErrorText(t *testing.T) {
	_, err := pricing.Default().Cost("us.amazon.nova-lite-v1:0", bedrockkit.Usage{InputTokens: 4_000_000, CacheWrite1hTokens: 9}, region("us-east-1"))
	assert.EqualError(t, err, `pricing "us.amazon.nova-lite-v1:0": no rate (scope geographic, tier default, region us-east-1); unpriced: 9 cache_write_1h; priced so far: $0.24`)
}

func TestCostResolve(t *testing.T) {
	const profile = "arn:aws:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc123"
	resolve := func(to bedrockkit.ModelID, err error) func(*pricing.CostOptions) {
		return func(o *pricing.CostOptions) {
			o.Resolve = func(id bedrockkit.ModelID) (bedrockkit.ModelID, error) {
				assert.EqualValues(t, profile, id)
				return to, err
			}
		}
	}
	usage := bedrockkit.Usage{InputTokens: 1_000_000}
	got, err := pricing.Default().Cost(profile, usage, resolve("anthropic.claude-sonnet-4-5-20250929-v1:0", nil))
	require.NoError(t, err)
	assert.Equal(t, "3.6", got.String(), "the region is that of the ARN")

	denied := errors.New("access denied")
	_, err = pricing.Default().Cost(profile, usage, resolve("", denied))
	assert.ErrorIs(t, err, denied)
	assert.ErrorIs(t, err, pricing.ErrUnknownModel)
	_, err = pricing.Default().Cost(profile, usage, resolve("nonsense", nil))
	assert.ErrorIs(t, err, pricing.ErrUnknownModel)
	_, err = pricing.Default().Cost(profile, usage, resolve(profile, nil))
	assert.ErrorIs(t, err, pricing.ErrUnknownModel, "it does not resolve twice")
}

// TestCostOfRandomUsages computes costs from the rows of the table with big.Rat,
// rule by rule as docs/pricing.md has them.
func TestCostOfRandomUsages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	data := pricing.Default().Data()
	var regions []string
	for _, r := range data.Rows {
		regions = append(regions, r.Regions...)
	}
	tiers := []bedrockkit.ServiceTier{"", "", "", bedrockkit.TierPriority, bedrockkit.TierFlex, pricing.TierBatch}
	scopes := []bedrockkit.Scope{bedrockkit.ScopeRegion, bedrockkit.ScopeGeographic, bedrockkit.ScopeGlobal}
	days := []string{"2025-11-30", "2025-12-01", "2026-07-29", "2026-08-02", "2026-08-25", "2026-10-06", "2026-11-29"}
	priced, refused := 0, 0
	for range 20_000 {
		m := data.Models[rnd.IntN(len(data.Models))]
		scope, tier, region, day := scopes[rnd.IntN(3)], tiers[rnd.IntN(len(tiers))], regions[rnd.IntN(len(regions))], days[rnd.IntN(len(days))]
		if strings.HasPrefix(region, "us-gov-") {
			scope = pricing.ScopeGov
		}
		counts := map[pricing.Dimension]int64{}
		for _, d := range []pricing.Dimension{pricing.Input, pricing.Output, pricing.CacheRead, pricing.CacheWrite5m, pricing.CacheWrite1h} {
			if rnd.IntN(3) == 0 {
				counts[d] = 1 + rnd.Int64N(1<<rnd.IntN(20))
			}
		}
		total := counts[pricing.Input] + counts[pricing.CacheRead] + counts[pricing.CacheWrite5m] + counts[pricing.CacheWrite1h]
		var fits []pricing.Row
		above := int64(0)
		for _, r := range data.Rows {
			here := len(r.Regions) == 0 || slices.Contains(r.Regions, region)
			if r.Model == m.ID && slices.Contains(r.Scopes, scope) && r.Tier == tier && here && r.From <= day && (r.To == "" || day < r.To) && (r.AboveInput == 0 || total > r.AboveInput) {
				fits = append(fits, r)
				above = max(above, r.AboveInput)
			}
		}
		rate := func(d pricing.Dimension) (found pricing.Rate, ok bool) {
			named := false
			for _, r := range fits {
				v, has := r.Rates[d]
				if has && r.AboveInput == above && (r.UpToInput == 0 || total <= r.UpToInput) && (!ok || len(r.Regions) > 0 && !named) {
					found, ok, named = v, true, len(r.Regions) > 0
				}
			}
			return found, ok
		}
		want, all, any := new(big.Rat), true, false
		for d, n := range counts {
			r, ok := rate(d)
			if !ok && d == pricing.CacheWrite5m { // of a model with one cache
				half, has30 := rate(pricing.CacheWrite30m)
				hour, has1h := rate(pricing.CacheWrite1h)
				if ok = has30 != has1h; ok {
					r = max(half, hour)
				}
			}
			all, any = all && ok, true
			perMillion, _ := new(big.Rat).SetString(r.String())
			want.Add(want, perMillion.Mul(perMillion, big.NewRat(n, 1_000_000)))
		}
		if !any {
			continue
		}
		prefix := map[bedrockkit.Scope]string{bedrockkit.ScopeGlobal: "global.", bedrockkit.ScopeGeographic: geography(region)}[scope]
		if scope == bedrockkit.ScopeGeographic && prefix == "" {
			continue // no profile is called from there
		}
		u := bedrockkit.Usage{InputTokens: counts[pricing.Input], OutputTokens: counts[pricing.Output], CacheReadTokens: counts[pricing.CacheRead],
			CacheWrite5mTokens: counts[pricing.CacheWrite5m], CacheWrite1hTokens: counts[pricing.CacheWrite1h]}
		got, err := pricing.Default().Cost(bedrockkit.ModelID(prefix)+m.ID, u, func(o *pricing.CostOptions) { o.Region, o.Tier = region, tier }, on(day))
		if !all {
			refused++
			require.ErrorIs(t, err, pricing.ErrNoRate, "%s%s %+v %s %s %s", prefix, m.ID, u, tier, region, day)
			continue
		}
		priced++
		require.NoError(t, err, "%s%s %+v %s %s %s", prefix, m.ID, u, tier, region, day)
		require.Zero(t, want.Cmp(got.Rat()), "%s%s %+v %s %s %s: %s", prefix, m.ID, u, tier, region, day, got)
	}
	assert.Greater(t, min(priced, refused), 2000)
}

func TestEveryKnownIDIsPricedOrRefused(t *testing.T) {
	var records []struct {
		Canonical string
		Rates     map[string]string
		KnownIDs  []bedrockkit.ModelID `json:"known_ids"`
	}
	require.NoError(t, json.Unmarshal(must(os.ReadFile("source/collected.json")), &records))
	var priced int
	for _, r := range records {
		for _, id := range append(r.KnownIDs, bedrockkit.ModelID(r.Canonical)) {
			u := bedrockkit.Usage{InputTokens: 1000}
			if r.Rates["input"] == "" {
				u = bedrockkit.Usage{OutputTokens: 1000}
			}
			got, err := pricing.Default().Cost(id, u)
			if err == nil {
				priced++
				assert.Positive(t, got.Sign(), "%s must not be free", id)
				continue
			}
			var e *pricing.UnpricedError
			require.ErrorAs(t, err, &e, id)
			assert.True(t, errors.Is(err, pricing.ErrUnknownModel) || errors.Is(err, pricing.ErrNoRate), id)
			assert.NotEmpty(t, e.Unpriced, id)
		}
	}
	assert.Greater(t, priced, 450)
}

func TestConverseUsageIsCountedOnce(t *testing.T) {
	u, err := bedrockkit.ParseConverseUsage([]byte(`{"inputTokens":100,"outputTokens":10,"totalTokens":1310,
		"cacheReadInputTokens":1000,"cacheWriteInputTokens":200,"cacheDetails":[{"ttl":"1h","inputTokens":50},{"ttl":"5m","inputTokens":150}]}`))
	require.NoError(t, err)
	b, err := pricing.Default().Breakdown("global.anthropic.claude-sonnet-4-5-20250929-v1:0", u)
	require.NoError(t, err)
	var units int64
	for _, l := range b.Lines {
		units += l.Units
	}
	assert.EqualValues(t, 1310, units)
	// 100×3 + 10×15 + 1000×0.30 + 150×3.75 + 50×6, per million
	assert.Equal(t, "0.0016125", b.Total.String())
}

func TestCostOptionsOfRows(t *testing.T) {
	table, err := pricing.ReadTable(strings.NewReader(`{
		"sources": {"t": {"title": "a test", "date": "2026-01-01"}},
		"models": [{"id": "acme.one", "aliases": ["acme.one-v1:0"]}],
		"rows": [
			{"model": "acme.one", "scopes": ["region"], "to": "2026-03-01", "rates": {"input": "1", "output": "2"}, "sources": ["t"]},
			{"model": "acme.one", "scopes": ["region"], "from": "2026-03-01", "rates": {"input": "3", "output": "4"}, "sources": ["t"]},
			{"model": "acme.one", "scopes": ["region"], "from": "2026-03-01", "above_input": 200000, "rates": {"input": "6", "output": "8"}, "sources": ["t"]},
			{"model": "acme.one", "scopes": ["region"], "regions": ["eu-west-2"], "rates": {"input": "5"}, "sources": ["t"]},
			{"model": "acme.one", "scopes": ["geographic"], "tier": "reserved", "rates": {"input": "0"}, "sources": ["t"]}
		]}`))
	require.NoError(t, err)
	on := func(s string) func(*pricing.CostOptions) {
		d, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return func(o *pricing.CostOptions) { o.Date = d }
	}
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		usage bedrockkit.Usage
		opts  []func(*pricing.CostOptions)
		want  string
	}{
		{"before the change", "acme.one", bedrockkit.Usage{InputTokens: 1e6}, []func(*pricing.CostOptions){on("2026-02-28T23:59:59Z")}, "1"},
		{"on the day of the change", "acme.one", bedrockkit.Usage{InputTokens: 1e5}, []func(*pricing.CostOptions){on("2026-03-01T00:00:00Z")}, "0.3"},
		{"days are in UTC", "acme.one", bedrockkit.Usage{InputTokens: 1e6}, []func(*pricing.CostOptions){on("2026-03-01T01:00:00+02:00")}, "1"},
		{"today", "acme.one-v1:0", bedrockkit.Usage{InputTokens: 1e5}, nil, "0.3"},
		{"at the bracket", "acme.one", bedrockkit.Usage{InputTokens: 200_000, OutputTokens: 1e6}, []func(*pricing.CostOptions){on("2026-04-01T00:00:00Z")}, "4.6"},
		{"above the bracket all is dearer", "acme.one", bedrockkit.Usage{InputTokens: 200_001, OutputTokens: 1e6}, []func(*pricing.CostOptions){on("2026-04-01T00:00:00Z")}, "9.200006"},
		{"a region's own rate", "acme.one", bedrockkit.Usage{InputTokens: 1e5}, []func(*pricing.CostOptions){region("eu-west-2")}, "0.5"},
		{"the bracket comes before the region", "acme.one", bedrockkit.Usage{InputTokens: 1e6}, []func(*pricing.CostOptions){region("eu-west-2")}, "6"},
		{"another region", "acme.one", bedrockkit.Usage{InputTokens: 1e5}, []func(*pricing.CostOptions){region("eu-west-1")}, "0.3"},
		{"an explicit zero", "us.acme.one", bedrockkit.Usage{InputTokens: 1e6}, []func(*pricing.CostOptions){tier(bedrockkit.TierReserved)}, "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := table.Cost(tt.model, tt.usage, tt.opts...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.String())
		})
	}
	_, err = table.Cost("acme.one", bedrockkit.Usage{CacheReadTokens: 200_001}, on("2026-04-01T00:00:00Z"))
	assert.ErrorIs(t, err, pricing.ErrNoRate)
}

func BenchmarkCost(b *testing.B) {
	table := pricing.Default()
	usage := bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13_216, CacheWrite5mTokens: 25}
	for _, id := range []bedrockkit.ModelID{
		"anthropic.claude-haiku-4-5-20251001-v1:0",
		"us.anthropic.claude-haiku-4-5-20251001-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0",
	} {
		kind, _, _ := strings.Cut(string(id), ".")
		kind, _, _ = strings.Cut(kind, ":")
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := table.Cost(id, usage); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestCostDoesNotAllocate(t *testing.T) {
	table := pricing.Default()
	usage := bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13_216, CacheWrite5mTokens: 25}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = table.Cost("us.anthropic.claude-haiku-4-5-20251001-v1:0", usage)
	}))
	o := tier(bedrockkit.TierStandard)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		_, _ = table.Cost("us.anthropic.claude-haiku-4-5-20251001-v1:0", usage, o)
	}), 1.0)
}
