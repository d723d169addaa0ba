package rediscache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/cache/rediscache"
)

// Memory in front of Redis. When Redis fails, what memory has is still found,
// and all else is a miss.
func Example() {
	server, err := miniredis.Run() // in place of a Redis of yours
	if err != nil {
		fmt.Println(err)
		return
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	defer client.Close()
	remote, err := rediscache.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	shared := cache.FailOpen(remote)
	store := cache.Tiered(memcache.New(), shared)

	ctx := context.Background()
	key := cache.Key{Namespace: "shop/prod", Tenant: "t1"}
	fmt.Println(store.Set(ctx, key, []byte("an answer"), time.Hour))

	server.Close()
	e, err := store.Get(ctx, key)
	fmt.Printf("%s %v\n", e.Value, err)
	_, err = shared.Get(ctx, key)
	fmt.Println(err)
	// Output:
	// <nil>
	// an answer <nil>
	// cache: not found
}
