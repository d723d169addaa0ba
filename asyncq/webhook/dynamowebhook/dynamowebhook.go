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

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Retention is how long a delivery that has ended is kept; meanwhile its
	// notification makes no other one. The default is 7 days.
	Retention time.Duration

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
	if o.Retention <= 0 {
		o.Retention = 7 * 24 * time.Hour
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
		item["expires_at"] = records.Number(d.EndedAt.Add(s.o.Retention).Unix())
	}
	return item
}

// Due implements [webhook.Store].
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
	}
	var (
		due  []webhook.Delivery
		bad  error // one of those that cannot be read
		page map[string]types.AttributeValue
	)
	for {
		out, err := s.api.Query(ctx, &dynamodb.QueryInput{
			TableName: &s.table.Name, IndexName: &s.o.Index, Limit: aws.Int32(int32(limit - len(due))), ExclusiveStartKey: page,
			KeyConditionExpression:    aws.String("pending = :yes AND next_attempt <= :now"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":yes": records.Text("yes"), ":now": records.Number(now.UnixMilli())},
		})
		if err != nil {
			return due, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
		}
		unread := 0
		for _, item := range out.Items {
			var d webhook.Delivery
			if err := records.Decode(item, &d); err != nil {
				unread++
				id, _ := item["id"].(*types.AttributeValueMemberS)
				if id != nil {
					err = fmt.Errorf("the delivery %s: %w", id.Value, err)
				}
				bad = fmt.Errorf("dynamowebhook: asking what is due: %w", err)
				continue
			}
			due = append(due, d)
		}
		// A page ends at 1 MB as well. What is left then is due the next time;
		// only what cannot be read is gone past, as it stays where it is.
		if page = out.LastEvaluatedKey; page == nil || unread == 0 {
			return due, bad
		}
	}
}

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamowebhook: %s the delivery %s: %w", what, id, err)
}
