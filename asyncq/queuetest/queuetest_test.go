package queuetest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

var _ Queue = (*sqs.Client)(nil)

// The suite holds for a server that nobody here wrote, with the SDK's client.
func TestFauxqs(t *testing.T) {
	cfg, ok := servertest.SQS(t)
	if !ok {
		return
	}
	Run(t, func(*testing.T) Queue { return sqs.NewFromConfig(cfg) }, func(o *Options) {
		o.Except = map[string]string{
			"long poll cancelled":     "fauxqs gives the next message to a receive that was cancelled",
			"FIFO batches of a group": "fauxqs returns one message of a group at a time",
		}
	})
}

// A wrong queue is one with a fault that is easily made.
type wrong struct {
	*memqueue.Service
	send    func(*sqs.SendMessageInput)
	receive func(*sqs.ReceiveMessageInput)
	change  func(*sqs.ChangeMessageVisibilityInput)
	result  func(*sqs.ReceiveMessageOutput)
	create  func(*sqs.CreateQueueInput)
	noop    string // an operation that does nothing
	deaf    bool   // receives do not heed their context
}

func (w wrong) CreateQueue(ctx context.Context, in *sqs.CreateQueueInput, _ ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	if w.create != nil {
		w.create(in)
	}
	return w.Service.CreateQueue(ctx, in)
}

func (w wrong) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	c := *in
	if w.send != nil {
		w.send(&c)
	}
	return w.Service.SendMessage(ctx, &c)
}

func (w wrong) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	c := *in
	if w.receive != nil {
		w.receive(&c)
	}
	if w.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	out, err := w.Service.ReceiveMessage(ctx, &c)
	if err == nil && w.result != nil {
		w.result(out)
	}
	return out, err
}

func (w wrong) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	if w.noop == "DeleteMessage" {
		return &sqs.DeleteMessageOutput{}, nil
	}
	return w.Service.DeleteMessage(ctx, in)
}

func (w wrong) PurgeQueue(ctx context.Context, in *sqs.PurgeQueueInput, _ ...func(*sqs.Options)) (*sqs.PurgeQueueOutput, error) {
	if w.noop == "PurgeQueue" {
		return &sqs.PurgeQueueOutput{}, nil
	}
	return w.Service.PurgeQueue(ctx, in)
}

func (w wrong) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	c := *in
	if w.change != nil {
		w.change(&c)
	}
	return w.Service.ChangeMessageVisibility(ctx, &c)
}

// Each fault fails the check that is there for it.
func TestWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		queue wrong
		check func(*session) error
	}{
		"attributes of a queue are lost": {wrong{create: func(in *sqs.CreateQueueInput) { in.Attributes = nil }}, checkQueues},
		"attributes are lost":            {wrong{send: func(in *sqs.SendMessageInput) { in.MessageAttributes = nil }}, checkMessage},
		"the count is lost":              {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.MessageSystemAttributeNames = nil }}, checkMessage},
		"messages come back early":       {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.VisibilityTimeout = 0 }, create: func(in *sqs.CreateQueueInput) { in.Attributes["VisibilityTimeout"] = "0" }}, checkVisibility},
		"messages come back late":        {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.VisibilityTimeout = 9 }}, checkVisibility},
		"a timeout is not extended":      {wrong{change: func(in *sqs.ChangeMessageVisibilityInput) { in.VisibilityTimeout = min(in.VisibilityTimeout, 1) }}, checkChange},
		"a timeout is not ended":         {wrong{change: func(in *sqs.ChangeMessageVisibilityInput) { in.VisibilityTimeout = max(in.VisibilityTimeout, 1) }}, checkChange},
		"nothing is deleted":             {wrong{noop: "DeleteMessage", create: func(in *sqs.CreateQueueInput) { in.Attributes = map[string]string{"VisibilityTimeout": "0"} }}, checkDelete},
		"no delay":                       {wrong{send: func(in *sqs.SendMessageInput) { in.DelaySeconds = 0 }}, checkDelay},
		"no wait":                        {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.WaitTimeSeconds = 0 }}, checkLongPoll},
		"a poll cannot be cancelled":     {wrong{deaf: true}, checkCancel},
		"no dead letters": {wrong{create: func(in *sqs.CreateQueueInput) {
			if in.Attributes != nil {
				in.Attributes = nil
			}
		}}, checkDeadLetters},
		"a group's order is lost":  {wrong{send: func(in *sqs.SendMessageInput) { in.MessageGroupId = in.MessageBody }}, checkOrder},
		"a group is not held":      {wrong{send: func(in *sqs.SendMessageInput) { in.MessageGroupId = in.MessageBody }}, checkGroups},
		"one of a group at a time": {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages = 1 }}, checkGroupBatch},
		"duplicates":               {wrong{send: func(in *sqs.SendMessageInput) { in.MessageDeduplicationId = in.MessageBody }}, checkDeduplication},
		"no purge":                 {wrong{noop: "PurgeQueue"}, checkCounts},
		"limits are cut":           {wrong{receive: func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages = min(in.MaxNumberOfMessages, 10) }}, checkLimits},
		"a message is lost": {wrong{send: func(in *sqs.SendMessageInput) {
			if *in.MessageBody == "2/7" {
				in.MessageBody = aws.String("2/8")
			}
		}}, checkConcurrent},
		"rubbish is received": {wrong{result: func(out *sqs.ReceiveMessageOutput) {
			for i := range out.Messages {
				if *out.Messages[i].Body == "1/1" {
					out.Messages = append(out.Messages, types.Message{Body: aws.String("rubbish"), ReceiptHandle: out.Messages[i].ReceiptHandle})
				}
			}
		}}, checkConcurrent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := tt.queue
				q.Service = memqueue.New()
				err := tt.check(&session{Queue: q, ctx: t.Context()})
				assert.Error(t, err)
				t.Log(err)
			})
		})
	}
}
