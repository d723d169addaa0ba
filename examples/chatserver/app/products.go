package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop/dynamoproducts"
)

// products returns the catalogue, and the shop's option that says where prices and
// stock are: embedded in the program, or in a table of DynamoDB, which chatserver
// load fills.
func (b *builder) products(ctx context.Context) (*catalog.Catalog, func(*shop.Options), error) {
	store, table, err := b.productTable(ctx)
	switch {
	case err != nil:
		return nil, nil, err
	case store == nil:
		b.say("products", "embedded, %d manga", b.books().Len())
		return b.books(), func(*shop.Options) {}, nil
	}
	books, err := store.Catalog(ctx)
	if errors.Is(err, dynamoproducts.ErrEmpty) {
		// A new deployment has an empty table, and must come up all the same.
		b.log.WarnContext(ctx, "the table of products is empty; the embedded products stand in", "table", table,
			"hint", "run chatserver load -products dynamodb:"+table+", then start again")
		b.say("products", "embedded, %d manga, as the DynamoDB table %s is empty", b.books().Len(), table)
		return b.books(), func(*shop.Options) {}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("-products: %w", err)
	}
	b.ready["products"] = func(ctx context.Context) error {
		_, err := store.Products(ctx, "ready")
		return err
	}
	b.say("products", "the DynamoDB table %s, %d manga", table, books.Len())
	return books, func(o *shop.Options) { o.Products = store }, nil
}

// productTable is the table of -products, nil if they are embedded.
func (b *builder) productTable(ctx context.Context) (*dynamoproducts.Store, string, error) {
	if b.Products == "embedded" {
		return nil, "", nil
	}
	table, ok := strings.CutPrefix(b.Products, "dynamodb:")
	if !ok || table == "" {
		return nil, "", fmt.Errorf("-products is %q; it is embedded, or dynamodb:TABLE", b.Products)
	}
	cfg, err := b.aws(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("-products: %w", err)
	}
	return dynamoproducts.New(dynamodb.NewFromConfig(cfg), table), table, nil
}
