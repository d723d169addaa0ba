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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the server as the program does, with an offline model of tps
// tokens a second, and returns its address and its log.
func start(t testing.TB, tps float64) (url string, log *logBuffer) {
	t.Helper()
	log = &logBuffer{}
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	s.tps = tps
	srv, closeBedrock, err := build(t.Context(), s, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	web := httptest.NewServer(srv.handler())
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		web.Client().CloseIdleConnections()
		closeBedrock()
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

const fast = 1e6 // tokens a second: no pause

// frame is what the server sends, as a client reads it.
type frame struct {
	Type         string          `json:"type"`
	RequestID    string          `json:"request_id"`
	Model        string          `json:"model"`
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

		sequence, tools := 0, 0
		for _, f := range frames {
			assert.Equal(t, frames[0].RequestID, f.RequestID)
			switch f.Type {
			case "token":
				sequence++
				assert.Equal(t, sequence, f.Sequence)
			case "tool_use":
				tools++
				assert.Contains(t, string(f.Input), "query")
			case "tool_result":
				assert.Equal(t, "success", f.Status)
				assert.True(t, json.Valid(f.Content))
			}
		}
		assert.Greater(t, sequence, 5, "it comes in pieces")
		assert.Positive(t, tools, "it looks into the catalogue")
		assert.NotContains(t, log.String(), question)
		assert.NotContains(t, log.String(), text[:20])
	}
}

func TestBadFramesAreRefusedAndTheOthersLiveOn(t *testing.T) {
	url, _ := start(t, fast)
	c := dial(t, url)
	long := strings.Repeat("あ", maxQuestion+1)
	many := make([]string, maxMessages+1)
	for i := range many {
		many[i] = "x"
	}
	tests := []struct{ name, send, want string }{
		{"empty question", chat("haiku", ""), "messages[0].content"},
		{"blank question", chat("haiku", " \n\t"), "messages[0].content"},
		{"long question", chat("haiku", long), "4001 characters"},
		{"unknown model", chat("opus", "hi"), `must be "haiku" or "sonnet"`},
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
		{"frame too large", chat("haiku", strings.Repeat("x", maxFrame)), "bytes"},
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
		"huge":      {bytes.Repeat([]byte("x"), closeFrame+1), websocket.StatusMessageTooBig},
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

func TestTooManyAnswersAtOnce(t *testing.T) {
	url, _ := start(t, 20)
	c := dial(t, url)
	for i := range maxAnswers + 1 {
		c.send(fmt.Sprintf(`{"request_id":"r%d","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`, i))
	}
	for {
		f := c.next()
		if f.Type == "error" {
			assert.Equal(t, fmt.Sprintf("r%d", maxAnswers), f.RequestID)
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
	assert.Equal(t, "anthropic.claude-3-sonnet-20240229-v1:0", v["model"])
	assert.Equal(t, "end_turn", v["stop_reason"])
	assert.NotEmpty(t, v["cost_usd"])
	assert.NotEmpty(t, v["request_id"])

	status, v = post(t, url, `{"query":"What are the best seinen manga from 2023?"}`)
	require.Equal(t, 200, status)
	assert.Equal(t, "anthropic.claude-3-haiku-20240307-v1:0", v["model"], "the default")
}

func TestBadQueries(t *testing.T) {
	url, _ := start(t, fast)
	long, _ := json.Marshal(map[string]string{"query": strings.Repeat("漫", maxQuestion+1)})
	tests := []struct {
		name, body string
		status     int
		path       string
	}{
		{"no query", `{}`, 400, "query"},
		{"null query", `{"query":null}`, 400, "query"},
		{"empty query", `{"query":""}`, 400, "query"},
		{"blank query", `{"query":"  "}`, 400, "query"},
		{"long query", string(long), 400, "query"},
		{"number", `{"query":5}`, 400, "query"},
		{"model", `{"query":"a","model":"opus"}`, 400, "model"},
		{"max_tokens 0", `{"query":"a","max_tokens":0}`, 400, "max_tokens"},
		{"max_tokens 4097", `{"query":"a","max_tokens":4097}`, 400, "max_tokens"},
		{"max_tokens 1.5", `{"query":"a","max_tokens":1.5}`, 400, "max_tokens"},
		{"temperature", `{"query":"a","temperature":1.1}`, 400, "temperature"},
		{"conversation id", `{"query":"a","conversation_id":"x"}`, 400, "conversation_id"},
		{"language", `{"query":"a","language":"fr"}`, 400, "language"},
		{"broken", `{"query":`, 400, ""},
		{"empty", ``, 400, ""},
		{"two values", `{"query":"a"}{"query":"b"}`, 400, ""},
		{"too large", `{"query":"` + strings.Repeat("x", maxBody) + `"}`, 413, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, v := post(t, url, tt.body)
			assert.Equal(t, tt.status, status)
			assert.NotEmpty(t, v["error"])
			assert.NotEmpty(t, v["request_id"])
			if tt.path != "" {
				detail := v["details"].([]any)[0].(map[string]any)
				assert.Equal(t, tt.path, detail["path"])
				assert.NotEmpty(t, detail["message"])
			}
		})
	}
}

func TestPage(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	for path, kind := range map[string]string{"/": "text/html", "/style.css": "text/css", "/app.js": "text/javascript", "/v1/info": "application/json"} {
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
	assert.Equal(t, "POST", resp.Header.Get("Allow"))
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
	round(max(100, *questions/10)) // caches and pools fill
	goroutines, heap := measure()
	round(*questions)
	goroutinesAfter, heapAfter := measure()
	assert.LessOrEqual(t, goroutinesAfter, goroutines+5)
	assert.Less(t, heapAfter, heap+2<<20)
	t.Logf("%d questions: %d → %d goroutines, %d → %d KiB of heap", *questions, goroutines, goroutinesAfter, heap>>10, heapAfter>>10)
}
