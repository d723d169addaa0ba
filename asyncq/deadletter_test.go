package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// buried are this many dead letters.
func buried(t *testing.T, w *world, n int) {
	var requests []asyncq.Request[string]
	for i := range n {
		requests = append(requests, asyncq.Request[string]{ID: fmt.Sprint("job-", i), Payload: "x"})
	}
	for _, s := range w.producer().SubmitBatch(t.Context(), requests) {
		require.NoError(t, s.Err)
	}
	stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error { return asyncq.JobDead(errors.New("no")) }))
	time.Sleep(2 * time.Minute)
	stop()
	require.Equal(t, fmt.Sprint(n), w.inQueue(testQueues.DeadLetter)[0])
}

// receiving is SQS with another ReceiveMessage.
type receiving struct {
	*memqueue.Service
	receive func(context.Context, *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error)
}

func (r *receiving) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	return r.receive(ctx, in)
}

// A listing of more than half a minute sees the same letters again, and goes on to
// those that it has not seen.
func TestLongListing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		buried(t, w, 100)
		letters := asyncq.NewDeadLetters(w.queues, testQueues, w.status)
		seen := map[string]int{}
		for d, err := range letters.List(t.Context()) {
			require.NoError(t, err)
			seen[d.ID]++
			time.Sleep(4 * time.Second)
		}
		assert.Len(t, seen, 100)
		for id, n := range seen {
			assert.Equal(t, 1, n, id)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, "100", w.inQueue(testQueues.DeadLetter)[0])
	})
}

// A redrive that is slow does not stop early either, whether it takes all or leaves
// most; and SQS may answer with nothing in between.
func TestLongRedrive(t *testing.T) {
	for name, ids := range map[string][]string{"all": nil, "the last": {"job-99"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				buried(t, w, 100)
				var calls atomic.Int64
				slow := &receiving{w.queues, func(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
					if calls.Add(1)%4 == 0 {
						return &sqs.ReceiveMessageOutput{}, nil
					}
					time.Sleep(4 * time.Second)
					return w.queues.ReceiveMessage(ctx, in)
				}}
				moved, err := asyncq.NewDeadLetters(slow, testQueues, w.status).Redrive(t.Context(), ids...)
				require.NoError(t, err)
				want := 100
				if ids != nil {
					want = len(ids)
				}
				assert.Equal(t, want, moved)
				time.Sleep(time.Minute)
				assert.Equal(t, fmt.Sprint(want), w.inQueue(testQueues.Normal)[0])
				assert.Equal(t, fmt.Sprint(100-want), w.inQueue(testQueues.DeadLetter)[0])
			})
		})
	}
}

// A listing ends also if SQS gives out the same letters for ever.
func TestListingEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		buried(t, w, 5)
		visible := &receiving{w.queues, func(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
			now := *in
			now.VisibilityTimeout = 1
			out, err := w.queues.ReceiveMessage(ctx, &now)
			time.Sleep(2 * time.Second)
			return out, err
		}}
		n := 0
		for _, err := range asyncq.NewDeadLetters(visible, testQueues, w.status).List(t.Context()) {
			require.NoError(t, err)
			n++
		}
		assert.Equal(t, 5, n)
	})
}

// slowRenewal is SQS whose first change of a visibility takes a while to arrive.
type slowRenewal struct {
	*memqueue.Service
	begun atomic.Bool
}

func (s *slowRenewal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, fns ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if s.begun.CompareAndSwap(false, true) {
		time.Sleep(3 * time.Second)
	}
	return s.Service.ChangeMessageVisibilityBatch(ctx, in, fns...)
}

// A renewal that is under way when a job ends its wait hides nothing for long.
func TestRenewalOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		var begun []time.Time
		worker := asyncq.NewWorker(&slowRenewal{Service: w.queues}, func(context.Context, *asyncq.Job[string]) error {
			if begun = append(begun, time.Now()); len(begun) == 1 {
				time.Sleep(21 * time.Second) // a renewal goes out after 20 s
				return asyncq.JobRetry(0, nil)
			}
			return nil
		}, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Logger = testQueues, w.status, w.results, quiet()
		})
		stop := w.start(worker)
		w.wait(id)
		stop()
		require.Len(t, begun, 2)
		assert.Less(t, begun[1].Sub(begun[0]), 30*time.Second)
	})
}
