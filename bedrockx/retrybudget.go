package bedrockx

import (
	"sync/atomic"
	"time"
)

// A retryBudget bounds the share of retries among what a target is sent, so
// that clients do not multiply the load on a service that is failing under it.
// It is a bucket of retries that answers fill. The zero value is full.
type retryBudget struct {
	taken atomic.Int64 // in units of an answer
}

// answersPerRetry is how many answers earn one retry: a share of a fifth, as in
// the AWS SDK (retry.DefaultRetryCost and NoRetryIncrement) and in Finagle.
const answersPerRetry = 5

// take takes a retry out, if one is left of size.
func (b *retryBudget) take(size int) bool {
	for {
		taken := b.taken.Load()
		if taken+answersPerRetry > int64(size)*answersPerRetry {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+answersPerRetry) {
			return true
		}
	}
}

// giveBack puts back a retry that was taken and not sent.
func (b *retryBudget) giveBack() { b.taken.Add(-answersPerRetry) }

// answered puts in what one answer earns.
func (b *retryBudget) answered() {
	for {
		taken := b.taken.Load()
		if taken == 0 || b.taken.CompareAndSwap(taken, taken-1) {
			return
		}
	}
}

// idle reports whether the budget is full.
func (b *retryBudget) idle(time.Time) bool { return b.taken.Load() == 0 }
