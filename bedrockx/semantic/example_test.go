package semantic_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/semantic"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
)

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("From ten to eight."), bedrocktest.Text("Yes, to forty countries."))

	// semantic.Titan(client, "amazon.titan-embed-text-v2:0") asks a model; this
	// embedder stands in for it.
	embed := func(_ context.Context, text string) ([]float32, error) {
		if strings.Contains(text, "open") {
			return []float32{1, 0}, nil
		}
		return []float32{0, 1}, nil
	}
	client := bedrockx.New(fake.Client(), func(o *bedrockx.Options) {
		o.Cache = bedrockx.NewCache(memcache.New())
		o.CachePolicy.Similar = semantic.New(embed)
	})
	chat := converse.New(client, func(o *converse.Options) {
		o.Model, o.Temperature = "us.anthropic.claude-haiku-4-5-20251001-v1:0", new(float64)
	})
	for _, question := range []string{"When do you open?", "What are your opening hours?", "Do you ship abroad?"} {
		response, err := chat.Send(context.Background(), converse.Request{Messages: []converse.Message{converse.User(question)}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.Text(), response.CacheHit)
	}
	// Output:
	// From ten to eight. false
	// From ten to eight. true
	// Yes, to forty countries. false
}
