package quota

import (
	"context"
	"time"
)

// A Store keeps what was taken from quotas. Processes that share a store share the
// quotas. [MemoryStore] is the default, package redisquota has a store in Redis, and
// package quotatest has the conformance suite for your own store.
//
// A quota has two token buckets, one for tokens and one for requests. Each is full at
// first, holds what a minute allows, and refills evenly over a minute. A quota is
// identified by its account, region and model, which are filled in.
//
// A Store must be safe for concurrent use. If it fails, no call fails: the [Limiter]
// goes on with a store in memory. So it should fail fast and not retry.
type Store interface {
	// Reserve takes one request with so many tokens out of the buckets, if both have
	// room for it. Otherwise it takes nothing and returns how long it takes until they
	// have room, if no one else takes from them and nothing is given back. If tokens
	// is more than the bucket can hold, the request fits when the bucket is full.
	Reserve(ctx context.Context, q Quota, tokens int64) (wait time.Duration, err error)

	// Settle takes out the tokens that were used in addition to the reserved ones, or
	// puts tokens back if tokens is negative. It may take more than the bucket has;
	// the bucket is then negative.
	Settle(ctx context.Context, q Quota, tokens int64) error

	// Throttled reports that the service has throttled the quota: others use it too,
	// or it is smaller than configured. It halves what the buckets hold and the rate
	// at which they fill, at most once in a second. The rate does not go below a tenth
	// of the quota, and recovers by a hundredth of the quota each second.
	Throttled(ctx context.Context, q Quota) error
}

// Op is an operation of a [Store].
type Op string

// The operations.
const (
	OpReserve   Op = "reserve"
	OpSettle    Op = "settle"
	OpThrottled Op = "throttled"
)

// StoreError is the error of an operation of a [Store]. Options.OnError gets it.
type StoreError struct {
	Op    Op
	Quota Quota // with its account, region and model
	Err   error
}

// Error says which operation failed, for which model's quota, and why.
func (e *StoreError) Error() string {
	return "quota: " + string(e.Op) + " of " + string(e.Quota.Model) + ": " + e.Err.Error()
}

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }
