package dynamostatus

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
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// Store is an [asyncq.StatusStore] in DynamoDB. It is safe for concurrent use.
type Store struct {
	api   API
	table string
}

var _ asyncq.StatusStore = (*Store)(nil)

// New returns a store in a table, given by its name or its ARN.
func New(api API, table string) *Store { return &Store{api: api, table: table} }

// Create implements [asyncq.StatusStore].
func (s *Store) Create(ctx context.Context, status asyncq.Status) error {
	status.Version = 1
	err := s.put(ctx, status, "attribute_not_exists(request_id) OR expires_at <= :now", nil)
	if errors.Is(err, asyncq.ErrConflict) || errors.Is(err, asyncq.ErrNotFound) {
		err = asyncq.ErrExists
	}
	return fail("creating", status.ID, err)
}

// Update implements [asyncq.StatusStore].
func (s *Store) Update(ctx context.Context, status asyncq.Status) error {
	old := number(status.Version)
	status.Version++
	return fail("updating", status.ID, s.put(ctx, status,
		"version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now)",
		map[string]types.AttributeValue{":version": old}))
}

// put writes a status under a condition. Where that does not hold, it asks why.
func (s *Store) put(ctx context.Context, status asyncq.Status, condition string, values map[string]types.AttributeValue) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	record, err := json.Marshal(status)
	if err != nil {
		return err
	}
	token := rand.Text() // of this write
	item := map[string]types.AttributeValue{
		"request_id": text(status.ID),
		"status":     text(string(status.State)),
		"version":    number(status.Version),
		"created_at": number(status.CreatedAt.Unix()),
		"token":      text(token),
		"record":     text(string(record)),
	}
	if !status.ExpiresAt.IsZero() {
		item["expires_at"] = number(status.ExpiresAt.Unix())
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
	stored, err := s.get(ctx, status.ID)
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

// Get implements [asyncq.StatusStore].
func (s *Store) Get(ctx context.Context, id string) (asyncq.Status, error) {
	item, err := s.get(ctx, id)
	if err == nil && item == nil {
		err = asyncq.ErrNotFound
	}
	if err != nil {
		return asyncq.Status{}, fail("reading", id, err)
	}
	var status asyncq.Status
	record, ok := item["record"].(*types.AttributeValueMemberS)
	if !ok {
		return asyncq.Status{}, fail("reading", id, errors.New("the item has no record: it was not written by this package"))
	}
	if err := json.Unmarshal([]byte(record.Value), &status); err != nil {
		return asyncq.Status{}, fail("reading", id, fmt.Errorf("the item's record: %w", err))
	}
	return status, nil
}

// get reads an item; it is nil where there is none or it has expired.
func (s *Store) get(ctx context.Context, id string) (map[string]types.AttributeValue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: map[string]types.AttributeValue{"request_id": text(id)}, ConsistentRead: aws.Bool(true),
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

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamostatus: %s the status of %s: %w", what, id, err)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
