package memcache

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
)

// Options are the options of a [Store]. The zero value of a field means its default.
type Options struct {
	// MaxBytes bounds the memory of the store, with an error of up to a tenth. Each
	// entry counts with the heap memory of its key and value, and 256 bytes for its
	// bookkeeping. The default is 64 MiB.
	MaxBytes int64

	// Shards is the number of parts with separate locks. It is rounded up to a power
	// of two. The default is one for every 4 MiB of MaxBytes, at most 256. There is
	// never more than one for every 4 KiB. An entry may be as large as a shard:
	// MaxBytes / Shards. For a larger one the error is [cache.ErrTooLarge].
	Shards int

	// Jitter is the part of a TTL, from 0 to 1, by which an entry may expire early, at
	// random. So entries that were stored together are not refilled together. The
	// default is 0.1; negative means none.
	Jitter float64

	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

const (
	overhead = 256     // bytes of an entry beside its key's strings and its value, maps and ghost included
	minShard = 4 << 10 // bytes of a shard
	maxFreq  = 3
)

// Store is a [cache.Store] in memory. It is safe for concurrent use.
type Store struct {
	shards  []shard
	shift   uint // of a key's hash to its shard
	options Options
}

var _ cache.Store = (*Store)(nil)

// New returns an empty store.
func New(optFns ...func(*Options)) *Store {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Shards <= 0 {
		o.Shards = int(min(max(o.MaxBytes>>22, 1), 256))
	}
	switch {
	case o.Jitter == 0:
		o.Jitter = 0.1
	case o.Jitter < 0:
		o.Jitter = 0
	}
	o.Jitter = min(o.Jitter, 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Shards = int(min(int64(o.Shards), max(o.MaxBytes/minShard, 1)))
	log := bits.Len(uint(o.Shards - 1))
	s := &Store{shards: make([]shard, 1<<log), shift: uint(64 - log), options: o}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.capacity = o.MaxBytes >> log
		sh.entries = map[uint64]*entry{}
		sh.ghosts.set = map[uint64]struct{}{}
		sh.small.init()
		sh.main.init()
	}
	return s
}

// hash spreads keys over the shards, also where Sum is not a hash.
func hash(key *cache.Key) uint64 {
	h := binary.LittleEndian.Uint64(key.Sum[0:]) ^
		bits.RotateLeft64(binary.LittleEndian.Uint64(key.Sum[8:]), 13) ^
		bits.RotateLeft64(binary.LittleEndian.Uint64(key.Sum[16:]), 29) ^
		bits.RotateLeft64(binary.LittleEndian.Uint64(key.Sum[24:]), 43)
	return h * 0x9E3779B97F4A7C15
}

// Get implements [cache.Store]. The value is shared: do not change it.
func (s *Store) Get(ctx context.Context, key cache.Key) (cache.Entry, error) {
	if err := ctx.Err(); err != nil {
		return cache.Entry{}, err
	}
	now, h := s.options.Now(), hash(&key)
	sh := &s.shards[h>>s.shift]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.find(h, &key)
	switch {
	case e == nil:
		sh.stats.Misses++
		return cache.Entry{}, cache.ErrNotFound
	case now.UnixNano() >= e.expires:
		sh.stats.Misses++
		sh.stats.Expired++
		sh.remove(e)
		return cache.Entry{}, cache.ErrNotFound
	}
	sh.stats.Hits++
	e.freq = min(e.freq+1, maxFreq)
	return cache.Entry{Value: e.value[:len(e.value):len(e.value)], Expires: time.Unix(0, e.expires)}, nil
}

// Set implements [cache.Store].
func (s *Store) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cache.CheckTTL(ttl); err != nil {
		return err
	}
	h := hash(&key)
	sh := &s.shards[h>>s.shift]
	if size := int64(len(value)) + overhead; size > sh.capacity { // without a copy
		return s.refuse(sh, h, &key, len(value), size)
	}
	// The key's strings may be parts of something large, so they are copied.
	key.Namespace, key.Tenant = strings.Clone(key.Namespace), strings.Clone(key.Tenant)
	e := &entry{key: key, hash: h, value: append([]byte(nil), value...)}
	e.size = int64(cap(e.value)) + heapSize(key.Namespace) + heapSize(key.Tenant) + overhead // a size of the heap's
	if e.size > sh.capacity {
		return s.refuse(sh, h, &key, len(value), e.size)
	}
	if s.options.Jitter > 0 {
		ttl = max(ttl-time.Duration(rand.Float64()*s.options.Jitter*float64(ttl)), 1)
	}
	now := s.options.Now().UnixNano()
	if e.expires = now + int64(ttl); e.expires < now { // later than can be said
		e.expires = math.MaxInt64
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.insert(e, now)
	return nil
}

// refuse is the error of a value that is too large. What the key had is gone.
func (s *Store) refuse(sh *shard, h uint64, key *cache.Key, length int, size int64) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old := sh.find(h, key); old != nil {
		sh.remove(old)
	}
	sh.stats.TooLarge++
	return fmt.Errorf("%w: a value of %d bytes takes %d of the %d of a shard", cache.ErrTooLarge, length, size, sh.capacity)
}

// heapSize is about what a short string takes of the heap, which has sizes of its
// own.
func heapSize(s string) int64 { return int64(len(s)+len(s)/8+15) &^ 15 }

// Delete implements [cache.Store].
func (s *Store) Delete(ctx context.Context, key cache.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := hash(&key)
	sh := &s.shards[h>>s.shift]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.find(h, &key); e != nil {
		sh.remove(e)
	}
	return nil
}

// Stats counts what a store did and holds.
type Stats struct {
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Expired  uint64 `json:"expired"`   // misses that found an entry past its time
	Evicted  uint64 `json:"evicted"`   // entries that gave way to others
	TooLarge uint64 `json:"too_large"` // values that were refused
	Entries  int    `json:"entries"`
	Bytes    int64  `json:"bytes"` // as [Options].MaxBytes counts them
}

// Stats returns the counts since the store was made.
func (s *Store) Stats() Stats {
	var sum Stats
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sum.Hits += sh.stats.Hits
		sum.Misses += sh.stats.Misses
		sum.Expired += sh.stats.Expired
		sum.Evicted += sh.stats.Evicted
		sum.TooLarge += sh.stats.TooLarge
		sum.Entries += sh.held
		sum.Bytes += sh.small.bytes + sh.main.bytes
		sh.mu.Unlock()
	}
	return sum
}
