package asyncq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// poison is the error of a job that can never be done.
type poison struct{ reason string }

func (e *poison) Error() string      { return e.reason }
func (e *poison) ErrorClass() string { return "poison" }

// outcome is what becomes of a message.
type outcome struct {
	ack   bool          // it is deleted
	after time.Duration // otherwise, when it comes again
}

// process works on a message to its end and tells SQS. It reports whether the
// message is done, so that the next one of its group may follow.
func (w *engine) process(ctx context.Context, d *delivery) (done bool) {
	out := outcome{after: w.o.Visibility}
	defer func() { // also where the handler has ended its goroutine
		if out.ack {
			w.ack(d)
		} else {
			w.release(d, out.after)
		}
	}()
	out = w.job(ctx, d)
	return out.ack
}

// Process does the job of one message that something else has received, such as
// the event source of AWS Lambda; [Worker.Run] is not needed for it. It reports
// whether the message is done and can be deleted. Where it is not, the message
// should become visible again after a time. The message must have all its
// attributes, and queue is the URL or the name of where it comes from.
//
// What ends the context with the cause [ErrDraining] does not count as an attempt.
func (w *engine) Process(ctx context.Context, queue string, m types.Message) (done bool, after time.Duration) {
	if err := w.openDead(ctx); err != nil {
		w.failed("finding the dead-letter queue", err)
		return false, w.backoff(1)
	}
	out := w.job(ctx, newDelivery(newSource(queue, 1), m))
	return out.ack, out.after
}

// job does what a message asks for, whatever has happened to it before: it may
// be new, come twice, or be what a worker left behind that was killed at any
// step. What is stored decides, and only conditionally.
func (w *engine) job(ctx context.Context, d *delivery) outcome {
	e, bad := w.unseal(d)
	if bad != nil {
		if e == nil {
			return w.bury(ctx, d, nil, nil, bad)
		}
		s, err := w.o.Status.Get(ctx, e.ID)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && s.State.Done():
			return w.bury(ctx, d, e, nil, bad)
		case err != nil:
			w.failed("reading the status of job "+e.ID, err)
			return outcome{after: w.backoff(d.receives)}
		}
		return w.fail(ctx, d, e, s, bad)
	}

	l, out, err := w.acquire(ctx, d, e)
	if err != nil {
		w.failed("reading or writing the status of job "+e.ID, err)
		return outcome{after: w.backoff(d.receives)}
	}
	if l == nil {
		return out
	}
	return w.attempt(ctx, d, e, l)
}

// unseal reads a message, or says why it can never be read.
func (w *engine) unseal(d *delivery) (*envelope, *poison) {
	var e envelope
	if err := json.Unmarshal([]byte(aws.ToString(d.msg.Body)), &e); err != nil {
		return nil, &poison{"the message is not JSON"}
	}
	switch {
	case !validID(e.ID):
		return nil, &poison{"the message has no request_id"}
	case e.Version != envelopeVersion:
		return &e, &poison{fmt.Sprintf("the message has the version %d, this worker reads %d", e.Version, envelopeVersion)}
	}
	return &e, nil
}

// load brings the payload, which is elsewhere if it is large. It is there as long
// as the job has not ended.
func (w *engine) load(ctx context.Context, e *envelope) error {
	if e.PayloadKey != "" {
		if w.o.Payloads == nil {
			return &poison{"the payload is in a store that the worker does not have; see WorkerOptions.Payloads"}
		}
		data, err := w.o.Payloads.Get(ctx, e.PayloadKey)
		if errors.Is(err, ErrNotFound) {
			return &poison{"the payload is not in its store"}
		}
		if err != nil {
			return &unstored{"reading a payload", err}
		}
		e.Payload = data
	}
	if sum := sha256.Sum256(e.Payload); hex.EncodeToString(sum[:]) != e.PayloadHash {
		return &poison{"the payload is not the one that was submitted"}
	}
	return nil
}

// unstored is the error of a store that could not be asked: nothing that the job
// is to blame for.
type unstored struct {
	what string
	err  error
}

func (e *unstored) Error() string { return e.what + ": " + e.err.Error() }
func (e *unstored) Unwrap() error { return e.err }

func (e *unstored) ErrorClass() string { return "store" }

// A lease is this worker's right to a job, as the status store has it.
type lease struct {
	w *engine

	mu     sync.Mutex
	status Status
	lost   bool
	cancel context.CancelCauseFunc // of the handler
}

// acquire takes the job, if it is to be had. Where the lease is nil, the outcome
// says what becomes of the message.
func (w *engine) acquire(ctx context.Context, d *delivery, e *envelope) (*lease, outcome, error) {
	now := time.Now().UTC()
	s, err := w.o.Status.Get(ctx, e.ID)
	if errors.Is(err, ErrNotFound) {
		// It was accepted, so it is done, though its status has expired or
		// was never stored.
		s = Status{ID: e.ID, State: Queued, Priority: e.Priority, Queue: d.src.name, Metadata: e.Metadata,
			CreatedAt: e.CreatedAt, UpdatedAt: now, ExpiresAt: now.Add(w.o.Keep), PayloadHash: e.PayloadHash}
		if err = w.o.Status.Create(ctx, s); errors.Is(err, ErrExists) {
			return nil, outcome{after: time.Second}, nil // another is as far
		}
		s.Version = 1
	}
	if err != nil {
		return nil, outcome{}, err
	}
	if !s.State.Done() && s.Attempt >= w.o.MaxAttempts && !(s.State == Processing && now.Before(s.LeaseUntil)) {
		// The last attempt did not come to its end: its worker was killed, if
		// not after it had stored the result.
		_, err := w.o.Results.Get(ctx, e.key("results"))
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, w.fail(ctx, d, e, s, &poison{fmt.Sprintf("%d attempts were begun and the last one has not ended", s.Attempt)}), nil
		case err != nil:
			return nil, outcome{}, err
		}
	}
	switch {
	case s.State == Failed && !s.DeadLettered:
		return nil, w.bury(ctx, d, e, &s, &poison{fmt.Sprintf("its attempts have failed, the last one with %q", s.ErrorClass)}), nil
	case s.State.Done():
		w.observe(Event{Kind: EventDuplicate, Queue: d.src.name, JobID: e.ID})
		return nil, w.notify(ctx, d, e, s), nil
	case s.State == Processing && now.Before(s.LeaseUntil):
		// Another worker has it. If that one dies, this message is what
		// brings the job back.
		w.observe(Event{Kind: EventDuplicate, Queue: d.src.name, JobID: e.ID})
		return nil, outcome{after: s.LeaseUntil.Sub(now) + time.Second}, nil
	}
	s.State, s.Attempt, s.Lease = Processing, s.Attempt+1, newID()
	s.StartedAt, s.UpdatedAt, s.LeaseUntil = now, now, now.Add(w.o.Visibility)
	s.Step, s.Steps = 0, 0
	if err := w.o.Status.Update(ctx, s); err != nil {
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
			return nil, outcome{after: time.Second}, nil
		}
		// It may have been written though the answer was lost.
		stored, getErr := w.o.Status.Get(ctx, e.ID)
		if getErr != nil || stored.Lease != s.Lease {
			return nil, outcome{}, err
		}
		return &lease{w: w, status: stored}, outcome{}, nil
	}
	s.Version++
	return &lease{w: w, status: s}, outcome{}, nil
}

// change updates the stored status. Where another has changed it, the lease is
// lost and the handler's context ends.
func (l *lease) change(ctx context.Context, set func(*Status)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return ErrLeaseLost
	}
	s := l.status.clone()
	set(&s)
	s.UpdatedAt = time.Now().UTC()
	err := l.w.o.Status.Update(ctx, s)
	if errors.Is(err, ErrConflict) {
		// Only who has the lease writes it, so this was ours, and its answer
		// was lost.
		stored, getErr := l.w.o.Status.Get(ctx, s.ID)
		if getErr != nil {
			return getErr
		}
		if stored.State == Processing && stored.Lease == l.status.Lease {
			s.Version = stored.Version
			err = l.w.o.Status.Update(ctx, s)
		}
	}
	switch {
	case err == nil:
		s.Version++
		l.status = s
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		l.lost = true
		if l.cancel != nil {
			l.cancel(ErrLeaseLost)
		}
		return ErrLeaseLost
	}
	return err
}

// now is the status as it was stored last.
func (l *lease) now() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.clone()
}

// settle is change, tried a few times: the work is done, only its record is
// missing.
func (l *lease) settle(ctx context.Context, set func(*Status)) error {
	return l.w.patiently(ctx, func() error { return l.change(ctx, set) })
}

// patiently asks a store up to four times.
func (w *engine) patiently(ctx context.Context, ask func() error) error {
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := ask()
		if err == nil || errors.Is(err, ErrLeaseLost) || try == 4 || ctx.Err() != nil {
			return err
		}
		sleep(ctx, rand.N(wait))
		wait *= 4
	}
}

// renew keeps the lease while the handler works, until stop is called or ctx is
// done. Nothing of it goes on when stop has returned.
func (l *lease) renew(ctx context.Context) (stop func()) {
	every := l.w.o.Visibility / 3
	var mu sync.Mutex
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped || ctx.Err() != nil {
			return
		}
		err := l.change(ctx, func(s *Status) { s.LeaseUntil = time.Now().UTC().Add(l.w.o.Visibility) })
		if err != nil && !errors.Is(err, ErrLeaseLost) && ctx.Err() == nil {
			l.w.failed("renewing a lease", err)
		}
		timer.Reset(every)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// attempt runs the handler and stores what came of it.
func (w *engine) attempt(ctx context.Context, d *delivery, e *envelope, l *lease) outcome {
	s := l.status
	run := &running{}
	resultKey := e.key("results")
	began := time.Now()
	w.observe(Event{Kind: EventStarted, Queue: d.src.name, JobID: e.ID, Attempt: s.Attempt, Duration: began.Sub(e.CreatedAt)})

	var err error
	stored := false
	if s.Attempt > 1 {
		// An attempt before may have stored its result and then died: it is
		// not paid for twice.
		_, getErr := w.o.Results.Get(ctx, resultKey)
		if stored = getErr == nil; !stored && !errors.Is(getErr, ErrNotFound) {
			err = &unstored{"reading a result", getErr}
		}
	}
	if !stored && err == nil {
		err = w.load(ctx, e)
	}
	if !stored && err == nil {
		err = w.handle(ctx, d, e, s.Attempt, l, run)
	}
	duration := time.Since(began)

	// What follows must be told though the drain is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err == nil && !stored && run.result != nil {
		stored = run.stored
		if !stored {
			putErr := w.put(ctx, resultKey, run.result)
			if stored = putErr == nil; !stored {
				err = &unstored{"storing a result", putErr}
			}
		}
	}
	var store *unstored
	if errors.As(err, &store) {
		w.failed(store.what, store.err)
		err = Retry(w.backoff(d.receives), err)
	}
	spent := func(s *Status) {
		s.Lease, s.LeaseUntil = "", time.Time{}
		s.ErrorClass = errorClass(err)
		s.Usage = s.Usage.Add(run.usage)
		if run.cost != nil {
			sum := *run.cost
			if s.Cost != nil {
				sum = sum.Add(*s.Cost)
			}
			s.Cost = &sum
		}
	}
	end := func(state State) func(*Status) {
		return func(s *Status) {
			spent(s)
			s.State, s.FinishedAt = state, time.Now().UTC()
			if stored {
				s.ResultKey = resultKey
			}
		}
	}
	report := func(kind EventKind) {
		w.observe(Event{Kind: kind, Queue: d.src.name, JobID: e.ID, Attempt: s.Attempt, Duration: duration, ErrorClass: errorClass(err)})
	}

	var retry *retryError
	var cancelled *cancelError
	var bad *poison
	var hopeless *dead
	if errors.As(err, &hopeless) {
		bad = &poison{fmt.Sprintf("it cannot be done: %q", errorClass(err))}
	}
	switch {
	case errors.Is(err, ErrLeaseLost):
		// Another has it and will end it.
		return outcome{after: w.o.Visibility}
	case err == nil:
		if settleErr := l.settle(ctx, end(Completed)); settleErr != nil {
			return w.unsettled(settleErr)
		}
		w.quick()
		report(EventCompleted)
		return w.notify(ctx, d, e, l.now())
	case errors.As(err, &cancelled):
		if settleErr := l.settle(ctx, end(Cancelled)); settleErr != nil {
			return w.unsettled(settleErr)
		}
		report(EventCancelled)
		return w.notify(ctx, d, e, l.now())
	case errors.As(err, &retry), errors.Is(err, ErrDraining):
		after := time.Duration(0)
		if retry != nil {
			after = retry.after
		}
		// Neither was a failure, so neither is an attempt.
		if settleErr := l.settle(ctx, func(s *Status) { spent(s); s.State, s.Attempt = Queued, s.Attempt-1 }); settleErr != nil {
			return w.unsettled(settleErr)
		}
		report(EventRetried)
		return outcome{after: after}
	case bad != nil || errors.As(err, &bad) || s.Attempt >= w.o.MaxAttempts:
		if settleErr := l.settle(ctx, end(Failed)); settleErr != nil {
			return w.unsettled(settleErr)
		}
		report(EventFailed)
		if bad == nil {
			bad = &poison{fmt.Sprintf("%d attempts have failed, the last one with %q", s.Attempt, errorClass(err))}
		}
		final := l.now()
		return w.bury(ctx, d, e, &final, bad)
	}
	if settleErr := l.settle(ctx, func(s *Status) { spent(s); s.State = Queued }); settleErr != nil {
		return w.unsettled(settleErr)
	}
	report(EventRetried)
	return outcome{after: w.backoff(s.Attempt)}
}

// steers reports whether an error is one of Retry, Cancel and Dead, which decide
// also where their reason is that the model throttles.
func steers(err error) bool {
	var retry *retryError
	var cancelled *cancelError
	var hopeless *dead
	return errors.As(err, &retry) || errors.As(err, &cancelled) || errors.As(err, &hopeless)
}

// unsettled is the outcome of work whose record could not be written: the
// message comes again when the lease has ended, and what is stored then decides.
func (w *engine) unsettled(err error) outcome {
	if !errors.Is(err, ErrLeaseLost) {
		w.failed("writing a status", err)
	}
	return outcome{after: w.o.Visibility}
}

// put stores a result, if none is stored.
func (w *engine) put(ctx context.Context, key string, result []byte) error {
	return w.patiently(ctx, func() error {
		err := w.o.Results.Put(ctx, key, result)
		if errors.Is(err, ErrExists) {
			return nil // an attempt before was as far, and then died
		}
		return err
	})
}

// keep stores the result of a handler. While its store is down it waits, as long
// as for a model that throttles: what comes in place of it would have to be paid
// for again.
func (w *engine) keep(ctx context.Context, key string, run *running) {
	until := time.Now().Add(w.o.MaxHold)
	for hold := time.Second; run.result != nil && ctx.Err() == nil; hold = min(2*hold, 30*time.Second) {
		err := w.put(ctx, key, run.result)
		if run.stored = err == nil; run.stored || time.Now().Add(hold).After(until) {
			return
		}
		w.failed("storing a result", err)
		sleep(ctx, hold/2+rand.N(hold/2))
	}
}

// handle runs the handler, and again while the model throttles: the message
// stays here, so that waiting burns no receive count.
func (w *engine) handle(ctx context.Context, d *delivery, e *envelope, attempt int, l *lease, run *running) error {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := l.renew(ctx)
	defer stop()
	defer cancel(nil) // before stop, which waits for a renewal under way
	l.mu.Lock()
	l.cancel = cancel
	l.mu.Unlock()
	run.progress = func(ctx context.Context, step, steps int) error {
		return l.change(ctx, func(s *Status) { s.Step, s.Steps = step, steps })
	}

	until := time.Now().Add(w.o.MaxHold)
	for hold := time.Second; ; hold = min(2*hold, 30*time.Second) {
		run.result = nil
		err := w.call(ctx, d, e, attempt, run)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			// What ended the context says more than what the handler made of it.
			return cause
		}
		if err == nil {
			w.keep(ctx, e.key("results"), run)
			return nil
		}
		if steers(err) || !w.o.Throttled(err) {
			return err
		}
		w.slow()
		w.observe(Event{Kind: EventThrottled, Queue: d.src.name, JobID: e.ID, ErrorClass: errorClass(err)})
		wait := hold/2 + rand.N(hold/2)
		var asked *bedrockx.Error
		if errors.As(err, &asked) {
			wait = max(wait, asked.RetryAfter)
		}
		if time.Now().Add(wait).After(until) {
			return Retry(max(w.o.MaxDelay, wait), err)
		}
		sleep(ctx, wait)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
}

// call calls the handler once. A panic is its error.
func (w *engine) call(ctx context.Context, d *delivery, e *envelope, attempt int, run *running) (err error) {
	if w.o.JobTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.o.JobTimeout)
		defer cancel()
	}
	if parent := d.attribute("traceparent"); parent != "" && w.o.WithTrace != nil {
		ctx = w.o.WithTrace(ctx, parent)
	}
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
			w.o.Logger.Error("asyncq: a handler panicked", "job", e.ID, "type", fmt.Sprintf("%T", v))
		}
	}()
	return w.do(ctx, e, d, attempt, run)
}

// backoff is a random time that grows with the attempts ("full jitter").
func (w *engine) backoff(attempt int) time.Duration {
	most := w.o.MaxDelay
	if shift := max(attempt-1, 0); shift < 30 {
		most = min(most, w.o.BaseDelay<<shift)
	}
	return rand.N(max(most, 1))
}

// notify tells the end of a job and then lets its message go.
func (w *engine) notify(ctx context.Context, d *delivery, e *envelope, s Status) outcome {
	if w.o.Notifier == nil || s.Notified {
		return w.forget(ctx, e, s)
	}
	n := Notification{ID: e.ID + "." + string(s.State), CallbackURL: e.CallbackURL, Status: s}
	if err := w.o.Notifier.Notify(ctx, n); err != nil {
		w.failed("notifying of job "+e.ID, err)
		return outcome{after: w.backoff(d.receives)}
	}
	s.Notified, s.UpdatedAt = true, time.Now().UTC()
	if err := w.o.Status.Update(ctx, s); err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		w.failed("writing a status", err)
	}
	return w.forget(ctx, e, s)
}

// forget deletes the payload of a job that nobody will do again. That of a dead
// letter stays, as it may be redriven.
func (w *engine) forget(ctx context.Context, e *envelope, s Status) outcome {
	if e.PayloadKey != "" && s.State != Failed && w.o.Payloads != nil {
		if err := w.o.Payloads.Delete(ctx, e.PayloadKey); err != nil {
			w.failed("deleting a payload", err)
		}
	}
	return outcome{ack: true}
}

// fail ends a job as failed and then buries its message.
func (w *engine) fail(ctx context.Context, d *delivery, e *envelope, s Status, bad *poison) outcome {
	s.State, s.ErrorClass, s.FinishedAt = Failed, bad.ErrorClass(), time.Now().UTC()
	s.UpdatedAt, s.Lease, s.LeaseUntil = s.FinishedAt, "", time.Time{}
	if err := w.o.Status.Update(ctx, s); err != nil {
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			w.failed("writing a status", err)
		}
		return outcome{after: w.backoff(d.receives)}
	}
	s.Version++
	return w.bury(ctx, d, e, &s, bad)
}

// bury sends the message of a failed job to the dead-letter queue with the reason.
// That comes after the status, so that no job is both done and dead; a worker that
// dies in between leaves a status that says that it was not yet sent.
func (w *engine) bury(ctx context.Context, d *delivery, e *envelope, s *Status, bad *poison) outcome {
	if w.deadURL == "" {
		// The queue's own redrive policy is all there is.
		return outcome{after: w.backoff(d.receives)}
	}
	attributes := map[string]types.MessageAttributeValue{}
	for name, a := range d.msg.MessageAttributes {
		if len(attributes) < maxAttributes-3 {
			attributes[name] = a
		}
	}
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
	}
	attributes[reasonAttribute] = text(bad.reason)
	attributes[originAttribute] = text(d.src.name)
	if d.group != "" {
		attributes[groupAttribute] = text(d.group)
	}
	out, err := w.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(w.deadURL), Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("0"), MessageBody: d.msg.Body, MessageAttributes: attributes}}})
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%s: %s", aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
	}
	if err != nil {
		w.failed("sending to the dead-letter queue", err)
		return outcome{after: w.backoff(d.receives)}
	}
	id, class := "", bad.ErrorClass()
	if e != nil {
		id = e.ID
	}
	if s != nil {
		class = s.ErrorClass
	}
	w.o.Logger.Warn("asyncq: a job went to the dead-letter queue", "job", id, "queue", d.src.name, "reason", bad.reason)
	w.observe(Event{Kind: EventDeadLettered, Queue: d.src.name, JobID: id, ErrorClass: class})
	if s == nil {
		return outcome{ack: true} // nobody asks for it
	}
	s.DeadLettered, s.UpdatedAt = true, time.Now().UTC()
	if err := w.o.Status.Update(ctx, *s); err == nil {
		s.Version++
	} else if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		w.failed("writing a status", err) // it is sent twice at worst
	}
	return w.notify(ctx, d, e, *s)
}

// The attributes of a dead letter, beside those that its message had.
const (
	maxAttributes   = 10      // of a message
	maxLetterBytes  = 1 << 10 // of what is added
	reasonAttribute = "DeadLetterReason"
	originAttribute = "DeadLetterQueue"
	groupAttribute  = "DeadLetterGroup"
)
