// Package dynamoproducts keeps the catalogue, the prices and the stock of a shop in a
// table of Amazon DynamoDB. It is a [shop.Products].
//
//	store := dynamoproducts.New(dynamodb.NewFromConfig(cfg), "products")
//	books, err := store.Catalog(ctx) // once, at the start
//	…
//	s := shop.New(books, func(o *shop.Options) { o.Products = store })
//
// # The table
//
// Its partition key is a string named "manga_id"; it has no sort key:
//
//	aws dynamodb create-table --table-name products --billing-mode PAY_PER_REQUEST \
//	    --attribute-definitions AttributeName=manga_id,AttributeType=S \
//	    --key-schema AttributeName=manga_id,KeyType=HASH
//
// A manga is one item: "manga" (the JSON of a [catalog.Manga]), "rank" (its place in
// the catalogue's order), "price_jpy", and the lists "stock" and "restock_days" with a
// number for each volume. [Store.Load] writes them; a price or a stock that is changed
// afterwards holds for the next question, a changed catalogue for the next start.
//
// The IAM actions are dynamodb:Scan and BatchGetItem on the table, and BatchWriteItem
// for Load.
package dynamoproducts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// API is what a [Store] calls of a *dynamodb.Client.
type API interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
}

// The bounds of DynamoDB on one call, and ours on what is asked again because the
// table was busy. Source: BatchGetItem and BatchWriteItem of the API reference.
const (
	maxGet   = 100
	maxWrite = 25
	maxTries = 8
)

// Store is a shop's products in a table. It is safe for concurrent use.
type Store struct {
	api   API
	table string
}

var _ shop.Products = (*Store)(nil)

// New returns a store in a table, given by its name or its ARN.
func New(api API, table string) *Store { return &Store{api, table} }

// ErrEmpty is the error of a table without a manga.
var ErrEmpty = errors.New("the table has no manga")

// Catalog reads the catalogue. Its error is [ErrEmpty] if there is none.
func (s *Store) Catalog(ctx context.Context) (*catalog.Catalog, error) {
	type entry struct {
		rank  int
		manga json.RawMessage
	}
	var entries []entry
	pages := dynamodb.NewScanPaginator(s.api, &dynamodb.ScanInput{
		TableName: &s.table, ProjectionExpression: aws.String("#rank, manga"), ExpressionAttributeNames: map[string]string{"#rank": "rank"},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.failed("reading the catalogue", err)
		}
		for _, item := range page.Items {
			manga, ok := item["manga"].(*types.AttributeValueMemberS)
			rank, err := number(item["rank"])
			if !ok || err != nil {
				return nil, s.failed("reading the catalogue", errForeign)
			}
			entries = append(entries, entry{rank, json.RawMessage(manga.Value)})
		}
	}
	if len(entries) == 0 {
		return nil, s.failed("reading the catalogue", ErrEmpty)
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.rank - b.rank })
	all := make([]json.RawMessage, len(entries))
	for i, e := range entries {
		all[i] = e.manga
	}
	data, err := json.Marshal(all)
	if err != nil {
		return nil, s.failed("reading the catalogue", err)
	}
	books, err := catalog.Load(bytes.NewReader(data))
	if err != nil {
		return nil, s.failed("reading the catalogue", err)
	}
	return books, nil
}

// Products implements [shop.Products], in one call for each hundred manga.
func (s *Store) Products(ctx context.Context, ids ...string) (map[string]shop.Product, error) {
	all := map[string]shop.Product{}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	for some := range slices.Chunk(slices.Compact(ids), maxGet) {
		var keys []map[string]types.AttributeValue
		for _, id := range some {
			keys = append(keys, map[string]types.AttributeValue{"manga_id": text(id)})
		}
		ask := map[string]types.KeysAndAttributes{s.table: {Keys: keys, ProjectionExpression: aws.String("manga_id, price_jpy, stock, restock_days")}}
		err := s.repeat(ctx, func() (bool, error) {
			out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: ask})
			if err != nil {
				return false, err
			}
			for _, items := range out.Responses {
				for _, item := range items {
					id, p, err := product(item)
					if err != nil {
						return false, err
					}
					all[id] = p
				}
			}
			ask = out.UnprocessedKeys
			return len(ask) == 0, nil
		})
		if err != nil {
			return nil, s.failed("reading products", err)
		}
	}
	return all, nil
}

// Load writes a catalogue with the prices and the stock of products, and returns how
// many manga it has written. It replaces those that are there; others stay.
func (s *Store) Load(ctx context.Context, books *catalog.Catalog, products shop.Products) (int, error) {
	var ids []string
	for m := range books.All() {
		ids = append(ids, m.ID)
	}
	stocked, err := products.Products(ctx, ids...)
	if err != nil {
		return 0, err
	}
	var writes []types.WriteRequest
	rank := 0
	for m := range books.All() {
		rank++
		p, ok := stocked[m.ID]
		if !ok {
			continue // the shop does not sell it
		}
		manga, err := json.Marshal(m)
		if err != nil {
			return 0, s.failed("writing products", err)
		}
		var stock, restock []types.AttributeValue
		for _, v := range p.Volumes {
			stock, restock = append(stock, numeral(v.Quantity)), append(restock, numeral(v.RestockDays))
		}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"manga_id": text(m.ID), "manga": text(string(manga)), "rank": numeral(rank), "price_jpy": numeral(p.PriceJPY),
			"stock": &types.AttributeValueMemberL{Value: stock}, "restock_days": &types.AttributeValueMemberL{Value: restock},
		}}})
	}
	written := 0
	for some := range slices.Chunk(writes, maxWrite) {
		ask := map[string][]types.WriteRequest{s.table: some}
		err := s.repeat(ctx, func() (bool, error) {
			out, err := s.api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: ask})
			if err != nil {
				return false, err
			}
			ask = out.UnprocessedItems
			return len(ask) == 0, nil
		})
		if err != nil {
			return written, s.failed("writing products", err)
		}
		written += len(some)
	}
	return written, nil
}

// repeat calls do until it is done. DynamoDB leaves a part of a batch to be asked
// again if the table is busy.
func (s *Store) repeat(ctx context.Context, do func() (done bool, err error)) error {
	for try := range maxTries {
		if done, err := do(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond << try):
		}
	}
	return fmt.Errorf("the table was busy %d times", maxTries)
}

func (s *Store) failed(what string, err error) error {
	return fmt.Errorf("dynamoproducts: %s in the table %s: %w", what, s.table, err)
}

var errForeign = errors.New("an item is not what Load writes")

func product(item map[string]types.AttributeValue) (id string, p shop.Product, err error) {
	name, ok := item["manga_id"].(*types.AttributeValueMemberS)
	if p.PriceJPY, err = number(item["price_jpy"]); !ok || err != nil {
		return "", p, errForeign
	}
	stock, err := numbers(item["stock"])
	if err != nil {
		return "", p, err
	}
	restock, err := numbers(item["restock_days"])
	if err != nil || len(restock) != len(stock) {
		return "", p, errForeign
	}
	for i := range stock {
		p.Volumes = append(p.Volumes, shop.Volume{Quantity: stock[i], RestockDays: restock[i]})
	}
	return name.Value, p, nil
}

func numbers(v types.AttributeValue) ([]int, error) {
	list, ok := v.(*types.AttributeValueMemberL)
	if !ok {
		return nil, errForeign
	}
	all := make([]int, len(list.Value))
	for i, v := range list.Value {
		var err error
		if all[i], err = number(v); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func number(v types.AttributeValue) (int, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, errForeign
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || i < 0 {
		return 0, errForeign
	}
	return i, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func numeral(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}
