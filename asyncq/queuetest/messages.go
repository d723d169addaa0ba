package queuetest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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
