package webhook

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A time before now is now.
func TestNegativeSchedule(t *testing.T) {
	s := newSite(t, status(500))
	d := s.deliverer(t, func(o *Options) { o.Schedule = []time.Duration{-time.Hour, -time.Hour} })
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	for range 2 {
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
	}
	assert.EqualValues(t, 2, s.hits.Load())
	assert.Equal(t, Failed, s.delivery(t).State)
}

// The standard schedule, by Run and in the order of time.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		began := time.Now()
		var at []time.Duration
		stamps := map[string]bool{}
		d.client.Transport = transport(func(r *http.Request) *http.Response {
			at = append(at, time.Since(began))
			stamps[r.Header.Get("webhook-timestamp")] = true
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		require.NoError(t, d.Notify(ctx, note("https://manga.example/hook")))
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Len(t, at, len(standardSchedule))
		for i, want := range standardSchedule {
			var last time.Duration
			if i > 0 {
				last = at[i-1]
			}
			gap := at[i] - last
			assert.True(t, gap >= want && gap <= want+want/10+2*time.Second, "attempt %d came after %v, want %v", i, gap, want)
		}
		assert.Len(t, stamps, len(standardSchedule), "each attempt has a timestamp of its own")
		end, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, Failed, end.State)
		assert.Equal(t, "connection", end.LastError)
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "Mon, 23 Nov 2026 05:00:00 GMT": time.Hour, "Mon, 23 Nov 2026 03:00:00 GMT": 0,
		"": 0, "-1": 0, "soon": 0, "99999999999999999999": 0,
	} {
		assert.Equal(t, want, retryAfter(v, now), v)
	}
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		header := "3600"
		d.client.Transport = transport(func(*http.Request) *http.Response { return answering(429, header) })
		require.NoError(t, d.Notify(t.Context(), note("https://manga.example/hook")))
		for _, want := range []time.Duration{time.Hour, 24 * time.Hour} {
			time.Sleep(time.Until(next(t, store)))
			_, err = d.Deliver(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, time.Until(next(t, store)))
			header = "2000000000" // decades are cut to a day
		}
	})
}

func next(t *testing.T, s Store) time.Time {
	d, err := s.Get(t.Context(), DeliveryID("job-1.completed"))
	require.NoError(t, err)
	return d.NextAttempt
}

// Of several that see a delivery due, one sends it; one that died leaves it to
// another.
func TestClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		var sent atomic.Int64
		var all []*Deliverer
		for range 5 {
			d, err := New(store, []string{secret})
			require.NoError(t, err)
			d.client.Transport = transport(func(*http.Request) *http.Response {
				time.Sleep(time.Second)
				sent.Add(1)
				return answering(200, "")
			})
			all = append(all, d)
		}
		require.NoError(t, all[0].Notify(t.Context(), note("https://manga.example/hook")))
		d := Delivery{}
		due, err := store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		d = due[0]
		var wg sync.WaitGroup
		for _, one := range all {
			wg.Go(func() {
				r, mine := one.newRound(t.Context()), d
				if l := r.enter(mine.URL); r.claim(&mine) {
					r.deliver(mine, l)
				}
				_, err := r.result()
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, sent.Load())

		// One that died has claimed and stored nothing more.
		second := note("https://manga.example/hook")
		second.ID = "job-2.completed"
		require.NoError(t, all[0].Notify(t.Context(), second))
		due, err = store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		dead := due[0]
		dead.Attempt, dead.NextAttempt = 1, time.Now().Add(40*time.Second)
		require.NoError(t, store.Update(t.Context(), dead))
		made, err := all[1].Deliver(t.Context())
		require.NoError(t, err)
		assert.Zero(t, made)
		time.Sleep(40 * time.Second)
		made, err = all[1].Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, made)
		assert.EqualValues(t, 2, sent.Load())
	})
}

// A shutdown while an attempt is under way is not an attempt.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		d.client.Transport = transport(func(r *http.Request) *http.Response {
			cancel()
			<-r.Context().Done()
			return nil
		})
		require.NoError(t, d.Notify(t.Context(), note("https://manga.example/hook")))
		require.ErrorIs(t, d.Run(ctx), context.Canceled)
		left, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, Pending, left.State)
		assert.Zero(t, left.Attempt)
		due, err := store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		assert.Len(t, due, 1, "another sends it at once")
	})
}
