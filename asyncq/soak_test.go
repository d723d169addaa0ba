package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// A mortal is what a process can do to the world: calls to queues and stores. It
// dies at one of them, as a process does that is killed: from then on nothing it
// does has an effect. Every other time the last call has its effect and the answer
// is never seen.
type mortal struct {
	mu     sync.Mutex
	rand   *rand.Rand
	left   int // calls until death; negative means none
	dead   bool
	flaky  float64 // the share of calls that fail, to the status store and to SQS
	kill   func()
	status asyncq.StatusStore
	blobs  asyncq.BlobStore
	asyncq.QueueAPI
}

var (
	errKilled = errors.New("killed")
	errStore  = errors.New("the store is down")
)

// act does a call, or what death or a failing store leave of it.
func (m *mortal) act(flaky bool, call func() error) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return errKilled
	}
	err, effect := error(nil), true
	switch m.left--; {
	case m.left == 0:
		m.dead, err, effect = true, errKilled, m.rand.IntN(2) == 0
		m.kill()
	case flaky && m.flaky > 0 && m.rand.Float64() < m.flaky:
		err, effect = errStore, m.rand.IntN(2) == 0
	}
	m.mu.Unlock()
	if effect {
		if callErr := call(); err == nil {
			err = callErr
		}
	}
	return err
}

func acted[In, Out any](m *mortal, ctx context.Context, in In, call func(context.Context, In, ...func(*sqs.Options)) (Out, error)) (out Out, err error) {
	err = m.act(true, func() (err error) {
		out, err = call(ctx, in)
		return err
	})
	if err != nil {
		var none Out
		out = none
	}
	return out, err
}

func (m *mortal) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return acted(m, ctx, in, m.QueueAPI.SendMessageBatch)
}

func (m *mortal) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	return acted(m, ctx, in, m.QueueAPI.ReceiveMessage)
}

func (m *mortal) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return acted(m, ctx, in, m.QueueAPI.DeleteMessageBatch)
}

func (m *mortal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return acted(m, ctx, in, m.QueueAPI.ChangeMessageVisibilityBatch)
}

func (m *mortal) Create(ctx context.Context, s asyncq.Status) error {
	return m.act(true, func() error { return m.status.Create(ctx, s) })
}

func (m *mortal) Get(ctx context.Context, id string) (s asyncq.Status, err error) {
	err = m.act(true, func() (err error) {
		s, err = m.status.Get(ctx, id)
		return err
	})
	return s, err
}

func (m *mortal) Update(ctx context.Context, s asyncq.Status) error {
	return m.act(true, func() error { return m.status.Update(ctx, s) })
}

// mortalBlobs counts what is stored.
type mortalBlobs struct{ *mortal }

func (m mortalBlobs) Put(ctx context.Context, key string, data []byte) error {
	return m.act(false, func() error { return m.blobs.Put(ctx, key, data) })
}

func (m mortalBlobs) Get(ctx context.Context, key string) (data []byte, err error) {
	err = m.act(false, func() (err error) {
		data, err = m.blobs.Get(ctx, key)
		return err
	})
	return data, err
}

func (m mortalBlobs) Delete(ctx context.Context, key string) error {
	return m.act(false, func() error { return m.blobs.Delete(ctx, key) })
}

// once counts the results that were stored for each key.
type once struct {
	*asyncq.MemoryBlobs
	mu   sync.Mutex
	puts map[string]int
}

func (o *once) Put(ctx context.Context, key string, data []byte) error {
	err := o.MemoryBlobs.Put(ctx, key, data)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.puts[key]++
	}
	return err
}

// Many jobs, with groups and without, workers that die at every kind of step,
// handlers that fail, a status store and an SQS that fail at random. Every accepted
// job is completed or a dead letter, and not both; each has one result; each end is
// told at least once, under one id; each job of a group begins when the one before it
// has ended.
func TestSoak(t *testing.T) {
	for name, flaky := range map[string]float64{"workers are killed": 0, "and SQS and the status store fail": 0.03} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { soak(t, flaky) })
		})
	}
}

func soak(t *testing.T, flaky float64) {
	jobs := max(*jobsFlag, 1000)
	random := rand.New(rand.NewPCG(1, 2))
	w := newWorld(t)
	results := &once{MemoryBlobs: asyncq.NewMemoryBlobs(), puts: map[string]int{}}
	w.results = results

	var mu sync.Mutex
	told := map[string]map[string]bool{}
	deaths := 0
	before := map[string]string{} // the job before one of a group
	handler := func(ctx context.Context, job *asyncq.Job[string]) error {
		if last := before[job.ID]; last != "" {
			s, err := w.status.Get(context.Background(), last)
			if assert.NoError(t, err) && !s.State.Done() {
				t.Errorf("%s begins while %s before it is %s", job.ID, last, s.State)
			}
		}
		timer := time.NewTimer(time.Duration(len(job.ID)%7+1) * 100 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case job.Payload[len(job.Payload)-1] == '7' && job.Payload[len(job.Payload)-2] == '7':
			return errors.New("always")
		case rand.IntN(20) == 0:
			return errors.New("at times")
		case rand.IntN(50) == 0:
			return asyncq.JobRetry(rand.N(3*time.Hour), nil)
		}
		return job.SetResult(job.Payload)
	}

	last := map[string]string{}
	for i := range jobs {
		if i%5 == 2 {
			group, id := fmt.Sprint("group-", i%97), fmt.Sprint("job-", i)
			before[id], last[group] = last[group], id
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for i := range 4 {
		seed := random.Uint64()
		workers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				life, kill := context.WithCancel(ctx)
				m := &mortal{rand: random, left: 1 + random.IntN(min(3000, jobs)), flaky: flaky, kill: kill, status: w.status, blobs: w.results, QueueAPI: w.queues}
				worker := asyncq.NewWorker(m, handler, func(o *asyncq.WorkerOptions) {
					o.Queues, o.Status, o.Results, o.Logger = testQueues, m, mortalBlobs{m}, quiet()
					o.DrainTimeout, o.DrainGrace = time.Second, time.Second
					o.Notifier = asyncq.NotifierFunc(func(_ context.Context, n asyncq.Notification) error {
						return m.act(false, func() error {
							mu.Lock()
							defer mu.Unlock()
							if told[n.Status.ID] == nil {
								told[n.Status.ID] = map[string]bool{}
							}
							told[n.Status.ID][n.ID] = true
							return nil
						})
					})
				})
				if err := worker.Run(life); err != nil && ctx.Err() == nil {
					assert.ErrorIs(t, err, errKilled)
				}
				kill()
				if ctx.Err() == nil {
					mu.Lock()
					deaths++
					mu.Unlock()
				}
			}
		})
	}

	accepted := map[string]bool{}
	p := w.producer()
	for i := 0; i < jobs; {
		var batch []asyncq.Request[string]
		for ; len(batch) < 500 && i < jobs; i++ {
			r := asyncq.Request[string]{ID: fmt.Sprint("job-", i), Payload: fmt.Sprint("0", i)}
			switch i % 5 {
			case 0:
				r.Priority = asyncq.High
			case 1:
				r.Priority = asyncq.Low
			case 2:
				r.Group = fmt.Sprint("group-", i%97)
			}
			batch = append(batch, r)
		}
		for _, r := range p.SubmitBatch(ctx, batch) {
			require.NoError(t, r.Err)
			accepted[r.ID] = true
		}
	}
	require.Len(t, accepted, jobs)

	ids := make([]string, 0, jobs)
	for id := range accepted {
		ids = append(ids, id)
	}
	patience, done := context.WithTimeout(ctx, 30*24*time.Hour)
	states := map[string]asyncq.State{}
	for s, err := range asyncq.WaitAll(patience, w.status, ids, func(o *asyncq.WaitOptions) { o.BaseDelay, o.MaxDelay = time.Minute, time.Hour }) {
		require.NoError(t, err)
		states[s.ID] = s.State
	}
	done()
	// What has ended may still be on its way to the dead letters.
	time.Sleep(6 * time.Hour)
	stop()
	workers.Wait()
	time.Sleep(time.Hour)

	dead := map[string]bool{}
	for _, d := range w.deadLetters() {
		dead[d.ID] = true
	}
	completed := 0
	for id := range accepted {
		s := w.get(id)
		switch s.State {
		case asyncq.Completed:
			completed++
			assert.Equal(t, 1, results.puts[s.ResultKey], "results of %s", id)
			assert.False(t, dead[id], "%s is completed and dead", id)
		case asyncq.Failed:
			assert.True(t, dead[id], "%s has failed and is no dead letter", id)
			assert.Zero(t, results.puts[s.ResultKey])
		default:
			assert.Fail(t, "not ended", "%s is %s", id, s.State)
		}
		assert.Equal(t, 1, len(told[id]), "ids that the end of %s was told under", id)
	}
	assert.Equal(t, jobs, completed+len(dead))
	assert.Equal(t, completed, len(results.puts), "results that no completed job has")
	q := testQueues
	for _, name := range []string{q.High, q.Normal, q.Low, q.Ordered} {
		assert.Equal(t, [3]string{"0", "0", "0"}, w.inQueue(name), name)
	}
	assert.Greater(t, deaths, 10)
	t.Logf("%d jobs: %d completed, %d dead letters, %d workers killed", jobs, completed, len(dead), deaths)
}
