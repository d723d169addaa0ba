package wsresume_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/wsresume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model says one word every time that it is let, and counts how often it is
// asked.
type model struct {
	words []string
	more  chan struct{}
	asked atomic.Int64
}

func (m *model) open(ctx context.Context) (stream.Source, error) {
	m.asked.Add(1)
	return &answer{m, ctx}, nil
}

type answer struct {
	*model
	ctx context.Context
}

func (a *answer) Close() error { return nil }

func (a *answer) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for i, word := range a.words {
			select {
			case <-a.more:
			case <-a.ctx.Done():
				yield(stream.ErrorMessage(a.ctx.Err()), a.ctx.Err())
				return
			}
			if !yield(stream.Message{Type: stream.TypeToken, Data: word, Sequence: int64(i + 1)}, nil) {
				return
			}
		}
		yield(stream.Message{Type: stream.TypeComplete, Sequence: int64(len(a.words) + 1)}, nil)
	}
}

func serve(t *testing.T, m *model, optFns ...func(*wsresume.Options)) (*resume.Registry, string) {
	registry := resume.New(func(o *resume.Options) { o.Coalesce = -1 })
	mux := http.NewServeMux()
	mux.Handle("GET /answers/{id}", wsresume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
		if r.URL.Query().Has("nobody") {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return resume.Answer{}, false
		}
		return resume.Answer{ID: r.PathValue("id"), Open: m.open}, true
	}, optFns...))
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what runs is stopped
		_ = registry.Close(ctx)
		srv.Close()
	})
	return registry, "ws" + strings.TrimPrefix(srv.URL, "http") + "/answers/"
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) stream.Message {
	t.Helper()
	typ, data, err := conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, websocket.MessageText, typ)
	var m stream.Message
	require.NoError(t, json.Unmarshal(data, &m))
	return m
}

func closed(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	_, _, err := conn.Read(t.Context())
	require.Error(t, err)
	return websocket.CloseStatus(err)
}

func TestConnectionIsLost(t *testing.T) {
	m := &model{words: []string{"one ", "two ", "three"}, more: make(chan struct{}, 3)}
	_, url := serve(t, m)
	conn := dial(t, url+"a")
	m.more <- struct{}{}
	assert.Equal(t, stream.Message{Type: stream.TypeToken, Data: "one ", Sequence: 1}, read(t, conn))
	require.NoError(t, conn.CloseNow())
	m.more <- struct{}{}
	m.more <- struct{}{}
	conn = dial(t, url+"a?after=1")
	var rest string
	last := read(t, conn)
	for n := int64(2); !last.Last(); n++ {
		assert.Equal(t, n, last.Sequence)
		rest += last.Data
		last = read(t, conn)
	}
	assert.Equal(t, "two three", rest)
	assert.Equal(t, stream.TypeComplete, last.Type)
	assert.Equal(t, websocket.StatusNormalClosure, closed(t, conn))
	assert.Equal(t, websocket.StatusNormalClosure, closed(t, dial(t, fmt.Sprintf("%sa?after=%d", url, last.Sequence))), "there is nothing more")
	assert.EqualValues(t, 1, m.asked.Load())
}

func TestStop(t *testing.T) {
	m := &model{words: []string{"one ", "two"}, more: make(chan struct{}, 1)}
	_, url := serve(t, m)
	conn := dial(t, url+"a")
	m.more <- struct{}{}
	assert.Equal(t, "one ", read(t, conn).Data)
	for _, command := range []string{"not JSON", `{"type":"new"}`, `{"type":"stop"}`} {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(command)))
	}
	assert.Equal(t, resume.CodeStopped, read(t, conn).Code)
	assert.Equal(t, websocket.StatusNormalClosure, closed(t, conn))
}

func TestHowConnectionsAreClosed(t *testing.T) {
	m := &model{words: []string{"one", "two"}, more: make(chan struct{}, 1)}
	registry, url := serve(t, m)
	assert.Equal(t, wsresume.StatusUnknown, closed(t, dial(t, url+"a?after=0")), "it was not started")
	assert.Equal(t, wsresume.StatusBadRequest, closed(t, dial(t, url+"a?after=x")))
	assert.Equal(t, wsresume.StatusBadRequest, closed(t, dial(t, url+"a%20b")))
	assert.Zero(t, m.asked.Load())
	_, res, err := websocket.Dial(t.Context(), url+"a?nobody", nil)
	require.Error(t, err)
	assert.Equal(t, 401, res.StatusCode)
	_, res, err = websocket.Dial(t.Context(), url+"a", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	require.Error(t, err)
	assert.Equal(t, 403, res.StatusCode)

	conn := dial(t, url+"a")
	m.more <- struct{}{}
	assert.Equal(t, "one", read(t, conn).Data)
	gap := dial(t, url+"a?after=7")
	assert.Equal(t, wsresume.StatusGap, closed(t, gap))
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, make([]byte, 2000)))
	assert.Equal(t, websocket.StatusMessageTooBig, closed(t, conn))
	conn = dial(t, url+"a?after=1")
	m.more <- struct{}{}
	assert.Equal(t, "two", read(t, conn).Data)
	assert.Equal(t, stream.TypeComplete, read(t, conn).Type)
	require.NoError(t, registry.Close(t.Context()))
	assert.Equal(t, websocket.StatusGoingAway, closed(t, dial(t, url+"b")))
}

// A client that answers no ping is gone.
func TestClientIsGone(t *testing.T) {
	m := &model{words: []string{"one"}, more: make(chan struct{})}
	ended := make(chan struct{})
	registry := resume.New()
	h := wsresume.Handler(registry, func(http.ResponseWriter, *http.Request) (resume.Answer, bool) {
		return resume.Answer{ID: "a", Open: m.open}, true
	}, func(o *wsresume.Options) { o.Heartbeat, o.WriteTimeout = 10*time.Millisecond, 50*time.Millisecond })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		close(ended)
	}))
	defer srv.Close()
	dial(t, "ws"+strings.TrimPrefix(srv.URL, "http")) // it does not read
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = registry.Close(ctx)
}
