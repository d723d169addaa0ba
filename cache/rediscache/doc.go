// Package rediscache is a [cache.Store] in Redis, or in what speaks its protocol
// (Valkey, ElastiCache, MemoryDB), alone or as a cluster.
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{
//		Addrs:                 []string{"127.0.0.1:6379"},
//		ContextTimeoutEnabled: true, // without it a hanging Redis holds requests for seconds
//		MaxRetries:            -1,   // a miss is cheaper than a second try
//	})
//	store, err := rediscache.New(client)
//	…
//	shared := cache.FailOpen(store)
//
// You make the client, with its addresses, TLS, credentials, pool and hooks, and you
// close it.
//
// # Failures
//
// Every operation is one command and ends within [Options].Timeout. The store
// returns what goes wrong; [cache.FailOpen] makes a miss of it and has the
// circuit breaker.
//
// # What is stored
//
// An entry is a Redis string named [Options].Prefix, a slash and
// [cache.Key.String], so an operator finds all of one tenant by SCAN with a pattern. Its content is
//
//	"bkc1"                              4 bytes, the version of this form
//	expiry                              8 bytes, milliseconds since 1970, big endian
//	checksum                            16 bytes of a SHA-256
//	value
//
// The checksum is over the name, the expiry and the value. So whatever else is
// found under the name, such as a value that was cut, was written by another
// program, or is the answer to another command, is [cache.ErrCorrupt] and never
// an answer. It does not protect against those who can write to Redis; that is
// [cache.Encrypted].
package rediscache
