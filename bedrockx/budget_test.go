package bedrockx_test

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
)

// The input of request("hello") is bounded by fewer tokens than this, and by more
// than half.
const mostInput = 300

func TestTokenBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.AnyModel = true })
		const unpriced bedrockkit.ModelID = "example.model-v1:0"
		total, daily := pricing.NewTokenBudget(5000), pricing.NewDailyTokenBudget(1100)
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{total, daily} })
		srv.Reply(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 300, OutputTokens: 90, CacheReadTokens: 400}))
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.NoError(t, err)
		assert.EqualValues(t, 790, daily.SpentTokens())
		assert.EqualValues(t, 310, daily.RemainingTokens())
		assert.EqualValues(t, 4210, total.RemainingTokens())
		assert.Positive(t, total.Spent().Sign(), "in dollars, as far as it is known")
		assert.True(t, total.Remaining().IsZero(), "it has no bound in dollars")

		_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello, this is a longer one"))
		assert.ErrorIs(t, err, bedrockx.ErrBudget)
		assert.ErrorContains(t, err, "310 tokens of 1100 tokens are left")
		assert.EqualValues(t, 4210, total.RemainingTokens(), "what another budget refuses is given back")
		assert.Len(t, srv.Requests(), 1, "before it is sent")

		// It needs no price, but a bound on the answer.
		time.Sleep(24 * time.Hour)
		assert.EqualValues(t, 1100, daily.RemainingTokens())
		body := `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":20}}`
		srv.Reply(bedrocktest.Text("x"))
		require.NoError(t, client.Do(t.Context(), converseCall(unpriced, body)))
		assert.EqualValues(t, pricing.MaxTextTokens(int64(len(body)), false)+20, daily.SpentTokens(), "usage that nobody has told counts whole")
		err = client.Do(t.Context(), converseCall(unpriced, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`))
		assert.ErrorIs(t, err, bedrockx.ErrBudget)
		assert.ErrorContains(t, err, "set max tokens")
	})
}

func TestMaxTotalTokens(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"), func(o *bedrockx.Options) { o.MaxTotalTokens = 150 })
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "more than the bound of 150 tokens")
	assert.Empty(t, srv.Requests())
	srv.Reply(bedrocktest.Text("x"))
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"), func(o *bedrockx.Options) { o.MaxTotalTokens = 100 + mostInput })
	assert.NoError(t, err)
}

// An attempt that may have been billed counts whole, so another one is sent only
// where the budget holds it too. One that was refused has cost nothing.
func TestBudgetOfRetries(t *testing.T) {
	tests := []struct {
		name    string
		replies []*bedrocktest.Reply
		budget  int64
		sent    int
		spent   func(bound int64) int64
		want    error
	}{
		{"throttles cost nothing", []*bedrocktest.Reply{bedrocktest.Throttle(), bedrocktest.Throttle(), used(10, 10)}, 100 + mostInput, 3, func(int64) int64 { return 20 }, nil},
		{"nor do errors of the request", []*bedrocktest.Reply{bedrocktest.Exception("ValidationException")}, 100 + mostInput, 1, func(int64) int64 { return 0 }, bedrockx.ErrValidation},
		{"one that may be billed", []*bedrocktest.Reply{bedrocktest.Exception("ModelTimeoutException"), used(10, 10)}, 1000, 2, func(bound int64) int64 { return bound + 20 }, nil},
		{"no room for another", []*bedrocktest.Reply{bedrocktest.Exception("ModelTimeoutException")}, 100 + mostInput, 1, func(bound int64) int64 { return bound }, bedrockx.ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			budget := pricing.NewTokenBudget(tt.budget)
			client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
			srv.Reply(tt.replies...)
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
			if tt.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tt.want)
			}
			require.Len(t, srv.Requests(), tt.sent)
			bound := pricing.MaxTextTokens(int64(len(srv.Requests()[0].Body)), false) + 100
			assert.Equal(t, tt.spent(bound), budget.SpentTokens())
			assert.Equal(t, tt.budget-budget.SpentTokens(), budget.RemainingTokens(), "nothing stays set aside")
		})
	}

	// So it is with the bound of one call, and with a fallback.
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Exception("ModelTimeoutException"))
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client(), quick), haiku, request("hello"), fallBackOn(bedrockx.Target{Model: sonnet}), func(o *bedrockx.Options) {
		o.MaxTotalTokens, o.MaxAttempts = 100+mostInput, 1
	})
	assert.ErrorIs(t, err, bedrockx.ErrTimeout)
	assert.ErrorContains(t, err, "not sent again: the call may take up to")
	assert.Len(t, srv.Requests(), 1)
}

// What is in S3 may fill the model's context window.
func TestBudgetOfInputInS3(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.MaxTotalTokens = 10_000 })
	const body = `{"inferenceConfig":{"maxTokens":20},"messages":[{"role":"user","content":[{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://bucket/film.mp4"}}}}]}]}`
	err := client.Do(t.Context(), converseCall("amazon.nova-lite-v1:0", body))
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "300020 tokens")
	err = client.Do(t.Context(), converseCall("example.model-v1:0", body))
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "S3")
	assert.Empty(t, srv.Requests())
}

// A price that changes at midnight is bounded by the dearer of both days, and
// what an attempt cost is the price of the day on which it began.
func TestPriceThatChangesAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is 2000-01-01
		rates := func(dollars string) map[pricing.Dimension]pricing.Rate {
			r, err := pricing.ParseRate(dollars)
			require.NoError(t, err)
			return map[pricing.Dimension]pricing.Rate{pricing.Input: r, pricing.Output: r}
		}
		scopes := []bedrockkit.Scope{bedrockkit.ScopeRegion}
		table, err := pricing.NewTable(pricing.Data{
			Sources: map[string]pricing.Source{"s": {Title: "a source", Date: "2000-01-01"}},
			Models:  []pricing.Model{{ID: "anthropic.claude-example-v1:0"}},
			Rows: []pricing.Row{
				{Model: "anthropic.claude-example-v1:0", Scopes: scopes, To: "2000-01-02", Rates: rates("1"), Sources: []string{"s"}},
				{Model: "anthropic.claude-example-v1:0", Scopes: scopes, From: "2000-01-02", Rates: rates("100"), Sources: []string{"s"}},
			},
		})
		require.NoError(t, err)
		srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.AnyModel = true })
		srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			time.Sleep(2 * time.Second)
			return bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 500_000, OutputTokens: 500_000})
		}).Keep()
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Prices = table })
		most := pricing.MustAmount("0.001") // of about 300 tokens
		bounded := func(o *bedrockx.Options) { o.MaxCost = &most }
		ask := func(optFns ...func(*bedrockx.Options)) (*pricing.Amount, error) {
			result, err := bedrockx.Invoke(t.Context(), client, "anthropic.claude-example-v1:0", request("hello"), optFns...)
			if err != nil {
				return nil, err
			}
			return result.Cost, nil
		}
		_, err = ask(bounded)
		require.NoError(t, err)

		time.Sleep(23*time.Hour + 30*time.Minute)
		_, err = ask(bounded)
		assert.ErrorIs(t, err, bedrockx.ErrBudget, "it may begin after midnight")

		time.Sleep(30*time.Minute - 3*time.Second)
		cost, err := ask()
		require.NoError(t, err)
		assert.Equal(t, 2, time.Now().Day())
		assert.Equal(t, "1", cost.String())
		cost, err = ask()
		require.NoError(t, err)
		assert.Equal(t, "100", cost.String())
	})
}
