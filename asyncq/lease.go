package asyncq

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A task is one job with the message that brought it, while an executor has it.
type task struct {
	x *executor
	d *delivery
	e *envelope

	late context.Context // for telling what came of the job

	mu     sync.Mutex
	status Status // as it was stored last
	taken  bool   // the lease is ours
	lost   bool
	cancel context.CancelCauseFunc // of the handler
}

// now is the status as it was stored last.
func (t *task) now() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.clone()
}

// read asks for the status. If there is none it stores one: the job was accepted,
// so it is done, though its status has expired or was never stored.
func (t *task) read(ctx context.Context) error {
	s, err := t.x.o.Status.Get(ctx, t.e.ID)
	if errors.Is(err, ErrNotFound) {
		now := time.Now().UTC()
		s = Status{ID: t.e.ID, State: Queued, Priority: t.e.Priority, Queue: t.d.queue, Metadata: t.e.Metadata,
			CreatedAt: t.e.CreatedAt, UpdatedAt: now, ExpiresAt: now.Add(t.x.o.Retention), PayloadHash: t.e.PayloadHash}
		err = t.x.o.Status.Create(ctx, s)
		s.Version = 1
	}
	t.status = s
	return err
}

// take writes this executor's lease into the status: a new attempt.
func (t *task) take(ctx context.Context, anew bool) error {
	lease := newID()
	return t.x.outlast(ctx, t.x.pre(), "write status", t.e.ID, func(ctx context.Context) error {
		return t.change(ctx, func(s *Status) {
			now := time.Now().UTC()
			if anew {
				s.Attempt, s.Notified, s.DeadLettered, s.FinishedAt, s.Message, s.ErrorClass = 0, false, false, time.Time{}, "", ""
			}
			s.Attempt++
			s.State, s.Lease = Processing, lease
			s.RetryAt, s.Refused = time.Time{}, false
			s.StartedAt, s.LeaseUntil = now, now.Add(t.x.lease)
			s.Step, s.Steps = 0, 0
		})
	})
}

// change updates the stored status. If another has changed it, the lease is lost
// and the handler's context ends.
func (t *task) change(ctx context.Context, set func(*Status)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost || t.taken && t.status.State != Processing { // or the attempt has ended
		return ErrLeaseLost
	}
	s := t.status.clone()
	set(&s)
	s.UpdatedAt = time.Now().UTC()
	err := t.x.o.Status.Update(ctx, s)
	if own := t.taken || s.Lease != t.status.Lease; own && errors.Is(err, ErrConflict) {
		// Only the attempt that has the lease writes it: this was ours, and the
		// answer was lost.
		stored, getErr := t.x.o.Status.Get(ctx, s.ID)
		if getErr != nil && !errors.Is(getErr, ErrNotFound) {
			return getErr
		}
		if getErr == nil && stored.Lease == s.Lease && (stored.State == Processing || stored.State == s.State) {
			s.Version = stored.Version
			err = t.x.o.Status.Update(ctx, s)
		}
	}
	switch {
	case err == nil:
		s.Version++
		t.status = s
		t.taken = t.taken || s.State == Processing
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		t.lost = true
		if t.cancel != nil {
			t.cancel(ErrLeaseLost)
		}
		return ErrLeaseLost
	}
	return err
}

// mark notes in the status what became of an end. That is not worth waiting for:
// at worst it is done once more.
func (t *task) mark(set func(*Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status.clone()
	set(&s)
	s.UpdatedAt = time.Now().UTC()
	err := guarded("the status store", func() error {
		ctx, cancel := context.WithTimeout(t.late, tryTimeout)
		defer cancel()
		return t.x.o.Status.Update(ctx, s)
	})
	switch {
	case err == nil:
		s.Version++
		t.status = s
	case !settled(err):
		t.status = s // this process knows it
		t.x.alarm.tell(t.late, &OpError{Op: "write status", Key: s.ID, Err: err})
	}
}

// renew keeps the lease while the attempt goes on, until stop is called or ctx is
// done. Nothing of it goes on when stop has returned.
func (t *task) renew(ctx context.Context) (stop func()) {
	every := t.x.lease / 3
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
		err := guarded("the status store", func() error {
			ctx, cancel := context.WithTimeout(ctx, min(tryTimeout, every))
			defer cancel()
			return t.change(ctx, func(s *Status) { s.LeaseUntil = time.Now().UTC().Add(t.x.lease) })
		})
		next := every
		if !settled(err) && ctx.Err() == nil {
			t.x.alarm.tell(ctx, &OpError{Op: "write status", Key: t.e.ID, Err: err})
			next = every / 4 // the lease goes on
		}
		timer.Reset(next)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
