package memqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	queuetest.Run(t, func(*testing.T) queuetest.Queue { return memqueue.New() }, func(o *queuetest.Options) { o.Synctest = true })
}

// queue is one queue of a service, with short ways to use it.
type queue struct {
	*memqueue.Service
	t   *testing.T
	url *string
}

func create(t *testing.T, s *memqueue.Service, name string, attributes map[string]string) queue {
	t.Helper()
	out, err := s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	require.NoError(t, err)
	return queue{s, t, out.QueueUrl}
}

func (q queue) send(body string) {
	q.t.Helper()
	_, err := q.SendMessage(q.t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: &body})
	require.NoError(q.t, err)
}

func (q queue) order(group, body string) {
	q.t.Helper()
	_, err := q.SendMessage(q.t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &body})
	require.NoError(q.t, err)
}

func (q queue) receive(n, wait int32) []types.Message {
	q.t.Helper()
	out, err := q.ReceiveMessage(q.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: n, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	require.NoError(q.t, err)
	return out.Messages
}

func (q queue) bodies(n, wait int32) (bodies []string) {
	q.t.Helper()
	for _, m := range q.receive(n, wait) {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

func (q queue) attribute(name types.QueueAttributeName) string {
	q.t.Helper()
	out, err := q.GetQueueAttributes(q.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: q.url, AttributeNames: []types.QueueAttributeName{name}})
	require.NoError(q.t, err)
	return out.Attributes[string(name)]
}

func (q queue) visible(m types.Message, seconds int32) error {
	_, err := q.ChangeMessageVisibility(q.t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func (q queue) delete(m types.Message) error {
	_, err := q.DeleteMessage(q.t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle})
	return err
}

// withDeadLetters makes a queue and its dead-letter queue.
func withDeadLetters(t *testing.T, s *memqueue.Service, name string, receives int, attributes map[string]string) (source, dead queue) {
	suffix := ""
	if attributes["FifoQueue"] == "true" {
		suffix = ".fifo"
	}
	dead = create(t, s, name+"-dlq"+suffix, attributes)
	source = create(t, s, name+suffix, attributes)
	_, err := s.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: source.url, Attributes: map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, dead.attribute("QueueArn"), receives)}})
	require.NoError(t, err)
	return source, dead
}

func code(t *testing.T, err error, want string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, want, api.ErrorCode(), "%v", err)
	op, ok := errors.AsType[*smithy.OperationError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "SQS", op.ServiceID)
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(), "q", map[string]string{"MessageRetentionPeriod": "60"})
		q.send("in flight")
		require.Len(t, q.receive(1, 0), 1)
		q.send("visible")
		time.Sleep(59 * time.Second)
		q.send("younger")
		time.Sleep(time.Second)
		assert.Equal(t, []string{"younger"}, q.bodies(10, 0))
		assert.Equal(t, "1", q.attribute("ApproximateNumberOfMessagesNotVisible"))
		time.Sleep(time.Minute)
		assert.Equal(t, "0", q.attribute("ApproximateNumberOfMessagesNotVisible"))
	})
}

func TestTwelveHoursInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(), "q", nil)
		q.send("m")
		m := q.receive(1, 0)[0]
		require.NoError(t, q.visible(m, 6*3600))
		time.Sleep(5 * time.Hour)
		code(t, q.visible(m, 7*3600+1), "InvalidParameterValue")
		require.NoError(t, q.visible(m, 7*3600))
		code(t, q.visible(m, 12*3600+1), "InvalidParameterValue")
		began := time.Now()
		for len(q.receive(1, 20)) == 0 {
		}
		assert.Equal(t, 7*time.Hour, time.Since(began))
	})
}

func TestHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memqueue.New()
		q := create(t, s, "q", map[string]string{"VisibilityTimeout": "10"})
		q.send("m")
		old := q.receive(1, 0)[0]
		time.Sleep(10 * time.Second)
		_, ok := errors.AsType[*types.MessageNotInflight](q.visible(old, 5))
		assert.True(t, ok)

		// Until it is received again, the handle still deletes; then it does not.
		again := q.receive(1, 0)[0]
		require.NoError(t, q.delete(old))
		assert.Equal(t, "1", q.attribute("ApproximateNumberOfMessagesNotVisible"))
		code(t, q.visible(old, 5), "InvalidParameterValue")
		require.NoError(t, q.delete(again))
		assert.Equal(t, "0", q.attribute("ApproximateNumberOfMessagesNotVisible"))

		for _, handle := range []string{"rubbish", "////", ""} {
			err := q.delete(types.Message{ReceiptHandle: &handle})
			if handle == "" {
				code(t, err, "MissingParameter")
			} else {
				code(t, err, "ReceiptHandleIsInvalid")
			}
		}
		other := create(t, s, "other", nil)
		code(t, other.delete(again), "ReceiptHandleIsInvalid")

		f := create(t, s, "q.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "10"})
		f.order("g", "m")
		late := f.receive(1, 0)[0]
		time.Sleep(10 * time.Second)
		code(t, f.delete(late), "InvalidParameterValue")
	})
}

// Messages of a group that come back while others of it are in flight are held,
// and keep their place.
func TestGroupComesBackInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(), "q.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "10"})
		for i := range 5 {
			q.order("a", "a"+strconv.Itoa(i))
			q.order("b", "b"+strconv.Itoa(i))
		}
		got := q.receive(4, 0)
		require.Len(t, got, 4)
		assert.Equal(t, "a3", *got[3].Body)
		require.NoError(t, q.visible(got[1], 0))
		require.NoError(t, q.delete(got[0]))
		assert.Equal(t, []string{"b0", "b1"}, q.bodies(2, 0), "group a is held")
		require.NoError(t, q.visible(got[3], 5))
		require.NoError(t, q.delete(got[2]))
		began := time.Now()
		assert.Equal(t, []string{"a1", "a3", "a4"}, q.bodies(10, 20))
		assert.Equal(t, 5*time.Second, time.Since(began), "when the last of a became visible")
		assert.Equal(t, []string{"b0", "b1", "b2", "b3", "b4"}, q.bodies(10, 20), "at its timeout")
	})
}

// Groups take turns: one with a backlog does not starve the others.
func TestGroupsTakeTurns(t *testing.T) {
	q := create(t, memqueue.New(), "q.fifo", map[string]string{"FifoQueue": "true"})
	for i := range 3 {
		q.order("long", "long"+strconv.Itoa(i))
	}
	q.order("short", "short")
	m := q.receive(1, 0)[0]
	require.NoError(t, q.delete(m))
	assert.Equal(t, []string{"short"}, q.bodies(1, 0))
}

func TestDeduplicationWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(), "q.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
		send := func(group string) {
			_, err := q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("same"), MessageGroupId: &group})
			require.NoError(t, err)
		}
		count := func() string { return q.attribute("ApproximateNumberOfMessages") }
		send("a")
		send("b")
		assert.Equal(t, "1", count(), "the scope is the queue")
		time.Sleep(5*time.Minute - 1)
		send("a")
		assert.Equal(t, "1", count())
		time.Sleep(time.Nanosecond)
		send("a")
		assert.Equal(t, "2", count(), "five minutes are over")

		_, err := q.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: q.url, Attributes: map[string]string{"DeduplicationScope": "messageGroup"}})
		require.NoError(t, err)
		send("c")
		send("d")
		send("d")
		assert.Equal(t, "4", count(), "the scope is the group")
	})
}

func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(func(o *memqueue.Options) { o.MaxInFlight = 2 }), "q", nil)
		for range 4 {
			q.send("m")
		}
		got := q.receive(10, 0)
		require.Len(t, got, 2)
		_, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url})
		_, ok := errors.AsType[*types.OverLimit](err)
		assert.True(t, ok, "%v", err)
		time.AfterFunc(time.Second, func() { assert.NoError(t, q.delete(got[0])) })
		began := time.Now()
		assert.Len(t, q.receive(10, 20), 1, "a long poll waits for room")
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestMoveTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memqueue.New()
		q, dead := withDeadLetters(t, s, "q", 1, nil)
		arn := dead.attribute("QueueArn")
		for i := range 25 {
			q.send(strconv.Itoa(i))
		}
		dead.send("was never elsewhere")
		for len(q.receive(10, 0)) > 0 {
		}
		time.Sleep(30 * time.Second)
		assert.Empty(t, q.receive(10, 0), "all are buried")
		held := dead.receive(2, 0)
		assert.Equal(t, "2", held[1].Attributes["ApproximateReceiveCount"], "those of all queues")
		assert.Equal(t, q.attribute("QueueArn"), held[1].Attributes["DeadLetterQueueSourceArn"])

		sources, err := s.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead.url})
		require.NoError(t, err)
		assert.Equal(t, []string{*q.url}, sources.QueueUrls)

		_, err = s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(q.attribute("QueueArn"))})
		code(t, err, "InvalidParameterValue")
		_, err = s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arn + "x")})
		code(t, err, "ResourceNotFoundException")
		started, err := s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &arn})
		require.NoError(t, err)
		assert.NotEmpty(t, started.TaskHandle)
		tasks, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &arn})
		require.NoError(t, err)
		require.Len(t, tasks.Results, 1)
		assert.Equal(t, "COMPLETED", *tasks.Results[0].Status)

		assert.Equal(t, "24", q.attribute("ApproximateNumberOfMessages"))
		assert.Equal(t, int64(24), tasks.Results[0].ApproximateNumberOfMessagesMoved)
		assert.Equal(t, "0", dead.attribute("ApproximateNumberOfMessages"))
		assert.Equal(t, "2", dead.attribute("ApproximateNumberOfMessagesNotVisible"), "one of them was sent here")
		back := q.receive(1, 0)[0]
		assert.Equal(t, "1", back.Attributes["ApproximateReceiveCount"])
	})
}

func TestFIFODeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, dead := withDeadLetters(t, memqueue.New(), "q", 1, map[string]string{"FifoQueue": "true"})
		q.order("g", "poison")
		q.order("g", "next")
		require.NoError(t, q.visible(q.receive(1, 0)[0], 0))
		assert.Equal(t, []string{"next"}, q.bodies(1, 0), "a dead letter frees its group")
		assert.Equal(t, []string{"poison"}, dead.bodies(1, 0))
	})
}

func TestRefused(t *testing.T) {
	s := memqueue.New()
	q := create(t, s, "q", nil)
	f := create(t, s, "q.fifo", map[string]string{"FifoQueue": "true"})
	text := func(v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	many := map[string]types.MessageAttributeValue{}
	for i := range 11 {
		many["a"+strconv.Itoa(i)] = text("v")
	}
	for name, tt := range map[string]struct {
		in   sqs.SendMessageInput
		code string
	}{
		"no queue":             {sqs.SendMessageInput{MessageBody: aws.String("m")}, "MissingParameter"},
		"another account":      {sqs.SendMessageInput{QueueUrl: aws.String("https://example.com/1/q"), MessageBody: aws.String("m")}, "QueueDoesNotExist"},
		"no body":              {sqs.SendMessageInput{QueueUrl: q.url}, "MissingParameter"},
		"no UTF-8":             {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("\xff")}, "InvalidMessageContents"},
		"delay":                {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), DelaySeconds: 901}, "InvalidParameterValue"},
		"deduplication":        {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageDeduplicationId: aws.String("d")}, "InvalidParameterValue"},
		"eleven attributes":    {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageAttributes: many}, "InvalidParameterValue"},
		"attribute's name":     {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"AWS.x": text("v")}}, "InvalidParameterValue"},
		"attribute's dots":     {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"a..b": text("v")}}, "InvalidParameterValue"},
		"empty attribute":      {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"a": text("")}}, "InvalidParameterValue"},
		"attribute's type":     {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Text"), StringValue: aws.String("v")}}}, "InvalidParameterValue"},
		"attributes are size":  {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String(strings.Repeat("x", 1<<20-7)), MessageAttributes: map[string]types.MessageAttributeValue{"a": text("v")}}, "InvalidParameterValue"},
		"no group":             {sqs.SendMessageInput{QueueUrl: f.url, MessageBody: aws.String("m"), MessageDeduplicationId: aws.String("d")}, "MissingParameter"},
		"group with a space":   {sqs.SendMessageInput{QueueUrl: f.url, MessageBody: aws.String("m"), MessageDeduplicationId: aws.String("d"), MessageGroupId: aws.String("a b")}, "InvalidParameterValue"},
		"no deduplication":     {sqs.SendMessageInput{QueueUrl: f.url, MessageBody: aws.String("m"), MessageGroupId: aws.String("g")}, "InvalidParameterValue"},
		"delay in a FIFO":      {sqs.SendMessageInput{QueueUrl: f.url, MessageBody: aws.String("m"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"), DelaySeconds: 1}, "InvalidParameterValue"},
		"long deduplication":   {sqs.SendMessageInput{QueueUrl: f.url, MessageBody: aws.String("m"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String(strings.Repeat("d", 129))}, "InvalidParameterValue"},
		"message system names": {sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m"), MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"Other": {DataType: aws.String("String"), StringValue: aws.String("v")}}}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.SendMessage(t.Context(), &tt.in)
			code(t, err, tt.code)
		})
	}
	assert.Empty(t, q.receive(10, 0))
	assert.Empty(t, f.receive(10, 0))

	for name, tt := range map[string]struct {
		name       string
		attributes map[string]string
		code       string
	}{
		"name":             {"a b", nil, "InvalidParameterValue"},
		"FIFO by name":     {"a.fifo", nil, "InvalidParameterValue"},
		"FIFO by value":    {"a", map[string]string{"FifoQueue": "true"}, "InvalidParameterValue"},
		"not FIFO":         {"a", map[string]string{"FifoQueue": "false"}, "InvalidAttributeValue"},
		"unknown":          {"a", map[string]string{"Colour": "red"}, "InvalidAttributeName"},
		"out of range":     {"a", map[string]string{"VisibilityTimeout": "43201"}, "InvalidAttributeValue"},
		"no number":        {"a", map[string]string{"DelaySeconds": "soon"}, "InvalidAttributeValue"},
		"of FIFO queues":   {"a", map[string]string{"ContentBasedDeduplication": "true"}, "InvalidAttributeName"},
		"redrive: no JSON": {"a", map[string]string{"RedrivePolicy": "{"}, "InvalidAttributeValue"},
		"redrive: nowhere": {"a", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":3}`}, "InvalidAttributeValue"},
		"redrive: kind":    {"a", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q.fifo","maxReceiveCount":3}`}, "InvalidAttributeValue"},
		"redrive: count":   {"a", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q","maxReceiveCount":0}`}, "InvalidAttributeValue"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &tt.name, Attributes: tt.attributes})
			code(t, err, tt.code)
		})
	}
	list, err := s.ListQueues(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{*q.url, *f.url}, list.QueueUrls, "what was refused is not there")
}

func TestListPages(t *testing.T) {
	s := memqueue.New()
	for i := range 5 {
		create(t, s, "q"+strconv.Itoa(i), nil)
	}
	var urls []string
	pages := sqs.NewListQueuesPaginator(s, &sqs.ListQueuesInput{MaxResults: aws.Int32(2)})
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		urls = append(urls, page.QueueUrls...)
	}
	assert.Equal(t, 3, n)
	assert.Len(t, urls, 5)
	assert.IsIncreasing(t, urls)
}

func TestDeletedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memqueue.New()
		q := create(t, s, "q", nil)
		polled := make(chan error, 1)
		go func() {
			_, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: 20})
			polled <- err
		}()
		synctest.Wait()
		_, err := s.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: q.url})
		require.NoError(t, err)
		code(t, <-polled, "QueueDoesNotExist")
		_, err = s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
		code(t, err, "QueueDeletedRecently")
		time.Sleep(time.Minute)
		create(t, s, "q", nil)
	})
}

func TestPurgeOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := create(t, memqueue.New(), "q", nil)
		purge := func() error {
			_, err := q.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: q.url})
			return err
		}
		require.NoError(t, purge())
		time.Sleep(59 * time.Second)
		code(t, purge(), "PurgeQueueInProgress")
		time.Sleep(time.Second)
		require.NoError(t, purge())
	})
}

func TestBefore(t *testing.T) {
	broken := errors.New("the network is down")
	s := memqueue.New(func(o *memqueue.Options) {
		o.Before = func(_ context.Context, op string, in any) error {
			if _, send := in.(*sqs.SendMessageInput); send && op == "SendMessage" {
				return broken
			}
			return nil
		}
	})
	q := create(t, s, "q", nil)
	_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m")})
	require.ErrorIs(t, err, broken)
	assert.Empty(t, q.receive(1, 0))
}

func TestEveryCharacterPlane(t *testing.T) {
	q := create(t, memqueue.New(), "q", nil)
	q.send("漫画 🎉 \U0010FFFD")
	assert.Equal(t, []string{"漫画 🎉 \U0010FFFD"}, q.bodies(1, 0))
}

func TestContext(t *testing.T) {
	s := memqueue.New()
	q := create(t, s, "q", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("m")})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url})
	require.ErrorIs(t, err, context.Canceled)
	_, canceled := errors.AsType[*aws.RequestCanceledError](err)
	assert.True(t, canceled)
}

// Whatever a handle is, a message stays unless it is its own.
func FuzzHandle(f *testing.F) {
	s := memqueue.New()
	name := "q"
	out, err := s.CreateQueue(f.Context(), &sqs.CreateQueueInput{QueueName: &name})
	require.NoError(f, err)
	_, err = s.SendMessage(f.Context(), &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String("m")})
	require.NoError(f, err)
	received, err := s.ReceiveMessage(f.Context(), &sqs.ReceiveMessageInput{QueueUrl: out.QueueUrl, VisibilityTimeout: 43_200})
	require.NoError(f, err)
	own := *received.Messages[0].ReceiptHandle
	f.Add("")
	f.Add("cQBhADE")
	f.Add(own[:len(own)-1])
	f.Fuzz(func(t *testing.T, handle string) {
		if handle == own {
			return
		}
		q := queue{s, t, out.QueueUrl}
		_ = q.delete(types.Message{ReceiptHandle: &handle})
		_ = q.visible(types.Message{ReceiptHandle: &handle}, 0)
		require.Equal(t, "1", q.attribute("ApproximateNumberOfMessagesNotVisible"))
	})
}
