package dynamowebhook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/asyncq"
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
	table string
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
	return &Store{api: api, table: table, o: o}
}

// Create implements [webhook.Store].
func (s *Store) Create(ctx context.Context, d webhook.Delivery) error {
	d.Version = 1
	err := s.put(ctx, d, "attribute_not_exists(id) OR expires_at <= :now", nil)
	if errors.Is(err, asyncq.ErrConflict) || errors.Is(err, asyncq.ErrNotFound) {
		err = asyncq.ErrExists
	}
	return fail("creating", d.ID, err)
}

// Update implements [webhook.Store].
func (s *Store) Update(ctx context.Context, d webhook.Delivery) error {
	old := number(d.Version)
	d.Version++
	return fail("updating", d.ID, s.put(ctx, d,
		"version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now)",
		map[string]types.AttributeValue{":version": old}))
}

// put writes a delivery under a condition. Where that does not hold, it asks why.
func (s *Store) put(ctx context.Context, d webhook.Delivery, condition string, values map[string]types.AttributeValue) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	record, err := json.Marshal(d)
	if err != nil {
		return err
	}
	token := rand.Text() // of this write
	item := map[string]types.AttributeValue{
		"id":           text(d.ID),
		"version":      number(d.Version),
		"next_attempt": number(d.NextAttempt.UnixMilli()),
		"token":        text(token),
		"record":       text(string(record)),
	}
	if d.State == webhook.Pending {
		item["pending"] = text("yes")
	} else {
		item["expires_at"] = number(d.EndedAt.Add(s.o.Keep).Unix())
	}
	all := map[string]types.AttributeValue{":now": number(time.Now().Unix())}
	for k, v := range values {
		all[k] = v
	}
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: item, ConditionExpression: &condition, ExpressionAttributeValues: all,
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); !refused {
		return err
	}
	stored, err := s.get(ctx, d.ID)
	switch {
	case err != nil:
		return err
	case stored == nil:
		return asyncq.ErrNotFound
	}
	// Where the answer to a first attempt was lost, the SDK's second one meets
	// what the first has written.
	if v, ok := stored["token"].(*types.AttributeValueMemberS); ok && v.Value == token {
		return nil
	}
	return asyncq.ErrConflict
}

// Get implements [webhook.Store].
func (s *Store) Get(ctx context.Context, id string) (webhook.Delivery, error) {
	item, err := s.get(ctx, id)
	if err == nil && item == nil {
		err = asyncq.ErrNotFound
	}
	if err != nil {
		return webhook.Delivery{}, fail("reading", id, err)
	}
	d, err := decode(item)
	return d, fail("reading", id, err)
}

// Due implements [webhook.Store].
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
	}
	// One page: DynamoDB ends it at 1 MB, and what is left is due the next time.
	out, err := s.api.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: &s.o.Index, Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("pending = :yes AND next_attempt <= :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":yes": text("yes"), ":now": number(now.UnixMilli())},
	})
	if err != nil {
		return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
	}
	var due []webhook.Delivery
	for _, item := range out.Items {
		d, err := decode(item)
		if err != nil {
			return nil, fmt.Errorf("dynamowebhook: asking what is due: %w", err)
		}
		due = append(due, d)
	}
	return due, nil
}

// get reads an item; it is nil where there is none or it has expired.
func (s *Store) get(ctx context.Context, id string) (map[string]types.AttributeValue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: map[string]types.AttributeValue{"id": text(id)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil || len(out.Item) == 0 {
		return nil, err
	}
	if v, ok := out.Item["expires_at"].(*types.AttributeValueMemberN); ok {
		at, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the item's expires_at is no number of seconds: %w", err)
		}
		if at <= time.Now().Unix() {
			return nil, nil
		}
	}
	return out.Item, nil
}

func decode(item map[string]types.AttributeValue) (webhook.Delivery, error) {
	var d webhook.Delivery
	record, ok := item["record"].(*types.AttributeValueMemberS)
	if !ok {
		return d, errors.New("the item has no record: it was not written by this package")
	}
	if err := json.Unmarshal([]byte(record.Value), &d); err != nil {
		return d, fmt.Errorf("the item's record: %w", err)
	}
	return d, nil
}

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamowebhook: %s the delivery %s: %w", what, id, err)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
