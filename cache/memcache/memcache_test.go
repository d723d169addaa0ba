package memcache_test

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/cachetest"
	"github.com/mangaassist/bedrockkit/cache/memcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestConformance(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	cachetest.Run(t, func(*testing.T) cache.Store {
		return memcache.New(func(o *memcache.Options) { o.Now = c.Now })
	}, func(o *cachetest.Options) { o.Advance, o.Now = c.Advance, c.Now })
}

// one returns a store of one shard with room for n entries of 1000 bytes.
func one(n int64) *memcache.Store {
	return memcache.New(func(o *memcache.Options) {
		o.Shards, o.MaxBytes, o.Jitter = 1, n*1000, -1
	})
}

func key(i int) cache.Key {
	return cache.Key{Sum: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))}
}

var value = make([]byte, 1000-256)

func set(t *testing.T, s *memcache.Store, i int) {
	t.Helper()
	require.NoError(t, s.Set(t.Context(), key(i), value, time.Hour))
}

func has(t *testing.T, s *memcache.Store, i int) bool {
	t.Helper()
	_, err := s.Get(t.Context(), key(i))
	if err != nil {
		require.ErrorIs(t, err, cache.ErrNotFound)
	}
	return err == nil
}

// A scan of a hundred times the capacity does not drive out what is asked for.
func TestScanResistance(t *testing.T) {
	const room, hot = 1000, 500
	s := one(room)
	for round := range 3 {
		for i := range hot {
			if !has(t, s, i) {
				set(t, s, i)
			}
		}
		assert.LessOrEqual(t, s.Stats().Entries, room, "round %d", round)
	}
	for i := range 100 * room {
		set(t, s, 1_000_000+i)
	}
	kept := 0
	for i := range hot {
		if has(t, s, i) {
			kept++
		}
	}
	assert.Equal(t, hot, kept)
}

// With requests as they are (some often, most rarely) there are more hits than
// by dropping what was used least recently.
func TestHitRatio(t *testing.T) {
	const room, requests = 1000, 300_000
	s := one(room)
	recent, where, lruHits := list.New(), map[int]*list.Element{}, uint64(0)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 100_000)
	for range requests {
		i := int(zipf.Uint64())
		if !has(t, s, i) {
			set(t, s, i)
		}
		if e := where[i]; e != nil {
			recent.MoveToFront(e)
			lruHits++
			continue
		}
		if where[i] = recent.PushFront(i); recent.Len() > room {
			delete(where, recent.Remove(recent.Back()).(int))
		}
	}
	hits := s.Stats().Hits
	t.Logf("hits: %d, by LRU %d, of %d", hits, lruHits, requests)
	assert.Greater(t, hits, lruHits+requests/50)
}

// What comes back soon after it left is kept.
func TestGhosts(t *testing.T) {
	s := one(100)
	for i := range 120 {
		set(t, s, i)
	}
	require.False(t, has(t, s, 0), "the first of many is the first to go")
	set(t, s, 0)
	for i := range 1000 {
		set(t, s, 1000+i)
	}
	assert.True(t, has(t, s, 0))
}

func TestBoundedByBytes(t *testing.T) {
	const most = 1 << 20
	s := memcache.New(func(o *memcache.Options) { o.MaxBytes, o.Shards = most, 4 })
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		i := rng.IntN(3000)
		k := key(i)
		k.Tenant = strings.Repeat("t", i%50)
		switch rng.IntN(4) {
		case 0:
			_, err := s.Get(t.Context(), k)
			if err != nil {
				require.ErrorIs(t, err, cache.ErrNotFound)
			}
		case 1:
			require.NoError(t, s.Delete(t.Context(), k))
		default:
			require.NoError(t, s.Set(t.Context(), k, make([]byte, rng.IntN(20_000)), time.Hour))
			_, err := s.Get(t.Context(), k)
			require.NoError(t, err, "what was just set is there")
		}
		require.LessOrEqual(t, s.Stats().Bytes, int64(most))
	}
	stats := s.Stats()
	assert.Positive(t, stats.Evicted)
	assert.Greater(t, stats.Bytes, int64(most/2))
	for i := range 3000 {
		k := key(i)
		k.Tenant = strings.Repeat("t", i%50)
		require.NoError(t, s.Delete(t.Context(), k))
	}
	stats = s.Stats()
	assert.Zero(t, stats.Entries)
	assert.Zero(t, stats.Bytes)
}

func TestTooLarge(t *testing.T) {
	s := one(10)
	set(t, s, 1)
	require.NoError(t, s.Set(t.Context(), key(1), make([]byte, 9728), time.Hour)) // a size of the heap
	err := s.Set(t.Context(), key(1), make([]byte, 10_000-255), time.Hour)
	require.ErrorIs(t, err, cache.ErrTooLarge)
	assert.ErrorContains(t, err, "a value of 9745 bytes takes 10001 of the 10000 of a shard")
	require.NoError(t, s.Set(t.Context(), key(1), nil, time.Hour))
	require.ErrorIs(t, s.Set(t.Context(), key(1), make([]byte, 9729), time.Hour), cache.ErrTooLarge, "it takes as much as 10,240 bytes")
	assert.False(t, has(t, s, 1), "the value before is not the last that was set")
	assert.Equal(t, uint64(2), s.Stats().TooLarge)

	// However many shards are asked for, one holds an entry.
	s = memcache.New(func(o *memcache.Options) { o.MaxBytes, o.Shards = 2000, 64 })
	set(t, s, 1)
	assert.True(t, has(t, s, 1))
}

// heap is what is in use after everything else was collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The memory of a store is what MaxBytes says, whatever was in it before: values
// of none, of a few and of many bytes, one after the other.
func TestMemory(t *testing.T) {
	const most = 8 << 20
	base := heap()
	s := memcache.New(func(o *memcache.Options) { o.MaxBytes = most })
	next := 0
	for _, phase := range []struct{ entries, bytes int }{
		{40_000, 0}, {40_000, 0}, {400, 33_000}, {10_000, 1025}, {30_000, 100}, {100, 132_000}, {15_000, 500},
	} {
		value := make([]byte, phase.bytes)
		for range phase.entries {
			next++
			require.NoError(t, s.Set(t.Context(), key(next), value, time.Hour))
			if next%3 == 0 {
				_, _ = s.Get(t.Context(), key(next))
			}
		}
		used := float64(heap()-base-int64(cap(value))) / most
		runtime.KeepAlive(value)
		assert.Less(t, used, 1.1, "%d entries of %d bytes", phase.entries, phase.bytes)
		assert.Greater(t, float64(s.Stats().Bytes)/most, 0.9, "and the store is full")
	}
	runtime.KeepAlive(s)
}

// The default clock is that of a synctest bubble, and nothing runs beside it.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memcache.New(func(o *memcache.Options) { o.Jitter = 0.5 })
		const n = 1000
		for i := range n {
			require.NoError(t, s.Set(t.Context(), key(i), value, 100*time.Second))
		}
		count := func() (n int) {
			for i := range 1000 {
				if has(t, s, i) {
					n++
				}
			}
			return n
		}
		<-time.After(50*time.Second - 1)
		assert.Equal(t, n, count())
		<-time.After(25 * time.Second)
		assert.InDelta(t, n/2, count(), 100)
		<-time.After(25*time.Second + 1)
		assert.Zero(t, count())
		stats := s.Stats()
		assert.Zero(t, stats.Bytes)
		assert.Equal(t, uint64(n), stats.Expired)
	})
}

func TestGetAllocatesNothing(t *testing.T) {
	s := one(10)
	set(t, s, 1)
	ctx, k := t.Context(), key(1)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Get(ctx, k) }))
}

// BenchmarkHit reports hits of all processors together.
func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n, " keys"), func(b *testing.B) {
			s := memcache.New()
			keys := make([]cache.Key, n)
			for i := range keys {
				keys[i] = key(i)
				keys[i].Namespace, keys[i].Tenant = "shop/prod", "tenant-1"
				if err := s.Set(b.Context(), keys[i], value, time.Hour); err != nil {
					b.Fatal(err)
				}
			}
			ctx := b.Context()
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(n); pb.Next(); i++ {
					if _, err := s.Get(ctx, keys[i%n]); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hits/s")
		})
	}
}
