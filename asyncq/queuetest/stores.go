package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/pricing"
)

// TestStatusStore checks that a store of statuses does what
// [asyncq.StatusStore] promises. The checks are subtests, each with an empty store
// from open. Times need to be kept to a millisecond, and an end to a second.
func TestStatusStore(t *testing.T, open func(t *testing.T) asyncq.StatusStore) {
	t.Helper()
	for _, c := range statusChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

var statusChecks = []struct {
	name string
	fn   func(context.Context, asyncq.StatusStore) error
}{
	{"create and get", statusCreate},
	{"update", statusUpdate},
	{"every field", statusFields},
	{"expiry", statusExpiry},
	{"values are copies", statusCopies},
	{"one of many updates", statusRace},
	{"context is done", statusContext},
}

// status is one that lives for an hour.
func status(id string) asyncq.Status {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return asyncq.Status{ID: id, State: asyncq.Queued, Priority: asyncq.Normal, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(time.Hour).Truncate(time.Second)}
}

// is expects an error of a store.
func is(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: the error is %v, want %v", what, err, want)
	}
	return nil
}

func statusCreate(ctx context.Context, s asyncq.StatusStore) error {
	a := status("a")
	_, err := s.Get(ctx, "a")
	if err := is("a Get of what is not there", err, asyncq.ErrNotFound); err != nil {
		return err
	}
	if err := s.Create(ctx, a); err != nil {
		return err
	}
	if err := is("a second Create", s.Create(ctx, a), asyncq.ErrExists); err != nil {
		return err
	}
	got, err := s.Get(ctx, "a")
	if err != nil {
		return err
	}
	a.Version = 1
	if !reflect.DeepEqual(got, a) {
		return fmt.Errorf("a Get returned %+v, want %+v", got, a)
	}
	_, err = s.Get(ctx, "A")
	return is("a Get of another id", err, asyncq.ErrNotFound)
}

func statusUpdate(ctx context.Context, s asyncq.StatusStore) error {
	if err := is("an Update of what is not there", s.Update(ctx, status("a")), asyncq.ErrNotFound); err != nil {
		return err
	}
	if err := s.Create(ctx, status("a")); err != nil {
		return err
	}
	got, err := s.Get(ctx, "a")
	if err != nil {
		return err
	}
	stale := got
	got.State, got.Attempt, got.Lease = asyncq.Processing, 1, "lease"
	if err := s.Update(ctx, got); err != nil {
		return err
	}
	stale.State = asyncq.Failed
	if err := is("an Update of an old version", s.Update(ctx, stale), asyncq.ErrConflict); err != nil {
		return err
	}
	if err := is("an Update of an old version, once more", s.Update(ctx, stale), asyncq.ErrConflict); err != nil {
		return err
	}
	got.Version++
	again, err := s.Get(ctx, "a")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(again, got) {
		return fmt.Errorf("a Get returned %+v, want %+v", again, got)
	}
	got.State, got.Lease = asyncq.Completed, ""
	if err := s.Update(ctx, got); err != nil {
		return err
	}
	if again, err = s.Get(ctx, "a"); err != nil || again.Version != 3 || again.Lease != "" || again.State != asyncq.Completed {
		return fmt.Errorf("a Get returned %+v and the error %v; want version 3, completed, without a lease", again, err)
	}
	return nil
}

// statusFields has a value in every field, which reflection makes sure of.
func statusFields(ctx context.Context, s asyncq.StatusStore) error {
	cost, err := pricing.ParseAmount("0.000136400000001")
	if err != nil {
		return err
	}
	a := status("tenant:1_x.y-z")
	a.Queue, a.Metadata = "manga-fm-normal", map[string]string{"title": "漫画", "": "empty key", "none": ""}
	a.Attempt, a.Lease, a.LeaseUntil = 2, "lease", a.CreatedAt.Add(time.Minute)
	a.Step, a.Steps = 3, 7
	a.StartedAt, a.FinishedAt = a.CreatedAt.Add(time.Second), a.CreatedAt.Add(2*time.Second)
	a.RetryAt, a.Message = a.UpdatedAt.Add(time.Hour), "b10a6e5d"
	a.ErrorClass, a.ResultKey, a.Notified, a.DeadLettered, a.PayloadHash = "throttled", "results/a", true, true, "00ff"
	a.Refused = true
	a.Usage, a.Cost = bedrockkit.Usage{InputTokens: 1 << 40, OutputTokens: 2}, &cost
	a.Version = 1
	for v, i := reflect.ValueOf(a), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			return fmt.Errorf("the check leaves out the field %s", v.Type().Field(i).Name)
		}
	}
	if err := s.Create(ctx, a); err != nil {
		return err
	}
	got, err := s.Get(ctx, a.ID)
	if err != nil {
		return err
	}
	if got.Cost == nil || got.Cost.Cmp(cost) != 0 {
		return fmt.Errorf("the cost is %v, want %v", got.Cost, cost)
	}
	got.Cost = a.Cost
	if !reflect.DeepEqual(got, a) {
		return fmt.Errorf("a Get returned %+v, want %+v", got, a)
	}
	return nil
}

// An end in the past is one that has come; nobody has to wait for it.
func statusExpiry(ctx context.Context, s asyncq.StatusStore) error {
	old := status("a")
	old.ExpiresAt = time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	if err := s.Create(ctx, old); err != nil {
		return err
	}
	_, err := s.Get(ctx, "a")
	if err := is("a Get of what has expired", err, asyncq.ErrNotFound); err != nil {
		return err
	}
	old.Version = 1
	if err := is("an Update of what has expired", s.Update(ctx, old), asyncq.ErrNotFound); err != nil {
		return err
	}
	old.CreatedAt = old.CreatedAt.Add(-time.Hour)
	young := status("a")
	if err := s.Create(ctx, young); err != nil {
		return fmt.Errorf("a Create in place of what has expired: %w", err)
	}
	stale := old
	stale.ExpiresAt = young.ExpiresAt
	if err := is("an Update of another job with this id, which has expired", s.Update(ctx, stale), asyncq.ErrConflict); err != nil {
		return err
	}
	got, err := s.Get(ctx, "a")
	if err != nil || got.Version != 1 {
		return fmt.Errorf("a Get returned version %d and the error %v, want version 1", got.Version, err)
	}
	got.ExpiresAt = old.ExpiresAt
	if err := s.Update(ctx, got); err != nil {
		return err
	}
	_, err = s.Get(ctx, "a")
	return is("a Get of what was updated to have expired", err, asyncq.ErrNotFound)
}

func statusCopies(ctx context.Context, s asyncq.StatusStore) error {
	a := status("a")
	cost := pricing.Amount{}
	a.Metadata, a.Cost = map[string]string{"k": "v"}, &cost
	if err := s.Create(ctx, a); err != nil {
		return err
	}
	a.Metadata["k"] = "changed"
	got, err := s.Get(ctx, "a")
	if err != nil {
		return err
	}
	if got.Metadata["k"] != "v" {
		return errors.New("the store has kept the caller's map")
	}
	got.Metadata["k"] = "changed"
	again, err := s.Get(ctx, "a")
	if err != nil || again.Metadata["k"] != "v" {
		return fmt.Errorf("the store has given out its map: %v, %v", again.Metadata, err)
	}
	return nil
}

func statusRace(ctx context.Context, s asyncq.StatusStore) error {
	const workers, rounds = 8, 5
	creations := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { creations[w] = s.Create(ctx, status("a")) })
	}
	wg.Wait()
	if n := nils(creations, asyncq.ErrExists); n != 1 {
		return fmt.Errorf("of %d Creates at once %d succeeded, want 1: %v", workers, n, errors.Join(creations...))
	}
	for range rounds {
		got, err := s.Get(ctx, "a")
		if err != nil {
			return err
		}
		updates := make([]error, workers)
		for w := range workers {
			wg.Go(func() {
				mine := got
				mine.Lease = fmt.Sprint(w)
				updates[w] = s.Update(ctx, mine)
			})
		}
		wg.Wait()
		if n := nils(updates, asyncq.ErrConflict); n != 1 {
			return fmt.Errorf("of %d Updates at once %d succeeded, want 1: %v", workers, n, errors.Join(updates...))
		}
		after, err := s.Get(ctx, "a")
		if err != nil {
			return err
		}
		for w := range workers {
			if updates[w] == nil && after.Lease != fmt.Sprint(w) {
				return fmt.Errorf("the Update of %d succeeded, and what is stored is that of %s", w, after.Lease)
			}
		}
	}
	return nil
}

// nils counts errors that are nil; all others must be want, or it is -1.
func nils(errs []error, want error) int {
	n := 0
	for _, err := range errs {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, want):
			return -1
		}
	}
	return n
}

func statusContext(ctx context.Context, s asyncq.StatusStore) error {
	if err := s.Create(ctx, status("a")); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Get(done, "a")
	a := status("a")
	a.Version = 1
	return first(
		func() error { return is("Get", err, context.Canceled) },
		func() error { return is("Create", s.Create(done, status("b")), context.Canceled) },
		func() error { return is("Update", s.Update(done, a), context.Canceled) },
		func() error { _, err := s.Get(ctx, "b"); return is("what was cancelled", err, asyncq.ErrNotFound) },
	)
}

// TestBlobStore checks that a store of results does what [asyncq.BlobStore]
// promises. The checks are subtests, each with an empty store from open.
func TestBlobStore(t *testing.T, open func(t *testing.T) asyncq.BlobStore) {
	t.Helper()
	for _, c := range blobChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

var blobChecks = []struct {
	name string
	fn   func(context.Context, asyncq.BlobStore) error
}{
	{"put, get and delete", blobBasics},
	{"sizes", blobSizes},
	{"keys", blobKeys},
	{"values are copies", blobCopies},
	{"the first of many", blobRace},
	{"context is done", blobContext},
}

func has(ctx context.Context, s asyncq.BlobStore, key string, want []byte) error {
	got, err := s.Get(ctx, key)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("a Get of %q returned %d bytes and the error %v, want %d bytes", key, len(got), err, len(want))
	}
	return nil
}

func blobBasics(ctx context.Context, s asyncq.BlobStore) error {
	_, missing := s.Get(ctx, "results/a")
	return first(
		func() error { return is("a Get of what is not there", missing, asyncq.ErrNotFound) },
		func() error { return s.Delete(ctx, "results/a") },
		func() error { return s.Put(ctx, "results/a", []byte("first")) },
		func() error { return is("a second Put", s.Put(ctx, "results/a", []byte("second")), asyncq.ErrExists) },
		func() error {
			return is("a Put of the same", s.Put(ctx, "results/a", []byte("first")), asyncq.ErrExists)
		},
		func() error { return has(ctx, s, "results/a", []byte("first")) },
		func() error { return s.Delete(ctx, "results/a") },
		func() error {
			_, err := s.Get(ctx, "results/a")
			return is("a Get of what was deleted", err, asyncq.ErrNotFound)
		},
		func() error { return s.Put(ctx, "results/a", []byte("third")) },
		func() error { return has(ctx, s, "results/a", []byte("third")) },
	)
}

func blobSizes(ctx context.Context, s asyncq.BlobStore) error {
	for _, n := range []int{0, 1, 4096, 1<<20 + 1} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*7 + i>>8)
		}
		key := fmt.Sprint("sizes/", n)
		if err := first(
			func() error { return s.Put(ctx, key, data) },
			func() error { return has(ctx, s, key, data) },
		); err != nil {
			return err
		}
	}
	return nil
}

// blobKeys has keys that a store could confuse: they are ids of jobs and what a
// worker puts before and after them.
func blobKeys(ctx context.Context, s asyncq.BlobStore) error {
	keys := []string{"a", "a.json", "a/b", "a_b", "a:b", "a-b", "..", ".", "...", "x/..", "A", "payload/a", "result/a", "a%2Fb", "con", "a.", ".a",
		string(bytes.Repeat([]byte("k"), 160))}
	for i, key := range keys {
		if err := s.Put(ctx, key, []byte{byte(i)}); err != nil {
			return fmt.Errorf("a Put of %q: %w", key, err)
		}
	}
	for i, key := range keys {
		if err := has(ctx, s, key, []byte{byte(i)}); err != nil {
			return err
		}
	}
	return nil
}

func blobCopies(ctx context.Context, s asyncq.BlobStore) error {
	data := []byte("value")
	if err := s.Put(ctx, "a", data); err != nil {
		return err
	}
	copy(data, "XXXXX")
	got, err := s.Get(ctx, "a")
	if err != nil || string(got) != "value" {
		return fmt.Errorf("a Get returned %q and the error %v after the caller used its slice again", got, err)
	}
	copy(got, "XXXXX")
	return has(ctx, s, "a", []byte("value"))
}

func blobRace(ctx context.Context, s asyncq.BlobStore) error {
	const workers = 8
	errs := make([]error, workers)
	value := func(w int) []byte { return bytes.Repeat([]byte{byte('a' + w)}, 100_000) }
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { errs[w] = s.Put(ctx, "race", value(w)) })
	}
	wg.Wait()
	if n := nils(errs, asyncq.ErrExists); n != 1 {
		return fmt.Errorf("of %d Puts at once %d succeeded, want 1: %v", workers, n, errors.Join(errs...))
	}
	for w, err := range errs {
		if err == nil {
			return has(ctx, s, "race", value(w))
		}
	}
	return nil
}

func blobContext(ctx context.Context, s asyncq.BlobStore) error {
	if err := s.Put(ctx, "a", []byte("value")); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Get(done, "a")
	return first(
		func() error { return is("Get", err, context.Canceled) },
		func() error { return is("Put", s.Put(done, "b", nil), context.Canceled) },
		func() error { return is("Delete", s.Delete(done, "a"), context.Canceled) },
		func() error { return has(ctx, s, "a", []byte("value")) },
	)
}
