package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// What a handler steers with holds also where its reason is that the model
// throttles.
func TestControlErrorsOfAThrottle(t *testing.T) {
	slow := errTooMany{}
	for name, c := range map[string]struct {
		err   error
		state asyncq.State
	}{
		"cancel": {asyncq.JobCancel(slow), asyncq.Canceled},
		"dead":   {asyncq.JobDead(slow), asyncq.Failed},
		"retry":  {asyncq.JobRetry(time.Hour, slow), asyncq.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				began, runs := time.Now(), 0
				id := w.submit(asyncq.Request[string]{Payload: "x"})
				stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
					if runs++; runs > 1 {
						return nil
					}
					return c.err
				}, func(o *asyncq.WorkerOptions) {
					o.Throttled = func(err error) bool { return errors.As(err, &errTooMany{}) }
				}))
				defer stop()
				assert.Equal(t, c.state, w.wait(id).State)
				if name == "retry" {
					assert.GreaterOrEqual(t, time.Since(began), time.Hour)
				} else {
					assert.Equal(t, 1, runs)
				}
				assert.Zero(t, w.events.count(asyncq.EventThrottled))
			})
		})
	}
}

type errTooMany struct{}

func (errTooMany) Error() string { return "too many" }

// Times and counts that make no sense are the defaults.
func TestNegativeOptions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Retention, o.SendTimeout = -time.Hour, -time.Second })
		id, err := p.Submit(t.Context(), asyncq.Request[string]{Payload: "x"})
		require.NoError(t, err)
		stop := w.start(w.worker(upper, func(o *asyncq.WorkerOptions) {
			o.MaxAttempts, o.Retention, o.BaseDelay, o.MaxDelay, o.MaxHold, o.Visibility = -1, -time.Hour, -1, -1, -1, -1
			o.Linger, o.Concurrency = -1, -1
		}))
		defer stop()
		s, err := asyncq.Wait(t.Context(), w.status, id, func(o *asyncq.WaitOptions) { o.BaseDelay, o.MaxDelay = -time.Second, -time.Second })
		require.NoError(t, err)
		assert.Equal(t, asyncq.Completed, s.State)
	})
}

// A message is within the bound of its queue with its attributes, and so is the
// dead letter that becomes of it.
func TestMessagesAtTheBound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const bound = 256 << 10 // of queues that were made before 2025
		for _, name := range []string{testQueues.Normal, testQueues.DeadLetter} {
			url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
			require.NoError(t, err)
			_, err = w.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url.QueueUrl, Attributes: map[string]string{"MaximumMessageSize": "262144"}})
			require.NoError(t, err)
		}
		payloads := asyncq.NewMemoryBlobs()
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Payloads = payloads })
		var ids []string
		for less := 0; less < 3000; less += 40 {
			id, err := p.Submit(t.Context(), asyncq.Request[string]{ID: fmt.Sprintf("%s%d", strings.Repeat("x", 120), less), Payload: strings.Repeat("y", bound-less)})
			require.NoError(t, err, less)
			ids = append(ids, id)
		}
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error { return asyncq.JobDead(longClass{}) },
			func(o *asyncq.WorkerOptions) { o.Payloads = payloads }))
		for _, id := range ids {
			assert.LessOrEqual(t, len(w.wait(id).ErrorClass), 64)
		}
		time.Sleep(time.Minute)
		stop()
		assert.Len(t, w.deadLetters(), len(ids))
		for _, id := range ids {
			assert.True(t, w.get(id).DeadLettered)
		}
	})
}

// longClass is an error whose class is not one word.
type longClass struct{}

func (longClass) Error() string      { return "no" }
func (longClass) ErrorClass() string { return strings.Repeat("ü", 10_000) }

// JSON holds characters that SQS refuses; they are escaped.
func TestEveryCharacter(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		text := "\x00\t\x1b\u2028\ufffe\uffff\U0010ffff<&>"
		id := w.submit(asyncq.Request[string]{Payload: text, Metadata: map[string]string{"\uffff": "\ufffe"}})
		got := make(chan string, 1)
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			got <- job.Payload + job.Metadata["\uffff"]
			return nil
		}))
		defer stop()
		require.Equal(t, asyncq.Completed, w.wait(id).State)
		assert.Equal(t, text+"\ufffe", <-got)
	})
}

// Queues of the wrong kind are found when the worker starts, not when the first
// job is to be a dead letter.
func TestQueuesOfTheWrongKind(t *testing.T) {
	w := newWorld(t)
	for name, set := range map[string]func(*asyncq.Queues){
		"dead letters that are FIFO":    func(q *asyncq.Queues) { q.DeadLetter = q.Ordered },
		"an ordered queue that is none": func(q *asyncq.Queues) { q.Ordered = q.Low },
		"a priority that is FIFO":       func(q *asyncq.Queues) { q.High = q.Ordered },
	} {
		queues := testQueues
		set(&queues)
		err := w.worker(upper, func(o *asyncq.WorkerOptions) { o.Queues = queues }).Run(t.Context())
		assert.ErrorContains(t, err, "FIFO", name)
	}
}

// SQS does not answer any more, and more is to be told to it than fits into the
// worker: the drain is bounded all the same.
func TestDrainWhileSQSHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 130 {
			for _, r := range w.producer().SubmitBatch(t.Context(), make([]asyncq.Request[string], 10)) {
				require.NoError(t, r.Err)
			}
		}
		api := &silent{w.queues}
		worker := asyncq.NewWorker(api, upper, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Logger, o.Concurrency, o.Prefetch = testQueues, w.status, w.results, quiet(), 1200, 100
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- worker.Run(ctx) }()
		time.Sleep(5 * time.Minute)
		began := time.Now()
		cancel()
		require.NoError(t, <-done)
		assert.LessOrEqual(t, time.Since(began), 41*time.Second)
	})
}

// silent does not answer what is told of messages, until the caller gives up.
type silent struct{ asyncq.QueueAPI }

func (s *silent) DeleteMessageBatch(ctx context.Context, _ *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *silent) ChangeMessageVisibilityBatch(ctx context.Context, _ *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A letter that nobody knows the queue of does not hold up the others; where SQS
// says which queue it moved it from, that is its queue.
func TestRedriveGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(testQueues.DeadLetter)})
		require.NoError(t, err)
		for range 12 {
			_, err = w.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("no job")})
			require.NoError(t, err)
		}
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error { return asyncq.JobDead(nil) }))
		w.wait(id)
		time.Sleep(time.Second)
		stop()
		require.Len(t, w.deadLetters(), 13)
		n, err := asyncq.NewDeadLetters(w.queues, testQueues, w.status).Redrive(t.Context())
		assert.ErrorContains(t, err, "12 dead letters")
		assert.Equal(t, 1, n)
		assert.Equal(t, asyncq.Queued, w.get(id).State)
		assert.Len(t, w.deadLetters(), 12)
	})
}

func TestRedriveOfWhatSQSMoved(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(testQueues.Low)})
		require.NoError(t, err)
		_, err = w.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url.QueueUrl, Attributes: map[string]string{
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}`}})
		require.NoError(t, err)
		_, err = w.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("no job")})
		require.NoError(t, err)
		for range 2 {
			_, err = w.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, VisibilityTimeout: 1})
			require.NoError(t, err)
			time.Sleep(2 * time.Second)
		}
		dead := w.deadLetters()
		require.Len(t, dead, 1)
		assert.Equal(t, testQueues.Low, dead[0].Queue)
		n, err := asyncq.NewDeadLetters(w.queues, testQueues, nil).Redrive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, [3]string{"1", "0", "0"}, w.inQueue(testQueues.Low))
	})
}

// down is a store of results that takes nothing until a time.
type down struct {
	asyncq.BlobStore
	until time.Time
}

func (d *down) Put(ctx context.Context, key string, data []byte) error {
	if time.Now().Before(d.until) {
		return errors.New("down")
	}
	return d.BlobStore.Put(ctx, key, data)
}

// While the result cannot be stored, it waits in the worker, as asking the model
// again would cost what it has cost.
func TestResultStoreDown(t *testing.T) {
	for name, tt := range map[string]struct {
		down, drained time.Duration
		runs, attempt int
	}{
		"for some minutes": {down: 10 * time.Minute, runs: 1, attempt: 1},
		"for an hour":      {down: time.Hour, runs: 5, attempt: 1},
		"while draining":   {down: 10 * time.Minute, drained: 5 * time.Minute, runs: 2, attempt: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.results = &down{w.results, time.Now().Add(tt.down)}
				runs := 0
				handler := func(ctx context.Context, job *asyncq.Job[string]) error {
					runs++
					return upper(ctx, job)
				}
				id := w.submit(asyncq.Request[string]{Payload: "x"})
				stop := w.start(w.worker(handler))
				if tt.drained > 0 {
					time.Sleep(tt.drained)
					began := time.Now()
					stop()
					assert.Less(t, time.Since(began), 41*time.Second)
					assert.Equal(t, asyncq.Queued, w.get(id).State)
					time.Sleep(tt.down)
					stop = w.start(w.worker(handler))
				}
				defer stop()
				s := w.wait(id)
				assert.Equal(t, asyncq.Completed, s.State)
				assert.Equal(t, `"X"`, w.result(s))
				assert.LessOrEqual(t, runs, tt.runs)
				assert.Equal(t, tt.attempt, s.Attempt)
			})
		})
	}
}

// A handler that ends its goroutine, as a failed assertion of a test does, is an
// attempt that has not ended; the worker has its place back.
func TestHandlerThatExits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		one := func(o *asyncq.WorkerOptions) { o.Concurrency = 1 }
		runs := 0
		first := w.submit(asyncq.Request[string]{Group: "g", Payload: "x"})
		second := w.submit(asyncq.Request[string]{Group: "g", Payload: "y"})
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			if runs++; runs == 1 {
				runtime.Goexit()
			}
			return nil
		}, one))
		defer stop()
		s := w.wait(first)
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Equal(t, 2, s.Attempt)
		assert.False(t, s.FinishedAt.After(w.wait(second).StartedAt), "the group keeps its order")
	})
}

// stuck is a status store whose requests end with their context until a time.
type stuck struct {
	asyncq.StatusStore
	op    string
	until time.Time
}

func (s *stuck) wait(ctx context.Context, op string) error {
	if s.op != op || time.Now().After(s.until) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Get(ctx context.Context, id string) (asyncq.Status, error) {
	if err := s.wait(ctx, "get"); err != nil {
		return asyncq.Status{}, err
	}
	return s.StatusStore.Get(ctx, id)
}

func (s *stuck) Update(ctx context.Context, status asyncq.Status) error {
	if err := s.wait(ctx, "update "+string(status.State)); err != nil {
		return err
	}
	return s.StatusStore.Update(ctx, status)
}

// A status store that does not answer holds up neither the drain nor, when it
// answers again, the job.
func TestStuckStatus(t *testing.T) {
	for _, op := range []string{"get", "update processing", "update completed"} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				id := w.submit(asyncq.Request[string]{Payload: "x"})
				plain := w.status
				w.status = &stuck{plain, op, time.Now().Add(10 * time.Minute)}
				stop := w.start(w.worker(upper))
				time.Sleep(time.Minute)
				began := time.Now()
				stop()
				assert.LessOrEqual(t, time.Since(began), 41*time.Second)
				time.Sleep(10 * time.Minute)
				stop = w.start(w.worker(upper))
				defer stop()
				s := w.wait(id)
				assert.Equal(t, asyncq.Completed, s.State)
				assert.Equal(t, `"X"`, w.result(s))
				assert.LessOrEqual(t, s.Attempt, 3)
			})
		})
	}
}
