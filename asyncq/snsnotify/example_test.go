package snsnotify_test

import (
	"context"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/snsnotify"
)

func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	count := func(_ context.Context, job *asyncq.Job[string]) error {
		return job.SetResult(len(job.Payload))
	}
	worker := asyncq.NewWorker(sqs.NewFromConfig(cfg), count, func(o *asyncq.WorkerOptions) {
		o.Queues = asyncq.Queues{Normal: "analyses", DeadLetter: "analyses-dead"}
		o.Notifier = snsnotify.New(sns.NewFromConfig(cfg), "arn:aws:sns:us-east-1:123456789012:fm-results")
	})
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
