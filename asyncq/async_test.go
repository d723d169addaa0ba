package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		if err := runWorker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// A world is the queues of a service and the stores that all share.
type world struct {
	t       testing.TB
	queues  *memqueue.Service
	status  asyncq.StatusStore
	results asyncq.BlobStore
	events  eventLog
	options []func(*asyncq.WorkerOptions)
}

type eventLog struct {
	mu  sync.Mutex
	all []asyncq.Event
}

func (l *eventLog) add(e asyncq.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *eventLog) count(kind asyncq.EventKind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.all {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newWorld(t testing.TB, optFns ...func(*memqueue.Options)) *world {
	w := &world{t: t, queues: memqueue.New(optFns...), status: asyncq.NewMemoryStatus(), results: asyncq.NewMemoryBlobs()}
	createQueues(t, w.queues)
	return w
}

// testQueues are the queues of these tests.
var testQueues = asyncq.Queues{High: "high", Normal: "normal", Low: "low", Ordered: "ordered.fifo", DeadLetter: "dead"}

func createQueues(t testing.TB, queues *memqueue.Service) {
	q := testQueues
	for _, name := range []string{q.High, q.Normal, q.Low, q.Ordered, q.DeadLetter} {
		attributes := map[string]string{}
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		_, err := queues.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
		require.NoError(t, err)
	}
}

func (w *world) producer(optFns ...func(*asyncq.ProducerOptions)) *asyncq.Producer[string] {
	return newProducer[string](w, optFns...)
}

// newProducer returns a producer of payloads of any type.
func newProducer[T any](w *world, optFns ...func(*asyncq.ProducerOptions)) *asyncq.Producer[T] {
	set := func(o *asyncq.ProducerOptions) { o.Queues, o.Status = testQueues, w.status }
	p, err := asyncq.NewProducer[T](w.queues, append([]func(*asyncq.ProducerOptions){set}, optFns...)...)
	require.NoError(w.t, err)
	return p
}

func (w *world) worker(handler asyncq.Handler[string], optFns ...func(*asyncq.WorkerOptions)) *asyncq.Worker[string] {
	set := func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Results, o.Observe, o.Logger = testQueues, w.status, w.results, w.events.add, quiet()
	}
	return asyncq.NewWorker(w.queues, handler, slices.Concat([]func(*asyncq.WorkerOptions){set}, w.options, optFns)...)
}

// start runs a worker until the returned function is called, which returns when
// it has drained.
func (w *world) start(worker *asyncq.Worker[string]) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(w.t, <-done)
	}
}

func (w *world) submit(r asyncq.Request[string]) string {
	id, err := w.producer().Submit(context.Background(), r)
	require.NoError(w.t, err)
	return id
}

// wait returns the status of a job that has ended.
func (w *world) wait(id string) asyncq.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 14*24*time.Hour)
	defer cancel()
	s, err := asyncq.Wait(ctx, w.status, id)
	require.NoError(w.t, err)
	return s
}

func (w *world) get(id string) asyncq.Status {
	s, err := w.status.Get(context.Background(), id)
	require.NoError(w.t, err)
	return s
}

// inQueue counts the messages of a queue: visible, in flight, delayed.
func (w *world) inQueue(name string) [3]string {
	ctx := context.Background()
	url, err := w.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(w.t, err)
	out, err := w.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	require.NoError(w.t, err)
	return [3]string{out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"], out.Attributes["ApproximateNumberOfMessagesDelayed"]}
}

func (w *world) deadLetters() []asyncq.DeadLetter {
	var all []asyncq.DeadLetter
	for d, err := range asyncq.NewDeadLetters(w.queues, testQueues, w.status).List(context.Background()) {
		require.NoError(w.t, err)
		all = append(all, d)
	}
	return all
}

func (w *world) result(s asyncq.Status) string {
	data, err := w.results.Get(context.Background(), s.ResultKey)
	require.NoError(w.t, err)
	return string(data)
}

func upper(_ context.Context, job *asyncq.Job[string]) error {
	return job.SetResult(strings.ToUpper(job.Payload))
}

func bubble(t *testing.T, fn func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) { fn(t, newWorld(t)) })
}

func TestJobIsDone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "berserk", Priority: asyncq.High, Metadata: map[string]string{"volume": "1"}})
		s := w.get(id)
		assert.Equal(t, asyncq.Queued, s.State)
		assert.Equal(t, [3]string{"1", "0", "0"}, w.inQueue(testQueues.High))

		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			assert.Equal(t, 1, job.Attempt)
			assert.Equal(t, "1", job.Metadata["volume"])
			assert.NoError(t, job.Progress(ctx, 1, 2))
			assert.Equal(t, 1, w.get(job.ID).Step)
			return upper(ctx, job)
		}))
		defer stop()
		s = w.wait(id)
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Equal(t, `"BERSERK"`, w.result(s))
		assert.Empty(t, s.ErrorClass)
		synctest.Wait()
		time.Sleep(time.Second) // of the bubble: acknowledgements linger
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.High))
	})
}

func TestSameIDIsTheSameJob(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.submit(asyncq.Request[string]{ID: "monster-1", Payload: "monster"})
		w.submit(asyncq.Request[string]{ID: "monster-1", Payload: "monster"})
		_, err := w.producer().Submit(t.Context(), asyncq.Request[string]{ID: "monster-1", Payload: "pluto"})
		assert.ErrorIs(t, err, asyncq.ErrPayloadDiffers)

		var runs atomic.Int32
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			runs.Add(1)
			return upper(ctx, job)
		}))
		defer stop()
		w.wait("monster-1")
		time.Sleep(5 * time.Minute)
		assert.EqualValues(t, 1, runs.Load())
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))

		w.submit(asyncq.Request[string]{ID: "monster-1", Payload: "monster"})
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal), "a job that has ended is not sent again")
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, r := range map[string]asyncq.Request[string]{
		"id":             {ID: "a b"},
		"id of a folder": {ID: ".."},
		"id too long":    {ID: strings.Repeat("x", 129)},
		"priority":       {Priority: "urgent"},
		"delay":          {Delay: 16 * time.Minute},
		"group":          {Group: "a b"},
		"delayed group":  {Group: "a", Delay: time.Second},
		"callback":       {CallbackURL: "http://example.com/"},
		"metadata":       {Metadata: map[string]string{"a": strings.Repeat("x", 17<<10)}},
		"payload":        {ID: "large", Payload: strings.Repeat("x", 300<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.producer().Submit(t.Context(), r)
			var refused *asyncq.InvalidRequestError
			assert.ErrorAs(t, err, &refused)
		})
	}
	_, err := w.status.Get(t.Context(), "large")
	assert.ErrorIs(t, err, asyncq.ErrNotFound)
}

// What many goroutines submit goes in few requests, and a refused part again.
func TestSubmitGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sends atomic.Int32
		w := newWorld(t, func(o *memqueue.Options) {
			o.Before = func(_ context.Context, op string, in any) error {
				if op == "SendMessageBatch" {
					sends.Add(1)
					entries := in.(*sqs.SendMessageBatchInput).Entries
					size := 0
					for _, e := range entries {
						size += len(*e.MessageBody)
					}
					assert.LessOrEqual(t, len(entries), 10)
					assert.LessOrEqual(t, size, 1<<20)
				}
				return nil
			}
		})
		p := w.producer()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := p.Submit(context.Background(), asyncq.Request[string]{Payload: "x"})
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 10, sends.Load())
		assert.Equal(t, "100", w.inQueue(testQueues.Normal)[0])

		var requests []asyncq.Request[string]
		for range 12 {
			requests = append(requests, asyncq.Request[string]{Payload: strings.Repeat("x", 240<<10), Priority: asyncq.Low})
		}
		requests = append(requests, asyncq.Request[string]{Priority: "urgent"})
		results := p.SubmitBatch(context.Background(), requests)
		for _, r := range results[:12] {
			assert.NoError(t, r.Err)
		}
		assert.Error(t, results[12].Err)
		assert.Equal(t, "12", w.inQueue(testQueues.Low)[0])
	})
}

// flaky refuses entries of batches, as SQS does under load.
type flaky struct {
	*memqueue.Service
	refuse func(i int, id string) (bool, bool) // refused, and whether it is the sender's fault
	calls  int
}

func (f *flaky) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, fns ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.calls++
	pass := *in
	pass.Entries = nil
	var failed []types.BatchResultErrorEntry
	for _, e := range in.Entries {
		if refused, sender := f.refuse(f.calls, aws.ToString(e.Id)); refused {
			failed = append(failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError"), SenderFault: sender})
			continue
		}
		pass.Entries = append(pass.Entries, e)
	}
	out := &sqs.SendMessageBatchOutput{}
	if len(pass.Entries) > 0 {
		var err error
		if out, err = f.Service.SendMessageBatch(ctx, &pass, fns...); err != nil {
			return nil, err
		}
	}
	out.Failed = append(out.Failed, failed...)
	return out, nil
}

func TestRefusedPartsAreSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		queues := &flaky{Service: w.queues, refuse: func(call int, id string) (bool, bool) {
			return id == "1" && call < 3 || id == "2", id == "2"
		}}
		p, err := asyncq.NewProducer[string](queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = testQueues, w.status })
		require.NoError(t, err)
		results := p.SubmitBatch(t.Context(), make([]asyncq.Request[string], 4))
		failed := 0
		for _, r := range results {
			if r.Err != nil {
				failed++
				assert.ErrorContains(t, r.Err, "InternalError")
			}
		}
		assert.Equal(t, 1, failed)
		assert.Equal(t, 3, queues.calls)
		assert.Equal(t, "3", w.inQueue(testQueues.Normal)[0])
	})
}

func TestFailuresAndTheDeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const canary = "canary-4711"
		id := w.submit(asyncq.Request[string]{Payload: canary, Priority: asyncq.Low})
		var attempts []time.Time
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			attempts = append(attempts, time.Now())
			if job.Attempt == 2 {
				panic(canary)
			}
			return errors.New("cannot do " + job.Payload)
		}))
		defer stop()
		s := w.wait(id)
		assert.Equal(t, asyncq.Failed, s.State)
		assert.Equal(t, "error", s.ErrorClass)
		assert.Equal(t, 3, s.Attempt)
		require.Len(t, attempts, 3)
		dead := w.deadLetters()
		require.Len(t, dead, 1)
		assert.Equal(t, id, dead[0].ID)
		assert.Equal(t, testQueues.Low, dead[0].Queue)
		assert.NotContains(t, dead[0].Reason, canary)
		assert.Contains(t, dead[0].Reason, "3 attempts")
		time.Sleep(5 * time.Minute)
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Low))
	})
}

func TestControlErrors(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(attempt *int) error
		state   asyncq.State
		runs    int
		dead    int
		took    time.Duration // at least
	}{
		"retry later, which counts as no attempt": {func(n *int) error {
			if *n <= 5 {
				return asyncq.JobRetry(time.Hour, nil)
			}
			return nil
		}, asyncq.Completed, 6, 0, 5 * time.Hour},
		"cancel": {func(*int) error { return asyncq.JobCancel(errors.New("no")) }, asyncq.Canceled, 1, 0, 0},
		"dead":   {func(*int) error { return asyncq.JobDead(errors.New("no")) }, asyncq.Failed, 1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				began, runs := time.Now(), 0
				id := w.submit(asyncq.Request[string]{Payload: "x"})
				stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
					runs++
					return c.handler(&runs)
				}))
				defer stop()
				s := w.wait(id)
				assert.Equal(t, c.state, s.State)
				assert.Equal(t, c.runs, runs)
				assert.Len(t, w.deadLetters(), c.dead)
				assert.GreaterOrEqual(t, time.Since(began), c.took)
			})
		})
	}
}

// While the model throttles, or the worker has no credentials, a job waits in
// the worker: it is received once, its attempts are not used up, and less is
// begun.
func TestThrottling(t *testing.T) {
	for _, kind := range []bedrockx.Kind{bedrockx.KindThrottled, bedrockx.KindCredentials} {
		t.Run(string(kind), func(t *testing.T) { testThrottling(t, kind) })
	}
}

func testThrottling(t *testing.T, kind bedrockx.Kind) {
	bubble(t, func(t *testing.T, w *world) {
		until := time.Now().Add(10 * time.Minute)
		var receives atomic.Int32
		worker := w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			receives.Store(max(receives.Load(), int32(job.ReceiveCount)))
			if time.Now().Before(until) {
				return &bedrockx.Error{Kind: kind, Err: errors.New("slow down")}
			}
			return upper(ctx, job)
		})
		var ids []string
		for range 40 {
			ids = append(ids, w.submit(asyncq.Request[string]{Payload: "x"}))
		}
		stop := w.start(worker)
		defer stop()
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 1.0, worker.Health().Limit)
		for _, id := range ids {
			assert.Equal(t, asyncq.Completed, w.wait(id).State)
			assert.Equal(t, 1, w.get(id).Attempt)
		}
		assert.EqualValues(t, 1, receives.Load(), "a message was received again")
		assert.Greater(t, worker.Health().Limit, 1.0)
	})
}

// One burst of throttles, by jobs that ran at the same time, is one reason to
// slow down.
func TestThrottledOnceHalvesOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		worker := w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			select {
			case <-gate:
				<-ctx.Done()
				return ctx.Err()
			default:
			}
			return &bedrockx.Error{Kind: bedrockx.KindThrottled, RetryAfter: time.Hour}
		}, func(o *asyncq.WorkerOptions) { o.DrainTimeout, o.JobTimeout = time.Second, 10*time.Hour })
		for range 16 {
			w.submit(asyncq.Request[string]{Payload: "x"})
		}
		stop := w.start(worker)
		defer stop()
		time.Sleep(time.Minute) // the model has asked for an hour
		close(gate)
		assert.Equal(t, 8.0, worker.Health().Limit)
	})
}

func TestPoison(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		url, err := w.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(testQueues.Normal)})
		require.NoError(t, err)
		for _, body := range []string{"canary", `{"request_id":"a b"}`, `{"request_id":"ok","version":9}`, `{"request_id":"x","version":1,"payload":"1","payload_sha256":"00"}`} {
			_, err = w.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String(body)})
			require.NoError(t, err)
		}
		number := newProducer[int](w)
		id, err := number.Submit(t.Context(), asyncq.Request[int]{Payload: 7}) // for another handler
		require.NoError(t, err)

		stop := w.start(w.worker(upper))
		defer stop()
		assert.Equal(t, asyncq.Failed, w.wait(id).State)
		time.Sleep(time.Minute)
		dead := w.deadLetters()
		require.Len(t, dead, 5)
		for _, d := range dead {
			assert.NotEmpty(t, d.Reason)
			assert.NotContains(t, d.Reason, "canary")
			assert.Equal(t, testQueues.Normal, d.Queue)
		}
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))
	})
}

// The jobs of a group are done in their order, also when one is tried again;
// those of other groups go on meanwhile.
func TestGroups(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		done, running, most := map[string][]string{}, map[string]bool{}, 0
		var requests []asyncq.Request[string]
		for i := range 8 {
			for _, group := range []string{"a", "b", "c"} {
				requests = append(requests, asyncq.Request[string]{Group: group, Payload: fmt.Sprint(i)})
			}
		}
		results := w.producer().SubmitBatch(t.Context(), requests)
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			mu.Lock()
			assert.False(t, running[job.Group], "two of group %s at once", job.Group)
			running[job.Group] = true
			most = max(most, len(running))
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			delete(running, job.Group)
			if job.Group == "b" && job.Payload == "2" && job.Attempt < 3 {
				return errors.New("once more")
			}
			done[job.Group] = append(done[job.Group], job.Payload)
			return nil
		}))
		defer stop()
		for _, r := range results {
			require.NoError(t, r.Err)
			assert.Equal(t, asyncq.Completed, w.wait(r.ID).State)
		}
		for group, order := range done {
			assert.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, order, "group %s", group)
		}
		assert.Len(t, done, 3)
		assert.Equal(t, 3, most, "groups run side by side")
	})
}

func TestPriorities(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const each = 60
		p := w.producer()
		for _, priority := range []asyncq.Priority{asyncq.Low, asyncq.Normal, asyncq.High} {
			for _, r := range p.SubmitBatch(t.Context(), slices.Repeat([]asyncq.Request[string]{{Priority: priority, Payload: "x"}}, each)) {
				require.NoError(t, r.Err)
			}
		}
		var mu sync.Mutex
		var order []asyncq.Priority
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, job.Priority)
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Concurrency, o.Prefetch = 2, 10 }))
		time.Sleep(41 * time.Second)
		mu.Lock()
		count := map[asyncq.Priority]int{}
		for _, p := range order {
			count[p]++
		}
		mu.Unlock()
		assert.Greater(t, count[asyncq.High], 3*count[asyncq.Normal]/2)
		assert.Greater(t, count[asyncq.Normal], 2*count[asyncq.Low])
		assert.Greater(t, count[asyncq.Low], 2, "low starves: %v", count)
		stop()
	})
}

// Messages are kept from others for as long as they wait here or are worked on.
func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		for range 6 {
			w.submit(asyncq.Request[string]{Payload: "x"})
		}
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			runs.Add(1)
			assert.Equal(t, 1, job.ReceiveCount)
			time.Sleep(10 * time.Minute)
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Concurrency, o.Prefetch = 2, 4 }))
		defer stop()
		time.Sleep(31 * time.Minute)
		assert.EqualValues(t, 6, runs.Load())
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))
	})
}

// What has not begun is visible at once, what runs gets its time, and
// what runs longer is given back without having counted.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var ids []string
		for range 5 {
			ids = append(ids, w.submit(asyncq.Request[string]{Payload: "x"}))
		}
		started := make(chan string, 10)
		worker := w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			started <- job.ID
			timer := time.NewTimer(10 * time.Second)
			if len(started) == 2 {
				timer.Reset(time.Hour)
			}
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				assert.ErrorIs(t, context.Cause(ctx), asyncq.ErrDraining)
				return ctx.Err()
			}
		}, func(o *asyncq.WorkerOptions) { o.Concurrency, o.Prefetch = 2, 3 })
		stop := w.start(worker)
		synctest.Wait()
		time.Sleep(time.Second)
		require.Len(t, started, 2)
		began := time.Now()
		stop()
		assert.Less(t, time.Since(began), 31*time.Second)
		assert.Equal(t, [3]string{"4", "0", "0"}, w.inQueue(testQueues.Normal))
		states := map[asyncq.State]int{}
		for _, id := range ids {
			s := w.get(id)
			states[s.State]++
			if s.State == asyncq.Queued {
				assert.Zero(t, s.Attempt)
			}
		}
		assert.Equal(t, map[asyncq.State]int{asyncq.Completed: 1, asyncq.Queued: 4}, states)
	})
}

// A handler that does not heed its context does not hold up the worker.
func TestDrainIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
			time.Sleep(24 * time.Hour)
			return nil
		}))
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		assert.Less(t, time.Since(began), 45*time.Second)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, "1", w.inQueue(testQueues.Normal)[0], "the message is visible again")
		time.Sleep(24 * time.Hour) // lets the handler end within the bubble
	})
}

// Two workers get the same job; one runs it, and one result is stored.
func TestDeliveredTwice(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.submit(asyncq.Request[string]{ID: "twice", Payload: "x"})
		w.submit(asyncq.Request[string]{ID: "twice", Payload: "x"})
		var runs atomic.Int32
		handler := func(ctx context.Context, job *asyncq.Job[string]) error {
			time.Sleep(90 * time.Second)
			return job.SetResult(runs.Add(1))
		}
		stop1, stop2 := w.start(w.worker(handler)), w.start(w.worker(handler))
		s := w.wait("twice")
		time.Sleep(10 * time.Minute)
		stop1()
		stop2()
		assert.EqualValues(t, 1, runs.Load())
		assert.Equal(t, "1", w.result(s))
		assert.Positive(t, w.events.count(asyncq.EventDuplicate))
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))
	})
}

func TestCancelWhileRunning(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		var cause atomic.Value
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return job.SetResult("late")
		}))
		defer stop()
		time.Sleep(time.Second)
		s, err := asyncq.CancelJob(t.Context(), w.status, id)
		require.NoError(t, err)
		assert.Equal(t, asyncq.Canceled, s.State)
		time.Sleep(5 * time.Minute)
		assert.Equal(t, asyncq.ErrLeaseLost, cause.Load())
		assert.Equal(t, asyncq.Canceled, w.get(id).State)
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))
		assert.Empty(t, w.deadLetters())
	})
}

func TestRedrive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var broken atomic.Bool
		broken.Store(true)
		var ids []string
		for i := range 25 {
			r := asyncq.Request[string]{Payload: "x", ID: fmt.Sprint("job-", i)}
			if i%2 == 0 {
				r.Group = "g"
			}
			ids = append(ids, w.submit(r))
		}
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			if broken.Load() {
				return asyncq.JobDead(nil)
			}
			return upper(ctx, job)
		}))
		defer stop()
		for _, id := range ids {
			assert.Equal(t, asyncq.Failed, w.wait(id).State)
		}
		broken.Store(false)
		letters := asyncq.NewDeadLetters(w.queues, testQueues, w.status)
		n, err := letters.Redrive(t.Context(), "job-3", "job-4")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Equal(t, asyncq.Completed, w.wait("job-3").State)
		assert.Equal(t, asyncq.Completed, w.wait("job-4").State)
		assert.Len(t, w.deadLetters(), 23)
		n, err = letters.Redrive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 23, n)
		for _, id := range ids {
			assert.Equal(t, asyncq.Completed, w.wait(id).State)
		}
		assert.Empty(t, w.deadLetters())
	})
}

func TestWaitAll(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var ids []string
		for _, r := range w.producer().SubmitBatch(t.Context(), slices.Repeat([]asyncq.Request[string]{{Payload: "x"}}, 30)) {
			ids = append(ids, r.ID)
		}
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			time.Sleep(time.Second)
			return nil
		}))
		defer stop()
		seen := map[string]bool{}
		for s, err := range asyncq.WaitAll(t.Context(), w.status, append(ids, "nobody", ids[0])) {
			if s.ID == "nobody" {
				assert.ErrorIs(t, err, asyncq.ErrNotFound)
				continue
			}
			require.NoError(t, err)
			assert.True(t, s.State.Done())
			assert.False(t, seen[s.ID])
			seen[s.ID] = true
		}
		assert.Len(t, seen, 30)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		id := w.submit(asyncq.Request[string]{Payload: "x", Delay: 10 * time.Minute})
		_, err := asyncq.Wait(ctx, w.status, id)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestPauseAndHealth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		worker := w.worker(upper)
		worker.Pause()
		stop := w.start(worker)
		defer stop()
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		time.Sleep(time.Hour)
		assert.Equal(t, asyncq.Queued, w.get(id).State)
		assert.True(t, worker.Health().Paused)
		worker.Resume()
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		assert.Error(t, worker.Run(t.Context()), "a worker runs once")
	})
}

// keyed knows the keys that were put.
type keyed struct {
	*asyncq.MemoryBlobs
	keys []string
}

func (k *keyed) Put(ctx context.Context, key string, data []byte) error {
	k.keys = append(k.keys, key)
	return k.MemoryBlobs.Put(ctx, key, data)
}

func TestLargePayload(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		payloads := &keyed{MemoryBlobs: asyncq.NewMemoryBlobs()}
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Payloads = payloads })
		text := strings.Repeat("漫画", 500_000)
		id, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "large", Payload: text})
		require.NoError(t, err)
		_, err = p.Submit(t.Context(), asyncq.Request[string]{ID: "large", Payload: text + "!"})
		assert.ErrorIs(t, err, asyncq.ErrPayloadDiffers)
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			assert.Equal(t, text, job.Payload)
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Payloads = payloads }))
		defer stop()
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		time.Sleep(time.Minute)
		require.NotEmpty(t, payloads.keys)
		for _, key := range payloads.keys {
			_, err := payloads.Get(t.Context(), key)
			assert.ErrorIs(t, err, asyncq.ErrNotFound, "the payload of a job that has ended is still there")
		}
	})
}

// A notifier is told once more after it has failed, and the job is not done again.
func TestNotify(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var told []asyncq.Notification
		var runs atomic.Int32
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			runs.Add(1)
			return upper(ctx, job)
		}, func(o *asyncq.WorkerOptions) {
			o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
				told = append(told, n)
				if len(told) < 3 {
					return errors.New("not now")
				}
				return nil
			})
		}))
		defer stop()
		id := w.submit(asyncq.Request[string]{Payload: "x", CallbackURL: "https://example.com/done"})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, told, 3)
		for _, n := range told {
			assert.Equal(t, told[0].ID, n.ID)
			assert.Equal(t, id, n.Status.ID)
			assert.Equal(t, asyncq.Completed, n.Status.State)
			assert.Equal(t, "https://example.com/done", n.CallbackURL)
		}
		assert.EqualValues(t, 1, runs.Load())
		assert.True(t, w.get(id).Notified)
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(testQueues.Normal))
	})
}

func TestTraceContext(t *testing.T) {
	type key struct{}
	bubble(t, func(t *testing.T, w *world) {
		const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		p := w.producer(func(o *asyncq.ProducerOptions) { o.TraceParent = func(context.Context) string { return parent } })
		id, err := p.Submit(t.Context(), asyncq.Request[string]{Payload: "x"})
		require.NoError(t, err)
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			assert.Equal(t, parent, ctx.Value(key{}))
			return nil
		}, func(o *asyncq.WorkerOptions) {
			o.WithTrace = func(ctx context.Context, p string) context.Context { return context.WithValue(ctx, key{}, p) }
		}))
		defer stop()
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
	})
}

// The worker of the last attempt dies between the result and the status: the job
// is completed with that result, and neither run again nor failed.
func TestResultOfAWorkerThatDied(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		dying := &mortal{status: w.status, kill: func() {}, QueueAPI: w.queues}
		handler := func(ctx context.Context, job *asyncq.Job[string]) error {
			if job.Attempt < 3 {
				return errors.New("not yet")
			}
			return upper(ctx, job)
		}
		stop := w.start(w.worker(handler, func(o *asyncq.WorkerOptions) {
			o.Status = dying
			o.Results = hooked{w.results, func() { dying.mu.Lock(); dying.dead = true; dying.mu.Unlock() }}
		}))
		time.Sleep(time.Hour)
		stop()
		require.Equal(t, 3, w.get(id).Attempt)
		require.Equal(t, asyncq.Processing, w.get(id).State)

		stop = w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
			t.Error("the job runs again")
			return nil
		}))
		defer stop()
		s := w.wait(id)
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Equal(t, `"X"`, w.result(s))
	})
}

// hooked calls a function when something was stored.
type hooked struct {
	asyncq.BlobStore
	stored func()
}

func (h hooked) Put(ctx context.Context, key string, data []byte) error {
	defer h.stored()
	return h.BlobStore.Put(ctx, key, data)
}

func TestResult(t *testing.T) {
	ctx := context.Background()
	results := asyncq.NewMemoryBlobs()
	require.NoError(t, results.Put(ctx, "results/a", []byte(`{"canary":1}`)))
	done := asyncq.Status{ID: "a", State: asyncq.Completed, ResultKey: "results/a"}
	v, err := asyncq.Result[map[string]int](ctx, results, done)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"canary": 1}, v)

	_, err = asyncq.Result[int](ctx, results, done)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary")
	_, err = asyncq.Result[int](ctx, results, asyncq.Status{ID: "a", State: asyncq.Failed})
	assert.ErrorIs(t, err, asyncq.ErrNoResult)
	done.ResultKey = "results/b"
	_, err = asyncq.Result[int](ctx, results, done)
	assert.ErrorIs(t, err, asyncq.ErrNotFound)
}

// What a prompt, an error or a panic holds is in no log, event, status,
// dead letter or notification.
func TestCanary(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const canary = "canary-4711"
		var log strings.Builder
		var mu sync.Mutex
		logger := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), &slog.HandlerOptions{Level: slog.LevelDebug}))
		var told []asyncq.Notification
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			switch job.Metadata["how"] {
			case "panic":
				panic(job.Payload)
			case "retry":
				if job.Attempt < 3 {
					return errors.New(job.Payload)
				}
				return asyncq.JobDead(errors.New(job.Payload))
			case "cancel":
				return asyncq.JobCancel(errors.New(job.Payload))
			case "throttled":
				if job.ReceiveCount == 1 {
					return &bedrockx.Error{Kind: bedrockx.KindThrottled, Err: errors.New(job.Payload), RetryAfter: time.Hour}
				}
			}
			return job.SetResult(job.Payload)
		}, func(o *asyncq.WorkerOptions) {
			o.Logger = logger
			o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, n)
				return nil
			})
		}))
		for _, how := range []string{"panic", "retry", "cancel", "throttled", "well"} {
			w.submit(asyncq.Request[string]{ID: how, Payload: canary, Metadata: map[string]string{"how": how}})
		}
		number := newProducer[[]string](w)
		_, err := number.Submit(t.Context(), asyncq.Request[[]string]{ID: "type", Payload: []string{canary}})
		require.NoError(t, err)
		seen := ""
		for _, id := range []string{"panic", "retry", "cancel", "throttled", "well", "type"} {
			seen += fmt.Sprintf("%+v\n", w.wait(id))
		}
		stop()
		for _, d := range w.deadLetters() {
			assert.Contains(t, d.Body, canary)
			d.Body = ""
			seen += fmt.Sprintf("%+v\n", d.Reason)
		}
		require.Len(t, told, 6)
		assert.NotContains(t, seen, canary)
		assert.NotContains(t, fmt.Sprintf("%+v", told), canary)
		assert.NotContains(t, fmt.Sprintf("%+v", w.events.all), canary)
		assert.NotContains(t, log.String(), canary)
		assert.Contains(t, log.String(), "panicked")
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
