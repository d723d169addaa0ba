package asyncq

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// QueueAPI has the operations of Amazon SQS that a [Producer] and a [Worker] call.
// [*sqs.Client] implements it, and so does memqueue.Service, in memory.
type QueueAPI interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// Priority says which queue a job goes to.
type Priority string

// The priorities. The default is Normal.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

// Queues are the queues of a service, each by its name or its URL.
type Queues struct {
	High, Normal, Low string // standard queues, by priority
	Ordered           string // a FIFO queue, for jobs with a group
	DeadLetter        string // a standard queue, for jobs that cannot be done
}

// of is the queue that a job goes to, and the field that names it.
func (q Queues) of(e *envelope) (name, field string) {
	switch {
	case e.Group != "":
		return q.Ordered, "Ordered"
	case e.Priority == High:
		return q.High, "High"
	case e.Priority == Low:
		return q.Low, "Low"
	}
	return q.Normal, "Normal"
}

func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }

// queueURL is the URL of a queue that is given by its name or its URL.
func queueURL(ctx context.Context, api interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	out, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	if err != nil {
		return "", fmt.Errorf("asyncq: finding the queue %q: %w", name, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// asked makes a request to SQS. A panic of the client, or of a middleware in it, is an
// error.
func asked[In, Out any](ctx context.Context, request func(context.Context, *In, ...func(*sqs.Options)) (*Out, error), in *In) (out *Out, err error) {
	err = guarded("the client of SQS", func() (err error) {
		out, err = request(ctx, in)
		return err
	})
	return out, err
}

// queueName is the last part of a queue's URL.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
