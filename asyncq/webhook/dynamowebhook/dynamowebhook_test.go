package dynamowebhook_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/asyncq/webhook/dynamowebhook"
	"github.com/mangaassist/bedrockkit/asyncq/webhook/webhooktest"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// create makes the table of the package's documentation.
func create(t *testing.T, client *dynamodb.Client, table string) {
	t.Helper()
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("pending"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("next_attempt"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("due"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pending"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("next_attempt"), KeyType: types.KeyTypeRange}},
		}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute))
}

func TestDynalite(t *testing.T) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		return
	}
	client := dynamodb.NewFromConfig(cfg)
	tables := 0
	webhooktest.Run(t, func(t *testing.T) webhook.Store {
		tables++
		table := fmt.Sprintf("webhooks-%d", tables)
		create(t, client, table)
		return dynamowebhook.New(client, table)
	})

	// One that ended longer ago than it is kept is as if it were not there.
	create(t, client, "expired")
	s := dynamowebhook.New(client, "expired", func(o *dynamowebhook.Options) { o.Retention = time.Hour })
	old := webhook.Delivery{ID: "a", State: webhook.Delivered, Body: []byte("{}"), EndedAt: time.Now().Add(-2 * time.Hour)}
	require.NoError(t, s.Create(t.Context(), old))
	_, err := s.Get(t.Context(), "a")
	require.ErrorIs(t, err, asyncq.ErrNotFound)
	require.NoError(t, s.Create(t.Context(), old))
}

// replies is a DynamoDB that says what it is told to.
type replies struct {
	item map[string]types.AttributeValue
	put  func(*dynamodb.PutItemInput) error
	err  error
}

func (r *replies) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: r.item}, r.err
}

func (r *replies) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return &dynamodb.PutItemOutput{}, r.put(in)
}

func (r *replies) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return &dynamodb.QueryOutput{Items: []map[string]types.AttributeValue{r.item}}, r.err
}

// A write whose answer is lost is sent again by the SDK, and has succeeded.
func TestAnswerLost(t *testing.T) {
	r := &replies{}
	r.put = func(in *dynamodb.PutItemInput) error {
		r.item = in.Item
		return &types.ConditionalCheckFailedException{}
	}
	s := dynamowebhook.New(r, "t")
	require.NoError(t, s.Create(t.Context(), webhook.Delivery{ID: "a", State: webhook.Pending, Body: []byte("{}")}))
	r.put = func(*dynamodb.PutItemInput) error { return &types.ConditionalCheckFailedException{} }
	require.ErrorIs(t, s.Create(t.Context(), webhook.Delivery{ID: "a", Body: []byte("{}")}), asyncq.ErrExists)
	require.ErrorIs(t, s.Update(t.Context(), webhook.Delivery{ID: "a", Body: []byte("{}")}), asyncq.ErrConflict)
}

func TestErrors(t *testing.T) {
	r := &replies{item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}}
	s := dynamowebhook.New(r, "t")
	_, err := s.Get(t.Context(), "a")
	assert.ErrorContains(t, err, "dynamowebhook: reading the delivery a: the item has no record")
	_, err = s.Due(t.Context(), time.Now(), 1)
	assert.ErrorContains(t, err, "the item has no record")
	r.err = errors.New("the network is down")
	_, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, r.err)
	_, err = s.Due(t.Context(), time.Now(), 1)
	require.ErrorIs(t, err, r.err)
}

// paged is a DynamoDB whose index holds these items, in pages of at most the limit.
type paged struct {
	replies
	items []map[string]types.AttributeValue
	asked int
}

func (p *paged) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	p.asked++
	from := 0
	if key := in.ExclusiveStartKey; key != nil {
		fmt.Sscan(key["id"].(*types.AttributeValueMemberS).Value, &from)
	}
	to := min(from+int(*in.Limit), len(p.items))
	out := &dynamodb.QueryOutput{Items: p.items[from:to]}
	if to < len(p.items) {
		out.LastEvaluatedKey = map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: fmt.Sprint(to)}}
	}
	return out, nil
}

// Items that cannot be read hold up no others, also if there are more of them than a
// page has.
func TestUnreadableItems(t *testing.T) {
	p := &paged{}
	add := func(id, record string) {
		p.items = append(p.items, map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}, "record": &types.AttributeValueMemberS{Value: record}})
	}
	for i := range 25 {
		add(fmt.Sprintf("bad-%d", i), "{")
	}
	for i := range 20 {
		add(fmt.Sprintf("good-%d", i), fmt.Sprintf(`{"id":"good-%d","state":"pending"}`, i))
	}
	s := dynamowebhook.New(p, "t")
	due, err := s.Due(t.Context(), time.Now(), 10)
	assert.ErrorContains(t, err, "the delivery bad-")
	require.Len(t, due, 10)
	assert.Equal(t, "good-0", due[0].ID)
	assert.Equal(t, "good-9", due[9].ID)

	p.items, p.asked = p.items[25:], 0
	due, err = s.Due(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	assert.Len(t, due, 10)
	assert.Equal(t, 1, p.asked)
}
