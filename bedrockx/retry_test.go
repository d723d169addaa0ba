package bedrockx_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Of a target that fails, Bedrock sees each call once and as many retries as
// the budget has; five answers earn one more.
func TestRetryBudget(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	failing := true
	hook := srv.Control(bedrocktest.AnyOp, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
		if failing && r.Model == haiku {
			return bedrocktest.Exception("InternalServerException")
		}
		return bedrocktest.Text("ok")
	})
	hook.Keep()
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.RetryBudget = 5 })
	ask := func(model bedrockkit.ModelID) (int, error) {
		before := len(srv.Requests())
		_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
		return len(srv.Requests()) - before, err
	}
	for i, want := range []int{3, 3, 2, 1, 1} { // 2 + 2 + 1 retries
		sent, err := ask(haiku)
		assert.ErrorIs(t, err, bedrockx.ErrInternal)
		assert.Equal(t, want, sent, "call %d", i)
		assert.Equal(t, want < 3, strings.Contains(err.Error(), "RetryBudget"), "%v", err)
	}

	// Another target has a budget of its own, and its answers are its own.
	for range 10 {
		_, err := ask(sonnet)
		require.NoError(t, err)
	}
	sent, err := ask(haiku)
	assert.ErrorIs(t, err, bedrockx.ErrInternal)
	assert.Equal(t, 1, sent)

	failing = false
	for range 9 {
		_, err := ask(haiku)
		require.NoError(t, err)
	}
	failing = true
	for _, want := range []int{2, 1} {
		sent, err := ask(haiku)
		assert.ErrorIs(t, err, bedrockx.ErrInternal)
		assert.Equal(t, want, sent, "nine answers earn one retry")
	}

	// None bounds none.
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"), func(o *bedrockx.Options) { o.RetryBudget = -1 })
	var e *bedrockx.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 3, e.Attempts)
}

// A retry that the retry budget refuses sets nothing aside, so that a fallback
// needs room for two attempts and not for three; one that a budget refuses
// takes no retry.
func TestRetryBudgetAndBudgets(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.RetryBudget, o.MaxAttempts = 1, 2 })
	failed := bedrocktest.Exception("InternalServerException")
	ask := func(tokens int64) error {
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"), fallBackOn(bedrockx.Target{Model: sonnet}), func(o *bedrockx.Options) {
			o.Budgets = []*pricing.Budget{pricing.NewTokenBudget(tokens)}
		})
		return err
	}
	srv.Reply(failed)
	assert.ErrorContains(t, ask(100+mostInput), "not sent again: the call may take up to")
	srv.Reply(failed, used(1, 1))
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
	require.NoError(t, err, "the one retry is still there")
	srv.Reply(failed, used(1, 1))
	assert.NoError(t, ask(2*(100+mostInput)))
}

// With calls at once the share holds exactly, too.
func TestRetryBudgetOfCallsAtOnce(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Faults = []bedrocktest.Fault{{Op: bedrocktest.AnyOp, Every: 1, Instead: bedrocktest.Exception("ServiceUnavailableException")}}
	})
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.RetryBudget = 7 })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
			assert.ErrorIs(t, err, bedrockx.ErrOverloaded)
		})
	}
	wg.Wait()
	assert.Len(t, srv.Requests(), 50+7)
}

// An attempt that failed after it had told its usage is metered.
func TestFailuresHoldTheirUsage(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick)
	usage := bedrockkit.Usage{InputTokens: 1_000_000}
	attempts := 0
	call := &bedrockx.Call{
		Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: haiku}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`),
	}
	call.Decode = func(_ context.Context, resp *bedrockx.Response) error {
		call.Usage = usage
		if attempts++; attempts == 1 {
			return &bedrockx.Error{Kind: bedrockx.KindEmpty}
		}
		return resp.Body.Close()
	}
	srv.Reply(bedrocktest.Text("x"), bedrocktest.Text("x"))
	require.NoError(t, client.Do(t.Context(), call))
	require.Len(t, call.Failures, 1)
	assert.Equal(t, usage, call.Failures[0].Usage)
	assert.Equal(t, "1", call.Failures[0].Cost.String())
	assert.Equal(t, "2", call.Cost.String(), "of both")
	stored, err := json.Marshal(bedrockx.Attempt{Model: haiku, Kind: bedrockx.KindThrottled})
	require.NoError(t, err)
	assert.NotContains(t, string(stored), "usage")
}
