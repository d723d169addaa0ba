package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// notice is the end of a job with this number.
func notice(url string, n int) asyncq.Notification {
	end := note(url)
	end.ID = fmt.Sprintf("job-%d.completed", n)
	return end
}

// Over a real connection: a receiver that hangs delays nobody else.
func TestHangingReceiver(t *testing.T) {
	s := newSite(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(1500 * time.Millisecond)
		}
	}))
	d := s.deliverer(t, func(o *Options) {
		o.Timeout, o.Concurrency, o.Schedule = time.Second, 2, []time.Duration{0, time.Hour}
	})
	base := strings.TrimSuffix(s.url(t, "127.0.0.1"), "/hook")
	for i := range 20 {
		require.NoError(t, d.Notify(t.Context(), notice(base+"/slow", i)))
	}
	require.NoError(t, d.Notify(t.Context(), notice(base+"/good", 20)))
	began := time.Now()
	made, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 3*time.Second)
	assert.Equal(t, 2, made, "one of twenty, and the good one")
	good, err := s.store.Get(t.Context(), DeliveryID("job-20.completed"))
	require.NoError(t, err)
	assert.Equal(t, Delivered, good.State)
	assert.Less(t, good.EndedAt.Sub(began), 500*time.Millisecond)
	for i := range 20 {
		slow, err := s.store.Get(t.Context(), DeliveryID(fmt.Sprintf("job-%d.completed", i)))
		require.NoError(t, err)
		assert.Equal(t, Pending, slow.State)
		assert.True(t, slow.NextAttempt.After(began))
		assert.LessOrEqual(t, slow.Attempt, 1)
	}
}

type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hanging is a network in which receivers may hang.
func hanging(d *Deliverer, hangs func(url string) bool) *atomic.Int64 {
	var most, now atomic.Int64
	d.client.Transport = network(func(r *http.Request) (*http.Response, error) {
		defer now.Add(-1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		if hangs(r.URL.String()) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return answering(200, ""), nil
	})
	return &most
}

// run runs a deliverer until the test ends.
func run(t *testing.T, d *Deliverer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	}
}

// While Run goes on: neither one receiver with thousands of deliveries nor many of
// them delay the others by more than a moment.
func TestHangingReceiversWhileRunning(t *testing.T) {
	for name, url := range map[string]func(int) string{
		"one":  func(int) string { return "https://hangs.example/" },
		"many": func(i int) string { return fmt.Sprintf("https://hangs.example/%d", i%30) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := NewMemoryStore()
				d, err := New(store, []string{secret}, func(o *Options) { o.Concurrency = 4 })
				require.NoError(t, err)
				most := hanging(d, func(url string) bool { return strings.HasPrefix(url, "https://hangs") })
				for i := range 3000 {
					require.NoError(t, d.Notify(t.Context(), notice(url(i), i)))
				}
				stop := run(t, d)
				for i := range 300 {
					time.Sleep(time.Second)
					n := notice(fmt.Sprint("https://good.example/", i%7), 10_000+i)
					require.NoError(t, d.Notify(t.Context(), n))
					time.Sleep(3 * time.Second)
					end, err := store.Get(t.Context(), DeliveryID(n.ID))
					require.NoError(t, err)
					require.Equal(t, Delivered, end.State, "after %d", i)
				}
				assert.LessOrEqual(t, most.Load(), int64(maxHeld))
				stop()
			})
		})
	}
}

// A receiver that answers again gets all that it was not asked to take, and none of
// it has lost an attempt.
func TestReceiverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		var back atomic.Bool
		hanging(d, func(string) bool { return !back.Load() })
		const jobs = 400
		for i := range jobs {
			require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/hook", i)))
		}
		stop := run(t, d)
		time.Sleep(time.Hour)
		back.Store(true)
		time.Sleep(3 * time.Hour)
		attempts := 0
		for i := range jobs {
			end, err := store.Get(t.Context(), DeliveryID(fmt.Sprintf("job-%d.completed", i)))
			require.NoError(t, err)
			require.Equal(t, Delivered, end.State)
			attempts += end.Attempt - 1
		}
		assert.Less(t, attempts, 30, "attempts that failed in an hour")
		stop()
	})
}

// One that never answers is given up.
func TestReceiverNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore(func(o *MemoryOptions) { o.Retention = 1000 * time.Hour })
		var ended atomic.Int64
		d, err := New(store, []string{secret}, func(o *Options) {
			o.Schedule, o.PollInterval = []time.Duration{0, time.Minute, time.Hour}, 10*time.Second
			o.OnEnd = func(Delivery) { ended.Add(1) }
		})
		require.NoError(t, err)
		hanging(d, func(string) bool { return true })
		const jobs = 300
		for i := range jobs {
			require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/hook", i)))
		}
		stop := run(t, d)
		time.Sleep(48 * time.Hour)
		stop()
		for i := range jobs {
			end, err := store.Get(t.Context(), DeliveryID(fmt.Sprintf("job-%d.completed", i)))
			require.NoError(t, err)
			require.Equal(t, Failed, end.State)
			require.Equal(t, "timeout", end.LastError)
			require.LessOrEqual(t, end.Attempt, 3)
		}
		assert.EqualValues(t, jobs, ended.Load())
	})
}

// A shutdown gives back what waits for its turn.
func TestStoppedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		hanging(d, func(string) bool { return true })
		for i := range 50 {
			require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/hook", i)))
		}
		stop := run(t, d)
		time.Sleep(10 * time.Second)
		began := time.Now()
		stop()
		assert.Zero(t, time.Since(began))
		due, err := store.Due(t.Context(), time.Now().Add(d.o.Timeout), 100)
		require.NoError(t, err)
		assert.Len(t, due, 50)
		for _, one := range due {
			assert.Zero(t, one.Attempt)
		}
	})
}

// faulty is a store that panics, or keeps back what it cannot read.
type faulty struct {
	Store
	panics string
	unread error
}

func (f *faulty) act(where string) {
	if f.panics == where {
		panic("canary")
	}
}

func (f *faulty) Create(ctx context.Context, d Delivery) error {
	f.act("create")
	return f.Store.Create(ctx, d)
}

func (f *faulty) Update(ctx context.Context, d Delivery) error {
	f.act("update")
	return f.Store.Update(ctx, d)
}

func (f *faulty) Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error) {
	f.act("due")
	due, err := f.Store.Due(ctx, now, limit)
	return due, errors.Join(err, f.unread)
}

// A panic of what is the user's ends nothing but what it is about.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: NewMemoryStore()}
		where := ""
		var logs bytes.Buffer
		d, err := New(store, []string{secret}, func(o *Options) {
			o.Schedule = []time.Duration{0, time.Minute}
			o.Logger = slog.New(slog.NewTextHandler(&logs, nil))
			o.Allow = func(_ context.Context, url string) error {
				if where == "allow" && strings.HasSuffix(url, "bad") {
					panic("canary")
				}
				return nil
			}
			o.OnEnd = func(d Delivery) {
				if where == "end" && strings.HasSuffix(d.URL, "bad") {
					panic("canary")
				}
			}
		})
		require.NoError(t, err)
		hanging(d, func(string) bool { return false })
		n := 0
		two := func() (bad, good string) {
			n += 2
			require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/bad", n)))
			require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/good", n+1)))
			return DeliveryID(fmt.Sprintf("job-%d.completed", n)), DeliveryID(fmt.Sprintf("job-%d.completed", n+1))
		}
		get := func(id string) Delivery {
			end, err := store.Get(t.Context(), id)
			require.NoError(t, err)
			return end
		}

		where = "allow"
		bad, good := two()
		made, err := d.Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, made)
		assert.Equal(t, Delivered, get(good).State)
		assert.Equal(t, Pending, get(bad).State, "it is tried again")
		assert.Equal(t, "panic", get(bad).LastError)
		where = ""
		time.Sleep(2 * time.Minute)
		_, err = d.Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Delivered, get(bad).State)

		where = "end"
		bad, good = two()
		_, err = d.Deliver(t.Context())
		assert.ErrorContains(t, err, "Options.OnEnd panicked with a string")
		assert.NotContains(t, err.Error(), "canary")
		assert.Equal(t, Delivered, get(good).State)
		assert.Equal(t, Delivered, get(bad).State)
		where = ""

		bad, good = two()
		for _, store.panics = range []string{"due", "update"} {
			_, err = d.Deliver(t.Context())
			assert.ErrorContains(t, err, "the store panicked")
		}
		stop := run(t, d)
		time.Sleep(150 * time.Second)
		stop()
		assert.Contains(t, logs.String(), "the store panicked")
		assert.NotContains(t, logs.String(), "canary")
		assert.Equal(t, 3, strings.Count(logs.String(), "\n"), "one line a minute: %s", logs.String())
		store.panics = ""
		stop = run(t, d)
		time.Sleep(2 * time.Second)
		stop()
		assert.Equal(t, Delivered, get(good).State)
		assert.Equal(t, Delivered, get(bad).State)
		store.panics = "create"
		assert.ErrorContains(t, d.Notify(t.Context(), notice("https://manga.example/bad", 99)), "the store panicked")
	})
}

// One delivery that cannot be read holds up no other.
func TestUnreadDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: NewMemoryStore(), unread: errBroken}
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		hanging(d, func(string) bool { return false })
		require.NoError(t, d.Notify(t.Context(), notice("https://manga.example/hook", 1)))
		made, err := d.Deliver(t.Context())
		assert.ErrorIs(t, err, errBroken)
		assert.Equal(t, 1, made)
	})
}

// An Allow that does not answer in time has refused nothing.
func TestAllowTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		down := true
		d, err := New(store, []string{secret}, func(o *Options) {
			o.Allow = func(ctx context.Context, _ string) error {
				if down {
					<-ctx.Done()
				}
				return ctx.Err()
			}
		})
		require.NoError(t, err)
		hanging(d, func(string) bool { return false })
		require.NoError(t, d.Notify(t.Context(), note("https://manga.example/hook")))
		_, err = d.Deliver(t.Context())
		require.NoError(t, err)
		end, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, Pending, end.State)
		assert.Equal(t, "timeout", end.LastError)
		down = false
		time.Sleep(time.Minute)
		_, err = d.Deliver(t.Context())
		require.NoError(t, err)
		end, err = store.Get(t.Context(), end.ID)
		require.NoError(t, err)
		assert.Equal(t, Delivered, end.State)
	})
}

func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hangs
		known := func(url string) bool {
			ok, _ := h.known(url)
			return ok
		}
		assert.False(t, known("a"))
		for _, want := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 10 * time.Minute, 10 * time.Minute} {
			h.note("a", 20*time.Second)
			ok, wait := h.known("a")
			assert.True(t, ok)
			assert.Equal(t, want, wait)
			time.Sleep(wait + time.Second)
			_, wait = h.known("a")
			assert.Zero(t, wait)
		}
		h.note("a", time.Hour)
		h.note("a", time.Hour) // of an attempt beside it
		_, wait := h.known("a")
		assert.Equal(t, time.Hour, wait)
		assert.Equal(t, 8, h.all["a"].times)
		h.forget("a")
		assert.False(t, known("a"))
		for i := range maxHangs + 10 {
			h.note(fmt.Sprint(i), time.Second)
		}
		assert.Len(t, h.all, maxHangs)
		assert.True(t, known(fmt.Sprint(maxHangs+9)))
	})
}

func TestMemoryRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore(func(o *MemoryOptions) { o.Retention = time.Hour })
		old := Delivery{ID: "a", State: Delivered, EndedAt: time.Now()}
		require.NoError(t, store.Create(t.Context(), old))
		time.Sleep(59 * time.Minute)
		require.ErrorIs(t, store.Create(t.Context(), old), asyncq.ErrExists)
		time.Sleep(2 * time.Minute)
		require.NoError(t, store.Create(t.Context(), old))
	})
}
