package main

import (
	"bytes"
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

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// The shop is in a table: chatserver load fills it, and what is changed there holds for
// the next question.
func TestProductsInDynamoDB(t *testing.T) {
	client := inDynamoDB(t, "products", "manga_id")
	args := []string{"-products", "dynamodb:products"}
	url, log := start(t, fast, args...)
	assert.Contains(t, line(t, log, "the table of products is empty"), "chatserver load -products dynamodb:products")
	text, _ := end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	assert.Contains(t, text, "Naoki Urasawa", "what is embedded stands in")

	var out bytes.Buffer
	require.NoError(t, load(t.Context(), args, io.Discard, &out))
	assert.Contains(t, out.String(), "loaded the products")

	url, _ = start(t, fast, args...)
	c := dial(t, url)
	ask := chat("haiku", "Is volume 1 of One Piece in stock?")
	text, last := end(c, ask)
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.Contains(t, text, "¥693")
	again, last := end(c, ask)
	assert.True(t, last.Cached)
	assert.Equal(t, text, again)

	_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("products"), Key: map[string]types.AttributeValue{"manga_id": &types.AttributeValueMemberS{Value: "MNG-ONEPIECE"}},
		UpdateExpression: aws.String("SET price_jpy = :p"), ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberN{Value: "1234"}},
	})
	require.NoError(t, err)
	text, last = end(c, ask)
	assert.Contains(t, text, "1,234", "the cache gives no old price")
	assert.False(t, last.Cached)
	assert.Equal(t, 200, getStatus(t, url+"/readyz"))
	http.DefaultClient.CloseIdleConnections()
}

// The vectors are in PostgreSQL: they are made once, by chatserver load, and every
// server finds them.
func TestRetrieverInPostgreSQL(t *testing.T) {
	dsn, ok := servertest.PostgreSQL(t)
	if !ok {
		t.Skip("PGlite is not installed: npm ci --prefix internal/servertest/node")
	}
	args := []string{"-retriever", "pgvector:" + dsn}
	question := chat("haiku", "I want a manga on vampirism")

	url, log := start(t, fast, args...)
	_, last := end(dial(t, url), question)
	assert.Equal(t, "complete", last.Type, "the search by meaning is an extra")
	assert.Contains(t, line(t, log, "cannot search by meaning"), "make the table")

	var out bytes.Buffer
	require.NoError(t, load(t.Context(), args, io.Discard, &out))
	assert.Contains(t, out.String(), "embedded the catalogue")
	assert.NotContains(t, out.String(), "postgres:postgres", "no password")

	url, log = start(t, fast, args...)
	text, last := end(dial(t, url), question)
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.Contains(t, text, "Vampire Knight")
	assert.Contains(t, line(t, log, "searched by meaning"), "found=")
	assert.NotContains(t, log.String(), "embedded the catalogue")
}

func TestBadStores(t *testing.T) {
	inAWS(t, "http://127.0.0.1:1", true)
	for want, args := range map[string][]string{
		"-products is \"disk\"; it is embedded, or dynamodb:TABLE": {"-products", "disk"},
		"-retriever must be memory, opensearch:URL":                {"-retriever", "qdrant:postgres://a:hunter2@host"},
		"-retriever is opensearch:URL":                             {"-retriever", "opensearch:abc"},
		"must begin with https://":                                 {"-retriever", "opensearch:http://abc.example/manga"},
		"-retriever is s3vectors:BUCKET/INDEX":                     {"-retriever", "s3vectors:bucket"},
		"-retriever is pgvector:DSN":                               {"-retriever", "pgvector:postgres://a:hunter2@host:port/db"},
	} {
		s, err := parse(args, io.Discard)
		require.NoError(t, err)
		_, err = app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
		if assert.ErrorContains(t, err, want) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
	assert.ErrorContains(t, load(t.Context(), nil, io.Discard, io.Discard), "name a store with -products or -retriever")
}

// Every setting that is on is told at the start, one line each, without a password.
func TestSummary(t *testing.T) {
	inAWS(t, "http://127.0.0.1:1", true)
	summary := func(args ...string) string {
		s, err := parse(args, io.Discard)
		require.NoError(t, err)
		server, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		defer server.Close()
		var b strings.Builder
		printSummary(&b, server.Summary())
		return b.String()
	}
	text := summary()
	for _, want := range []string{"model      offline, 60 tokens a second", "haiku      us.anthropic.", "sonnet     us.anthropic.", "products   embedded, ", "retriever  memory", "cache      memory, for 60 minutes",
		"fallback   haiku and sonnet", "budget     none", "quota      none", "guardrail  none", "sessions   memory", "callers    all of this machine"} {
		assert.Contains(t, text, "  "+want)
	}
	text = summary("-cache", "rediss://user:hunter2@cache.example:6379/0?cluster=true", "-retriever", "pgvector:postgres://a:hunter2@db.example/shop",
		"-sessions", "dynamodb:chats", "-budget-usd", "25.50", "-quota", "5000000,10000", "-guardrail", "gr12abc34def:1", "-fallback", "off", "-daily-usd", "0.50")
	for _, want := range []string{"cache      memory, then rediss://cache.example:6379, for 60 minutes", "retriever  PostgreSQL", "sessions   the DynamoDB table chats", "budget     $25.50 a day", "per caller $0.50 a day",
		"quota      5000000 tokens and 10000 requests", "guardrail  gr12abc34def, version 1", "fallback   off"} {
		assert.Contains(t, text, "  "+want)
	}
	assert.Contains(t, summary("-quota", "5000000"), "  quota      5000000 tokens a minute for each model", "no bound of requests is not 0 requests")
	file := filepath.Join(t.TempDir(), "keys.json")
	assert.Contains(t, summary("-keys", file), "  callers    nobody yet: "+file+" has no keys; chatserver keys add makes one")
	assert.NotContains(t, text, "hunter2")
}

// The first word of a fresh server is there at once: nothing is read, dialled or
// embedded before it. The time is printed and not asserted, as machines differ.
func TestFirstToken(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	s.Addr = "127.0.0.1:0"
	began := time.Now()
	url, _ := start(t, s.TPS)
	c := dial(t, url)
	built := time.Since(began)
	asked := time.Now()
	c.send(chat("sonnet", "hello"))
	f := c.next()
	require.Equal(t, "start", f.Type)
	f = c.next()
	require.Equal(t, "token", f.Type, "the first frame after the start is the first word")
	t.Logf("built in %v, first token %v after the question", built, time.Since(asked))
	for f.Type == "token" {
		f = c.next()
	}
	require.Equal(t, "complete", f.Type)
	require.NotNil(t, f.FirstTokenMS)
}
