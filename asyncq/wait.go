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

// WaitOptions are the options of [Wait] and [WaitAll]. The zero value of a field means
// its default.
type WaitOptions struct {
	// BaseDelay and MaxDelay bound the time between two reads of a status, which
	// doubles each time. The defaults are 100 ms and 5 s.
	BaseDelay, MaxDelay time.Duration

	// Concurrency bounds how many statuses WaitAll reads at the same time. The default
	// is 8.
	Concurrency int

	// Progress is called by WaitAll with each change of a status, including jobs that
	// have not ended. It is called by one goroutine at a time.
	Progress func(Status)
}

func (o WaitOptions) resolved() WaitOptions {
	setPositive(&o.BaseDelay, 100*time.Millisecond)
	setPositive(&o.MaxDelay, 5*time.Second)
	setPositive(&o.Concurrency, 8)
	return o
}

// Wait waits until a job has ended, completed or not, and returns its status. If the
// store does not have the status, the error wraps [ErrNotFound].
func Wait(ctx context.Context, store StatusStore, id string, optFns ...func(*WaitOptions)) (Status, error) {
	for s, err := range WaitAll(ctx, store, []string{id}, optFns...) {
		return s, err
	}
	return Status{}, context.Cause(ctx)
}

// WaitAll yields the status of each job when it ends, so that you can use the first
// results of a batch before all jobs are done. If one job has an error, the error is
// yielded with its id in the status, and the others go on. An error without an id is
// the error of the context; it is yielded last.
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
					// Once may be a moment of the store's; twice is reported.
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
			defer func() { <-slots }()
			errs[i] = errExited // until there is an answer
			errs[i] = guarded("the status store", func() (err error) {
				statuses[i], err = store.Get(ctx, id)
				return err
			})
		})
	}
	wg.Wait()
	return statuses, errs
}

// CancelJob ends a job as canceled. A queued job will not start. If the job runs, the
// handler's context ends when its worker next renews the lease. If the job has ended,
// CancelJob does not change it, and returns its status without an error.
func CancelJob(ctx context.Context, store StatusStore, id string) (Status, error) {
	for range 10 {
		s, err := store.Get(ctx, id)
		if err != nil || s.State.Done() {
			return s, err
		}
		s.State, s.FinishedAt = Canceled, time.Now().UTC()
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

// ErrNoResult is the error of Result if the job has no result: it has not ended, has
// failed or was canceled, or its handler set none.
var ErrNoResult = errors.New("the job has no result")

// Result returns the result of a completed job: the value that its handler passed to
// [Job.SetResult], decoded into an R. s says where it is stored. It returns
// ErrNoResult if the job has no result.
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
