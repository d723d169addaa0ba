// Package records keeps versioned records as items of a DynamoDB table: what the
// stores of asyncq in DynamoDB share. An item has its record as JSON, beside it
// the attributes that conditions and indexes need: version, token, expires_at and
// those of the store.
package records

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// API is what a [Table] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// A Table is a table of DynamoDB, given by its name or its ARN, with a text as its
// partition key.
type Table struct {
	API  API
	Name string
	Key  string // the name of the partition key
}

// Item are the attributes of a record.
type Item map[string]types.AttributeValue

// Create writes the first version of a record. The error is [asyncq.ErrExists]
// where there is one that has not expired.
func (t *Table) Create(ctx context.Context, id string, record any, item Item) error {
	err := t.put(ctx, id, record, 1, item, "attribute_not_exists("+t.Key+") OR expires_at <= :now", nil)
	if errors.Is(err, asyncq.ErrConflict) || errors.Is(err, asyncq.ErrNotFound) {
		err = asyncq.ErrExists
	}
	return err
}

// Update writes a version of a record in the place of the one before. The error is
// [asyncq.ErrConflict] if that is not stored, and [asyncq.ErrNotFound] if none is.
// An item with a created_at replaces only one with the same: when an id comes back
// after it has expired, its versions begin again.
func (t *Table) Update(ctx context.Context, id string, record any, version int64, item Item) error {
	condition := "version = :version AND (attribute_not_exists(expires_at) OR expires_at > :now)"
	values := Item{":version": Number(version - 1)}
	if created, ok := item["created_at"]; ok {
		condition += " AND created_at = :created"
		values[":created"] = created
	}
	return t.put(ctx, id, record, version, item, condition, values)
}

// put writes a record under a condition. Where that does not hold, it asks why.
func (t *Table) put(ctx context.Context, id string, record any, version int64, item Item, condition string, values Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	token := rand.Text() // of this write
	all := maps.Clone(item)
	all[t.Key], all["version"], all["token"], all["record"] = Text(id), Number(version), Text(token), Text(string(data))
	named := Item{":now": Number(time.Now().Unix())}
	maps.Copy(named, values)
	_, err = t.API.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.Name, Item: all, ConditionExpression: &condition, ExpressionAttributeValues: named,
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); !refused {
		return err
	}
	stored, err := t.item(ctx, id)
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

// Get reads a record. The error is [asyncq.ErrNotFound] where there is none or it
// has expired.
func (t *Table) Get(ctx context.Context, id string, record any) error {
	item, err := t.item(ctx, id)
	switch {
	case err != nil:
		return err
	case item == nil:
		return asyncq.ErrNotFound
	}
	return Decode(item, record)
}

// item is nil where there is none or it has expired: DynamoDB deletes later.
func (t *Table) item(ctx context.Context, id string) (Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := t.API.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.Name, Key: Item{t.Key: Text(id)}, ConsistentRead: aws.Bool(true)})
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

// Decode reads the record of an item.
func Decode(item Item, record any) error {
	data, ok := item["record"].(*types.AttributeValueMemberS)
	if !ok {
		return errors.New("the item has no record: it was not written by this package")
	}
	if err := json.Unmarshal([]byte(data.Value), record); err != nil {
		return fmt.Errorf("the item's record: %w", err)
	}
	return nil
}

// Text is an attribute that is a text.
func Text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// Number is an attribute that is a number.
func Number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
