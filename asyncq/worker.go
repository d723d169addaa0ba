package asyncq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Worker runs the jobs of its queues. It is safe for concurrent use.
type Worker[T any] struct{ *engine }

// NewWorker returns a worker. It does nothing until [Worker.Run], which also validates
// the options.
func NewWorker[T any](api QueueAPI, handler Handler[T], optFns ...func(*WorkerOptions)) *Worker[T] {
	return &Worker[T]{newEngine(api, doing(handler), optFns)}
}

// doing is a handler without the type of its payloads.
func doing[T any](handler Handler[T]) func(context.Context, *envelope, *delivery, int, *running) error {
	if handler == nil {
		return nil
	}
	return func(ctx context.Context, e *envelope, d *delivery, attempt int, run *running) error {
		job := &Job[T]{ID: e.ID, Priority: e.Priority, Group: e.Group, CallbackURL: e.CallbackURL, Metadata: maps.Clone(e.Metadata),
			CreatedAt: e.CreatedAt, Attempt: attempt, ReceiveCount: d.receives, TraceParent: d.attribute("traceparent"), run: run}
		if err := json.Unmarshal(e.Payload, &job.Payload); err != nil {
			return &poison{reason: fmt.Sprintf("the payload is not a %T: %T", job.Payload, err)}
		}
		return handler(ctx, job)
	}
}

// engine is a worker: an inbox, an executor, and the goroutines between them.
type engine struct {
	api QueueAPI
	o   WorkerOptions
	in  *inbox
	x   *executor

	started bool      // the rest is guarded by in.mu
	slowed  time.Time // when the limit was halved last
}

func newEngine(api QueueAPI, do func(context.Context, *envelope, *delivery, int, *running) error, optFns []func(*WorkerOptions)) *engine {
	var o WorkerOptions
	for _, fn := range optFns {
		fn(&o)
	}
	o.resolve()
	prefetch, most := max(o.Prefetch, 0), max(o.Prefetch, 0)
	if o.Prefetch == 0 {
		prefetch, most = o.Concurrency, 10*o.Concurrency
	}
	x := newExecutor(o.JobOptions, o.Visibility, max(o.DrainGrace, 0)*4/5, do)
	w := &engine{api: api, o: o, x: x, in: newInbox(api, inboxOptions{concurrency: o.Concurrency, prefetch: prefetch, mostPrefetch: most,
		visibility: o.Visibility, waitTime: o.WaitTime, linger: o.Linger, ledger: x.ledger, alarm: x.alarm})}
	x.slow, x.quick = w.slow, w.quick
	return w
}

// Health returns the state of the worker.
func (w *engine) Health() Health {
	lastError := w.x.alarm.lastError()
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	h := Health{Running: w.in.out, Limit: w.in.limit, Paused: w.in.paused, Draining: w.in.draining, LastError: lastError}
	h.Waiting, h.Held, _ = w.in.counts()
	return h
}

// Stats returns what the worker has done and does now.
func (w *engine) Stats() Stats {
	s := w.x.ledger.stats()
	s.Health = w.Health()
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	if _, _, oldest := w.in.counts(); !oldest.IsZero() {
		s.Oldest = time.Since(oldest)
	}
	return s
}

// Pause stops the worker from starting jobs and receiving messages. Running jobs go
// on. [Worker.Resume] ends it.
func (w *engine) Pause() { w.setPaused(true) }

// Resume ends a pause.
func (w *engine) Resume() { w.setPaused(false) }

func (w *engine) setPaused(paused bool) {
	w.in.mu.Lock()
	w.in.paused = paused
	w.in.mu.Unlock()
	w.in.signal()
}

// Run works until ctx ends, and then drains: no more jobs start, waiting messages
// become visible to others again, and running jobs have DrainTimeout to end. It then
// returns nil. It returns an error at once if the options or the queues are wrong. A
// worker can run only once.
func (w *engine) Run(ctx context.Context) error {
	if w == nil {
		return errors.New("asyncq: the worker is not made by NewWorker")
	}
	w.in.mu.Lock()
	again := w.started
	w.started = true
	w.in.mu.Unlock()
	if again {
		return errors.New("asyncq: the worker has run before; make a new one")
	}
	if err := w.open(ctx); err != nil {
		return err
	}

	// What ends later than ctx: handlers until the drain is over, and the
	// requests that let SQS know what became of messages.
	background := context.WithoutCancel(ctx)
	jobs, stopJobs := context.WithCancelCause(background)
	defer stopJobs(ErrDraining)
	late, stopLate := lasting(jobs, w.x.grace) // to report what came of jobs
	defer stopLate()
	tail, stopTail := context.WithCancel(background)
	defer stopTail()

	var pollers, flushers, beats, handlers sync.WaitGroup
	for _, s := range w.in.sources {
		for range receivesAtOnce {
			pollers.Go(func() { w.in.poll(ctx, s) })
		}
		flushers.Go(func() { w.in.flush(tail, s.acks, w.in.deleteBatch) })
		flushers.Go(func() { w.in.flush(tail, s.changes, w.in.changeBatch) })
	}
	beating, stopBeats := context.WithCancel(background)
	beats.Go(func() { w.in.heartbeat(beating) })

	for ctx.Err() == nil {
		w.dispatch(jobs, late, &handlers)
		select {
		case <-ctx.Done():
		case <-w.in.wake:
		}
	}

	// If SQS does not answer, what it has to know can hold up all that follows.
	timer := time.AfterFunc(max(w.o.DrainTimeout, 0)+max(w.o.DrainGrace, 0), stopTail)
	w.in.drain() // before the pollers end, so that none asks for more
	pollers.Wait()
	w.in.drain() // what came meanwhile
	finished := make(chan struct{})
	go func() { // ends with the handlers
		defer close(finished)
		handlers.Wait()
	}()
	if !within(w.o.DrainTimeout, finished) {
		stopJobs(ErrDraining)
		if !within(w.o.DrainGrace, finished) {
			w.o.Logger.Error("asyncq: handlers do not end with their context; their messages become visible by themselves", "running", w.Health().Running)
		}
	}
	timer.Reset(10 * time.Second)
	stopBeats()
	beats.Wait()
	for _, s := range w.in.sources {
		s.close()
	}
	flushers.Wait()
	timer.Stop()
	return nil
}

// within waits for done, but not longer.
func within(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// open finds the queues.
func (w *engine) open(ctx context.Context) error {
	if err := w.o.check(w.api, w.x.do != nil); err != nil {
		return err
	}
	q, weights := w.o.Queues, w.o.Weights
	switch {
	case q.High == "" && q.Normal == "" && q.Low == "" && q.Ordered == "":
		return errors.New("asyncq: WorkerOptions.Queues names no queue to receive from; set High, Normal, Low or Ordered")
	case isFIFO(q.High), isFIFO(q.Normal), isFIFO(q.Low), isFIFO(q.DeadLetter):
		return errors.New("asyncq: one of WorkerOptions.Queues is a FIFO queue; only Ordered may be one")
	case q.Ordered != "" && !isFIFO(q.Ordered):
		return fmt.Errorf("asyncq: WorkerOptions.Queues.Ordered is %q, which is not a FIFO queue: its name would end with .fifo", queueName(q.Ordered))
	case q.DeadLetter != "" && slices.Contains([]string{queueName(q.High), queueName(q.Normal), queueName(q.Low)}, queueName(q.DeadLetter)):
		return fmt.Errorf("asyncq: WorkerOptions.Queues.DeadLetter is %q, from which jobs are received; dead letters need a queue of their own", queueName(q.DeadLetter))
	}
	for _, one := range []struct {
		name   string
		weight int
	}{{q.High, weights.High}, {q.Normal, weights.Normal}, {q.Low, weights.Low}, {q.Ordered, weights.Ordered}} {
		if one.name == "" {
			continue
		}
		url, err := queueURL(ctx, w.api, one.name)
		if err != nil {
			return err
		}
		w.in.add(url, one.weight)
	}
	if q.DeadLetter == "" {
		return nil
	}
	url, err := queueURL(ctx, w.api, q.DeadLetter)
	w.x.letters = letterbox(w.api, url)
	return err
}

// dispatch begins jobs while there are slots and messages.
func (w *engine) dispatch(ctx, late context.Context, handlers *sync.WaitGroup) {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	for d := w.in.take(); d != nil; d = w.in.take() {
		handlers.Go(func() { w.work(ctx, late, d) })
	}
	w.in.askForMore()
}

// work does a job, and then others as long as there are any: a goroutine of its
// own for each would have its stack grown each time.
func (w *engine) work(ctx, late context.Context, d *delivery) {
	defer func() {
		if d != nil { // a handler has ended the goroutine, as a test's FailNow does
			w.in.settle(d, w.x.interrupted("interrupted"))
			w.in.signal()
		}
	}()
	for d != nil {
		out := w.x.process(ctx, late, d)
		done := d
		d = nil
		w.in.settle(done, out)
		w.in.mu.Lock()
		d = w.in.take()
		// A group that is free again, or a higher limit, may let one more begin.
		another := w.in.canTake()
		w.in.askForMore()
		w.in.mu.Unlock()
		if another {
			w.in.signal()
		}
	}
}

// slow halves the limit when a model throttles, quick raises it slowly when one
// has answered. What is throttled within a second was sent at one pace, and is one
// reason to go slower.
func (w *engine) slow() {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	if now := time.Now(); now.Sub(w.slowed) >= time.Second {
		w.in.limit, w.slowed = max(1, w.in.limit/2), now
	}
}

func (w *engine) quick() {
	w.in.mu.Lock()
	w.in.limit = min(float64(w.o.Concurrency), w.in.limit+1/w.in.limit)
	w.in.mu.Unlock()
}
