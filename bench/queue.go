package main

import (
	"context"
	"encoding/json"
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
	sdkByHand = "AWS SDK, loops by hand"
	jobsAlone = "limit: the jobs without a queue"

	workers  = 16
	jobBytes = 700 // of payload: a message is about 1 KiB
	groups   = 64  // of an ordered queue
)

// A consumer does n jobs that take so long each, with 16 workers, and
// returns how long that took. All acknowledgements are sent when it returns.
type consumer struct {
	name string
	run  func(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error)
}

// watermill-aws is not among them: its module could not be had from the module
// proxy when this was written.
var consumers = []consumer{{goCloud, consumeGoCloud}, {ourWorker, consumeOurs}}

// ordered are those that do the jobs of a group in their order. gocloud.dev is not
// among them: it hands the messages of a group to all who receive.
var ordered = []consumer{{sdkByHand, consumeByHand}, {ourWorker, consumeOurs}}

// counter ends a context with the last of n jobs.
type counter struct {
	left  atomic.Int64
	began time.Time
	took  time.Duration
	stop  context.CancelFunc
	last  [groups]atomic.Int64 // of each group, the job that was done last
}

// payload is that of a job: its group and its number in it, and some text.
func payload(group, number int) string {
	text := fmt.Sprintf("%d %d ", group, number)
	return text + strings.Repeat("manga ", (jobBytes-len(text))/6)
}

// inOrder checks a job of an ordered queue.
func (c *counter) inOrder(payload string) error {
	var group, number int
	if _, err := fmt.Sscan(payload[:min(len(payload), 16)], &group, &number); err != nil {
		return err
	}
	if before := c.last[group].Swap(int64(number)); before != int64(number)-1 {
		return fmt.Errorf("in group %d, job %d came after job %d", group, number, before)
	}
	return nil
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

// consumeByHand receives up to ten messages at a time, does them one after another
// and deletes them together. What one request brings of a group is in order, and
// until it is deleted nobody else gets more of that group.
func consumeByHand(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error) {
	count, receiving := newCounter(ctx, n)
	defer count.stop()
	var wg sync.WaitGroup
	failed := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for {
				err := receiveByHand(ctx, receiving, client, url, count, takes)
				if receiving.Err() != nil {
					return
				}
				if err != nil {
					failed <- err
					count.stop()
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return count.took, errors.Join(<-failed, ctx.Err())
}

func receiveByHand(ctx, receiving context.Context, client *sqs.Client, url string, count *counter, takes time.Duration) error {
	out, err := client.ReceiveMessage(receiving, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
	if err != nil || len(out.Messages) == 0 {
		return err
	}
	var done []types.DeleteMessageBatchRequestEntry
	for _, m := range out.Messages {
		var job struct {
			Payload string `json:"payload"`
		}
		if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &job); err != nil {
			return err
		}
		if err := errors.Join(count.inOrder(job.Payload), count.job(ctx, takes)); err != nil {
			return err
		}
		done = append(done, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
	}
	deleted, err := client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: done})
	if err != nil {
		return err
	}
	if len(deleted.Failed) > 0 {
		return fmt.Errorf("%d messages were not deleted", len(deleted.Failed))
	}
	for range done {
		count.done()
	}
	return nil
}

func consumeOurs(ctx context.Context, client *sqs.Client, url string, n int, takes time.Duration) (time.Duration, error) {
	count, running := newCounter(ctx, n)
	defer count.stop()
	ordered := strings.HasSuffix(url, ".fifo")
	worker := asyncq.NewWorker(client, func(ctx context.Context, job *asyncq.Job[string]) error {
		if ordered {
			if err := count.inOrder(job.Payload); err != nil {
				return err
			}
		}
		if err := count.job(ctx, takes); err != nil {
			return err
		}
		count.done()
		return nil
	}, func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Concurrency = queues(url), asyncq.NewMemoryStatus(), workers
	})
	err := worker.Run(running)
	return count.took, errors.Join(err, ctx.Err())
}

func queues(url string) asyncq.Queues {
	if strings.HasSuffix(url, ".fifo") {
		return asyncq.Queues{Ordered: url}
	}
	return asyncq.Queues{Normal: url}
}

// fifo is a race over ordered queues.
func (c *course) fifo() (*race, error) {
	return c.consumed(fmt.Sprintf("Jobs of 5 ms from a FIFO queue with %d groups, by 16 workers, over HTTP/1.1", groups), ordered, ".fifo", 200*c.work, 5*time.Millisecond)
}

// queue is a race over standard queues.
func (c *course) queue(title string, jobs int, takes time.Duration) (*race, error) {
	return c.consumed(title, consumers, "", jobs, takes)
}

// consumed has each consumer do the same jobs on a queue of its own. The first
// consumer is the baseline.
func (c *course) consumed(title string, consumers []consumer, suffix string, jobs int, takes time.Duration) (*race, error) {
	var calls atomic.Int64
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	defer transport.CloseIdleConnections()
	client := sqs.NewFromConfig(config(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		calls.Add(1)
		return transport.RoundTrip(shielded(req))
	})}), func(o *sqs.Options) { o.BaseEndpoint = aws.String(c.sqs) })

	r := &race{Title: title, Per: "job", Baseline: consumers[0].name}
	var samples []result
	for round := range max(1, c.rounds/4) + 1 {
		for k := range consumers {
			one := consumers[(k+round)%len(consumers)]
			if !c.only.MatchString(one.name) {
				continue
			}
			row, err := c.consume(client, one, jobs, takes, &calls, fmt.Sprintf("bench-%d-%d-%d", time.Now().UnixNano(), round, k)+suffix)
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
	attributes := map[string]string{"VisibilityTimeout": "60"}
	ordered := strings.HasSuffix(name, ".fifo")
	if ordered {
		attributes["FifoQueue"] = "true"
	}
	created, err := client.CreateQueue(c.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		return result{}, err
	}
	url := aws.ToString(created.QueueUrl)
	producer, err := asyncq.NewProducer[string](client, func(o *asyncq.ProducerOptions) {
		o.Queues, o.Status = queues(url), asyncq.NewMemoryStatus()
	})
	if err != nil {
		return result{}, err
	}
	for left := jobs; left > 0; left -= 200 {
		requests := make([]asyncq.Request[string], min(left, 200))
		for i := range requests {
			job := jobs - left + i
			requests[i].Payload = payload(job%groups, job/groups+1)
			if ordered {
				requests[i].Group = fmt.Sprint(job % groups)
			}
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
