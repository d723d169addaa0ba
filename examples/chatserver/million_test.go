package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/pricing"
)

var messages = flag.Int("messages", 400, "how many messages TestMessages sends; with 1,000,000 it is the one by hand")

// A ledger holds what the server's log says of each answer, and what the model has
// served.
type ledger struct {
	mu       sync.Mutex
	logged   map[string]string // what is logged and not yet compared, by request id: its cost, or "failed"
	answered int
	failed   int
	billed   pricing.Amount // by the log
	served   pricing.Amount // by the model: all replies that were sent whole
}

func (l *ledger) Enabled(context.Context, slog.Level) bool { return true }
func (l *ledger) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *ledger) WithGroup(string) slog.Handler            { return l }

// Handle reads a line of the log.
func (l *ledger) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.Message {
	case "answered":
		cost, err := pricing.ParseAmount(attrs["cost_usd"])
		if err != nil {
			return err
		}
		l.answered, l.billed = l.answered+1, l.billed.Add(cost)
		l.logged[attrs["request_id"]] = attrs["cost_usd"]
	case "failed":
		l.failed++
		l.logged[attrs["request_id"]] = "failed"
	}
	return nil
}

// take returns what was logged of an answer, and forgets it.
func (l *ledger) take(id string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.logged[id]
	delete(l.logged, id)
	return found, ok
}

// respond is the model. Of a hundred requests it throttles five, cuts three streams
// and answers the others with the question's number and some words.
func (l *ledger) respond(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
	switch n := rand.IntN(100); {
	case n < 5:
		return bedrocktest.Throttle()
	case n < 8:
		return bedrocktest.Text(reply(req.LastText())).ChunkSize(8).EndAfter(1 + rand.IntN(6))
	}
	usage := bedrockkit.Usage{InputTokens: 900 + rand.Int64N(300), OutputTokens: 20 + rand.Int64N(300)}
	cost, err := pricing.Default().Cost(req.Model, usage, func(o *pricing.CostOptions) { o.Region = "us-east-1" })
	if err != nil {
		return bedrocktest.Error(500, "InternalServerException", err.Error())
	}
	l.mu.Lock()
	l.served = l.served.Add(cost)
	l.mu.Unlock()
	return bedrocktest.Text(reply(req.LastText())).ChunkSize(8).Usage(usage)
}

func reply(question string) string {
	return "The answer to " + question + strings.Repeat(" is a manga", 5)
}

// Message after message goes through one process, while the model throttles and cuts
// streams and clients leave. Nothing grows, nothing is lost, and the log's costs are
// the sum of what the model has served, exactly.
func TestMessages(t *testing.T) {
	l := &ledger{logged: map[string]string{}}
	model, err := bedrocktest.New(func(o *bedrocktest.Options) { o.Responder, o.KeepRequests = l.respond, -1 })
	require.NoError(t, err)
	t.Cleanup(func() { model.Close() })
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": model.URL()} {
		t.Setenv(name, value)
	}
	s := app.FromEnv(func(string) string { return "" })
	s.Bedrock, s.Cache, s.Coalesce = "aws", "off", -1
	s.Limits = func(o *auth.LimitOptions) { o.PerMinute, o.PerAddress, o.Answers = -1, -1, -1 }
	srv, err := app.Build(t.Context(), s, slog.New(l))
	require.NoError(t, err)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		srv.Close()
	})

	var next, left, cut atomic.Int64
	var gone sync.Map // the ids of answers whose clients have left
	ask := func(until int64) error {
		var users sync.WaitGroup
		failed := make(chan error, 1)
		for range 32 {
			users.Go(func() {
				var conn *websocket.Conn
				defer func() {
					if conn != nil {
						conn.CloseNow()
					}
				}()
				for n := next.Add(1); n <= until && len(failed) == 0; n = next.Add(1) {
					if conn == nil {
						var err error
						if conn, _, err = websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/ws", nil); err != nil {
							failed <- err
							return
						}
					}
					leaves := rand.IntN(20) == 0
					ended, err := l.ask(t.Context(), conn, n, leaves)
					if err != nil {
						select {
						case failed <- fmt.Errorf("message %d: %w", n, err):
						default:
						}
						return
					}
					switch {
					case leaves:
						left.Add(1)
						gone.Store(fmt.Sprintf("m%d", n), true)
						conn.CloseNow()
						conn = nil
					case ended == "error":
						cut.Add(1)
					}
				}
			})
		}
		users.Wait()
		next.Store(until)
		select {
		case err := <-failed:
			return err
		default:
		}
		// The answers of those who left go on to their end.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			gone.Range(func(id, _ any) bool {
				if _, ok := l.take(id.(string)); ok {
					gone.Delete(id)
				}
				return true
			})
			waiting := 0
			gone.Range(func(any, any) bool { waiting++; return true })
			if waiting == 0 {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%d answers whose clients left never ended", waiting)
			}
		}
	}
	measure := func() (goroutines int, heap uint64) {
		web.Client().CloseIdleConnections()
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	all := int64(*messages)
	warm := all / 2 // the server keeps 10,000 answers for clients that come back
	began := time.Now()
	require.NoError(t, ask(warm))
	goroutines, heap := measure()
	require.NoError(t, ask(all))
	took := time.Since(began)
	goroutinesAfter, heapAfter := measure()

	assert.EqualValues(t, all, l.answered+l.failed, "each message has one end")
	assert.Empty(t, l.logged)
	assert.Equal(t, l.served.String(), l.billed.String(), "the ledger")
	if all >= 1000 { // of a few, none may be cut
		assert.Greater(t, l.failed, 0)
	}
	assert.LessOrEqual(t, goroutinesAfter, goroutines+128) // each of 32 connections to the model has four
	kept := max(0, min(all, 10_000)-warm) * 8 << 10
	assert.Less(t, heapAfter, heap+4<<20+uint64(kept))
	t.Logf("%d messages in %v: %d answered, %d cut, %d clients left; $%s by the log and $%s by the model; %d → %d goroutines, %d → %d KiB of heap",
		all, took.Round(time.Millisecond), l.answered, l.failed, left.Load(), l.billed, l.served, goroutines, goroutinesAfter, heap>>10, heapAfter>>10)
}

// ask sends one message and checks its answer. It returns the type of the last frame
// that it has waited for.
func (l *ledger) ask(ctx context.Context, conn *websocket.Conn, n int64, leaves bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	id, question := fmt.Sprintf("m%d", n), fmt.Sprintf("question %d", n)
	message := fmt.Sprintf(`{"type":"chat","request_id":%q,"model":"haiku","messages":[{"role":"user","content":%q}]}`, id, question)
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return "", err
	}
	var text strings.Builder
	for sequence := int64(0); ; {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return "", err
		}
		var f struct {
			Type     string `json:"type"`
			Sequence int64  `json:"sequence"`
			Data     string `json:"data"`
			Cost     string `json:"cost_usd"`
		}
		if err := json.Unmarshal(data, &f); err != nil {
			return "", err
		}
		switch f.Type {
		case "start":
			if leaves {
				return f.Type, nil
			}
			continue
		case "token":
			text.WriteString(f.Data)
			if sequence++; f.Sequence != sequence {
				return "", fmt.Errorf("the sequence is %d after %d", f.Sequence, sequence-1)
			}
			continue
		}
		if f.Type == "complete" && text.String() != reply(question) {
			return "", fmt.Errorf("the answer is %q", text.String())
		}
		want := f.Cost
		if f.Type == "error" {
			want = "failed"
		}
		for {
			if logged, ok := l.take(id); ok {
				if logged != want {
					err = fmt.Errorf("the last frame has %q, the log %q", want, logged)
				}
				return f.Type, err
			}
			select {
			case <-ctx.Done():
				return "", fmt.Errorf("the log has nothing of it")
			case <-time.After(time.Millisecond): // the line is on its way
			}
		}
	}
}
