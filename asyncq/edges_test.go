package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// hookedQueues calls functions in place of, or before, requests to SQS.
type hookedQueues struct {
	asyncq.QueueAPI
	find    func()
	receive func() error
	delete  func(*sqs.DeleteMessageBatchInput) *sqs.DeleteMessageBatchOutput
	change  func() error
}

func (h *hookedQueues) GetQueueUrl(ctx context.Context, in *sqs.GetQueueUrlInput, fns ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if h.find != nil {
		h.find()
	}
	return h.QueueAPI.GetQueueUrl(ctx, in, fns...)
}

func (h *hookedQueues) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, fns ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if h.receive != nil {
		if err := h.receive(); err != nil {
			return nil, err
		}
	}
	return h.QueueAPI.ReceiveMessage(ctx, in, fns...)
}

func (h *hookedQueues) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, fns ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if h.delete != nil {
		return h.delete(in), nil
	}
	return h.QueueAPI.DeleteMessageBatch(ctx, in, fns...)
}

func (h *hookedQueues) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, fns ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if h.change != nil {
		if err := h.change(); err != nil {
			return nil, err
		}
	}
	return h.QueueAPI.ChangeMessageVisibilityBatch(ctx, in, fns...)
}

// hooked returns a worker whose requests to SQS go through h.
func (w *world) hooked(h *hookedQueues, handler asyncq.Handler[string], optFns ...func(*asyncq.WorkerOptions)) *asyncq.Worker[string] {
	h.QueueAPI = w.queues
	set := func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Results, o.Logger = testQueues, w.status, w.results, quiet()
	}
	return asyncq.NewWorker(h, handler, append([]func(*asyncq.WorkerOptions){set}, optFns...)...)
}

// A health check may ask at any time, also while Run looks for its queues.
func TestHealthWhileTheWorkerOpens(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var worker *asyncq.Worker[string]
		var checks sync.WaitGroup
		worker = w.hooked(&hookedQueues{find: func() {
			checks.Go(func() { worker.Stats() })
		}}, upper)
		stop := w.start(worker)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		w.wait(id)
		stop()
		checks.Wait()
	})
}

// A WaitTime of less than a second is no reason to ask SQS without a pause.
func TestWaitTimeOfLessThanASecond(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var receives atomic.Int64
		worker := w.hooked(&hookedQueues{receive: func() error {
			if receives.Add(1) > 5000 {
				cancel() // or the time of the bubble never goes on
			}
			return nil
		}}, upper, func(o *asyncq.WorkerOptions) {
			o.Queues = asyncq.Queues{Normal: testQueues.Normal}
			o.WaitTime = 500 * time.Millisecond
		})
		require.NoError(t, worker.Run(ctx))
		assert.LessOrEqual(t, receives.Load(), int64(100))
	})
}

// The end of a job whose message can never be read is told and buried once, also if
// the notifier fails at first.
func TestUnreadableMessageOfAJob(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("normal")})
		require.NoError(t, err)
		_, err = w.queues.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url.QueueUrl, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("0"), MessageBody: aws.String(`{"version":99,"request_id":"later"}`)}}})
		require.NoError(t, err)
		down, told := outage{time.Now().Add(time.Minute)}, map[string]int{}
		stop := w.start(w.worker(upper, func(o *asyncq.WorkerOptions) {
			o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
				if err := down.err(); err != nil {
					return err
				}
				told[n.Status.ID+" "+string(n.Status.State)]++
				return nil
			})
		}))
		time.Sleep(time.Hour)
		stop()
		assert.Equal(t, map[string]int{"later failed": 1}, told)
		assert.Len(t, w.deadLetters(), 1)
		assert.Equal(t, nothing, w.inQueue("normal"))
	})
}

// A dead letter that came back to the queue it left would be done again without end.
func TestDeadLettersInAQueueOfJobs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		runs := 0
		worker := w.worker(func(context.Context, *asyncq.Job[string]) error {
			if runs++; runs == 10 {
				cancel()
			}
			return asyncq.JobDead(nil)
		},
			func(o *asyncq.WorkerOptions) { o.Queues.DeadLetter = "normal" })
		w.submit(asyncq.Request[string]{Payload: "x"})
		assert.ErrorContains(t, worker.Run(ctx), "DeadLetter")
		assert.Zero(t, runs)

		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("normal")})
		require.NoError(t, err)
		x := asyncq.NewExecutor(w.queues, upper, func(o *asyncq.ExecutorOptions) { o.Status, o.DeadLetter = w.status, "normal" })
		_, _, err = x.Process(t.Context(), aws.ToString(url.QueueUrl), types.Message{Body: aws.String("{}")})
		assert.ErrorContains(t, err, "DeadLetter")
	})
}

// OnError is told of messages that SQS does not delete, also if their request was
// answered.
func TestRefusedDeleteIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var told []string
		worker := w.hooked(&hookedQueues{delete: func(in *sqs.DeleteMessageBatchInput) *sqs.DeleteMessageBatchOutput {
			out := &sqs.DeleteMessageBatchOutput{}
			for _, e := range in.Entries {
				out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("Unavailable"), Message: aws.String("later")})
			}
			return out
		}}, upper, func(o *asyncq.WorkerOptions) {
			o.OnError = func(_ context.Context, err error) {
				var op *asyncq.OpError
				var refused *asyncq.RefusedError
				mu.Lock()
				defer mu.Unlock()
				if errors.As(err, &op) && errors.As(err, &refused) {
					told = append(told, fmt.Sprint(op.Op, " ", op.Key, " ", refused.Code))
				}
			}
		})
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(worker)
		w.wait(id)
		time.Sleep(30 * time.Second)
		stop()
		require.NotEmpty(t, told)
		assert.Equal(t, "delete normal Unavailable", told[0])
	})
}

// A panic of the client of SQS is a request that failed.
func TestClientThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var receives atomic.Int64
		worker := w.hooked(&hookedQueues{receive: func() error {
			if receives.Add(1) < 5 {
				panic("in a middleware")
			}
			return nil
		}}, upper)
		stop := w.start(worker)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		stop()
	})
}

// However large BaseDelay and the number of the attempt, there is a wait.
func TestBackoffOfManyAttempts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var begins []time.Time
		worker := w.worker(func(context.Context, *asyncq.Job[string]) error {
			begins = append(begins, time.Now())
			return errors.New("no")
		}, func(o *asyncq.WorkerOptions) {
			o.MaxAttempts, o.BaseDelay, o.MaxDelay = 40, time.Hour, time.Hour
		})
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(worker)
		w.wait(id)
		stop()
		require.Len(t, begins, 40)
		for i := 1; i < len(begins); i++ {
			assert.Positive(t, begins[i].Sub(begins[i-1]), "after attempt %d", i)
		}
	})
}

// The wait before an end is told again grows with how often that has failed, and not
// with how often the job has waited before.
func TestEndIsToldSoonAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		runs, calls := 0, 0
		told := make(chan time.Time, 2)
		worker := w.worker(func(context.Context, *asyncq.Job[string]) error {
			if runs++; runs <= 20 {
				return asyncq.JobRetry(time.Second, nil)
			}
			return nil
		}, func(o *asyncq.WorkerOptions) {
			o.BaseDelay = time.Second
			o.Notifier = asyncq.NotifierFunc(func(context.Context, asyncq.Notification) error {
				told <- time.Now()
				if calls++; calls == 1 {
					return errDown
				}
				return nil
			})
		})
		w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(worker)
		first, second := <-told, <-told
		stop()
		assert.LessOrEqual(t, second.Sub(first), 2*time.Second)
	})
}

// One renewal that is not answered does not lose the lease.
func TestRenewalThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		hangs := &hangingUpdate{StatusStore: w.status, nth: 2} // the first takes the lease
		worker := w.worker(func(context.Context, *asyncq.Job[string]) error {
			time.Sleep(5 * time.Minute)
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Status = hangs })
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(worker)
		for range 290 {
			time.Sleep(time.Second)
			if s := w.get(id); s.State == asyncq.Processing {
				require.True(t, time.Now().Before(s.LeaseUntil), "the lease is over")
			}
		}
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		stop()
	})
}

// hangingUpdate is a store of which the nth update hangs.
type hangingUpdate struct {
	asyncq.StatusStore
	nth, updates int
}

func (h *hangingUpdate) Update(ctx context.Context, s asyncq.Status) error {
	if h.updates++; h.updates == h.nth {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.StatusStore.Update(ctx, s)
}

// For a while SQS renews nothing. If that spoils one renewal, there is another one
// before the message becomes visible.
func TestRenewalThatFails(t *testing.T) {
	for at := range 8 {
		down := time.Duration(at*5) * time.Second
		t.Run(down.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				began, receives := time.Now(), 0
				worker := w.hooked(&hookedQueues{change: func() error {
					if since := time.Since(began) - 2*time.Minute; since >= down && since < down+18*time.Second {
						return errDown
					}
					return nil
				}}, func(_ context.Context, job *asyncq.Job[string]) error {
					time.Sleep(5 * time.Minute)
					receives = job.ReceiveCount
					return nil
				}, func(o *asyncq.WorkerOptions) {
					o.Observe = w.events.add
				})
				id := w.submit(asyncq.Request[string]{Payload: "x"})
				stop := w.start(worker)
				w.wait(id)
				stop()
				assert.Equal(t, 1, receives)
				assert.Equal(t, 1, w.events.count(asyncq.EventReceived))
			})
		})
	}
}

// Of several notifiers one panics and one hangs. The others are told all the same.
func TestNotifiersAreToldSideBySide(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told atomic.Int64
		all := asyncq.Notifiers{
			asyncq.NotifierFunc(func(context.Context, asyncq.Notification) error { panic("in a notifier") }),
			asyncq.NotifierFunc(func(ctx context.Context, _ asyncq.Notification) error { <-ctx.Done(); return ctx.Err() }),
			asyncq.NotifierFunc(func(context.Context, asyncq.Notification) error { runtime.Goexit(); return nil }),
			asyncq.NotifierFunc(func(ctx context.Context, _ asyncq.Notification) error {
				if ctx.Err() == nil {
					told.Add(1)
				}
				return ctx.Err()
			}),
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := all.Notify(ctx, asyncq.Notification{ID: "x"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "panicked")
		assert.ErrorContains(t, err, "goroutine")
		assert.Equal(t, int64(1), told.Load())
		assert.NoError(t, all[3:].Notify(t.Context(), asyncq.Notification{ID: "x"}))
	})
}

// rudeStatus panics or ends the goroutine.
type rudeStatus struct {
	asyncq.StatusStore
	do func()
}

func (r rudeStatus) Get(context.Context, string) (asyncq.Status, error) {
	r.do()
	return asyncq.Status{}, nil
}

// A store that panics in a wait is an error of its job; the program goes on.
func TestWaitWithAStoreThatPanics(t *testing.T) {
	for name, do := range map[string]func(){"panic": func() { panic("in the store") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				_, err := asyncq.Wait(t.Context(), rudeStatus{w.status, do}, "x")
				assert.Error(t, err)
			})
		})
	}
}

// An executor alone cannot hold a result that its store does not take. While the store
// is down the model is asked once, and not at each delivery of the message.
func TestResultStoreDownForAnExecutor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("normal")})
		require.NoError(t, err)
		out, err := w.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: 1,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		require.NoError(t, err)
		require.Len(t, out.Messages, 1)
		runs := 0
		x := asyncq.NewExecutor(w.queues, func(_ context.Context, job *asyncq.Job[string]) error {
			runs++
			return job.SetResult("answer")
		}, func(o *asyncq.ExecutorOptions) {
			o.Status, o.Logger = w.status, quiet()
			o.Results = downBlobs{&outage{time.Now().Add(5 * time.Hour)}, w.results}
		})
		for done, after := false, time.Duration(0); !done; time.Sleep(after) {
			done, after, err = x.Process(t.Context(), *url.QueueUrl, out.Messages[0])
			require.NoError(t, err)
		}
		assert.Equal(t, 2, runs, "at first, and after the outage")
		assert.Equal(t, asyncq.Completed, w.get(id).State)
		assert.Equal(t, 1, w.get(id).Attempt)
	})
}
