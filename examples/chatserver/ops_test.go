package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
)

// read asks for a path, with a key if there is one.
func read(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data)
}

func TestOperations(t *testing.T) {
	url, _ := start(t, fast)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	c := dial(t, url)
	c.send(`{"messages":[{"role":"user","content":"Who wrote Monster, SECRET?"}],"model":"haiku"}`)
	c.answer()

	status, body := read(t, url+"/metrics", "")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, `http_server_active_requests{http_request_method="GET",http_route="/ws"} 1`)
	assert.Contains(t, body, `bedrockkit_cost_USD_total{`)
	assert.Contains(t, body, `asyncq_queue_messages{queue="high"} 0`)
	assert.NotContains(t, body, "SECRET")

	var report metrics.Report
	status, body = read(t, url+"/v1/ops?span=1h", "")
	require.Equal(t, 200, status)
	require.NoError(t, json.Unmarshal([]byte(body), &report))
	assert.Equal(t, 60, report.Step)
	assert.Len(t, report.Points, 60)
	assert.GreaterOrEqual(t, report.Total.Calls, 2, "a question with a tool takes two")
	assert.Equal(t, 1, report.Now.Sockets)
	assert.Zero(t, report.Now.Streams)
	assert.NotContains(t, body, "SECRET")
	status, _ = read(t, url+"/v1/ops?span=2h", "")
	assert.Equal(t, 400, status)

	require.Eventually(t, func() bool { s, _ := read(t, url+"/readyz", ""); return s == 200 }, 10*time.Second, 20*time.Millisecond)
	_, body = read(t, url+"/readyz", "")
	assert.JSONEq(t, `{"status":"ready","checks":{"server":"ready","queues":"ready","worker":"ready"}}`, body)
}

// A server with keys gives its metrics to those who have one: their names say which
// models it uses and what it spends.
func TestOperationsNeedTheKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	keys, err := auth.OpenKeys(file)
	require.NoError(t, err)
	key, err := keys.Add("prometheus")
	require.NoError(t, err)
	url, _ := start(t, fast, "-keys", file)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, path := range []string{"/metrics", "/v1/ops"} {
		status, _ := read(t, url+path, "")
		assert.Equal(t, 401, status, path)
		status, _ = read(t, url+path, key)
		assert.Equal(t, 200, status, path)
	}
}

func TestCatalogForThePage(t *testing.T) {
	url, _ := start(t, fast)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var answer struct {
		Total int
		Manga []struct{ ID, Romaji string }
	}
	for _, c := range [][2]string{{"one+piece", "MNG-ONEPIECE"}, {"vagab", "MNG-VAGABOND"}, {"", "MNG-ONEPIECE"}} {
		query, first := c[0], c[1]
		status, body := read(t, url+"/v1/manga/catalog?q="+query, "")
		require.Equal(t, 200, status)
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.NotEmpty(t, answer.Manga, query)
		assert.Equal(t, first, answer.Manga[0].ID, query)
		assert.LessOrEqual(t, len(answer.Manga), 20)
	}
	assert.Greater(t, answer.Total, 300, "without a search it is all of it")
	status, _ := read(t, url+"/v1/manga/catalog?q="+strings.Repeat("a", 201), "")
	assert.Equal(t, 400, status)
	for _, path := range []string{"/ops", "/jobs"} {
		status, body := read(t, url+path, "")
		assert.Equal(t, 200, status)
		assert.Contains(t, body, "<title>", path)
	}
}
