package socket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/gatewaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret that the API Gateway alone knows"

// world is an assistant behind an API Gateway.
type world struct {
	fake    *bedrocktest.Server
	handler *socket.Handler
	gateway *gatewaytest.Gateway
	server  *httptest.Server
	key     string
	log     *logBuffer
	panics  any // what a policy of the client panics with
}

// logBuffer is a log that may be read while the server writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// behindGateway starts one. Callers need the key, or a ticket of gate.
func behindGateway(t *testing.T, optFns ...func(*socket.Options)) *world {
	t.Helper()
	w := &world{fake: bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true }), log: &logBuffer{}}
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	w.key, err = keys.Add("partner")
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	client := bedrockx.New(w.fake.Client(), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				if w.panics != nil {
					panic(w.panics)
				}
				return next(ctx, call)
			}
		})
	})
	manga := assistant.New(client, shop.New(catalog.Default()), map[string]bedrockkit.ModelID{"haiku": "us.anthropic.claude-haiku-4-5-20251001-v1:0", "sonnet": "us.anthropic.claude-sonnet-4-6"})
	w.handler = socket.New(manga, auth.NewGate(auth.NewLimits(), keys), log, optFns...)

	routes := http.NewServeMux()
	w.server = httptest.NewServer(routes)
	w.gateway = gatewaytest.New(t, gatewaytest.HTTP(w.server.URL, secret))
	api := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: &w.gateway.ConnectionsURL, Region: "us-east-1", HTTPClient: w.server.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
	routes.Handle("/gateway/", w.handler.Gateway(api, socket.NewMemoryConnections()).Handler(secret))
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		w.handler.Close(ended)
		w.server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return w
}

func (w *world) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), w.gateway.URL, &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {w.key}}})
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

type frame struct {
	Type, Code, Message, Data string
	RequestID                 string `json:"request_id"`
	AnswerID                  string `json:"answer_id"`
	StopReason                string `json:"stop_reason"`
	Sequence                  int64
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func next(t *testing.T, conn *websocket.Conn) (f frame) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, wsjson.Read(ctx, conn, &f))
	return f
}

// answer reads an answer to its end.
func answer(t *testing.T, conn *websocket.Conn) (text string, frames []frame) {
	t.Helper()
	for {
		f := next(t, conn)
		frames, text = append(frames, f), text+f.Data
		if f.Type == "complete" || f.Type == "error" {
			return text, frames
		}
	}
}

const hello = `{"request_id":"one","messages":[{"role":"user","content":"hello"}]}`

func TestGateway(t *testing.T) {
	w := behindGateway(t)
	long := strings.Repeat("word ", 2000)
	w.fake.Reply(bedrocktest.Text(long).ChunkSize(5))
	conn := w.dial(t)
	send(t, conn, hello)
	text, frames := answer(t, conn)
	assert.Equal(t, long, text)
	assert.Equal(t, "start", frames[0].Type)
	assert.Equal(t, "end_turn", frames[len(frames)-1].StopReason)
	assert.Less(t, w.gateway.Posts(), 40, "what comes within 250 ms is one message")
	var after int64
	for _, f := range frames[1:] {
		assert.Equal(t, "one", f.RequestID)
		assert.Greater(t, f.Sequence, after)
		after = f.Sequence
	}
	assert.Len(t, w.fake.Requests(), 1)

	send(t, conn, fmt.Sprintf(`{"type":"resume","request_id":"two","answer_id":%q}`, frames[0].AnswerID))
	again, _ := answer(t, conn)
	assert.Equal(t, long, again)
	assert.Len(t, w.fake.Requests(), 1, "the model was asked once")

	for message, want := range map[string]string{
		`{"messages":`:                           "not valid JSON",
		`{"type":"dance"}`:                       "type",
		`{"messages":[]}`:                        "messages",
		"{\"type\":\"\xff\"}":                    "UTF-8",
		`"` + strings.Repeat("x", 131_069) + `"`: "", // the most that the service takes
	} {
		send(t, conn, message)
		f := next(t, conn)
		assert.Equal(t, "bad_request", f.Code)
		assert.Contains(t, f.Message, want)
	}
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool { return len(w.gateway.Connections()) == 0 }, 10*time.Second, time.Millisecond)
}

// A client is let in by $connect or not at all.
func TestGatewayRefuses(t *testing.T) {
	w := behindGateway(t, func(o *socket.Options) { o.Origins = []string{"https://manga.example"} })
	for name, tt := range map[string]struct {
		header http.Header
		status int
	}{
		"no key":          {http.Header{}, 401},
		"a wrong key":     {http.Header{"X-Api-Key": {"mak_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAA"}}, 401},
		"another origin":  {http.Header{"X-Api-Key": {w.key}, "Origin": {"https://evil.example"}}, 403},
		"no origin":       {http.Header{"X-Api-Key": {w.key}, "Origin": {"null"}}, 403},
		"one that may":    {http.Header{"X-Api-Key": {w.key}, "Origin": {"https://manga.example"}}, 101},
		"a key as bearer": {http.Header{"Authorization": {"Bearer " + w.key}}, 101},
	} {
		conn, resp, err := websocket.Dial(t.Context(), w.gateway.URL, &websocket.DialOptions{HTTPHeader: tt.header})
		require.NotNil(t, resp, name)
		assert.Equal(t, tt.status, resp.StatusCode, name)
		assert.Equal(t, tt.status == 101, err == nil, name)
		if conn != nil {
			conn.CloseNow()
		}
	}

	// Nobody but the API Gateway may speak for a connection.
	post := func(path, secret, id, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set(socket.HeaderSecret, secret)
		r.Header.Set(socket.HeaderConnection, id)
		r.Header.Set("X-Api-Key", w.key)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"/gateway/connect", "/gateway/message", "/gateway/disconnect"} {
		assert.Equal(t, 403, post(path, "", "abc=", hello), path)
		assert.Equal(t, 403, post(path, secret+"x", "abc=", hello), path)
	}
	assert.Equal(t, 410, post("/gateway/message", secret, "abc=", hello), "it did not connect")
	assert.Equal(t, 204, post("/gateway/disconnect", secret, "abc=", ""))
	assert.Equal(t, 404, post("/gateway/other", secret, "abc=", ""))
	assert.Equal(t, 413, post("/gateway/message", secret, "abc=", strings.Repeat("x", 128<<10+2)))
	assert.Empty(t, w.fake.Requests())
	empty := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/gateway/connect", nil)
	w.handler.Gateway(nil, socket.NewMemoryConnections()).Handler("").ServeHTTP(empty, r)
	assert.Equal(t, 403, empty.Code, "an empty secret is none")
}

func TestGatewayStop(t *testing.T) {
	w := behindGateway(t)
	for _, stop := range []string{`{"type":"stop","request_id":"one"}`, `{"type":"stop","request_id":"x","answer_id":%q}`} {
		w.fake.Reply(bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(100))
		conn := w.dial(t)
		send(t, conn, hello)
		first := next(t, conn)
		require.Equal(t, "start", first.Type)
		require.Equal(t, "token", next(t, conn).Type)
		if strings.Contains(stop, "%q") {
			stop = fmt.Sprintf(stop, first.AnswerID)
			other := w.dial(t)
			send(t, other, stop)
		} else {
			send(t, conn, stop)
		}
		_, frames := answer(t, conn)
		assert.Equal(t, "cancelled", frames[len(frames)-1].StopReason)
	}
}

// A connection that is gone ends the reader, and not the answer: another connection
// reads on.
func TestGatewayConnectionGone(t *testing.T) {
	w := behindGateway(t)
	long := strings.Repeat("word ", 300)
	w.fake.Reply(bedrocktest.Text(long).ChunkSize(5).Pace(200))
	conn := w.dial(t)
	send(t, conn, hello)
	start := next(t, conn)
	f := next(t, conn)
	require.Equal(t, "token", f.Type)
	w.gateway.Cut(w.gateway.Connections()[0])
	require.Eventually(t, func() bool { return len(w.gateway.Connections()) == 0 }, 10*time.Second, time.Millisecond)
	posts := w.gateway.Posts()

	conn = w.dial(t)
	send(t, conn, fmt.Sprintf(`{"type":"resume","request_id":"again","answer_id":%q,"after":%d}`, start.AnswerID, f.Sequence))
	rest, frames := answer(t, conn)
	assert.Equal(t, long, f.Data+rest)
	assert.Equal(t, "end_turn", frames[len(frames)-1].StopReason)
	assert.Len(t, w.fake.Requests(), 1, "the model was asked once")
	assert.Equal(t, len(frames), w.gateway.Posts()-posts, "nothing more was posted to the one that is gone")
}

// An answer that nobody reads ends after the grace period.
func TestGatewayGrace(t *testing.T) {
	w := behindGateway(t, func(o *socket.Options) { o.Grace = 50 * time.Millisecond })
	w.fake.Reply(bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(100))
	conn := w.dial(t)
	send(t, conn, hello)
	start := next(t, conn)
	require.Equal(t, "token", next(t, conn).Type)
	require.NoError(t, conn.CloseNow())
	require.Eventually(t, func() bool { return strings.Contains(w.log.String(), "request_id=one") }, 10*time.Second, time.Millisecond)
	conn = w.dial(t)
	send(t, conn, fmt.Sprintf(`{"type":"resume","request_id":"again","answer_id":%q}`, start.AnswerID))
	_, frames := answer(t, conn)
	assert.Equal(t, "interrupted", frames[len(frames)-1].Code)
}

// The integration returns before the answer, and Close waits for what is posted.
func TestGatewayReturnsAtOnce(t *testing.T) {
	w := behindGateway(t)
	w.fake.Reply(bedrocktest.Text(strings.Repeat("word ", 20)).ChunkSize(5).Pace(40))
	conn := w.dial(t)
	id := w.gateway.Connections()[0]
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+"/gateway/message", strings.NewReader(hello))
	require.NoError(t, err)
	r.Header.Set(socket.HeaderSecret, secret)
	r.Header.Set(socket.HeaderConnection, id)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 204, resp.StatusCode)
	assert.Equal(t, "start", next(t, conn).Type)
	closed := make(chan error, 1)
	go func() { closed <- w.handler.Close(t.Context()) }()
	text, frames := answer(t, conn)
	assert.Equal(t, strings.Repeat("word ", 20), text)
	assert.Equal(t, "complete", frames[len(frames)-1].Type)
	require.NoError(t, <-closed)
	resp, err = http.DefaultClient.Do(func() *http.Request { r.Body, _ = r.GetBody(); return r }())
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 503, resp.StatusCode, "a closed handler begins nothing")
}

// An interrupted client is posted that it was.
func TestGatewayClose(t *testing.T) {
	w := behindGateway(t)
	w.fake.Reply(bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(100))
	conn := w.dial(t)
	send(t, conn, hello)
	require.Equal(t, "start", next(t, conn).Type)
	require.Equal(t, "token", next(t, conn).Type)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.Error(t, w.handler.Close(ctx))
	_, frames := answer(t, conn)
	assert.Equal(t, "interrupted", frames[len(frames)-1].Code)
}

// Answer returns after the answer was posted.
func TestGatewayAnswer(t *testing.T) {
	w := behindGateway(t)
	api := &posts{}
	connections := socket.NewMemoryConnections()
	g := w.handler.Gateway(api, connections)
	require.ErrorIs(t, g.Answer(t.Context(), "abc=", []byte(hello)), socket.ErrNoConnection)
	err := g.Connect(t.Context(), socket.Opening{ConnectionID: "abc=", Address: "192.0.2.1"})
	var refused *auth.Refused
	require.ErrorAs(t, err, &refused)
	require.NoError(t, g.Connect(t.Context(), socket.Opening{ConnectionID: "abc=", Address: "192.0.2.1", Header: http.Header{"X-Api-Key": {w.key}}}))
	w.fake.Reply(bedrocktest.Text("Hello"))
	require.NoError(t, g.Answer(t.Context(), "abc=", []byte(hello)))
	require.NotEmpty(t, api.frames)
	assert.Equal(t, "complete", api.frames[len(api.frames)-1].Type)
	require.NoError(t, g.Disconnect(t.Context(), "abc="))
	require.ErrorIs(t, g.Answer(t.Context(), "abc=", []byte(hello)), socket.ErrNoConnection)
}

type posts struct{ frames []frame }

func (p *posts) PostToConnection(_ context.Context, in *apigatewaymanagementapi.PostToConnectionInput, _ ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error) {
	var f frame
	err := json.Unmarshal(in.Data, &f)
	p.frames = append(p.frames, f)
	return &apigatewaymanagementapi.PostToConnectionOutput{}, err
}
