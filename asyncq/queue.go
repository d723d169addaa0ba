package asyncq

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// QueueAPI is what a [Producer] and a [Worker] call of Amazon SQS. [*sqs.Client]
// implements it, and memqueue.Service within the process.
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

// DefaultQueues are used where a [Producer] or a [Worker] is given none.
var DefaultQueues = Queues{
	High:       "manga-fm-high-priority",
	Normal:     "manga-fm-normal",
	Low:        "manga-fm-low-priority",
	Ordered:    "manga-fm-ordered.fifo",
	DeadLetter: "manga-fm-dlq",
}
