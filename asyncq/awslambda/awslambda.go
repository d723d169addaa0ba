// Package awslambda runs a handler of package asyncq in AWS Lambda: with the same
// statuses, leases, attempts and dead letters as a worker has.
//
//	func main() {
//		handler := awslambda.New(sqs.NewFromConfig(cfg), asyncq.Infer(chat), func(o *awslambda.Options) {
//			o.Status, o.Results = status, results
//		})
//		lambda.Start(handler)
//	}
//
// The event source mapping needs ReportBatchItemFailures, as messages succeed and
// fail one by one; without it Lambda deletes all of a batch, also what has
// failed. The queue's visibility timeout should be six times the function's
// timeout (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
//
// Of a FIFO queue the messages of one group are done one after another. After the
// first that is not done, those behind it are given back undone; other groups go
// on. When the function's time is nearly over, what has not been done is given
// back, and does not count as an attempt.
package awslambda

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Options are those of [New]. Of the worker's, those have no effect that are about
// receiving and about the end of a worker: Lambda does both. The defaults are those
// of the worker, but for Concurrency, which is 10, and MaxHold, which is 10 s.
type Options struct {
	asyncq.WorkerOptions

	// Margin is how much of the function's time is kept for storing what became
	// of the jobs: their contexts end so long before its deadline. The default is
	// 5 s, and it is at most half of the time that an event has.
	Margin time.Duration
}

// Handler handles the events of an SQS event source, for lambda.Start. It never
// returns an error: what has failed is in the response.
type Handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// New returns a handler of SQS events that does each message's job.
func New[T any](api asyncq.QueueAPI, handler asyncq.Handler[T], optFns ...func(*Options)) Handler {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 10
	}
	if o.MaxHold == 0 {
		o.MaxHold = 10 * time.Second
	}
	if o.Margin <= 0 {
		o.Margin = 5 * time.Second
	}
	worker := asyncq.NewWorker(api, handler, func(w *asyncq.WorkerOptions) { *w = o.WorkerOptions })
	f := &function{api: api, process: worker.Process, o: o}
	return f.handle
}

// A function is what stays from one event to the next: nothing of an event.
type function struct {
	api     asyncq.QueueAPI
	process func(context.Context, string, types.Message) (bool, time.Duration)
	o       Options
}

func (f *function) handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	work := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		margin := min(f.o.Margin, time.Until(deadline)/2) // Lambda's default is 3 s in all
		work, cancel = context.WithDeadlineCause(ctx, deadline.Add(-margin), asyncq.ErrDraining)
		defer cancel()
	}
	// Until it is done, a message has failed: also where a handler ends its
	// goroutine, as Lambda would delete it.
	failed := slices.Repeat([]bool{true}, len(event.Records))
	after := make([]time.Duration, len(event.Records))
	var running sync.WaitGroup
	slots := make(chan struct{}, f.o.Concurrency)
	for _, sequence := range sequences(event.Records) {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			for _, i := range sequence {
				if work.Err() != nil {
					return // what is left is at once visible again
				}
				done, wait := f.process(work, queueName(event.Records[i].EventSourceARN), message(event.Records[i]))
				failed[i], after[i] = !done, wait
				if !done {
					return
				}
			}
		})
	}
	running.Wait()
	var response events.SQSEventResponse
	for i, record := range event.Records {
		if failed[i] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	f.release(ctx, event.Records, failed, after)
	return response, nil
}

// sequences are the records, by their index, that are done one after another: in a
// FIFO queue those of a group, otherwise each by itself.
func sequences(records []events.SQSMessage) [][]int {
	var all [][]int
	groups := map[string]int{}
	for i, r := range records {
		group := r.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
		if !strings.HasSuffix(r.EventSourceARN, ".fifo") || group == "" {
			all = append(all, []int{i})
			continue
		}
		key := r.EventSourceARN + "\x00" + group
		n, known := groups[key]
		if !known {
			n = len(all)
			groups[key] = n
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// message is a record as the SDK has it.
func message(r events.SQSMessage) types.Message {
	m := types.Message{MessageId: &r.MessageId, ReceiptHandle: &r.ReceiptHandle, Body: &r.Body, Attributes: r.Attributes,
		MessageAttributes: make(map[string]types.MessageAttributeValue, len(r.MessageAttributes))}
	for name, a := range r.MessageAttributes {
		m.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: a.StringValue, BinaryValue: a.BinaryValue}
	}
	return m
}

// release says when the messages that failed are to be visible again. Where that
// fails they are after the queue's visibility timeout.
func (f *function) release(ctx context.Context, records []events.SQSMessage, failed []bool, after []time.Duration) {
	byQueue := map[string][]types.ChangeMessageVisibilityBatchRequestEntry{}
	for i, r := range records {
		if failed[i] {
			seconds := int32((min(max(after[i], 0), 11*time.Hour) + time.Second - 1) / time.Second)
			byQueue[r.EventSourceARN] = append(byQueue[r.EventSourceARN], types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(r.ReceiptHandle), VisibilityTimeout: seconds})
		}
	}
	for arn, entries := range byQueue {
		found, err := f.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(queueName(arn)), QueueOwnerAWSAccountId: account(arn)})
		for err == nil && len(entries) > 0 {
			n := min(len(entries), 10) // of SQS
			_, err = f.api.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: found.QueueUrl, Entries: entries[:n]})
			entries = entries[n:]
		}
		if err != nil && f.o.Logger != nil {
			f.o.Logger.Warn("asyncq: changing the visibility of messages", "queue", queueName(arn), "error", err)
		}
	}
}

// queueName and account are parts of arn:aws:sqs:region:account:name.
func queueName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func account(arn string) *string {
	if parts := strings.Split(arn, ":"); len(parts) == 6 && parts[4] != "" {
		return &parts[4]
	}
	return nil
}
