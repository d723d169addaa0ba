// Command jobs is the Lambda function behind the queues: it does the jobs, with
// partial batch responses, and makes jobs of the batches that the REST API puts into
// the queue of requests.
package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mangaassist/bedrockkit/asyncq/awslambda"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	settings := app.FromEnv(os.Getenv)
	settings.Jobs.Role = "worker"
	server, err := app.Build(context.Background(), settings, log)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	service := server.Jobs()
	backend := service.Backend()
	w := &worker{service: service, log: log, do: awslambda.New(backend.SQS, service.Handle, func(o *awslambda.Options) {
		o.JobOptions, o.DeadLetter = service.JobOptions(), backend.Queues.DeadLetter
	})}
	lambda.Start(w.handle)
}

type worker struct {
	service *jobs.Service
	do      awslambda.Handler
	log     *slog.Logger
}

// handle does the jobs of an event and submits its batches. What has failed is in the
// response, and comes again.
func (w *worker) handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	var response events.SQSEventResponse
	var work events.SQSEvent
	for _, record := range event.Records {
		if !strings.HasSuffix(record.EventSourceARN, requests) {
			work.Records = append(work.Records, record)
			continue
		}
		if err := w.service.SubmitForwarded(ctx, record.Body); err != nil {
			w.log.Error("a batch could not be submitted", "message_id", record.MessageId, "error", err)
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	if len(work.Records) == 0 {
		return response, nil
	}
	done, err := w.do(ctx, work)
	response.BatchItemFailures = append(response.BatchItemFailures, done.BatchItemFailures...)
	return response, err
}

// requests is the end of the name of the queue that has the batches. A message that
// is none stays in it until the redrive policy takes it away.
const requests = "requests"
