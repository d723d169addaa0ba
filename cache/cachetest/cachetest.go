package cachetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
)

// Options are the options of [Run]. The zero value of a field means its default.
type Options struct {
	// TTL is how long the entries live whose end the suite waits for. It must
	// be long enough to be read once before. The default is 200 ms, or one
	// minute with Advance.
	TTL time.Duration

	// Advance moves the clock of the store that was opened last. Without it,
	// the suite waits until the time has passed.
	Advance func(time.Duration)

	// Now is the clock of the store. The default is time.Now.
	Now func() time.Time

	// MaxValueBytes is the largest value that is stored. The default is
	// 512 KiB.
	MaxValueBytes int
}

// Run runs the checks as subtests, each with a store of its own from open, which
// must be empty. It expects that the store loses nothing in so short a time.
func Run(t *testing.T, open func(t *testing.T) cache.Store, optFns ...func(*Options)) {
	t.Helper()
	o := resolve(optFns)
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(t.Context(), open(t), o); err != nil {
				t.Error(err)
			}
		})
	}
}

func resolve(optFns []func(*Options)) Options {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.TTL <= 0 {
		o.TTL = 200 * time.Millisecond
		if o.Advance != nil {
			o.TTL = time.Minute
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxValueBytes <= 0 {
		o.MaxValueBytes = 512 << 10
	}
	return o
}

// A check returns what is wrong with a store.
type check struct {
	name string
	fn   func(context.Context, cache.Store, Options) error
}

var checks = []check{
	{"miss", checkMiss},
	{"set and get", checkSetGet},
	{"overwrite", checkOverwrite},
	{"delete", checkDelete},
	{"expiry", checkExpiry},
	{"overwriting renews the TTL", checkRenewal},
	{"any positive TTL", checkTTL},
	{"sizes", checkSizes},
	{"binary keys", checkBinaryKeys},
	{"namespaces and tenants are apart", checkIsolation},
	{"values are copies", checkCopies},
	{"context is done", checkContext},
	{"concurrent use", checkConcurrent},
}

// key returns the key of a test entry.
func key(name string) cache.Key {
	return cache.Key{Namespace: "cachetest", Tenant: "tenant", Sum: sha256.Sum256([]byte(name))}
}

func get(ctx context.Context, s cache.Store, k cache.Key, want []byte) error {
	e, err := s.Get(ctx, k)
	switch {
	case err != nil:
		return fmt.Errorf("a Get of %v: %w; want a value of %d bytes", k, err, len(want))
	case !bytes.Equal(e.Value, want):
		return fmt.Errorf("a Get of %v returned %s; want %s", k, show(e.Value), show(want))
	}
	return nil
}

func show(v []byte) string {
	if len(v) > 32 {
		return fmt.Sprintf("%q… (%d bytes)", v[:32], len(v))
	}
	return fmt.Sprintf("%q", v)
}

func miss(ctx context.Context, s cache.Store, k cache.Key) error {
	if e, err := s.Get(ctx, k); !errors.Is(err, cache.ErrNotFound) {
		return fmt.Errorf("a Get of %v returned %s and the error %v; want ErrNotFound", k, show(e.Value), err)
	}
	return nil
}

func set(ctx context.Context, s cache.Store, k cache.Key, value []byte, ttl time.Duration) error {
	if err := s.Set(ctx, k, value, ttl); err != nil {
		return fmt.Errorf("a Set of %v to %s: %w", k, show(value), err)
	}
	return nil
}

// first returns the first error of steps that are taken until there is one.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func checkMiss(ctx context.Context, s cache.Store, _ Options) error {
	return first(
		func() error { return miss(ctx, s, key("a")) },
		func() error { return miss(ctx, s, cache.Key{}) },
	)
}

func checkSetGet(ctx context.Context, s cache.Store, o Options) error {
	k := key("a")
	before := o.Now()
	if err := first(
		func() error { return set(ctx, s, k, []byte("value"), time.Hour) },
		func() error { return get(ctx, s, k, []byte("value")) },
		func() error { return get(ctx, s, k, []byte("value")) },
		func() error { return miss(ctx, s, key("b")) },
	); err != nil {
		return err
	}
	e, err := s.Get(ctx, k)
	if err != nil || e.Expires.IsZero() {
		return err
	}
	// A second for a store that rounds, or that has a clock of its own.
	if latest := o.Now().Add(time.Hour + time.Second); !e.Expires.After(before) || e.Expires.After(latest) {
		return fmt.Errorf("the field Expires is %v; want a time after %v and not after %v", e.Expires, before, latest)
	}
	return nil
}

func checkOverwrite(ctx context.Context, s cache.Store, _ Options) error {
	k := key("a")
	for _, v := range []string{"first", "second, which is longer", "3"} {
		if err := first(
			func() error { return set(ctx, s, k, []byte(v), time.Hour) },
			func() error { return get(ctx, s, k, []byte(v)) },
		); err != nil {
			return err
		}
	}
	return nil
}

func checkDelete(ctx context.Context, s cache.Store, _ Options) error {
	a, b := key("a"), key("b")
	return first(
		func() error { return set(ctx, s, a, []byte("a"), time.Hour) },
		func() error { return set(ctx, s, b, []byte("b"), time.Hour) },
		func() error { return s.Delete(ctx, a) },
		func() error { return miss(ctx, s, a) },
		func() error { return get(ctx, s, b, []byte("b")) },
		func() error { return s.Delete(ctx, a) }, // of nothing
		func() error { return set(ctx, s, a, []byte("again"), time.Hour) },
		func() error { return get(ctx, s, a, []byte("again")) },
	)
}

// pass lets time pass until done says that it has.
func pass(ctx context.Context, o Options, d time.Duration, done func() error) error {
	if o.Advance != nil {
		o.Advance(d)
		return done()
	}
	ctx, cancel := context.WithTimeout(ctx, d+10*time.Second)
	defer cancel()
	tick := time.NewTicker(max(d/10, time.Millisecond))
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func checkExpiry(ctx context.Context, s cache.Store, o Options) error {
	short, long := key("short"), key("long")
	return first(
		func() error { return set(ctx, s, long, []byte("long"), 1000*o.TTL) },
		func() error { return set(ctx, s, short, []byte("short"), o.TTL) },
		func() error { return get(ctx, s, short, []byte("short")) },
		func() error { return pass(ctx, o, o.TTL, func() error { return miss(ctx, s, short) }) },
		func() error { return get(ctx, s, long, []byte("long")) },
	)
}

func checkRenewal(ctx context.Context, s cache.Store, o Options) error {
	k, mark := key("renewed"), key("mark")
	return first(
		func() error { return set(ctx, s, k, []byte("old"), o.TTL) },
		func() error { return set(ctx, s, k, []byte("new"), 1000*o.TTL) },
		func() error { return set(ctx, s, mark, nil, o.TTL) },
		func() error { return pass(ctx, o, o.TTL, func() error { return miss(ctx, s, mark) }) },
		func() error { return get(ctx, s, k, []byte("new")) },
	)
}

func checkTTL(ctx context.Context, s cache.Store, _ Options) error {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		k := key("a")
		if err := s.Set(ctx, k, []byte("value"), ttl); err == nil {
			return fmt.Errorf("a Set with a TTL of %v returned no error", ttl)
		}
		if err := miss(ctx, s, k); err != nil {
			return err
		}
	}
	// The shortest there is may be longer than asked for, but not for ever; the
	// longest overflows where something is added to it.
	k := key("c")
	return first(
		func() error { return set(ctx, s, key("b"), []byte("value"), 1) },
		func() error { return set(ctx, s, k, []byte("value"), math.MaxInt64) },
		func() error { return get(ctx, s, k, []byte("value")) },
	)
}

func checkSizes(ctx context.Context, s cache.Store, o Options) error {
	for _, n := range []int{0, 1, 100, 4096, 65_537, o.MaxValueBytes} {
		if n > o.MaxValueBytes {
			continue
		}
		k, v := key(fmt.Sprint(n)), filled(n)
		if err := first(
			func() error { return set(ctx, s, k, v, time.Hour) },
			func() error { return get(ctx, s, k, v) },
		); err != nil {
			return err
		}
	}
	k := key("nil")
	return first(
		func() error { return set(ctx, s, k, nil, time.Hour) },
		func() error { return get(ctx, s, k, nil) },
	)
}

// filled returns n bytes, all values among them.
func filled(n int) []byte {
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(i*7 + i>>8)
	}
	return v
}

func checkBinaryKeys(ctx context.Context, s cache.Store, _ Options) error {
	var keys []cache.Key
	for _, text := range []string{"", "\x00", "\n", " ", "\xff\xfe", "*?[a-z]", "{tag}", "日本", "a/b", "a%2Fb", `a"b\`} {
		keys = append(keys,
			cache.Key{Namespace: text, Tenant: "t"},
			cache.Key{Namespace: "n", Tenant: text},
		)
	}
	for i := range 256 {
		var sum [32]byte
		sum[i%32] = byte(i)
		keys = append(keys, cache.Key{Namespace: "sum", Tenant: fmt.Sprint(i / 32), Sum: sum})
	}
	return apart(ctx, s, keys)
}

func checkIsolation(ctx context.Context, s cache.Store, _ Options) error {
	sum := sha256.Sum256([]byte("the same for all"))
	var keys []cache.Key
	for _, p := range [][2]string{
		{"", ""}, {"a", ""}, {"", "a"}, {"a", "b"}, {"b", "a"}, {"ab", ""}, {"", "ab"},
		{"a/b", "c"}, {"a", "b/c"}, {"a:b", "c"}, {"a", "b:c"}, {"a|b", "c"}, {"a", "b|c"},
		{"a\x00b", "c"}, {"a", "b\x00c"}, {"A", "b"}, {"a", "B"}, {"a ", "b"}, {"a", " b"},
	} {
		keys = append(keys, cache.Key{Namespace: p[0], Tenant: p[1], Sum: sum})
	}
	return apart(ctx, s, keys)
}

// apart checks that each key has an entry of its own.
func apart(ctx context.Context, s cache.Store, keys []cache.Key) error {
	unique := map[cache.Key][]byte{}
	for i, k := range keys {
		if unique[k] != nil {
			continue
		}
		unique[k] = fmt.Appendf(nil, "value %d", i)
		if err := first(
			func() error { return miss(ctx, s, k) },
			func() error { return set(ctx, s, k, unique[k], time.Hour) },
		); err != nil {
			return err
		}
	}
	for k, v := range unique {
		if err := get(ctx, s, k, v); err != nil {
			return err
		}
	}
	for k := range unique {
		if err := s.Delete(ctx, k); err != nil {
			return err
		}
		delete(unique, k)
		break
	}
	for k, v := range unique {
		if err := get(ctx, s, k, v); err != nil {
			return fmt.Errorf("after a Delete of another key: %w", err)
		}
	}
	return nil
}

func checkCopies(ctx context.Context, s cache.Store, _ Options) error {
	k, v := key("a"), []byte("value")
	if err := set(ctx, s, k, v, time.Hour); err != nil {
		return err
	}
	copy(v, "XXXXX")
	if err := get(ctx, s, k, []byte("value")); err != nil {
		return fmt.Errorf("after the caller used its slice again: %w", err)
	}
	e, err := s.Get(ctx, k)
	if err != nil {
		return err
	}
	held := e.Value
	one := append(held, "1"...)
	two := append(held, "2"...)
	if string(one) != "value1" || string(two) != "value2" {
		return fmt.Errorf("what is appended to a value is shared: its capacity is more than its length")
	}
	if err := first(
		func() error { return set(ctx, s, k, []byte("other"), time.Hour) },
		func() error { return s.Delete(ctx, k) },
		func() error { return set(ctx, s, k, []byte("third"), time.Hour) },
	); err != nil {
		return err
	}
	if string(held) != "value" {
		return fmt.Errorf("a value that Get returned has become %s", show(held))
	}
	return nil
}

func checkContext(ctx context.Context, s cache.Store, _ Options) error {
	k := key("a")
	if err := set(ctx, s, k, []byte("value"), time.Hour); err != nil {
		return err
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	late, cancel := context.WithDeadline(ctx, time.Unix(0, 0))
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{cancelled, context.Canceled}, {late, context.DeadlineExceeded}} {
		_, err := s.Get(c.ctx, k)
		for op, err := range map[string]error{
			"Get":    err,
			"Set":    s.Set(c.ctx, k, []byte("other"), time.Hour),
			"Delete": s.Delete(c.ctx, k),
		} {
			if !errors.Is(err, c.want) {
				return fmt.Errorf("%s returned the error %v; want %v", op, err, c.want)
			}
		}
	}
	return get(ctx, s, k, []byte("value"))
}
