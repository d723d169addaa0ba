package redisstatus_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/redisstatus"
)

func Example() {
	server := miniredis.NewMiniRedis() // yours is elsewhere
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()

	ctx := context.Background()
	status := redisstatus.New(client) // for the producer and the workers
	if err := status.Create(ctx, asyncq.Status{ID: "berserk-1-40", State: asyncq.Queued, CreatedAt: time.Now()}); err != nil {
		panic(err)
	}
	job, err := status.Get(ctx, "berserk-1-40")
	fmt.Println(job.State, err)
	// Output: queued <nil>
}
