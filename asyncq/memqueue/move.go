package memqueue

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A moveTask is one that is done.
type moveTask struct {
	source, destination string
	rate                *int32
	started             time.Time
	moved               int64
}

// StartMessageMoveTask moves the messages of a dead-letter queue that are not in
// flight, to the queues they came from or to another one. They get new ids, as new
// messages do. It is done when it returns.
func (s *Service) StartMessageMoveTask(ctx context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	return call(ctx, s, "StartMessageMoveTask", in, func(in *sqs.StartMessageMoveTaskInput) (*sqs.StartMessageMoveTaskOutput, error) {
		if aws.ToString(in.SourceArn) == "" {
			return nil, missing("SourceArn")
		}
		if rate := in.MaxNumberOfMessagesPerSecond; rate != nil && (*rate < 1 || *rate > 500) {
			return nil, invalid("MaxNumberOfMessagesPerSecond must be between 1 and 500.")
		}
		notFound := &types.ResourceNotFoundException{Message: aws.String("The resource that you specified for the SourceArn parameter doesn't exist.")}
		from := s.byARN(*in.SourceArn)
		if from == nil {
			return nil, notFound
		}
		sources := s.sources(from)
		if len(sources) == 0 {
			return nil, invalid("Source queue must be configured as a Dead Letter Queue.")
		}
		var to *queue
		if arn := aws.ToString(in.DestinationArn); arn != "" {
			switch to = s.byARN(arn); {
			case to == nil:
				notFound.Message = aws.String("The resource that you specified for the DestinationArn parameter doesn't exist.")
				return nil, notFound
			case to == from || to.fifo != from.fifo:
				return nil, invalid("The destination must be another queue of the same kind.")
			}
		}
		now := time.Now()
		from.advance(now)
		task := moveTask{source: from.arn, destination: aws.ToString(in.DestinationArn), rate: in.MaxNumberOfMessagesPerSecond, started: now}
		for _, m := range from.take(len(from.messages)) {
			target := to
			if target == nil {
				target = s.byARN(m.source)
			}
			if target == nil || target == from {
				continue // was sent to this queue, and was in no other
			}
			from.remove(m)
			target.sequence++
			target.add(&message{
				id: uuid(), body: m.body, attributes: m.attributes, group: m.group, dedup: m.dedup, trace: m.trace,
				sequence: target.sequence, sent: now, expires: now.Add(target.seconds(types.QueueAttributeNameMessageRetentionPeriod)),
			}, now, now)
			task.moved++
		}
		s.tasks = append([]moveTask{task}, s.tasks...)
		s.tasks = s.tasks[:min(len(s.tasks), 1000)]
		return &sqs.StartMessageMoveTaskOutput{TaskHandle: aws.String(uuid())}, nil
	})
}

// ListMessageMoveTasks returns the tasks of a source, the newest first; one, or
// up to MaxResults, which is at most ten.
func (s *Service) ListMessageMoveTasks(ctx context.Context, in *sqs.ListMessageMoveTasksInput, _ ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error) {
	return call(ctx, s, "ListMessageMoveTasks", in, func(in *sqs.ListMessageMoveTasksInput) (*sqs.ListMessageMoveTasksOutput, error) {
		limit := 1
		if in.MaxResults != nil {
			if limit = int(*in.MaxResults); limit < 1 || limit > 10 {
				return nil, invalid("MaxResults must be between 1 and 10.")
			}
		}
		if s.byARN(aws.ToString(in.SourceArn)) == nil {
			return nil, &types.ResourceNotFoundException{Message: aws.String("The resource that you specified for the SourceArn parameter doesn't exist.")}
		}
		out := &sqs.ListMessageMoveTasksOutput{}
		for _, t := range s.tasks {
			if t.source != *in.SourceArn || len(out.Results) == limit {
				continue
			}
			entry := types.ListMessageMoveTasksResultEntry{
				Status: aws.String("COMPLETED"), SourceArn: aws.String(t.source), StartedTimestamp: t.started.UnixMilli(),
				ApproximateNumberOfMessagesMoved: t.moved, ApproximateNumberOfMessagesToMove: aws.Int64(t.moved), MaxNumberOfMessagesPerSecond: t.rate,
			}
			if t.destination != "" {
				entry.DestinationArn = aws.String(t.destination)
			}
			out.Results = append(out.Results, entry)
		}
		return out, nil
	})
}
