// Package awslambda runs a handler of package asyncq in AWS Lambda: with the same
// statuses, leases, attempts and dead letters as a worker has.
//
//	func main() {
//		handler := awslambda.New(sqs.NewFromConfig(cfg), asyncq.Infer(chat), func(o *awslambda.Options) {
//			o.DeadLetter, o.Status, o.Results = "analyses-dead", status, results
//		})
//		lambda.Start(handler)
//	}
//
// The event source mapping needs ReportBatchItemFailures, because messages succeed and
// fail one by one. Without it, Lambda deletes the whole batch, including failed
// messages. The queue's visibility timeout should be six times the function's timeout
// (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
//
// In a FIFO queue, the messages of one group run one after another. If one is not
// done, the messages after it in the group are given back without an attempt; other
// groups go on. A function cannot hold a message, as a worker does, so this counts as
// a receive for each of them: with a batch size of 10 and 3 attempts, a message may be
// received up to 18 times before it is started. A redrive policy of such a queue needs
// a maxReceiveCount of at least the batch size × MaxAttempts, better 100. Or use a
// batch size of 1.
//
// When the function's time is nearly over, jobs that are not done are given back. This
// does not count as an attempt.
package awslambda

import (
	"context"
	"errors"
	"log/slog"
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

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// JobOptions are the same as for a worker. MaxHold is 10 s by default, because a
	// function is billed while it waits.
	asyncq.JobOptions

	// DeadLetter is the queue of jobs that cannot be done, by its name or its URL.
	// Without one they are left to the redrive policy of their own queue.
	DeadLetter string

	// Concurrency is how many jobs of an event run at the same time. The default is
	// 10.
	Concurrency int

	// Margin is how much of the function's time is reserved to store the results of
	// the jobs: their contexts end this long before the function's deadline. The
	// default is 5 s. It is at most half of the time that an event has.
	Margin time.Duration
}

// Handler handles the events of an SQS event source, for lambda.Start. It returns an
// error if the options are wrong; Lambda then gives back the whole event. Other
// failures are in the response.
type Handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// New returns a handler of SQS events that runs the job of each message.
func New[T any](api asyncq.QueueAPI, handler asyncq.Handler[T], optFns ...func(*Options)) Handler {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 10
	}
	if o.Margin <= 0 {
		o.Margin = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	executor := asyncq.NewExecutor(api, handler, func(x *asyncq.ExecutorOptions) {
		x.JobOptions, x.DeadLetter, x.Grace = o.JobOptions, o.DeadLetter, o.Margin*4/5
	})
	f := &function{api: api, process: executor.Process, o: o}
	return f.handle
}

// A function is what stays from one event to the next: nothing of an event.
type function struct {
	api     asyncq.QueueAPI
	process func(context.Context, string, types.Message) (bool, time.Duration, error)
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
	errs := make([]error, len(event.Records))
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
				done, wait, err := f.process(work, queueName(event.Records[i].EventSourceARN), message(event.Records[i]))
				failed[i], after[i], errs[i] = !done, wait, err
				if !done {
					return
				}
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		if !slices.Contains(failed, false) {
			return events.SQSEventResponse{}, err
		}
		f.o.Logger.ErrorContext(ctx, "asyncq: some messages of an event were not begun", "error", err)
	}
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
			// SQS counts twelve hours from the receive, a while ago.
			seconds := int32(min(max(after[i], 0), 11*time.Hour+45*time.Minute).Seconds() + 0.999)
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
		if err != nil {
			f.failed(ctx, &asyncq.OpError{Op: "change visibility", Key: queueName(arn), Err: err})
		}
	}
}

// failed reports a request that failed.
func (f *function) failed(ctx context.Context, err *asyncq.OpError) {
	f.o.Logger.WarnContext(ctx, "asyncq: a request failed", "op", err.Op, "key", err.Key, "error", err.Err)
	if f.o.OnError != nil {
		defer func() { _ = recover() }() // it must not hide what was done
		f.o.OnError(ctx, err)
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
