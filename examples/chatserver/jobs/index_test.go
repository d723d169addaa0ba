package jobs_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestRedisIndex(t *testing.T) {
	addr, _ := servertest.Redis(t)
	testIndex(t, redisIndex(t, addr), nil)
}

func TestRedisIndexInProcess(t *testing.T) {
	server := miniredis.RunT(t)
	testIndex(t, redisIndex(t, server.Addr()), server.FastForward)
}

func redisIndex(t *testing.T, addr string) jobs.RedisIndex {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return jobs.RedisIndex{Client: client, Prefix: "test:"}
}

func TestDynamoIndex(t *testing.T) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		return
	}
	client := dynamodb.NewFromConfig(cfg)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("statuses"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("statuses")}, time.Minute))
	testIndex(t, jobs.DynamoIndex{API: client, Table: "statuses"}, nil)
}
