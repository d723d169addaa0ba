package asyncq_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

func TestStats(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		worker := w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			time.Sleep(time.Second)
			switch {
			case job.Payload == "dead":
				return asyncq.JobDead(errors.New("no"))
			case job.Payload == "second" && job.Attempt == 1:
				return errors.New("not yet")
			case job.Payload == "later":
				return asyncq.JobRetry(time.Hour, &classed{"weather"})
			}
			return nil
		}, func(o *asyncq.WorkerOptions) { o.BaseDelay = time.Millisecond })
		for i := range 10 {
			w.submit(asyncq.Request[string]{Payload: "good", Group: fmt.Sprint("g", i%2)})
		}
		for _, payload := range []string{"dead", "second", "second", "later", "later", "later"} {
			w.submit(asyncq.Request[string]{Payload: payload})
		}
		stop := w.start(worker)
		time.Sleep(500 * time.Millisecond)
		s := worker.Stats()
		assert.Equal(t, 8, s.Running)
		assert.Equal(t, 8, s.Held, "the rest of two groups")
		time.Sleep(29500 * time.Millisecond)
		s = worker.Stats()
		assert.EqualValues(t, 16, s.Events[asyncq.EventReceived])
		assert.EqualValues(t, 12, s.Events[asyncq.EventCompleted])
		assert.EqualValues(t, 18, s.Events[asyncq.EventStarted])
		assert.Equal(t, map[int]int64{1: 11, 2: 2}, s.Attempts)
		assert.Equal(t, map[string]int{"weather": 3}, s.Holds)
		assert.Equal(t, map[string]int64{"error": 1}, s.DeadLetters)
		assert.InDelta(t, 13.0/60, s.Rate, 0.001)
		assert.InDelta(t, 2.6, s.Age.Seconds(), 1)
		assert.InDelta(t, 30, s.Oldest.Seconds(), 1)
		assert.Equal(t, 3, s.Held)
		time.Sleep(2 * time.Minute)
		assert.Zero(t, worker.Stats().Rate)
		_, err := json.Marshal(worker.Stats())
		require.NoError(t, err)
		stop()
		assert.Empty(t, worker.Stats().Holds)
	})
}

// What is missing is said before anything is received.
func TestMissingOptions(t *testing.T) {
	w := newWorld(t)
	for want, worker := range map[string]*asyncq.Worker[string]{
		"client of SQS":        asyncq.NewWorker[string](nil, upper, func(o *asyncq.WorkerOptions) { o.Queues, o.Status = testQueues, w.status }),
		"option Status":        asyncq.NewWorker(w.queues, upper, func(o *asyncq.WorkerOptions) { o.Queues = testQueues }),
		"WorkerOptions.Queues": asyncq.NewWorker(w.queues, upper, func(o *asyncq.WorkerOptions) { o.Status = w.status }),
		"handler":              asyncq.NewWorker[string](w.queues, nil, func(o *asyncq.WorkerOptions) { o.Queues, o.Status = testQueues, w.status }),
		"made by NewWorker":    {},
	} {
		assert.ErrorContains(t, worker.Run(t.Context()), want)
	}
}

// A result that has no store is said, and not paid for again.
func TestNoResults(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		runs := 0
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			runs++
			err := upper(ctx, job)
			assert.ErrorContains(t, err, "JobOptions.Results")
			return err
		}, func(o *asyncq.WorkerOptions) { o.Results = nil }))
		defer stop()
		assert.Equal(t, asyncq.Failed, w.wait(id).State)
		assert.Equal(t, 1, runs)
	})
}
