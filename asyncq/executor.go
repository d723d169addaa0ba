package asyncq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// An executor does the job of one message: lease, handler, verdict, settle, bury,
// notify. It knows nothing of queues but where dead letters go. It is safe for
// concurrent use.
type executor struct {
	o      JobOptions
	do     func(context.Context, *envelope, *delivery, int, *running) error
	lease  time.Duration
	grace  time.Duration // how long late lasts after ctx; see process
	ledger *ledger
	alarm  *alarm

	// letters sends a message to the dead-letter queue with the reason; nil if
	// there is none.
	letters func(ctx context.Context, d *delivery, reason string) error

	// slow and quick are called when a model throttles and when one has answered.
	slow, quick func()

	completed atomic.Int64 // jobs
}

func newExecutor(o JobOptions, lease, grace time.Duration, do func(context.Context, *envelope, *delivery, int, *running) error) *executor {
	l := newLedger(o.Observe)
	return &executor{o: o, do: do, lease: lease, grace: grace, ledger: l, alarm: &alarm{logger: o.Logger, onError: o.OnError, ledger: l},
		slow: func() {}, quick: func() {}}
}

// pre is until when a step before the handler may be held in its slot.
func (x *executor) pre() time.Time { return time.Now().Add(x.o.MaxHold) }

// process works on a message to its end. What came of the job is reported within late,
// which ends x.grace after ctx. A panic of a store or of what else is the user's is
// an attempt that has not ended.
func (x *executor) process(ctx, late context.Context, d *delivery) (out outcome) {
	defer func() {
		if v := recover(); v != nil {
			x.o.Logger.Error("asyncq: a job panicked", "message", d.id(), "type", fmt.Sprintf("%T", v))
			out = x.interrupted("panic")
		}
	}()
	return x.job(ctx, late, d)
}

// interrupted is the outcome of an attempt that has not come to an end.
func (x *executor) interrupted(reason string) outcome {
	return outcome{fate: verdicts[wasExited].message, after: x.lease, reason: reason}
}

// job does what a message asks for, whatever has happened to it before: it may
// be new, come twice, or be what a worker left behind that was killed at any
// step. What is stored decides, and only conditionally.
func (x *executor) job(ctx, late context.Context, d *delivery) outcome {
	e, bad := unseal(d)
	t := &task{x: x, d: d, e: e, late: late}
	if e == nil {
		t.e = &envelope{}
		return t.buryStray(bad)
	}
	until := x.pre()
	err := x.outlast(ctx, until, "read status", e.ID, t.read)
	if errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) {
		return outcome{fate: fateHold, after: time.Second, own: true, reason: "taken"} // another is as far
	}
	if err != nil {
		return t.outage(ctx, err)
	}
	if bad != nil {
		switch s := t.status; {
		case s.State.Done() && s.Message == d.id(): // and its end is not reported yet
			return t.finish(bad)
		case s.State.Done():
			return t.buryStray(bad)
		}
		return t.settle(verdicts[wasDead], bad, nil, 0)
	}

	s := t.status
	f := finding{status: s, now: time.Now(), redriven: d.redriven(s), maxAttempts: x.o.MaxAttempts,
		stranger: s.PayloadHash != "" && s.PayloadHash != e.PayloadHash}
	if s.Attempt >= x.o.MaxAttempts && !s.State.Done() {
		// The last attempt did not come to its end: its worker was killed, if
		// not after it had stored the result.
		if f.stored, err = t.hasResult(ctx, until); err != nil {
			return t.outage(ctx, err)
		}
	}
	is := arrived(f)
	switch v := verdicts[is]; is {
	case isStranger:
		return t.buryStray(&poison{"another job has its id by now"})
	case isNew, isRedriven:
		if err := t.take(ctx, v.attempt == countsAnew); errors.Is(err, ErrLeaseLost) {
			return outcome{fate: fateHold, after: time.Second, own: true, reason: "taken"}
		} else if err != nil {
			return t.outage(ctx, err)
		}
		return t.attempt(ctx)
	case isEarly:
		return outcome{fate: v.message, after: time.Until(s.RetryAt), own: true, reason: "early"}
	case isTaken:
		// If the other worker dies, this message is what brings the job back.
		t.observe(v.event, 0, nil)
		return outcome{fate: v.message, after: time.Until(s.LeaseUntil) + time.Second, own: true, reason: "taken"}
	case isExhausted:
		return t.settle(v, &poison{fmt.Sprintf("%d attempts were begun and the last one has not ended", s.Attempt)}, nil, 0)
	default: // isEnded, isUnburied
		if d.holds == 0 {
			t.observe(v.event, 0, nil)
		}
		return t.finish(&poison{fmt.Sprintf("its attempts have failed, the last one with %q", s.ErrorClass)})
	}
}

// unseal reads a message, or says why it can never be read.
func unseal(d *delivery) (*envelope, *poison) {
	e, err := readEnvelope(d.body())
	if err != nil {
		return nil, &poison{"the message is not JSON"}
	}
	switch {
	case !validID(e.ID):
		return nil, &poison{"the message has no request_id"}
	case e.Version != envelopeVersion:
		return e, &poison{fmt.Sprintf("the message has the version %d, this worker reads %d", e.Version, envelopeVersion)}
	}
	return e, nil
}

// outage is the outcome of a step before the attempt that was not answered.
func (t *task) outage(ctx context.Context, err error) outcome {
	if ctx.Err() != nil {
		return outcome{fate: fateBack}
	}
	return outcome{fate: fateHold, after: t.x.o.MaxDelay, reason: errorClass(err)}
}

// hasResult reports whether an attempt before has stored its result.
func (t *task) hasResult(ctx context.Context, until time.Time) (bool, error) {
	if t.x.o.Results == nil {
		return false, nil
	}
	err := t.x.outlast(ctx, until, "read result", t.e.ID, func(ctx context.Context) error {
		_, err := t.x.o.Results.Get(ctx, t.e.key("results"))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// load brings the payload, which is elsewhere if it is large. It is there as long
// as the job has not ended.
func (t *task) load(ctx context.Context, until time.Time) error {
	e := t.e
	if e.PayloadKey != "" {
		if t.x.o.Payloads == nil {
			return &poison{"the payload is in a store that the worker does not have; see JobOptions.Payloads"}
		}
		err := t.x.outlast(ctx, until, "read payload", e.ID, func(ctx context.Context) (err error) {
			e.Payload, err = t.x.o.Payloads.Get(ctx, e.PayloadKey)
			return err
		})
		if errors.Is(err, ErrNotFound) {
			return &poison{"the payload is not in its store"}
		}
		if err != nil {
			return err
		}
	}
	if sum := sha256.Sum256(e.Payload); hex.EncodeToString(sum[:]) != e.PayloadHash {
		return &poison{"the payload is not the one that was submitted"}
	}
	return nil
}

// attempt runs the handler and stores what came of it.
func (t *task) attempt(ctx context.Context) outcome {
	x, began := t.x, time.Now()
	run := &running{results: x.o.Results != nil}
	t.observe(EventStarted, began.Sub(t.e.CreatedAt), nil)

	working, cancel := context.WithCancelCause(ctx)
	stop := t.renew(working)
	t.mu.Lock()
	t.cancel = cancel
	t.mu.Unlock()
	f, stored := func() (finding, bool) {
		defer stop()      // also if the handler ends its goroutine
		defer cancel(nil) // before stop, which waits for a renewal under way
		return t.try(working, run)
	}()

	is := tried(f)
	v := verdicts[is]
	if v.event == EventCompleted {
		x.completed.Add(1)
		x.quick()
	}
	after := time.Duration(0)
	switch v.wait {
	case waitAsked:
		var retry *JobRetryError
		errors.As(f.err, &retry)
		after = max(retry.After, 0)
	case waitBackoff:
		after = x.backoff(f.status.Attempt)
	case waitLease:
		after = x.lease
	case waitDelay:
		after = max(x.o.MaxDelay, askedFor(f.err))
		if is != wasOutageLong { // which the alarm has reported
			x.alarm.wait(ctx, t.e.ID, errorClass(f.err))
		}
	}
	if v.state == "" {
		t.observe(v.event, time.Since(began), f.err)
		return outcome{fate: v.message, after: after, reason: errorClass(f.err)}
	}
	return t.settle(v, f.err, &attempted{run, stored, time.Since(began)}, after)
}

// attempted is what settle needs to know of an attempt.
type attempted struct {
	run    *running
	stored bool // there is a result
	took   time.Duration
}

// try runs the handler until there is a verdict that does not keep the slot.
func (t *task) try(ctx context.Context, run *running) (f finding, stored bool) {
	x := t.x
	f = finding{status: t.now(), maxAttempts: x.o.MaxAttempts}
	until := x.pre()
	if f.status.Attempt > 1 || f.status.ErrorClass != "" {
		// An attempt before, counted or not, may have stored its result and then
		// died: it is not paid for twice. And if the store is down, the next result
		// would be lost as well.
		if stored, f.err = t.hasResult(ctx, until); stored {
			return f, true
		}
	}
	if f.err == nil {
		f.err = t.load(ctx, until)
	}
	if f.err != nil {
		f.held = true // outlast has waited
		return t.caused(ctx, f), false
	}
	for hold := time.Second; ; hold = min(2*hold, 30*time.Second) {
		run.result = nil
		f.err = t.call(ctx, run)
		if f.err == nil && errors.Is(context.Cause(ctx), ErrLeaseLost) {
			f.err = ErrLeaseLost
		}
		if f.err == nil {
			if run.result != nil {
				f.err = t.keep(ctx, run.result)
				stored, f.held = f.err == nil, true
			}
			return f, stored
		}
		f = t.caused(ctx, f)
		f.throttled = t.throttled(&f)
		f.alone = t.alone(f.err)
		f.held = false
		is := tried(f)
		if verdicts[is].message != fateSlot {
			return f, false
		}
		if is == wasThrottled {
			x.slow()
			x.alarm.wait(ctx, t.e.ID, errorClass(f.err))
		}
		t.observe(verdicts[is].event, 0, f.err)
		wait := max(hold/2+rand.N(hold/2), askedFor(f.err))
		if time.Now().Add(wait).After(until) {
			f.held = true
			return f, false
		}
		release := x.ledger.holding(errorClass(f.err))
		sleep(ctx, wait)
		release()
		if f = t.caused(ctx, f); context.Cause(ctx) != nil {
			return f, false
		}
	}
}

// caused has the cause of the context's end in place of what the handler made of
// it, which says less.
func (t *task) caused(ctx context.Context, f finding) finding {
	if cause := context.Cause(ctx); cause != nil && f.err != nil && !(cause == ErrDraining && steers(f.err)) {
		f.err = cause
	}
	return f
}

// steers reports whether the handler has said what becomes of the job.
func steers(err error) bool {
	is := tried(finding{err: err})
	return is == wasCanceled || is == wasDead || is == wasAsked
}

// alone reports whether no job was completed since the model's service first failed
// for this message. It is asked only where that may be down.
func (t *task) alone(err error) bool {
	if !down(err) {
		return false
	}
	completed := t.x.completed.Load()
	if t.d.failed == nil {
		t.d.failed = &completed
	}
	return *t.d.failed == completed
}

// throttled asks the user's function, whose panic is the job's failure.
func (t *task) throttled(f *finding) (yes bool) {
	if err := guarded("Throttled", func() error { yes = t.x.o.Throttled(f.err); return nil }); err != nil {
		f.err = err
	}
	return yes
}

// askedFor is how long a model has asked to be left alone.
func askedFor(err error) time.Duration {
	if asked, ok := errors.AsType[*bedrockx.Error](err); ok {
		return asked.RetryAfter
	}
	return 0
}

// keep stores the result of a handler, if none is stored. While its store is down
// it waits: what comes in place of it would have to be paid for again.
func (t *task) keep(ctx context.Context, result []byte) error {
	ctx, cancel := lasting(ctx, t.x.grace/2) // the status needs the rest
	defer cancel()
	err := t.x.outlast(ctx, t.last(), "store result", t.e.ID, func(ctx context.Context) error {
		return t.x.o.Results.Put(ctx, t.e.key("results"), result)
	})
	if errors.Is(err, ErrExists) {
		return nil // an attempt before was as far, and then died
	}
	return err
}

// last is until when the message can be held.
func (t *task) last() time.Time {
	if t.d.until.IsZero() {
		return t.x.pre()
	}
	return t.d.until
}

// call calls the handler once. A panic is its error.
func (t *task) call(ctx context.Context, run *running) error {
	x := t.x
	run.progress = func(ctx context.Context, step, steps int) error {
		err := t.change(ctx, func(s *Status) { s.Step, s.Steps = step, steps })
		if !settled(err) {
			err = &OpError{Op: "write status", Key: t.e.ID, Err: err}
		}
		return err
	}
	if x.o.JobTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.o.JobTimeout)
		defer cancel()
	}
	err := guarded("the handler", func() error {
		if parent := t.d.attribute("traceparent"); parent != "" && x.o.WithTrace != nil {
			ctx = x.o.WithTrace(ctx, parent)
		}
		return x.do(ctx, t.e, t.d, t.now().Attempt, run)
	})
	if panicked, ok := errors.AsType[*panicError](err); ok {
		x.o.Logger.Error("asyncq: a handler panicked", "job", t.e.ID, "type", fmt.Sprintf("%T", panicked.value))
	}
	return err
}

// backoff is a random time that grows with the attempts ("full jitter").
func (x *executor) backoff(attempt int) time.Duration {
	most := x.o.MaxDelay
	if shift := max(attempt-1, 0); x.o.BaseDelay < most>>shift {
		most = x.o.BaseDelay << shift
	}
	return rand.N(max(most, 1))
}

func (t *task) observe(kind EventKind, took time.Duration, err error) {
	t.mu.Lock()
	attempt := t.status.Attempt
	t.mu.Unlock()
	t.x.ledger.observe(Event{Kind: kind, Queue: t.d.queue, JobID: t.e.ID, Attempt: attempt, Duration: took,
		Age: time.Since(t.e.CreatedAt), ErrorClass: errorClass(err)})
}
