// Package redisresume is a [resume.Log] in Redis, or in a server with its protocol
// (Valkey, ElastiCache, MemoryDB), as a single server or a cluster. A reader can come
// back to a process that does not run its answer.
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{
//		Addrs:                 []string{"127.0.0.1:6379"},
//		ContextTimeoutEnabled: true, // without it a hanging Redis holds calls for seconds
//	})
//	log, err := redisresume.New(client)
//	…
//	registry := resume.New(func(o *resume.Options) { o.Log = log })
//
// You make the client, with its addresses, TLS, credentials, pool and hooks, and you
// close it. Redis 5 or newer is required.
//
// # What is stored
//
// An answer is a hash, with its owner and lease, and a stream, with the messages
// as JSON in the field m: the entry N-0 is the message of the sequence N. Their
// names are [Options].Prefix, a number from 0 to 15 in braces, and the escaped id;
// the stream's ends with " log". Each operation is one call of a script, so it is
// atomic, and goes by the clock of Redis. Both keys expire after
// [resume.Options].Keep; those of a process that died, after its lease and Keep.
//
// The text of answers is in Redis for that time, unencrypted. Set a bound for Redis
// (maxmemory) and the policy volatile-ttl or noeviction. If Redis evicts an answer,
// its readers get resume.ErrUnknown. If there is no room for a message, the answer
// ends with an error.
//
// A reader that leaves still counts as a reader until the wait of its last Read is
// over, up to 15 seconds. So an answer may go on for that much longer than its grace
// period.
//
// # What it costs
//
// Each message is one call of a script when it is written, and one for each reader.
// Readers that wait share the XREADs of their process, at most 16. So the pool of the
// client needs 16 more connections.
package redisresume
