package memcache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
)

func Example() {
	store := memcache.New(func(o *memcache.Options) {
		o.MaxBytes = 16 << 20
	})
	ctx := context.Background()
	key := cache.Key{Namespace: "shop/prod", Tenant: "t1"}

	_, err := store.Get(ctx, key)
	fmt.Println(err)

	if err := store.Set(ctx, key, []byte("an answer"), time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	entry, err := store.Get(ctx, key)
	fmt.Println(string(entry.Value), err)

	stats := store.Stats()
	fmt.Println(stats.Hits, "hit,", stats.Misses, "miss")
	// Output:
	// cache: not found
	// an answer <nil>
	// 1 hit, 1 miss
}
