package asyncq

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The attributes of a dead letter, beside those that its message had.
const (
	maxAttributes   = 10      // of a message
	maxLetterBytes  = 1 << 10 // of what is added
	reasonAttribute = "DeadLetterReason"
	originAttribute = "DeadLetterQueue"
	groupAttribute  = "DeadLetterGroup"
)

// letterbox returns a function that sends a message to the dead-letter queue with
// this URL.
func letterbox(api QueueAPI, url string) func(context.Context, *delivery, string) error {
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
	}
	return func(ctx context.Context, d *delivery, reason string) error {
		ctx, cancel := context.WithTimeout(ctx, tryTimeout)
		defer cancel()
		attributes := map[string]types.MessageAttributeValue{reasonAttribute: text(reason), originAttribute: text(d.queue)}
		if d.group != "" {
			attributes[groupAttribute] = text(d.group)
		}
		for name, a := range d.msg.MessageAttributes {
			if _, ours := attributes[name]; !ours && len(attributes) < maxAttributes {
				attributes[name] = a
			}
		}
		out, err := asked(ctx, api.SendMessageBatch, &sqs.SendMessageBatchInput{QueueUrl: aws.String(url), Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("0"), MessageBody: d.msg.Body, MessageAttributes: attributes}}})
		if err == nil && len(out.Failed) > 0 {
			err = refused(out.Failed[0])
		}
		return err
	}
}
