package batch_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

// live is a client whose live calls pass a function first, with their number.
func (w *world) live(before func(n int64) error) *batch.Client {
	var calls atomic.Int64
	return w.client(func(o *batch.Options) {
		o.Live = bedrockx.New(w.srv.Client(), func(o *bedrockx.Options) {
			o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					if err := before(calls.Add(1)); err != nil {
						return err
					}
					return next(ctx, call)
				}
			})
		})
	})
}

// asked counts the live calls that the service has answered.
func (w *world) asked() int {
	n := 0
	for _, r := range w.srv.Requests() {
		if r.Op == bedrockkit.OpInvokeModel {
			n++
		}
	}
	return n
}

// A limiter refuses some calls. What was answered and paid for is kept, and not
// asked again.
func TestLiveCallsThatWereNotMade(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.live(func(n int64) error {
			if n > 20 && n < 200 {
				return &bedrockx.Error{Kind: bedrockx.KindLimited, Err: bedrockx.ErrLimited}
			}
			return nil
		})
		job := job("limited")
		job.Live = true
		results, err := batch.Run(t.Context(), c, job, questions(60))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 60)
		assert.EqualValues(t, 60, results.Stats().Succeeded)
		assert.Equal(t, 60, w.asked(), "each record was asked once")
	})
}

// The context ends in the middle of live calls: what was answered is kept.
func TestLiveCallsThatAreInterrupted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := w.live(func(n int64) error {
			if n == 41 {
				cancel()
			}
			return nil
		})
		job := job("interrupted")
		job.Live = true
		_, err := batch.Run(ctx, c, job, questions(60))
		require.ErrorIs(t, err, context.Canceled)
		results, err := batch.Run(t.Context(), w.live(func(int64) error { return nil }), job, questions(60))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 60)
		assert.EqualValues(t, 60, results.Stats().Succeeded)
		assert.Zero(t, results.Stats().Duplicated)
		assert.LessOrEqual(t, w.asked(), 60+8, "at most what was under way is asked again")
		cost := results.Cost()
		require.NoError(t, cost.Err)
		require.NotNil(t, cost.Total)
	})
}

// The results of a set with live records need no client for live calls.
func TestResultsWithoutLiveClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("read")
		job.Live = true
		results, err := batch.Run(t.Context(), w.live(func(int64) error { return nil }), job, questions(20))
		require.NoError(t, err)
		require.Len(t, all(t, results), 20)
		s, err := w.client().Resume(t.Context(), "s3://manga/in/read")
		require.NoError(t, err)
		require.NoError(t, s.Wait(t.Context()))
		assert.Len(t, all(t, batch.ResultsOf[anthropic.Request](s)), 20)

		job.Name = "unsent"
		s, err = batch.Submit(t.Context(), w.live(func(int64) error { return nil }), job, questions(20))
		require.NoError(t, err)
		s, err = w.client().Resume(t.Context(), s.URI())
		require.NoError(t, err)
		require.ErrorContains(t, s.Wait(t.Context()), "Options.Live")
		require.NoError(t, s.Stop(t.Context()))
	})
}

// A line with neither an answer nor an error is a failure of the service.
func TestLineWithoutAnswer(t *testing.T) {
	for result, err := range batch.Read[anthropic.Request](strings.NewReader(`{"recordId":"a","modelInput":{}}`)) {
		require.NoError(t, err)
		var e *batch.RecordError
		require.ErrorAs(t, result.Err, &e)
		assert.True(t, e.Retryable())
		assert.ErrorIs(t, result.Err, bedrockx.ErrEmpty)
	}
	for result, err := range batch.Read[anthropic.Request](strings.NewReader(`{"recordId":"a","modelInput":{},"error":"the model is gone"}`)) {
		require.NoError(t, err)
		var e *batch.RecordError
		require.ErrorAs(t, result.Err, &e)
		assert.Equal(t, `record "a": the service answered an error: the model is gone`, e.Error())
		assert.Empty(t, e.Code)
		assert.True(t, e.Retryable())
	}
}

// Records of a model that no package has a type for are read as they are.
func TestReadRawRecords(t *testing.T) {
	const line = `{"recordId":"a","modelInput":{"prompt": "Hi.", "n":1}}`
	for r, err := range batch.ReadRecords[bedrockx.Raw](strings.NewReader(line + "\n")) {
		require.NoError(t, err)
		assert.Equal(t, "a", r.ID)
		assert.Equal(t, `{"prompt": "Hi.", "n":1}`, string(r.Input))
	}
}

// A set that is sent live costs as live calls do, and its bound goes by that.
func TestMaxCostOfLiveRecords(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.live(func(int64) error { return nil })
		job := job("bound")
		job.Live = true
		plan, err := batch.Estimate(t.Context(), c, job, questions(20))
		require.NoError(t, err)
		job.MaxCost = plan.Bound
		_, err = batch.Submit(t.Context(), c, job, questions(20))
		require.ErrorIs(t, err, batch.ErrBudget)
		job.MaxCost = plan.LiveBound
		results, err := batch.Run(t.Context(), c, job, questions(20))
		require.NoError(t, err)
		require.Len(t, all(t, results), 20)
		assert.LessOrEqual(t, results.Cost().Total.Cmp(*job.MaxCost), 0)
	})
}
