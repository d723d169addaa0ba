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

// testQueues are the queues of these tests.
var testQueues = asyncq.Queues{High: "high", Normal: "normal", Low: "low", Ordered: "ordered.fifo", DeadLetter: "dead"}

// A source polls a queue and calls the function, as the event source of Lambda
// does: what is not in the response's failures is deleted.
type source struct {
	t      *testing.T
	queues *memqueue.Service
	status asyncq.StatusStore
}

func newSource(t *testing.T) *source {
	s := &source{t: t, queues: memqueue.New(), status: asyncq.NewMemoryStatus()}
	q := testQueues
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
		o.DeadLetter, o.Status, o.Results, o.Logger = testQueues.DeadLetter, s.status, asyncq.NewMemoryBlobs(), slog.New(slog.NewTextHandler(io.Discard, nil))
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
	p, err := asyncq.NewProducer[string](s.queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = testQueues, s.status })
	require.NoError(s.t, err)
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
				return asyncq.JobRetry(7*time.Minute, errors.New("later"))
			case "4":
				panic("no")
			case "5":
				return asyncq.JobDead(errors.New("never"))
			}
			return job.SetResult(job.Payload)
		})
		failed, _ := s.deliver(f, testQueues.Normal, time.Minute)
		require.Len(t, failed, 2)
		both := strings.Join(failed, "\n")
		assert.Contains(t, both, `"payload":"3"`)
		assert.Contains(t, both, `"payload":"4"`)
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
		assert.Equal(t, asyncq.Failed, s.state(ids[5].ID).State)
		assert.Equal(t, "panic", s.state(ids[4].ID).ErrorClass)
		time.Sleep(6 * time.Minute)
		_, n := s.deliver(f, testQueues.Normal, time.Minute)
		assert.Equal(t, 1, n, "the one that panicked; the other wants to wait for seven minutes")
		time.Sleep(time.Minute)
		_, n = s.deliver(f, testQueues.Normal, time.Minute)
		assert.Equal(t, 2, n)
		dead := 0
		for _, err := range asyncq.NewDeadLetters(s.queues, testQueues, nil).List(t.Context()) {
			require.NoError(t, err)
			dead++
		}
		assert.Equal(t, 2, dead, "5 at once, 4 after three attempts")
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
				return asyncq.JobRetry(30*time.Second, errors.New("once more"))
			}
			done[job.Group] = append(done[job.Group], job.Payload)
			return nil
		})
		for range 10 { // a receive may bring one group only
			if _, n := s.deliver(f, testQueues.Ordered, time.Minute); n == 0 {
				break
			}
		}
		assert.Equal(t, []string{"a0"}, done["a"])
		assert.Equal(t, []string{"b0", "b1", "b2", "b3", "b4"}, done["b"])
		broken = false
		for range 10 {
			time.Sleep(time.Minute)
			s.deliver(f, testQueues.Ordered, time.Minute)
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
		failed, _ := s.deliver(f, testQueues.Normal, time.Minute)
		assert.Len(t, failed, 1)
		assert.Equal(t, 55*time.Second, time.Since(began))
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
		assert.Equal(t, asyncq.Queued, s.state(ids[1].ID).State)
		assert.Zero(t, s.state(ids[1].ID).Attempt)
		slow = false
		_, n := s.deliver(f, testQueues.Normal, time.Minute)
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
		failed, _ := s.deliver(f, testQueues.Normal, 3*time.Second)
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
		failed, n := s.deliver(f, testQueues.Ordered, time.Minute)
		assert.Equal(t, 2, n)
		assert.Len(t, failed, 2)
	})
}

// What FIFO costs in Lambda: a message behind one that fails is received with it. The
// guide's maxReceiveCount, batch size × MaxAttempts, is enough for three attempts of
// each, and the order stays.
func TestGroupReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		dead := "sqs-dead.fifo"
		_, err := s.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &dead, Attributes: map[string]string{"FifoQueue": "true"}})
		require.NoError(t, err)
		url, err := s.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &testQueues.Ordered})
		require.NoError(t, err)
		_, err = s.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url.QueueUrl, Attributes: map[string]string{
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:sqs-dead.fifo","maxReceiveCount":30}`}})
		require.NoError(t, err)
		var requests []asyncq.Request[string]
		for i := range 30 {
			requests = append(requests, asyncq.Request[string]{ID: fmt.Sprintf("job-%02d", i), Group: "g", Payload: "x"})
		}
		s.submit(requests...)
		first := map[string]int{}
		var done []string
		f := s.function(func(_ context.Context, job *asyncq.Job[string]) error {
			if first[job.ID] == 0 {
				first[job.ID] = job.ReceiveCount
			}
			if job.Attempt < 3 {
				return errors.New("not yet")
			}
			done = append(done, job.ID)
			return nil
		})
		for range 100 {
			s.deliver(f, testQueues.Ordered, time.Minute)
			time.Sleep(time.Minute)
		}
		assert.Len(t, done, 30)
		assert.IsIncreasing(t, done)
		assert.Equal(t, 19, first["job-09"])
		for id, receives := range first {
			assert.LessOrEqual(t, receives, 19, id)
		}
	})
}

// Options that are wrong fail the event, and nothing of it was done.
func TestMissingStatus(t *testing.T) {
	s := newSource(t)
	f := awslambda.New(s.queues, func(context.Context, *asyncq.Job[string]) error { return nil })
	_, err := f(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{Body: "{}"}}})
	assert.ErrorContains(t, err, "Status is missing")
}

// What the function could not tell SQS is logged without options, and told to OnError.
func TestGiveBackFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.submit(asyncq.Request[string]{Payload: "x"})
		url, err := s.queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &testQueues.Normal})
		require.NoError(t, err)
		out, err := s.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl})
		require.NoError(t, err)
		var log strings.Builder
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(before)
		var told error
		f := awslambda.New(s.queues, func(context.Context, *asyncq.Job[string]) error { return errors.New("no") }, func(o *awslambda.Options) {
			o.Status = s.status
			o.OnError = func(_ context.Context, err error) { told = err; panic("in OnError") }
		})
		response, err := f(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
			{MessageId: "m", ReceiptHandle: "r", Body: *out.Messages[0].Body, EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:none"}}})
		require.NoError(t, err)
		assert.Len(t, response.BatchItemFailures, 1)
		var op *asyncq.OpError
		require.ErrorAs(t, told, &op)
		assert.Equal(t, "change visibility", op.Op)
		assert.Equal(t, "none", op.Key)
		assert.Contains(t, log.String(), "change visibility")
	})
}

// A store that is down is asked for MaxHold, and then the message is given back.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		ids := s.submit(asyncq.Request[string]{Payload: "x"})
		f := awslambda.New(s.queues, func(context.Context, *asyncq.Job[string]) error { return nil }, func(o *awslambda.Options) {
			o.Status, o.Logger = downStatus{s.status}, slog.New(slog.NewTextHandler(io.Discard, nil))
		})
		began := time.Now()
		failed, _ := s.deliver(f, testQueues.Normal, time.Minute)
		assert.Len(t, failed, 1)
		assert.Less(t, time.Since(began), 15*time.Second)
		assert.Equal(t, asyncq.Queued, s.state(ids[0].ID).State)
		time.Sleep(15 * time.Minute)
		failed, n := s.deliver(s.function(func(context.Context, *asyncq.Job[string]) error { return nil }), testQueues.Normal, time.Minute)
		assert.Equal(t, 1, n)
		assert.Empty(t, failed)
		assert.Equal(t, asyncq.Completed, s.state(ids[0].ID).State)
	})
}

type downStatus struct{ asyncq.StatusStore }

func (downStatus) Get(context.Context, string) (asyncq.Status, error) {
	return asyncq.Status{}, errors.New("down")
}

// lateQueues does not find its first queue.
type lateQueues struct {
	asyncq.QueueAPI
	asked int
}

func (l *lateQueues) GetQueueUrl(ctx context.Context, in *sqs.GetQueueUrlInput, fns ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if l.asked++; l.asked == 1 {
		return nil, errors.New("not now")
	}
	return l.QueueAPI.GetQueueUrl(ctx, in, fns...)
}

// The dead-letter queue is not found at first: the message that it was looked for is
// given back, and the log says why.
func TestPartOfAnEventIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.submit(asyncq.Request[string]{Payload: "0"}, asyncq.Request[string]{Payload: "1"})
		var log strings.Builder
		f := awslambda.New(&lateQueues{QueueAPI: s.queues}, func(context.Context, *asyncq.Job[string]) error { return nil }, func(o *awslambda.Options) {
			o.DeadLetter, o.Status, o.Concurrency = testQueues.DeadLetter, s.status, 1
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		failed, n := s.deliver(f, testQueues.Normal, time.Minute)
		assert.Equal(t, 2, n)
		assert.Len(t, failed, 1)
		assert.Contains(t, log.String(), "not now")
	})
}
