package asyncq_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// noted is a notifier that keeps what it was told.
type noted struct {
	mu  sync.Mutex
	all []asyncq.Notification
}

func (n *noted) Notify(_ context.Context, one asyncq.Notification) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, one)
	return nil
}

func (n *noted) ids() (ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		ids = append(ids, one.ID)
	}
	return ids
}

// Each end of a job is told under an id of its own: after a redrive, and if the id
// is used again after its status has expired.
func TestEachEndIsToldUnderItsOwnID(t *testing.T) {
	for name, again := range map[string]func(t *testing.T, w *world){
		"redriven": func(t *testing.T, w *world) {
			n, err := asyncq.NewDeadLetters(w.queues, testQueues, w.status).Redrive(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
		},
		"by the console": func(t *testing.T, w *world) { w.console(testQueues.Normal) },
		"the same id, expired": func(t *testing.T, w *world) {
			time.Sleep(8 * 24 * time.Hour)
			w.submit(asyncq.Request[string]{ID: "job", Payload: "other"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				told := &noted{}
				w.submit(asyncq.Request[string]{ID: "job", Payload: "x"})
				var runs atomic.Int32
				stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
					runs.Add(1)
					return asyncq.JobDead(nil)
				}, func(o *asyncq.WorkerOptions) { o.Notifier = told }))
				defer stop()
				for range 3 {
					time.Sleep(time.Minute)
					ids := told.ids()
					again(t, w)
					time.Sleep(time.Minute)
					require.Len(t, told.ids(), len(ids)+1)
					assert.NotContains(t, ids, told.ids()[len(ids)])
				}
				assert.EqualValues(t, 4, runs.Load())
			})
		})
	}
}

// console moves the dead letters to a queue as the console of SQS does.
func (w *world) console(name string) {
	ctx := context.Background()
	arn := func(name string) *string { return aws.String("arn:aws:sqs:us-east-1:000000000000:" + name) }
	url, err := w.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(w.t, err)
	_, err = w.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url.QueueUrl, Attributes: map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"` + *arn(testQueues.DeadLetter) + `","maxReceiveCount":100}`}})
	require.NoError(w.t, err)
	_, err = w.queues.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: arn(testQueues.DeadLetter), DestinationArn: arn(name)})
	require.NoError(w.t, err)
}

// A dead letter that SQS moves back is done again, with new attempts; a message of
// it that comes twice is not.
func TestConsoleRedrive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		var broken atomic.Bool
		broken.Store(true)
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			if broken.Load() {
				return errors.New("no")
			}
			assert.Equal(t, 1, job.Attempt)
			return upper(ctx, job)
		}))
		defer stop()
		assert.Equal(t, asyncq.Failed, w.wait(id).State)
		time.Sleep(time.Minute)
		w.console(testQueues.Normal)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, asyncq.Failed, w.get(id).State, "it has failed once more")
		require.Len(t, w.deadLetters(), 1)
		assert.Contains(t, w.deadLetters()[0].Reason, "3 attempts")
		broken.Store(false)
		w.console(testQueues.Normal)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, asyncq.Completed, w.get(id).State)
		assert.Empty(t, w.deadLetters())
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// lossy loses the first acknowledgement of all.
type lossy struct {
	*memqueue.Service
	lost atomic.Bool
}

func (l *lossy) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if l.lost.CompareAndSwap(false, true) {
		return &sqs.DeleteMessageBatchOutput{}, nil
	}
	return l.Service.DeleteMessageBatch(ctx, in)
}

// The message of a dead letter that was moved back and failed again comes twice: the
// job is not done a third time.
func TestRedrivenMessageComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		runs := 0
		handler := func(context.Context, *asyncq.Job[string]) error { runs++; return asyncq.JobDead(nil) }
		stop := w.start(w.worker(handler))
		w.wait(id)
		time.Sleep(time.Minute)
		stop()
		w.console(testQueues.Normal)
		stop = w.start(asyncq.NewWorker(&lossy{Service: w.queues}, handler, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Logger = testQueues, w.status, w.results, quiet()
		}))
		time.Sleep(time.Hour)
		stop()
		assert.Equal(t, 2, runs)
		assert.Len(t, w.deadLetters(), 1)
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// Without a dead-letter queue the notifier is told of a failure, once, and the queue's
// own redrive policy has the message. The rest of a group goes on, and is received as
// often as it runs.
func TestNoDeadLetterQueue(t *testing.T) {
	for _, group := range []string{"", "g"} {
		t.Run(group, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				queue := testQueues.Normal
				if group != "" {
					queue = testQueues.Ordered
				}
				dead := w.redrives(queue, 5)
				told := &noted{}
				names := testQueues
				names.DeadLetter = ""
				bad := w.submit(asyncq.Request[string]{ID: "a-bad", Payload: "bad", Group: group})
				var rest []string
				for range 5 {
					rest = append(rest, w.submit(asyncq.Request[string]{Payload: "good", Group: group}))
				}
				stop := w.start(w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
					if job.Payload == "bad" {
						return errors.New("no")
					}
					assert.Equal(t, 1, job.ReceiveCount)
					return nil
				}, func(o *asyncq.WorkerOptions) { o.Queues, o.Notifier = names, told }))
				assert.Equal(t, asyncq.Failed, w.wait(bad).State)
				for _, id := range rest {
					assert.Equal(t, asyncq.Completed, w.wait(id).State)
				}
				time.Sleep(24 * time.Hour)
				stop()
				bads := 0
				for _, id := range told.ids() {
					if strings.HasPrefix(id, bad+".") {
						bads++
					}
				}
				assert.Equal(t, 1, bads)
				assert.Len(t, told.ids(), 6)
				assert.Equal(t, [3]string{"1", "0", "0"}, w.inQueue(dead))
				assert.Equal(t, nothing, w.inQueue(queue))
			})
		})
	}
}

// What a redrive policy has moved, of a worker without a dead-letter queue, is done
// again when SQS moves it back.
func TestConsoleRedriveWithoutDeadLetterQueue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := w.redrives(testQueues.Normal, 3)
		names := testQueues
		names.DeadLetter = ""
		told := &noted{}
		var broken atomic.Bool
		broken.Store(true)
		id := w.submit(asyncq.Request[string]{Payload: "x"})
		stop := w.start(w.worker(func(context.Context, *asyncq.Job[string]) error {
			if broken.Load() {
				return asyncq.JobDead(nil)
			}
			return nil
		}, func(o *asyncq.WorkerOptions) { o.Queues, o.Notifier = names, told }))
		defer stop()
		time.Sleep(2 * time.Hour)
		require.Equal(t, [3]string{"1", "0", "0"}, w.inQueue(dead))
		broken.Store(false)
		_, err := w.queues.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:" + dead)})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Equal(t, asyncq.Completed, w.get(id).State)
		assert.Len(t, told.ids(), 2)
		assert.Equal(t, nothing, w.inQueue(testQueues.Normal))
	})
}

// A dead letter is moved back when its id is another job's: it is not done in that
// one's place.
func TestRedriveOfAnIDThatIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Retention = time.Hour })
		_, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "job", Payload: "old"})
		require.NoError(t, err)
		stop := w.start(w.worker(func(ctx context.Context, job *asyncq.Job[string]) error {
			if job.Payload == "old" {
				return asyncq.JobDead(nil)
			}
			return upper(ctx, job)
		}))
		defer stop()
		w.wait("job")
		time.Sleep(2 * time.Hour)
		w.submit(asyncq.Request[string]{ID: "job", Payload: "new", Delay: 10 * time.Minute})
		w.console(testQueues.Normal)
		time.Sleep(time.Hour)
		s := w.get("job")
		assert.Equal(t, asyncq.Completed, s.State)
		assert.Equal(t, `"NEW"`, w.result(s))
		require.Len(t, w.deadLetters(), 1)
		assert.Contains(t, w.deadLetters()[0].Body, "old")
		assert.Contains(t, w.deadLetters()[0].Reason, "another job")
	})
}

// slowChanges answers slowly to the first change of visibility.
type slowChanges struct {
	*memqueue.Service
	first atomic.Bool
}

func (s *slowChanges) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if s.first.CompareAndSwap(false, true) {
		time.Sleep(3 * time.Second)
	}
	return s.Service.ChangeMessageVisibilityBatch(ctx, in)
}

// A message is given back while a renewal of it is under way: it is visible at once
// all the same.
func TestRenewalIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit(asyncq.Request[string]{Payload: "x"})
		worker := asyncq.NewWorker(&slowChanges{Service: w.queues}, func(ctx context.Context, _ *asyncq.Job[string]) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(o *asyncq.WorkerOptions) {
			o.Queues, o.Status, o.Results, o.Logger, o.DrainTimeout = testQueues, w.status, w.results, quiet(), time.Second
		})
		stop := w.start(worker)
		time.Sleep(19500 * time.Millisecond) // a renewal goes out at 20 s
		stop()
		assert.Equal(t, [3]string{"1", "0", "0"}, w.inQueue(testQueues.Normal))
	})
}
