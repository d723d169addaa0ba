// Package cache has the parts of a cache for answers: stores, the keys of requests,
// and a Group that sends only one of many equal requests at the same time. It does not
// know calls or streams. Its user decides what may be kept and for how long; for the
// calls of this module, that is bedrockx.Cache. Use the package directly to make a
// store, or to cache something else.
//
//	memory := memcache.New()
//	redis, err := rediscache.New(client)
//	…
//	store := cache.Tiered(memory, cache.FailOpen(redis))
//	keyer := cache.NewKeyer(secret)
//
//	key, err := keyer.Key(cache.Request{
//		Namespace: "shop/prod", Tenant: tenant, Class: cache.ClassConverse,
//		Account: account, Region: region, Model: model, Body: body,
//	})
//	…
//	if entry, err := store.Get(ctx, key); err == nil {
//		return entry.Value, nil
//	}
//	value, _, err := group.Do(ctx, key, func(ctx context.Context) ([]byte, error) {
//		value, err := ask(ctx)
//		if err == nil {
//			err = store.Set(ctx, key, value, time.Hour)
//		}
//		return value, err
//	})
//
// The prompt cache of Bedrock is something else: requests use it with
// converse.CachePoint.
//
// # Stores
//
// A [Store] returns errors, and [FailOpen] treats them as misses. The two are
// separate, so that each does one thing: a conformance suite can tell a failing store
// from an empty one, a tool that deletes knows whether it was done, and every store
// can use the same circuit breaker. Stores are combined from:
//
//   - memcache, in the process's memory
//   - rediscache, in Redis
//   - [Tiered], one in front of another
//   - [Encrypted], over any
//   - [FailOpen], over one that is across a network
//
// Encrypted(Tiered(…)) keeps the values encrypted in memory too. Tiered(memory,
// FailOpen(Encrypted(redis))) decrypts only what comes from Redis. Wrap Encrypted in
// FailOpen, not the reverse: an entry encrypted with an unknown key then counts as a
// miss. Package cachetest tests your own store.
//
// # Keys
//
// Two requests share a key only if they are the same. The sum of a key is the SHA-256
// of the following pre-image or, with a secret, its HMAC-SHA-256, with all 256 bits.
// "text" is a length as 8 bytes, big endian, followed by so many bytes:
//
//	"bedrockkit/cache/key/1"            the version of this form
//	text namespace
//	text tenant
//	text class                          "converse", "invoke-model"
//	text account
//	text region
//	text model
//	8 bytes                             the number of params, big endian
//	text name, text value               of each param, in the order of their bytes
//	body
//
// The body is JSON. Each value is written as
//
//	n, t, f                             null, true, false
//	# length digits                     a number as it was written
//	" length bytes                      a string as UTF-8, escapes resolved
//	[ value … ]                         an array
//	{ string value … }                  an object, in the order of the bytes of the names
//
// A length is 4 bytes, big endian. White space, the order of members and how a
// character is escaped do not matter. Everything else does: 1 and 1.0 are different,
// because a model may treat them differently. An escaped surrogate without its pair is
// written as the three bytes that UTF-8 would have for it. No pre-image is a prefix of
// another, and each can be decoded in only one way.
//
// Members that Request.Ignore names are left out, as if the body did not have them.
//
// An ambiguous body has no key: if an object has a name twice, if it has bytes that
// are not UTF-8, is nested deeper than 128, is larger than 25,000,000 bytes, or is not
// JSON. To make the same keys in another language, use the test vectors in
// testdata/keys.json.
//
// # Single flight
//
// If many equal calls run at the same time, a [Group] runs only one. It belongs to all
// callers: it goes on if the first caller is canceled, and ends when no caller is
// left.
package cache
