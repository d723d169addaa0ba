package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

const conversationID = "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"

// inDynamoDB makes a table with a partition key in a DynamoDB that the environment
// names.
func inDynamoDB(t *testing.T, table, key string) *dynamodb.Client {
	t.Helper()
	cfg, ok := servertest.DynamoDB(t)
	if !ok {
		t.Skip("dynalite is not installed: npm ci --prefix internal/servertest/node")
	}
	inAWS(t, "http://127.0.0.1:1", true) // no Bedrock
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", *cfg.BaseEndpoint)
	client := dynamodb.NewFromConfig(cfg)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	exists := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, time.Millisecond
	})
	require.NoError(t, exists.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, 10*time.Second))
	return client
}

// postAs asks a question in the conversation, with an API key.
func postAs(t *testing.T, url, key, question string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": question, "conversation_id": conversationID})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/manga/query", strings.NewReader(string(body)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, "%s", answer)
	var v struct{ Response string }
	require.NoError(t, json.Unmarshal(answer, &v))
	return v.Response
}

// A conversation in DynamoDB goes on at another server, for its caller alone.
func TestSessionsInDynamoDB(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	client := inDynamoDB(t, "chats", "id")
	file := filepath.Join(t.TempDir(), "keys.json")
	keys, err := auth.OpenKeys(file)
	require.NoError(t, err)
	first, err := keys.Add("first")
	require.NoError(t, err)
	second, err := keys.Add("second")
	require.NoError(t, err)

	args := []string{"-sessions", "dynamodb:chats", "-keys", file}
	one, _ := start(t, fast, args...)
	assert.Contains(t, postAs(t, one, first, "Who wrote Monster?"), "Naoki Urasawa")
	two, _ := start(t, fast, args...)
	assert.Contains(t, postAs(t, two, first, "How many volumes has it?"), "18 volumes")
	assert.NotContains(t, postAs(t, two, second, "How many volumes has it?"), "18 volumes", "the conversation of another caller is not found")

	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("chats")})
	require.NoError(t, err)
	require.EqualValues(t, 2, out.Count)
	for _, item := range out.Items {
		assert.Contains(t, item, "expires_at", "DynamoDB removes it")
	}
	assert.Equal(t, 200, getStatus(t, two+"/readyz"))

	lost, _ := start(t, fast, "-sessions", "dynamodb:nowhere")
	assert.Equal(t, 503, getStatus(t, lost+"/readyz"), "a table that is not there")
}

func getStatus(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// A conversation goes on however long it gets: what a question sends is bounded, and
// a summary stands for what was said at the beginning.
func TestLongConversation(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, log, fake := startInAWS(t, nil, "-cache", "off")
	long := strings.Repeat("お時間のあるときで結構です。", 220) // 3,080 characters
	postAs(t, url, "", "Where is ORD-MANGA001?")
	for i := range 12 {
		postAs(t, url, "", fmt.Sprintf("『MONSTER』の作者は誰ですか？ %d %s", i, long))
	}
	assert.Contains(t, postAs(t, url, "", "How many volumes has it?"), "18 volumes", "it is known what was talked about")

	summaries, most, whole := 0, int64(0), int64(0)
	for _, req := range fake.Requests() {
		var body struct {
			Messages []converse.Message `json:"messages"`
		}
		require.NoError(t, json.Unmarshal(req.Body, &body))
		tokens := int64(0)
		for _, m := range body.Messages {
			tokens += converse.EstimateTokens(m)
		}
		switch text := body.Messages[0].Text(); {
		case strings.HasPrefix(text, "<conversation>"):
			assert.EqualValues(t, haiku, req.Model)
			summaries++
		case strings.HasPrefix(text, "Summary of the conversation so far:"):
			most = max(most, tokens)
			assert.Contains(t, text, "ORD-MANGA001", "a summary goes into the next one")
		default:
			whole = max(whole, tokens)
		}
	}
	assert.Positive(t, summaries)
	assert.Positive(t, most)
	assert.Less(t, max(most, whole), int64(20_000))
	assert.NotContains(t, log.String(), "結構です")
	assert.NotContains(t, log.String(), "WARN")
}

// The WebSocket's client sends the whole conversation; what the model is sent is
// bounded.
func TestLongConversationOverTheWebSocket(t *testing.T) {
	url, _, fake := startInAWS(t, nil)
	var said []string
	for range 12 {
		said = append(said, "『MONSTER』の作者は誰ですか？"+strings.Repeat("お時間のあるときで結構です。", 220), "**MONSTER** is by **Naoki Urasawa**.")
	}
	text, last := end(dial(t, url), chat("haiku", append(said, "How many volumes has it?")...))
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.Contains(t, text, "18 volumes")
	for _, req := range fake.Requests() {
		assert.Less(t, len(req.Body), 90_000)
		assert.Greater(t, len(req.Body), 30_000, "the newest questions are there")
	}
}

func TestBadSessions(t *testing.T) {
	for _, value := range []string{"disk", "dynamodb:", ""} {
		s, err := parse([]string{"-sessions", value}, io.Discard)
		require.NoError(t, err)
		_, err = app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
		assert.ErrorContains(t, err, "it is memory, or dynamodb:TABLE")
	}
}
