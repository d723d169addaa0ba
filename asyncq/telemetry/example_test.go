package telemetry_test

import (
	"context"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/telemetry"
	"github.com/mangaassist/bedrockkit/bedrockx"
	bedrocktelemetry "github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/converse"
)

// A worker whose jobs, and the calls that they make, belong to the trace of the
// request that asked for them.
func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	chat := converse.New(bedrockx.NewFromConfig(cfg, bedrocktelemetry.Option()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	worker := asyncq.NewWorker(sqs.NewFromConfig(cfg), asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
		o.Queues = asyncq.Queues{Normal: "analyses", DeadLetter: "analyses-dead"}
	}, telemetry.Worker())
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
