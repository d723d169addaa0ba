// Package cache is for answers that are kept and given again: a store, the key
// of a request, and the rule that of many equal requests at once only one is
// sent. It knows nothing of calls and streams; what may be kept, and for how
// long, is decided by its user, which is bedrockx.Cache for the calls of this
// module. Use the package by itself for stores, or for what is no call.
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
// The prompt cache of Bedrock itself is another thing, which requests ask for
// with converse.CachePoint.
//
// # Stores
//
// A [Store] says what goes wrong, and [FailOpen] treats that as a miss. They
// are apart so that each does one thing: a conformance suite can tell a sick
// store from an empty one, a tool that deletes can tell done from not done, and
// one circuit breaker serves every store. Stores are put together from:
//
//   - memcache, in the process's memory
//   - rediscache, in Redis
//   - [Tiered], one in front of another
//   - [Encrypted], over any
//   - [FailOpen], over one that is across a network
//
// Encrypted(Tiered(…)) keeps the values encrypted in memory too;
// Tiered(memory, FailOpen(Encrypted(redis))) decrypts only what comes from
// Redis. FailOpen goes around Encrypted, so that an entry under an unknown key
// is a miss. Package cachetest checks a store of your own.
//
// # Keys
//
// Two requests share a key only if they are the same. The sum of a key is the
// SHA-256, or with a secret the HMAC-SHA-256, all 256 bits of it, of this
// pre-image, where text is a length as 8 bytes, big endian, and so many bytes:
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
// where a length is 4 bytes, big endian. White space, the order of members and
// the way in which a character is escaped do not matter. All else does: 1 and
// 1.0 are different, since models may read them so. An escaped surrogate that
// is not one of a pair is written as the three bytes that UTF-8 would have for
// it. No pre-image is the beginning of another, and each can be read back in
// one way only.
//
// Members that Request.Ignore names are left out, as if the body had none.
//
// A body that has no one meaning has no key: one with a name twice in an
// object, with bytes that are not UTF-8, nested deeper than 128, larger than
// 25,000,000 bytes, or not JSON at all. The vectors in testdata/keys.json are
// for whoever makes the same keys in another language.
//
// # Single flight
//
// A [Group] makes one call of many equal ones that run at the same time. The
// call belongs to all of them: it goes on when the one who came first is
// cancelled, and ends when nobody is left.
package cache
