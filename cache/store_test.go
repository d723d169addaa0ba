package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/cachetest"
	"github.com/mangaassist/bedrockkit/cache/memcache"
)

// fake is a store in memory that can be made to fail, or to do something first.
type fake struct {
	cache.Store
	mu      sync.Mutex
	err     error
	calls   int
	between func() // after a Get has read, before it returns
}

func newFake() *fake {
	return &fake{Store: memcache.New(func(o *memcache.Options) { o.Jitter = -1 })}
}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fake) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fake) enter() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return f.err
}

func (f *fake) Get(ctx context.Context, key cache.Key) (cache.Entry, error) {
	if err := f.enter(); err != nil {
		return cache.Entry{}, err
	}
	e, err := f.Store.Get(ctx, key)
	if f.between != nil {
		f.between()
	}
	return e, err
}

func (f *fake) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	if err := f.enter(); err != nil {
		return err
	}
	return f.Store.Set(ctx, key, value, ttl)
}

func (f *fake) Delete(ctx context.Context, key cache.Key) error {
	if err := f.enter(); err != nil {
		return err
	}
	return f.Store.Delete(ctx, key)
}

func value(t *testing.T, s cache.Store, key cache.Key) string {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if errors.Is(err, cache.ErrNotFound) {
		return "(miss)"
	}
	require.NoError(t, err)
	return string(e.Value)
}

var errSick = errors.New("connection refused")

func secret(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func TestConformance(t *testing.T) {
	encrypted := func(t *testing.T, s cache.Store) cache.Store {
		s, err := cache.Encrypted(s, cache.EncryptionKey{ID: "new", Secret: secret(1)}, cache.EncryptionKey{ID: "old", Secret: secret(2)})
		require.NoError(t, err)
		return s
	}
	for name, open := range map[string]func(t *testing.T, memory func() cache.Store) cache.Store{
		"tiered":    func(_ *testing.T, m func() cache.Store) cache.Store { return cache.Tiered(m(), m()) },
		"encrypted": func(t *testing.T, m func() cache.Store) cache.Store { return encrypted(t, m()) },
		"fail open": func(_ *testing.T, m func() cache.Store) cache.Store { return cache.FailOpen(m()) },
		"all": func(t *testing.T, m func() cache.Store) cache.Store {
			return cache.Tiered(m(), cache.FailOpen(encrypted(t, m())))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			now := time.Unix(1e9, 0)
			clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			cachetest.Run(t, func(t *testing.T) cache.Store {
				return open(t, func() cache.Store { return memcache.New(func(o *memcache.Options) { o.Now = clock }) })
			}, func(o *cachetest.Options) {
				o.Now = clock
				o.Advance = func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
			})
		})
	}
}

func TestTiered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		fast, slow := newFake(), newFake()
		s := cache.Tiered(fast, slow)

		require.NoError(t, s.Set(ctx, someKey, []byte("1"), time.Hour))
		assert.Equal(t, "1", value(t, fast, someKey))
		assert.Equal(t, "1", value(t, slow, someKey))
		before := slow.called()
		assert.Equal(t, "1", value(t, s, someKey))
		assert.Equal(t, before, slow.called(), "slow is not asked for what fast has")

		<-time.After(time.Minute)
		assert.Equal(t, "(miss)", value(t, fast, someKey), "FastTTL is a minute")
		assert.Equal(t, "1", value(t, s, someKey))
		assert.Equal(t, "1", value(t, fast, someKey), "filled from slow")

		// What is filled does not outlive what slow has.
		other := cache.Key{Tenant: "other"}
		require.NoError(t, slow.Set(ctx, other, []byte("2"), 50*time.Second))
		<-time.After(30 * time.Second)
		assert.Equal(t, "2", value(t, s, other))
		<-time.After(20*time.Second - 1)
		assert.Equal(t, "2", value(t, fast, other))
		<-time.After(1)
		assert.Equal(t, "(miss)", value(t, fast, other))

		require.NoError(t, s.Delete(ctx, someKey))
		assert.Equal(t, "(miss)", value(t, fast, someKey))
		assert.Equal(t, "(miss)", value(t, slow, someKey))
	})
}

// What was deleted or replaced while Get was on its way to slow and back does
// not get into fast.
func TestTieredFillIsNotLate(t *testing.T) {
	for name, change := range map[string]func(context.Context, cache.Store) error{
		"(miss)": func(ctx context.Context, s cache.Store) error { return s.Delete(ctx, someKey) },
		"new":    func(ctx context.Context, s cache.Store) error { return s.Set(ctx, someKey, []byte("new"), time.Hour) },
	} {
		fast, slow := newFake(), newFake()
		s := cache.Tiered(fast, slow)
		require.NoError(t, slow.Set(t.Context(), someKey, []byte("old"), time.Hour))
		slow.between = func() {
			slow.between = nil
			require.NoError(t, change(t.Context(), s))
		}
		assert.Equal(t, "old", value(t, s, someKey))
		assert.Equal(t, name, value(t, s, someKey))
	}
}

// slowSet holds a Set of one value back after it was stored.
type slowSet struct {
	cache.Store
	value        string
	stored, goOn chan struct{}
}

func (s *slowSet) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	err := s.Store.Set(ctx, key, value, ttl)
	if string(value) == s.value {
		close(s.stored)
		<-s.goOn
	}
	return err
}

// After two Sets at once both stores have the same value.
func TestTieredOrder(t *testing.T) {
	fast := memcache.New()
	slow := &slowSet{Store: memcache.New(), value: "first", stored: make(chan struct{}), goOn: make(chan struct{})}
	s := cache.Tiered(fast, slow)
	ctx, key := t.Context(), cache.Key{Sum: [32]byte{7}}
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, s.Set(ctx, key, []byte("first"), time.Hour)) })
	<-slow.stored
	require.NoError(t, s.Set(ctx, key, []byte("second"), time.Hour))
	close(slow.goOn)
	wg.Wait()
	for _, from := range []cache.Store{s, fast, slow} {
		e, err := from.Get(ctx, key)
		require.NoError(t, err)
		assert.Equal(t, "second", string(e.Value))
	}

	// Alone, a Set is found in fast.
	require.NoError(t, s.Set(ctx, key, []byte("third"), time.Hour))
	e, err := fast.Get(ctx, key)
	require.NoError(t, err)
	assert.Equal(t, "third", string(e.Value))
}

func TestTieredErrors(t *testing.T) {
	ctx := t.Context()
	fast, slow := newFake(), newFake()
	s := cache.Tiered(fast, slow)
	require.NoError(t, s.Set(ctx, someKey, []byte("1"), time.Hour))

	fast.fail(errSick)
	assert.Equal(t, "1", value(t, s, someKey), "without fast, slow answers")
	assert.ErrorIs(t, s.Set(ctx, someKey, []byte("2"), time.Hour), errSick, "fast may have the old value")
	assert.ErrorIs(t, s.Delete(ctx, someKey), errSick)
	assert.Equal(t, "(miss)", value(t, slow, someKey))
	fast.fail(nil)

	slow.fail(errSick)
	assert.ErrorIs(t, s.Set(ctx, someKey, []byte("3"), time.Hour), errSick)
	assert.Equal(t, "3", value(t, s, someKey))
	_, err := s.Get(ctx, cache.Key{})
	assert.ErrorIs(t, err, errSick)
	assert.ErrorIs(t, s.Delete(ctx, someKey), errSick)
	assert.Equal(t, "(miss)", value(t, fast, someKey))
	slow.fail(nil)

	small := memcache.New(func(o *memcache.Options) { o.MaxBytes = 1000 })
	s = cache.Tiered(small, slow)
	large := make([]byte, 5000)
	require.NoError(t, s.Set(ctx, someKey, large, time.Hour), "slow has room for it")
	assert.Equal(t, string(large), value(t, s, someKey))
}

func TestEncrypted(t *testing.T) {
	ctx := t.Context()
	inner := newFake()
	open := func(keys ...cache.EncryptionKey) cache.Store {
		s, err := cache.Encrypted(inner, keys...)
		require.NoError(t, err)
		return s
	}
	old, young := cache.EncryptionKey{ID: "2025", Secret: secret(1)}, cache.EncryptionKey{ID: "2026", Secret: secret(2)}
	s := open(old)
	const canary = "canary, the answer"
	require.NoError(t, s.Set(ctx, someKey, []byte(canary), time.Hour))
	first := value(t, inner, someKey)
	assert.NotContains(t, first, "canary")
	require.NoError(t, s.Set(ctx, someKey, []byte(canary), time.Hour))
	sealed := value(t, inner, someKey)
	assert.NotEqual(t, first, sealed, "the nonce is another each time")

	// Rotation: both keys decrypt, the first encrypts.
	assert.Equal(t, canary, value(t, open(old, young), someKey))
	assert.Equal(t, canary, value(t, open(young, old), someKey))
	other := cache.Key{Namespace: "other"}
	require.NoError(t, open(young, old).Set(ctx, other, []byte(canary), time.Hour))
	assert.Equal(t, canary, value(t, open(young), other))
	_, err := s.Get(ctx, other)
	assert.ErrorIs(t, err, cache.ErrCorrupt)
	assert.ErrorContains(t, err, "2026")

	corrupt := func(what string, key cache.Key, content []byte) {
		t.Helper()
		require.NoError(t, inner.Set(ctx, key, content, time.Hour))
		e, err := s.Get(ctx, key)
		assert.ErrorIs(t, err, cache.ErrCorrupt, what)
		assert.NotContains(t, fmt.Sprint(err), "canary")
		assert.Zero(t, e, what)
	}
	for name, move := range map[string]func(*cache.Key){
		"tenant":    func(k *cache.Key) { k.Tenant = "t2" },
		"namespace": func(k *cache.Key) { k.Namespace = "test2" },
		"sum":       func(k *cache.Key) { k.Sum[31]++ },
		"delimiter": func(k *cache.Key) { k.Namespace, k.Tenant = "testt", "1" },
	} {
		k := someKey
		move(&k)
		corrupt("moved to another "+name, k, []byte(sealed))
	}
	for i := range len(sealed) {
		b := []byte(sealed)
		b[i] ^= 0x40
		corrupt(fmt.Sprint("byte ", i), someKey, b)
		corrupt(fmt.Sprint("cut at ", i), someKey, b[:i])
	}
	corrupt("in the clear", someKey, []byte(canary))
	swapped := open(cache.EncryptionKey{ID: "2025", Secret: secret(9)})
	require.NoError(t, inner.Set(ctx, someKey, []byte(sealed), time.Hour))
	_, err = swapped.Get(ctx, someKey)
	assert.ErrorIs(t, err, cache.ErrCorrupt)
}

// Whatever is in the store below, what was not sealed here is no value.
func FuzzEncrypted(f *testing.F) {
	inner := newFake()
	s, err := cache.Encrypted(inner, cache.EncryptionKey{ID: "1", Secret: secret(1)})
	require.NoError(f, err)
	for _, seed := range []string{"", "\x01", "\x01\x01", "\x01\x011", "\x01\x011nonce and more than a tag, all of it", "\x01\xff1", "\x02\x011"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		require.NoError(t, inner.Set(t.Context(), someKey, content, time.Hour))
		_, err := s.Get(t.Context(), someKey)
		require.ErrorIs(t, err, cache.ErrCorrupt)
	})
}

func TestEncryptionKeys(t *testing.T) {
	for want, keys := range map[string][]cache.EncryptionKey{
		"no encryption key": nil,
		"0 bytes; it must":  {{Secret: secret(1)}},
		"256 bytes":         {{ID: string(make([]byte, 256)), Secret: secret(1)}},
		"AES-256 takes 32":  {{ID: "1", Secret: secret(1)[:16]}},
		"twice":             {{ID: "1", Secret: secret(1)}, {ID: "1", Secret: secret(2)}},
	} {
		_, err := cache.Encrypted(newFake(), keys...)
		assert.ErrorContains(t, err, want)
	}
	long := cache.EncryptionKey{ID: string(bytes.Repeat([]byte("k"), 255)), Secret: secret(1)}
	s, err := cache.Encrypted(newFake(), long)
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), someKey, []byte("v"), time.Hour))
	assert.Equal(t, "v", value(t, s, someKey))
}

func TestFailOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		inner := newFake()
		type seen struct {
			op  cache.Op
			err error
		}
		var told []seen
		s := cache.FailOpen(inner, func(o *cache.FailOpenOptions) {
			o.OnError = func(_ context.Context, err error) {
				var e *cache.StoreError
				require.ErrorAs(t, err, &e)
				assert.Equal(t, someKey, e.Key)
				assert.NotContains(t, err.Error(), someKey.Tenant)
				told = append(told, seen{e.Op, e.Err})
			}
		})
		require.NoError(t, s.Set(ctx, someKey, []byte("1"), 24*time.Hour))
		assert.Equal(t, "1", value(t, s, someKey))
		assert.Empty(t, told)

		// Errors are misses and dropped writes; a Delete tells.
		inner.fail(errSick)
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.NoError(t, s.Set(ctx, someKey, []byte("2"), time.Hour))
		assert.ErrorIs(t, s.Delete(ctx, someKey), errSick)
		assert.Equal(t, []seen{{cache.OpGet, errSick}, {cache.OpSet, errSick}, {cache.OpDelete, errSick}}, told)
		assert.Error(t, s.Set(ctx, someKey, nil, 0), "a mistake of the caller is not a failure of the store")

		// Five in a row open the breaker.
		assert.False(t, s.Stats().Open)
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.True(t, s.Stats().Open)
		before := inner.called()
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.NoError(t, s.Set(ctx, someKey, []byte("3"), time.Hour))
		assert.ErrorIs(t, s.Delete(ctx, someKey), cache.ErrUnavailable)
		assert.Equal(t, before, inner.called(), "it is not asked")
		assert.Equal(t, cache.FailOpenStats{Failures: 5, Skipped: 3, Open: true}, s.Stats())

		// After the cooldown one operation tries, and fails.
		<-time.After(time.Second)
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.Equal(t, before+1, inner.called())

		// Only one at a time tries; when it works, all may.
		<-time.After(time.Second)
		inner.fail(nil)
		inner.between = func() {
			inner.between = nil
			assert.Equal(t, "(miss)", value(t, s, someKey), "while another tries")
		}
		assert.Equal(t, "1", value(t, s, someKey))
		assert.False(t, s.Stats().Open)
		assert.Equal(t, "1", value(t, s, someKey))

		// The count begins anew: it is failures in a row.
		inner.fail(errSick)
		for range 4 {
			assert.Equal(t, "(miss)", value(t, s, someKey))
		}
		inner.fail(nil)
		assert.Equal(t, "1", value(t, s, someKey))
		inner.fail(errSick)
		for range 4 {
			assert.Equal(t, "(miss)", value(t, s, someKey))
		}
		assert.False(t, s.Stats().Open)
	})
}

// Misses, rubbish and what is too large do not open the breaker, nor does a
// caller who goes.
func TestFailOpenCountsFailuresOnly(t *testing.T) {
	inner := newFake()
	var told int
	s := cache.FailOpen(inner, func(o *cache.FailOpenOptions) {
		o.Failures = 2
		o.OnError = func(context.Context, error) { told++ }
	})
	for _, err := range []error{nil, cache.ErrNotFound, cache.ErrCorrupt, fmt.Errorf("wrapped: %w", cache.ErrTooLarge)} {
		inner.fail(err)
		for range 5 {
			assert.Equal(t, "(miss)", value(t, s, someKey))
		}
	}
	assert.Equal(t, cache.FailOpenStats{Corrupt: 5, TooLarge: 5}, s.Stats())
	assert.Equal(t, 10, told)

	inner.fail(nil)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		inner.between = func() { cancel(); inner.fail(errSick) }
		inner.fail(nil)
		_, _ = s.Get(ctx, someKey)
		_, err := s.Get(ctx, someKey)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, s.Set(ctx, someKey, nil, time.Hour), context.Canceled)
		assert.ErrorIs(t, s.Delete(ctx, someKey), context.Canceled)
	}
	assert.False(t, s.Stats().Open)
	assert.Zero(t, s.Stats().Failures)
}

// A store that panics is as sick as another, and a probe that panics is over.
func TestFailOpenPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newFake()
		s := cache.FailOpen(inner, func(o *cache.FailOpenOptions) { o.Failures = 1 })
		for i := range 3 {
			inner.between = func() { panic("sick") }
			assert.Panics(t, func() { _, _ = s.Get(t.Context(), someKey) }, i)
			assert.True(t, s.Stats().Open)
			<-time.After(time.Second)
		}
		inner.between = nil
		assert.Equal(t, "(miss)", value(t, s, someKey))
		assert.False(t, s.Stats().Open)
	})
}

func TestNoBreaker(t *testing.T) {
	inner := newFake()
	inner.fail(errSick)
	s := cache.FailOpen(inner, func(o *cache.FailOpenOptions) { o.Failures = -1 })
	for range 20 {
		assert.Equal(t, "(miss)", value(t, s, someKey))
	}
	assert.Equal(t, 20, inner.called())
}
