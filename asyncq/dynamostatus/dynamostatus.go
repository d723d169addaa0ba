package dynamostatus

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/internal/records"
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// Store is an [asyncq.StatusStore] in DynamoDB. It is safe for concurrent use.
type Store struct{ table records.Table }

var _ asyncq.StatusStore = (*Store)(nil)

// New returns a store in a table, given by its name or its ARN.
func New(api API, table string) *Store {
	return &Store{records.Table{API: api, Name: table, Key: "request_id"}}
}

// Create implements [asyncq.StatusStore].
func (s *Store) Create(ctx context.Context, status asyncq.Status) error {
	status.Version = 1
	return fail("creating", status.ID, s.table.Create(ctx, status.ID, status, item(status)))
}

// Update implements [asyncq.StatusStore].
func (s *Store) Update(ctx context.Context, status asyncq.Status) error {
	status.Version++
	return fail("updating", status.ID, s.table.Update(ctx, status.ID, status, status.Version, item(status)))
}

// Get implements [asyncq.StatusStore].
func (s *Store) Get(ctx context.Context, id string) (asyncq.Status, error) {
	var status asyncq.Status
	if err := s.table.Get(ctx, id, &status); err != nil {
		return asyncq.Status{}, fail("reading", id, err)
	}
	return status, nil
}

// item are the attributes beside the record.
func item(status asyncq.Status) records.Item {
	item := records.Item{
		"status":     records.Text(string(status.State)),
		"created_at": records.Number(status.CreatedAt.Unix()),
	}
	if !status.ExpiresAt.IsZero() {
		item["expires_at"] = records.Number(status.ExpiresAt.Unix())
	}
	return item
}

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dynamostatus: %s the status of %s: %w", what, id, err)
}
