package dynamostatus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestDynalite(t *testing.T) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		return
	}
	client := dynamodb.NewFromConfig(cfg)
	tables := 0
	queuetest.TestStatusStore(t, func(t *testing.T) asyncq.StatusStore {
		tables++
		table := fmt.Sprintf("statuses-%d", tables)
		_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
			TableName: &table, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: types.KeyTypeHash}},
		})
		require.NoError(t, err)
		active := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
		require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute))
		return dynamostatus.New(client, table)
	})
}

// table is a table in memory that knows the two conditions. It is what the suite
// runs on where there is no server, and loses answers on demand.
type table struct {
	mu    sync.Mutex
	items map[string]map[string]types.AttributeValue
	lose  bool // does what it is asked and repeats it, as the SDK does when an answer is lost
	err   error
}

func (f *table) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !aws.ToBool(in.ConsistentRead) {
		return nil, errors.New("the read is not consistent")
	}
	return &dynamodb.GetItemOutput{Item: f.items[in.Key["request_id"].(*types.AttributeValueMemberS).Value]}, f.err
}

func (f *table) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	number := func(v types.AttributeValue) int64 {
		n, ok := v.(*types.AttributeValueMemberN)
		if !ok {
			return 1 << 40
		}
		var i int64
		fmt.Sscan(n.Value, &i)
		return i
	}
	put := func() error {
		id := in.Item["request_id"].(*types.AttributeValueMemberS).Value
		old, now := f.items[id], number(in.ExpressionAttributeValues[":now"])
		live := old != nil && number(old["expires_at"]) > now
		switch *in.ConditionExpression {
		case "attribute_not_exists(request_id) OR expires_at <= :now":
			if live {
				return &types.ConditionalCheckFailedException{}
			}
		case "version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now) AND created_at = :created":
			if !live || number(old["version"]) != number(in.ExpressionAttributeValues[":version"]) ||
				number(old["created_at"]) != number(in.ExpressionAttributeValues[":created"]) {
				return &types.ConditionalCheckFailedException{}
			}
		default:
			return fmt.Errorf("an unknown condition: %s", *in.ConditionExpression)
		}
		f.items[id] = in.Item
		return nil
	}
	if f.err != nil {
		return nil, f.err
	}
	if f.lose {
		_ = put()
	}
	return &dynamodb.PutItemOutput{}, put()
}

func newTable() *table { return &table{items: map[string]map[string]types.AttributeValue{}} }

func TestConformance(t *testing.T) {
	queuetest.TestStatusStore(t, func(*testing.T) asyncq.StatusStore { return dynamostatus.New(newTable(), "t") })
}

// A write whose answer is lost is sent again by the SDK, and has succeeded.
func TestAnswerLost(t *testing.T) {
	fake := newTable()
	s := dynamostatus.New(fake, "t")
	fake.lose = true
	require.NoError(t, s.Create(t.Context(), asyncq.Status{ID: "a", State: asyncq.Queued}))
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	got.State = asyncq.Processing
	require.NoError(t, s.Update(t.Context(), got))
	require.ErrorIs(t, s.Update(t.Context(), got), asyncq.ErrConflict)
	require.ErrorIs(t, s.Create(t.Context(), got), asyncq.ErrExists)
}

func TestErrors(t *testing.T) {
	fake := newTable()
	s := dynamostatus.New(fake, "t")
	fake.err = errors.New("the network is down")
	require.ErrorIs(t, s.Create(t.Context(), asyncq.Status{ID: "a"}), fake.err)
	_, err := s.Get(t.Context(), "a")
	require.ErrorIs(t, err, fake.err)
	fake.err = nil
	for _, item := range []map[string]types.AttributeValue{
		{"request_id": &types.AttributeValueMemberS{Value: "a"}},
		{"record": &types.AttributeValueMemberS{Value: "{"}},
		{"record": &types.AttributeValueMemberS{Value: "{}"}, "expires_at": &types.AttributeValueMemberN{Value: "x"}},
	} {
		fake.items["a"] = item
		_, err = s.Get(t.Context(), "a")
		assert.ErrorContains(t, err, "dynamostatus: reading the status of a: the item")
	}
}

// The names of the attributes are a format that is stored.
func TestItem(t *testing.T) {
	fake := newTable()
	end := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	require.NoError(t, dynamostatus.New(fake, "t").Create(t.Context(), asyncq.Status{
		ID: "a", State: asyncq.Queued, CreatedAt: end.AddDate(-1, 0, 0), ExpiresAt: end}))
	item := fake.items["a"]
	assert.Equal(t, &types.AttributeValueMemberS{Value: "queued"}, item["status"])
	assert.Equal(t, &types.AttributeValueMemberN{Value: "1893553445"}, item["expires_at"])
	assert.Equal(t, &types.AttributeValueMemberN{Value: "1862017445"}, item["created_at"])
	assert.Equal(t, &types.AttributeValueMemberN{Value: "1"}, item["version"])
	assert.True(t, json.Valid([]byte(item["record"].(*types.AttributeValueMemberS).Value)))
}
