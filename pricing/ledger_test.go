package pricing_test

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestLedgerSumsAMillionConcurrentEntriesExactly(t *testing.T) {
	const workers, each = 20, 50_000
	l := pricing.NewLedger()
	cost := amount(t, "0.000000000000001").Add(amount(t, "0.0005"))
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			e := pricing.Entry{
				Tenant: fmt.Sprintf("tenant-%d", w%4), Model: lite, Time: start.AddDate(0, 0, w%2),
				Usage: bedrockkit.Usage{InputTokens: 500, OutputTokens: 300}, Cost: cost,
			}
			for range each {
				if err := l.Add(e); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, "500.000000001", l.Total().String())
	sums := l.Sums()
	require.Len(t, sums, 4) // even tenants on even days, odd on odd ones
	for _, s := range sums {
		assert.EqualValues(t, workers/4*each, s.Requests)
		assert.EqualValues(t, workers/4*each*500, s.Usage.InputTokens)
		assert.Equal(t, cost.Mul(workers/4*each), s.Cost)
	}
}

func TestLedger(t *testing.T) {
	l := pricing.NewLedger(func(o *pricing.LedgerOptions) { o.MaxSums = 2 })
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	used := bedrockkit.Usage{InputTokens: 1}
	require.NoError(t, l.Add(pricing.Entry{Tenant: "b", Model: lite, Time: noon, Usage: used, Cost: amount(t, "1")}))
	require.NoError(t, l.Add(pricing.Entry{Tenant: "a", Model: lite, Time: noon, Usage: bedrockkit.Usage{InputTokens: 2, Unknown: true}, Cost: amount(t, "2")}))
	require.NoError(t, l.Add(pricing.Entry{Tenant: "a", Model: lite, Time: noon, Usage: used, Unpriced: true}))
	assert.ErrorIs(t, l.Add(pricing.Entry{Tenant: "c", Model: lite, Time: noon}), pricing.ErrLedgerFull)
	assert.ErrorIs(t, l.Add(pricing.Entry{Tenant: "a", Model: lite, Time: noon, Cost: amount(t, "-1")}), pricing.ErrInvalidUsage)
	assert.ErrorIs(t, l.Add(pricing.Entry{Tenant: "a", Model: lite, Time: noon, Cost: amount(t, "1000000000000.1")}), pricing.ErrInvalidUsage)
	assert.ErrorIs(t, l.Add(pricing.Entry{Tenant: "a", Model: lite, Time: noon, Usage: bedrockkit.Usage{OutputTokens: -1}}), pricing.ErrInvalidUsage)

	data, err := json.Marshal(l)
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"tenant":"a","model":"amazon.nova-lite-v1:0","day":"2026-11-22","requests":2,"unpriced":2,"usage":{"input_tokens":3,"output_tokens":0},"cost":"2"},
		{"tenant":"b","model":"amazon.nova-lite-v1:0","day":"2026-11-22","requests":1,"usage":{"input_tokens":1,"output_tokens":0},"cost":"1"}]`, string(data))

	var sums []pricing.Sum
	require.NoError(t, json.Unmarshal(data, &sums))
	other := pricing.NewLedger()
	require.NoError(t, other.Merge(sums))
	require.NoError(t, other.Merge(sums))
	assert.Equal(t, "6", other.Total().String())

	assert.Len(t, l.Take(), 2)
	assert.Empty(t, l.Sums())
	assert.NoError(t, l.Add(pricing.Entry{Tenant: "c", Model: lite}), "there is room again, and today is the default")
	assert.Equal(t, time.Now().UTC().Format(time.DateOnly), l.Sums()[0].Day)
}

func TestLedgerMergeRefuses(t *testing.T) {
	good := pricing.Sum{
		Model: lite, Day: "2026-11-22", Requests: 1, Unpriced: 1, Cost: amount(t, "1"), Usage: bedrockkit.Usage{InputTokens: math.MaxInt64},
	}
	for name, change := range map[string]func(*pricing.Sum){
		"no day":            func(s *pricing.Sum) { s.Day = "" },
		"a wrong day":       func(s *pricing.Sum) { s.Day = "22.11.2026" },
		"negative requests": func(s *pricing.Sum) { s.Requests = -1 },
		"a negative cost":   func(s *pricing.Sum) { s.Cost = amount(t, "-1") },
		"negative tokens":   func(s *pricing.Sum) { s.Usage.CacheReadTokens = -1 },
		"an overflow":       func(s *pricing.Sum) { s.Usage.InputTokens = 1 },
		"too many requests": func(s *pricing.Sum) { s.Usage, s.Requests = bedrockkit.Usage{}, math.MaxInt64 },
		"too many unpriced": func(s *pricing.Sum) { s.Usage, s.Requests, s.Unpriced = bedrockkit.Usage{}, 0, math.MaxInt64 },
		"too much money": func(s *pricing.Sum) {
			s.Usage, s.Cost = bedrockkit.Usage{}, amount(t, "170000000000000000000000")
		},
	} {
		l := pricing.NewLedger()
		bad := good
		change(&bad)
		assert.Error(t, l.Merge([]pricing.Sum{good, bad}), name)
		assert.Equal(t, []pricing.Sum{good}, l.Sums(), name)
		bad.Model = "acme.other"
		if err := l.Merge([]pricing.Sum{bad}); err != nil {
			assert.Len(t, l.Sums(), 1, "%s: nothing of it was added", name)
		}
	}
}

func TestMergeRefusesMoreUnpricedThanRequests(t *testing.T) {
	err := pricing.NewLedger().Merge([]pricing.Sum{{Model: "acme.one", Day: "2026-01-01", Requests: 1, Unpriced: 5}})
	assert.ErrorIs(t, err, pricing.ErrInvalidUsage)
}
