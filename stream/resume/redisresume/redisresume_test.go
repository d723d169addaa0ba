package redisresume_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/internal/servertest"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/redisresume"
	"github.com/mangaassist/bedrockkit/stream/resume/resumetest"
)

// A pool of go-redis that has seen its server gone dials it once a second, and
// looks only then whether it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func connect(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func open(t *testing.T, c redisresume.Client, optFns ...func(*redisresume.Options)) *redisresume.Log {
	l, err := redisresume.New(c, append([]func(*redisresume.Options){func(o *redisresume.Options) {
		o.Timeout = 10 * time.Second // a busy machine is no failure
	}}, optFns...)...)
	require.NoError(t, err)
	return l
}

func TestConformanceOnMiniredis(t *testing.T) {
	srv := miniredis.RunT(t)
	c := connect(t, srv.Addr())
	resumetest.Run(t, func(t *testing.T) resume.Log { return open(t, c) }, func(o *resumetest.Options) {
		o.Advance = func(d time.Duration) {
			time.Sleep(d)
			srv.FastForward(d)
		}
	})
}

func TestConformanceOnRedis(t *testing.T) {
	addr, _ := servertest.Redis(t)
	c := connect(t, addr)
	resumetest.Run(t, func(t *testing.T) resume.Log { return open(t, c) })
}

// words is a source of n words, one each pause.
type words struct {
	n     int
	pause time.Duration
	ctx   context.Context
}

func (w words) Close() error { return nil }

func (w words) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for i := range w.n {
			select {
			case <-time.After(w.pause):
			case <-w.ctx.Done():
				yield(stream.ErrorMessage(w.ctx.Err()), w.ctx.Err())
				return
			}
			if !yield(stream.Message{Type: stream.TypeToken, Data: fmt.Sprint(i, " "), Sequence: int64(i + 1)}, nil) {
				return
			}
		}
		yield(stream.Message{Type: stream.TypeComplete, Sequence: int64(w.n + 1)}, nil)
	}
}

func (w words) text() (text string) {
	for i := range w.n {
		text += fmt.Sprint(i, " ")
	}
	return text
}

func (w words) open(ctx context.Context) (stream.Source, error) {
	w.ctx = ctx
	return w, nil
}

// process is a registry with a client of its own.
func process(t *testing.T, addr string, optFns ...func(*resume.Options)) (*resume.Registry, *redis.Client) {
	c := connect(t, addr)
	log := open(t, c)
	r := resume.New(append([]func(*resume.Options){func(o *resume.Options) { o.Log = log }}, optFns...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what runs is stopped
		_ = r.Close(ctx)
	})
	return r, c
}

// Readers are cut off and come back to one process or the other. Each gets every
// message once and in order.
func TestReadersMoveBetweenProcesses(t *testing.T) {
	addr, _ := servertest.Redis(t)
	here, _ := process(t, addr)
	there, _ := process(t, addr)
	answer := words{n: 150, pause: 10 * time.Millisecond}
	require.NoError(t, here.Start(t.Context(), "a", answer.open))
	assert.ErrorIs(t, there.Start(t.Context(), "a", answer.open), resume.ErrExists)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			var text string
			var last stream.Message
			for !last.Last() {
				registry := here
				if rand.N(2) == 0 {
					registry = there
				}
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(400*time.Millisecond))
				n := 1 + rand.N(20)
				for m, err := range registry.Read(ctx, "a", last.Sequence) {
					if err != nil {
						assert.ErrorIs(t, err, context.DeadlineExceeded)
						break
					}
					assert.Equal(t, last.Sequence+1, m.Sequence)
					text += m.Data
					if last = m; n == 0 {
						break
					}
					n--
				}
				cancel()
			}
			assert.Equal(t, answer.text(), text)
			assert.Equal(t, stream.TypeComplete, last.Type)
		})
	}
	wg.Wait()
}

func TestStopInAnotherProcess(t *testing.T) {
	addr, _ := servertest.Redis(t)
	ended := make(chan error, 1)
	here, _ := process(t, addr, func(o *resume.Options) {
		o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
	})
	there, _ := process(t, addr)
	require.NoError(t, here.Start(t.Context(), "a", words{n: 1, pause: time.Hour}.open))
	require.NoError(t, there.Stop(t.Context(), "a"))
	var got []stream.Message
	for m, err := range there.Read(t.Context(), "a", 0) {
		require.NoError(t, err)
		got = append(got, m)
	}
	assert.Equal(t, []stream.Message{{Type: stream.TypeError, Sequence: 1, Code: resume.CodeStopped}}, got)
	assert.ErrorContains(t, <-ended, "stopped")
}

// Readers that wait share connections.
func TestWaitingReadersShareConnections(t *testing.T) {
	addr, _ := servertest.Redis(t)
	here, _ := process(t, addr)
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, PoolSize: 32})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	log := open(t, client)
	const answers = 40
	for i := range answers {
		require.NoError(t, here.Start(t.Context(), fmt.Sprint(i), words{n: 1, pause: 3 * time.Second}.open))
	}
	var wg sync.WaitGroup
	for i := range 10 * answers {
		wg.Go(func() {
			p, err := log.Read(t.Context(), fmt.Sprint(i%answers), 0, time.Minute)
			if assert.NoError(t, err) && assert.NotEmpty(t, p.Messages) {
				assert.Equal(t, "0 ", p.Messages[0].Data)
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, client.PoolStats().TotalConns, uint32(32))
	assert.Zero(t, client.PoolStats().Timeouts, "no reader waited for a connection in vain")
}

// A cluster refuses a command or a script whose keys are in several slots, and so
// does a cluster of one.
func TestCluster(t *testing.T) {
	addr, _ := servertest.Redis(t, "--cluster-enabled", "yes")
	require.NoError(t, connect(t, addr).Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.Eventually(t, func() bool { return c.Set(t.Context(), "key", "value", 0).Err() == nil }, time.Minute, 50*time.Millisecond)
	log := open(t, c)
	registry := resume.New(func(o *resume.Options) { o.Log = log })
	t.Cleanup(func() { _ = registry.Close(context.Background()) })
	answer := words{n: 20, pause: 30 * time.Millisecond}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id := fmt.Sprint(i)
			if !assert.NoError(t, registry.Start(t.Context(), id, answer.open)) {
				return
			}
			var text string
			for m, err := range registry.Read(t.Context(), id, 0) {
				if !assert.NoError(t, err) {
					return
				}
				text += m.Data
			}
			assert.Equal(t, answer.text(), text)
		})
	}
	wg.Wait()
}

// A Redis that is gone ends answers, once the lease is over, and their readers.
func TestRedisIsGone(t *testing.T) {
	addr, kill := servertest.Redis(t)
	ended := make(chan error, 1)
	registry, _ := process(t, addr, func(o *resume.Options) {
		o.Lease = 2 * time.Second
		o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
	})
	require.NoError(t, registry.Start(t.Context(), "a", words{n: 100_000, pause: 10 * time.Millisecond}.open))
	var failed error
	for m, err := range registry.Read(t.Context(), "a", 0) {
		if failed = err; err == nil && m.Sequence == 3 {
			kill()
		}
	}
	assert.ErrorContains(t, failed, "redisresume: read")
	assert.ErrorContains(t, <-ended, "write to the log")
}

// Every key expires, also that of an answer whose process died.
func TestNothingStays(t *testing.T) {
	srv := miniredis.RunT(t)
	l := open(t, connect(t, srv.Addr()))
	c := resume.Claim{ID: "a/b", Owner: "o", Lease: time.Second, Keep: time.Minute}
	require.NoError(t, l.Begin(t.Context(), c))
	_, err := l.Append(t.Context(), c, stream.Message{Type: stream.TypeToken, Sequence: 1})
	require.NoError(t, err)
	require.Len(t, srv.Keys(), 2)
	for _, key := range srv.Keys() {
		assert.Regexp(t, `^bedrockkit:resume:\{\d+\}a%2Fb( log)?$`, key)
		assert.LessOrEqual(t, srv.TTL(key), time.Minute+time.Second)
		assert.Greater(t, srv.TTL(key), 50*time.Second)
	}
	srv.FastForward(2 * time.Minute)
	assert.Empty(t, srv.Keys())
}

func TestClientsThatHeedNoContext(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer c.Close()
	_, err := redisresume.New(c)
	assert.ErrorContains(t, err, "ContextTimeoutEnabled")
}
