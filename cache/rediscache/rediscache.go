package rediscache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/cache"
)

// Client is what is used of a client of go-redis. [*redis.Client],
// [*redis.ClusterClient], [*redis.Ring] and [redis.UniversalClient] have it.
type Client interface {
	GetRange(ctx context.Context, key string, start, end int64) *redis.StringCmd
	Set(ctx context.Context, key string, value any, expiration time.Duration) *redis.StatusCmd
	Del(ctx context.Context, keys ...string) *redis.IntCmd
}

// Options are the options of a [Store]. The zero value of a field means its default.
type Options struct {
	// Prefix is what the names of all entries in Redis begin with; a slash
	// follows it. The default is "bedrockkit:".
	Prefix string

	// Timeout bounds each operation, including dialing a connection. It needs a client
	// with ContextTimeoutEnabled. The default is 100 ms.
	Timeout time.Duration

	// MaxValueBytes bounds a value, both when it is stored and when it is read:
	// of a longer one, no more is transferred. The error is
	// [cache.ErrTooLarge]. The default is 1 MiB; the most is 512 MiB, what Redis
	// itself takes.
	MaxValueBytes int

	// Now is the clock. The default is time.Now. The clocks of those who share
	// a Redis should agree to within a second: an entry is a miss from its
	// expiry on, whatever Redis says.
	Now func() time.Time
}

// Store is a [cache.Store] in Redis. It is safe for concurrent use.
type Store struct {
	client  Client
	options Options
}

var _ cache.Store = (*Store)(nil)

// New returns a store that uses a client. It returns an error if the client is a
// go-redis client without ContextTimeoutEnabled, because such a client uses only its
// own timeout of several seconds.
func New(client Client, optFns ...func(*Options)) (*Store, error) {
	if !heedsContext(client) {
		return nil, errors.New("rediscache: the client does not heed the timeouts of contexts; make it with ContextTimeoutEnabled: true")
	}
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Prefix == "" {
		o.Prefix = "bedrockkit:"
	}
	if o.Timeout <= 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.MaxValueBytes <= 0 {
		o.MaxValueBytes = 1 << 20
	}
	o.MaxValueBytes = min(o.MaxValueBytes, 512<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{client: client, options: o}, nil
}

func heedsContext(client Client) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return true // its maker knows
}

const (
	magic      = "bkc1"
	headerSize = len(magic) + 8 + 16
)

// Get implements [cache.Store].
func (s *Store) Get(ctx context.Context, key cache.Key) (cache.Entry, error) {
	name := s.options.Prefix + "/" + key.String()
	// GETRANGE and not GET, so that whatever is there is read up to a bound.
	// There it is as good as an empty string if there is nothing.
	var stored []byte
	err := s.do(ctx, "get", func(ctx context.Context) (err error) {
		stored, err = s.client.GetRange(ctx, name, 0, int64(headerSize+s.options.MaxValueBytes)).Bytes()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return cache.Entry{}, cache.ErrNotFound
	case err != nil:
		return cache.Entry{}, err
	case len(stored) == 0:
		return cache.Entry{}, cache.ErrNotFound
	case len(stored) > headerSize+s.options.MaxValueBytes:
		return cache.Entry{}, fmt.Errorf("rediscache: get: %w: more than %d bytes", cache.ErrTooLarge, s.options.MaxValueBytes)
	case len(stored) < headerSize || string(stored[:len(magic)]) != magic:
		return cache.Entry{}, fmt.Errorf("rediscache: get: %w: not of this format", cache.ErrCorrupt)
	}
	value := stored[headerSize:len(stored):len(stored)]
	ms := int64(binary.BigEndian.Uint64(stored[len(magic):]))
	if want := header(name, ms, value); string(stored[:headerSize]) != string(want[:]) {
		return cache.Entry{}, fmt.Errorf("rediscache: get: %w: wrong checksum", cache.ErrCorrupt)
	}
	expires := time.UnixMilli(ms)
	if !s.options.Now().Before(expires) {
		return cache.Entry{}, cache.ErrNotFound
	}
	return cache.Entry{Value: value, Expires: expires}, nil
}

// Set implements [cache.Store]. A TTL is rounded up to milliseconds.
func (s *Store) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	if err := cache.CheckTTL(ttl); err != nil {
		return err
	}
	if len(value) > s.options.MaxValueBytes {
		return fmt.Errorf("rediscache: set: %w: %d bytes; the most is %d", cache.ErrTooLarge, len(value), s.options.MaxValueBytes)
	}
	ttl = (min(ttl, math.MaxInt64-time.Millisecond) + time.Millisecond - 1).Truncate(time.Millisecond)
	name := s.options.Prefix + "/" + key.String()
	h := header(name, s.options.Now().Add(ttl).UnixMilli(), value)
	stored := append(append(make([]byte, 0, headerSize+len(value)), h[:]...), value...)
	return s.do(ctx, "set", func(ctx context.Context) error {
		return s.client.Set(ctx, name, stored, ttl).Err()
	})
}

// Delete implements [cache.Store].
func (s *Store) Delete(ctx context.Context, key cache.Key) error {
	name := s.options.Prefix + "/" + key.String()
	return s.do(ctx, "delete", func(ctx context.Context) error {
		return s.client.Del(ctx, name).Err()
	})
}

// do runs a command within its time and says what went wrong.
func (s *Store) do(ctx context.Context, op string, fn func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	err := fn(bounded)
	var refused redis.Error // by the server
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused) && strings.HasPrefix(refused.Error(), "WRONGTYPE"):
		return fmt.Errorf("rediscache: %s: %w: not a string", op, cache.ErrCorrupt)
	}
	return fmt.Errorf("rediscache: %s: %w", op, err)
}

// header is what comes before the value of an entry.
func header(name string, ms int64, value []byte) [headerSize]byte {
	var h [headerSize]byte
	copy(h[:], magic)
	binary.BigEndian.PutUint64(h[len(magic):], uint64(ms))
	sum := sha256.New()
	sum.Write(h[:len(magic)+8])
	sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name))))
	sum.Write([]byte(name))
	sum.Write(value)
	copy(h[len(magic)+8:], sum.Sum(nil))
	return h
}
