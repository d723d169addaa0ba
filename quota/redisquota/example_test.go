package redisquota_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/quota/redisquota"
)

// Two processes share a quota: what one has taken, the other has to wait for.
func Example() {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()

	const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	for _, process := range []string{"first", "second"} {
		shared := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
		defer shared.Close()
		store, err := redisquota.New(shared)
		if err != nil {
			log.Fatal(err)
		}
		limiter, err := quota.New([]quota.Quota{{Model: model, RequestsPerMinute: 1}}, func(o *quota.Options) {
			o.Store = store
			o.MaxWait = -1 // an example does not wait
		})
		if err != nil {
			log.Fatal(err)
		}
		client := bedrockx.New(fake.Client(), func(o *bedrockx.Options) { o.Limiter = limiter })
		_, err = bedrockx.Invoke(context.Background(), client, model, anthropic.Request{
			MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Hello")},
		})
		fmt.Println(process, errors.Is(err, bedrockx.ErrLimited))
	}
	// Output:
	// first false
	// second true
}
