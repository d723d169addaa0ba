package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
)

// DynamoIndex is an [Index] in the table of the statuses: an item for each list. A
// list is read and written as a whole, so it is for lists that one caller changes.
type DynamoIndex struct {
	API   dynamostatus.API
	Table string
}

// item is the key of a list. No job has such an id.
func (d DynamoIndex) item(list string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"request_id": &types.AttributeValueMemberS{Value: "#list/" + list}}
}

// Add implements [Index]. It tries again if another process has changed the list
// meanwhile.
func (d DynamoIndex) Add(ctx context.Context, list string, names ...string) error {
	for range 20 {
		had, version, err := d.read(ctx, list)
		if err != nil {
			return err
		}
		merged := merge(had, names)
		if slices.Equal(merged, had) {
			return nil
		}
		item := d.item(list)
		var all []types.AttributeValue
		for _, name := range merged {
			all = append(all, &types.AttributeValueMemberS{Value: name})
		}
		item["names"] = &types.AttributeValueMemberL{Value: all}
		item["version"] = number(version + 1)
		item["expires_at"] = number(time.Now().Add(Retention).Unix())
		_, err = d.API.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &d.Table, Item: item,
			ConditionExpression:       aws.String("attribute_not_exists(version) OR version = :version"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":version": number(version)},
		})
		if changed := (*types.ConditionalCheckFailedException)(nil); !errors.As(err, &changed) {
			return err
		}
	}
	return fmt.Errorf("the list %s is changed by others all the time", list)
}

// List implements [Index].
func (d DynamoIndex) List(ctx context.Context, list string, limit int) ([]string, error) {
	names, _, err := d.read(ctx, list)
	return names[:min(limit, len(names))], err
}

func (d DynamoIndex) read(ctx context.Context, list string) (names []string, version int64, err error) {
	out, err := d.API.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Table, Key: d.item(list), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, 0, err
	}
	version = value(out.Item["version"])
	if value(out.Item["expires_at"]) <= time.Now().Unix() {
		return nil, version, nil // DynamoDB removes it later
	}
	all, _ := out.Item["names"].(*types.AttributeValueMemberL)
	if all == nil {
		return nil, version, nil
	}
	for _, v := range all.Value {
		if name, ok := v.(*types.AttributeValueMemberS); ok {
			names = append(names, name.Value)
		}
	}
	return names, version, nil
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func value(v types.AttributeValue) int64 {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	i, _ := strconv.ParseInt(n.Value, 10, 64)
	return i
}
