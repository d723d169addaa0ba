package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
)

// pipes is a listener without a network, for a server in a bubble of synctest. A
// write waits for its reader, so a reader that is slow is so at once.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- addressed{server}:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }

func (p *pipes) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}}
}

// inBubble runs a server of tps tokens a second in a bubble.
func inBubble(t *testing.T, tps float64, test func(t *testing.T, p *pipes, stop func() error)) {
	synctest.Test(t, func(t *testing.T) {
		s := app.FromEnv(func(string) string { return "" })
		s.TPS, s.Cache = tps, "off"
		srv, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		defer srv.Close()
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, p) }()
		stopped := false
		test(t, p, func() error { stopped = true; cancel(); return <-served })
		if cancel(); !stopped {
			require.NoError(t, <-served)
		}
	})
}

const (
	url   = "http://127.0.0.1:8080"
	query = `{"query":"Recommend five seinen manga"}`
)

// stream asks for an answer as server-sent events.
func stream(t *testing.T, client *http.Client) (string, error) {
	t.Helper()
	r, err := http.NewRequest("POST", url+"/v1/manga/query", strings.NewReader(query))
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// A client that sends nothing, or slowly, is not waited for.
func TestSlowClients(t *testing.T) {
	for name, tt := range map[string]struct {
		send  string
		after time.Duration // when it is closed
	}{
		"no request":       {"", 10 * time.Second},
		"half a header":    {"GET / HTTP/1.1\r\nHost: 127.0.0.1", 10 * time.Second},
		"half a body":      {"POST /v1/manga/query HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 30 * time.Second},
		"no second one":    {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 2 * time.Minute},
		"a header too big": {"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX: " + strings.Repeat("x", 32<<10), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1e6, func(t *testing.T, p *pipes, _ func() error) {
				conn, err := p.dial(t.Context())
				require.NoError(t, err)
				defer conn.Close()
				began := time.Now()
				go io.WriteString(conn, tt.send)
				_, err = io.Copy(io.Discard, conn)
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(began), tt.after+time.Second)
			})
		})
	}
}

// A client that does not read what it has asked for is let go.
func TestClientThatReadsNothing(t *testing.T) {
	inBubble(t, 1e6, func(t *testing.T, p *pipes, _ func() error) {
		conn, err := p.dial(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
		require.NoError(t, err)
		time.Sleep(6 * time.Minute)
		_, err = conn.Write([]byte("G"))
		assert.ErrorIs(t, err, io.ErrClosedPipe)
	})
}

// The changes of jobs come for ten minutes, longer than any other answer may take.
func TestChangesComeForTenMinutes(t *testing.T) {
	inBubble(t, 1e6, func(t *testing.T, p *pipes, _ func() error) {
		client := p.client()
		defer client.CloseIdleConnections()
		began := time.Now()
		resp, err := client.Get(url + "/v1/manga/jobs/events")
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		assert.InDelta(t, 10, time.Since(began).Minutes(), 0.5)
	})
}

// A live answer may take longer than every bound on what is read.
func TestLongAnswersAreNotCut(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, p *pipes, _ func() error) {
		client := p.client()
		defer client.CloseIdleConnections()
		began := time.Now()
		body, err := stream(t, client)
		require.NoError(t, err)
		assert.Contains(t, body, "event: complete")
		assert.Greater(t, time.Since(began), 35*time.Second)
	})
}

// An answer has three minutes with all its rounds.
func TestAnswersHaveATotalTime(t *testing.T) {
	inBubble(t, 0.1, func(t *testing.T, p *pipes, _ func() error) {
		client := p.client()
		defer client.CloseIdleConnections()
		began := time.Now()
		body, err := stream(t, client)
		require.NoError(t, err)
		assert.Contains(t, body, "event: failed")
		assert.Contains(t, body, `"code":"max_run_time"`)
		assert.LessOrEqual(t, time.Since(began), 3*time.Minute+time.Second)
	})
}

func dial(t *testing.T, p *pipes, client *http.Client) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://127.0.0.1:8080/ws", &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	return conn
}

type frame struct {
	Type, Data string
	AnswerID   string `json:"answer_id"`
	StopReason string `json:"stop_reason"`
	Sequence   int
}

func next(ctx context.Context, conn *websocket.Conn) (f frame, err error) {
	_, data, err := conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	return f, err
}

// A reader that takes nothing is dropped after ten seconds; the model goes on, and the
// reader that comes back gets the whole.
func TestSlowReader(t *testing.T) {
	inBubble(t, 100, func(t *testing.T, p *pipes, _ func() error) {
		client := p.client()
		defer client.CloseIdleConnections()
		conn := dial(t, p, client)
		defer conn.CloseNow()
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"messages":[{"role":"user","content":"Recommend five seinen manga"}]}`)))
		start, err := next(t.Context(), conn)
		require.NoError(t, err)
		time.Sleep(11 * time.Second) // and reads nothing
		for err == nil {
			_, err = next(t.Context(), conn)
		}
		require.Error(t, err, "the connection was dropped")

		conn = dial(t, p, client)
		defer conn.Close(websocket.StatusNormalClosure, "")
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"resume","request_id":"again","answer_id":%q}`, start.AnswerID)))
		var text strings.Builder
		var last frame
		for last.Type != "complete" && last.Type != "error" {
			last, err = next(t.Context(), conn)
			require.NoError(t, err)
			text.WriteString(last.Data)
		}
		assert.Equal(t, "end_turn", last.StopReason)
		assert.Contains(t, text.String(), "5. ")
	})
}

// A client that has gone without a word is noticed by the ping.
func TestPing(t *testing.T) {
	inBubble(t, 1e6, func(t *testing.T, p *pipes, _ func() error) {
		conn, err := p.dial(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		go io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
		began := time.Now()
		_, err = io.Copy(io.Discard, r) // it reads the ping, and does not answer
		require.NoError(t, err)
		assert.InDelta(t, 40, time.Since(began).Seconds(), 6)
	})
}

// A server that is stopped lets answers end for ten seconds, and cuts what has not.
func TestStopDuringAnswers(t *testing.T) {
	for tps, cut := range map[float64]bool{200: false, 2: true} {
		t.Run(fmt.Sprint(tps), func(t *testing.T) {
			inBubble(t, tps, func(t *testing.T, p *pipes, stop func() error) {
				client := p.client()
				defer client.CloseIdleConnections()
				type result struct {
					body string
					err  error
				}
				got := make(chan result, 1)
				go func() {
					body, err := stream(t, client)
					got <- result{body, err}
				}()
				conn := dial(t, p, client)
				defer conn.CloseNow()
				require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"messages":[{"role":"user","content":"Recommend five seinen manga"}]}`)))
				_, err := next(t.Context(), conn)
				require.NoError(t, err)
				went := make(chan error, 1)
				go func() {
					for {
						if _, err := next(context.Background(), conn); err != nil {
							went <- err
							return
						}
					}
				}()
				time.Sleep(time.Second)
				began := time.Now()
				err = stop()
				assert.LessOrEqual(t, time.Since(began), 16*time.Second)
				assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(<-went), "a page connects to another server")
				r := <-got
				assert.Equal(t, cut, !strings.Contains(r.body, "event: complete"), "%v %v", r.err, err)
				if !cut {
					assert.NoError(t, errors.Join(err, r.err))
				}
			})
		})
	}
}
