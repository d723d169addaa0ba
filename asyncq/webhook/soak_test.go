package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// chance fails now and then, always in the same way for a seed.
type chance struct {
	mu  sync.Mutex
	rng *rand.Rand
}

var errChance = errors.New("bad luck")

func (c *chance) fails(share float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64() < share
}

// flaky is a store that fails before and after it has done what it was to do.
type flaky struct {
	Store
	*chance
}

func (f flaky) Create(ctx context.Context, d Delivery) error {
	if f.fails(0.1) {
		return errChance
	}
	if err := f.Store.Create(ctx, d); err != nil || f.fails(0.1) {
		return errors.Join(err, errChance)
	}
	return nil
}

func (f flaky) Update(ctx context.Context, d Delivery) error {
	if f.fails(0.1) {
		return errChance
	}
	if err := f.Store.Update(ctx, d); err != nil || f.fails(0.1) {
		return errors.Join(err, errChance)
	}
	return nil
}

func (f flaky) Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error) {
	if f.fails(0.1) {
		return nil, errChance
	}
	return f.Store.Due(ctx, now, limit)
}

// Jobs pass while stores fail, receivers fail, and workers and deliverers are cut
// off and started again: the end of each is told at least once, with one id.
func TestSoak(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { soak(t, &chance{rng: rand.New(rand.NewPCG(seed, 7))}) })
		})
	}
}

func soak(t *testing.T, luck *chance) {
	const jobs = 300
	ctx := t.Context()
	queues := memqueue.New()
	names := asyncq.Queues{Normal: "jobs", DeadLetter: "dead"}
	for _, name := range []string{"jobs", "dead"} {
		_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
		require.NoError(t, err)
	}
	statuses, results, store := asyncq.NewMemoryStatus(), asyncq.NewMemoryBlobs(), NewMemoryStore()

	var mu sync.Mutex
	told := map[string]map[string]int{} // job → id → how often
	// Fewer attempts fail than there are, or by chance a delivery would now and
	// then be given up.
	const mostFailures = 3
	failures, unreached := map[string]int{}, map[string]int{}
	receiver, err := NewReceiver(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e Event
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&e))
		mu.Lock()
		defer mu.Unlock()
		if told[e.Data.RequestID] == nil {
			told[e.Data.RequestID] = map[string]int{}
		}
		told[e.Data.RequestID][ID(r.Context())]++
		if failures[e.Data.RequestID]++; failures[e.Data.RequestID] <= mostFailures && luck.fails(0.2) { // taken, and its answer lost
			w.WriteHeader(http.StatusBadGateway)
		}
	}), []string{secret})
	require.NoError(t, err)
	deliverer := func() *Deliverer {
		d, err := New(flaky{store, luck}, []string{secret})
		require.NoError(t, err)
		d.client.Transport = transport(func(r *http.Request) *http.Response {
			id := r.Header.Get("webhook-id")
			mu.Lock()
			unreached[id]++
			may := unreached[id] <= mostFailures
			mu.Unlock()
			if may && luck.fails(0.1) {
				return nil
			}
			w := httptest.NewRecorder()
			receiver.ServeHTTP(w, r)
			return w.Result()
		})
		return d
	}

	producer, err := asyncq.NewProducer[int](queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = names, statuses })
	require.NoError(t, err)
	for i := range jobs {
		_, err := producer.Submit(ctx, asyncq.Request[int]{ID: fmt.Sprintf("job-%d", i), Payload: i, CallbackURL: "https://manga.example/hook"})
		require.NoError(t, err)
	}
	work := func(_ context.Context, job *asyncq.Job[int]) error {
		switch {
		case job.Payload%50 == 7:
			return asyncq.JobCancel(nil)
		case luck.fails(0.1):
			return errChance
		}
		return job.SetResult(job.Payload)
	}
	pending := func() int {
		n := 0
		for i := range jobs {
			s, err := statuses.Get(ctx, fmt.Sprintf("job-%d", i))
			require.NoError(t, err)
			d, err := store.Get(ctx, DeliveryID(s.NotificationID()))
			if !s.State.Done() || err != nil || d.State == Pending {
				n++
			}
		}
		return n
	}
	began := time.Now()
	for pending() > 0 {
		require.Less(t, time.Since(began), 200*time.Hour, "%d jobs are not told", pending())
		life, kill := context.WithCancel(ctx)
		d := deliverer()
		worker := asyncq.NewWorker(queues, work, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Notifier = names, statuses, results, d
			o.DrainTimeout, o.DrainGrace = time.Millisecond, time.Millisecond
		})
		var wg sync.WaitGroup
		wg.Go(func() { _ = worker.Run(life) })
		wg.Go(func() { assert.ErrorIs(t, d.Run(life), context.Canceled) })
		// The first lives are short, and then there is time for what is left.
		time.Sleep(rand.N(time.Second) + min(time.Since(began), time.Hour))
		kill()
		wg.Wait()
	}

	twice := 0
	for i := range jobs {
		id := fmt.Sprintf("job-%d", i)
		s, err := statuses.Get(ctx, id)
		require.NoError(t, err)
		d, err := store.Get(ctx, DeliveryID(s.NotificationID()))
		require.NoError(t, err)
		assert.Equal(t, Delivered, d.State, id)
		assert.Len(t, told[id], 1, "%s was told with one id", id)
		assert.Positive(t, told[id][d.ID], id)
		if told[id][d.ID] > 1 {
			twice++
		}
	}
	assert.Positive(t, twice, "nothing has failed in this soak")
}
