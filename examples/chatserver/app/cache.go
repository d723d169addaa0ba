package app

import (
	"context"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/cache/rediscache"
)

// cacheTTL is how long an answer is given again.
const cacheTTL = time.Hour

// cache keeps the answers of the models, so that one that was given is not paid for
// again. Its key has all that an answer comes from: the model, the prompt, the
// conversation, the tools and what they returned. So an answer about the stock is
// kept as long as the stock stays as it is, and callers can share the cache.
func (b *builder) cache(context.Context) (func(*bedrockx.Options), error) {
	if b.Cache == "off" {
		b.say("cache", "off")
		return func(*bedrockx.Options) {}, nil
	}
	var store cache.Store = memcache.New()
	where := "memory"
	if b.Cache != "memory" {
		client, name, err := b.redis(b.Cache)
		if err != nil {
			return nil, fmt.Errorf("-cache is memory, off or the URL of a Redis: %w", err)
		}
		remote, err := rediscache.New(client)
		if err != nil {
			return nil, err
		}
		// A Redis that fails is an empty cache.
		store = cache.Tiered(store, cache.FailOpen(remote, func(o *cache.FailOpenOptions) { o.OnError = b.warn("the cache fails") }))
		where = "memory, then " + name
	}
	kept := bedrockx.NewCache(store, func(o *bedrockx.CacheOptions) {
		o.Namespace, o.TTL, o.OnError = "mangaassist", cacheTTL, b.warn("the cache fails")
	})
	b.closers = append(b.closers, func() { kept.Close() })
	b.sources.Cache = kept.Stats
	b.say("cache", "%s, for %v minutes", where, cacheTTL.Minutes())
	return func(o *bedrockx.Options) {
		o.Cache = kept
		// A question that is asked again gets the same answer, its look-ups too.
		o.CachePolicy.AnyTemperature, o.CachePolicy.ToolUse = true, true
	}, nil
}
