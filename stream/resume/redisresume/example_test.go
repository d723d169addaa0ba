package redisresume_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/redisresume"
)

// An answer runs in one process and is read in another.
func Example() {
	srv := miniredis.NewMiniRedis() // yours is elsewhere
	if err := srv.Start(); err != nil {
		panic(err)
	}
	defer srv.Close()
	process := func() (*resume.Registry, func()) {
		client := redis.NewClient(&redis.Options{Addr: srv.Addr(), ContextTimeoutEnabled: true})
		log, err := redisresume.New(client)
		if err != nil {
			panic(err)
		}
		registry := resume.New(func(o *resume.Options) { o.Log = log })
		return registry, func() {
			_ = registry.Close(context.Background())
			_ = client.Close()
		}
	}
	ctx := context.Background()
	here, closeHere := process()
	there, closeThere := process()
	defer closeThere()
	defer closeHere()

	id := resume.NewID()
	if err := here.Start(ctx, id, words{n: 3}.open); err != nil { // words counts; a stream asks a model
		panic(err)
	}
	var text string
	for m, err := range there.Read(ctx, id, 0) {
		if err != nil {
			panic(err)
		}
		text += m.Data
		if m.Last() {
			fmt.Println(text + m.Type)
		}
	}
	// Output: 0 1 2 complete
}
