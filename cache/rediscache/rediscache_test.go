package rediscache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os/exec"
	"strings"
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
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/cachetest"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/cache/rediscache"
	"github.com/mangaassist/bedrockkit/converse"
)

// A pool of go-redis that has seen its server gone dials it once a second, and
// looks only then whether it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// A server is a Redis that can be killed and started again at its address.
type server interface {
	Addr() string
	Kill(t *testing.T)
	Start(t *testing.T)
}

// embedded is miniredis.
type embedded struct{ *miniredis.Miniredis }

func (e embedded) Kill(*testing.T)    { e.Close() }
func (e embedded) Start(t *testing.T) { require.NoError(t, e.Restart()) }

// program is Debian's redis-server, or whatever has its name on the PATH.
type program struct {
	path string
	addr string
	cmd  *exec.Cmd
}

func (p *program) Addr() string { return p.addr }

func (p *program) Kill(t *testing.T) {
	if p.cmd == nil {
		return
	}
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // "signal: killed"
	p.cmd = nil
}

func (p *program) Start(t *testing.T) {
	_, port, err := net.SplitHostPort(p.addr)
	require.NoError(t, err)
	p.cmd = exec.Command(p.path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	p.cmd.Dir = t.TempDir()
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			return
		}
	}
	p.Kill(t)
	require.Fail(t, "redis-server did not start", log.String())
}

// start returns a real Redis where there is one, and else the embedded one.
func start(t *testing.T) server {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Log("against miniredis, since there is no redis-server on the PATH")
		return embedded{miniredis.RunT(t)}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &program{path: path, addr: listener.Addr().String()}
	require.NoError(t, listener.Close())
	t.Log("against", path)
	p.Start(t)
	t.Cleanup(func() { p.Kill(t) })
	return p
}

func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func open(t *testing.T, c rediscache.Client, optFns ...func(*rediscache.Options)) *rediscache.Store {
	s, err := rediscache.New(c, append([]func(*rediscache.Options){func(o *rediscache.Options) {
		o.Timeout = 5 * time.Second // a busy machine is no failure
	}}, optFns...)...)
	require.NoError(t, err)
	return s
}

var key = cache.Key{Namespace: "test", Tenant: "t", Sum: [32]byte{1, 2, 3}}

func TestConformance(t *testing.T) {
	srv := start(t)
	c := client(t, srv.Addr())
	stores := 0
	cachetest.Run(t, func(t *testing.T) cache.Store {
		stores++
		return open(t, c, func(o *rediscache.Options) { o.Prefix = fmt.Sprintf("conformance %d:", stores) })
	}, func(o *cachetest.Options) {
		if e, ok := srv.(embedded); ok {
			o.Advance = e.FastForward
		}
	})
}

func TestConformanceOfWrappers(t *testing.T) {
	srv := start(t)
	c := client(t, srv.Addr())
	stores := 0
	cachetest.Run(t, func(t *testing.T) cache.Store {
		stores++
		remote, err := cache.Encrypted(
			open(t, c, func(o *rediscache.Options) { o.Prefix = fmt.Sprintf("wrappers %d:", stores) }),
			cache.EncryptionKey{ID: "1", Secret: make([]byte, 32)})
		require.NoError(t, err)
		return cache.Tiered(memcache.New(), cache.FailOpen(remote))
	})
}

// A Redis that is killed and started again while it is used: no request fails,
// no answer is wrong, and then there are hits again.
func TestKilledUnderLoad(t *testing.T) {
	srv := start(t)
	remote := open(t, client(t, srv.Addr()), func(o *rediscache.Options) { o.Timeout = 200 * time.Millisecond })
	var seen atomic.Int64
	store := cache.FailOpen(remote, func(o *cache.FailOpenOptions) {
		o.Cooldown = 10 * time.Millisecond
		o.OnError = func(context.Context, error) { seen.Add(1) }
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var hits atomic.Int64
	var load sync.WaitGroup
	failures := make(chan error, 100)
	report := func(err error) {
		select {
		case failures <- err:
		default:
		}
	}
	for w := range 8 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				k := cache.Key{Namespace: "load", Sum: [32]byte{byte(i % 50), byte(w)}}
				value := fmt.Sprint(w, "/", i%50)
				e, err := store.Get(ctx, k)
				switch {
				case ctx.Err() != nil:
				case err == nil && string(e.Value) != value:
					report(fmt.Errorf("%q is no answer for %q", e.Value, value))
				case err == nil:
					hits.Add(1)
				case !errors.Is(err, cache.ErrNotFound):
					report(err)
				default:
					if err := store.Set(ctx, k, []byte(value), time.Minute); err != nil && ctx.Err() == nil {
						report(err)
					}
				}
			}
		})
	}
	more := func(n *atomic.Int64, what string) {
		t.Helper()
		want := n.Load() + 100
		require.Eventually(t, func() bool { return n.Load() >= want }, 30*time.Second, time.Millisecond, "no more %s", what)
	}
	for range 2 {
		more(&hits, "hits")
		srv.Kill(t)
		before := seen.Load()
		require.Eventually(t, func() bool { return store.Stats().Open && seen.Load() > before }, 30*time.Second, time.Millisecond)
		srv.Start(t)
	}
	more(&hits, "hits after the restart")
	stop()
	load.Wait()
	close(failures)
	for err := range failures {
		assert.NoError(t, err)
	}
	assert.Positive(t, store.Stats().Skipped)
}

// The same through the pipeline, with calls and streams: none fails, and each
// gets its own answer.
func TestPipelineWhileRedisIsKilled(t *testing.T) {
	redis := start(t)
	encrypted, err := cache.Encrypted(
		open(t, client(t, redis.Addr()), func(o *rediscache.Options) { o.Timeout = 200 * time.Millisecond }),
		cache.EncryptionKey{ID: "1", Secret: make([]byte, 32)})
	require.NoError(t, err)
	store := cache.FailOpen(encrypted, func(o *cache.FailOpenOptions) { o.Cooldown = 10 * time.Millisecond })
	answers := bedrockx.NewCache(store, func(o *bedrockx.CacheOptions) {
		o.OnError = func(_ context.Context, err error) { t.Error("a failure of Redis must not come this far:", err) }
	})
	defer answers.Close()
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.KeepRequests = true, 1
		o.Responder = func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Text("answer to " + req.LastText())
		}
	})
	chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = answers }), func(o *converse.Options) {
		o.Model, o.Temperature = "us.anthropic.claude-haiku-4-5-20251001-v1:0", new(float64)
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var hits, misses atomic.Int64
	var load sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				question := fmt.Sprint("question ", i%20)
				req := converse.Request{Messages: []converse.Message{converse.User(question)}}
				var text string
				var hit bool
				if w%2 == 0 {
					r, err := chat.Send(t.Context(), req)
					if !assert.NoError(t, err) {
						return
					}
					text, hit = r.Text(), r.CacheHit
				} else {
					s, err := chat.Stream(t.Context(), req)
					if !assert.NoError(t, err) {
						return
					}
					for _, err := range s.Events() {
						assert.NoError(t, err)
					}
					text, hit = s.Result().Text(), s.Result().CacheHit
				}
				if !assert.Equal(t, "answer to "+question, text) {
					return
				}
				if hit {
					hits.Add(1)
				} else {
					misses.Add(1)
				}
			}
		})
	}
	more := func(n *atomic.Int64, what string) {
		t.Helper()
		want := n.Load() + 50
		require.Eventually(t, func() bool { return n.Load() >= want }, 30*time.Second, time.Millisecond, "no more %s", what)
	}
	for range 2 {
		more(&hits, "hits")
		redis.Kill(t)
		more(&misses, "answers without Redis")
		assert.True(t, store.Stats().Open)
		redis.Start(t)
	}
	more(&hits, "hits after the restart")
	stop()
	load.Wait()
	assert.Zero(t, answers.Stats().InFlight)
}

// A Redis that takes connections and says nothing holds nobody for long.
func TestSlow(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	s := open(t, client(t, listener.Addr().String()), func(o *rediscache.Options) { o.Timeout = 20 * time.Millisecond })
	begin := time.Now()
	_, err = s.Get(t.Context(), key)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
	assert.Less(t, time.Since(begin), 2*time.Second)

	_, err = cache.FailOpen(s).Get(t.Context(), key)
	assert.ErrorIs(t, err, cache.ErrNotFound)
}

// Whatever another program has left under the name is no answer.
// Stores with different prefixes share no entry, whatever their keys are.
func TestPrefixes(t *testing.T) {
	c := client(t, start(t).Addr())
	with := func(prefix string) *rediscache.Store {
		return open(t, c, func(o *rediscache.Options) { o.Prefix = prefix })
	}
	set := cache.Key{Namespace: "b"}
	require.NoError(t, with("a").Set(t.Context(), set, []byte("value"), time.Hour))
	for prefix, key := range map[string]cache.Key{"ab": {}, "a/b": {}, "a/": {Namespace: "b"}, "b": {Namespace: "b"}} {
		_, err := with(prefix).Get(t.Context(), key)
		assert.ErrorIs(t, err, cache.ErrNotFound, prefix)
	}
}

func TestRubbish(t *testing.T) {
	srv := start(t)
	c := client(t, srv.Addr())
	var mu sync.Mutex
	var passed time.Duration
	s := open(t, c, func(o *rediscache.Options) {
		o.MaxValueBytes = 100
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(passed) }
	})
	ctx := t.Context()
	name := "bedrockkit:/" + key.String()
	require.NoError(t, s.Set(ctx, key, []byte("value"), time.Hour))
	good, err := c.Get(ctx, name).Bytes()
	require.NoError(t, err)
	other := key
	other.Tenant = "u"
	require.NoError(t, s.Set(ctx, other, []byte("value"), time.Hour))
	foreign, err := c.Get(ctx, "bedrockkit:/"+other.String()).Bytes()
	require.NoError(t, err)

	flipped := func(at int) string {
		b := append([]byte(nil), good...)
		b[at] ^= 1
		return string(b)
	}
	for what, c1 := range map[string]struct {
		content string
		want    error
	}{
		"text":            {"OK", cache.ErrCorrupt},
		"JSON":            {`{"text": "an answer of another program, long enough"}`, cache.ErrCorrupt},
		"cut":             {string(good[:len(good)-1]), cache.ErrCorrupt},
		"longer":          {string(good) + "x", cache.ErrCorrupt},
		"version":         {flipped(3), cache.ErrCorrupt},
		"expiry":          {flipped(8), cache.ErrCorrupt},
		"checksum":        {flipped(20), cache.ErrCorrupt},
		"value":           {flipped(len(good) - 1), cache.ErrCorrupt},
		"another's entry": {string(foreign), cache.ErrCorrupt},
		"too large":       {string(good) + strings.Repeat("x", 1000), cache.ErrTooLarge},
		"empty":           {"", cache.ErrNotFound},
	} {
		require.NoError(t, c.Set(ctx, name, c1.content, time.Hour).Err())
		e, err := s.Get(ctx, key)
		assert.ErrorIs(t, err, c1.want, what)
		assert.Zero(t, e, what)
		open := cache.FailOpen(s)
		_, err = open.Get(ctx, key)
		assert.ErrorIs(t, err, cache.ErrNotFound, what)
		assert.Zero(t, open.Stats().Failures, what)
	}
	require.NoError(t, c.Del(ctx, name).Err())
	require.NoError(t, c.LPush(ctx, name, "a list").Err())
	_, err = s.Get(ctx, key)
	assert.ErrorIs(t, err, cache.ErrCorrupt)
	require.NoError(t, s.Set(ctx, key, []byte("value"), time.Hour), "SET replaces a list")

	// An entry past its expiry is a miss even if Redis still has it.
	mu.Lock()
	passed = time.Hour
	mu.Unlock()
	_, err = s.Get(ctx, key)
	assert.ErrorIs(t, err, cache.ErrNotFound)
}

func TestTooLarge(t *testing.T) {
	s := open(t, client(t, start(t).Addr()), func(o *rediscache.Options) { o.MaxValueBytes = 10 })
	require.NoError(t, s.Set(t.Context(), key, make([]byte, 10), time.Hour))
	assert.ErrorIs(t, s.Set(t.Context(), key, make([]byte, 11), time.Hour), cache.ErrTooLarge)
	e, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	assert.Len(t, e.Value, 10)
}

func TestNoBoundOfOnesOwn(t *testing.T) {
	s := open(t, client(t, start(t).Addr()), func(o *rediscache.Options) { o.MaxValueBytes = math.MaxInt })
	require.NoError(t, s.Set(t.Context(), key, []byte("value"), time.Hour))
	e, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, "value", string(e.Value))
}

func TestClientThatHeedsNoContext(t *testing.T) {
	for _, c := range []redis.UniversalClient{
		redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}),
		redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
	} {
		_, err := rediscache.New(c)
		assert.ErrorContains(t, err, "ContextTimeoutEnabled")
		require.NoError(t, c.Close())
	}
}

// found is a client that has one content under every name.
type found struct {
	rediscache.Client
	content string
}

func (f found) GetRange(ctx context.Context, _ string, _, end int64) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx)
	cmd.SetVal(f.content[:min(len(f.content), int(end)+1)])
	return cmd
}

// Whatever Redis holds, what was not stored here is no value.
func FuzzGet(f *testing.F) {
	expiry := "\x00\x00\x01\xff\xff\xff\xff\xff"
	for _, seed := range []string{"", "x", "bkc1", "bkc1" + expiry + "0123456789abcdef", "bkc1" + expiry + "0123456789abcdefvalue", "bkc2" + expiry + "0123456789abcdefvalue"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		s, err := rediscache.New(found{content: content})
		require.NoError(t, err)
		e, err := s.Get(t.Context(), key)
		require.Error(t, err)
		require.Zero(t, e)
	})
}
