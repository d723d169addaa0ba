package jobs

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Stats are what the worker of this process does.
func (s *Service) Stats() asyncq.Stats { return s.worker.Stats() }

// Depths counts the messages that wait in each queue: "high", "normal", "low" and
// "dead_letter". It needs a backend that can be asked, as *sqs.Client and the queues
// in this process can.
func (s *Service) Depths(ctx context.Context) (map[string]int, error) {
	api, ok := s.backend.SQS.(interface {
		GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	})
	if !ok {
		return nil, errors.New("the backend does not count its messages")
	}
	q := s.backend.Queues
	depths := map[string]int{}
	for name, queue := range map[string]string{"high": q.High, "normal": q.Normal, "low": q.Low, "dead_letter": q.DeadLetter} {
		if queue == "" {
			continue
		}
		url := &queue
		if !strings.Contains(queue, "/") { // it is no URL yet
			out, err := s.backend.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: url})
			if err != nil {
				return nil, err
			}
			url = out.QueueUrl
		}
		out, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		}})
		if err != nil {
			return nil, err
		}
		for _, count := range out.Attributes {
			n, err := strconv.Atoi(count)
			if err != nil {
				return nil, err
			}
			depths[name] += n
		}
	}
	return depths, nil
}
