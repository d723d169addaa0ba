package dynamostatus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
)

// A program submits a job, and waits for a worker elsewhere to do it.
func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	status := dynamostatus.New(dynamodb.NewFromConfig(cfg), "manga-fm-request-status")
	jobs, err := asyncq.NewProducer[asyncq.Inference](sqs.NewFromConfig(cfg), func(o *asyncq.ProducerOptions) {
		o.Queues, o.Status = asyncq.Queues{Normal: "analyses"}, status
	})
	if err != nil {
		log.Fatal(err)
	}
	id, err := jobs.Submit(ctx, asyncq.Request[asyncq.Inference]{Payload: asyncq.Inference{Prompt: "Analyse the art of Berserk."}})
	if err != nil {
		log.Fatal(err)
	}
	s, err := asyncq.Wait(ctx, status, id)
	fmt.Println(s.State, err)
}
