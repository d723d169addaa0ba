package asyncq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// AdminAPI has the operations of Amazon SQS that [DeadLetters] calls. [*sqs.Client]
// and memqueue.Service implement it.
type AdminAPI interface {
	QueueAPI
	PurgeQueue(context.Context, *sqs.PurgeQueueInput, ...func(*sqs.Options)) (*sqs.PurgeQueueOutput, error)
}

// A DeadLetter is a message in the dead-letter queue.
type DeadLetter struct {
	ID        string    `json:"request_id,omitempty"` // empty if the message is not a job
	Reason    string    `json:"reason,omitempty"`     // empty if a redrive policy of SQS moved it
	Queue     string    `json:"queue,omitempty"`      // the queue that it came from
	Group     string    `json:"group,omitempty"`
	SentAt    time.Time `json:"sent_at"`
	MessageID string    `json:"message_id"`
	Body      string    `json:"-"` // may hold a prompt

	receipt    string
	attributes map[string]types.MessageAttributeValue
}

// DeadLetters lists, redrives and purges a dead-letter queue.
type DeadLetters struct {
	api    AdminAPI
	queues Queues
	status StatusStore
}

// NewDeadLetters returns the dead letters of queues.DeadLetter. status may be nil; if
// it is set, a job that is redriven gets the status queued again.
func NewDeadLetters(api AdminAPI, queues Queues, status StatusStore) *DeadLetters {
	return &DeadLetters{api: api, queues: queues, status: status}
}

// List yields the dead letters that are visible now, each once. They stay in the
// queue. During a listing, for 30 s, they are invisible to other readers.
func (l *DeadLetters) List(ctx context.Context) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		url, err := queueURL(ctx, l.api, l.queues.DeadLetter)
		if err != nil {
			yield(DeadLetter{}, err)
			return
		}
		var seen []DeadLetter
		defer func() { l.show(ctx, url, seen) }() // also when the loop is left
		ids := map[string]bool{}
		for over := (end{}); !over.reached(len(ids)); {
			batch, err := l.receive(ctx, url)
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			fresh := false
			for _, d := range batch {
				seen = append(seen, d)
				if ids[d.MessageID] {
					continue
				}
				ids[d.MessageID], fresh = true, true
				if !yield(d, nil) {
					return
				}
			}
			over.after(len(batch), fresh)
		}
	}
}

// An end finds out when all messages of a queue have been seen. SQS may answer with
// nothing though there is something; and after half a minute it gives out again what
// was seen, all of which may come before what was not.
type end struct{ empty, stale int } // answers in a row

func (e *end) after(received int, fresh bool) {
	switch {
	case fresh:
		*e = end{}
	case received == 0:
		e.empty++
	default:
		e.stale++
	}
}

// reached reports whether two answers in a row had nothing, or whether all that was
// seen has come again.
func (e *end) reached(seen int) bool { return e.empty >= 2 || e.stale > seen+2 }

// receive takes up to ten messages for half a minute.
func (l *DeadLetters) receive(ctx context.Context, url string) ([]DeadLetter, error) {
	out, err := l.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(url), MaxNumberOfMessages: maxBatch, VisibilityTimeout: 30, WaitTimeSeconds: 1,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("asyncq: receiving dead letters: %w", err)
	}
	var letters []DeadLetter
	for _, m := range out.Messages {
		d := DeadLetter{MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), receipt: aws.ToString(m.ReceiptHandle), attributes: m.MessageAttributes}
		text := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
		d.Reason, d.Queue, d.Group = text(reasonAttribute), text(originAttribute), text(groupAttribute)
		if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
			d.SentAt = time.UnixMilli(ms).UTC()
		}
		var e envelope
		if json.Unmarshal([]byte(d.Body), &e) == nil && validID(e.ID) {
			d.ID = e.ID
			if d.Group == "" {
				d.Group = e.Group
			}
			if d.Queue == "" {
				name, _ := l.queues.of(&e)
				d.Queue = queueName(name)
			}
		}
		if arn := m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)]; arn != "" {
			d.Queue = arn[strings.LastIndexByte(arn, ':')+1:] // SQS moved it
		}
		letters = append(letters, d)
	}
	return letters, nil
}

// show makes messages visible again, also when ctx has ended.
func (l *DeadLetters) show(ctx context.Context, url string, letters []DeadLetter) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for len(letters) > 0 {
		n := min(len(letters), maxBatch)
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, d := range letters[:n] {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(d.receipt)})
		}
		// What fails becomes visible by itself.
		_, _ = l.api.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(url), Entries: entries})
		letters = letters[n:]
	}
}

// Redrive sends dead letters back to the queues that they came from, with new
// attempts, and returns how many it has sent. With ids, it sends only the dead letters
// of these jobs. Each is sent before it is deleted, so a dead letter may be sent twice
// but is never lost. A dead letter that did not come from one of the queues stays;
// Redrive returns an error for it after it has sent the others.
func (l *DeadLetters) Redrive(ctx context.Context, ids ...string) (int, error) {
	url, err := queueURL(ctx, l.api, l.queues.DeadLetter)
	if err != nil {
		return 0, err
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	strays, example := 0, ""
	take := func(d DeadLetter) bool { return (len(ids) == 0 || wanted[d.ID]) && l.origin(d) != "" }
	left := 0
	for d, err := range l.List(ctx) {
		switch {
		case err != nil:
			return 0, err
		case take(d):
			left++
		case len(ids) == 0 || wanted[d.ID]:
			strays, example = strays+1, d.Queue
		}
	}
	moved := 0
	var others []DeadLetter
	defer func() { l.show(ctx, url, others) }()
	passed := map[string]bool{}
	for over := (end{}); moved < left && !over.reached(len(passed)); {
		// The listing has made them visible again, so they are taken anew.
		batch, err := l.receive(ctx, url)
		if err != nil {
			return moved, err
		}
		progress := false
		for i, d := range batch {
			if !take(d) {
				progress = progress || !passed[d.MessageID]
				passed[d.MessageID] = true
				others = append(others, d)
				continue
			}
			if err := l.moveBack(ctx, url, d); err != nil {
				others = append(others, batch[i:]...)
				return moved, err
			}
			moved++
			progress = true
		}
		over.after(len(batch), progress)
	}
	if strays > 0 {
		return moved, fmt.Errorf("asyncq: %d dead letters stay, as they came from a queue that is not among those given, such as %q", strays, example)
	}
	return moved, nil
}

// origin is the queue that a letter came from, as the name or the URL that was
// given for it; empty where none was.
func (l *DeadLetters) origin(d DeadLetter) string {
	for _, name := range []string{l.queues.High, l.queues.Normal, l.queues.Low, l.queues.Ordered} {
		if name != "" && queueName(name) == d.Queue {
			return name
		}
	}
	return ""
}

// moveBack sends one letter to its queue and deletes it.
func (l *DeadLetters) moveBack(ctx context.Context, url string, d DeadLetter) error {
	to, err := queueURL(ctx, l.api, l.origin(d))
	if err != nil {
		return err
	}
	if l.status != nil && d.ID != "" {
		if err := l.requeue(ctx, d.ID); err != nil {
			return err
		}
	}
	entry := types.SendMessageBatchRequestEntry{Id: aws.String("0"), MessageBody: aws.String(d.Body), MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, a := range d.attributes {
		if name != reasonAttribute && name != originAttribute && name != groupAttribute {
			entry.MessageAttributes[name] = a
		}
	}
	if d.Group != "" {
		entry.MessageGroupId, entry.MessageDeduplicationId = aws.String(d.Group), aws.String(newID())
	}
	out, err := l.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(to), Entries: []types.SendMessageBatchRequestEntry{entry}})
	if err == nil && len(out.Failed) > 0 {
		err = errors.New(aws.ToString(out.Failed[0].Code))
	}
	if err != nil {
		return fmt.Errorf("asyncq: sending the dead letter %s to %s: %w", d.MessageID, d.Queue, err)
	}
	deleted, err := l.api.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(url),
		Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: aws.String(d.receipt)}}})
	if err == nil && len(deleted.Failed) > 0 {
		err = errors.New(aws.ToString(deleted.Failed[0].Code))
	}
	if err != nil {
		return fmt.Errorf("asyncq: deleting the dead letter %s, which was sent to %s: %w", d.MessageID, d.Queue, err)
	}
	return nil
}

// requeue has the status say that the job waits again, with new attempts.
func (l *DeadLetters) requeue(ctx context.Context, id string) error {
	for range 10 {
		s, err := l.status.Get(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil // the worker makes a new one
		}
		if err != nil {
			return fmt.Errorf("asyncq: reading the status of job %s: %w", id, err)
		}
		// One that SQS has moved by itself is not known to have failed.
		if s.State == Completed || s.State == Canceled || s.State == Processing && time.Now().Before(s.LeaseUntil) {
			return nil
		}
		s.State, s.Attempt, s.Notified, s.DeadLettered = Queued, 0, false, false
		s.Lease, s.LeaseUntil, s.RetryAt, s.Message = "", time.Time{}, time.Time{}, ""
		s.FinishedAt, s.UpdatedAt = time.Time{}, time.Now().UTC()
		if err = l.status.Update(ctx, s); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("asyncq: the status of job %s: %w", id, ErrConflict)
}

// Purge deletes all dead letters. SQS takes up to a minute to do it.
func (l *DeadLetters) Purge(ctx context.Context) error {
	url, err := queueURL(ctx, l.api, l.queues.DeadLetter)
	if err != nil {
		return err
	}
	if _, err := l.api.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: aws.String(url)}); err != nil {
		return fmt.Errorf("asyncq: purging the dead letters: %w", err)
	}
	return nil
}
