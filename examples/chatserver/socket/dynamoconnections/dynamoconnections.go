// Package dynamoconnections keeps the connections of an API Gateway in a table of
// Amazon DynamoDB, for all processes and Lambda functions.
//
// # The table
//
// Its partition key is a string named "connection_id". An index named "caller", with
// the string "caller" as its partition key and the keys alone, finds the connections
// of a caller. "expires_at" is the time to live.
//
// The IAM actions are dynamodb:GetItem, PutItem and DeleteItem on the table, and
// Query on the index.
package dynamoconnections

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Store is a [socket.Connections] in DynamoDB. It is safe for concurrent use.
type Store struct {
	api   API
	table string
}

var _ socket.Connections = (*Store)(nil)

// New returns a store in a table, given by its name or its ARN.
func New(api API, table string) *Store { return &Store{api, table} }

// Put implements [socket.Connections].
func (s *Store) Put(ctx context.Context, c socket.Connection) error {
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: map[string]types.AttributeValue{
		"connection_id": text(c.ID), "caller": text(c.Caller.ID), "name": text(c.Caller.Name), "address": text(c.Address),
		"expires_at": &types.AttributeValueMemberN{Value: strconv.FormatInt(c.Expires.Unix(), 10)},
	}})
	return fail("storing a connection", err)
}

// Get implements [socket.Connections]. It reads consistently, as a client may send a
// message right after it has connected.
func (s *Store) Get(ctx context.Context, id string) (socket.Connection, error) {
	if id == "" {
		return socket.Connection{}, socket.ErrNoConnection
	}
	found, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key(id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return socket.Connection{}, fail("reading a connection", err)
	}
	var expires int64
	if n, ok := found.Item["expires_at"].(*types.AttributeValueMemberN); ok {
		if expires, err = strconv.ParseInt(n.Value, 10, 64); err != nil {
			return socket.Connection{}, fail("reading a connection", err)
		}
	}
	c := socket.Connection{
		ID: id, Caller: auth.Caller{ID: textOf(found.Item["caller"]), Name: textOf(found.Item["name"])},
		Address: textOf(found.Item["address"]), Expires: time.Unix(expires, 0),
	}
	if !time.Now().Before(c.Expires) { // the table removes it in a few days
		return socket.Connection{}, socket.ErrNoConnection
	}
	return c, nil
}

// Delete implements [socket.Connections].
func (s *Store) Delete(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	_, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: key(id)})
	return fail("forgetting a connection", err)
}

// Of returns the ids of a caller's connections, at most limit. It may not have the
// latest, and may have some that are closed.
func (s *Store) Of(ctx context.Context, callerID string, limit int32) ([]string, error) {
	found, err := s.api.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("caller"), Limit: &limit,
		KeyConditionExpression:    aws.String("#caller = :caller"),
		ExpressionAttributeNames:  map[string]string{"#caller": "caller"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":caller": text(callerID)},
	})
	if err != nil {
		return nil, fail("finding the connections of a caller", err)
	}
	var ids []string
	for _, item := range found.Items {
		ids = append(ids, textOf(item["connection_id"]))
	}
	return ids, nil
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"connection_id": text(id)}
}

func text(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

func textOf(value types.AttributeValue) string {
	s, _ := value.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func fail(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamoconnections: %s: %w", what, err)
}
