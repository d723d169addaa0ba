package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the server as the program does, with an offline model of tps
// tokens a second, and returns its address and its log.
func start(t testing.TB, tps float64, args ...string) (url string, log *logBuffer) {
	t.Helper()
	log = &logBuffer{}
	s, err := parse(args, io.Discard)
	require.NoError(t, err)
	s.TPS = tps
	srv, err := app.Build(t.Context(), s, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	web := httptest.NewServer(srv.Handler())
	working, stopWorking := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- srv.Work(working) }()
	t.Cleanup(func() {
		stopWorking()
		assert.NoError(t, <-worked)
		web.CloseClientConnections()
		web.Close()
		web.Client().CloseIdleConnections()
		srv.Close()
	})
	return web.URL, log
}

// logBuffer is a log that may be read while the server writes.
type logBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	drop bool
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drop {
		return len(p), nil
	}
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

const fast = 1e6 // tokens a second: no pause

// frame is what the server sends, as a client reads it.
type frame struct {
	Type         string          `json:"type"`
	RequestID    string          `json:"request_id"`
	AnswerID     string          `json:"answer_id"`
	Model        string          `json:"model"`
	Reason       string          `json:"reason"`
	Data         string          `json:"data"`
	Sequence     int             `json:"sequence"`
	ToolUseID    string          `json:"tool_use_id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	Status       string          `json:"status"`
	Content      json.RawMessage `json:"content"`
	Usage        map[string]any  `json:"usage"`
	StopReason   string          `json:"stop_reason"`
	CostUSD      string          `json:"cost_usd"`
	Cached       bool            `json:"cached"`
	Code         string          `json:"code"`
	Message      string          `json:"message"`
	FirstTokenMS *int64          `json:"time_to_first_token_ms"`
}

type client struct {
	t    testing.TB
	conn *websocket.Conn
}

func dial(t testing.TB, url string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws", nil)
	require.NoError(t, err)
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &client{t, conn}
}

func (c *client) send(text string) {
	c.t.Helper()
	require.NoError(c.t, c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)))
}

func (c *client) next() frame {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	var f frame
	require.NoError(c.t, wsjson.Read(ctx, c.conn, &f))
	return f
}

// answer reads the frames of one answer to its end.
func (c *client) answer() (text string, frames []frame) {
	c.t.Helper()
	for {
		f := c.next()
		frames = append(frames, f)
		switch f.Type {
		case "token":
			text += f.Data
		case "complete", "error":
			return text, frames
		}
	}
}

func chat(model string, contents ...string) string {
	messages := make([]map[string]string, len(contents))
	for i, content := range contents {
		messages[i] = map[string]string{"role": []string{"user", "assistant"}[i%2], "content": content}
	}
	data, _ := json.Marshal(map[string]any{"messages": messages, "model": model})
	return string(data)
}

func TestQuestionsAreAnswered(t *testing.T) {
	url, log := start(t, fast)
	c := dial(t, url)
	for question, want := range map[string]string{
		"ワンピースに似たアクション漫画を教えてください":                   "『",
		"What are the best seinen manga from 2023?": "seinen",
	} {
		c.send(chat("sonnet", question))
		text, frames := c.answer()
		assert.Contains(t, text, want)
		last := frames[len(frames)-1]
		require.Equal(t, "complete", last.Type, "%+v", last)
		assert.Equal(t, "end_turn", last.StopReason)
		assert.NotEmpty(t, last.CostUSD)
		assert.Positive(t, last.Usage["input_tokens"])
		assert.Positive(t, last.Usage["output_tokens"])
		assert.Equal(t, "start", frames[0].Type)
		assert.NotEmpty(t, frames[0].RequestID)

		pieces, sequence, tools := 0, 0, 0
		for _, f := range frames[1:] {
			assert.Equal(t, frames[0].RequestID, f.RequestID)
			assert.Greater(t, f.Sequence, sequence)
			sequence = f.Sequence
			switch f.Type {
			case "token":
				pieces++
			case "tool_use":
				tools++
				assert.Contains(t, string(f.Input), "query")
			case "tool_result":
				assert.Equal(t, "success", f.Status)
				assert.True(t, json.Valid(f.Content))
			}
		}
		assert.Positive(t, pieces)
		assert.Positive(t, tools, "it looks into the catalogue")
		assert.NotContains(t, log.String(), question)
		assert.NotContains(t, log.String(), text[:20])
	}
}

func TestBadFramesAreRefusedAndTheOthersLiveOn(t *testing.T) {
	url, _ := start(t, fast)
	c := dial(t, url)
	long := strings.Repeat("あ", socket.MaxQuestion+1)
	many := make([]string, 101)
	for i := range many {
		many[i] = "x"
	}
	tests := []struct{ name, send, want string }{
		{"empty question", chat("haiku", ""), "messages[0].content"},
		{"blank question", chat("haiku", " \n\t"), "messages[0].content"},
		{"long question", chat("haiku", long), "4001 characters"},
		{"unknown model", chat("opus", "hi"), `must be "haiku", "sonnet" or "auto"`},
		{"no messages", `{"messages":[]}`, "messages"},
		{"too many messages", chat("haiku", many...), "at most 100"},
		{"assistant last", chat("haiku", "a", "b"), "must end with"},
		{"wrong role", `{"messages":[{"role":"system","content":"x"}]}`, "messages[0].role"},
		{"broken JSON", `{"messages":`, "not valid JSON"},
		{"no object", `[1]`, "not"},
		{"wrong type", `{"messages":"hi"}`, "messages"},
		{"something behind", `{} {}`, "after the JSON value"},
		{"unknown frame type", `{"type":"dance"}`, "type"},
		{"bad request id", `{"request_id":"a b","messages":[{"role":"user","content":"hi"}]}`, "request_id"},
		{"frame too large", chat("haiku", strings.Repeat("x", 128<<10)), "bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.send(tt.send)
			f := c.next()
			assert.Equal(t, "error", f.Type)
			assert.Equal(t, "bad_request", f.Code)
			assert.Contains(t, f.Message, tt.want)

			c.send(chat("haiku", "hello"))
			_, frames := c.answer()
			assert.Equal(t, "complete", frames[len(frames)-1].Type, "the next question is answered")
		})
	}
	t.Run("binary", func(t *testing.T) {
		require.NoError(t, c.conn.Write(t.Context(), websocket.MessageBinary, []byte("x")))
		assert.Equal(t, "error", c.next().Type)
	})
	t.Run("stop of an answer that has ended", func(t *testing.T) {
		c.send(`{"type":"stop","request_id":"gone"}`)
		c.send(chat("haiku", "hello"))
		_, frames := c.answer()
		assert.Equal(t, "complete", frames[len(frames)-1].Type)
	})
}

func TestFramesThatCloseTheConnection(t *testing.T) {
	url, _ := start(t, fast)
	for name, tt := range map[string]struct {
		send   []byte
		status websocket.StatusCode
	}{
		"not UTF-8": {[]byte("\xff\xfe"), websocket.StatusInvalidFramePayloadData},
		"huge":      {bytes.Repeat([]byte("x"), 1<<20+1), websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, url)
			_ = c.conn.Write(t.Context(), websocket.MessageText, tt.send)
			_, _, err := c.conn.Read(t.Context())
			assert.Equal(t, tt.status, websocket.CloseStatus(err), "%v", err)
		})
	}
}

func TestAnswerIsStoppedAndTheOthersGoOn(t *testing.T) {
	url, log := start(t, 200)
	c := dial(t, url)
	ask := func(id string) {
		c.send(fmt.Sprintf(`{"type":"chat","request_id":%q,"model":"haiku","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`, id))
	}
	ask("one")
	ask("two")
	stopped, ended := false, map[string]frame{}
	for len(ended) < 2 {
		f := c.next()
		switch f.Type {
		case "token":
			if f.RequestID == "one" && !stopped {
				stopped = true
				c.send(`{"type":"stop","request_id":"one"}`)
			}
		case "complete", "error":
			ended[f.RequestID] = f
		}
	}
	assert.Equal(t, "complete", ended["one"].Type, "%+v", ended["one"])
	assert.Equal(t, "cancelled", ended["one"].StopReason)
	assert.Equal(t, true, ended["one"].Usage["unknown"])
	assert.Empty(t, ended["one"].CostUSD, "what nobody knows is not told as 0")
	assert.Equal(t, "end_turn", ended["two"].StopReason)
	assert.Contains(t, log.String(), "stopped")
}

// A connection that is lost stops nothing: another one reads on, each message once
// and in order, and the model was asked once.
func TestAnswerOutlivesItsConnection(t *testing.T) {
	url, log := start(t, 150)
	c := dial(t, url)
	c.send(`{"type":"chat","request_id":"one","model":"haiku","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`)
	first := c.next()
	require.Equal(t, "start", first.Type)
	require.NotEmpty(t, first.AnswerID)
	text, after := "", 0
	for text == "" {
		f := c.next()
		text += f.Data
		after = f.Sequence
	}
	require.NoError(t, c.conn.CloseNow())

	c = dial(t, url)
	c.send(fmt.Sprintf(`{"type":"resume","request_id":"again","answer_id":%q,"after":%d}`, first.AnswerID, after))
	rest, frames := c.answer()
	assert.Equal(t, "start", frames[0].Type)
	for _, f := range frames[1:] {
		assert.Equal(t, "again", f.RequestID)
		assert.Greater(t, f.Sequence, after)
		after = f.Sequence
	}
	assert.Equal(t, "end_turn", frames[len(frames)-1].StopReason)
	assert.Contains(t, text+rest, "5. **")

	c.send(fmt.Sprintf(`{"type":"resume","request_id":"whole","answer_id":%q}`, first.AnswerID))
	whole, _ := c.answer()
	assert.Equal(t, text+rest, whole)
	c.send(fmt.Sprintf(`{"type":"resume","request_id":"end","answer_id":%q,"after":%d}`, first.AnswerID, after))
	nothing, frames := c.answer()
	assert.Empty(t, nothing)
	assert.Equal(t, "complete", frames[len(frames)-1].Type)
	// The line is written when the last frame is on its way.
	assert.Eventually(t, func() bool { return strings.Contains(log.String(), "msg=answered") }, 5*time.Second, 5*time.Millisecond)
	assert.Equal(t, 1, strings.Count(log.String(), "msg=answered"), "the model was asked once")

	c.send(`{"type":"resume","request_id":"x","answer_id":"another"}`)
	_, frames = c.answer()
	assert.Equal(t, "gone", frames[len(frames)-1].Code)
	c.send(`{"type":"resume","request_id":"x"}`)
	assert.Contains(t, c.next().Message, "answer_id")
}

// Another connection can stop an answer as well.
func TestStopAfterResume(t *testing.T) {
	url, log := start(t, 20)
	c := dial(t, url)
	c.send(`{"request_id":"one","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`)
	first := c.next()
	require.NoError(t, c.conn.CloseNow())
	c = dial(t, url)
	c.send(fmt.Sprintf(`{"type":"resume","request_id":"again","answer_id":%q}`, first.AnswerID))
	require.Equal(t, "start", c.next().Type)
	c.send(`{"type":"stop","request_id":"again"}`)
	_, frames := c.answer()
	assert.Equal(t, "cancelled", frames[len(frames)-1].StopReason)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "stopped") }, 10*time.Second, time.Millisecond)
}

func TestTooManyAnswersAtOnce(t *testing.T) {
	url, _ := start(t, 20)
	c := dial(t, url)
	const most = 4
	for i := range most + 1 {
		c.send(fmt.Sprintf(`{"request_id":"r%d","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`, i))
	}
	for {
		f := c.next()
		if f.Type == "error" {
			assert.Equal(t, fmt.Sprintf("r%d", most), f.RequestID)
			assert.Contains(t, f.Message, "wait")
			break
		}
	}
	c.send(`{"request_id":"r0","messages":[{"role":"user","content":"hi"}]}`)
	for {
		if f := c.next(); f.Type == "error" {
			assert.Contains(t, f.Message, "still being given")
			break
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	url, _ := start(t, fast)
	for _, origin := range []string{"https://evil.example", "null"} {
		_, resp, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		require.Error(t, err)
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, origin)
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	for name, change := range map[string]func(*http.Request){
		"cross-site": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"rebound": func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Origin", "http://evil.example") },
	} {
		r, err := http.NewRequest("POST", url+"/v1/manga/query", strings.NewReader(`{"query":"hello"}`))
		require.NoError(t, err)
		change(r)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, name)
	}
}

// A server without keys answers for this machine's names. Port 80 is not in a Host.
func TestHosts(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	for host, want := range map[string]int{
		"localhost": 200, "127.0.0.1": 200, "[::1]": 200, "localhost:8080": 200, "[::1]:8080": 200,
		"evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403, "192.0.2.1": 403, "127.0.0.1.evil.example": 403,
	} {
		r, err := http.NewRequest("GET", url+"/healthz", nil)
		require.NoError(t, err)
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, want, resp.StatusCode, host)
	}
}

// Whoever reads "complete" may ask again at once, with the same id.
func TestRequestIDIsFreeAtTheEnd(t *testing.T) {
	url, _ := start(t, fast)
	c := dial(t, url)
	for range 200 {
		c.send(`{"request_id":"r1","model":"haiku","messages":[{"role":"user","content":"hello"}]}`)
		_, frames := c.answer()
		require.Equal(t, "complete", frames[len(frames)-1].Type, "%+v", frames[len(frames)-1])
	}
}

func post(t *testing.T, url, body string) (int, map[string]any) {
	t.Helper()
	resp, err := http.Post(url+"/v1/manga/query", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var v map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
	return resp.StatusCode, v
}

func TestQuery(t *testing.T) {
	url, _ := start(t, fast)
	status, v := post(t, url, `{"query":"ワンピースに似たアクション漫画を教えてください","model":"sonnet","language":"ja","max_tokens":1024}`)
	require.Equal(t, 200, status, "%v", v)
	assert.Contains(t, v["response"], "『")
	assert.Equal(t, "sonnet", v["model"])
	assert.Equal(t, "us.anthropic.claude-sonnet-4-6", v["model_id"])
	assert.Equal(t, "end_turn", v["stop_reason"])
	assert.NotEmpty(t, v["cost_usd"])
	assert.NotEmpty(t, v["request_id"])

	status, v = post(t, url, `{"query":"What are the best seinen manga from 2023?"}`)
	require.Equal(t, 200, status)
	assert.Equal(t, "us.anthropic.claude-haiku-4-5-20251001-v1:0", v["model_id"], "the default")
}

// A conversation goes on under its id, and only there.
func TestConversations(t *testing.T) {
	url, _ := start(t, fast)
	const one, other = "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c12"
	ask := func(id, query string) string {
		status, v := post(t, url, fmt.Sprintf(`{"query":%q,"conversation_id":%q,"language":"en"}`, query, id))
		require.Equal(t, 200, status, "%v", v)
		return v["response"].(string)
	}
	assert.Contains(t, ask(one, "Who wrote Monster?"), "Naoki Urasawa")
	assert.Contains(t, ask(one, "And how many volumes does it have?"), "18 volumes")
	assert.NotContains(t, ask(other, "And how many volumes does it have?"), "18 volumes")
}

// A batch is accepted, done, and its results are there.
func TestBatch(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Post(url+"/v1/manga/batch", "application/json", strings.NewReader(`{"items":[
		{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"},{"manga_id":"MNG-DRGNBALL","analysis_type":"full_enrichment"}],"priority":"high"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	var batch struct {
		RequestIDs []string `json:"request_ids"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&batch))
	require.Len(t, batch.RequestIDs, 2)
	for _, id := range batch.RequestIDs {
		var status map[string]any
		require.Eventually(t, func() bool {
			resp, err := http.Get(url + "/v1/manga/status/" + id)
			require.NoError(t, err)
			defer resp.Body.Close()
			status = nil
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&status))
			return status["completed_at"] != nil
		}, 30*time.Second, 5*time.Millisecond)
		assert.Equal(t, "completed", status["status"], "%v", status)
		assert.NotEmpty(t, status["result"])
		assert.NotEmpty(t, status["cost_usd"])
	}
}

// With keys nobody asks without one, and nobody sees what is another's.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	newKey := func(name string) string {
		var out strings.Builder
		require.NoError(t, manageKeys(t.Context(), []string{"add", "-file", file, name}, &out, io.Discard))
		return strings.TrimSpace(out.String())
	}
	one, other := newKey("one"), newKey("other")
	url, log := start(t, fast, "-keys", file)
	defer http.DefaultClient.CloseIdleConnections()
	call := func(method, path, key, body string) (int, map[string]any) {
		r, err := http.NewRequest(method, url+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-Api-Key", key)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		var v map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
		return resp.StatusCode, v
	}
	status, v := call("POST", "/v1/manga/query", "", `{"query":"hi"}`)
	assert.Equal(t, 401, status)
	assert.Contains(t, v["error"], "API key")
	assert.NotEmpty(t, v["request_id"])
	const conversation = `"conversation_id":"5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11","language":"en"`
	status, _ = call("POST", "/v1/manga/query", one, `{"query":"Who wrote Monster?",`+conversation+`}`)
	require.Equal(t, 200, status)
	_, v = call("POST", "/v1/manga/query", other, `{"query":"And how many volumes does it have?",`+conversation+`}`)
	assert.NotContains(t, v["response"], "18 volumes", "it is another's conversation")
	_, v = call("POST", "/v1/manga/query", one, `{"query":"And how many volumes does it have?",`+conversation+`}`)
	assert.Contains(t, v["response"], "18 volumes")

	status, v = call("POST", "/v1/manga/batch", one, `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level"}]}`)
	require.Equal(t, 202, status)
	id := v["request_ids"].([]any)[0].(string)
	status, _ = call("GET", "/v1/manga/status/"+id, other, "")
	assert.Equal(t, 404, status)
	status, _ = call("GET", "/v1/manga/status/"+id, one, "")
	assert.Equal(t, 200, status)

	// A WebSocket needs a ticket, which is good once.
	socket := strings.Replace(url, "http", "ws", 1) + "/ws"
	_, resp, err := websocket.Dial(t.Context(), socket, nil)
	require.Error(t, err)
	assert.Equal(t, 401, resp.StatusCode)
	status, v = call("POST", "/v1/ticket", one, "")
	require.Equal(t, 200, status)
	conn, _, err := websocket.Dial(t.Context(), socket+"?ticket="+v["ticket"].(string), nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	c := &client{t, conn}
	c.send(chat("haiku", "hello"))
	_, frames := c.answer()
	assert.Equal(t, "complete", frames[len(frames)-1].Type)
	_, _, err = websocket.Dial(t.Context(), socket+"?ticket="+v["ticket"].(string), nil)
	require.Error(t, err)

	// Messages count as requests do.
	for range 40 {
		c.send(chat("haiku", "hello"))
	}
	busy := false
	for range 40 {
		_, frames := c.answer()
		last := frames[len(frames)-1]
		busy = busy || last.Code == "busy" && last.Message == "Too many requests. Please wait a moment."
	}
	assert.True(t, busy)
	assert.NotContains(t, log.String(), one)
	assert.NotContains(t, log.String(), v["ticket"])

	var out strings.Builder
	require.NoError(t, manageKeys(t.Context(), []string{"list", "-file", file}, &out, io.Discard))
	assert.Contains(t, out.String(), "other")
	require.NoError(t, manageKeys(t.Context(), []string{"revoke", "-file", file, other[4:12]}, io.Discard, io.Discard))
	require.ErrorContains(t, manageKeys(t.Context(), []string{"rename"}, io.Discard, io.Discard), "usage")

	var said strings.Builder
	require.NoError(t, manageKeys(t.Context(), []string{"list", "-file", filepath.Join(t.TempDir(), "none.json")}, io.Discard, &said))
	assert.Contains(t, said.String(), "There are no keys in ")
	for _, args := range [][]string{{"-h"}, {"add", "-h"}} {
		said.Reset()
		require.ErrorIs(t, manageKeys(t.Context(), args, io.Discard, &said), flag.ErrHelp)
		assert.Equal(t, keysUsage+"\n", said.String())
	}
}

func TestPage(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	for path, kind := range map[string]string{"/": "text/html", "/style.css": "text/css", "/app.js": "text/javascript", "/v1/info": "application/json",
		"/docs": "text/html", "/openapi.json": "application/json", "/healthz": "application/json", "/readyz": "application/json"} {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode, path)
		assert.Contains(t, resp.Header.Get("Content-Type"), kind, path)
		assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), path)
	}
	resp, err := http.Get(url + "/v1/manga/query")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	assert.Equal(t, "OPTIONS, POST", resp.Header.Get("Allow"))
}

func TestProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-tps", "20"}, w, io.Discard)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	require.True(t, lines.Scan())
	url := lines.Text()
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/$`, url)
	go io.Copy(io.Discard, r)

	// It ends at once, though an answer is being given.
	c := dial(t, strings.TrimSuffix(url, "/"))
	c.send(chat("haiku", "Recommend five seinen manga"))
	assert.Equal(t, "start", c.next().Type)
	cancel()
	for {
		if _, _, err := c.conn.Read(t.Context()); err != nil {
			assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "%v", err)
			break
		}
	}
	require.NoError(t, <-done)
}

func TestFlagsThatCanNotBe(t *testing.T) {
	for _, args := range [][]string{{"-bedrock", "gcp"}, {"-tps", "0"}, {"extra"}, {"-nope"}, {"-haiku", "no model"}, {"-addr", "256.0.0.1:1"}, {"-addr", ":8080"}, {"-addr", "0.0.0.0:0"}, {"-addr", "127.0.0.1"}} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		assert.Error(t, err, "%v", args)
	}
}

var questions = flag.Int("questions", 300, "how many questions TestTenThousandQuestions asks")

// Question after question over one process: no goroutine and no memory grows.
func TestTenThousandQuestions(t *testing.T) {
	url, log := start(t, fast)
	log.drop = true
	asked := []string{"ワンピースに似たアクション漫画を教えてください", "What are the best seinen manga from 2023?", "hello", "Is Berserk in stock?"}
	var c *client
	round := func(n int) {
		for i := range n {
			if i%50 == 0 { // connections come and go
				if c != nil {
					c.conn.Close(websocket.StatusNormalClosure, "")
				}
				c = dial(t, url)
			}
			c.send(chat("haiku", asked[i%len(asked)]))
			_, frames := c.answer()
			require.Equal(t, "complete", frames[len(frames)-1].Type)
		}
	}
	measure := func() (int, uint64) {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	warm := max(100, *questions/4)
	round(warm) // caches and pools
	goroutines, heap := measure()
	round(*questions)
	goroutinesAfter, heapAfter := measure()
	assert.LessOrEqual(t, goroutinesAfter, goroutines+5)
	kept := max(0, min(*questions, 10_000-warm)) * 8 << 10 // the server keeps 10,000 answers
	assert.Less(t, heapAfter, heap+2<<20+uint64(kept))
	t.Logf("%d questions: %d → %d goroutines, %d → %d KiB of heap", *questions, goroutines, goroutinesAfter, heap>>10, heapAfter>>10)
}
