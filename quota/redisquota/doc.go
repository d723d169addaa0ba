// Package redisquota is a [quota.Store] in Redis, or in what speaks its
// protocol (Valkey, ElastiCache, MemoryDB), alone or as a cluster: processes
// that use it share their quotas.
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{
//		Addrs:                 []string{"127.0.0.1:6379"},
//		ContextTimeoutEnabled: true, // without it a hanging Redis holds calls for seconds
//		MaxRetries:            -1,   // the limiter goes on without Redis
//	})
//	store, err := redisquota.New(client)
//	…
//	limiter, err := quota.New(quotas, func(o *quota.Options) {
//		o.Store = store
//		o.LocalShare = 0.1 // of ten processes, while Redis is away
//	})
//
// You make the client, with its addresses, TLS, credentials, pool and hooks, and you
// close it. Redis 5 or newer is needed.
//
// # What is stored
//
// A quota is a hash named [Options].Prefix and, each after a slash, account,
// region and model, each escaped as a part of a URL's path: what was taken of its
// tokens ("tokens") and requests ("requests"), the share of the rate that is held
// back ("slow"), and when that was so ("at") and when a throttle came
// ("throttled"), in microseconds since 1970. Each operation is one call of a
// script, so it is atomic, and goes by the clock of Redis: if that is set back,
// the buckets do not fill until it has caught up. A hash expires when its bucket
// is full again.
package redisquota
