package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// queuesForExample has two queues, the second for dead letters.
func queuesForExample() (*memqueue.Service, asyncq.Queues) {
	queues := memqueue.New()
	names := asyncq.Queues{Normal: "analyses", DeadLetter: "analyses-dead"}
	for _, name := range []string{names.Normal, names.DeadLetter} {
		if _, err := queues.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(name)}); err != nil {
			log.Fatal(err)
		}
	}
	return queues, names
}

func Example() {
	bedrock, err := bedrocktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer bedrock.Close()
	bedrock.Reply(bedrocktest.Text("Dense hatching, and space that is used like a camera."))
	chat := converse.New(bedrockx.New(bedrock.Client()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	queues, names := queuesForExample() // sqs.NewFromConfig(cfg)
	status, results := asyncq.NewMemoryStatus(), asyncq.NewMemoryBlobs()

	jobs, err := asyncq.NewProducer[asyncq.Inference](queues, func(o *asyncq.ProducerOptions) {
		o.Queues, o.Status = names, status
	})
	if err != nil {
		log.Fatal(err)
	}
	worker := asyncq.NewWorker(queues, asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Results = names, status, results
	})
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- worker.Run(ctx) }()

	id, err := jobs.Submit(ctx, asyncq.Request[asyncq.Inference]{
		Payload: asyncq.Inference{Prompt: "Analyse the art of Berserk.", MaxTokens: 200},
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := asyncq.Wait(ctx, status, id)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := asyncq.Result[asyncq.InferenceResult](ctx, results, s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.State, answer.Text)

	stop()
	fmt.Println(<-stopped)
	// Output:
	// completed Dense hatching, and space that is used like a camera.
	// <nil>
}

// A job that fails goes to the dead-letter queue, from where it can be sent back.
func ExampleDeadLetters() {
	queues, names := queuesForExample()
	status := asyncq.NewMemoryStatus()
	printerIsOn := false
	handler := func(_ context.Context, job *asyncq.Job[string]) error {
		if !printerIsOn {
			return asyncq.JobDead(errors.New("there is no printer"))
		}
		fmt.Println("printing", job.Payload)
		return nil
	}
	ctx := context.Background()
	work := func(until asyncq.State) {
		worker := asyncq.NewWorker(queues, handler, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Logger = names, status, quiet()
		})
		ctx, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		go func() {
			defer stop()
			s, err := asyncq.Wait(ctx, status, "page-1")
			if err == nil && s.State != until {
				fmt.Fprintln(os.Stderr, "the job is", s.State)
			}
		}()
		if err := worker.Run(ctx); err != nil {
			log.Fatal(err)
		}
	}

	jobs, err := asyncq.NewProducer[string](queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = names, status })
	if err != nil {
		log.Fatal(err)
	}
	if _, err := jobs.Submit(ctx, asyncq.Request[string]{ID: "page-1", Payload: "the cover"}); err != nil {
		log.Fatal(err)
	}
	work(asyncq.Failed)

	letters := asyncq.NewDeadLetters(queues, names, status)
	for letter, err := range letters.List(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(letter.ID, "from", letter.Queue)
	}
	printerIsOn = true
	if _, err := letters.Redrive(ctx); err != nil {
		log.Fatal(err)
	}
	work(asyncq.Completed)
	// Output:
	// page-1 from analyses
	// printing the cover
}
