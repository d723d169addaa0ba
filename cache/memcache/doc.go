// Package memcache is a [cache.Store] in the memory of the process.
//
//	store := memcache.New(func(o *memcache.Options) {
//		o.MaxBytes = 256 << 20
//	})
//
// It is bounded by bytes, and has shards with separate locks. It has no goroutine and
// no Close. An expired entry is a miss; it is removed when it is read, or when it is
// evicted.
//
// # Eviction
//
// S3-FIFO decides which entries are evicted. To be kept for long, an entry must be
// read again soon after it was stored, or stored again soon after it was evicted. So
// if a batch job stores a million answers that are never read again, the thousand
// answers that are read often stay.
//
// # Expiry
//
// An entry expires at a random time within the last tenth of its TTL, never
// after it (see [Options].Jitter).
package memcache
