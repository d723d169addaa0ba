package webhooktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
)

// Run runs the checks as subtests, each with an empty store from open. Times need
// to be kept to a millisecond. What is due may come a moment late.
func Run(t *testing.T, open func(t *testing.T) webhook.Store) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

var checks = []struct {
	name string
	fn   func(context.Context, webhook.Store) error
}{
	{"create and get", checkCreate},
	{"update", checkUpdate},
	{"every field", checkFields},
	{"what is due", checkDue},
	{"one of many claims", checkRace},
	{"context is done", checkContext},
}

func delivery(id string, next time.Time) webhook.Delivery {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return webhook.Delivery{ID: id, URL: "https://manga.example/hook", Body: []byte(`{"type":"job.completed"}`),
		State: webhook.Pending, NextAttempt: next.UTC().Truncate(time.Millisecond), CreatedAt: now}
}

func is(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: the error is %v, want %v", what, err, want)
	}
	return nil
}

func checkCreate(ctx context.Context, s webhook.Store) error {
	_, err := s.Get(ctx, "a")
	if err := is("a Get of what is not there", err, asyncq.ErrNotFound); err != nil {
		return err
	}
	d := delivery("a", time.Now())
	if err := s.Create(ctx, d); err != nil {
		return err
	}
	if err := is("a second Create", s.Create(ctx, d), asyncq.ErrExists); err != nil {
		return err
	}
	d.Version = 1
	got, err := s.Get(ctx, "a")
	if err != nil || !reflect.DeepEqual(got, d) {
		return fmt.Errorf("a Get returned %+v and the error %v, want %+v", got, err, d)
	}
	return nil
}

func checkUpdate(ctx context.Context, s webhook.Store) error {
	d := delivery("a", time.Now())
	if err := is("an Update of what is not there", s.Update(ctx, d), asyncq.ErrNotFound); err != nil {
		return err
	}
	if err := s.Create(ctx, d); err != nil {
		return err
	}
	d.Version, d.Attempt = 1, 1
	if err := s.Update(ctx, d); err != nil {
		return err
	}
	if err := is("an Update of an old version", s.Update(ctx, d), asyncq.ErrConflict); err != nil {
		return err
	}
	got, err := s.Get(ctx, "a")
	if err != nil || got.Version != 2 || got.Attempt != 1 {
		return fmt.Errorf("a Get returned %+v and the error %v, want version 2 and attempt 1", got, err)
	}
	return nil
}

func checkFields(ctx context.Context, s webhook.Store) error {
	d := delivery("a", time.Now())
	d.State, d.Attempt, d.LastStatus, d.LastError, d.EndedAt, d.Version = webhook.Failed, 10, 500, "timeout", d.CreatedAt.Add(time.Second), 1
	for v, i := reflect.ValueOf(d), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			return fmt.Errorf("the check leaves out the field %s", v.Type().Field(i).Name)
		}
	}
	if err := s.Create(ctx, d); err != nil {
		return err
	}
	got, err := s.Get(ctx, "a")
	if err != nil || !reflect.DeepEqual(got, d) {
		return fmt.Errorf("a Get returned %+v and the error %v, want %+v", got, err, d)
	}
	return nil
}

// due asks until there are as many as wanted, for stores that take a moment.
func due(ctx context.Context, s webhook.Store, now time.Time, limit int, want ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.Due(ctx, now, limit)
		if err != nil {
			return err
		}
		got := []string{}
		for _, d := range list {
			got = append(got, d.ID)
			if d.State != webhook.Pending || d.NextAttempt.After(now) || len(d.Body) == 0 || d.Version == 0 {
				return fmt.Errorf("store.Due at %v returned %+v", now, d)
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("what is due is %v, want %v", got, want)
		}
	}
}

func checkDue(ctx context.Context, s webhook.Store) error {
	now := time.Now()
	if err := due(ctx, s, now, 10); err != nil {
		return err
	}
	for id, after := range map[string]time.Duration{"second": -time.Minute, "first": -time.Hour, "now": 0, "later": time.Minute} {
		if err := s.Create(ctx, delivery(id, now.Add(after))); err != nil {
			return err
		}
	}
	ended := delivery("ended", now.Add(-time.Hour))
	ended.State, ended.EndedAt = webhook.Failed, now.UTC()
	if err := s.Create(ctx, ended); err != nil {
		return err
	}
	if err := due(ctx, s, now, 10, "first", "second", "now"); err != nil {
		return err
	}
	if err := due(ctx, s, now, 2, "first", "second"); err != nil {
		return err
	}
	if err := due(ctx, s, now.Add(2*time.Minute), 10, "first", "second", "now", "later"); err != nil {
		return err
	}
	first, err := s.Get(ctx, "first")
	if err != nil {
		return err
	}
	first.State, first.EndedAt = webhook.Delivered, now.UTC()
	second, err := s.Get(ctx, "second")
	if err != nil {
		return err
	}
	second.NextAttempt = now.Add(time.Hour)
	for _, d := range []webhook.Delivery{first, second} {
		if err := s.Update(ctx, d); err != nil {
			return err
		}
	}
	return due(ctx, s, now, 10, "now")
}

func checkRace(ctx context.Context, s webhook.Store) error {
	d := delivery("a", time.Now())
	if err := s.Create(ctx, d); err != nil {
		return err
	}
	d.Version = 1
	const workers = 8
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := d
			mine.Attempt = w + 1
			errs[w] = s.Update(ctx, mine)
		})
	}
	wg.Wait()
	won := 0
	for w, err := range errs {
		switch {
		case err == nil:
			won++
			if got, err := s.Get(ctx, "a"); err != nil || got.Attempt != w+1 {
				return fmt.Errorf("the claim of %d succeeded, and what is stored is %+v, %v", w, got, err)
			}
		case !errors.Is(err, asyncq.ErrConflict):
			return err
		}
	}
	if won != 1 {
		return fmt.Errorf("of %d claims %d succeeded, want 1", workers, won)
	}
	return nil
}

func checkContext(ctx context.Context, s webhook.Store) error {
	if err := s.Create(ctx, delivery("a", time.Now())); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, get := s.Get(done, "a")
	_, list := s.Due(done, time.Now(), 1)
	d := delivery("a", time.Now())
	d.Version = 1
	for what, err := range map[string]error{"Get": get, "Due": list, "Create": s.Create(done, delivery("b", time.Now())), "Update": s.Update(done, d)} {
		if err := is(what, err, context.Canceled); err != nil {
			return err
		}
	}
	return nil
}
