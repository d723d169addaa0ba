package servertest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestSQS(t *testing.T) {
	cfg, ok := servertest.SQS(t)
	if !ok {
		return
	}
	queues, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{})
	require.NoError(t, err)
	assert.Empty(t, queues.QueueUrls)
	topic, err := sns.NewFromConfig(cfg).CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("results")})
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:sns:us-east-1:000000000000:results", *topic.TopicArn)
}

func TestDynamoDB(t *testing.T) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		return
	}
	tables, err := dynamodb.NewFromConfig(cfg).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	require.NoError(t, err)
	assert.Empty(t, tables.TableNames)
}
