package redisquota_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/internal/servertest"
	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/quota/quotatest"
	"github.com/mangaassist/bedrockkit/quota/redisquota"
)

// A pool of go-redis that has seen its server gone dials it once a second, and
// looks only then whether it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func connect(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func open(t *testing.T, c redis.Scripter, optFns ...func(*redisquota.Options)) *redisquota.Store {
	s, err := redisquota.New(c, append([]func(*redisquota.Options){func(o *redisquota.Options) {
		o.Timeout = 5 * time.Second // a busy machine is no failure
	}}, optFns...)...)
	require.NoError(t, err)
	return s
}

func TestConformanceOnMiniredis(t *testing.T) {
	srv := miniredis.RunT(t)
	now := time.Now()
	srv.SetTime(now)
	c := connect(t, srv.Addr())
	quotatest.Run(t, func(t *testing.T) quota.Store { return open(t, c) }, func(o *quotatest.Options) {
		o.Advance = func(d time.Duration) {
			now = now.Add(d)
			srv.SetTime(now)
			srv.FastForward(d)
		}
	})
}

func TestConformanceOnRedis(t *testing.T) {
	addr, _ := servertest.Redis(t)
	c := connect(t, addr)
	quotatest.Run(t, func(t *testing.T) quota.Store { return open(t, c) })
}

// Every quota is forgotten once it is full again.
func TestNothingStays(t *testing.T) {
	srv := miniredis.RunT(t)
	now := time.Now()
	srv.SetTime(now)
	s := open(t, connect(t, srv.Addr()))
	q := quota.Quota{Model: "a.b", TokensPerMinute: 100, RequestsPerMinute: 10}
	_, err := s.Reserve(t.Context(), q, 100)
	require.NoError(t, err)
	require.NoError(t, s.Throttled(t.Context(), q))
	require.NoError(t, s.Settle(t.Context(), q, 200))
	require.Equal(t, []string{"bedrockkit:quota:///a.b"}, srv.Keys())
	assert.Greater(t, srv.TTL(srv.Keys()[0]), 3*time.Minute)
	assert.Less(t, srv.TTL(srv.Keys()[0]), 10*time.Minute)
	require.NoError(t, s.Settle(t.Context(), q, 1<<60))
	assert.Equal(t, 24*time.Hour, srv.TTL(srv.Keys()[0]))
}

// A clock that is set back, and forth again, gives nothing twice, and slows
// nobody twice for one throttle.
func TestClockThatSteps(t *testing.T) {
	srv := miniredis.RunT(t)
	now := time.Now()
	srv.SetTime(now)
	s := open(t, connect(t, srv.Addr()))
	q := quota.Quota{Model: "a.b", TokensPerMinute: 1000}
	wait := func(tokens int64) time.Duration {
		d, err := s.Reserve(t.Context(), q, tokens)
		require.NoError(t, err)
		return d
	}
	require.Zero(t, wait(1000))
	require.Equal(t, time.Minute, wait(1000))
	srv.SetTime(now.Add(-time.Minute)) // a replica whose clock is behind takes over
	require.NoError(t, s.Settle(t.Context(), q, 0))
	assert.Equal(t, time.Minute, wait(1000))
	srv.SetTime(now) // and its clock is corrected
	assert.Equal(t, time.Minute, wait(1000))
	srv.SetTime(now.Add(30 * time.Second))
	assert.Equal(t, 30*time.Second, wait(1000))

	q.Model = "a.c"
	require.NoError(t, s.Throttled(t.Context(), q))
	srv.SetTime(now)
	require.NoError(t, s.Throttled(t.Context(), q))
	assert.Equal(t, "0.5", srv.HGet("bedrockkit:quota:///a.c", "slow"))

	// A clock that was hours ahead blocks the quota for none of them.
	q.Model = "a.d"
	srv.SetTime(now.Add(5 * time.Hour))
	require.Zero(t, wait(1000))
	srv.SetTime(now)
	assert.Equal(t, time.Minute, wait(1000))
	require.NoError(t, s.Settle(t.Context(), q, 0))
	srv.SetTime(now.Add(time.Minute))
	assert.Zero(t, wait(1000))
}

// What another program has left under the name is an error or nothing.
func TestRubbish(t *testing.T) {
	srv := miniredis.RunT(t)
	s := open(t, connect(t, srv.Addr()))
	q := quota.Quota{Model: "a.b", TokensPerMinute: 100}
	const name = "bedrockkit:quota:///a.b"
	require.NoError(t, srv.Set(name, "a string"))
	_, err := s.Reserve(t.Context(), q, 1)
	assert.ErrorContains(t, err, "redisquota: reserve")
	srv.Del(name)
	srv.HSet(name, "tokens", "many", "at", "")
	wait, err := s.Reserve(t.Context(), q, 100)
	require.NoError(t, err)
	assert.Zero(t, wait)
}

func TestClientThatHeedsNoContext(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer c.Close()
	_, err := redisquota.New(c)
	assert.ErrorContains(t, err, "ContextTimeoutEnabled")
}

// A Redis that takes connections and says nothing holds nobody for long.
func TestSlow(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	s := open(t, connect(t, listener.Addr().String()), func(o *redisquota.Options) { o.Timeout = 20 * time.Millisecond })
	began := time.Now()
	_, err = s.Reserve(t.Context(), quota.Quota{Model: "a.b", TokensPerMinute: 1}, 1)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
	assert.Less(t, time.Since(began), 2*time.Second)
}

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

func ask(ctx context.Context, client *bedrockx.Client) error {
	_, err := bedrockx.Invoke(ctx, client, model, anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("hello")}})
	return err
}

func limiter(t *testing.T, store quota.Store, requests int64, optFns ...func(*quota.Options)) *quota.Limiter {
	l, err := quota.New([]quota.Quota{{Model: model, RequestsPerMinute: requests}}, append(optFns, func(o *quota.Options) {
		o.Store = store
	})...)
	require.NoError(t, err)
	return l
}

// Two processes share one quota.
func TestShared(t *testing.T) {
	srv := miniredis.RunT(t)
	srv.SetTime(time.Now()) // it stands still
	bedrock := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
	var sent, held atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		l := limiter(t, open(t, connect(t, srv.Addr())), 60, func(o *quota.Options) { o.MaxWait = -1 })
		client := bedrockx.New(bedrock.Client(), func(o *bedrockx.Options) { o.Limiter = l })
		wg.Go(func() {
			for range 50 {
				switch err := ask(t.Context(), client); {
				case err == nil:
					sent.Add(1)
				case errors.Is(err, bedrockx.ErrLimited):
					held.Add(1)
				default:
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 60, sent.Load())
	assert.EqualValues(t, 40, held.Load())
}

// A Redis that is killed while it is used costs no call.
func TestKilledUnderLoad(t *testing.T) {
	addr, kill := servertest.Redis(t)
	bedrock := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Responder, o.KeepRequests = bedrocktest.Echo, 1 })
	var failures atomic.Int64
	l := limiter(t, open(t, connect(t, addr), func(o *redisquota.Options) { o.Timeout = 200 * time.Millisecond }), 1_000_000, func(o *quota.Options) {
		o.OnError = func(context.Context, error) { failures.Add(1) }
	})
	client := bedrockx.New(bedrock.Client(), func(o *bedrockx.Options) { o.Limiter = l })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var answered atomic.Int64
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := ask(ctx, client); ctx.Err() == nil && assert.NoError(t, err) {
					answered.Add(1)
				}
			}
		})
	}
	more := func() {
		t.Helper()
		want := answered.Load() + 50
		require.Eventually(t, func() bool { return answered.Load() >= want }, 30*time.Second, time.Millisecond)
	}
	more()
	assert.Zero(t, failures.Load())
	kill()
	require.Eventually(t, func() bool { return failures.Load() > 0 }, 30*time.Second, time.Millisecond)
	more()
	stop()
	load.Wait()
}
