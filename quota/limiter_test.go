package quota_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

func lane(t *testing.T, q quota.Quota, optFns ...func(*quota.Options)) *quota.Lane {
	t.Helper()
	q.Model = model
	limiter, err := quota.New([]quota.Quota{q}, optFns...)
	require.NoError(t, err)
	found := limiter.Lane("", "us-east-1", model)
	require.NotNil(t, found)
	return found
}

// What the quota can never hold is refused at once: the service would throttle
// it always, and each throttle slows the others down.
func TestWhatCanNeverFit(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  quota.Request
		want string // "" if it goes
	}{
		{"it fits", quota.Request{Input: 30_000, Output: 20_000}, ""},
		{"max tokens", quota.Request{Input: 1, Output: 50_001}, "max tokens of 50001; set them lower"},
		{"input and max tokens", quota.Request{Input: 40_000, Output: 20_000}, "input of 40000 tokens and its max tokens of 20000"},
		{"an estimate that may be too high", quota.Request{Input: 40_000, Output: 20_000, Estimated: true}, ""},
		{"an estimate that is too high by half of it", quota.Request{Input: 80_000, Output: 20_000, Estimated: true}, "input of 80000 tokens"},
		{"more than can be counted", quota.Request{Input: math.MaxInt64, Output: 1}, "cannot be counted"},
		{"less than nothing", quota.Request{Input: -1, Output: 1}, "cannot be counted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := lane(t, quota.Quota{TokensPerMinute: 50_000})
			held, err := l.Acquire(t.Context(), tt.ask)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, tt.ask.Tokens(), held.Tokens())
				return
			}
			require.ErrorIs(t, err, quota.ErrLimited)
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, "the quota of "+string(model)+" in us-east-1 is 50000 tokens a minute: ")
			assert.EqualValues(t, 1, l.Stats().Shed)
			_, err = l.Acquire(t.Context(), quota.Request{Input: 50_000})
			assert.NoError(t, err, "nothing was taken for it")
		})
	}
}

// Without bedrockx: a lane reserves, waits and settles.
func TestAcquireAndSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lane(t, quota.Quota{TokensPerMinute: 6000})
		first, err := l.Acquire(t.Context(), quota.Request{Input: 1000, Output: 5000})
		require.NoError(t, err)
		assert.Zero(t, first.Waited)
		time.AfterFunc(10*time.Second, func() {
			used := l.Quota().Taken(bedrockkit.Usage{InputTokens: 100, CacheReadTokens: 900, OutputTokens: 20})
			assert.EqualValues(t, 200, used, "the burndown is 5")
			first.Settle(t.Context(), used)
			first.Settle(t.Context(), 6000) // only the first call counts
		})
		second, err := l.Acquire(t.Context(), quota.Request{Input: 1000, Output: 4000})
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, second.Waited)
		assert.EqualValues(t, 5000, l.Stats().Reserved)
		second.Settle(t.Context(), 0)
		assert.Zero(t, l.Stats().Reserved)
	})
}

// late is a store that reserves, and returns only after the caller has left.
type late struct {
	quota.MemoryStore
	leave context.CancelFunc
	taken atomic.Int64
}

func (s *late) Reserve(_ context.Context, _ quota.Quota, tokens int64) (time.Duration, error) {
	s.taken.Add(tokens)
	s.leave()
	return 0, nil
}

func (s *late) Settle(ctx context.Context, _ quota.Quota, tokens int64) error {
	s.taken.Add(tokens)
	return ctx.Err()
}

// What a store has reserved for a caller who has left meanwhile is given back.
func TestReservedForNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &late{leave: cancel}
	var failed []error
	l := lane(t, quota.Quota{TokensPerMinute: 1000}, func(o *quota.Options) {
		o.Store, o.OnError = store, func(_ context.Context, err error) { failed = append(failed, err) }
	})
	_, err := l.Acquire(ctx, quota.Request{Input: 28, Output: 100})
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, quota.ErrLimited)
	assert.Zero(t, store.taken.Load())
	assert.Zero(t, l.Stats().Reserved)
	assert.Empty(t, failed)
}

func TestErrorsOfAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lane(t, quota.Quota{RequestsPerMinute: 1})
		_, err := l.Acquire(t.Context(), quota.Request{})
		require.NoError(t, err)
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err = l.Acquire(ctx, quota.Request{})
		var e *quota.Error
		require.ErrorAs(t, err, &e)
		assert.ErrorIs(t, err, why)
		assert.NotErrorIs(t, err, quota.ErrLimited)
		assert.Equal(t, time.Second, e.Waited)
		assert.ErrorContains(t, err, "context canceled: the user left, while waiting")
	})
}

func TestLanes(t *testing.T) {
	limiter, err := quota.New([]quota.Quota{
		{Model: "us.amazon.nova-lite-v1:0", Region: "us-east-1", RequestsPerMinute: 1},
		{Model: "amazon.nova-pro-v1:0"},
	})
	require.NoError(t, err)
	found := limiter.Lane("a", "us-east-1", "us.amazon.nova-lite-v1:0")
	require.NotNil(t, found)
	assert.Same(t, found, limiter.Lane("a", "us-east-1", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"))
	assert.NotSame(t, found, limiter.Lane("b", "us-east-1", "us.amazon.nova-lite-v1:0"))
	assert.Nil(t, limiter.Lane("a", "us-west-2", "us.amazon.nova-lite-v1:0"))
	assert.Nil(t, limiter.Lane("a", "us-east-1", "amazon.nova-lite-v1:0"))
	assert.Nil(t, limiter.Lane("a", "us-east-1", "amazon.nova-pro-v1:0"), "a quota without a bound")
	assert.Len(t, limiter.Stats(), 2)

	for _, burndown := range []float64{-1, 1001, math.NaN(), math.Inf(1)} {
		_, err := quota.New([]quota.Quota{{Model: model, Burndown: burndown}})
		assert.ErrorContains(t, err, "quota 1: the burndown", "%v", burndown)
	}
}
