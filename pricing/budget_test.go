package pricing_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/pricing"
)

func TestBudget(t *testing.T) {
	limit, err := pricing.ParseAmount("1")
	require.NoError(t, err)
	half, err := pricing.ParseAmount("0.5")
	require.NoError(t, err)
	b := pricing.NewBudget(limit)
	assert.Equal(t, pricing.Dollars, b.Unit())
	bound := pricing.Spend{Cost: half, Tokens: 1000}
	require.NoError(t, b.Reserve(bound))
	require.NoError(t, b.Reserve(bound))
	assert.True(t, b.Remaining().IsZero())
	err = b.Reserve(bound)
	require.ErrorIs(t, err, pricing.ErrOverBudget)
	assert.EqualError(t, err, "the call may take up to $0.5, and $0 of $1 are left")
	b.Settle(bound, pricing.Spend{Tokens: 7})
	b.Settle(bound, pricing.Spend{Cost: half, Tokens: 400})
	assert.Equal(t, half, b.Spent())
	assert.Equal(t, half, b.Remaining())
	assert.EqualValues(t, 407, b.SpentTokens())
	assert.Zero(t, b.RemainingTokens(), "it has no bound in tokens")
}

// What cannot be counted is refused, and not added up until it is negative.
func TestBudgetOverflow(t *testing.T) {
	b := pricing.NewTokenBudget(1000)
	for _, tokens := range []int64{math.MaxInt64, 1e15 + 1, -1, math.MinInt64} {
		assert.ErrorIs(t, b.Reserve(pricing.Spend{Tokens: tokens}), pricing.ErrInvalidUsage)
	}
	assert.EqualValues(t, 1000, b.RemainingTokens())

	b = pricing.NewTokenBudget(math.MaxInt64)
	b.Settle(pricing.Spend{}, pricing.Spend{Tokens: math.MaxInt64})
	b.Settle(pricing.Spend{}, pricing.Spend{Tokens: math.MaxInt64})
	assert.EqualValues(t, int64(math.MaxInt64), b.SpentTokens())
	assert.ErrorIs(t, b.Reserve(pricing.Spend{Tokens: 1}), pricing.ErrOverBudget)
}

func TestDailyBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pricing.NewDailyTokenBudget(1000)
		require.NoError(t, b.Reserve(pricing.Spend{Tokens: 600}))
		require.NoError(t, b.Reserve(pricing.Spend{Tokens: 300}))
		b.Settle(pricing.Spend{Tokens: 600}, pricing.Spend{Tokens: 500})
		assert.EqualValues(t, 200, b.RemainingTokens())
		time.Sleep(24 * time.Hour)
		assert.Zero(t, b.SpentTokens())
		assert.EqualValues(t, 700, b.RemainingTokens(), "what is set aside counts for the new day")
	})
}

// However many ask at once, the budget is not overdrawn.
func TestBudgetAtOnce(t *testing.T) {
	b := pricing.NewTokenBudget(10_000)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			bound := pricing.Spend{Tokens: int64(i + 50)}
			if b.Reserve(bound) == nil {
				assert.GreaterOrEqual(t, b.RemainingTokens(), int64(0))
				b.Settle(bound, pricing.Spend{Tokens: bound.Tokens / 2})
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, b.SpentTokens(), int64(10_000))
	assert.Equal(t, 10_000-b.SpentTokens(), b.RemainingTokens())
}
