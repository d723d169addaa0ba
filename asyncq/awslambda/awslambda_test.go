package awslambda_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/awslambda"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A source polls a queue and calls the function, as the event source of Lambda
// does: what is not in the response's failures is deleted.
type source struct {
	t      *testing.T
	queues *memqueue.Service
	status asyncq.StatusStore
}

func newSource(t *testing.T) *source {
	s := &source{t: t, queues: memqueue.New(), status: asyncq.NewMemoryStatus()}
	q := asyncq.DefaultQueues
	for _, name := range []string{q.High, q.Normal, q.Low, q.Ordered, q.DeadLetter} {
		attributes := map[string]string{"VisibilityTimeout": "360"}
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		_, err := s.queues.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
		require.NoError(t, err)
	}
	return s
}

func (s *source) function(handler asyncq.Handler[string]) awslambda.Handler {
	return awslambda.New(s.queues, handler, func(o *awslambda.Options) {
		o.Status, o.Logger = s.status, slog.New(slog.NewTextHandler(io.Discard, nil))
	})
}

// deliver calls the function with what is in a queue, and returns the bodies of
// what it says has failed.
func (s *source) deliver(f awslambda.Handler, name string, limit time.Duration) (failed []string, n int) {
	ctx := context.Background()
	url, err := s.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	require.NoError(s.t, err)
	out, err := s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	require.NoError(s.t, err)
	var event events.SQSEvent
	bodies := map[string]string{}
	for _, m := range out.Messages {
		r := events.SQSMessage{MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:" + name, MessageAttributes: map[string]events.SQSMessageAttribute{}}
		for k, v := range m.MessageAttributes {
			r.MessageAttributes[k] = events.SQSMessageAttribute{DataType: *v.DataType, StringValue: v.StringValue}
		}
		event.Records = append(event.Records, r)
		bodies[*m.MessageId] = *m.Body
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	response, err := f(ctx, event)
	require.NoError(s.t, err)
	for _, f := range response.BatchItemFailures {
		failed = append(failed, bodies[f.ItemIdentifier])
		delete(bodies, f.ItemIdentifier)
	}
	for _, m := range out.Messages {
		if _, done := bodies[*m.MessageId]; done {
			_, err := s.queues.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: url.QueueUrl, ReceiptHandle: m.ReceiptHandle})
			require.NoError(s.t, err)
		}
	}
	return failed, len(out.Messages)
}

func (s *source) submit(requests ...asyncq.Request[string]) []asyncq.Submitted {
	p := asyncq.NewProducer[string](s.queues, func(o *asyncq.ProducerOptions) { o.Status = s.status })
	results := p.SubmitBatch(s.t.Context(), requests)
	for _, r := range results {
		require.NoError(s.t, r.Err)
	}
	return results
}

func (s *source) state(id string) asyncq.Status {
	status, err := s.status.Get(context.Background(), id)
	require.NoError(s.t, err)
	return status
}

func TestPartialBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		var requests []asyncq.Request[string]
		for i := range 10 {
			requests = append(requests, asyncq.Request[string]{Payload: fmt.Sprint(i)})
		}
		ids := s.submit(requests...)
		f := s.function(func(_ context.Context, job *asyncq.Job[string]) error {
			switch job.Payload {
			case "3":
				return asyncq.Retry(7*time.Minute, errors.New("later"))
			case "4":
				panic("no")
			case "5":
				return asyncq.Dead(errors.New("never"))
			}
			return job.SetResult(job.Payload)
		})
		failed, _ := s.deliver(f, asyncq.DefaultQueues.Normal, time.Minute)
		require.Len(t, failed, 2)
		both := strings.Join(failed, "\n")
		assert.Contains(t, both, `"payload":"3"`)
		assert.Contains(t, both, `"payload":"4"`)
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
		assert.Equal(t, asyncq.Failed, s.state(ids[5].ID).State)
		assert.Equal(t, "panic", s.state(ids[4].ID).ErrorClass)
		time.Sleep(6 * time.Minute)
		_, n := s.deliver(f, asyncq.DefaultQueues.Normal, time.Minute)
		assert.Equal(t, 1, n, "the one that panicked; the other wants to wait for seven minutes")
		time.Sleep(time.Minute)
		_, n = s.deliver(f, asyncq.DefaultQueues.Normal, time.Minute)
		assert.Equal(t, 2, n)
		_, n = s.deliver(f, asyncq.DefaultQueues.DeadLetter, time.Minute)
		assert.Equal(t, 2, n, "5 at once, 4 after three attempts")
	})
}

// Behind the first of a group that is not done, the group stops; others go on.
func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		var requests []asyncq.Request[string]
		for i := range 5 {
			requests = append(requests, asyncq.Request[string]{Group: "a", Payload: fmt.Sprint("a", i)}, asyncq.Request[string]{Group: "b", Payload: fmt.Sprint("b", i)})
		}
		s.submit(requests...)
		var mu sync.Mutex
		done := map[string][]string{}
		broken := true
		f := s.function(func(_ context.Context, job *asyncq.Job[string]) error {
			mu.Lock()
			defer mu.Unlock()
			if job.Payload == "a1" && broken {
				return asyncq.Retry(30*time.Second, errors.New("once more"))
			}
			done[job.Group] = append(done[job.Group], job.Payload)
			return nil
		})
		for range 10 { // a receive may bring one group only
			if _, n := s.deliver(f, asyncq.DefaultQueues.Ordered, time.Minute); n == 0 {
				break
			}
		}
		assert.Equal(t, []string{"a0"}, done["a"])
		assert.Equal(t, []string{"b0", "b1", "b2", "b3", "b4"}, done["b"])
		broken = false
		for range 10 {
			time.Sleep(time.Minute)
			s.deliver(f, asyncq.DefaultQueues.Ordered, time.Minute)
		}
		assert.Equal(t, []string{"a0", "a1", "a2", "a3", "a4"}, done["a"])
	})
}

// Near the function's deadline the jobs end, and nothing of it counts.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		ids := s.submit(asyncq.Request[string]{Payload: "quick"}, asyncq.Request[string]{Payload: "slow"})
		slow := true
		f := s.function(func(ctx context.Context, job *asyncq.Job[string]) error {
			if job.Payload == "slow" && slow {
				<-ctx.Done()
				assert.ErrorIs(t, context.Cause(ctx), asyncq.ErrDraining)
				return ctx.Err()
			}
			return nil
		})
		began := time.Now()
		failed, _ := s.deliver(f, asyncq.DefaultQueues.Normal, time.Minute)
		assert.Len(t, failed, 1)
		assert.Equal(t, 55*time.Second, time.Since(began))
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
		assert.Equal(t, asyncq.Queued, s.state(ids[1].ID).State)
		assert.Zero(t, s.state(ids[1].ID).Attempt)
		slow = false
		_, n := s.deliver(f, asyncq.DefaultQueues.Normal, time.Minute)
		assert.Equal(t, 1, n, "it is visible at once")
		assert.Equal(t, asyncq.Completed, s.state(ids[1].ID).State)
	})
}

// A function whose time is shorter than the margin works as well.
func TestShortFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		ids := s.submit(asyncq.Request[string]{Payload: "quick"})
		f := s.function(func(ctx context.Context, _ *asyncq.Job[string]) error {
			deadline, _ := ctx.Deadline()
			assert.Equal(t, 1500*time.Millisecond, time.Until(deadline))
			return nil
		})
		failed, _ := s.deliver(f, asyncq.DefaultQueues.Normal, 3*time.Second)
		assert.Empty(t, failed)
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
	})
}

// A handler that ends its goroutine has not done its message, and not those of
// the group behind it.
func TestHandlerThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.submit(asyncq.Request[string]{Group: "a", Payload: "1"}, asyncq.Request[string]{Group: "a", Payload: "2"})
		f := s.function(func(context.Context, *asyncq.Job[string]) error {
			runtime.Goexit()
			return nil
		})
		failed, n := s.deliver(f, asyncq.DefaultQueues.Ordered, time.Minute)
		assert.Equal(t, 2, n)
		assert.Len(t, failed, 2)
	})
}
