package asyncq

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// JobOptions say how a [Worker] or an [Executor] runs jobs. The zero value of a field
// means its default.
type JobOptions struct {
	// Status is the status store of the producers. It is required. Results keeps what
	// handlers pass to Job.SetResult, which fails without it. Payloads is the payload
	// store of the producers, if they have one.
	Status   StatusStore
	Results  BlobStore
	Payloads BlobStore

	// Notifier is called at the end of each job. There is none by default.
	Notifier Notifier

	// MaxAttempts is how often a job is started before it goes to the dead-letter
	// queue. The default is 3. Waiting is not an attempt: for a model that throttles,
	// for a store that is down, or because of JobRetry.
	MaxAttempts int

	// JobTimeout bounds each call of the handler. The default is 15 minutes; negative
	// means no bound.
	JobTimeout time.Duration

	// BaseDelay and MaxDelay bound the wait before the next attempt: a random
	// time of at most BaseDelay × 2^(attempt-1). The defaults are 5 s and 15 min.
	BaseDelay, MaxDelay time.Duration

	// Throttled reports whether an error says that the model throttles, or that there
	// are no credentials. The default knows the kinds of bedrockx. Such a job keeps
	// its message and its slot, and is started again after at most 30 s, or at the
	// time that the model has asked for. After MaxHold it waits for MaxDelay without a
	// slot. The default of MaxHold is 15 minutes for a worker and 10 s in AWS Lambda.
	// None of this counts as an attempt.
	Throttled func(error) bool
	MaxHold   time.Duration

	// Retention is how long a status that no producer stored is kept. The default is 7
	// days.
	Retention time.Duration

	// WithTrace returns the context for a job whose submission had a W3C trace
	// context.
	WithTrace func(ctx context.Context, traceParent string) context.Context

	// Observe is called with each event, for metrics. It must be fast and safe for
	// concurrent use. There is none by default.
	Observe func(Event)

	// OnError is called with an *OpError for each request to SQS, a store or the
	// notifier that failed. It must be safe for concurrent use. There is none by
	// default; the log then has one error of each operation in a minute.
	OnError func(ctx context.Context, err error)

	// Logger gets what an operator should see. The default is slog.Default. No payload
	// is logged.
	Logger *slog.Logger
}

// resolve sets the defaults.
func (o *JobOptions) resolve(maxHold time.Duration) {
	setPositive(&o.MaxAttempts, 3)
	setDefault(&o.JobTimeout, 15*time.Minute)
	setPositive(&o.BaseDelay, 5*time.Second)
	setPositive(&o.MaxDelay, 15*time.Minute)
	if o.Throttled == nil {
		o.Throttled = throttled
	}
	setPositive(&o.MaxHold, maxHold)
	setPositive(&o.Retention, 7*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// WorkerOptions are the options of a [Worker]. The zero value of a field means its
// default.
type WorkerOptions struct {
	JobOptions

	// Queues are the queues to read; there is no default. A queue with an empty name
	// is not read, and at least one must have a name. Without a DeadLetter queue, a
	// job that cannot be done is left to the redrive policy of its own queue.
	Queues Queues

	// Concurrency is the maximum number of jobs that run at the same time, over all
	// queues. The default is 16. If a model throttles, fewer run for a while.
	Concurrency int

	// Prefetch is how many messages of each queue wait in the worker, ready to start.
	// The default is Concurrency or, if that is more, what the worker does in 50 ms,
	// up to ten times Concurrency. Negative means none.
	Prefetch int

	// Weights are the shares of the work that the priorities get while there is more
	// work than the worker can do. The defaults are 6, 3 and 1, and 3 for the ordered
	// queue. A queue with work always gets a share.
	Weights Weights

	// Visibility is how long a message is invisible to other workers. It is renewed
	// every third of this time, both for messages that wait here and for running jobs.
	// The default is 60 s, the minimum 3 s. It is rounded up to whole seconds. It is
	// also how long a lease lasts.
	Visibility time.Duration

	// WaitTime is how long SQS waits for a message. The default and maximum is 20 s.
	// It is rounded up to whole seconds. Negative means that SQS does not wait.
	WaitTime time.Duration

	// Linger is how long an acknowledgement waits for others, to be sent with them.
	// The default is 50 ms.
	Linger time.Duration

	// DrainTimeout is how much time running jobs have after the worker was asked to
	// stop. The default is 25 s. Then their context ends. After DrainGrace, 5 s by
	// default, the worker returns, even if they have not.
	DrainTimeout, DrainGrace time.Duration
}

// Weights are the shares of the work for each queue.
type Weights struct{ High, Normal, Low, Ordered int }

func (o *WorkerOptions) resolve() {
	o.JobOptions.resolve(15 * time.Minute)
	setPositive(&o.Concurrency, 16)
	setDefault(&o.Weights.High, 6)
	setDefault(&o.Weights.Normal, 3)
	setDefault(&o.Weights.Low, 1)
	setDefault(&o.Weights.Ordered, 3)
	setPositive(&o.Visibility, 60*time.Second)
	o.Visibility = min(max(wholeSeconds(o.Visibility), 3*time.Second), maxVisibility)
	setDefault(&o.WaitTime, 20*time.Second)
	o.WaitTime = min(max(wholeSeconds(o.WaitTime), 0), 20*time.Second)
	setDefault(&o.Linger, 50*time.Millisecond)
	setDefault(&o.DrainTimeout, 25*time.Second)
	setDefault(&o.DrainGrace, 5*time.Second)
}

// wholeSeconds rounds up to what SQS knows.
func wholeSeconds(d time.Duration) time.Duration {
	if rest := d % time.Second; rest > 0 {
		d += time.Second - rest
	}
	return d
}

// check says what is missing, before anything is received.
func (o *JobOptions) check(api QueueAPI, handler bool) error {
	switch {
	case !handler:
		return errors.New("asyncq: a worker needs a handler; it was given nil")
	case api == nil:
		return errors.New("asyncq: a worker needs a client of SQS; it was given nil")
	case o.Status == nil:
		return errors.New("asyncq: the option Status is missing; it is the status store of the producers")
	}
	return nil
}
