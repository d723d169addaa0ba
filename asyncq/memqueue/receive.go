package memqueue

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ReceiveMessage returns up to ten messages. It waits for the first for
// WaitTimeSeconds, or as long as the queue's attribute says where that is zero,
// and ends early with ctx: nothing is taken then.
func (s *Service) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if in == nil {
		in = &sqs.ReceiveMessageInput{}
	}
	out, err := s.receive(ctx, in)
	if err != nil {
		return nil, failed("ReceiveMessage", err)
	}
	return out, nil
}

func (s *Service) receive(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	if err := s.begin(ctx, "ReceiveMessage", in); err != nil {
		return nil, err
	}
	n := int(in.MaxNumberOfMessages)
	switch {
	case n < 0 || n > maxEntries:
		return nil, invalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", n)
	case in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > maxWait:
		return nil, invalid("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", in.WaitTimeSeconds)
	case in.VisibilityTimeout < 0 || in.VisibilityTimeout > maxVisibility:
		return nil, invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.", in.VisibilityTimeout)
	}
	began := time.Now()
	for {
		s.mu.Lock()
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		wait := time.Duration(in.WaitTimeSeconds) * time.Second
		if wait == 0 {
			wait = q.seconds(types.QueueAttributeNameReceiveMessageWaitTimeSeconds)
		}
		received, full := s.pop(q, max(n, 1), in, time.Now())
		changed, due := q.changed, wait-time.Since(began)
		if len(q.timeline) > 0 {
			due = min(due, time.Until(q.timeline[0].next()))
		}
		s.mu.Unlock()

		switch {
		case len(received) == 0 && full && wait == 0 && !q.fifo:
			return nil, &types.OverLimit{Message: aws.String(fmt.Sprintf("Too many messages are in flight: the maximum is %d.", s.o.MaxInFlight))}
		case len(received) > 0 || time.Since(began) >= wait:
			return &sqs.ReceiveMessageOutput{Messages: received}, nil
		}
		timer := time.NewTimer(due)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, &aws.RequestCanceledError{Err: ctx.Err()}
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// pop takes messages into flight. Those that have been received too often go to
// the dead-letter queue instead.
func (s *Service) pop(q *queue, n int, in *sqs.ReceiveMessageInput, now time.Time) (received []types.Message, full bool) {
	timeout := time.Duration(in.VisibilityTimeout) * time.Second
	if timeout == 0 {
		timeout = q.seconds(types.QueueAttributeNameVisibilityTimeout)
	}
	target := s.byARN(q.redrive.Target)
	for {
		room := s.o.MaxInFlight - q.states[inFlight]
		taken := q.take(min(n-len(received), room))
		if len(taken) == 0 {
			return received, room <= 0
		}
		for _, m := range taken {
			if target != nil && m.receives >= int(q.redrive.MaxReceives) {
				q.bury(m, target, now)
				continue
			}
			if m.receives == 0 {
				m.firstReceived = now
			}
			m.receives++
			m.lastReceived = now
			m.handle = base64.RawURLEncoding.EncodeToString([]byte(q.name + "\x00" + m.id + "\x00" + strconv.Itoa(m.receives)))
			q.hide(m, now.Add(timeout))
			received = append(received, m.received(in))
		}
		if len(received) == n {
			return received, false
		}
		// What was buried has made room for others. Others of a group that is
		// now held are not offered again.
	}
}

// bury moves a message to the dead-letter queue of q, with its id, its count of
// receives and, in a standard queue, the time it was sent at.
func (q *queue) bury(m *message, target *queue, now time.Time) {
	q.remove(m)
	if q.fifo {
		m.sent = now
	}
	m.source = q.arn
	m.in = nil
	target.sequence++
	m.sequence = target.sequence
	m.expires = m.sent.Add(target.seconds(types.QueueAttributeNameMessageRetentionPeriod))
	target.add(m, now, now)
}

// received is what a receive returns of a message.
func (m *message) received(in *sqs.ReceiveMessageInput) types.Message {
	out := types.Message{
		MessageId: aws.String(m.id), ReceiptHandle: aws.String(m.handle),
		Body: aws.String(m.body), MD5OfBody: aws.String(md5Hex(m.body)),
	}
	old := in.AttributeNames //lint:ignore SA1019 a client of the older form is answered too
	asked := func(name types.MessageSystemAttributeName) bool {
		return slices.Contains(in.MessageSystemAttributeNames, name) || slices.Contains(in.MessageSystemAttributeNames, types.MessageSystemAttributeNameAll) ||
			slices.Contains(old, types.QueueAttributeName(name)) || slices.Contains(old, types.QueueAttributeNameAll)
	}
	set := func(name types.MessageSystemAttributeName, value string) {
		if value == "" || !asked(name) {
			return
		}
		if out.Attributes == nil {
			out.Attributes = map[string]string{}
		}
		out.Attributes[string(name)] = value
	}
	set(types.MessageSystemAttributeNameSenderId, "AIDAMEMQUEUE")
	set(types.MessageSystemAttributeNameSentTimestamp, strconv.FormatInt(m.sent.UnixMilli(), 10))
	set(types.MessageSystemAttributeNameApproximateReceiveCount, strconv.Itoa(m.receives))
	set(types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp, strconv.FormatInt(m.firstReceived.UnixMilli(), 10))
	set(types.MessageSystemAttributeNameAWSTraceHeader, m.trace)
	set(types.MessageSystemAttributeNameDeadLetterQueueSourceArn, m.source)
	set(types.MessageSystemAttributeNameMessageGroupId, m.group)
	if m.in != nil {
		set(types.MessageSystemAttributeNameMessageDeduplicationId, m.dedup)
		set(types.MessageSystemAttributeNameSequenceNumber, sequenceNumber(m.sequence))
	}
	wanted := map[string]types.MessageAttributeValue{}
	for name, v := range m.attributes {
		for _, pattern := range in.MessageAttributeNames {
			prefix, many := strings.CutSuffix(pattern, "*")
			if pattern == "All" || name == pattern || many && strings.HasPrefix(name, strings.TrimSuffix(prefix, ".")) {
				wanted[name] = v
			}
		}
	}
	if len(wanted) > 0 {
		out.MessageAttributes = cloneAttributes(wanted)
		out.MD5OfMessageAttributes = md5Attributes(wanted)
	}
	return out
}

// find returns the message of a receipt handle. It is nil, without an error, if
// the message has gone or has been received again since.
func (q *queue) find(handle *string) (*message, error) {
	if aws.ToString(handle) == "" {
		return nil, missing("ReceiptHandle")
	}
	data, err := base64.RawURLEncoding.DecodeString(*handle)
	parts := strings.Split(string(data), "\x00")
	if err != nil || len(parts) != 3 || parts[0] != q.name {
		return nil, &types.ReceiptHandleIsInvalid{Message: aws.String("The input receipt handle is invalid.")}
	}
	m := q.messages[parts[1]]
	if m == nil || m.handle != *handle {
		return nil, nil
	}
	return m, nil
}

// DeleteMessage deletes a message by the handle of its last receive. It succeeds
// where there is nothing to delete any more. In a FIFO queue a handle ends with its
// visibility timeout.
func (s *Service) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	return call(ctx, s, "DeleteMessage", in, func(in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		return &sqs.DeleteMessageOutput{}, q.delete(in.ReceiptHandle)
	})
}

// DeleteMessageBatch deletes up to ten messages. Each of them succeeds or fails
// for itself.
func (s *Service) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return call(ctx, s, "DeleteMessageBatch", in, func(in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		if err := checkBatch(in.Entries, func(e types.DeleteMessageBatchRequestEntry) *string { return e.Id }); err != nil {
			return nil, err
		}
		out := &sqs.DeleteMessageBatchOutput{}
		for _, e := range in.Entries {
			if err := q.delete(e.ReceiptHandle); err != nil {
				out.Failed = append(out.Failed, failedEntry(e.Id, err))
				continue
			}
			out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
		}
		return out, nil
	})
}

func (q *queue) delete(handle *string) error {
	m, err := q.find(handle)
	switch {
	case err != nil || m == nil:
		return err
	case q.fifo && m.state != inFlight:
		return invalid("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", *handle)
	}
	q.remove(m)
	return nil
}

// ChangeMessageVisibility sets when a message in flight becomes visible again,
// counted from now; with zero it is visible at once. A message can be in flight for
// twelve hours after its receive, in all.
func (s *Service) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return call(ctx, s, "ChangeMessageVisibility", in, func(in *sqs.ChangeMessageVisibilityInput) (*sqs.ChangeMessageVisibilityOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		return &sqs.ChangeMessageVisibilityOutput{}, q.changeVisibility(in.ReceiptHandle, in.VisibilityTimeout, time.Now())
	})
}

// ChangeMessageVisibilityBatch changes the visibility of up to ten messages. Each
// of them succeeds or fails for itself.
func (s *Service) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return call(ctx, s, "ChangeMessageVisibilityBatch", in, func(in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		if err := checkBatch(in.Entries, func(e types.ChangeMessageVisibilityBatchRequestEntry) *string { return e.Id }); err != nil {
			return nil, err
		}
		out := &sqs.ChangeMessageVisibilityBatchOutput{}
		now := time.Now()
		for _, e := range in.Entries {
			if err := q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout, now); err != nil {
				out.Failed = append(out.Failed, failedEntry(e.Id, err))
				continue
			}
			out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
		}
		return out, nil
	})
}

func (q *queue) changeVisibility(handle *string, seconds int32, now time.Time) error {
	if seconds < 0 || seconds > maxVisibility {
		return invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and %d.", seconds, maxVisibility)
	}
	m, err := q.find(handle)
	switch {
	case err != nil:
		return err
	case m == nil:
		return invalid("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", *handle)
	case m.state != inFlight:
		return &types.MessageNotInflight{Message: aws.String("The message is not in flight.")}
	}
	until := now.Add(time.Duration(seconds) * time.Second)
	if until.After(m.lastReceived.Add(maxVisibility * time.Second)) {
		return invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [%d seconds].", seconds, maxVisibility)
	}
	sooner := until.Before(m.until)
	m.until = until
	if seconds == 0 {
		q.show(m)
		return nil
	}
	q.become(m, inFlight)
	if sooner {
		q.wake() // receives that wait are to look at another time
	}
	return nil
}
