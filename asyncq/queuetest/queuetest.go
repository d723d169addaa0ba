package queuetest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Queue is what the suite calls, of the methods of *sqs.Client.
type Queue interface {
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	ListQueues(context.Context, *sqs.ListQueuesInput, ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error)
	PurgeQueue(context.Context, *sqs.PurgeQueueInput, ...func(*sqs.Options)) (*sqs.PurgeQueueOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// Options are those of [Run].
type Options struct {
	// Synctest runs each check in a testing/synctest bubble, so that no time
	// passes. It is for queues within the process.
	Synctest bool

	// Except says which checks are skipped, by name, and why.
	Except map[string]string
}

// Run runs the checks as subtests, each with a service from open. The queues of
// each check have names of their own, so it may be the same for all, but none of
// them may exist. Times are checked to a second, which is the service's unit.
func Run(t *testing.T, open func(t *testing.T) Queue, optFns ...func(*Options)) {
	t.Helper()
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	for name := range o.Except {
		if !slices.ContainsFunc(checks, func(c check) bool { return c.name == name }) {
			t.Errorf("Except: there is no check %q", name)
		}
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if reason := o.Except[c.name]; reason != "" {
				t.Skip(reason)
			}
			run := func(t *testing.T) {
				if err := c.fn(&session{Queue: open(t), ctx: t.Context()}); err != nil {
					t.Error(err)
				}
			}
			if o.Synctest {
				synctest.Test(t, run)
			} else {
				run(t)
			}
		})
	}
}

// A check returns what is wrong with a queue.
type check struct {
	name string
	fn   func(*session) error
}

var checks = []check{
	{"queues", checkQueues},
	{"a message as it was sent", checkMessage},
	{"batches", checkBatches},
	{"visibility timeout", checkVisibility},
	{"visibility is changed", checkChange},
	{"delete", checkDelete},
	{"delay", checkDelay},
	{"long poll", checkLongPoll},
	{"long poll cancelled", checkCancel},
	{"dead letters", checkDeadLetters},
	{"FIFO order", checkOrder},
	{"FIFO groups are held", checkGroups},
	{"FIFO batches of a group", checkGroupBatch},
	{"FIFO deduplication", checkDeduplication},
	{"counts and purge", checkCounts},
	{"limits", checkLimits},
	{"concurrent use", checkConcurrent},
}

// A session is a queue with short ways to use it.
type session struct {
	Queue
	ctx context.Context
}

func (s *session) create(name string, attributes map[string]string) (string, error) {
	out, err := s.CreateQueue(s.ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		return "", fmt.Errorf("CreateQueue %s: %w", name, err)
	}
	return *out.QueueUrl, nil
}

var fifo = map[string]string{"FifoQueue": "true"}

func (s *session) send(url, body string) error {
	_, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	return err
}

// order sends a message to a group; its body is its deduplication id.
func (s *session) order(url, group, body string) error {
	_, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &body})
	return err
}

// receive receives up to n messages and waits for the first.
func (s *session) receive(url string, n, wait int32) ([]types.Message, error) {
	out, err := s.ReceiveMessage(s.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: n, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// expect receives messages with these bodies, one after another, in order.
func (s *session) expect(url string, wait int32, bodies ...string) ([]types.Message, error) {
	var got []types.Message
	for _, body := range bodies {
		m, err := s.receive(url, 1, wait)
		switch {
		case err != nil:
			return nil, err
		case len(m) != 1:
			return nil, fmt.Errorf("a receive returned %d messages, want %q", len(m), body)
		case *m[0].Body != body:
			return nil, fmt.Errorf("a receive returned %q, want %q", *m[0].Body, body)
		}
		got = append(got, m[0])
	}
	return got, nil
}

// nothing expects that there is nothing to receive.
func (s *session) nothing(url, when string) error {
	m, err := s.receive(url, 10, 0)
	switch {
	case err != nil:
		return err
	case len(m) > 0:
		return fmt.Errorf("%s a receive returned %q, want nothing", when, *m[0].Body)
	}
	return nil
}

func (s *session) delete(url string, m types.Message) error {
	_, err := s.DeleteMessage(s.ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
	return err
}

func (s *session) visible(url string, m types.Message, seconds int32) error {
	_, err := s.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func (s *session) attribute(url string, name types.QueueAttributeName) (string, error) {
	out, err := s.GetQueueAttributes(s.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return "", err
	}
	return out.Attributes[string(name)], nil
}

// first returns the first error of steps that are taken until there is one.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// code expects an error of the service.
func code(what string, err error, codes ...string) error {
	api, ok := errors.AsType[smithy.APIError](err)
	// The codes of the older protocol are those that the SDK still tells.
	if !ok || !slices.ContainsFunc(codes, func(c string) bool { return strings.HasSuffix(api.ErrorCode(), c) }) {
		return fmt.Errorf("%s: the error is %v, want %s", what, err, strings.Join(codes, " or "))
	}
	return nil
}

// since checks that something took as long as it should.
func since(began time.Time, what string, low, high time.Duration) error {
	// A little early, as the clocks of a server and of this process differ.
	if took := time.Since(began); took < low-50*time.Millisecond || took > high {
		return fmt.Errorf("%s after %v, want %v to %v", what, took, low, high)
	}
	return nil
}

func checkQueues(s *session) error {
	a, err := s.create("a-1", map[string]string{"VisibilityTimeout": "7"})
	if err != nil {
		return err
	}
	if _, err := s.create("b_2", nil); err != nil {
		return err
	}
	again, err := s.create("a-1", map[string]string{"VisibilityTimeout": "7"})
	if err != nil || again != a {
		return fmt.Errorf("creating a queue again returned %q and the error %v, want %q", again, err, a)
	}
	_, err = s.create("a-1", map[string]string{"VisibilityTimeout": "8"})
	if err := code("creating a queue with another attribute", err, "QueueNameExists"); err != nil {
		return err
	}
	out, err := s.GetQueueUrl(s.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("a-1")})
	if err != nil || *out.QueueUrl != a {
		return fmt.Errorf("GetQueueUrl returned %v and the error %v, want %q", out, err, a)
	}
	_, err = s.GetQueueUrl(s.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		return fmt.Errorf("GetQueueUrl of no queue returned the error %v, want QueueDoesNotExist", err)
	}
	list, err := s.ListQueues(s.ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("a-")})
	if err != nil || !slices.Equal(list.QueueUrls, []string{a}) {
		return fmt.Errorf("ListQueues returned %v and the error %v, want %q", list, err, a)
	}
	if _, err := s.SetQueueAttributes(s.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &a, Attributes: map[string]string{"VisibilityTimeout": "9"}}); err != nil {
		return err
	}
	got, err := s.attribute(a, types.QueueAttributeNameVisibilityTimeout)
	if err != nil || got != "9" {
		return fmt.Errorf("the visibility timeout is %q and the error %v, want 9", got, err)
	}
	return nil
}

// attributesSum is the MD5 sum of the attributes that checkMessage sends, by the
// method of the developer guide.
const attributesSum = "08c26a7e2de6fd2e090ce7d45cc124c9"

func checkMessage(s *session) error {
	url, err := s.create("messages", nil)
	if err != nil {
		return err
	}
	const body = "漫画 <&> \t\n\r"
	before := time.Now().Add(-time.Second)
	sent, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(body),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"traceparent": {DataType: aws.String("String"), StringValue: aws.String("00-4bf9-01")},
			"attempt":     {DataType: aws.String("Number"), StringValue: aws.String("3")},
			"raw":         {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		}})
	if err != nil {
		return err
	}
	got, err := s.expect(url, 5, body)
	if err != nil {
		return err
	}
	m := got[0]
	sum := md5.Sum([]byte(body))
	timestamp, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	switch {
	case aws.ToString(m.MessageId) != aws.ToString(sent.MessageId) || aws.ToString(m.MessageId) == "":
		return fmt.Errorf("the id is %q, was sent as %q", aws.ToString(m.MessageId), aws.ToString(sent.MessageId))
	case aws.ToString(m.MD5OfBody) != hex.EncodeToString(sum[:]) || aws.ToString(sent.MD5OfMessageBody) != *m.MD5OfBody:
		return fmt.Errorf("the MD5 sum is %q, was sent as %q", aws.ToString(m.MD5OfBody), aws.ToString(sent.MD5OfMessageBody))
	case aws.ToString(sent.MD5OfMessageAttributes) != attributesSum || aws.ToString(m.MD5OfMessageAttributes) != attributesSum:
		return fmt.Errorf("the MD5 sum of the attributes is %q, was sent as %q, want %q", aws.ToString(m.MD5OfMessageAttributes), aws.ToString(sent.MD5OfMessageAttributes), attributesSum)
	case len(m.MessageAttributes) != 3 || aws.ToString(m.MessageAttributes["traceparent"].StringValue) != "00-4bf9-01" ||
		aws.ToString(m.MessageAttributes["attempt"].StringValue) != "3" || string(m.MessageAttributes["raw"].BinaryValue) != "\x00\xff":
		return fmt.Errorf("the attributes are %v", m.MessageAttributes)
	case m.Attributes["ApproximateReceiveCount"] != "1":
		return fmt.Errorf("the receive count is %q, want 1", m.Attributes["ApproximateReceiveCount"])
	case time.UnixMilli(timestamp).Before(before) || time.UnixMilli(timestamp).After(time.Now().Add(time.Second)):
		return fmt.Errorf("the time that it was sent at is %q", m.Attributes["SentTimestamp"])
	case m.Attributes["ApproximateFirstReceiveTimestamp"] == "":
		return errors.New("the time of the first receive is missing")
	}
	return nil
}

func checkBatches(s *session) error {
	url, err := s.create("batches", nil)
	if err != nil {
		return err
	}
	in := &sqs.SendMessageBatchInput{QueueUrl: &url}
	for i := range 10 {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String("id-" + strconv.Itoa(i)), MessageBody: aws.String(strconv.Itoa(i))})
	}
	in.Entries[4].MessageBody = aws.String("a\x00b")
	out, err := s.SendMessageBatch(s.ctx, in)
	if err != nil {
		return err
	}
	if len(out.Successful) != 9 || len(out.Failed) != 1 || *out.Failed[0].Id != "id-4" || !out.Failed[0].SenderFault {
		return fmt.Errorf("of a batch with one bad entry %d succeeded and %d failed: %+v", len(out.Successful), len(out.Failed), out.Failed)
	}
	var received []types.Message
	for len(received) < 9 {
		m, err := s.receive(url, 10, 1)
		if err != nil {
			return err
		}
		if len(m) == 0 {
			return fmt.Errorf("%d messages were received of 9", len(received))
		}
		received = append(received, m...)
	}
	change := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
	remove := &sqs.DeleteMessageBatchInput{QueueUrl: &url}
	for i, m := range received {
		id := aws.String("id-" + strconv.Itoa(i))
		change.Entries = append(change.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: id, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60})
		remove.Entries = append(remove.Entries, types.DeleteMessageBatchRequestEntry{Id: id, ReceiptHandle: m.ReceiptHandle})
	}
	changed, err := s.ChangeMessageVisibilityBatch(s.ctx, change)
	if err != nil || len(changed.Successful) != 9 || len(changed.Failed) != 0 {
		return fmt.Errorf("ChangeMessageVisibilityBatch returned %+v and the error %v", changed, err)
	}
	removed, err := s.DeleteMessageBatch(s.ctx, remove)
	if err != nil || len(removed.Successful) != 9 || len(removed.Failed) != 0 {
		return fmt.Errorf("DeleteMessageBatch returned %+v and the error %v", removed, err)
	}
	return s.nothing(url, "after all were deleted")
}

func checkVisibility(s *session) error {
	url, err := s.create("visibility", map[string]string{"VisibilityTimeout": "1"})
	if err != nil {
		return err
	}
	if err := s.send(url, "m"); err != nil {
		return err
	}
	handles := map[string]bool{}
	for i := range 3 {
		began := time.Now()
		got, err := s.expect(url, 10, "m")
		if err != nil {
			return err
		}
		if i > 0 {
			if err := since(began, "the message came back", time.Second, 5*time.Second); err != nil {
				return err
			}
		}
		if n := got[0].Attributes["ApproximateReceiveCount"]; n != strconv.Itoa(i+1) {
			return fmt.Errorf("the receive count is %s, want %d", n, i+1)
		}
		handles[*got[0].ReceiptHandle] = true
		if err := s.nothing(url, "while the message is in flight"); err != nil {
			return err
		}
	}
	if len(handles) != 3 {
		return fmt.Errorf("three receives returned %d different handles", len(handles))
	}
	return nil
}

func checkChange(s *session) error {
	url, err := s.create("change", map[string]string{"VisibilityTimeout": "1"})
	if err != nil {
		return err
	}
	if err := s.send(url, "m"); err != nil {
		return err
	}
	got, err := s.expect(url, 5, "m")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.visible(url, got[0], 3); err != nil {
		return err
	}
	if got, err = s.expect(url, 10, "m"); err != nil {
		return err
	}
	if err := since(began, "a message of which the visibility timeout was extended came back", 3*time.Second, 8*time.Second); err != nil {
		return err
	}
	if err := s.visible(url, got[0], 0); err != nil {
		return err
	}
	if got, err = s.expect(url, 0, "m"); err != nil {
		return fmt.Errorf("after its visibility timeout was set to zero: %w", err)
	}
	if err := s.delete(url, got[0]); err != nil {
		return err
	}
	return code("changing the visibility of a message that was deleted", s.visible(url, got[0], 10), "InvalidParameterValue", "MessageNotInflight")
}

func checkDelete(s *session) error {
	url, err := s.create("delete", nil)
	if err != nil {
		return err
	}
	for _, body := range []string{"1", "2"} {
		if err := s.send(url, body); err != nil {
			return err
		}
	}
	got, err := s.expect(url, 5, "1")
	if err != nil {
		return err
	}
	return first(
		func() error { return s.delete(url, got[0]) },
		func() error { return s.delete(url, got[0]) }, // once more, of nothing
		func() error { _, err := s.expect(url, 5, "2"); return err },
		func() error { return s.nothing(url, "after a delete") },
	)
}

func checkDelay(s *session) error {
	url, err := s.create("delay", nil)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("late"), DelaySeconds: 2}); err != nil {
		return err
	}
	if err := s.send(url, "early"); err != nil {
		return err
	}
	if _, err := s.expect(url, 10, "early", "late"); err != nil {
		return err
	}
	return since(began, "a message with a delay came", 2*time.Second, 7*time.Second)
}

func checkLongPoll(s *session) error {
	url, err := s.create("poll", nil)
	if err != nil {
		return err
	}
	began := time.Now()
	m, err := s.receive(url, 10, 1)
	if err != nil || len(m) > 0 {
		return fmt.Errorf("a receive from an empty queue returned %d messages and the error %v", len(m), err)
	}
	if err := since(began, "a receive from an empty queue ended", time.Second, 5*time.Second); err != nil {
		return err
	}
	began = time.Now()
	var wg sync.WaitGroup
	var sendErr error
	wg.Go(func() {
		select {
		case <-time.After(time.Second):
			sendErr = s.send(url, "m")
		case <-s.ctx.Done():
		}
	})
	_, err = s.expect(url, 20, "m")
	wg.Wait()
	return first(
		func() error { return errors.Join(err, sendErr) },
		func() error {
			return since(began, "a receive got what was sent while it waited", time.Second, 10*time.Second)
		},
	)
}

func checkCancel(s *session) error {
	url, err := s.create("cancel", nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	began := time.Now()
	_, err = s.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("a receive past its deadline returned the error %v", err)
	}
	return first(
		func() error { return since(began, "a receive ended by its context", time.Second, 5*time.Second) },
		func() error { return s.send(url, "m") },
		func() error { _, err := s.expect(url, 5, "m"); return err },
	)
}

func checkDeadLetters(s *session) error {
	dead, err := s.create("dead", nil)
	if err != nil {
		return err
	}
	arn, err := s.attribute(dead, types.QueueAttributeNameQueueArn)
	if err != nil {
		return err
	}
	url, err := s.create("source", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":2}`, arn)})
	if err != nil {
		return err
	}
	sent, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("poison"),
		MessageAttributes: map[string]types.MessageAttributeValue{"k": {DataType: aws.String("String"), StringValue: aws.String("v")}}})
	if err != nil {
		return err
	}
	for range 2 {
		got, err := s.expect(url, 5, "poison")
		if err != nil {
			return err
		}
		if err := s.nothing(dead, "before the last receive"); err != nil {
			return err
		}
		if err := s.visible(url, got[0], 0); err != nil {
			return err
		}
	}
	if err := s.nothing(url, "after maxReceiveCount receives"); err != nil {
		return err
	}
	got, err := s.expect(dead, 5, "poison")
	if err != nil {
		return fmt.Errorf("in the dead-letter queue %w", err)
	}
	if *got[0].MessageId != *sent.MessageId || aws.ToString(got[0].MessageAttributes["k"].StringValue) != "v" {
		return fmt.Errorf("the dead letter is %s with the attributes %v, was %s", *got[0].MessageId, got[0].MessageAttributes, *sent.MessageId)
	}
	return nil
}

func checkOrder(s *session) error {
	url, err := s.create("order.fifo", fifo)
	if err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3"} {
		if err := s.order(url, "g", body); err != nil {
			return err
		}
	}
	got, err := s.expect(url, 5, "1")
	if err != nil {
		return err
	}
	if got[0].Attributes["MessageGroupId"] != "g" || got[0].Attributes["MessageDeduplicationId"] != "1" || got[0].Attributes["SequenceNumber"] == "" {
		return fmt.Errorf("the attributes of a FIFO message are %v", got[0].Attributes)
	}
	// One that comes back stays before its successors.
	if err := s.visible(url, got[0], 0); err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3"} {
		got, err := s.expect(url, 5, body)
		if err != nil {
			return err
		}
		if err := s.delete(url, got[0]); err != nil {
			return err
		}
	}
	return nil
}

func checkGroups(s *session) error {
	url, err := s.create("groups.fifo", fifo)
	if err != nil {
		return err
	}
	for _, m := range []struct{ group, body string }{{"a", "a1"}, {"a", "a2"}, {"b", "b1"}} {
		if err := s.order(url, m.group, m.body); err != nil {
			return err
		}
	}
	got, err := s.expect(url, 5, "a1", "b1")
	if err != nil {
		return err
	}
	return first(
		func() error { return s.nothing(url, "while a message of each group is in flight") },
		func() error { return s.delete(url, got[1]) },
		func() error { return s.nothing(url, "after a delete in another group") },
		func() error { return s.delete(url, got[0]) },
		func() error { _, err := s.expect(url, 5, "a2"); return err },
	)
}

func checkGroupBatch(s *session) error {
	url, err := s.create("batch.fifo", fifo)
	if err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3", "4"} {
		if err := s.order(url, "g", body); err != nil {
			return err
		}
	}
	got, err := s.receive(url, 3, 5)
	if err != nil {
		return err
	}
	if len(got) != 3 || *got[0].Body != "1" || *got[1].Body != "2" || *got[2].Body != "3" {
		return fmt.Errorf("a receive of three returned %d messages of one group", len(got))
	}
	return first(
		func() error { return s.delete(url, got[0]) },
		func() error { return s.delete(url, got[1]) },
		func() error { return s.nothing(url, "while the last of three is in flight") },
		func() error { return s.visible(url, got[2], 0) },
		func() error { _, err := s.expect(url, 5, "3"); return err },
	)
}

func checkDeduplication(s *session) error {
	url, err := s.create("dedup.fifo", fifo)
	if err != nil {
		return err
	}
	in := sqs.SendMessageInput{QueueUrl: &url, MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d")}
	in.MessageBody = aws.String("first")
	one, err := s.SendMessage(s.ctx, &in)
	if err != nil {
		return err
	}
	in.MessageBody = aws.String("second")
	two, err := s.SendMessage(s.ctx, &in)
	if err != nil {
		return err
	}
	if *one.MessageId != *two.MessageId {
		return fmt.Errorf("a duplicate got the id %s, the original has %s", *two.MessageId, *one.MessageId)
	}
	got, err := s.expect(url, 5, "first")
	if err != nil {
		return err
	}
	if err := s.delete(url, got[0]); err != nil {
		return err
	}
	in.MessageBody = aws.String("third") // a duplicate of what has been deleted
	if _, err := s.SendMessage(s.ctx, &in); err != nil {
		return err
	}
	if err := s.nothing(url, "after duplicates"); err != nil {
		return err
	}
	in.MessageDeduplicationId = nil
	_, err = s.SendMessage(s.ctx, &in)
	return code("a FIFO message without a deduplication id", err, "InvalidParameterValue")
}

func checkCounts(s *session) error {
	url, err := s.create("counts", nil)
	if err != nil {
		return err
	}
	for i := range 5 {
		if err := s.send(url, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	if _, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("late"), DelaySeconds: 600}); err != nil {
		return err
	}
	if got, err := s.receive(url, 2, 1); err != nil || len(got) != 2 {
		return fmt.Errorf("a receive of two returned %d messages and the error %v", len(got), err)
	}
	counts := func(visible, inFlight, delayed string) error {
		for name, want := range map[types.QueueAttributeName]string{
			types.QueueAttributeNameApproximateNumberOfMessages:           visible,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible: inFlight,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed:    delayed,
		} {
			if got, err := s.attribute(url, name); err != nil || got != want {
				return fmt.Errorf("%s is %q and the error %v, want %s", name, got, err, want)
			}
		}
		return nil
	}
	return first(
		func() error { return counts("3", "2", "1") },
		func() error {
			_, err := s.PurgeQueue(s.ctx, &sqs.PurgeQueueInput{QueueUrl: &url})
			return err
		},
		func() error { return counts("0", "0", "0") },
		func() error { return s.nothing(url, "after a purge") },
	)
}

func checkLimits(s *session) error {
	url, err := s.create("limits", nil)
	if err != nil {
		return err
	}
	batch := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := s.SendMessageBatch(s.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		return err
	}
	entry := func(id string, size int) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(strings.Repeat("x", size))}
	}
	eleven := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range eleven {
		eleven[i] = entry(strconv.Itoa(i), 1)
	}
	other := url[:strings.LastIndexByte(url, '/')+1] + "none"
	return first(
		func() error { return s.send(url, strings.Repeat("x", 1<<20)) },
		func() error {
			return code("a message of 1 MiB and one byte", s.send(url, strings.Repeat("x", 1<<20+1)), "InvalidParameterValue")
		},
		func() error { return code("a control character", s.send(url, "a\x00b"), "InvalidMessageContents") },
		func() error {
			return code("an empty batch", batch([]types.SendMessageBatchRequestEntry{}...), "EmptyBatchRequest")
		},
		func() error { return code("a batch of eleven", batch(eleven...), "TooManyEntriesInBatchRequest") },
		func() error {
			return code("two entries of one id", batch(entry("a", 1), entry("a", 1)), "BatchEntryIdsNotDistinct")
		},
		func() error { return code("an entry's id with a dot", batch(entry("a.b", 1)), "InvalidBatchEntryId") },
		func() error {
			return code("a batch of more than 1 MiB", batch(entry("a", 1<<19), entry("b", 1<<19+1)), "BatchRequestTooLong")
		},
		func() error {
			return code("a send to no queue", s.send(other, "m"), "QueueDoesNotExist", "NonExistentQueue")
		},
		func() error {
			_, err := s.receive(url, 11, 0)
			return code("a receive of eleven", err, "InvalidParameterValue")
		},
		func() error {
			_, err := s.receive(url, 1, 21)
			return code("a wait of 21 seconds", err, "InvalidParameterValue")
		},
	)
}

// checkConcurrent has many goroutines send, receive and delete. Nothing is lost,
// and nothing is received that was not sent.
func checkConcurrent(s *session) error {
	const senders, receivers, each = 4, 4, 50
	url, err := s.create("concurrent", map[string]string{"VisibilityTimeout": "120"})
	if err != nil {
		return err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		seen = map[string]int{}
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	for n := range senders {
		wg.Go(func() {
			for i := range each {
				note(s.send(url, fmt.Sprint(n, "/", i)))
			}
		})
	}
	for range receivers {
		wg.Go(func() {
			for {
				got, err := s.receive(url, 10, 2)
				if err != nil || len(got) == 0 {
					note(err)
					return
				}
				for _, m := range got {
					mu.Lock()
					seen[*m.Body]++
					mu.Unlock()
					note(s.delete(url, m))
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for n := range senders {
		for i := range each {
			if body := fmt.Sprint(n, "/", i); seen[body] == 0 {
				return fmt.Errorf("message %s was lost", body)
			}
		}
	}
	if len(seen) != senders*each {
		return fmt.Errorf("%d messages were received, %d sent", len(seen), senders*each)
	}
	return nil
}
