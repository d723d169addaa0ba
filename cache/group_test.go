package cache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var someKey = cache.Key{Namespace: "test", Tenant: "t1", Sum: [32]byte{1}}

type contextKey struct{}

// 100 callers at once, of whom the first is cancelled: one call, 99 answers.
func TestLeaderCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g cache.Group[string]
		var calls, answers, shared, cancelled atomic.Int64
		release := make(chan struct{})
		fill := func(ctx context.Context) (string, error) {
			calls.Add(1)
			assert.Equal(t, "the first caller's", ctx.Value(contextKey{}))
			_, deadline := ctx.Deadline()
			assert.False(t, deadline)
			select {
			case <-release:
				return "answer", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		call := func(ctx context.Context) {
			value, other, err := g.Do(ctx, someKey, fill)
			switch {
			case errors.Is(err, context.Canceled):
				cancelled.Add(1)
			case assert.NoError(t, err) && assert.Equal(t, "answer", value):
				answers.Add(1)
			}
			if other {
				shared.Add(1)
			}
		}
		leader, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "the first caller's"), time.Hour)
		go call(leader)
		synctest.Wait()
		for range 99 {
			go call(t.Context())
		}
		synctest.Wait()
		assert.Equal(t, 1, g.InFlight())
		cancel()
		synctest.Wait()
		assert.Equal(t, int64(1), cancelled.Load(), "the leader does not wait for the others")
		close(release)
		synctest.Wait()
		assert.Equal(t, int64(1), calls.Load())
		assert.Equal(t, int64(99), answers.Load())
		assert.Equal(t, int64(99), shared.Load())
		assert.Zero(t, g.InFlight())
	})
}

// When the last caller goes, the fill is cancelled, and Do returns after it has
// ended. Who comes in between starts anew.
func TestLastCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g cache.Group[int]
		ended := false
		finish := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := g.Do(ctx, someKey, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					<-finish
					ended = true
					return 1, nil
				})
				returned <- err
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.Len(t, returned, 1, "all but the last return at once")
		assert.Zero(t, g.InFlight())

		value, shared, err := g.Do(t.Context(), someKey, func(context.Context) (int, error) { return 2, nil })
		require.NoError(t, err)
		assert.Equal(t, 2, value)
		assert.False(t, shared)

		close(finish)
		assert.ErrorIs(t, <-returned, context.Canceled)
		assert.ErrorIs(t, <-returned, context.Canceled)
		assert.True(t, ended)
	})
}

func TestDoneContextStartsNothing(t *testing.T) {
	var g cache.Group[int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := g.Do(ctx, someKey, func(context.Context) (int, error) {
		t.Error("it was called")
		return 0, nil
	})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestErrorIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g cache.Group[int]
		failed := errors.New("failed")
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, _, err := g.Do(t.Context(), someKey, func(context.Context) (int, error) {
					<-release
					return 0, failed
				})
				assert.Equal(t, failed, err)
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		value, _, err := g.Do(t.Context(), someKey, func(context.Context) (int, error) { return 7, nil })
		require.NoError(t, err, "an error is not kept")
		assert.Equal(t, 7, value)
	})
}

// A fill that panics is an error for all, which does not say what it was given.
func TestPanic(t *testing.T) {
	for name, fn := range map[string]func(){
		"panic":  func() { panic("canary") },
		"goexit": runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			var g cache.Group[int]
			release := make(chan struct{})
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					_, _, err := g.Do(t.Context(), someKey, func(context.Context) (int, error) {
						<-release
						fn()
						return 0, nil
					})
					var panicked *cache.PanicError
					if !assert.ErrorAs(t, err, &panicked, name) {
						return
					}
					assert.NotContains(t, err.Error(), "canary")
					if name == "panic" {
						assert.Equal(t, "canary", panicked.Value)
						assert.Contains(t, string(panicked.Stack), "TestPanic")
						assert.ErrorContains(t, err, "panicked with a string")
					}
				})
			}
			synctest.Wait()
			close(release)
			wg.Wait()
			assert.Zero(t, g.InFlight())
		})
	}
}

func TestKeysAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g cache.Group[string]
		var wg sync.WaitGroup
		var calls atomic.Int64
		for _, tenant := range []string{"a", "b", "c"} {
			for range 5 {
				wg.Go(func() {
					k := someKey
					k.Tenant = tenant
					value, _, err := g.Do(t.Context(), k, func(context.Context) (string, error) {
						calls.Add(1)
						<-time.After(time.Second)
						return tenant, nil
					})
					assert.NoError(t, err)
					assert.Equal(t, tenant, value)
				})
			}
		}
		wg.Wait()
		assert.Equal(t, int64(3), calls.Load())
	})
}

// Callers come and go at all times; who stays has an answer.
func TestGroupUnderLoad(t *testing.T) {
	var g cache.Group[int]
	var running atomic.Int64
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				leave := (i+w)%3 == 0
				if leave {
					go cancel()
				}
				value, _, err := g.Do(ctx, someKey, func(ctx context.Context) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					for range 20 {
						runtime.Gosched()
					}
					return 42, ctx.Err()
				})
				if !leave {
					assert.NoError(t, err)
					assert.Equal(t, 42, value)
				} else if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	assert.Zero(t, g.InFlight())
	assert.Zero(t, running.Load())
}

// BenchmarkOneMissingKey has 100,000 callers of one key at once.
func BenchmarkOneMissingKey(b *testing.B) {
	const callers = 100_000
	var calls atomic.Int64
	for b.Loop() {
		var g cache.Group[int]
		var arrived, done sync.WaitGroup
		arrived.Add(callers)
		for range callers {
			done.Go(func() {
				arrived.Done()
				_, _, _ = g.Do(b.Context(), someKey, func(context.Context) (int, error) {
					calls.Add(1)
					arrived.Wait()
					return 1, nil
				})
			})
		}
		done.Wait()
	}
	b.ReportMetric(float64(calls.Load())/float64(b.N), "calls/op")
}
