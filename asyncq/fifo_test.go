package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// redrives gives a queue a redrive policy, to a new queue of dead letters of its
// kind, and returns its name.
func (w *world) redrives(name string, receives int) (dead string) {
	ctx := context.Background()
	dead = "sqs-dead"
	attributes := map[string]string{}
	if strings.HasSuffix(name, ".fifo") {
		dead += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	_, err := w.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &dead, Attributes: attributes})
	require.NoError(w.t, err)
	url, err := w.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(w.t, err)
	_, err = w.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url.QueueUrl, Attributes: map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:%s","maxReceiveCount":%d}`, dead, receives)}})
	require.NoError(w.t, err)
	return dead
}

// group submits n jobs of one group.
func (w *world) group(name string, n int) (ids []string) {
	var requests []asyncq.Request[string]
	for i := range n {
		requests = append(requests, asyncq.Request[string]{ID: fmt.Sprintf("%s-%02d", name, i), Payload: "x", Group: name})
	}
	for _, s := range w.producer().SubmitBatch(context.Background(), requests) {
		require.NoError(w.t, s.Err)
		ids = append(ids, s.ID)
	}
	return ids
}

var nothing = [3]string{"0", "0", "0"}

// Jobs of a group fail or ask to wait. All are done in order, and each is received
// once: no receive is burned, of theirs or of those behind them.
func TestGroupBurnsNoReceives(t *testing.T) {
	for name, tt := range map[string]struct {
		jobs, runs int
		err        error
	}{
		"each succeeds at its third attempt": {20, 3, errors.New("not yet")},
		"each asks to wait three times":      {10, 4, asyncq.JobRetry(time.Minute, nil)},
		"each asks to wait for hours":        {3, 3, asyncq.JobRetry(90*time.Minute, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				dead := w.redrives(testQueues.Ordered, 10)
				ids := w.group("g", tt.jobs)
				begun := map[string]int{}
				var done []string
				stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
					assert.Equal(t, 1, job.ReceiveCount, job.ID)
					if begun[job.ID]++; begun[job.ID] < tt.runs {
						return tt.err
					}
					done = append(done, job.ID)
					return nil
				}))
				for _, id := range ids {
					assert.Equal(t, asyncq.Completed, w.wait(id).State)
				}
				time.Sleep(time.Minute)
				stop()
				assert.Equal(t, ids, done)
				assert.Equal(t, nothing, w.inQueue(dead))
				assert.Equal(t, nothing, w.inQueue(testQueues.Ordered))
				assert.Empty(t, w.deadLetters())
			})
		})
	}
}

// What asks for longer than SQS lets a message be held is given back, and its group
// keeps its order.
func TestGroupBeyondTwelveHours(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Ordered, 10)
		ids := w.group("g", 5)
		var done []string
		begun := map[string]int{}
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			if begun[job.ID]++; job.ID == ids[0] && begun[job.ID] <= 5 {
				return asyncq.JobRetry(5*time.Hour, nil)
			}
			done = append(done, job.ID)
			return nil
		}))
		began := time.Now()
		for _, id := range ids {
			assert.Equal(t, asyncq.Completed, w.wait(id).State)
		}
		stop()
		assert.Equal(t, ids, done)
		assert.InDelta(t, 25, time.Since(began).Hours(), 0.5)
		assert.Equal(t, nothing, w.inQueue(dead))
	})
}

// The first job of a group takes longer than the twelve hours. Those behind it run
// after it, once each.
func TestGroupBehindALongJob(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ids := w.group("g", 4)
		var mu sync.Mutex
		var done []string
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			if job.ID == ids[0] {
				time.Sleep(30 * time.Hour)
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, job.ID)
			return nil
		}, func(o *asyncq.WorkerOptions) { o.JobTimeout = -1 }))
		time.Sleep(34 * time.Hour)
		stop()
		assert.Equal(t, ids, done)
		assert.Equal(t, nothing, w.inQueue(testQueues.Ordered))
	})
}

// Groups with a backlog whose first job takes long keep no other group waiting.
func TestGroupsDoNotStarve(t *testing.T) {
	for _, slow := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(slow), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				for g := range slow {
					w.group(fmt.Sprint("slow", g), 12)
				}
				worker := w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
					if !strings.HasPrefix(job.Group, "slow") {
						return nil
					}
					select {
					case <-time.After(14 * time.Minute):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				stop := w.start(worker)
				time.Sleep(time.Minute)
				assert.Equal(t, slow, worker.Health().Running)
				began := time.Now()
				for i := range 5 {
					w.group(fmt.Sprint("quick", i), 1)
				}
				for i := range 5 {
					w.wait(fmt.Sprintf("quick%d-00", i))
				}
				assert.Less(t, time.Since(began), 2*time.Second)
				stop()
			})
		})
	}
}

// 16 groups of 50 jobs of a second each are done side by side: 50 s.
func TestGroupsSideBySide(t *testing.T) {
	for name, each := range map[string]bool{"one group after another": false, "the groups in turn": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var requests []asyncq.Request[string]
				for i := range 800 {
					group, n := i/50, i%50
					if each {
						group, n = i%16, i/16
					}
					requests = append(requests, asyncq.Request[string]{ID: fmt.Sprintf("%d-%d", group, n), Payload: "x", Group: fmt.Sprint(group)})
				}
				w.producer().SubmitBatch(t.Context(), requests)
				var running, most atomic.Int32
				began := time.Now()
				stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
					n := running.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Second)
					running.Add(-1)
					return nil
				}))
				var last time.Time
				for _, r := range requests {
					if s := w.wait(r.ID); s.FinishedAt.After(last) {
						last = s.FinishedAt
					}
				}
				stop()
				assert.LessOrEqual(t, last.Sub(began), 55*time.Second)
				assert.EqualValues(t, 16, most.Load())
			})
		})
	}
}

// Ten deployments while a group waits: its order stays.
func TestGroupThroughDeployments(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ids := w.group("g", 10)
		begun := map[string]int{}
		var done []string
		for range 10 {
			stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
				if begun[job.ID]++; begun[job.ID]%2 == 1 {
					return asyncq.JobRetry(4*time.Minute, nil)
				}
				done = append(done, job.ID)
				return nil
			}))
			time.Sleep(10 * time.Minute)
			stop()
		}
		assert.Equal(t, ids[:len(done)], done)
		assert.Greater(t, len(done), 7)
	})
}

// JobRetry of as long as SQS allows is as long as that, also of a job that has taken
// a while.
func TestRetryInTwelveHours(t *testing.T) {
	for _, took := range []time.Duration{0, 980 * time.Millisecond, time.Minute, -28 * time.Hour} {
		wait := 12 * time.Hour
		if took < 0 { // a wait of more than that
			wait, took = -took, 0
		}
		bubble(t, func(t *testing.T, w *world) {
			var begins []time.Time
			id := w.submit(asyncq.Request[string]{Payload: "x"})
			stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
				if begins = append(begins, time.Now()); len(begins) > 1 {
					return nil
				}
				time.Sleep(took)
				return asyncq.JobRetry(wait, nil)
			}))
			w.wait(id)
			stop()
			require.Len(t, begins, 2)
			assert.InDelta(t, wait.Hours(), (begins[1].Sub(begins[0]) - took).Hours(), 0.001)
			assert.Zero(t, w.events.count(asyncq.EventAPIError))
		})
	}
}

// A job that only waits uses up no receives.
func TestRetryBurnsNoReceives(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Normal, 10)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		runs := 0
		stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			assert.Equal(t, 1, job.ReceiveCount)
			if runs++; runs <= 100 {
				return asyncq.JobRetry(time.Minute, nil)
			}
			return nil
		}))
		defer stop()
		assert.Equal(t, asyncq.Completed, w.wait(id).State)
		assert.Equal(t, nothing, w.inQueue(dead))
	})
}

// A worker that is stopped holds nothing: what was to wait is visible when it was to
// be, to another worker.
func TestHeldJobsAreGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		var begins []time.Time
		handler := func(context.Context, *asyncq.Job[string]) error {
			if begins = append(begins, time.Now()); len(begins) == 1 {
				return asyncq.JobRetry(time.Hour, nil)
			}
			return nil
		}
		stop := w.start(w.worker(handler))
		time.Sleep(10 * time.Minute)
		stop()
		stop = w.start(w.worker(handler))
		defer stop()
		w.wait(id)
		assert.InDelta(t, time.Hour.Seconds(), begins[1].Sub(begins[0]).Seconds(), 3)
	})
}

// More jobs wait than the worker holds: the others are given back, and others are
// done meanwhile.
func TestManyJobsWait(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		waited := map[string]bool{}
		var mu sync.Mutex
		worker := w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
			mu.Lock()
			defer mu.Unlock()
			if job.Payload == "waits" && !waited[job.ID] {
				waited[job.ID] = true
				return asyncq.JobRetry(time.Hour, nil)
			}
			return nil
		})
		var requests []asyncq.Request[string]
		for range 3000 {
			requests = append(requests, asyncq.Request[string]{Payload: "waits"})
		}
		submitted := w.producer().SubmitBatch(t.Context(), requests)
		stop := w.start(worker)
		defer stop()
		time.Sleep(time.Minute)
		assert.Equal(t, 500, worker.Health().Held)
		began := time.Now()
		w.wait(w.submit(asyncq.Request[string]{Payload: "at once"}))
		assert.Less(t, time.Since(began), 5*time.Second)
		for _, s := range submitted {
			assert.Equal(t, asyncq.Completed, w.wait(s.ID).State)
		}
	})
}
