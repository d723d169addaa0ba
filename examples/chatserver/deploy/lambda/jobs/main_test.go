package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
)

func TestMain(m *testing.M) {
	lambdatest.Run(main)
	goleak.VerifyTestMain(m)
}

// received is the sample event of SQS with the messages that a queue has.
func received(t *testing.T, cloud *lambdatest.Cloud, queue string) events.SQSEvent {
	event := lambdatest.Event[events.SQSEvent](t, "sqs-event.json")
	record := event.Records[0]
	event.Records = nil
	url := cloud.QueueURL(queue)
	out, err := cloud.Queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	require.NoError(t, err)
	for _, m := range out.Messages {
		record.MessageId, record.ReceiptHandle, record.Body, record.Attributes = *m.MessageId, *m.ReceiptHandle, *m.Body, m.Attributes
		record.EventSourceARN = "arn:aws:sqs:us-east-1:000000000000:" + queue
		record.MessageAttributes = map[string]events.SQSMessageAttribute{}
		for name, value := range m.MessageAttributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: *value.DataType, StringValue: value.StringValue, BinaryValue: value.BinaryValue}
		}
		event.Records = append(event.Records, record)
	}
	return event
}

func invoke(t *testing.T, f *lambdatest.Function, event events.SQSEvent) events.SQSEventResponse {
	result := f.Invoke(event)
	require.False(t, result.Failed, "%s", result.Body)
	var response events.SQSEventResponse
	require.NoError(t, json.Unmarshal(result.Body, &response))
	return response
}

// A part of a batch becomes jobs with the ids that the client was told, and each of
// them is done. What cannot be done is in the queue of dead letters.
func TestBatchesAndJobs(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	f := lambdatest.Start(t, cloud.Env()...)
	send := func(body string) {
		_, err := cloud.Queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(cloud.QueueURL("manga-fm-requests")), MessageBody: &body})
		require.NoError(t, err)
	}
	const id = "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"
	send(`{"batch":1,"request_id":"` + id + `","caller":"k","first":10,"priority":"high","callback_url":"","items":[
		{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level","additional_context":"it's 漫画"},
		{"manga_id":"MNG-NOTTHERE","analysis_type":"reading_level","additional_context":""}]}`)
	send(`{"batch":1,"request_id":"` + id + `","caller":"k","first":0,"priority":"high","callback_url":"","items":[]}`)
	event := received(t, cloud, "manga-fm-requests")
	response := invoke(t, f, event)
	require.Len(t, response.BatchItemFailures, 1, "a batch without items")
	assert.Equal(t, event.Records[1].MessageId, response.BatchItemFailures[0].ItemIdentifier)
	// SQS gives messages twice at times.
	invoke(t, f, events.SQSEvent{Records: event.Records[:1]})

	statuses := dynamostatus.New(dynamodb.NewFromConfig(cloud.Config(t)), "status")
	status := func(n string) asyncq.Status {
		s, err := statuses.Get(t.Context(), id[:33]+n)
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, asyncq.Queued, status("010").State)
	assert.Equal(t, "k", status("010").Metadata["caller"])
	assert.Equal(t, id, status("010").Metadata["batch"])

	assert.Equal(t, asyncq.Failed, status("011").State, "there is no such manga")

	work := received(t, cloud, "manga-fm-high-priority")
	require.NotEmpty(t, work.Records)
	broken := work.Records[0]
	broken.MessageId, broken.Body = "broken", "nonsense"
	work.Records = append(work.Records, broken)
	response = invoke(t, f, work)
	assert.Equal(t, asyncq.Completed, status("010").State)
	// A second copy of a job that is being done comes again, and nothing else.
	assert.LessOrEqual(t, len(response.BatchItemFailures), len(work.Records)-2)
	assert.Len(t, received(t, cloud, "manga-fm-dlq").Records, 1, "the message that is no job")
	assert.Contains(t, strings.Join(cloud.Published(), "\n"), id[:33]+"010")
	cloud.CheckCalls(t, "jobs")
}
