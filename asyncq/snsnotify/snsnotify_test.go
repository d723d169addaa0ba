package snsnotify_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/snsnotify"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

var note = asyncq.Notification{
	ID: "job-1.completed", CallbackURL: "https://manga.example/hook?key=canary",
	Status: asyncq.Status{ID: "job-1", State: asyncq.Completed, Priority: asyncq.High, ResultKey: "result/job-1"},
}

// topic is an SNS that keeps what is published.
type topic struct {
	published []*sns.PublishInput
	err       error
}

func (t *topic) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	t.published = append(t.published, in)
	return &sns.PublishOutput{}, t.err
}

func TestNotify(t *testing.T) {
	api := &topic{}
	require.NoError(t, snsnotify.New(api, "arn:aws:sns:us-east-1:123456789012:fm-results").Notify(t.Context(), note))
	in := api.published[0]
	assert.NotContains(t, *in.Message, "canary")
	assert.Equal(t, "completed", *in.MessageAttributes["status"].StringValue)
	assert.Equal(t, "high", *in.MessageAttributes["priority"].StringValue)
	assert.Nil(t, in.MessageGroupId)
	var got asyncq.Notification
	require.NoError(t, json.Unmarshal([]byte(*in.Message), &got))
	want := note
	want.CallbackURL = ""
	assert.Equal(t, want, got)

	long := note
	long.ID, long.Status.Priority = strings.Repeat("x", 128)+".completed", ""
	require.NoError(t, snsnotify.New(api, "arn:aws:sns:us-east-1:123456789012:fm-results.fifo").Notify(t.Context(), long))
	in = api.published[1]
	assert.Equal(t, "job-1", *in.MessageGroupId)
	assert.Len(t, *in.MessageDeduplicationId, 64)
	assert.NotContains(t, in.MessageAttributes, "priority")

	api.err = errors.New("the network is down")
	require.ErrorIs(t, snsnotify.New(api, "t").Notify(t.Context(), note), api.err)
}

// Through a server that nobody here wrote, a subscriber gets what was told.
func TestFauxqs(t *testing.T) {
	cfg, ok := servertest.SQS(t)
	if !ok {
		return
	}
	topics, queues := sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	created, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("fm-results")})
	require.NoError(t, err)
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("subscriber")})
	require.NoError(t, err)
	_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: created.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:us-east-1:000000000000:subscriber"),
		Attributes: map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"status":["completed"]}`},
	})
	require.NoError(t, err)
	notifier := snsnotify.New(topics, *created.TopicArn)
	failed := note
	failed.ID, failed.Status.State = "job-2.failed", asyncq.Failed
	require.NoError(t, notifier.Notify(t.Context(), failed))
	require.NoError(t, notifier.Notify(t.Context(), note))
	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 5, MaxNumberOfMessages: 10})
	require.NoError(t, err)
	require.Len(t, out.Messages, 1, "the filter policy lets one through")
	assert.Contains(t, *out.Messages[0].Body, `"id":"job-1.completed"`)
}
