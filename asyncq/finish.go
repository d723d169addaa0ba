package asyncq

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// settle stores what became of a job, and then does what follows from it. a is nil
// if there was no attempt.
func (t *task) settle(v verdict, cause error, a *attempted, after time.Duration) outcome {
	x := t.x
	finished := time.Now().UTC().Truncate(time.Millisecond)
	err := x.outlast(t.late, t.last(), "write status", t.e.ID, func(ctx context.Context) error {
		return t.change(ctx, func(s *Status) {
			s.State, s.LeaseUntil, s.RetryAt, s.ErrorClass = v.state, time.Time{}, time.Time{}, errorClass(cause)
			if v.message == fateHold {
				s.RetryAt = time.Now().UTC().Add(after).Truncate(time.Millisecond)
			}
			if v.attempt == countsNot {
				s.Attempt--
			}
			if v.state.Done() {
				s.FinishedAt, s.Message = finished, t.d.id()
			}
			if a == nil {
				return
			}
			if a.stored && v.state == Completed {
				s.ResultKey = t.e.key("results")
			}
			s.Usage = s.Usage.Add(a.run.usage)
			if a.run.cost != nil {
				sum := *a.run.cost
				if s.Cost != nil {
					sum = sum.Add(*s.Cost)
				}
				s.Cost = &sum
			}
		})
	})
	if err != nil {
		// Another has the job and will end it, or the store is still down: the message
		// comes again when the lease has ended, and what is stored then decides.
		return outcome{fate: fateHold, after: x.lease, reason: errorClass(err)}
	}
	took, attempt := time.Duration(0), t.now().Attempt
	if a != nil {
		took = a.took
	}
	if v.attempt == countsNot {
		attempt++
	}
	x.ledger.observe(Event{Kind: v.event, Queue: t.d.queue, JobID: t.e.ID, Attempt: attempt, Duration: took,
		Age: time.Since(t.e.CreatedAt), ErrorClass: errorClass(cause)})
	if v.state.Done() {
		return t.finish(t.reason(cause))
	}
	own := v.wait == waitAsked || v.wait == waitBackoff
	return outcome{fate: v.message, after: after, own: own, reason: errorClass(cause)}
}

// reason is what a dead letter says.
func (t *task) reason(cause error) *poison {
	var bad *poison
	var dead *JobDeadError
	switch {
	case errors.As(cause, &bad):
		return bad
	case errors.As(cause, &dead):
		return &poison{fmt.Sprintf("it cannot be done: %q", errorClass(cause))}
	}
	return &poison{fmt.Sprintf("%d attempts have failed, the last one with %q", t.now().Attempt, errorClass(cause))}
}

// finish does what follows the end of a job, as far as it was not done before: the
// message of a failed one goes to the dead-letter queue, the notifier is called, and
// the payload is forgotten. The dead letter comes after the status, so that no job
// is both done and dead.
func (t *task) finish(bad *poison) outcome {
	x, s, ctx := t.x, t.now(), t.late
	failed := s.State == Failed
	if failed && !s.DeadLettered && x.letters != nil {
		if !t.bury(bad) {
			return t.later(verdicts[endUnburied], "send dead letter")
		}
		t.mark(func(s *Status) { s.DeadLettered = true })
	}
	if x.o.Notifier != nil && !s.Notified {
		n := Notification{ID: s.NotificationID(), CallbackURL: t.e.CallbackURL, Status: t.now()}
		err := guarded("the notifier", func() error {
			ctx, cancel := context.WithTimeout(ctx, tryTimeout)
			defer cancel()
			return x.o.Notifier.Notify(ctx, n)
		})
		if err != nil {
			x.alarm.tell(ctx, &OpError{Op: "notify", Key: t.e.ID, Err: err})
			return t.later(verdicts[endUntold], "notify")
		}
		t.mark(func(s *Status) { s.Notified = true })
	}
	if failed && x.letters == nil {
		return t.later(verdicts[endNoDeadLetters], "")
	}
	if t.e.PayloadKey != "" && !failed && x.o.Payloads != nil {
		err := guarded("the payload store", func() error {
			ctx, cancel := context.WithTimeout(ctx, tryTimeout)
			defer cancel()
			return x.o.Payloads.Delete(ctx, t.e.PayloadKey)
		})
		if err != nil {
			x.alarm.tell(ctx, &OpError{Op: "delete payload", Key: t.e.ID, Err: err})
		}
	}
	return outcome{fate: fateDelete, ended: true}
}

// later is the outcome of an end that is not reported yet.
func (t *task) later(v verdict, reason string) outcome {
	t.d.untold++
	return outcome{fate: v.message, after: t.x.backoff(t.d.receives + t.d.untold - 1), ended: true, reason: reason}
}

// bury sends the message to the dead-letter queue and reports whether it is there.
func (t *task) bury(bad *poison) bool {
	x, ctx := t.x, t.late
	if err := x.letters(ctx, t.d, bad.reason); err != nil {
		x.alarm.tell(ctx, &OpError{Op: "send dead letter", Key: t.d.queue, Err: err})
		return false
	}
	class := t.now().ErrorClass
	if class == "" {
		class = bad.ErrorClass()
	}
	x.o.Logger.Warn("asyncq: a job went to the dead-letter queue", "job", t.e.ID, "queue", t.d.queue, "reason", bad.reason)
	x.ledger.observe(Event{Kind: EventDeadLettered, Queue: t.d.queue, JobID: t.e.ID, ErrorClass: class})
	return true
}

// buryStray buries a message that belongs to no job that is to be done, so nobody
// asks for it.
func (t *task) buryStray(bad *poison) outcome {
	switch {
	case t.x.letters == nil:
		return t.later(verdicts[endNoDeadLetters], "")
	case !t.bury(bad):
		return t.later(verdicts[endUnburied], "send dead letter")
	}
	return outcome{fate: fateDelete, ended: true}
}
