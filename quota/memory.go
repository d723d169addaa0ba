package quota

import (
	"context"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota/internal/bucket"
)

// A MemoryStore is a [Store] in the memory of the process. Each quota has its own
// lock.
type MemoryStore struct {
	buckets sync.Map // of key and *memoryBucket
}

// NewMemoryStore returns a store with full quotas.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

type memoryBucket struct {
	mu        sync.Mutex
	state     bucket.State
	at        time.Time // of the state
	throttled time.Time
}

// key is whose quota it is.
type key struct {
	account, region string
	model           bedrockkit.ModelID
}

func (q Quota) key() key { return key{q.Account, q.Region, q.Model} }

func (q Quota) limits() bucket.Limits {
	return bucket.Limits{Tokens: float64(max(0, q.TokensPerMinute)), Requests: float64(max(0, q.RequestsPerMinute))}
}

// lock returns the bucket of a quota, locked, as it is now.
func (s *MemoryStore) lock(q Quota) *memoryBucket {
	found, ok := s.buckets.Load(q.key())
	if !ok {
		found, _ = s.buckets.LoadOrStore(q.key(), &memoryBucket{at: time.Now()})
	}
	b := found.(*memoryBucket)
	b.mu.Lock()
	now := time.Now()
	b.state, b.at = b.state.After(now.Sub(b.at), q.limits()), now
	return b
}

// Reserve implements [Store].
func (s *MemoryStore) Reserve(ctx context.Context, q Quota, tokens int64) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b := s.lock(q)
	defer b.mu.Unlock()
	if wait := b.state.Wait(float64(tokens), q.limits()); wait > 0 {
		return wait, nil
	}
	b.state = b.state.Take(float64(tokens))
	return 0, nil
}

// Settle implements [Store].
func (s *MemoryStore) Settle(ctx context.Context, q Quota, tokens int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := s.lock(q)
	defer b.mu.Unlock()
	b.state = b.state.Settle(float64(tokens))
	return nil
}

// Throttled implements [Store].
func (s *MemoryStore) Throttled(ctx context.Context, q Quota) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := s.lock(q)
	defer b.mu.Unlock()
	if !b.throttled.IsZero() && b.at.Sub(b.throttled) < bucket.Pause {
		return nil
	}
	b.state, b.throttled = b.state.Throttled(q.limits()), b.at
	return nil
}
