// Package memcache is a [cache.Store] in the memory of the process.
//
//	store := memcache.New(func(o *memcache.Options) {
//		o.MaxBytes = 256 << 20
//	})
//
// It is bounded by bytes, in shards that are locked apart. It has no goroutine
// and needs no closing: an entry whose time has passed is a miss, and leaves
// when it is asked for or when its turn comes.
//
// # Eviction
//
// What leaves first is decided by S3-FIFO: an entry must be asked for again
// soon after it came, or come again soon after it left, to be kept for long. So
// a batch job that stores a million answers which nobody asks for twice does
// not drive out the thousand that everybody asks for.
//
// # Expiry
//
// An entry expires at a random time within the last tenth of its TTL, never
// after it (see [Options].Jitter).
package memcache
