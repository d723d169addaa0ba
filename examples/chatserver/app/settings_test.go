package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
)

func TestFromEnv(t *testing.T) {
	byDefault := app.FromEnv(func(string) string { return "" })
	assert.Equal(t, "fake", byDefault.Bedrock, "nothing costs money by itself")
	assert.NoError(t, byDefault.Check())

	env := map[string]string{"MANGA_BEDROCK": "aws", "MANGA_HAIKU": "amazon.nova-lite-v1:0", "MANGA_SONNET": ""}
	s := app.FromEnv(func(name string) string { return env[name] })
	assert.Equal(t, "aws", s.Bedrock)
	assert.Equal(t, "amazon.nova-lite-v1:0", s.Haiku)
	assert.Equal(t, byDefault.Sonnet, s.Sonnet, "an empty variable is none")
}

// The stores of a deployment are those that its templates name.
func TestStoresFromEnv(t *testing.T) {
	env := map[string]string{"MANGA_SESSIONS_TABLE": "s", "MANGA_PRODUCTS_TABLE": "p", "MANGA_REDIS_ADDR": "cache.example:6379", "MANGA_SERVICE": "api",
		"MANGA_OPENSEARCH_ENDPOINT": "https://abc.us-east-1.aoss.amazonaws.com", "MANGA_VECTOR_BUCKET": "vectors", "MANGA_VECTOR_INDEX": "catalogue"}
	for kind, want := range map[string]string{
		"": "memory", "memory": "memory", "s3vectors": "s3vectors:vectors/catalogue", "opensearch": "opensearch:https://abc.us-east-1.aoss.amazonaws.com/catalogue",
	} {
		env["MANGA_RETRIEVER"] = kind
		s := app.FromEnv(func(name string) string { return env[name] })
		assert.Equal(t, want, s.Retriever)
		assert.Equal(t, []string{"dynamodb:s", "dynamodb:p", "rediss://cache.example:6379?cluster=true", "rediss://cache.example:6379?cluster=true", "api"},
			[]string{s.Sessions, s.Products, s.Cache, s.QuotaStore, s.Service})
	}
}

// Each call is a line of CloudWatch's format, under the names that the templates have.
func TestCloudWatch(t *testing.T) {
	var lines bytes.Buffer
	s := app.FromEnv(func(string) string { return "" })
	s.Service, s.MetricLines, s.TPS = "rest", &lines, 100_000
	server, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer server.Close()
	request := httptest.NewRequest("POST", "/v1/manga/query", strings.NewReader(`{"query":"Who wrote Monster?"}`))
	answer := httptest.NewRecorder()
	server.API().ServeHTTP(answer, request)
	require.Equal(t, 200, answer.Code, answer.Body)
	line, _, _ := strings.Cut(lines.String(), "\n")
	var metric struct {
		Service string
		Calls   int
		AWS     struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
			}
		} `json:"_aws"`
	}
	require.NoError(t, json.Unmarshal([]byte(line), &metric), line)
	assert.Equal(t, "rest", metric.Service)
	assert.Equal(t, 1, metric.Calls)
	assert.Equal(t, "MangaAssist", metric.AWS.CloudWatchMetrics[0].Namespace)
	assert.Equal(t, [][]string{{"Service"}, {}}, metric.AWS.CloudWatchMetrics[0].Dimensions)
	assert.NotContains(t, lines.String(), "Monster")
}

func TestBuildChecksTheSettings(t *testing.T) {
	s := app.FromEnv(func(string) string { return "" })
	s.Bedrock = "awz"
	_, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
	assert.EqualError(t, err, `-bedrock or MANGA_BEDROCK is "awz"; it is fake or aws`)
}
