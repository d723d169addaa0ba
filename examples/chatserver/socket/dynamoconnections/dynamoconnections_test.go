package dynamoconnections_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/dynamoconnections"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a store in a new table of dynalite.
func open(t *testing.T) *dynamoconnections.Store {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		t.Skip("there is no DynamoDB to test against")
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	client := dynamodb.NewFromConfig(cfg)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("connections"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("connection_id"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("caller"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("connection_id"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("caller"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("caller"), KeyType: types.KeyTypeHash}},
		}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("connections")}, time.Minute))
	return dynamoconnections.New(client, "connections")
}

func TestStore(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	_, err := s.Get(ctx, "a=")
	assert.ErrorIs(t, err, socket.ErrNoConnection)
	_, err = s.Get(ctx, "")
	assert.ErrorIs(t, err, socket.ErrNoConnection)

	later := time.Now().Add(time.Hour).Truncate(time.Second)
	a := socket.Connection{ID: "a=", Caller: auth.Caller{ID: "key/1", Name: "partner"}, Address: "192.0.2.1", Expires: later}
	require.NoError(t, s.Put(ctx, a))
	require.NoError(t, s.Put(ctx, socket.Connection{ID: "b/+=", Caller: auth.Caller{ID: "key/1"}, Expires: later}))
	require.NoError(t, s.Put(ctx, socket.Connection{ID: "c", Caller: auth.Caller{ID: "key/2"}, Expires: later}))
	require.NoError(t, s.Put(ctx, socket.Connection{ID: "old", Caller: auth.Caller{ID: "key/3"}, Expires: time.Now().Add(-time.Second)}))

	got, err := s.Get(ctx, "a=")
	require.NoError(t, err)
	assert.Equal(t, a, got)
	_, err = s.Get(ctx, "old")
	assert.ErrorIs(t, err, socket.ErrNoConnection, "the table has it still")
	ids, err := s.Of(ctx, "key/1", 10)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"a=", "b/+="}, ids)
	ids, err = s.Of(ctx, "key/1", 1)
	require.NoError(t, err)
	assert.Len(t, ids, 1)

	require.NoError(t, s.Delete(ctx, "a="))
	require.NoError(t, s.Delete(ctx, "a="))
	require.NoError(t, s.Delete(ctx, ""))
	ids, err = s.Of(ctx, "key/1", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"b/+="}, ids)
}
