package asyncq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"
)

// WaitOptions say how [Wait] and [WaitAll] ask. The zero value of a field means
// its default.
type WaitOptions struct {
	// BaseDelay and MaxDelay bound the time between two looks at a status,
	// which doubles. The defaults are 100 ms and 5 s.
	BaseDelay, MaxDelay time.Duration

	// Concurrency bounds the statuses that WaitAll looks at at once; the
	// default is 8.
	Concurrency int

	// Progress is called by WaitAll with each change that it has seen, also of
	// jobs that have not ended. It is called by one goroutine at a time.
	Progress func(Status)
}

func (o WaitOptions) resolved() WaitOptions {
	setPositive(&o.BaseDelay, 100*time.Millisecond)
	setPositive(&o.MaxDelay, 5*time.Second)
	setPositive(&o.Concurrency, 8)
	return o
}

// Wait returns the status of a job when it has ended, whichever way. A status
// that the store does not have is an error that wraps [ErrNotFound].
func Wait(ctx context.Context, store StatusStore, id string, optFns ...func(*WaitOptions)) (Status, error) {
	for s, err := range WaitAll(ctx, store, []string{id}, optFns...) {
		return s, err
	}
	return Status{}, context.Cause(ctx)
}

// WaitAll yields the status of each job as it ends, so that a batch can be worked
// with before all of it is done. The error of one job comes with its id in the
// status, and the others go on; an error without an id is the last thing: that of
// the context.
func WaitAll(ctx context.Context, store StatusStore, ids []string, optFns ...func(*WaitOptions)) iter.Seq2[Status, error] {
	var o WaitOptions
	for _, fn := range optFns {
		fn(&o)
	}
	o = o.resolved()
	return func(yield func(Status, error) bool) {
		open := make(map[string]int64, len(ids)) // the version seen last
		order := make([]string, 0, len(ids))
		for _, id := range ids {
			if _, twice := open[id]; !twice {
				open[id] = 0
				order = append(order, id)
			}
		}
		for delay := o.BaseDelay; ; {
			statuses, errs := getAll(ctx, store, order, o.Concurrency)
			if ctx.Err() != nil {
				yield(Status{}, context.Cause(ctx))
				return
			}
			var rest []string
			changed := false
			for i, id := range order {
				s, err := statuses[i], errs[i]
				if err != nil && !errors.Is(err, ErrNotFound) && open[id] < 0 {
					err = fmt.Errorf("asking for the status of %s: %w", id, err)
				} else if err != nil && !errors.Is(err, ErrNotFound) {
					// Once may be a moment of the store's; twice is told.
					open[id] = -1
					rest = append(rest, id)
					continue
				}
				if err == nil && s.Version != open[id] {
					open[id], changed = s.Version, true
					if o.Progress != nil {
						o.Progress(s)
					}
				}
				if err == nil && !s.State.Done() {
					rest = append(rest, id)
					continue
				}
				s.ID = id
				if !yield(s, err) {
					return
				}
			}
			if order = rest; len(order) == 0 {
				return
			}
			if changed {
				delay = o.BaseDelay
			}
			sleep(ctx, delay/2+rand.N(delay/2+1))
			delay = min(2*delay, o.MaxDelay)
		}
	}
}

// getAll asks for many statuses, some at once.
func getAll(ctx context.Context, store StatusStore, ids []string, atOnce int) ([]Status, []error) {
	statuses, errs := make([]Status, len(ids)), make([]error, len(ids))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			statuses[i], errs[i] = store.Get(ctx, id)
			<-slots
		})
	}
	wg.Wait()
	return statuses, errs
}

// CancelJob ends a job as cancelled. One that is queued will not be begun; of one
// that is worked on, the handler's context ends when its worker renews the lease.
// A job that has ended stays as it is, and its status is returned without an
// error.
func CancelJob(ctx context.Context, store StatusStore, id string) (Status, error) {
	for range 10 {
		s, err := store.Get(ctx, id)
		if err != nil || s.State.Done() {
			return s, err
		}
		s.State, s.FinishedAt = Cancelled, time.Now().UTC()
		s.UpdatedAt, s.Lease, s.LeaseUntil = s.FinishedAt, "", time.Time{}
		err = store.Update(ctx, s)
		if err == nil {
			s.Version++
			return s, nil
		}
		if !errors.Is(err, ErrConflict) {
			return s, err
		}
	}
	return Status{}, fmt.Errorf("cancelling job %s: %w", id, ErrConflict)
}

// ErrNoResult is the error of asking for the result of a job that has none: it has
// not ended, has failed or was cancelled, or its handler gave none.
var ErrNoResult = errors.New("the job has no result")

// Result returns the result of a job that has completed, read into an R: what its
// handler gave to [Job.SetResult]. The status says where it is.
func Result[R any](ctx context.Context, results BlobStore, s Status) (R, error) {
	var result R
	if s.State != Completed || s.ResultKey == "" {
		return result, fmt.Errorf("asyncq: job %s is %s: %w", s.ID, s.State, ErrNoResult)
	}
	data, err := results.Get(ctx, s.ResultKey)
	if err != nil {
		return result, fmt.Errorf("asyncq: reading the result of job %s: %w", s.ID, err)
	}
	if err := json.Unmarshal(data, &result); err != nil {
		// The text of err may repeat what was stored.
		return result, fmt.Errorf("asyncq: the result of job %s is not a %T", s.ID, result)
	}
	return result, nil
}
