package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// An outage is what of the world is down until a time.
type outage struct{ until time.Time }

var errDown = errors.New("down")

func (o *outage) err() error {
	if time.Now().Before(o.until) {
		return errDown
	}
	return nil
}

// downStatus is a status store in an outage. Every other write has its effect, and
// the answer is lost.
type downStatus struct {
	*outage
	asyncq.StatusStore
	mu     sync.Mutex
	writes int
}

func (d *downStatus) Get(ctx context.Context, id string) (asyncq.Status, error) {
	if err := d.err(); err != nil {
		return asyncq.Status{}, err
	}
	return d.StatusStore.Get(ctx, id)
}

func (d *downStatus) Update(ctx context.Context, s asyncq.Status) error {
	if err := d.err(); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.writes++; d.writes%2 == 0 {
			_ = d.StatusStore.Update(ctx, s)
		}
		return err
	}
	return d.StatusStore.Update(ctx, s)
}

type downBlobs struct {
	*outage
	asyncq.BlobStore
}

func (d downBlobs) Get(ctx context.Context, key string) ([]byte, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.BlobStore.Get(ctx, key)
}

func (d downBlobs) Put(ctx context.Context, key string, data []byte) error {
	if err := d.err(); err != nil {
		return err
	}
	return d.BlobStore.Put(ctx, key, data)
}

// downQueues is SQS in an outage, for all but receives.
type downQueues struct {
	*outage
	asyncq.QueueAPI
}

func (d downQueues) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if err := d.err(); err != nil {
		return nil, err
	}
	return d.QueueAPI.SendMessageBatch(ctx, in)
}

// For an hour something is down that the jobs need. No job becomes a dead letter,
// none is begun more often than it is to blame for, no message is received again,
// and every end is told.
func TestOutages(t *testing.T) {
	for name, tt := range map[string]struct {
		options func(*outage, *asyncq.WorkerOptions)
		fails   error // of the handler, meanwhile
		runs    int   // of a job, at most; 0 for any number
		hold    string
		ends    asyncq.State
	}{
		"the status store": {options: func(down *outage, o *asyncq.WorkerOptions) {
			o.Status = &downStatus{outage: down, StatusStore: o.Status}
		}, runs: 1, hold: "read status"},
		"the store of results": {options: func(down *outage, o *asyncq.WorkerOptions) {
			o.Results = downBlobs{down, o.Results}
		}, runs: 1, hold: "store result"},
		"the store of payloads": {options: func(down *outage, o *asyncq.WorkerOptions) {
			o.Payloads = downBlobs{down, o.Payloads}
		}, runs: 1, hold: "read payload"},
		"the notifier": {options: func(down *outage, o *asyncq.WorkerOptions) {
			next := o.Notifier
			o.Notifier = asyncq.NotifierFunc(func(ctx context.Context, n asyncq.Notification) error {
				if err := down.err(); err != nil {
					return err
				}
				return next.Notify(ctx, n)
			})
		}, runs: 1, hold: "notify"},
		"credentials":   {fails: &bedrockx.Error{Kind: bedrockx.KindCredentials}, hold: "credentials"},
		"access":        {fails: &bedrockx.Error{Kind: bedrockx.KindAccessDenied}, hold: "access_denied"},
		"the model":     {fails: &bedrockx.Error{Kind: bedrockx.KindInternal}, hold: "internal_error"},
		"the network":   {fails: &bedrockx.Error{Kind: bedrockx.KindConnection}, hold: "connection_failed"},
		"a daily quota": {fails: &bedrockx.Error{Kind: bedrockx.KindDailyQuota}, hold: "daily_quota"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				down := &outage{until: time.Now().Add(time.Hour)}
				payloads := asyncq.NewMemoryBlobs()
				var mu sync.Mutex
				runs, order, told := map[string]int{}, map[string][]string{}, map[string]map[string]bool{}
				worker := w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
					mu.Lock()
					defer mu.Unlock()
					runs[job.ID]++
					assert.Equal(t, 1, job.ReceiveCount)
					if tt.fails != nil && down.err() != nil {
						return tt.fails
					}
					if n := len(order[job.Group]); n == 0 || order[job.Group][n-1] != job.ID {
						order[job.Group] = append(order[job.Group], job.ID)
					}
					return upper(ctx, job)
				}, func(o *asyncq.WorkerOptions) {
					o.Payloads = payloads
					o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
						mu.Lock()
						defer mu.Unlock()
						if told[n.Status.ID] == nil {
							told[n.Status.ID] = map[string]bool{}
						}
						told[n.Status.ID][n.ID] = true
						return nil
					})
					if tt.options != nil {
						tt.options(down, o)
					}
				})
				producer := w.producer(func(o *asyncq.ProducerOptions) { o.Payloads, o.OffloadBytes = payloads, 2000 })
				var requests []asyncq.Request[string]
				for i := range 100 {
					r := asyncq.Request[string]{ID: fmt.Sprintf("job-%03d", i), Payload: strings.Repeat("x", 2000)}
					if i%4 == 0 {
						r.Group = fmt.Sprint("group-", i%3)
					}
					requests = append(requests, r)
				}
				for _, s := range producer.SubmitBatch(t.Context(), requests) {
					require.NoError(t, s.Err)
				}
				stop := w.start(worker)
				time.Sleep(50 * time.Minute)
				holds := worker.Stats().Holds
				assert.NotZero(t, holds[tt.hold], "holds: %v", holds)
				time.Sleep(2 * time.Hour)
				stop()
				for _, r := range requests {
					s := w.get(r.ID)
					assert.Equal(t, asyncq.Completed, s.State, r.ID)
					assert.Equal(t, 1, s.Attempt, r.ID)
					assert.True(t, s.Notified)
					assert.Len(t, told[r.ID], 1, r.ID)
					if tt.runs > 0 {
						assert.LessOrEqual(t, runs[r.ID], tt.runs)
					}
				}
				for i := range 3 {
					assert.IsIncreasing(t, order[fmt.Sprint("group-", i)])
				}
				assert.Empty(t, w.deadLetters())
				assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
				assert.Equal(t, nothing, w.inQueue(testQueues.Ordered))
			})
		})
	}
}

// While the notifier is down, and for one job for good, others are done.
func TestPoisonedNotification(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Normal, 10)
		var asked atomic.Int32
		for i := range 40 {
			w.submit(asyncq.Request[string]{ID: fmt.Sprint("bad-", i), Payload: "x"})
		}
		stop := w.start(w.worker(upper, func(o *asyncq.WorkerOptions) {
			o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
				if strings.HasPrefix(n.Status.ID, "bad") {
					asked.Add(1)
					return errDown
				}
				return nil
			})
		}))
		time.Sleep(time.Minute)
		good := w.submit(asyncq.Request[string]{Payload: "x"})
		time.Sleep(time.Second)
		assert.True(t, w.get(good).Notified)
		time.Sleep(14 * time.Hour)
		stop()
		assert.Equal(t, nothing, w.inQueue(dead), "a job that is done is a dead letter")
		assert.Greater(t, asked.Load(), int32(40*14))
	})
}

// In an outage the worker takes no more than it can hold, so that nothing of a long
// queue is received again and again.
func TestOutageOfALongQueue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Normal, 3)
		until := time.Now().Add(6 * time.Hour)
		var ids []string
		for _, s := range w.producer().SubmitBatch(t.Context(), make([]asyncq.Request[string], 3000)) {
			require.NoError(t, s.Err)
			ids = append(ids, s.ID)
		}
		worker := w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			assert.Equal(t, 1, job.ReceiveCount)
			if time.Now().Before(until) {
				return &bedrockx.Error{Kind: bedrockx.KindAccessDenied}
			}
			return nil
		})
		stop := w.start(worker)
		time.Sleep(5 * time.Hour)
		h := worker.Health()
		assert.LessOrEqual(t, h.Held+h.Waiting, 1100)
		time.Sleep(2 * time.Hour)
		stop()
		for _, id := range ids {
			require.Equal(t, asyncq.Completed, w.get(id).State)
		}
		assert.Equal(t, nothing, w.inQueue(dead))
	})
}

// The dead-letter queue takes nothing for an hour: what has failed is there
// afterwards, once.
func TestDeadLetterQueueDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		down := &outage{until: time.Now().Add(time.Hour)}
		var ids []string
		for range 10 {
			ids = append(ids, w.submit(asyncq.Request[string]{Payload: "x", Group: "g"}))
		}
		worker := asyncq.NewWorker(downQueues{down, w.queues}, func(context.Context, *asyncq.Job[string]) error { return asyncq.JobDead(nil) },
			func(o *asyncq.WorkerOptions) {
				o.Queues, o.Status, o.Results, o.Logger = testQueues, w.status, w.results, quiet()
			})
		stop := w.start(worker)
		for _, id := range ids {
			assert.Equal(t, asyncq.Failed, w.wait(id).State)
		}
		time.Sleep(2 * time.Hour)
		stop()
		assert.Len(t, w.deadLetters(), 10)
		for _, id := range ids {
			assert.True(t, w.get(id).DeadLettered)
		}
	})
}

// A model that fails for one request is no outage: the job is a dead letter after
// its attempts, as others are done meanwhile.
func TestOneRequestThatTheModelCannotBear(t *testing.T) {
	for _, concurrency := range []int{1, 16} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) { testOneBadRequest(t, concurrency) })
	}
}

func testOneBadRequest(t *testing.T, concurrency int) {
	bubble(t, func(t *testing.T, w *world) {
		bad := w.submit(asyncq.Request[string]{ID: "bad", Payload: "x"})
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			time.Sleep(time.Second)
			if job.ID == bad {
				return &bedrockx.Error{Kind: bedrockx.KindInternal}
			}
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Concurrency = concurrency }))
		defer stop()
		for range 100 {
			w.submit(asyncq.Request[string]{Payload: "x"})
			time.Sleep(time.Minute)
		}
		s := w.get(bad)
		assert.Equal(t, asyncq.Failed, s.State)
		assert.Equal(t, 3, s.Attempt)
	})
}

func TestNoCredentialsAreLoggedOnceAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var log strings.Builder
		for range 30 {
			w.submit(asyncq.Request[string]{Payload: "x"})
		}
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
			return &bedrockx.Error{Kind: bedrockx.KindCredentials, Err: errors.New("canary")}
		}, func(o *asyncq.WorkerOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }))
		time.Sleep(12*time.Minute + 30*time.Second)
		stop()
		assert.Contains(t, log.String(), "class=credentials")
		assert.NotContains(t, log.String(), "canary")
		assert.InDelta(t, 13, strings.Count(log.String(), "\n"), 1)
	})
}

// An outage is logged once a minute for each operation, and OnError hears of each
// failure with the operation and the job.
func TestOutageIsLoggedOnceAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		down := &outage{until: time.Now().Add(time.Hour)}
		var log strings.Builder
		var mu sync.Mutex
		var errs []*asyncq.OpError
		for range 16 {
			w.submit(asyncq.Request[string]{ID: "", Payload: "x"})
		}
		stop := w.start(w.worker(upper, func(o *asyncq.WorkerOptions) {
			o.Status = &downStatus{outage: down, StatusStore: o.Status}
			o.Logger = slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return log.Write(p)
			}), nil))
			o.OnError = func(_ context.Context, err error) {
				mu.Lock()
				defer mu.Unlock()
				var op *asyncq.OpError
				if assert.ErrorAs(t, err, &op) {
					errs = append(errs, op)
				}
			}
		}))
		time.Sleep(59*time.Minute + 30*time.Second)
		mu.Lock()
		lines := strings.Count(log.String(), "\n")
		require.NotEmpty(t, errs)
		for _, err := range errs {
			assert.Equal(t, "read status", err.Op)
			assert.ErrorIs(t, err, errDown)
			assert.Len(t, err.Key, 36, "the id of a job")
		}
		assert.Greater(t, len(errs), 16*30)
		mu.Unlock()
		assert.LessOrEqual(t, lines, 60)
		assert.GreaterOrEqual(t, lines, 25) // for MaxDelay after MaxHold nobody asks
		stop()
	})
}
