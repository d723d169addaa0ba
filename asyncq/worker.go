package asyncq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// WorkerOptions are those of a [Worker]. The zero value of a field means its
// default.
type WorkerOptions struct {
	// Queues are what is read; the default is [DefaultQueues]. A queue with an
	// empty name is not read. Without a DeadLetter queue a job that cannot be
	// done is left to the redrive policy of its own queue.
	Queues Queues

	// Status must be that of the producers; the default is one in memory,
	// which knows of no job until it comes. Results keeps what handlers give
	// with Job.SetResult; the default is in memory. Payloads is that of the
	// producers, if they have one.
	Status   StatusStore
	Results  BlobStore
	Payloads BlobStore

	// Notifier is told of the end of each job. There is none by default.
	Notifier Notifier

	// Concurrency is how many jobs are done at once, over all queues; the
	// default is 16. It is the most: where a model throttles, there are fewer
	// for a while.
	Concurrency int

	// Prefetch is how many messages of each queue wait within the worker. The
	// default is Concurrency or, where that is more, what the worker does in
	// 50 ms, up to ten times Concurrency. Negative means none.
	Prefetch int

	// Weights say how much of the work each priority gets while there is more
	// than can be done; the defaults are 6, 3 and 1, and 3 for the ordered
	// queue. A queue with work is never left out.
	Weights Weights

	// Visibility is how long a message is invisible to others; it is renewed
	// every third of it, for messages that wait here as well as for those that
	// are worked on. The default is 60 s. It is also how long a lease lasts.
	Visibility time.Duration

	// WaitTime is how long SQS waits for a message, at most 20 s, the default.
	// Negative means not at all.
	WaitTime time.Duration

	// MaxAttempts is how often a job is begun before it goes to the dead-letter
	// queue; the default is 3. Waiting for a model that throttles is no attempt.
	MaxAttempts int

	// JobTimeout bounds each attempt; the default is 15 minutes, negative means
	// not at all.
	JobTimeout time.Duration

	// BaseDelay and MaxDelay bound the wait before the next attempt: a random
	// time of at most BaseDelay × 2^(attempt-1). The defaults are 5 s and 15 min.
	BaseDelay, MaxDelay time.Duration

	// Throttled reports whether an error says that the model takes no more for
	// now. The default knows the kinds of bedrockx. Such a job keeps its message
	// and is begun again in at most 30 s, or when the model has asked it to be, for
	// MaxHold at the most, which is 15 minutes by default. Then it is given back
	// for MaxDelay. None of this counts as an attempt. A result that cannot be
	// stored is held as long, so that it is not asked for again.
	Throttled func(error) bool
	MaxHold   time.Duration

	// Linger is how long an acknowledgement waits for others; the default is
	// 50 ms.
	Linger time.Duration

	// DrainTimeout is how long running jobs have when the worker is to stop;
	// the default is 25 s. Then their context ends, and after DrainGrace, 5 s,
	// the worker returns, whether or not they have.
	DrainTimeout, DrainGrace time.Duration

	// Keep is how long the status of a job that no producer stored is kept; the
	// default is 7 days.
	Keep time.Duration

	// WithTrace returns the context of a job whose submission had a W3C trace
	// context.
	WithTrace func(ctx context.Context, traceParent string) context.Context

	// Observe is told what happens, for metrics. It must be fast and safe for
	// concurrent use.
	Observe func(Event)

	// Logger is told what somebody should look at; the default is
	// slog.Default. No payload is logged.
	Logger *slog.Logger
}

// Weights are shares of the work.
type Weights struct{ High, Normal, Low, Ordered int }

// EventKind says what an [Event] is.
type EventKind string

// The kinds.
const (
	EventReceived     EventKind = "received"      // Count messages came
	EventStarted      EventKind = "started"       // an attempt began
	EventCompleted    EventKind = "completed"     // a job was done
	EventCancelled    EventKind = "cancelled"     // a job was given up by its handler
	EventFailed       EventKind = "failed"        // a job has failed for good
	EventRetried      EventKind = "retried"       // a job will be tried again
	EventThrottled    EventKind = "throttled"     // the model takes no more for now
	EventDeadLettered EventKind = "dead_lettered" // a job went to the dead-letter queue
	EventDuplicate    EventKind = "duplicate"     // a message of a job that has ended, or that another has
	EventReleased     EventKind = "released"      // a message was given back undone
	EventAPIError     EventKind = "api_error"     // a request to SQS or a store failed
)

// An Event is something that a worker did.
type Event struct {
	Kind       EventKind
	Queue      string
	JobID      string
	Attempt    int
	Count      int           // of messages, for EventReceived
	Duration   time.Duration // of the attempt; for EventStarted the time since the submission
	ErrorClass string
}

// A Worker does the jobs of its queues.
type Worker[T any] struct{ *engine }

// NewWorker returns a worker. It does nothing until [Worker.Run].
func NewWorker[T any](api QueueAPI, handler Handler[T], optFns ...func(*WorkerOptions)) *Worker[T] {
	return &Worker[T]{newEngine(api, func(ctx context.Context, e *envelope, d *delivery, attempt int, run *running) error {
		job := &Job[T]{ID: e.ID, Priority: e.Priority, Group: e.Group, CallbackURL: e.CallbackURL, Metadata: maps.Clone(e.Metadata),
			CreatedAt: e.CreatedAt, Attempt: attempt, ReceiveCount: d.receives, TraceParent: d.attribute("traceparent"), run: run}
		if err := json.Unmarshal(e.Payload, &job.Payload); err != nil {
			return &poison{reason: fmt.Sprintf("the payload is not a %T: %T", job.Payload, err)}
		}
		return handler(ctx, job)
	}, optFns)}
}

// engine is a worker without the type of its payloads.
type engine struct {
	api          QueueAPI
	o            WorkerOptions
	mostPrefetch int
	do           func(context.Context, *envelope, *delivery, int, *running) error
	deadURL      string

	mu       sync.Mutex
	wake     chan struct{} // something has changed for the dispatcher
	sources  []*source
	running  int
	limit    float64 // of running, between 1 and Concurrency
	slowed   time.Time
	paused   bool
	started  bool
	draining bool
	lastErr  error
	held     map[*delivery]struct{} // whose visibility is renewed
	ended    int                    // jobs since the pace was taken
	paced    time.Time
	pace     float64 // jobs a second
}

func newEngine(api QueueAPI, do func(context.Context, *envelope, *delivery, int, *running) error, optFns []func(*WorkerOptions)) *engine {
	var o WorkerOptions
	for _, fn := range optFns {
		fn(&o)
	}
	setDefault(&o.Queues, DefaultQueues)
	if o.Status == nil {
		o.Status = NewMemoryStatus()
	}
	if o.Results == nil {
		o.Results = NewMemoryBlobs()
	}
	setPositive(&o.Concurrency, 16)
	mostPrefetch := o.Prefetch
	if o.Prefetch == 0 {
		o.Prefetch, mostPrefetch = o.Concurrency, 10*o.Concurrency
	}
	o.Prefetch, mostPrefetch = max(o.Prefetch, 0), max(mostPrefetch, 0)
	setDefault(&o.Weights.High, 6)
	setDefault(&o.Weights.Normal, 3)
	setDefault(&o.Weights.Low, 1)
	setDefault(&o.Weights.Ordered, 3)
	setPositive(&o.Visibility, 60*time.Second)
	o.Visibility = min(max(o.Visibility, 3*time.Second), maxVisibility)
	setDefault(&o.WaitTime, 20*time.Second)
	o.WaitTime = min(max(o.WaitTime, 0), 20*time.Second)
	setPositive(&o.MaxAttempts, 3)
	setDefault(&o.JobTimeout, 15*time.Minute)
	setPositive(&o.BaseDelay, 5*time.Second)
	setPositive(&o.MaxDelay, 15*time.Minute)
	if o.Throttled == nil {
		o.Throttled = throttled
	}
	setDefault(&o.MaxHold, 15*time.Minute)
	setDefault(&o.Linger, 50*time.Millisecond)
	setDefault(&o.DrainTimeout, 25*time.Second)
	setDefault(&o.DrainGrace, 5*time.Second)
	setPositive(&o.Keep, 7*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &engine{api: api, o: o, mostPrefetch: mostPrefetch, do: do, wake: make(chan struct{}, 1), limit: float64(o.Concurrency), held: map[*delivery]struct{}{}}
}

// throttled knows the errors of bedrockx that time mends.
func throttled(err error) bool {
	switch bedrockx.KindOf(err) {
	case bedrockx.KindThrottled, bedrockx.KindOverloaded, bedrockx.KindNotReady, bedrockx.KindLimited, bedrockx.KindQuota, bedrockx.KindDailyQuota:
		return true
	}
	return false
}

// Health is how a worker is, for a health check.
type Health struct {
	Running   int     `json:"running"`              // jobs under way
	Waiting   int     `json:"waiting"`              // messages that wait within the worker
	Limit     float64 `json:"limit"`                // of Running, for now
	Paused    bool    `json:"paused"`               // by Pause
	Draining  bool    `json:"draining"`             // Run's context has ended
	LastError string  `json:"last_error,omitempty"` // of SQS or a store; empty once a receive has succeeded
}

// Health tells how the worker is.
func (w *engine) Health() Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := Health{Running: w.running, Limit: w.limit, Paused: w.paused, Draining: w.draining}
	for _, s := range w.sources {
		h.Waiting += s.waiting()
	}
	if w.lastErr != nil {
		h.LastError = w.lastErr.Error()
	}
	return h
}

// Pause has the worker begin no more jobs and receive no more messages; what runs
// goes on. [Worker.Resume] ends it.
func (w *engine) Pause() { w.setPaused(true) }

// Resume ends a pause.
func (w *engine) Resume() { w.setPaused(false) }

func (w *engine) setPaused(paused bool) {
	w.mu.Lock()
	w.paused = paused
	w.mu.Unlock()
	w.signal()
}

// signal wakes the dispatcher, and it the pollers.
func (w *engine) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *engine) observe(e Event) {
	if w.o.Observe != nil {
		w.o.Observe(e)
	}
}

// failed notes a request to SQS or a store that failed.
func (w *engine) failed(what string, err error) {
	w.mu.Lock()
	w.lastErr = err
	w.mu.Unlock()
	w.o.Logger.Warn("asyncq: "+what, "error", err)
	w.observe(Event{Kind: EventAPIError, ErrorClass: errorClass(err)})
}

// A delivery is a message that this worker has.
type delivery struct {
	src      *source
	msg      types.Message
	received time.Time
	receives int
	group    string
}

func newDelivery(s *source, m types.Message) *delivery {
	d := &delivery{src: s, msg: m, received: time.Now()}
	d.receives, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if s.fifo {
		d.group = m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
	}
	return d
}

func (d *delivery) attribute(name string) string {
	return aws.ToString(d.msg.MessageAttributes[name].StringValue)
}

// Run works until ctx ends, and then drains: nothing more is begun, what waits is
// made visible to others again, and what runs has DrainTimeout. It returns nil
// after that, or at once what is wrong with the queues. A worker runs once.
func (w *engine) Run(ctx context.Context) error {
	w.mu.Lock()
	again := w.started
	w.started = true
	w.mu.Unlock()
	if again {
		return errors.New("asyncq: the worker has run before; make a new one")
	}
	if err := w.open(ctx); err != nil {
		return err
	}

	// What ends later than ctx: handlers until the drain is over, and the
	// requests that tell SQS what became of messages.
	background := context.WithoutCancel(ctx)
	jobs, stopJobs := context.WithCancelCause(background)
	defer stopJobs(ErrDraining)
	tail, stopTail := context.WithCancel(background)
	defer stopTail()

	var pollers, flushers, beats, handlers sync.WaitGroup
	for _, s := range w.sources {
		for range receivesAtOnce {
			pollers.Go(func() { w.poll(ctx, s) })
		}
		flushers.Go(func() { w.flush(tail, s.acks, w.deleteBatch) })
		flushers.Go(func() { w.flush(tail, s.changes, w.changeBatch) })
	}
	beating, stopBeats := context.WithCancel(background)
	beats.Go(func() { w.heartbeat(beating) })

	for ctx.Err() == nil {
		w.dispatch(jobs, &handlers)
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
	}

	w.mu.Lock()
	w.draining = true
	w.mu.Unlock()
	// Where SQS does not answer, what is to be told to it can hold up all that
	// follows.
	timer := time.AfterFunc(max(w.o.DrainTimeout, 0)+max(w.o.DrainGrace, 0), stopTail)
	pollers.Wait()
	w.releaseWaiting()
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
	for _, s := range w.sources {
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
	q, weights := w.o.Queues, w.o.Weights
	fifo := func(name string) bool { return strings.HasSuffix(name, ".fifo") }
	switch {
	case fifo(q.High), fifo(q.Normal), fifo(q.Low), fifo(q.DeadLetter):
		return errors.New("asyncq: one of WorkerOptions.Queues is a FIFO queue; only Ordered is one")
	case q.Ordered != "" && !fifo(q.Ordered):
		return fmt.Errorf("asyncq: WorkerOptions.Queues.Ordered is %q, which is no FIFO queue: its name would end with .fifo", queueName(q.Ordered))
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
		w.sources = append(w.sources, newSource(url, max(one.weight, 1)))
	}
	if len(w.sources) == 0 {
		return errors.New("asyncq: the worker has no queue; see WorkerOptions.Queues")
	}
	return w.openDead(ctx)
}

// openDead finds the dead-letter queue, if there is to be one.
func (w *engine) openDead(ctx context.Context) error {
	w.mu.Lock()
	known := w.deadURL != "" || w.o.Queues.DeadLetter == ""
	w.mu.Unlock()
	if known {
		return nil
	}
	url, err := queueURL(ctx, w.api, w.o.Queues.DeadLetter)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadURL == "" { // it is never written again, and so read without the lock
		w.deadURL = url
	}
	return nil
}

// dispatch begins jobs while there are slots and messages.
func (w *engine) dispatch(ctx context.Context, handlers *sync.WaitGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		d := w.begin()
		if d == nil {
			break
		}
		handlers.Go(func() { w.work(ctx, d) })
	}
	w.askForMore()
}

// work does a job, and then others as long as there are any: a goroutine of its
// own for each would have its stack grown each time.
func (w *engine) work(ctx context.Context, d *delivery) {
	defer func() {
		if d == nil {
			return
		}
		// A handler has ended the goroutine, as a test's FailNow does.
		w.mu.Lock()
		w.running--
		released := d.src.finished(d, false)
		w.mu.Unlock()
		for _, r := range released {
			w.release(r, 0)
		}
		w.signal()
	}()
	for d != nil {
		done := w.process(ctx, d)
		w.mu.Lock()
		w.running--
		w.ended++
		released := d.src.finished(d, done)
		d = w.begin()
		// A group that is free again, or a higher limit, may let one more begin.
		another := w.running < int(w.limit) && slices.ContainsFunc(w.sources, (*source).ready)
		w.askForMore()
		w.mu.Unlock()
		for _, r := range released {
			w.release(r, 0)
		}
		if another {
			w.signal()
		}
	}
}

// begin takes the next message if there is a slot for it. w.mu is held.
func (w *engine) begin() *delivery {
	if w.paused || w.draining || w.running >= int(w.limit) {
		return nil
	}
	d := w.next()
	if d != nil {
		w.running++
	}
	return d
}

// askForMore wakes the pollers that have room. w.mu is held.
func (w *engine) askForMore() {
	for _, s := range w.sources {
		if w.roomOf(s) > 0 {
			s.signal()
		}
	}
}

// next is the message to work on: of the queues that have one, by smooth
// weighted round robin. w.mu is held.
func (w *engine) next() *delivery {
	var best *source
	total := 0
	for _, s := range w.sources {
		if !s.ready() {
			continue
		}
		total += s.weight
		s.current += s.weight
		if best == nil || s.current > best.current {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	best.current -= total
	return best.take()
}

// slow halves the limit when a model throttles, quick raises it slowly when one
// has answered. What is throttled within a second was sent at one pace, and is one
// reason to go slower.
func (w *engine) slow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.slowed) >= time.Second {
		w.limit, w.slowed = max(1, w.limit/2), now
	}
}

func (w *engine) quick() {
	w.mu.Lock()
	w.limit = min(float64(w.o.Concurrency), w.limit+1/w.limit)
	w.mu.Unlock()
}

// A source is one queue and its messages that wait here.
type source struct {
	name, url string
	fifo      bool
	weight    int
	current   int // of the round robin

	asked   int             // messages that requests under way may bring
	more    bool            // the last answer was full
	queue   []*delivery     // in the order in which they came
	busy    map[string]bool // groups that have one under way
	room    chan struct{}   // something has changed for the poller
	acks    chan change
	changes chan change
	sending sync.RWMutex // held to close them
	closed  bool
}

// A change is what SQS is to be told of a message.
type change struct {
	url     string
	receipt string
	after   time.Duration // until it is visible; for a deletion nothing
	renews  *delivery     // set where this is a renewal, which ends with the delivery
	tries   int
}

func newSource(url string, weight int) *source {
	return &source{name: queueName(url), url: url, fifo: strings.HasSuffix(url, ".fifo"), weight: weight, busy: map[string]bool{},
		room: make(chan struct{}, 1), acks: make(chan change, 1024), changes: make(chan change, 1024)}
}

func (s *source) signal() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// close ends the flushers, when what was sent before has been flushed.
func (s *source) close() {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.closed = true
	close(s.acks)
	close(s.changes)
}

// send hands a change to its flusher. That of a handler which outlives the worker
// is lost; its message becomes visible by itself.
func (s *source) send(to chan change, c change) {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if !s.closed {
		to <- c
	}
}

func (s *source) waiting() int { return len(s.queue) }

// ready reports whether a message can be worked on: of a FIFO queue one whose
// group has none under way.
func (s *source) ready() bool {
	for _, d := range s.queue {
		if !s.busy[d.group] || d.group == "" {
			return true
		}
	}
	return false
}

// take removes the first message that is ready.
func (s *source) take() *delivery {
	for i, d := range s.queue {
		if d.group != "" && s.busy[d.group] {
			continue
		}
		if i == 0 {
			s.queue[0], s.queue = nil, s.queue[1:]
		} else {
			s.queue = slices.Delete(s.queue, i, i+1)
		}
		if d.group != "" {
			s.busy[d.group] = true
		}
		return d
	}
	return nil
}

// finished frees a message's group. Where the message comes again, those that
// wait behind it must not overtake it, and are returned to be released.
func (s *source) finished(d *delivery, done bool) (released []*delivery) {
	if d.group == "" {
		return nil
	}
	delete(s.busy, d.group)
	if done {
		return nil
	}
	var kept []*delivery
	for _, other := range s.queue {
		if other.group == d.group {
			released = append(released, other)
		} else {
			kept = append(kept, other)
		}
	}
	s.queue = kept
	return released
}
