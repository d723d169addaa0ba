package bedrockx

import (
	"context"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/internal/bucket"
)

// A QuotaStore keeps what was taken of quotas. Processes that share a store
// share the quotas. [MemoryQuotaStore] is the default, package redisquota has
// one in Redis, and package quotatest the conformance suite for yours.
//
// A quota is a token bucket of tokens and one of requests. Each is full at
// first, holds what a minute allows, and gets it back evenly over a minute. A
// quota is told by its account, region and model; they are filled in.
//
// It is safe for concurrent use. Its errors cost no call: the [Limiter] goes on
// with a store in memory. So it should give up soon, not retry.
type QuotaStore interface {
	// Reserve takes a request of so many tokens out of the buckets, if both
	// have room for it. Otherwise it takes nothing and returns how long it is
	// until they have, if nobody else takes of them and nothing is given back.
	// More tokens than the bucket holds fit when it is full.
	Reserve(ctx context.Context, q Quota, tokens int64) (wait time.Duration, err error)

	// Settle takes tokens out that were used beyond those reserved, or puts
	// some back, where tokens is negative. It takes more than there are: the
	// bucket then owes them.
	Settle(ctx context.Context, q Quota, tokens int64) error

	// Throttled tells that the service has throttled the quota: others share
	// it, or it is less than was thought. What the buckets hold and the rate at
	// which they fill are halved, the rate to no less than a tenth of the
	// quota, and not twice in a second. The rate recovers by a hundredth of the
	// quota each second.
	Throttled(ctx context.Context, q Quota) error
}

// MemoryQuotaStore is a [QuotaStore] in the memory of the process. The zero
// value is ready. Each quota has a lock of its own.
type MemoryQuotaStore struct {
	buckets sync.Map // of quotaKey and *memoryBucket
}

type memoryBucket struct {
	mu        sync.Mutex
	state     bucket.State
	at        time.Time // of the state
	throttled time.Time
}

// quotaKey is whose quota it is.
type quotaKey struct {
	account, region string
	model           bedrockkit.ModelID
}

func (q Quota) key() quotaKey { return quotaKey{q.Account, q.Region, q.Model} }

func (q Quota) limits() bucket.Limits {
	return bucket.Limits{Tokens: float64(max(0, q.TokensPerMinute)), Requests: float64(max(0, q.RequestsPerMinute))}
}

// lock returns the bucket of a quota, locked, as it is now.
func (s *MemoryQuotaStore) lock(q Quota) *memoryBucket {
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

// Reserve implements [QuotaStore].
func (s *MemoryQuotaStore) Reserve(ctx context.Context, q Quota, tokens int64) (time.Duration, error) {
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

// Settle implements [QuotaStore].
func (s *MemoryQuotaStore) Settle(ctx context.Context, q Quota, tokens int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := s.lock(q)
	defer b.mu.Unlock()
	b.state = b.state.Settle(float64(tokens))
	return nil
}

// Throttled implements [QuotaStore].
func (s *MemoryQuotaStore) Throttled(ctx context.Context, q Quota) error {
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
