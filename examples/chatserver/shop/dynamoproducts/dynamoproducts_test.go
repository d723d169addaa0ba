package dynamoproducts_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop/dynamoproducts"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted counts the calls of a client.
type counted struct {
	*dynamodb.Client
	gets int
}

func (c *counted) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, optFns ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	c.gets++
	return c.Client.BatchGetItem(ctx, in, optFns...)
}

func TestStore(t *testing.T) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		t.Skip("dynalite is not installed: npm ci --prefix internal/servertest/node")
	}
	client := &counted{Client: dynamodb.NewFromConfig(cfg)}
	table := "products"
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("manga_id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("manga_id"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	exists := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, time.Millisecond
	})
	require.NoError(t, exists.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, 10*time.Second))

	store := dynamoproducts.New(client, table)
	_, err = store.Catalog(t.Context())
	assert.ErrorIs(t, err, dynamoproducts.ErrEmpty)

	embedded := catalog.Default()
	for range 2 { // again, it replaces what is there
		n, err := store.Load(t.Context(), embedded, shop.Invented(embedded))
		require.NoError(t, err)
		assert.Equal(t, embedded.Len(), n)
	}
	books, err := store.Catalog(t.Context())
	require.NoError(t, err)
	assert.Equal(t, slices.Collect(embedded.All()), slices.Collect(books.All()), "the same, in the same order")

	// The shop in DynamoDB answers as the embedded one does, with one call.
	here, there := shop.New(embedded), shop.New(books, func(o *shop.Options) { o.Products = store })
	ids := []string{"MNG-ONEPIECE", "MNG-MONSTER0", "MNG-NOTTHERE", "MNG-ONEPIECE"}
	for m := range embedded.All() {
		ids = append(ids, m.ID)
	}
	want, err := shop.Invented(embedded).Products(t.Context(), ids...)
	require.NoError(t, err)
	got, err := store.Products(t.Context(), ids...)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, (embedded.Len()+1+99)/100, client.gets, "a hundred at once, each once")
	client.gets = 0
	for _, ask := range []func(s *shop.Shop) (any, error){
		func(s *shop.Shop) (any, error) {
			return s.CheckMangaAvailability(t.Context(), shop.AvailabilityInput{MangaID: "MNG-ONEPIECE"})
		},
		func(s *shop.Shop) (any, error) {
			return s.GetOrderStatus(t.Context(), shop.OrderInput{OrderID: "ORD-MANGA004"})
		},
	} {
		want, err := ask(here)
		require.NoError(t, err)
		got, err := ask(there)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	assert.Equal(t, 2, client.gets, "one call a question")

	// A price that changes holds for the next question.
	_, err = client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{"manga_id": &types.AttributeValueMemberS{Value: "MNG-ONEPIECE"}},
		UpdateExpression: aws.String("SET price_jpy = :p"), ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberN{Value: "999"}},
	})
	require.NoError(t, err)
	out, err := there.CheckMangaAvailability(t.Context(), shop.AvailabilityInput{MangaID: "MNG-ONEPIECE"})
	require.NoError(t, err)
	assert.Equal(t, 999, out.PriceJPY)

	// What the shop does not sell any more is not found.
	_, err = client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]types.AttributeValue{"manga_id": &types.AttributeValueMemberS{Value: "MNG-ONEPIECE"}}})
	require.NoError(t, err)
	_, err = there.CheckMangaAvailability(t.Context(), shop.AvailabilityInput{MangaID: "MNG-ONEPIECE"})
	assert.ErrorIs(t, err, shop.ErrNotFound)

	_, err = dynamoproducts.New(client, "nowhere").Catalog(t.Context())
	assert.ErrorContains(t, err, "the table nowhere")
	_, err = client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{"manga_id": &types.AttributeValueMemberS{Value: "MNG-FOREIGN0"}}})
	require.NoError(t, err)
	_, err = store.Products(t.Context(), "MNG-FOREIGN0")
	assert.ErrorContains(t, err, "not what Load writes")
}

// busy leaves all but one of a batch to be asked again.
type busy struct {
	dynamoproducts.API
	calls int
	never bool // it does nothing at all
}

func (b *busy) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	b.calls++
	if b.never {
		return &dynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}, nil
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, ask := range in.RequestItems {
		item := maps.Clone(ask.Keys[0])
		item["price_jpy"] = &types.AttributeValueMemberN{Value: "500"}
		item["stock"], item["restock_days"] = &types.AttributeValueMemberL{}, &types.AttributeValueMemberL{}
		out.Responses[table] = append(out.Responses[table], item)
		if ask.Keys = ask.Keys[1:]; len(ask.Keys) > 0 {
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: ask}
		}
	}
	return out, nil
}

func TestBusyTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &busy{}
		all, err := dynamoproducts.New(api, "products").Products(t.Context(), "MNG-A0000000", "MNG-B0000000", "MNG-C0000000")
		require.NoError(t, err)
		assert.Len(t, all, 3)
		assert.Equal(t, 3, api.calls)

		api = &busy{never: true}
		_, err = dynamoproducts.New(api, "products").Products(t.Context(), "MNG-A0000000")
		assert.ErrorContains(t, err, "busy 8 times")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = dynamoproducts.New(api, "products").Products(ctx, "MNG-A0000000")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
