package stream_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/quota"
)

// What a stream has reserved is settled when it has ended, whichever way it
// ends, and not when its first output has come.
func TestQuotaIsSettledAtTheEnd(t *testing.T) {
	usage := bedrockkit.Usage{InputTokens: 100, OutputTokens: 10}
	tests := []struct {
		name  string
		reply *bedrocktest.Reply
		left  bool    // after the first event
		wait  float64 // seconds until the next one may go, at 100 tokens a second
	}{
		{"whole", bedrocktest.Text("Hello, you.").ChunkSize(3).Usage(usage), false, 0},
		{"left by its reader", bedrocktest.Text("Hello, you.").ChunkSize(3).Usage(usage), true, 40},
		{"cut", bedrocktest.Text("Hello, you.").ChunkSize(3).Usage(usage).EndAfter(3), false, 40},
		{"throttled while it ran", bedrocktest.Text("Hello, you.").ChunkSize(3).Usage(usage).ExceptionAfter(3, "ThrottlingException", "slow down"), false, 57.5}, // 45 s at the whole rate,
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				limiter, err := quota.New([]quota.Quota{{Model: model, TokensPerMinute: 6000, MaxTokens: 4000}}, func(o *quota.Options) {
					o.MaxWait = time.Hour
				})
				require.NoError(t, err)
				client := bedrockx.New(srv.Client(), once, func(o *bedrockx.Options) {
					o.Limiter = limiter
					o.InputTokens = func(context.Context, *bedrockx.Call) (int64, error) { return 1000, nil }
				})
				srv.Reply(tt.reply)
				s, err := converse(t.Context(), client)
				require.NoError(t, err)
				assert.EqualValues(t, 5000, limiter.Stats()[0].Reserved)
				first := true
				for _, err := range s.Events() {
					if first {
						assert.EqualValues(t, 5000, limiter.Stats()[0].Reserved)
						first = false
					}
					if err != nil || tt.left {
						break
					}
				}
				assert.Zero(t, limiter.Stats()[0].Reserved)

				srv.Reply(bedrocktest.Text("x"))
				began := time.Now()
				s, err = converse(t.Context(), client)
				require.NoError(t, err)
				defer s.Close()
				assert.InDelta(t, tt.wait, time.Since(began).Seconds(), 0.01)
			})
		})
	}
}

// A budget is settled when the stream has ended: on its usage, or on the most
// that it could take where nobody has told that.
func TestBudgetOfAStream(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	budget := pricing.NewTokenBudget(10_000)
	client := bedrockx.New(srv.Client(), once, func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
	reply := bedrocktest.Text("Hello, you.").ChunkSize(3).Usage(bedrockkit.Usage{InputTokens: 100, OutputTokens: 10})
	srv.Reply(reply, reply)

	s, err := invoke(t.Context(), client)
	require.NoError(t, err)
	bound := pricing.MaxTextTokens(int64(len(srv.Requests()[0].Body)), true) + 1000
	assert.Equal(t, 10_000-bound, budget.RemainingTokens(), "set aside")
	for _, err := range s.Events() {
		require.NoError(t, err)
	}
	assert.EqualValues(t, 110, budget.SpentTokens())
	assert.EqualValues(t, 9890, budget.RemainingTokens())

	s, err = invoke(t.Context(), client)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.Equal(t, 110+bound, budget.SpentTokens())
	assert.Equal(t, 9890-bound, budget.RemainingTokens())
}
