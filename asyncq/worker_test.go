package asyncq_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// Fourteen deployments while a queue is long: what only waited is no dead letter, and
// a job that was interrupted leaves one message.
func TestDeployments(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Normal, 10)
		for range 40 {
			w.submit(asyncq.Request[string]{Payload: "x"})
		}
		for range 14 {
			stop := w.start(w.worker(func(ctx context.Context, _ *asyncq.Job[string]) error {
				select {
				case <-time.After(14 * time.Minute):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}, func(o *asyncq.WorkerOptions) { o.Concurrency = 4 }))
			time.Sleep(10 * time.Minute)
			stop()
			assert.Equal(t, [3]string{"40", "0", "0"}, w.inQueue(testQueues.Normal))
		}
		assert.Equal(t, nothing, w.inQueue(dead))
	})
}

// A handler that has decided what becomes of its job is heard, also while the worker
// shuts down.
func TestDecidedWhileDraining(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(ctx context.Context, _ *asyncq.Job[string]) error {
			<-ctx.Done()
			return asyncq.JobCancel(ctx.Err())
		}))
		time.Sleep(time.Second)
		stop()
		assert.Equal(t, asyncq.Canceled, w.get(id).State)
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// A job of more than twelve hours is done once, and so is one that asks to wait for
// twelve hours.
func TestJobsOfMoreThanTwelveHours(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(ctx context.Context, _ *asyncq.Job[string]) error {
			if runs.Add(1) == 1 {
				time.Sleep(time.Minute)
				return asyncq.JobRetry(12*time.Hour, nil)
			}
			select {
			case <-time.After(30 * time.Hour):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, func(o *asyncq.WorkerOptions) { o.JobTimeout, o.Visibility = -1, 10*time.Minute }))
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		time.Sleep(time.Hour)
		stop()
		assert.EqualValues(t, 2, runs.Load())
		assert.Zero(t, w.events.count(asyncq.EventAPIError))
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// The status of a job expires while it is worked on: it is done again, as nothing
// says that it was done.
func TestStatusExpires(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Retention = 10 * time.Minute })
		id, err := p.Submit(t.Context(), asyncq.Request[string]{Payload: "x"})
		require.NoError(t, err)
		var causes []error
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			select {
			case <-time.After(14 * time.Minute):
				return job.SetResult("ok")
			case <-ctx.Done():
				causes = append(causes, context.Cause(ctx))
				return ctx.Err()
			}
		}))
		defer stop()
		time.Sleep(time.Hour)
		assert.Equal(t, asyncq.Completed, w.get(id).State)
		assert.Equal(t, []error{asyncq.ErrLeaseLost}, causes)
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// A running job is canceled from outside: its end is told, and its group goes on.
func TestCancelInAGroup(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ids := w.group("g", 2)
		told := &noted{}
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			if job.ID == ids[0] {
				<-ctx.Done()
			}
			return ctx.Err()
		}, func(o *asyncq.WorkerOptions) { o.Notifier = told }))
		defer stop()
		time.Sleep(5 * time.Second)
		began := time.Now()
		_, err := asyncq.CancelJob(t.Context(), w.status, ids[0])
		require.NoError(t, err)
		assert.Equal(t, asyncq.Completed, w.wait(ids[1]).State)
		assert.Less(t, time.Since(began), 2*time.Minute)
		time.Sleep(time.Minute)
		assert.Len(t, told.ids(), 2)
		assert.Equal(t, asyncq.Canceled, w.get(ids[0]).State)
	})
}

// What a stray goroutine tells of a job that has ended changes nothing.
func TestLateProgress(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		late := make(chan error, 1)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			go func() {
				time.Sleep(30 * time.Second)
				late <- job.Progress(context.Background(), 1, 2)
			}()
			return nil
		}))
		defer stop()
		w.wait(id)
		assert.ErrorIs(t, <-late, asyncq.ErrLeaseLost)
		s := w.get(id)
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Zero(t, s.Step)
	})
}

// The queue is deleted under a running worker: its health says so, and it does not ask
// without a pause.
func TestQueueIsDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		worker := w.worker(upper, func(o *asyncq.WorkerOptions) { o.Queues = asyncq.Queues{Normal: testQueues.Normal} })
		stop := w.start(worker)
		time.Sleep(time.Minute)
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &testQueues.Normal})
		require.NoError(t, err)
		_, err = w.queues.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url.QueueUrl})
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		assert.Contains(t, worker.Health().LastError, "receive of normal")
		failed := w.events.count(asyncq.EventAPIError)
		assert.Positive(t, failed)
		assert.Less(t, failed, 1200)
		stop()
	})
}

// A model that denies access, or has no credentials to be asked with, makes no dead
// letter of an inference; a request that can never be answered does.
func TestInferWithoutAccess(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		server := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		chat := converse.New(bedrockx.New(server.Client()), func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
		server.Reply(bedrocktest.Error(403, "ExpiredTokenException", "The security token included in the request is expired"))
		server.Reply(bedrocktest.Exception("AccessDeniedException"))
		server.Reply(bedrocktest.Text("Dense hatching."))
		server.Reply(bedrocktest.Exception("ResourceNotFoundException"))
		p := newProducer[asyncq.Inference](w)
		worker := asyncq.NewWorker(w.queues, asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Logger = testQueues, w.status, w.results, quiet()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- worker.Run(ctx) }()
		first, err := p.Submit(ctx, asyncq.Request[asyncq.Inference]{Payload: asyncq.Inference{Prompt: "x"}})
		require.NoError(t, err)
		s := w.wait(first)
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Equal(t, 1, s.Attempt)
		second, err := p.Submit(ctx, asyncq.Request[asyncq.Inference]{Payload: asyncq.Inference{Prompt: "y"}})
		require.NoError(t, err)
		s = w.wait(second)
		assert.Equal(t, asyncq.Failed, s.State)
		assert.Equal(t, 1, s.Attempt)
		cancel()
		require.NoError(t, <-done)
	})
}

// Dead letters are listed each once, also by someone who takes longer than they are
// hidden.
func TestListSlowly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for range 40 {
			w.submit(asyncq.Request[string]{Payload: "x"})
		}
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error { return asyncq.JobDead(errors.New("no")) }))
		time.Sleep(time.Minute)
		stop()
		seen := map[string]bool{}
		for d, err := range asyncq.NewDeadLetters(w.queues, testQueues, w.status).List(t.Context()) {
			require.NoError(t, err)
			assert.False(t, seen[d.MessageID])
			seen[d.MessageID] = true
			time.Sleep(4 * time.Second)
		}
		assert.Len(t, seen, 40)
	})
}
