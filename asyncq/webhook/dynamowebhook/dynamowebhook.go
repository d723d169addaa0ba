package dynamowebhook

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/asyncq/internal/records"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Options are those of [New]. The zero value of a field means its default.
type Options struct {
	// Keep is how long a delivery that has ended is kept; meanwhile its
	// notification makes no other one. The default is 7 days.
	Keep time.Duration

	// Index is the name of the index. The default is "due".
	Index string
}

// Store is a [webhook.Store] in DynamoDB. It is safe for concurrent use.
type Store struct {
	api   API
	table records.Table
	o     Options
}

var _ webhook.Store = (*Store)(nil)

// New returns a store in a table, given by its name or its ARN.
func New(api API, table string, optFns ...func(*Options)) *Store {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Keep <= 0 {
		o.Keep = 7 * 24 * time.Hour
	}
	if o.Index == "" {
		o.Index = "due"
	}
	return &Store{api: api, table: records.Table{API: api, Name: table, Key: "id"}, o: o}
}

// Create implements [webhook.Store].
func (s *Store) Create(ctx context.Context, d webhook.Delivery) error {
	d.Version = 1
	return fail("creating", d.ID, s.table.Create(ctx, d.ID, d, s.item(d)))
}

// Update implements [webhook.Store].
func (s *Store) Update(ctx context.Context, d webhook.Delivery) error {
	d.Version++
	return fail("updating", d.ID, s.table.Update(ctx, d.ID, d, d.Version, s.item(d)))
}

// Get implements [webhook.Store].
func (s *Store) Get(ctx context.Context, id string) (webhook.Delivery, error) {
	var d webhook.Delivery
	if err := s.table.Get(ctx, id, &d); err != nil {
		return webhook.Delivery{}, fail("reading", id, err)
	}
	return d, nil
}

// item are the attributes beside the record.
func (s *Store) item(d webhook.Delivery) records.Item {
	item := records.Item{"next_attempt": records.Number(d.NextAttempt.UnixMilli())}
	if d.State == webhook.Pending {
		item["pending"] = records.Text("yes")
	} else {
		item["expires_at"] = records.Number(d.EndedAt.Add(s.o.Keep).Unix())
	}
	return item
}

// Due implements [webhook.Store].
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
	}
	// One page: DynamoDB ends it at 1 MB, and what is left is due the next time.
	out, err := s.api.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.table.Name, IndexName: &s.o.Index, Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("pending = :yes AND next_attempt <= :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":yes": records.Text("yes"), ":now": records.Number(now.UnixMilli())},
	})
	if err != nil {
		return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
	}
	var due []webhook.Delivery
	for _, item := range out.Items {
		var d webhook.Delivery
		if err := records.Decode(item, &d); err != nil {
			return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
		}
		due = append(due, d)
	}
	return due, nil
}

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamowebhook: %s the delivery %s: %w", what, id, err)
}
