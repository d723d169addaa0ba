package asyncq_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// farQueues are as far away as a service is, and count the receives under way.
type farQueues struct {
	*memqueue.Service
	pending, most atomic.Int64
}

func (q *farQueues) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, optFns ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	n := q.pending.Add(1)
	defer q.pending.Add(-1)
	for most := q.most.Load(); n > most && !q.most.CompareAndSwap(most, n); most = q.most.Load() {
	}
	<-time.After(10 * time.Millisecond)
	return q.Service.ReceiveMessage(ctx, in, optFns...)
}

// Receives are under way beside each other while there is more than one brings and
// jobs are quick, and only then.
func TestReceivesAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		jobs    int
		takes   time.Duration
		group   bool
		queue   asyncq.Queues
		want    int64
		waiting int // at least, at some time
		most    int // that wait
	}{
		"few":     {9, 0, false, asyncq.Queues{Normal: testQueues.Normal}, 1, 0, 16},
		"many":    {5000, time.Millisecond, false, asyncq.Queues{Normal: testQueues.Normal}, 4, 11, 160}, // 11 are more than one receive brings
		"slow":    {200, time.Second, false, asyncq.Queues{Normal: testQueues.Normal}, 3, 10, 16},
		"ordered": {200, 0, true, asyncq.Queues{Ordered: testQueues.Ordered}, 1, 0, 16},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				requests := make([]asyncq.Request[string], tt.jobs)
				for i := range requests {
					if tt.group {
						requests[i].Group = fmt.Sprint("group-", i)
					}
				}
				for _, s := range w.producer().SubmitBatch(t.Context(), requests) {
					assert.NoError(t, s.Err)
				}
				far := &farQueues{Service: w.queues}
				var done, waited atomic.Int64
				var worker *asyncq.Worker[string]
				worker = asyncq.NewWorker(far, func(context.Context, *asyncq.Job[string]) error {
					<-time.After(tt.takes)
					for now := int64(worker.Health().Waiting); ; {
						if most := waited.Load(); now <= most || waited.CompareAndSwap(most, now) {
							break
						}
					}
					done.Add(1)
					return nil
				}, func(o *asyncq.WorkerOptions) { o.Status, o.Queues, o.Logger = w.status, tt.queue, quiet() })
				stop := w.start(worker)
				<-time.After(time.Minute)
				synctest.Wait()
				assert.EqualValues(t, tt.jobs, done.Load())
				assert.Equal(t, tt.want, far.most.Load())
				assert.GreaterOrEqual(t, waited.Load(), int64(tt.waiting))
				assert.LessOrEqual(t, waited.Load(), int64(tt.most))
				assert.LessOrEqual(t, far.pending.Load(), int64(1), "an empty queue is asked once at a time")
				stop()
			})
		})
	}
}
