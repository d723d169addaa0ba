package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What partners were promised before this server was written: the responses of the
// first OpenAPI document, whose every property must be there. The document of today,
// which has more, is checked in rest and rest/compat.
var promised = map[string]string{
	"MangaQueryResponse": `{"type":"object","required":["response","model","usage","stop_reason"],"properties":{"response":{"type":"string","minLength":1},
		"model":{"enum":["sonnet","haiku"]},"usage":{"type":"object","required":["input_tokens","output_tokens"],
		"properties":{"input_tokens":{"type":"integer","minimum":1},"output_tokens":{"type":"integer","minimum":1}}},"stop_reason":{"type":"string"}}}`,
	"BatchSubmitResponse": `{"type":"object","required":["message","item_count","request_ids"],"properties":{"message":{"type":"string"},"item_count":{"type":"integer"},
		"request_ids":{"type":"array","items":{"type":"string","pattern":"^[a-f0-9-]{36}$"}}}}`,
	"RequestStatusResponse": `{"type":"object","required":["request_id","status","created_at"],"properties":{"request_id":{"type":"string"},
		"status":{"enum":["queued","processing","completed","failed"]},"created_at":{"type":"integer"},"completed_at":{"type":"integer"},"result":{"type":"object"}}}`,
	"ErrorResponse": `{"type":"object","required":["error"],"properties":{"error":{"type":"string"},"details":{"type":"array",
		"items":{"type":"object","required":["path","message"],"properties":{"path":{"type":"string"},"message":{"type":"string"}}}}}}`,
	"token":    `{"type":"object","required":["type","data","sequence"],"properties":{"type":{"const":"token"},"data":{"type":"string"},"sequence":{"type":"integer"}}}`,
	"complete": `{"type":"object","required":["type","usage","stop_reason"],"properties":{"type":{"const":"complete"},"usage":{"type":"object","required":["input_tokens","output_tokens"]},"stop_reason":{"type":"string"}}}`,
}

func keeps(t *testing.T, promise, body string) map[string]any {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(promised[promise]))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(promise, schema))
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	require.NoError(t, err, body)
	require.NoError(t, c.MustCompile(promise).Validate(value), body)
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &object))
	return object
}

func TestContractOfREST(t *testing.T) {
	url, _ := start(t, fast)
	const item = `{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}`
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		promise            string
		path0              string // of the first detail
	}{
		"japanese_query":   {"POST", "query", `{"query":"ワンピースに似たアクション漫画を教えてください","model":"sonnet","language":"ja","max_tokens":1024}`, 200, "MangaQueryResponse", ""},
		"english_query":    {"POST", "query", `{"query":"What are the best seinen manga from 2023?","model":"haiku","max_tokens":512}`, 200, "MangaQueryResponse", ""},
		"every property":   {"POST", "query", `{"query":"hello","model":"haiku","max_tokens":4096,"temperature":1.0,"conversation_id":"5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11","language":"en"}`, 200, "MangaQueryResponse", ""},
		"the least":        {"POST", "query", `{"query":"a","max_tokens":1,"temperature":0.0,"language":"auto"}`, 200, "MangaQueryResponse", ""},
		"4,000 characters": {"POST", "query", `{"query":"` + strings.Repeat("あ", 4000) + `"}`, 200, "MangaQueryResponse", ""},

		"no JSON":          {"POST", "query", `{`, 400, "ErrorResponse", ""},
		"no query":         {"POST", "query", `{}`, 400, "ErrorResponse", ""},
		"empty query":      {"POST", "query", `{"query":""}`, 400, "ErrorResponse", "/query"},
		"4,001 characters": {"POST", "query", `{"query":"` + strings.Repeat("あ", 4001) + `"}`, 400, "ErrorResponse", "/query"},
		"unknown model":    {"POST", "query", `{"query":"a","model":"opus"}`, 400, "ErrorResponse", "/model"},
		"no tokens":        {"POST", "query", `{"query":"a","max_tokens":0}`, 400, "ErrorResponse", "/max_tokens"},
		"4,097 tokens":     {"POST", "query", `{"query":"a","max_tokens":4097}`, 400, "ErrorResponse", "/max_tokens"},
		"cold":             {"POST", "query", `{"query":"a","temperature":-0.1}`, 400, "ErrorResponse", "/temperature"},
		"hot":              {"POST", "query", `{"query":"a","temperature":1.1}`, 400, "ErrorResponse", "/temperature"},
		"bad conversation": {"POST", "query", `{"query":"a","conversation_id":"one"}`, 400, "ErrorResponse", "/conversation_id"},
		"unknown language": {"POST", "query", `{"query":"a","language":"fr"}`, 400, "ErrorResponse", "/language"},
		"unknown property": {"POST", "query", `{"query":"a","top_p":1}`, 400, "ErrorResponse", ""},
		"batch of one":     {"POST", "batch", `{"items":[` + item + `]}`, 202, "BatchSubmitResponse", ""},
		"batch of 100":     {"POST", "batch", `{"items":[` + strings.TrimSuffix(strings.Repeat(item+",", 100), ",") + `],"priority":"low"}`, 202, "BatchSubmitResponse", ""},
		"empty batch":      {"POST", "batch", `{"items":[]}`, 400, "ErrorResponse", "/items"},
		"batch of 101":     {"POST", "batch", `{"items":[` + strings.Repeat(item+",", 100) + item + `]}`, 400, "ErrorResponse", "/items"},
		"bad manga":        {"POST", "batch", `{"items":[{"manga_id":"one","analysis_type":"genre_classification"}]}`, 400, "ErrorResponse", "/items/0/manga_id"},
		"bad analysis":     {"POST", "batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"x"}]}`, 400, "ErrorResponse", "/items/0/analysis_type"},
		"long context":     {"POST", "batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level","additional_context":"` + strings.Repeat("x", 1001) + `"}]}`, 400, "ErrorResponse", "/items/0/additional_context"},
		"plain callback":   {"POST", "batch", `{"items":[` + item + `],"callback_url":"http://example.com/"}`, 400, "ErrorResponse", "/callback_url"},
		"unknown priority": {"POST", "batch", `{"items":[` + item + `],"priority":"urgent"}`, 400, "ErrorResponse", "/priority"},
		"unknown request":  {"GET", "status/5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", "", 404, "ErrorResponse", ""},
		"no request id":    {"GET", "status/one", "", 404, "ErrorResponse", ""},
		"no such path":     {"GET", "books", "", 404, "ErrorResponse", ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := call(t, tt.method, url+"/v1/manga/"+tt.path, tt.body, "Content-Type", "application/json")
			require.Equal(t, tt.status, resp.StatusCode, body)
			object := keeps(t, tt.promise, body)
			assert.Contains(t, resp.Header.Get("Content-Type"), "application/json")
			assert.NotEmpty(t, resp.Header.Get("X-Request-Id"))
			if tt.path0 != "" {
				assert.Equal(t, tt.path0, object["details"].([]any)[0].(map[string]any)["path"])
			}
			switch {
			case name == "japanese_query":
				assert.Contains(t, object["response"], "『")
				assert.Equal(t, "sonnet", object["model"])
			case name == "english_query":
				assert.Equal(t, "haiku", object["model"])
			case tt.status == 202:
				assert.Len(t, object["request_ids"], int(object["item_count"].(float64)))
			}
		})
	}
}

// Each type of analysis is accepted, and its status ends with a result.
func TestContractOfAnalyses(t *testing.T) {
	url, _ := start(t, fast)
	began := time.Now().Unix()
	types := []string{"genre_classification", "content_summary", "similar_series", "reading_level", "full_enrichment"}
	var items []string
	for _, kind := range types {
		items = append(items, fmt.Sprintf(`{"manga_id":"MNG-ONEPIECE","analysis_type":%q,"additional_context":"For readers of twelve."}`, kind))
	}
	resp, body := call(t, "POST", url+"/v1/manga/batch", `{"items":[`+strings.Join(items, ",")+`],"priority":"high"}`)
	require.Equal(t, http.StatusAccepted, resp.StatusCode, body)
	ids := keeps(t, "BatchSubmitResponse", body)["request_ids"].([]any)
	require.Len(t, ids, len(types))
	for i, id := range ids {
		var status map[string]any
		require.Eventually(t, func() bool {
			resp, body := call(t, "GET", url+"/v1/manga/status/"+id.(string), "")
			require.Equal(t, 200, resp.StatusCode, body)
			status = keeps(t, "RequestStatusResponse", body)
			return status["completed_at"] != nil
		}, 30*time.Second, 5*time.Millisecond, types[i])
		assert.Equal(t, "completed", status["status"], types[i])
		assert.Equal(t, id, status["request_id"])
		assert.NotEmpty(t, status["result"], types[i])
		assert.GreaterOrEqual(t, status["completed_at"], status["created_at"])
		assert.InDelta(t, began, status["created_at"], 60, "seconds since 1970")
	}
}

func TestContractOfTheWebSocket(t *testing.T) {
	url, _ := start(t, fast)
	c := dial(t, url)
	for _, message := range []string{
		`{"messages":[{"role":"user","content":"ワンピースに似たアクション漫画を教えてください"}],"model":"sonnet"}`,
		`{"messages":[{"role":"user","content":"What are the best seinen manga from 2023?"}],"model":"haiku"}`,
		`{"messages":[{"role":"user","content":"Who wrote Monster?"},{"role":"assistant","content":"Naoki Urasawa."},{"role":"user","content":"And how many volumes has it?"}]}`,
	} {
		c.send(message)
		var sequence float64
		for ended := false; !ended; {
			_, data, err := c.conn.Read(t.Context())
			require.NoError(t, err)
			var f struct{ Type string }
			require.NoError(t, json.Unmarshal(data, &f))
			switch f.Type {
			case "token":
				token := keeps(t, "token", string(data))
				assert.Greater(t, token["sequence"], sequence)
				sequence = token["sequence"].(float64)
			case "complete":
				assert.Equal(t, "end_turn", keeps(t, "complete", string(data))["stop_reason"])
				ended = true
			default:
				assert.Contains(t, []string{"start", "tool_use", "tool_result"}, f.Type)
			}
		}
		assert.Positive(t, sequence)
	}
}

// A caller who asks too often is told so, with the time to wait.
func TestContractOfRates(t *testing.T) {
	file, keys := newKeys(t, "partner")
	url, _ := start(t, fast, "-keys", file)
	for n := 0; ; n++ {
		require.Less(t, n, 200)
		resp, body := call(t, "GET", url+"/v1/manga/status/5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", "", "X-Api-Key", keys[0])
		if resp.StatusCode == http.StatusTooManyRequests {
			keeps(t, "ErrorResponse", body)
			assert.NotEmpty(t, resp.Header.Get("Retry-After"))
			return
		}
	}
}
