package memqueue

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// The service's limits; times are in seconds.
const (
	maxMessageBytes = 1 << 20 // of a message, and of a batch of them
	maxEntries      = 10
	maxAttributes   = 10
	maxDelay        = 900
	maxVisibility   = 43_200
	maxWait         = 20
	dedupWindow     = 5 * time.Minute
)

// SendMessage puts a message into a queue.
func (s *Service) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return call(ctx, s, "SendMessage", in, func(in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		sent, err := q.send(&types.SendMessageBatchRequestEntry{
			MessageBody: in.MessageBody, DelaySeconds: in.DelaySeconds,
			MessageAttributes: in.MessageAttributes, MessageSystemAttributes: in.MessageSystemAttributes,
			MessageDeduplicationId: in.MessageDeduplicationId, MessageGroupId: in.MessageGroupId,
		}, time.Now())
		if err != nil {
			return nil, err
		}
		return &sqs.SendMessageOutput{
			MessageId: sent.MessageId, SequenceNumber: sent.SequenceNumber, MD5OfMessageBody: sent.MD5OfMessageBody,
			MD5OfMessageAttributes: sent.MD5OfMessageAttributes, MD5OfMessageSystemAttributes: sent.MD5OfMessageSystemAttributes,
		}, nil
	})
}

// SendMessageBatch puts up to ten messages into a queue. Each of them succeeds
// or fails for itself.
func (s *Service) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return call(ctx, s, "SendMessageBatch", in, func(in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		if err := checkBatch(in.Entries, func(e types.SendMessageBatchRequestEntry) *string { return e.Id }); err != nil {
			return nil, err
		}
		size := 0
		for _, e := range in.Entries {
			size += messageSize(&e)
		}
		if size > maxMessageBytes {
			return nil, &types.BatchRequestTooLong{Message: aws.String(fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessageBytes, size))}
		}
		out := &sqs.SendMessageBatchOutput{}
		now := time.Now()
		for _, e := range in.Entries {
			sent, err := q.send(&e, now)
			if err != nil {
				out.Failed = append(out.Failed, failedEntry(e.Id, err))
				continue
			}
			sent.Id = e.Id
			out.Successful = append(out.Successful, *sent)
		}
		return out, nil
	})
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch refuses a batch as a whole.
func checkBatch[E any](entries []E, id func(E) *string) error {
	switch {
	case len(entries) == 0:
		return &types.EmptyBatchRequest{Message: aws.String("The batch request doesn't contain any entries.")}
	case len(entries) > maxEntries:
		return &types.TooManyEntriesInBatchRequest{Message: aws.String(fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxEntries, len(entries)))}
	}
	seen := map[string]bool{}
	for _, e := range entries {
		v := aws.ToString(id(e))
		switch {
		case !entryID.MatchString(v):
			return &types.InvalidBatchEntryId{Message: aws.String("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")}
		case seen[v]:
			return &types.BatchEntryIdsNotDistinct{Message: aws.String("Id " + v + " repeated.")}
		}
		seen[v] = true
	}
	return nil
}

func failedEntry(id *string, err error) types.BatchResultErrorEntry {
	e := types.BatchResultErrorEntry{Id: id, Code: aws.String("InternalError"), Message: aws.String(err.Error())}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message, e.SenderFault = aws.String(api.ErrorCode()), aws.String(api.ErrorMessage()), api.ErrorFault() == smithy.FaultClient
	}
	return e
}

// send checks a message and adds it.
func (q *queue) send(in *types.SendMessageBatchRequestEntry, now time.Time) (*types.SendMessageBatchResultEntry, error) {
	if err := q.check(in); err != nil {
		return nil, err
	}
	m := &message{
		id: uuid(), body: *in.MessageBody, attributes: cloneAttributes(in.MessageAttributes),
		group: aws.ToString(in.MessageGroupId), dedup: aws.ToString(in.MessageDeduplicationId),
		sent: now, expires: now.Add(q.seconds(types.QueueAttributeNameMessageRetentionPeriod)),
	}
	out := &types.SendMessageBatchResultEntry{MD5OfMessageBody: aws.String(md5Hex(m.body)), MD5OfMessageAttributes: md5Attributes(m.attributes)}
	if trace, ok := in.MessageSystemAttributes[string(types.MessageSystemAttributeNameForSendsAWSTraceHeader)]; ok {
		m.trace = aws.ToString(trace.StringValue)
		out.MD5OfMessageSystemAttributes = md5Attributes(map[string]types.MessageAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: trace.StringValue},
		})
	}
	q.sequence++
	m.sequence = q.sequence
	if q.fifo {
		if m.dedup == "" {
			m.dedup = fmt.Sprintf("%x", sha256.Sum256([]byte(m.body)))
		}
		key := m.dedup
		if q.attributes[types.QueueAttributeNameDeduplicationScope] == "messageGroup" {
			key = m.group + "\x00" + m.dedup
		}
		d, duplicate := q.sent[key]
		if !duplicate {
			d = dedup{at: now, id: m.id, sequence: m.sequence}
			q.sent[key] = d
			q.sentAge = append(q.sentAge, key)
		}
		out.MessageId, out.SequenceNumber = aws.String(d.id), aws.String(sequenceNumber(d.sequence))
		if duplicate {
			return out, nil
		}
	}
	out.MessageId = aws.String(m.id)
	delay := time.Duration(in.DelaySeconds) * time.Second
	if delay == 0 { // the SDK does not send a zero, so it means the queue's
		delay = q.seconds(types.QueueAttributeNameDelaySeconds)
	}
	q.add(m, now, now.Add(delay))
	return out, nil
}

// sequenceNumber has twenty digits, like the service's.
func sequenceNumber(n uint64) string { return fmt.Sprintf("%020d", n) }

var attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// check refuses what the service refuses.
func (q *queue) check(in *types.SendMessageBatchRequestEntry) error {
	body := aws.ToString(in.MessageBody)
	limit := q.number(types.QueueAttributeNameMaximumMessageSize)
	switch {
	case body == "":
		return missing("MessageBody")
	case !validText(body):
		return &types.InvalidMessageContents{Message: aws.String("Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")}
	case messageSize(in) > limit:
		return invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	case in.DelaySeconds < 0 || in.DelaySeconds > maxDelay:
		return invalid("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", in.DelaySeconds, maxDelay)
	case len(in.MessageAttributes) > maxAttributes:
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(in.MessageAttributes), maxAttributes)
	}
	for name, v := range in.MessageAttributes {
		lower := strings.ToLower(name)
		if !attributeName.MatchString(name) || len(name) > 256 || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
			return invalid("Message (user) attribute name '%s' is invalid.", name)
		}
		kind, _, _ := strings.Cut(aws.ToString(v.DataType), ".")
		switch {
		case kind != "String" && kind != "Number" && kind != "Binary" || len(*v.DataType) > 256:
			return invalid("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		case kind == "Binary" && len(v.BinaryValue) == 0, kind != "Binary" && aws.ToString(v.StringValue) == "":
			return invalid("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
		case kind != "Binary" && !validText(*v.StringValue):
			return invalid("Message (user) attribute '%s' has invalid characters.", name)
		}
	}
	for name := range in.MessageSystemAttributes {
		if name != string(types.MessageSystemAttributeNameForSendsAWSTraceHeader) {
			return invalid("Message system attribute name '%s' is invalid.", name)
		}
	}
	for _, id := range []struct {
		name  string
		value *string
	}{{"MessageGroupId", in.MessageGroupId}, {"MessageDeduplicationId", in.MessageDeduplicationId}} {
		if id.value == nil {
			continue
		}
		bad := func(r rune) bool { return r < '!' || r > '~' }
		if *id.value == "" || len(*id.value) > 128 || strings.ContainsFunc(*id.value, bad) {
			return invalid("Value for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation characters. 1 to 128 in length.", id.name, id.name)
		}
	}
	if !q.fifo {
		// A group id is allowed: the service then shares a queue fairly.
		if in.MessageDeduplicationId != nil {
			return invalid("The request includes a parameter that is not valid for this queue type: MessageDeduplicationId")
		}
		return nil
	}
	switch {
	case in.MessageGroupId == nil:
		return missing("MessageGroupId")
	case in.DelaySeconds != 0:
		return invalid("Value %d for parameter DelaySeconds is invalid. Reason: The request includes a parameter that is not valid for this queue type.", in.DelaySeconds)
	case in.MessageDeduplicationId == nil && q.attributes[types.QueueAttributeNameContentBasedDeduplication] != "true":
		return invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

// validText reports whether XML could hold a text, which the service asks for.
func validText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// messageSize is what the service counts: the body, and names, types and values
// of the attributes.
func messageSize(in *types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(in.MessageBody))
	for name, v := range in.MessageAttributes {
		n += len(name) + len(aws.ToString(v.DataType)) + len(aws.ToString(v.StringValue)) + len(v.BinaryValue)
	}
	return n
}

func cloneAttributes(in map[string]types.MessageAttributeValue) map[string]types.MessageAttributeValue {
	out := make(map[string]types.MessageAttributeValue, len(in))
	for name, v := range in {
		c := types.MessageAttributeValue{DataType: aws.String(*v.DataType)}
		if strings.HasPrefix(*v.DataType, "Binary") {
			c.BinaryValue = slices.Clone(v.BinaryValue)
		} else {
			c.StringValue = aws.String(*v.StringValue)
		}
		out[name] = c
	}
	return out
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// md5Attributes is the sum that the developer guide describes under "Calculating
// the MD5 message digest for message attributes"; nil without attributes.
func md5Attributes(attributes map[string]types.MessageAttributeValue) *string {
	if len(attributes) == 0 {
		return nil
	}
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		v := attributes[name]
		writeSized(h, []byte(name))
		writeSized(h, []byte(*v.DataType))
		if strings.HasPrefix(*v.DataType, "Binary") {
			h.Write([]byte{2})
			writeSized(h, v.BinaryValue)
		} else {
			h.Write([]byte{1})
			writeSized(h, []byte(*v.StringValue))
		}
	}
	return aws.String(hex.EncodeToString(h.Sum(nil)))
}

func writeSized(h hash.Hash, data []byte) {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(data)))
	h.Write(size[:])
	h.Write(data)
}
