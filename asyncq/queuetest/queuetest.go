package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// Options are the options of [Run].
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
	// The codes of the older protocol are those that the SDK still uses.
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
