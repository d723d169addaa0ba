package asyncq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ExecutorOptions are the options of an [Executor]. The zero value of a field means
// its default.
type ExecutorOptions struct {
	JobOptions

	// DeadLetter is the name or URL of the queue for jobs that cannot be done. Without
	// it, they are left to the redrive policy of their own queue.
	DeadLetter string

	// Lease is how long this executor has a job without a renewal. It is renewed every
	// third of this time. The default is 60 s.
	Lease time.Duration

	// Grace is how much time there is to store the result of a job after its context
	// has ended. The default is 4 s.
	Grace time.Duration
}

// An Executor runs the jobs of messages that something else receives, such as the
// event source of AWS Lambda (package awslambda). It is safe for concurrent use.
type Executor[T any] struct {
	x   *executor
	api QueueAPI
	o   ExecutorOptions

	mu   sync.Mutex
	open bool // the dead-letter queue was found
}

// NewExecutor returns an executor of jobs with payloads of type T.
func NewExecutor[T any](api QueueAPI, handler Handler[T], optFns ...func(*ExecutorOptions)) *Executor[T] {
	var o ExecutorOptions
	for _, fn := range optFns {
		fn(&o)
	}
	o.JobOptions.resolve(10 * time.Second)
	setPositive(&o.Lease, 60*time.Second)
	setPositive(&o.Grace, 4*time.Second)
	return &Executor[T]{x: newExecutor(o.JobOptions, o.Lease, o.Grace, doing(handler)), api: api, o: o}
}

// Process runs the job of one message. It returns whether the message is done and can
// be deleted. If it is not done, the message should become visible again after the
// returned time. It returns an error, and does nothing, if the options are wrong or
// the dead-letter queue was not found.
//
// The message must have all its attributes. queue is the URL or the name of the queue
// that it comes from. If ctx ends with the cause [ErrDraining], the attempt does not
// count.
func (e *Executor[T]) Process(ctx context.Context, queue string, m types.Message) (done bool, after time.Duration, err error) {
	if err := e.o.check(e.api, e.x.do != nil); err != nil {
		return false, 0, err
	}
	if dead := queueName(e.o.DeadLetter); dead != "" && dead == queueName(queue) {
		return false, 0, fmt.Errorf("asyncq: ExecutorOptions.DeadLetter is %q, from which the message comes; dead letters need a queue of their own", dead)
	}
	if err := e.findDeadLetters(ctx); err != nil {
		return false, 0, err
	}
	late, cancel := lasting(ctx, e.o.Grace)
	defer cancel()
	out := e.x.process(ctx, late, newDelivery(m, queue, isFIFO(queue)))
	return out.fate == fateDelete, out.after, nil
}

// findDeadLetters finds the dead-letter queue once.
func (e *Executor[T]) findDeadLetters(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open || e.o.DeadLetter == "" {
		return nil
	}
	url, err := queueURL(ctx, e.api, e.o.DeadLetter)
	if err != nil {
		return err
	}
	e.x.letters, e.open = letterbox(e.api, url), true
	return nil
}

// Stats returns what the executor has done since it was made, and the jobs that wait
// in it. Fields about queues are zero.
func (e *Executor[T]) Stats() Stats {
	s := e.x.ledger.stats()
	s.LastError = e.x.alarm.lastError()
	return s
}
