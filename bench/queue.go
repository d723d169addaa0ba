package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"gocloud.dev/pubsub/awssnssqs"

	"github.com/mangaassist/bedrockkit/asyncq"
)

const (
	goCloud   = "gocloud.dev/pubsub"
	ourWorker = "bedrockkit asyncq"
	jobsAlone = "limit: the jobs without a queue"

	workers  = 16
	jobBytes = 700 // of payload: a message is about 1 KiB
)

// A consumer does n jobs, each of which takes so long, with 16 workers, and
// returns how long that took. All acknowledgements are sent when it returns.
type consumer struct {
	name string
	run  func(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error)
}

// watermill-aws is not among them: its module could not be had from the module
// proxy when this was written.
var consumers = []consumer{{goCloud, consumeGoCloud}, {ourWorker, consumeOurs}}

// counter ends a context with the last of n jobs.
type counter struct {
	left  atomic.Int64
	began time.Time
	took  time.Duration
	stop  context.CancelFunc
}

func newCounter(ctx context.Context, n int) (*counter, context.Context) {
	ctx, stop := context.WithCancel(ctx)
	c := &counter{began: time.Now(), stop: stop}
	c.left.Store(int64(n))
	return c, ctx
}

// job is one job: it waits, as a job does for its model.
func (c *counter) job(ctx context.Context, takes time.Duration) error {
	if takes > 0 {
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (c *counter) done() {
	if c.left.Add(-1) == 0 {
		c.took = time.Since(c.began)
		c.stop()
	}
}

func consumeGoCloud(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error) {
	count, receiving := newCounter(ctx, n)
	defer count.stop()
	sub := awssnssqs.OpenSubscription(ctx, client, url, &awssnssqs.SubscriptionOptions{Raw: true, WaitTime: 20 * time.Second})
	var wg sync.WaitGroup
	failed := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for {
				m, err := sub.Receive(receiving)
				if receiving.Err() != nil {
					return
				}
				if err == nil {
					err = count.job(ctx, takes)
				}
				if err != nil {
					failed <- err
					count.stop()
					return
				}
				m.Ack()
				count.done()
			}
		})
	}
	wg.Wait()
	close(failed)
	return count.took, errors.Join(<-failed, sub.Shutdown(ctx), ctx.Err())
}

func consumeOurs(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error) {
	count, running := newCounter(ctx, n)
	defer count.stop()
	worker := asyncq.NewWorker(client, func(ctx context.Context, _ *asyncq.Job[string]) error {
		if err := count.job(ctx, takes); err != nil {
			return err
		}
		count.done()
		return nil
	}, func(o *asyncq.WorkerOptions) { o.Queues, o.Concurrency = asyncq.Queues{Normal: url}, workers })
	err := worker.Run(running)
	return count.took, errors.Join(err, ctx.Err())
}

// queue has each consumer do the same jobs on a queue of its own.
func (c *course) queue(title string, jobs int, takes time.Duration) (*race, error) {
	var calls atomic.Int64
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	defer transport.CloseIdleConnections()
	client := sqs.NewFromConfig(config(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		calls.Add(1)
		return transport.RoundTrip(shielded(req))
	})}), func(o *sqs.Options) { o.BaseEndpoint = aws.String(c.sqs) })

	r := &race{Title: title, Per: "job", Baseline: goCloud}
	var samples []result
	for round := range max(1, c.rounds/4) + 1 {
		for k := range consumers {
			one := consumers[(k+round)%len(consumers)]
			if !c.only.MatchString(one.name) {
				continue
			}
			row, err := c.consume(client, one, jobs, takes, &calls, fmt.Sprintf("bench-%d-%d-%d", time.Now().UnixNano(), round, k))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", one.name, err)
			}
			if round > 0 { // the first is to warm up
				samples = append(samples, row)
			}
		}
	}
	if takes > 0 && c.only.MatchString(jobsAlone) {
		row, err := c.jobsAlone(jobs, takes)
		if err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, row)
	}
	for _, one := range consumers {
		if c.only.MatchString(one.name) {
			r.Rows = append(r.Rows, medianOf(one.name, samples))
		}
	}
	r.divide()
	return r, nil
}

// jobsAlone is what the machine lets 16 goroutines do.
func (c *course) jobsAlone(jobs int, takes time.Duration) (result, error) {
	count, ctx := newCounter(c.ctx, jobs)
	defer count.stop()
	row, err := measured(jobs, func() error {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for count.job(ctx, takes) == nil {
					count.done()
				}
			})
		}
		wg.Wait()
		return c.ctx.Err()
	})
	row.Name, row.Rate = jobsAlone, float64(jobs)/count.took.Seconds()
	return row, err
}

// consume fills a queue, has it emptied and looks whether it is.
func (c *course) consume(client *sqs.Client, one consumer, jobs int, takes time.Duration, calls *atomic.Int64, name string) (result, error) {
	created, err := client.CreateQueue(c.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "60"}})
	if err != nil {
		return result{}, err
	}
	url := aws.ToString(created.QueueUrl)
	producer := asyncq.NewProducer[string](client, func(o *asyncq.ProducerOptions) { o.Queues = asyncq.Queues{Normal: url} })
	payload := strings.Repeat("manga ", jobBytes/6)
	for left := jobs; left > 0; left -= 200 {
		requests := make([]asyncq.Request[string], min(left, 200))
		for i := range requests {
			requests[i].Payload = payload
		}
		for _, sent := range producer.SubmitBatch(c.ctx, requests) {
			if sent.Err != nil {
				return result{}, sent.Err
			}
		}
	}

	before := calls.Load()
	var took time.Duration
	row, err := measured(jobs, func() (err error) {
		took, err = one.run(c.ctx, client, url, jobs, takes)
		return err
	})
	if err != nil {
		return result{}, err
	}
	row.Name = one.name
	row.Rate = float64(jobs) / took.Seconds()
	row.Calls = float64(calls.Load()-before) / float64(jobs)

	const visible, inFlight = types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	out, err := client.GetQueueAttributes(c.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{visible, inFlight}})
	if err != nil {
		return result{}, err
	}
	if out.Attributes[string(visible)] != "0" || out.Attributes[string(inFlight)] != "0" {
		return result{}, fmt.Errorf("%s messages are left in the queue and %s in flight", out.Attributes[string(visible)], out.Attributes[string(inFlight)])
	}
	_, err = client.DeleteQueue(c.ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	return row, err
}
