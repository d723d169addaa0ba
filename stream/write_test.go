package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
)

// start opens a stream of a reply from a fake in memory, also in a bubble.
func start(t *testing.T, reply *bedrocktest.Reply) (*stream.Stream, *bedrocktest.Server) {
	t.Helper()
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(reply)
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), once)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, srv
}

// kept is a sink that keeps what it is sent.
type kept []stream.Message

func (k *kept) send(_ context.Context, m stream.Message) error {
	*k = append(*k, m)
	return nil
}

func (k *kept) sink() stream.Sink { return stream.Sink{Send: k.send} }

func (k kept) text() (text string) {
	for _, m := range k {
		text += m.Data
	}
	return text
}

func TestMessages(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two").Chunks("one ", "two").Usage(bedrockkit.Usage{InputTokens: 1_000_000}))
	var lines []string
	for m, err := range s.Messages() {
		require.NoError(t, err)
		data, err := json.Marshal(m)
		require.NoError(t, err)
		lines = append(lines, string(data))
	}
	assert.Equal(t, []string{
		`{"type":"token","data":"one ","sequence":1}`,
		`{"type":"token","data":"two","sequence":2}`,
		`{"type":"complete","sequence":3,"usage":{"input_tokens":1000000,"output_tokens":0},"stop_reason":"end_turn","cost":"1.1"}`,
	}, lines)
}

func TestMessagesOfReasoningAndTools(t *testing.T) {
	s, _ := start(t, bedrocktest.Reasoning("hm").Text("I look.").ToolUse("find", map[string]any{"q": "<b>"}).Usage(bedrockkit.Usage{InputTokens: 10}))
	var got kept
	for m, err := range s.Messages() {
		require.NoError(t, err)
		got = append(got, m)
		assert.EqualValues(t, len(got), m.Sequence)
		assert.Equal(t, m.Type == stream.TypeComplete, m.Last())
	}
	use := got[len(got)-2]
	assert.Equal(t, stream.TypeReasoning, got[0].Type)
	assert.Equal(t, stream.TypeToolUse, use.Type)
	assert.Equal(t, "find", use.ToolName)
	assert.NotEmpty(t, use.ToolUseID)
	assert.JSONEq(t, `{"q":"<b>"}`, string(use.Input))
	assert.False(t, use.Truncated)
	assert.Equal(t, bedrockkit.StopToolUse, got[len(got)-1].StopReason)
}

func TestMessagesOfABrokenStream(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two").Chunks("one ", "two").ExceptionAfter(2, "ThrottlingException", "secret detail"))
	var last stream.Message
	var failed error
	for m, err := range s.Messages() {
		last, failed = m, err
	}
	assert.ErrorIs(t, failed, bedrockx.ErrThrottled)
	assert.Equal(t, stream.Message{Type: stream.TypeError, Sequence: 2, Code: "throttled"}, last)
}

func TestWrite(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two three").ChunkSize(2))
	var got kept
	require.NoError(t, stream.Write(t.Context(), s, got.sink()))
	assert.Equal(t, "one two three", got.text())
	for i, m := range got {
		assert.EqualValues(t, i+1, m.Sequence)
		assert.Equal(t, i == len(got)-1, m.Last())
	}
	assert.Equal(t, bedrockkit.StopEndTurn, got[len(got)-1].StopReason)
}

func TestWriteOfABrokenStream(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two three").ChunkSize(2).EndAfter(4))
	var got kept
	err := stream.Write(t.Context(), s, got.sink())
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	assert.NotEmpty(t, got.text(), "what came is sent first")
	assert.Equal(t, stream.TypeError, got[len(got)-1].Type)
	assert.Equal(t, "truncated", got[len(got)-1].Code)
}

// A reader that is gone stops the model.
func TestWriteToAReaderThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("410 Gone")
		s, srv := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
		n := 0
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(context.Context, stream.Message) error {
			if n++; n == 3 {
				return gone
			}
			return nil
		}})
		assert.ErrorIs(t, err, gone)
		assert.Equal(t, 3, n)
		assert.False(t, s.Result().Complete)
		synctest.Wait()
		assert.Less(t, srv.Requests()[0].Outcome.Events, 100, "the server saw it leave")
	})
}

func TestWriteThatIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		var got kept
		assert.ErrorIs(t, stream.Write(ctx, s, got.sink()), why)
		assert.NotEmpty(t, got.text())
	})
}

func TestWriteCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("word ", 100)
		s, _ := start(t, bedrocktest.Text(text).Pace(100))
		var got kept
		require.NoError(t, stream.Write(t.Context(), s, got.sink(), func(o *stream.WriteOptions) { o.Coalesce = 250 * time.Millisecond }))
		assert.Equal(t, text, got.text())
		assert.Less(t, len(got), 12)
		assert.Greater(t, len(got), 3)
	})
}

// A slow reader gets all of it in fewer messages, and the memory is bounded.
func TestWriteToASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("word ", 2000)
		s, _ := start(t, bedrocktest.Text(text).ChunkSize(5))
		var got kept
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(ctx context.Context, m stream.Message) error {
			time.Sleep(time.Second)
			return got.send(ctx, m)
		}}, func(o *stream.WriteOptions) { o.MaxPending = 1000 })
		require.NoError(t, err)
		assert.Equal(t, text, got.text())
		for _, m := range got {
			assert.LessOrEqual(t, len(m.Data), 1000)
		}
		assert.Less(t, len(got), 30)
	})
}

func TestWriteLeavesASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 2000)).ChunkSize(5))
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(context.Context, stream.Message) error {
			time.Sleep(2 * time.Second)
			return nil
		}}, func(o *stream.WriteOptions) { o.MaxPending, o.DropSlowReader = 1000, true })
		assert.ErrorIs(t, err, stream.ErrSlowReader)
	})
	t.Run("one that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := start(t, bedrocktest.Text("one"))
			began := time.Now()
			err := stream.Write(t.Context(), s, stream.Sink{Send: func(ctx context.Context, _ stream.Message) error {
				<-ctx.Done()
				return ctx.Err()
			}}, func(o *stream.WriteOptions) { o.Timeout = 5 * time.Second })
			assert.ErrorIs(t, err, stream.ErrSlowReader)
			assert.Equal(t, 5*time.Second, time.Since(began))
		})
	})
}

func TestSSE(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("あ\nb"))
	w := httptest.NewRecorder()
	require.NoError(t, stream.Write(t.Context(), s, stream.SSE(w), func(o *stream.WriteOptions) { o.Coalesce = time.Second }))
	assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	assert.True(t, w.Flushed)
	events := strings.Split(strings.TrimSpace(w.Body.String()), "\n\n")
	require.Len(t, events, 2)
	assert.Equal(t, "id: 1\nevent: token\ndata: "+`{"type":"token","data":"あ\nb","sequence":1}`, events[0])
	assert.True(t, strings.HasPrefix(events[1], "id: 2\nevent: complete\ndata: {"), events[1])
}

func TestJSONSink(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one"))
	var sent []string
	require.NoError(t, stream.Write(t.Context(), s, stream.JSON(func(_ context.Context, data []byte) error {
		sent = append(sent, string(data))
		return nil
	})))
	assert.Contains(t, sent[0], `"type":"token"`)
	assert.Contains(t, sent[len(sent)-1], `"type":"complete"`)
}

func TestPlainText(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two").ChunkSize(3))
	var b strings.Builder
	require.NoError(t, stream.Write(t.Context(), s, stream.PlainText(&b)))
	assert.Equal(t, "one two", b.String())

	s, _ = start(t, bedrocktest.Text("one two").ChunkSize(3))
	w := httptest.NewRecorder()
	require.NoError(t, stream.Write(t.Context(), s, stream.PlainText(http.ResponseWriter(w))))
	assert.True(t, w.Flushed)
}

func TestReader(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("日本語 text").ChunkSize(1))
	r := s.Reader()
	data, err := io.ReadAll(io.LimitReader(r, 3))
	require.NoError(t, err)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "日本語 text", string(data)+string(rest))
	require.NoError(t, r.Close())

	s, _ = start(t, bedrocktest.Text("one two").ChunkSize(1).EndAfter(4))
	data, err = io.ReadAll(s.Reader())
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	assert.NotEmpty(t, data)

	s, _ = start(t, bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
	r = s.Reader()
	_, err = r.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	assert.ErrorIs(t, err, stream.ErrClosed)
}

func collect(t *testing.T, b *stream.Broadcast, after int64) (kept, error) {
	var got kept
	for m, err := range b.Subscribe(t.Context(), after) {
		if err != nil {
			return got, err
		}
		got = append(got, m)
	}
	return got, nil
}

func TestBroadcast(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two three").Chunks("one ", "two ", "three"))
	b := stream.NewBroadcast()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got, err := collect(t, b, 0)
			assert.NoError(t, err)
			assert.Equal(t, "one two three", got.text())
			assert.Len(t, got, 4)
		})
	}
	require.NoError(t, b.Run(s))
	wg.Wait()

	// Afterwards too, and from anywhere.
	got, err := collect(t, b, 2)
	require.NoError(t, err)
	assert.Equal(t, "three", got.text())
	assert.EqualValues(t, 3, got[0].Sequence)
	_, err = collect(t, b, 99)
	assert.ErrorIs(t, err, stream.ErrGap)
}

func TestBroadcastForgets(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("abcdefgh").ChunkSize(1))
	b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.Keep = 3 })
	require.NoError(t, b.Run(s))
	_, err := collect(t, b, 0)
	assert.ErrorIs(t, err, stream.ErrGap)
	got, err := collect(t, b, 6)
	require.NoError(t, err)
	assert.Equal(t, "gh", got.text())
}

func TestBroadcastIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 100)).Pace(10))
		b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.Grace = 5 * time.Second })
		done := make(chan error, 1)
		go func() { done <- b.Run(s) }()
		var seen int64
		text := ""
		for m, err := range b.Subscribe(t.Context(), 0) {
			require.NoError(t, err)
			seen, text = m.Sequence, text+m.Data
			if seen == 5 {
				break // the connection is lost
			}
		}
		time.Sleep(3 * time.Second)
		for m, err := range b.Subscribe(t.Context(), seen) {
			require.NoError(t, err)
			text += m.Data
		}
		assert.Equal(t, strings.Repeat("word ", 100), text)
		assert.NoError(t, <-done)
	})
}

func TestBroadcastIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
		b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.Grace = 5 * time.Second })
		began := time.Now()
		assert.ErrorIs(t, b.Run(s), stream.ErrAbandoned)
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.False(t, s.Result().Complete)
	})
	t.Run("never, where that is asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
			b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.Grace = -1 })
			assert.NoError(t, b.Run(s))
			assert.True(t, s.Result().Complete)
		})
	})
}

func TestBroadcastReaderIsCanceled(t *testing.T) {
	b := stream.NewBroadcast()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range b.Subscribe(ctx, 0) {
		assert.ErrorIs(t, err, context.Canceled)
	}
}

// A sequence that the answer has not reached is of another answer: to wait for
// it would leave messages out.
func TestBroadcastFromAWrongSequence(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("abc").ChunkSize(1))
	b := stream.NewBroadcast()
	_, err := collect(t, b, 3)
	assert.ErrorIs(t, err, stream.ErrGap, "before the answer")
	require.NoError(t, b.Run(s))
	_, err = collect(t, b, 5)
	assert.ErrorIs(t, err, stream.ErrGap)
	assert.ErrorContains(t, err, "after 5; it has 1 to 4")
	got, err := collect(t, b, 4)
	require.NoError(t, err)
	assert.Empty(t, got, "all was seen")
	got, err = collect(t, b, -1)
	require.NoError(t, err)
	assert.Equal(t, "abc", got.text())
}

func TestBroadcastIsRunOnce(t *testing.T) {
	first, _ := start(t, bedrocktest.Text("first"))
	second, _ := start(t, bedrocktest.Text("second"))
	b := stream.NewBroadcast()
	require.NoError(t, b.Run(first))
	assert.ErrorIs(t, b.Run(second), stream.ErrUsed)
	_, err := second.Reader().Read(make([]byte, 1))
	assert.ErrorIs(t, err, stream.ErrClosed)
	got, err := collect(t, b, 0)
	require.NoError(t, err)
	assert.Equal(t, "first", got.text())
}

// Zero is the default, also where an option says it.
func TestZeroOptionsOfWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text("one"))
		began := time.Now()
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(ctx context.Context, _ stream.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}}, func(o *stream.WriteOptions) { *o = stream.WriteOptions{} })
		assert.ErrorIs(t, err, stream.ErrSlowReader)
		assert.Equal(t, 30*time.Second, time.Since(began))
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
		b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { *o = stream.BroadcastOptions{} })
		began := time.Now()
		assert.ErrorIs(t, b.Run(s), stream.ErrAbandoned)
		assert.Equal(t, 30*time.Second, time.Since(began))
		got, _ := collect(t, b, 0)
		assert.NotEmpty(t, got.text(), "all is kept")
	})
}

// Text that gathers because it is to be coalesced makes nobody a slow reader: it is
// sent when there is no more room.
func TestWriteCoalescesWithoutLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("word ", 100)
		s, _ := start(t, bedrocktest.Text(text).Pace(10))
		var got kept
		err := stream.Write(t.Context(), s, got.sink(), func(o *stream.WriteOptions) {
			o.Coalesce, o.MaxPending, o.DropSlowReader = 5*time.Second, 300, true
		})
		require.NoError(t, err)
		assert.Equal(t, text, got.text())
		for _, m := range got {
			assert.LessOrEqual(t, len(m.Data), 100)
		}
	})
}
