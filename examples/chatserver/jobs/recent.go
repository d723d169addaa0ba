package jobs

import (
	"context"
	"errors"
	"iter"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/parallel"
)

// jobsOf names the list of a caller's jobs.
func jobsOf(caller string) string { return "jobs/" + caller }

// Recent implements [rest.Jobs].
func (s *Service) Recent(ctx context.Context, limit int) ([]rest.Status, error) {
	return s.recent(ctx, limit, nil)
}

// recent reads the statuses of the caller's latest jobs. What has ended is taken
// from known, as it does not change any more.
func (s *Service) recent(ctx context.Context, limit int, known map[string]rest.Status) ([]rest.Status, error) {
	caller := auth.CallerOf(ctx).ID
	ids, err := s.backend.Index.List(ctx, jobsOf(caller), limit)
	if err != nil {
		return nil, err
	}
	found := map[string]rest.Status{}
	unknown := func(id string) bool {
		old, ok := known[id]
		if ok && !old.CompletedAt.IsZero() {
			found[id] = old
			return false
		}
		return true
	}
	var failed error
	for item := range parallel.Map(ctx, 8, filter(ids, unknown), func(ctx context.Context, id string) (rest.Status, error) {
		job, err := s.owned(ctx, id)
		return s.describe(job), err
	}) {
		switch {
		case errors.Is(item.Err, rest.ErrNotFound): // it has expired, or was never sent
		case item.Err != nil:
			failed = item.Err
		default:
			found[item.Input] = item.Result
		}
	}
	if failed = errors.Join(failed, ctx.Err()); failed != nil {
		return nil, failed
	}
	var list []rest.Status
	for _, id := range ids {
		if status, ok := found[id]; ok {
			list = append(list, status)
		}
	}
	return list, nil
}

func filter(ids []string, keep func(string) bool) iter.Seq[string] {
	return slices.Values(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !keep(id) }))
}

// How often Watch looks, and how long it says nothing.
const (
	watchEvery = time.Second
	watchQuiet = 15 * time.Second
)

// Watch implements [rest.Jobs]. It looks at the list and at those of its jobs that
// have not ended once a second. If nothing has changed for a while, it yields an
// empty status.
func (s *Service) Watch(ctx context.Context, limit int) iter.Seq2[rest.Status, error] {
	return func(yield func(rest.Status, error) bool) {
		known := map[string]rest.Status{}
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		told := time.Now()
		for {
			list, err := s.recent(ctx, limit, known)
			if err != nil {
				yield(rest.Status{}, err)
				return
			}
			for _, status := range slices.Backward(list) {
				if old, ok := known[status.RequestID]; ok && reflect.DeepEqual(old, status) {
					continue
				}
				told = time.Now()
				if known[status.RequestID] = status; !yield(status, nil) {
					return
				}
			}
			if time.Since(told) >= watchQuiet {
				if told = time.Now(); !yield(rest.Status{}, nil) {
					return
				}
			}
			maps.DeleteFunc(known, func(id string, _ rest.Status) bool {
				return !slices.ContainsFunc(list, func(s rest.Status) bool { return s.RequestID == id })
			})
			select {
			case <-ctx.Done():
				return
			case <-s.hungUp:
				return
			case <-tick.C:
			}
		}
	}
}

// HangUp ends all that [Service.Watch] yields, as the server stops.
func (s *Service) HangUp() { s.hangUp() }
