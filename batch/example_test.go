package batch_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
)

func Example() {
	store, err := fakes3.Memory("manga-batch")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { o.Responder, o.Batch.Store = bedrocktest.Echo, store })
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	client := batch.New(bedrock.NewFromConfig(srv.Config()), store.Client()) // s3.NewFromConfig(cfg)
	results, err := batch.Run(ctx, client, batch.Job{
		Name:  "titles-2026-11-29",
		Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
		Role:  "arn:aws:iam::123456789012:role/batch",
		Input: "s3://manga-batch/jobs",
	}, func(yield func(batch.Record[anthropic.Request], error) bool) {
		for i := range 100 {
			request := anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(fmt.Sprintf("Translate title %d.", i))}}
			if !yield(batch.Record[anthropic.Request]{ID: fmt.Sprintf("title-%d", i), Input: request}, nil) {
				return
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	for result, err := range results.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if result.ID == "title-7" {
			fmt.Println(result.Output.Text(), result.Err)
		}
	}
	fmt.Println(results.Stats().Succeeded)
	// Output:
	// You said: Translate title 7. <nil>
	// 100
}

func ExampleWrite() {
	job := batch.Job{Model: "us.amazon.nova-lite-v1:0"}
	written, err := batch.Write(os.Stdout, job, func(yield func(batch.Record[batch.Converse], error) bool) {
		yield(batch.Record[batch.Converse]{ID: "a", Input: batch.Converse{
			MaxTokens: 50,
			Messages:  []converse.Message{converse.User("Who wrote Berserk?")},
		}}, nil)
	})
	fmt.Println(written.Records, err)
	// Output:
	// {"recordId":"a","modelInput":{"messages":[{"role":"user","content":[{"text":"Who wrote Berserk?"}]}],"inferenceConfig":{"maxTokens":50}}}
	// 1 <nil>
}

func ExampleRead() {
	file := strings.NewReader(`{"recordId":"a","modelInput":{},"modelOutput":{"type":"message","role":"assistant","content":[{"type":"text","text":"Kentaro Miura"}],"stop_reason":"end_turn"}}
{"recordId":"b","modelInput":{},"error":{"errorCode":429,"errorMessage":"Too many requests"}}
`)
	for result, err := range batch.Read[anthropic.Request](file) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.ID, result.Output.Text(), result.Err)
	}
	// Output:
	// a Kentaro Miura <nil>
	// b  record "b": the service answered 429: Too many requests
}

func ExampleProgress_Bar() {
	fmt.Println(batch.Progress{Records: 1000, Processed: 250, Failed: 3}.Bar(20))
	// Output: [#####...............] 250/1000 records, 3 failed
}
