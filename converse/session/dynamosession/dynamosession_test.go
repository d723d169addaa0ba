package dynamosession_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/converse/session/dynamosession"
	"github.com/mangaassist/bedrockkit/converse/session/sessiontest"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// open starts a DynamoDB and returns a function that makes a table in it.
func open(t *testing.T) (*dynamodb.Client, func(t *testing.T) string) {
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		t.Skip("dynalite is not installed: npm ci --prefix internal/servertest/node")
	}
	client := dynamodb.NewFromConfig(cfg)
	tables := 0
	return client, func(t *testing.T) string {
		tables++
		name := fmt.Sprint("chats-", tables)
		_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		})
		require.NoError(t, err)
		exists := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = time.Millisecond, time.Millisecond
		})
		require.NoError(t, exists.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, 10*time.Second))
		return name
	}
}

func TestConformance(t *testing.T) {
	client, table := open(t)
	sessiontest.Run(t, func(t *testing.T) session.Store { return dynamosession.New(client, table(t)) },
		func(o *sessiontest.Options) { o.MaxBytes = 800 << 10 })
}

// count is how many items a table has.
func count(t *testing.T, client *dynamodb.Client, table string) int {
	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table, Select: types.SelectCount})
	require.NoError(t, err)
	return int(out.Count)
}

func say(text string) []converse.Message { return []converse.Message{converse.User(text)} }

func incompressible(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; x = x*6364136223846793005 + 1442695040888963407 {
		fmt.Fprintf(&b, "%x", x)
	}
	return b.String()
}

func TestItems(t *testing.T) {
	client, table := open(t)
	name := table(t)
	s := dynamosession.New(client, name, func(o *dynamosession.Options) { o.TTL = time.Hour })
	version, err := s.Save(t.Context(), "a", session.History{Messages: say("漫画")})
	require.NoError(t, err)
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "s#a"}}})
	require.NoError(t, err)
	assert.Equal(t, &types.AttributeValueMemberS{Value: `[{"role":"user","content":[{"text":"漫画"}]}]`}, out.Item["messages"], "readable")
	assert.Contains(t, out.Item, "expires_at")

	// One that compresses well stays one item, one that does not has parts;
	// none are left behind.
	for text, items := range map[string]int{strings.Repeat("word ", 200_000): 1, incompressible(1 << 20): 3} {
		version, err = s.Save(t.Context(), "a", session.History{Messages: say(text), Version: version})
		require.NoError(t, err)
		assert.Equal(t, items, count(t, client, name))
		h, err := s.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, text, h.Messages[0].Text())
		_, err = s.Save(t.Context(), "a", session.History{Messages: say(incompressible(600 << 10)), Version: version - 1})
		require.ErrorIs(t, err, session.ErrConflict)
		assert.Equal(t, items, count(t, client, name), "nothing is left of what was refused")
	}
	require.NoError(t, s.Delete(t.Context(), "a"))
	assert.Zero(t, count(t, client, name))
}

func TestTooLarge(t *testing.T) {
	client, table := open(t)
	s := dynamosession.New(client, table(t), func(o *dynamosession.Options) { o.MaxBytes = 10_000 })
	_, err := s.Save(t.Context(), "a", session.History{Messages: say(incompressible(50_000))})
	assert.ErrorIs(t, err, session.ErrTooLarge)
	_, err = s.Save(t.Context(), "a", session.History{Messages: say(strings.Repeat("a", 50_000))})
	assert.NoError(t, err)
}

// DynamoDB removes an expired item up to days later; until then it is as if it
// were not there.
func TestExpired(t *testing.T) {
	client, table := open(t)
	name := table(t)
	old := dynamosession.New(client, name, func(o *dynamosession.Options) { o.TTL = time.Nanosecond })
	s := dynamosession.New(client, name)
	version, err := old.Save(t.Context(), "a", session.History{Messages: say("old")})
	require.NoError(t, err)
	_, err = s.Load(t.Context(), "a")
	assert.ErrorIs(t, err, session.ErrNotFound)
	_, err = s.Save(t.Context(), "a", session.History{Messages: say("late"), Version: version})
	assert.ErrorIs(t, err, session.ErrConflict)
	_, err = s.Save(t.Context(), "a", session.History{Messages: say("new")})
	require.NoError(t, err)
	h, err := s.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "new", h.Messages[0].Text())
}

// failing is a DynamoDB whose n-th write fails.
type failing struct {
	dynamosession.API
	n int
}

var errDown = errors.New("down")

func (f *failing) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if f.n--; f.n == 0 {
		return nil, errDown
	}
	return f.API.PutItem(ctx, in, o...)
}

// Wherever a save breaks off, the history that was there is still there.
func TestSaveThatBreaksOff(t *testing.T) {
	client, table := open(t)
	name := table(t)
	s := dynamosession.New(client, name)
	before, err := s.Save(t.Context(), "a", session.History{Messages: say(incompressible(1 << 20))})
	require.NoError(t, err)
	for n := 1; n <= 3; n++ {
		broken := dynamosession.New(&failing{client, n}, name)
		_, err := broken.Save(t.Context(), "a", session.History{Messages: say(incompressible(1500 << 10)), Version: before})
		require.ErrorIs(t, err, errDown)
		h, err := s.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, before, h.Version)
		assert.Equal(t, incompressible(1<<20), h.Messages[0].Text())
	}
}

func TestForeignItem(t *testing.T) {
	client, table := open(t)
	name := table(t)
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "s#a"}}})
	require.NoError(t, err)
	_, err = dynamosession.New(client, name).Load(t.Context(), "a")
	assert.ErrorContains(t, err, "none of a session")
}

// twice is a DynamoDB whose answers are lost on the way, so that the SDK tries
// again.
type twice struct{ dynamosession.API }

func (d twice) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if _, err := d.API.PutItem(ctx, in, o...); err != nil {
		return nil, err
	}
	return d.API.PutItem(ctx, in, o...)
}

func TestSaveThatWasRepeated(t *testing.T) {
	client, table := open(t)
	s := dynamosession.New(twice{client}, table(t))
	h := session.History{}
	for _, text := range []string{"small", incompressible(1 << 20), "small again"} {
		h.Messages = say(text)
		version, err := s.Save(t.Context(), "a", h)
		require.NoError(t, err)
		h, err = s.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, version, h.Version)
		assert.Equal(t, text, h.Messages[0].Text())
	}
}
