package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"html/template"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

var update = flag.Bool("update", false, "write the golden files anew")

// backend stands for the assistant and the jobs behind the API.
type backend struct {
	asked     []rest.Question
	submitted []rest.Batch
	err       error
	statuses  map[string]rest.Status
	recent    []rest.Status
	limit     int // of recent
	day       string
}

func (b *backend) Route(_ context.Context, q rest.Question) (rest.Route, error) {
	if q.Model != rest.Auto {
		return rest.Route{Model: q.Model}, nil
	}
	return rest.Route{Model: "sonnet", Rule: "comparison", Reason: "比較のため <Sonnet> が答えます。"}, nil
}

func (b *backend) Answer(ctx context.Context, q rest.Question) (rest.Answer, error) {
	b.asked = append(b.asked, q)
	cost := pricing.MustAmount("0.0012")
	return rest.Answer{
		Text: "読んでみてください <Naruto>", Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", StopReason: bedrockkit.StopEndTurn,
		Usage: bedrockkit.Usage{InputTokens: 12, OutputTokens: 34}, Cost: &cost,
	}, b.err
}

type words []string

func (s words) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for i, w := range s {
			if !yield(stream.Message{Type: stream.TypeToken, Data: w, Sequence: int64(i + 1)}, nil) {
				return
			}
		}
		yield(stream.Message{Type: stream.TypeComplete, Sequence: int64(len(s) + 1), StopReason: bedrockkit.StopEndTurn}, nil)
	}
}

func (words) Close() error { return nil }

func (b *backend) Stream(ctx context.Context, q rest.Question) (stream.Source, error) {
	b.asked = append(b.asked, q)
	return words{"Hello", " there"}, b.err
}

func (b *backend) Submit(ctx context.Context, batch rest.Batch) (ids []string, err error) {
	b.submitted = append(b.submitted, batch)
	for range batch.Items {
		ids = append(ids, "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11")
	}
	return ids, b.err
}

func (b *backend) Status(ctx context.Context, id string) (rest.Status, error) {
	if b.err != nil {
		return rest.Status{}, b.err
	}
	s, ok := b.statuses[id]
	if !ok {
		return s, rest.ErrNotFound
	}
	return s, nil
}

func (b *backend) Recent(ctx context.Context, limit int) ([]rest.Status, error) {
	b.limit = limit
	return b.recent, b.err
}

func (b *backend) Watch(ctx context.Context, limit int) iter.Seq2[rest.Status, error] {
	b.limit = limit
	return func(yield func(rest.Status, error) bool) {
		for _, s := range b.recent {
			if !yield(s, nil) {
				return
			}
		}
		if b.err != nil {
			yield(rest.Status{}, b.err)
		}
	}
}

func (b *backend) Summarize(ctx context.Context, day string) (string, error) {
	b.day = day
	return "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", b.err
}

func (b *backend) CallbackSecret(ctx context.Context) (string, error) { return "whsec_abc", b.err }

func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func conforms(t *testing.T, schema string, body []byte) {
	t.Helper()
	c := jsonschema.NewCompiler()
	data, err := os.ReadFile("schemas/" + schema + ".json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, c.AddResource(schema, doc))
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err, "%s", body)
	require.NoError(t, c.MustCompile(schema).Validate(value), "%s", body)
}

func TestQuery(t *testing.T) {
	b := &backend{}
	h := rest.New(b, b)
	w := ask(t, h, "POST", "/v1/manga/query", `{"query":"ワンピースに似たアクション漫画を教えてください","model":"sonnet","language":"ja","max_tokens":1024.0,
		"conversation_id":"5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11","temperature":0}`)
	require.Equal(t, 200, w.Code, w.Body)
	conforms(t, "MangaQueryResponse", w.Body.Bytes())
	id := w.Header().Get("X-Request-Id")
	require.NotEmpty(t, id)
	assert.Contains(t, w.Body.String(), "読んでみてください <Naruto>", "as people read it")
	assert.JSONEq(t, `{"response":"読んでみてください <Naruto>","model":"sonnet","model_id":"us.anthropic.claude-haiku-4-5-20251001-v1:0",
		"usage":{"input_tokens":12,"output_tokens":34},"stop_reason":"end_turn","cost_usd":"0.0012","request_id":"`+id+`"}`, w.Body.String())
	w = ask(t, h, "POST", "/v1/manga/query", `{"query":"Cafe\u0301 \u202eevil\u202c \ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67 ﾊﾝｶｸ \ud83d\udc4d\ufe0f \udbff"}`)
	require.Equal(t, 200, w.Code, w.Body)
	assert.Equal(t, []rest.Question{
		{RequestID: id, Text: "ワンピースに似たアクション漫画を教えてください", Model: "sonnet", MaxTokens: 1024, ConversationID: "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", Language: "ja"},
		{RequestID: w.Header().Get("X-Request-Id"), Text: "Café evil 👨‍👩‍👧 ﾊﾝｶｸ 👍️ ", Model: "haiku", MaxTokens: 512, Temperature: 0.5, Language: "auto"},
	}, b.asked)
}

func TestQueryStreams(t *testing.T) {
	b := &backend{}
	w := ask(t, rest.New(b, b), "POST", "/v1/manga/query", `{"query":"hello"}`, "Accept", "application/json;q=0.1, text/event-stream")
	require.Equal(t, 200, w.Code)
	assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	var text strings.Builder
	last := stream.Message{}
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = stream.Message{}
			require.NoError(t, json.Unmarshal([]byte(data), &last))
			text.WriteString(last.Data)
		}
	}
	assert.Equal(t, "Hello there", text.String())
	assert.Equal(t, stream.TypeComplete, last.Type)
	w = ask(t, rest.New(b, b), "POST", "/v1/manga/query", `{"query":"hello"}`, "Accept", "*/*, text/event-stream;q=0")
	assert.Contains(t, w.Header().Get("Content-Type"), "application/json")
}

// What is wrong is said with its place and its rule, before anybody is asked.
func TestRefused(t *testing.T) {
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	item := `{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}`
	for _, tt := range []struct {
		path, body      string
		status          int
		at, rule, words string
	}{
		{"query", ``, 400, "", "json", "not valid JSON"},
		{"query", `{"query":"a"} x`, 400, "", "json", "something after"},
		{"query", `{"query":"a","query":"b"}`, 400, "/query", "json", "twice"},
		{"query", `{"query":"a","x/y~":{"b":1,"b":2}}`, 400, "/x~1y~0/b", "json", "twice"},
		{"query", `{"query":` + deep + `}`, 400, "/query" + strings.Repeat("/0", 15), "json", "deeper than 16"},
		{"query", "{\"query\":\"a\xff\"}", 400, "", "json", "UTF-8"},
		{"query", `[]`, 400, "", "type", "want object"},
		{"query", `{}`, 400, "", "required", "'query'"},
		{"query", `{"query":""}`, 400, "/query", "minLength", "want 1"},
		{"query", `{"query":"\u202e \u0007"}`, 400, "/query", "minLength", "can be read"},
		{"query", `{"query":"` + strings.Repeat("あ", 4001) + `"}`, 400, "/query", "maxLength", "4,000"},
		{"query", `{"query":"a","model":"opus"}`, 400, "/model", "enum", "sonnet"},
		{"query", `{"query":"a","max_tokens":1.5}`, 400, "/max_tokens", "type", "integer"},
		{"query", `{"query":"a","max_tokens":4097}`, 400, "/max_tokens", "maximum", "4,096"},
		{"query", `{"query":"a","temperature":1e999}`, 400, "/temperature", "maximum", "1"},
		{"query", `{"query":"a","temperature":null}`, 400, "/temperature", "type", "number"},
		{"query", `{"query":"a","conversation_id":"1"}`, 400, "/conversation_id", "pattern", ""},
		{"query", `{"query":"a","role":"system"}`, 400, "", "additionalProperties", "role"},
		{"query", `{"query":"` + strings.Repeat("a", 300<<10) + `"}`, 413, "", "", "256 KiB"},
		{"batch", `{"items":[]}`, 400, "/items", "minItems", ""},
		{"batch", `{"items":[` + item + `,{"manga_id":"x","analysis_type":"y"}]}`, 400, "/items/1/analysis_type", "enum", ""},
		{"batch", `{"items":[` + item + `],"callback_url":"http://example.com/"}`, 400, "/callback_url", "pattern", ""},
		{"batch", `{"items":[` + item + `],"callback_url":"http://127.0.0.1.example.com/"}`, 400, "/callback_url", "pattern", ""},
		{"batch", `{"items":[` + item + `],"callback_url":"https://exa mple.com/"}`, 400, "/callback_url", "format", ""},
		{"batch", `{"items":[` + strings.Repeat(item+",", 100) + item + `]}`, 400, "/items", "maxItems", "100"},
		{"batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification","price":1}]}`, 400, "/items/0", "additionalProperties", "price"},
	} {
		b := &backend{}
		w := ask(t, rest.New(b, b), "POST", "/v1/manga/"+tt.path, tt.body)
		name := tt.body[:min(len(tt.body), 60)]
		require.Equal(t, tt.status, w.Code, name)
		conforms(t, "ErrorResponse", w.Body.Bytes())
		var body struct {
			Error   string
			Details []rest.Detail
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		if tt.rule != "" {
			require.NotEmpty(t, body.Details, name)
			assert.Equal(t, tt.at, body.Details[0].Path, name)
			assert.Equal(t, tt.rule, body.Details[0].Validator, name)
		}
		assert.Contains(t, w.Body.String(), tt.words, name)
		assert.Empty(t, b.asked, name)
		assert.Empty(t, b.submitted, name)
	}
}

// All that is wrong is said at once.
func TestAllDetails(t *testing.T) {
	b := &backend{}
	w := ask(t, rest.New(b, b), "POST", "/v1/manga/query", `{"model":"x","max_tokens":0,"temperature":2}`)
	var body struct{ Details []rest.Detail }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	var at []string
	for _, d := range body.Details {
		at = append(at, d.Path+" "+d.Validator)
	}
	assert.Equal(t, []string{" required", "/max_tokens minimum", "/model enum", "/temperature maximum"}, at)
}

func TestBatchAndStatus(t *testing.T) {
	const id = "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"
	cost := pricing.MustAmount("0.0004")
	began := time.Unix(1790000000, 5e8)
	b := &backend{statuses: map[string]rest.Status{
		id:  {RequestID: id, State: "completed", CreatedAt: began, CompletedAt: began.Add(3 * time.Second), Attempts: 2, Cost: &cost, Result: json.RawMessage(`{"genres":["action"]}`)},
		"q": {RequestID: "q", State: "queued", CreatedAt: began},
		"f": {RequestID: "f", State: "failed", CreatedAt: began, CompletedAt: began, Attempts: 3, Error: "the model refused"},
	}}
	h := rest.New(b, b)
	w := ask(t, h, "POST", "/v1/manga/batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"},
		{"manga_id":"MNG-DRGNBALL","analysis_type":"full_enrichment","additional_context":"for\u202e children"}],"callback_url":"https://shop.example/done","priority":"high"}`)
	require.Equal(t, 202, w.Code, w.Body)
	conforms(t, "BatchSubmitResponse", w.Body.Bytes())
	assert.JSONEq(t, `{"message":"Batch submitted","item_count":2,"request_ids":["`+id+`","`+id+`"]}`, w.Body.String())
	assert.Equal(t, []rest.Batch{{CallbackURL: "https://shop.example/done", Priority: "high", Items: []rest.Item{
		{MangaID: "MNG-ONEPIECE", AnalysisType: "genre_classification"},
		{MangaID: "MNG-DRGNBALL", AnalysisType: "full_enrichment", AdditionalContext: "for children"},
	}}}, b.submitted)

	for path, want := range map[string]string{
		id:  `{"request_id":"` + id + `","status":"completed","created_at":1790000000,"completed_at":1790000003,"attempts":2,"cost_usd":"0.0004","result":{"genres":["action"]}}`,
		"q": `{"request_id":"q","status":"queued","created_at":1790000000,"attempts":0}`,
		"f": `{"request_id":"f","status":"failed","created_at":1790000000,"completed_at":1790000000,"attempts":3,"error":"the model refused"}`,
	} {
		w := ask(t, h, "GET", "/v1/manga/status/"+path, "")
		require.Equal(t, 200, w.Code)
		conforms(t, "RequestStatusResponse", w.Body.Bytes())
		assert.JSONEq(t, want, w.Body.String())
	}
	assert.Equal(t, 404, ask(t, h, "GET", "/v1/manga/status/another", "").Code)

	b.err = &rest.InvalidError{Details: []rest.Detail{{Path: "/items/1/manga_id", Message: "the catalogue has no such manga", Validator: "exists"}}}
	w = ask(t, h, "POST", "/v1/manga/batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}]}`)
	assert.Equal(t, 400, w.Code)
	assert.Contains(t, w.Body.String(), `"path":"/items/1/manga_id"`)
	b.err = errors.New("dynamodb: arn:aws:secret")
	for _, w := range []*httptest.ResponseRecorder{
		ask(t, h, "POST", "/v1/manga/batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}]}`),
		ask(t, h, "GET", "/v1/manga/status/"+id, ""),
	} {
		assert.Equal(t, 503, w.Code)
		assert.NotContains(t, w.Body.String(), "arn:aws")
	}
}

func TestJobs(t *testing.T) {
	began := time.Unix(1790000000, 0)
	cost := pricing.MustAmount("0.0004")
	b := &backend{recent: []rest.Status{
		{RequestID: "b", BatchID: "x", AnalysisType: "reading_level", MangaID: "MNG-ONEPIECE", Title: "One Piece", Priority: "high", State: "queued", CreatedAt: began},
		{RequestID: "a", State: "completed", CreatedAt: began, CompletedAt: began, Attempts: 1, Cost: &cost},
	}}
	h := rest.New(b, b)
	w := ask(t, h, "GET", "/v1/manga/jobs?limit=7", "")
	require.Equal(t, 200, w.Code)
	conforms(t, "JobListResponse", w.Body.Bytes())
	const first = `{"request_id":"b","batch_id":"x","analysis_type":"reading_level","manga_id":"MNG-ONEPIECE","title":"One Piece","priority":"high","status":"queued","created_at":1790000000,"attempts":0}`
	const second = `{"request_id":"a","status":"completed","created_at":1790000000,"completed_at":1790000000,"attempts":1,"cost_usd":"0.0004"}`
	assert.JSONEq(t, `{"jobs":[`+first+`,`+second+`]}`, w.Body.String())
	assert.Equal(t, 7, b.limit)

	w = ask(t, h, "GET", "/v1/manga/jobs/events", "")
	require.Equal(t, 200, w.Code)
	assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	assert.Equal(t, "event: job\ndata: "+first+"\n\nevent: job\ndata: "+second+"\n\n", w.Body.String())
	assert.Equal(t, 20, b.limit, "the default")

	b.recent = []rest.Status{{}}
	assert.Equal(t, ": still here\n\n", ask(t, h, "GET", "/v1/manga/jobs/events", "").Body.String())
	b.recent = nil
	assert.JSONEq(t, `{"jobs":[]}`, ask(t, h, "GET", "/v1/manga/jobs", "").Body.String())
	for _, bad := range []string{"0", "101", "x", "1.5"} {
		for _, path := range []string{"/v1/manga/jobs?limit=", "/v1/manga/jobs/events?limit="} {
			w := ask(t, h, "GET", path+bad, "")
			assert.Equal(t, 400, w.Code)
			assert.Contains(t, w.Body.String(), "from 1 to 100")
		}
	}
	w = ask(t, h, "GET", "/v1/manga/callback-secret", "")
	conforms(t, "CallbackSecretResponse", w.Body.Bytes())
	assert.JSONEq(t, `{"secret":"whsec_abc"}`, w.Body.String())
	assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	b.err = errors.New("dynamodb: arn:aws:secret")
	assert.Equal(t, 404, ask(t, h, "GET", "/v1/manga/callback-secret", "").Code)
	w = ask(t, h, "GET", "/v1/manga/jobs", "")
	assert.Equal(t, 503, w.Code)
	assert.NotContains(t, w.Body.String(), "arn:aws")
}

// An error of the model is told by its kind, without a word of AWS's.
func TestErrorsOfTheModel(t *testing.T) {
	for kind, want := range map[bedrockx.Kind]int{
		bedrockx.KindThrottled: 429, bedrockx.KindOverloaded: 429, bedrockx.KindDailyQuota: 429, bedrockx.KindTimeout: 504, bedrockx.KindStalled: 504,
		bedrockx.KindTruncated: 502, bedrockx.KindContextOverflow: 400, bedrockx.KindAccessDenied: 502, bedrockx.KindUnknown: 500,
	} {
		var log bytes.Buffer
		b := &backend{err: &bedrockx.Error{Kind: kind, Err: errors.New("arn:aws:bedrock:us-east-1:123456789012")}}
		h := rest.New(b, b, func(o *rest.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		for _, accept := range []string{"application/json", "text/event-stream"} {
			w := ask(t, h, "POST", "/v1/manga/query", `{"query":"a SECRET"}`, "Accept", accept)
			assert.Equal(t, want, w.Code, kind)
			conforms(t, "ErrorResponse", w.Body.Bytes())
			assert.NotContains(t, w.Body.String(), "arn:aws", kind)
			assert.Contains(t, log.String(), w.Header().Get("X-Request-Id"))
			if kind == bedrockx.KindThrottled {
				assert.Equal(t, "5", w.Header().Get("Retry-After"))
			}
		}
		assert.NotContains(t, log.String(), "SECRET")
	}
}

func TestRoutes(t *testing.T) { synctest.Test(t, testRoutes) }

func testRoutes(t *testing.T) {
	b := &backend{}
	h := rest.New(b, b, func(o *rest.Options) {
		o.Ready = map[string]func(context.Context) error{
			"cache": func(context.Context) error { return b.err },
			"model": func(context.Context) error { return nil },
		}
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answers_total 3\n") })
	})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/openapi.json": 200, "/docs": 200, "/v1/nothing": 404, "/": 404} {
		assert.Equal(t, want, ask(t, h, "GET", path, "").Code, path)
	}
	assert.Equal(t, 404, ask(t, rest.New(b, b), "GET", "/metrics", "").Code)
	w := ask(t, h, "DELETE", "/v1/manga/query", "")
	assert.Equal(t, 405, w.Code)
	assert.Equal(t, "OPTIONS, POST", w.Header().Get("Allow"))
	conforms(t, "ErrorResponse", w.Body.Bytes())
	b.err = errors.New("redis is down")
	time.Sleep(1100 * time.Millisecond) // what was found is good for a second
	w = ask(t, h, "GET", "/readyz", "")
	assert.Equal(t, 503, w.Code)
	assert.JSONEq(t, `{"status":"not ready","checks":{"cache":"not ready","model":"ready"}}`, w.Body.String())

	h = rest.Shared([]string{"https://manga.example"}, h)
	preflight := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"}
	w = ask(t, h, "OPTIONS", "/v1/manga/query", "", append(preflight, "Origin", "https://manga.example")...)
	assert.Equal(t, 204, w.Code)
	assert.Equal(t, "https://manga.example", w.Header().Get("Access-Control-Allow-Origin"))
	assert.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), "Content-Type")
	w = ask(t, h, "OPTIONS", "/v1/manga/query", "", append(preflight, "Origin", "https://evil.example")...)
	assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	assert.Empty(t, w.Header().Get("Access-Control-Allow-Methods"))
}

// Anybody may ask if the server is ready. The parts are asked once a second at most,
// and one who goes away says nothing about them.
func TestReadyIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := &backend{}
		h := rest.New(b, b, func(o *rest.Options) {
			o.Ready = map[string]func(context.Context) error{"queues": func(ctx context.Context) error {
				asked++
				time.Sleep(100 * time.Millisecond)
				return ctx.Err()
			}}
		})
		gone, leave := context.WithCancel(t.Context())
		leave()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(gone, "GET", "/readyz", nil))
		assert.Equal(t, 200, w.Code)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { assert.Equal(t, 200, ask(t, h, "GET", "/readyz", "").Code) })
		}
		all.Wait()
		assert.Equal(t, 1, asked)
		time.Sleep(2 * time.Second)
		ask(t, h, "GET", "/readyz", "")
		assert.Equal(t, 2, asked)
	})
}

// panics is an assistant whose panic repeats the question.
type panics struct{ backend }

func (panics) Answer(_ context.Context, q rest.Question) (rest.Answer, error) {
	panic("cannot answer " + q.Text)
}

func TestPanicIsAnError(t *testing.T) {
	var log bytes.Buffer
	h := rest.New(&panics{}, nil, func(o *rest.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	w := ask(t, h, "POST", "/v1/manga/query", `{"query":"CANARY"}`)
	assert.Equal(t, 500, w.Code)
	conforms(t, "ErrorResponse", w.Body.Bytes())
	assert.Contains(t, log.String(), "level=ERROR msg=panic request_id="+w.Header().Get("X-Request-Id")+" type=string stack=")
	assert.NotContains(t, log.String(), "CANARY")
	assert.NotContains(t, w.Body.String(), "CANARY")
}

// Every example of the document is valid, and every $ref leads somewhere.
func TestDocument(t *testing.T) {
	var doc map[string]any
	require.NoError(t, json.Unmarshal(rest.Document(), &doc))
	examples := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				at := any(doc)
				for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					at = at.(map[string]any)[step]
				}
				assert.NotNil(t, at, ref)
			}
			if list, ok := v["examples"].(map[string]any); ok {
				for name, e := range list {
					body, err := json.Marshal(e.(map[string]any)["value"])
					require.NoError(t, err)
					b := &backend{}
					route := strings.Split(path, " ")
					w := ask(t, rest.New(b, b), strings.ToUpper(route[1]), route[0], string(body))
					assert.Less(t, w.Code, 300, "%s: %s", name, w.Body)
					examples++
				}
			}
			for k, child := range v {
				next := path
				if strings.HasPrefix(k, "/v1/") {
					next = k
				} else if strings.HasPrefix(path, "/v1/") && !strings.Contains(path, " ") {
					next = path + " " + k
				}
				walk(next, child)
			}
		case []any:
			for _, child := range v {
				walk(path, child)
			}
		}
	}
	walk("", doc)
	assert.Equal(t, 5, examples)

	golden(t, "testdata/openapi.json", rest.Document())
}

// docs.html is the document for people, and is what the server sends.
func TestDocsPage(t *testing.T) {
	var doc struct {
		Info struct {
			Title, Description, Version string
		}
		Paths map[string]map[string]struct {
			Summary, Description string
			RequestBody          struct {
				Content map[string]struct {
					Examples map[string]struct {
						Summary string
						Value   any
					}
				}
			}
			Responses map[string]struct{ Description string }
		}
		Components struct{ Schemas map[string]any }
	}
	require.NoError(t, json.Unmarshal(rest.Document(), &doc))
	pretty := func(v any) (string, error) {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err := enc.Encode(v)
		return strings.TrimSpace(b.String()), err
	}
	page := template.Must(template.New("docs.html.tmpl").Funcs(template.FuncMap{"upper": strings.ToUpper, "pretty": pretty}).ParseFiles("testdata/docs.html.tmpl"))
	var b bytes.Buffer
	require.NoError(t, page.Execute(&b, doc))
	golden(t, "docs.html", b.Bytes())
	if !*update { // the old one is in this program
		assert.Equal(t, b.String(), ask(t, rest.New(nil, nil), "GET", "/docs", "").Body.String())
	}
	for _, want := range []string{"/v1/manga/query", "ワンピースに似た", "MangaQueryRequest", "BatchAnalysisRequest"} {
		assert.Contains(t, b.String(), want)
	}
}

func golden(t *testing.T, file string, got []byte) {
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run the test with -update if the change is meant")
}

func FuzzQuery(f *testing.F) {
	f.Add(`{"query":"a","max_tokens":1e2}`)
	f.Add(`{"query":"\ud800","temperature":-0}`)
	f.Add("[[[[" + strings.Repeat("[", 30))
	f.Fuzz(func(t *testing.T, body string) {
		b := &backend{}
		w := ask(t, rest.New(b, b), "POST", "/v1/manga/query", body)
		require.Contains(t, []int{200, 400, 413}, w.Code, w.Body)
		require.Equal(t, w.Code == 200, len(b.asked) == 1)
		for _, q := range b.asked {
			require.True(t, utf8.ValidString(q.Text))
			require.Equal(t, q.Text, rest.Clean(q.Text))
			require.LessOrEqual(t, q.MaxTokens, 4096)
			require.GreaterOrEqual(t, q.MaxTokens, 1)
		}
	})
}
