package stream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
)

// said is a source that yields messages, with sequences.
type said struct {
	messages []stream.Message
	err      error         // beside the last one
	pause    time.Duration // before each
	then     func()        // after the last one
	closed   atomic.Int32
}

func (s *said) Close() error { s.closed.Add(1); return nil }

func (s *said) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for i, m := range s.messages {
			if s.pause > 0 {
				time.Sleep(s.pause)
			}
			m.Sequence = int64(i + 1)
			var err error
			if i == len(s.messages)-1 {
				err = s.err
			}
			if !yield(m, err) {
				return
			}
		}
		if s.then != nil {
			s.then()
		}
	}
}

func token(text string) stream.Message {
	return stream.Message{Type: stream.TypeToken, Data: text}
}

func reasoning(text string) stream.Message {
	return stream.Message{Type: stream.TypeReasoning, Data: text}
}

var complete = stream.Message{Type: stream.TypeComplete, StopReason: bedrockkit.StopEndTurn}

// aLoop is what a tool loop says.
func aLoop() []stream.Message {
	return []stream.Message{
		reasoning("hm"), reasoning("m"), token("I "), token("look."),
		{Type: stream.TypeUsage, Round: 1, Usage: &bedrockkit.Usage{InputTokens: 1}, Cost: "0.1"},
		{Type: stream.TypeToolUse, Round: 1, ToolUseID: "t1", ToolName: "find", Input: json.RawMessage(`{"q":"<x>"}`)},
		{Type: stream.TypeToolUse, Round: 1, ToolUseID: "t2", ToolName: "find", Input: json.RawMessage(`{}`)},
		{Type: stream.TypeToolResult, Round: 1, ToolUseID: "t1", Status: stream.StatusSuccess, Data: "one"},
		{Type: stream.TypeToolResult, Round: 1, ToolUseID: "t2", Status: stream.StatusError, Data: "two"},
		token("Here"), token(" it is."), complete,
	}
}

func told(messages []stream.Message) (lines []string) {
	for _, m := range messages {
		lines = append(lines, m.Type+":"+m.Data)
	}
	return lines
}

// Only text that stands together becomes one message; the order stays.
func TestWriteOfALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got kept
		s := &said{messages: aLoop()}
		require.NoError(t, stream.Write(t.Context(), s, got.sink(), func(o *stream.WriteOptions) { o.Coalesce = time.Second }))
		assert.Equal(t, []string{"reasoning:hmm", "token:I look.", "usage:", "tool_use:", "tool_use:", "tool_result:one", "tool_result:two", "token:Here it is.", "complete:"}, told(got))
		for i, m := range got {
			assert.EqualValues(t, i+1, m.Sequence)
		}
		assert.Equal(t, "t2", got[4].ToolUseID)
		assert.Positive(t, s.closed.Load())
	})
}

// Text of another round is another text.
func TestWriteKeepsRoundsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := token("a"), token("b")
		one.Round, two.Round = 1, 2
		var got kept
		require.NoError(t, stream.Write(t.Context(), &said{messages: []stream.Message{one, one, two, complete}}, got.sink(), func(o *stream.WriteOptions) { o.Coalesce = time.Second }))
		assert.Equal(t, []string{"token:aa", "token:b", "complete:"}, told(got))
	})
}

// The end does not wait for more.
func TestWriteCoalescesUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &said{messages: []stream.Message{token("a"), token("b"), complete}, pause: 10 * time.Millisecond}
		require.NoError(t, stream.Write(t.Context(), s, new(kept).sink(), func(o *stream.WriteOptions) { o.Coalesce = time.Hour }))
		assert.Equal(t, 30*time.Millisecond, time.Since(began))
	})
}

// A source that does not end as it should ends for the reader with an error.
func TestWriteOfASourceWithoutAnEnd(t *testing.T) {
	broken := errors.New("the secret text of an error")
	for name, s := range map[string]*said{
		"no last message":        {messages: []stream.Message{token("a")}},
		"an error and no last":   {messages: []stream.Message{token("a"), {}}, err: broken},
		"more after the last":    {messages: []stream.Message{token("a"), {Type: stream.TypeError, Code: "unknown_error"}, token("b")}},
		"an error with its last": {messages: []stream.Message{token("a"), {Type: stream.TypeError, Code: "unknown_error"}}, err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			var got kept
			err := stream.Write(t.Context(), s, got.sink())
			if s.err != nil {
				assert.ErrorIs(t, err, s.err)
			}
			assert.Equal(t, []string{"token:a", "error:"}, told(got))
			assert.Equal(t, "unknown_error", got[1].Code)
			b := stream.NewBroadcast()
			if err := b.Run(s); s.err != nil {
				assert.ErrorIs(t, err, s.err)
			} else if name == "no last message" {
				assert.Error(t, err)
			}
			got, err = collect(t, b, 0)
			require.NoError(t, err)
			assert.Equal(t, []string{"token:a", "error:"}, told(got))
		})
	}
}

// exit runs a function in a goroutine of its own and says how it ended.
func exit(f func()) (value any, exited bool) {
	done := make(chan struct{})
	returned := false
	go func() {
		defer close(done)
		defer func() {
			value = recover()
			exited = !returned && value == nil
		}()
		f()
		returned = true
	}()
	<-done
	return value, exited
}

// What a source does in its goroutine happens to who reads it, and the readers
// are sent an error.
func TestSourceThatPanics(t *testing.T) {
	boom := errors.New("boom")
	for _, exits := range []bool{false, true} {
		source := func() *said {
			return &said{messages: []stream.Message{token("a")}, then: func() {
				if exits {
					runtime.Goexit()
				}
				panic(boom)
			}}
		}
		check := func(t *testing.T, s *said, messages kept, value any, exited bool) {
			assert.Equal(t, []string{"token:a", "error:"}, told(messages))
			assert.Equal(t, exits, exited)
			assert.Positive(t, s.closed.Load())
			if !exits {
				err, _ := value.(error)
				assert.ErrorIs(t, err, boom)
			}
		}
		t.Run(fmt.Sprintf("Write, exits %v", exits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got kept
				s := source()
				value, exited := exit(func() { stream.Write(t.Context(), s, got.sink()) })
				check(t, s, got, value, exited)
				if !exits {
					assert.ErrorContains(t, value.(error), "TestSourceThatPanics", "the stack is that of the source")
				}
			})
		})
		t.Run(fmt.Sprintf("Broadcast, exits %v", exits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := stream.NewBroadcast()
				got := make(chan kept, 1)
				go func() {
					messages, err := collect(t, b, 0)
					assert.NoError(t, err)
					got <- messages
				}()
				synctest.Wait()
				s := source()
				value, exited := exit(func() { b.Run(s) })
				check(t, s, <-got, value, exited)
			})
		})
		t.Run(fmt.Sprintf("NewReader, exits %v", exits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := source()
				r := stream.NewReader(t.Context(), s, stream.PlainText)
				var text []byte
				var err error
				value, exited := exit(func() { text, err = io.ReadAll(r) })
				assert.False(t, exited)
				if exits {
					assert.Error(t, err)
					assert.Equal(t, "a", string(text))
				} else {
					assert.ErrorIs(t, value.(error), boom)
				}
				assert.Positive(t, s.closed.Load())
			})
		})
	}
}

// So does one that panics when its reader leaves it, or after its last message.
func TestSourceThatPanicsAtItsEnd(t *testing.T) {
	for _, last := range []bool{true, false} {
		var got kept
		s := &panicsAtEnd{said{messages: []stream.Message{token("a"), complete}}}
		value, _ := exit(func() {
			stream.Write(t.Context(), s, stream.Sink{Send: func(ctx context.Context, m stream.Message) error {
				if !last {
					return errors.New("gone")
				}
				return got.send(ctx, m)
			}})
		})
		assert.ErrorContains(t, value.(error), "at the end")
		if last {
			assert.Equal(t, []string{"token:a", "complete:"}, told(got))
		}
	}
}

type panicsAtEnd struct{ said }

func (p *panicsAtEnd) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		defer panic("at the end")
		p.said.Messages()(yield)
	}
}

// A check of the text that panics is a source that panics.
func TestBroadcastOfAStreamThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text("one two three").ChunkSize(3))
		n := 0
		s, err := converse(t.Context(), bedrockx.New(srv.Client()), once, func(o *bedrockx.Options) {
			o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					call.OnText = append(call.OnText, func(string) error {
						if n++; n == 3 {
							panic("boom")
						}
						return nil
					})
					return next(ctx, call)
				}
			})
		})
		require.NoError(t, err)
		b := stream.NewBroadcast()
		got := make(chan kept, 1)
		go func() {
			messages, _ := collect(t, b, 0)
			got <- messages
		}()
		synctest.Wait()
		assert.PanicsWithValue(t, "boom", func() { b.Run(s) })
		messages := <-got
		assert.Equal(t, stream.TypeError, messages[len(messages)-1].Type)
		assert.NotEmpty(t, messages.text())
	})
}

// An answer that comes at once makes nobody a slow reader.
func TestWriteOfABurstDropsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("All of it comes at once. ", 40_000)
		var messages []stream.Message
		for i := 0; i < len(text); i += 10_000 {
			messages = append(messages, token(text[i:i+10_000]))
		}
		var got kept
		err := stream.Write(t.Context(), &said{messages: append(messages, complete)}, stream.Sink{Send: func(ctx context.Context, m stream.Message) error {
			time.Sleep(100 * time.Millisecond)
			return got.send(ctx, m)
		}}, func(o *stream.WriteOptions) { o.DropSlowReader = true })
		require.NoError(t, err)
		assert.True(t, text == got.text())
	})
}

// A reader that is dropped is not waited for.
func TestWriteDropsAReaderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 2000)).ChunkSize(5))
		began := time.Now()
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(ctx context.Context, _ stream.Message) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}, func(o *stream.WriteOptions) { o.MaxPending, o.DropSlowReader = 1000, true })
		assert.ErrorIs(t, err, stream.ErrSlowReader)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestWriteHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &said{messages: []stream.Message{token("a"), token("b"), complete}, pause: 25 * time.Second}
		var got kept
		require.NoError(t, stream.Write(t.Context(), s, got.sink(), func(o *stream.WriteOptions) { o.Heartbeat = 10 * time.Second }))
		assert.Equal(t, []string{"ping:", "ping:", "token:a", "ping:", "ping:", "token:b", "ping:", "ping:", "complete:"}, told(got))
		var sequences []int64
		for _, m := range got {
			sequences = append(sequences, m.Sequence)
			assert.Equal(t, m.Type == stream.TypeComplete, m.Last())
		}
		assert.Equal(t, []int64{0, 0, 1, 0, 0, 2, 0, 0, 3}, sequences)
	})
}

func TestSSEHeartbeatAndError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		s := &said{messages: []stream.Message{token("a"), {Type: stream.TypeError, Code: "throttled"}}, pause: 20 * time.Second}
		require.NoError(t, stream.Write(t.Context(), s, stream.SSE(w)))
		assert.Equal(t, ": ping\n\nid: 1\nevent: token\ndata: {\"type\":\"token\",\"data\":\"a\",\"sequence\":1}\n\n"+
			": ping\n\nid: 2\nevent: failed\ndata: {\"type\":\"error\",\"sequence\":2,\"code\":\"throttled\"}\n\n", w.Body.String())

		w = httptest.NewRecorder()
		require.NoError(t, stream.Write(t.Context(), s, stream.SSE(w), func(o *stream.WriteOptions) { o.Heartbeat = -1 }))
		assert.NotContains(t, w.Body.String(), "ping")

		w = httptest.NewRecorder()
		require.NoError(t, stream.Write(t.Context(), s, stream.PlainText(w), func(o *stream.WriteOptions) { o.Heartbeat = time.Second }))
		assert.Equal(t, "a", w.Body.String())
	})
}

// A client that reads nothing more holds no handler, though the server has no
// write timeout.
func TestSSEBreaksOffAWrite(t *testing.T) {
	done := make(chan error, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endless := &said{messages: make([]stream.Message, 10_000)}
		for i := range endless.messages {
			endless.messages[i] = token(strings.Repeat("x", 16<<10))
		}
		done <- stream.Write(r.Context(), endless, stream.SSE(w), func(o *stream.WriteOptions) { o.Timeout = 200 * time.Millisecond })
	}))
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err = bufio.NewReaderSize(conn, 16).ReadByte()
	require.NoError(t, err)
	select {
	case err := <-done:
		assert.ErrorIs(t, err, stream.ErrSlowReader)
	case <-time.After(20 * time.Second):
		t.Fatal("the handler hangs")
	}
}

func TestSinkThatIsWrong(t *testing.T) {
	s := &said{messages: []stream.Message{complete}}
	assert.ErrorContains(t, stream.Write(t.Context(), s, stream.Sink{}), "no Send")
	assert.ErrorContains(t, stream.Write(t.Context(), s, stream.Sink{Send: new(kept).send, MaxMessage: 10}), "at least 1024")
	assert.EqualValues(t, 2, s.closed.Load())
}

func TestFilter(t *testing.T) {
	only := func(s stream.Source) stream.Source {
		return stream.Filter(s, func(m *stream.Message) bool {
			m.Cost, m.Usage = "", nil
			return m.Type == stream.TypeToken || m.Type == stream.TypeUsage
		})
	}
	var got kept
	for m, err := range only(&said{messages: aLoop()}).Messages() {
		require.NoError(t, err)
		got = append(got, m)
		assert.EqualValues(t, len(got), m.Sequence)
	}
	assert.Equal(t, []string{"token:I ", "token:look.", "usage:", "token:Here", "token: it is.", "complete:"}, told(got))
	assert.Nil(t, got[2].Usage)

	b := stream.NewBroadcast()
	require.NoError(t, b.Run(&said{messages: aLoop()}))
	got = nil
	require.NoError(t, stream.Write(t.Context(), only(stream.Resume(t.Context(), b.Subscribe, 3)), got.sink()))
	assert.Equal(t, "look.Here it is.", got.text())
	assert.EqualValues(t, 12, got[len(got)-1].Sequence, "by which a reader comes back")
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stream.NewBroadcast()
		require.NoError(t, b.Run(&said{messages: aLoop()}))
		write := func(after int64) (got kept, err error) {
			err = stream.Write(t.Context(), stream.Resume(t.Context(), b.Subscribe, after), got.sink(), func(o *stream.WriteOptions) { o.Coalesce = time.Second })
			return got, err
		}
		all, err := write(0)
		require.NoError(t, err)
		var sequences []int64
		for _, m := range all {
			sequences = append(sequences, m.Sequence)
		}
		assert.Equal(t, []int64{2, 4, 5, 6, 7, 8, 9, 11, 12}, sequences)
		for i, m := range all {
			rest, err := write(m.Sequence)
			require.NoError(t, err)
			assert.Equal(t, told(all[i+1:]), told(rest))
		}
		got, err := write(99)
		assert.ErrorIs(t, err, stream.ErrGap)
		assert.Equal(t, kept{{Type: stream.TypeError, Code: "gap", Sequence: 100}}, got)
	})
}

// A sequence stands for all that came up to it, however messages are joined and
// split: a reader may come back after any.
func TestResumeAfterAnyMessage(t *testing.T) {
	texts := []string{strings.Repeat("long ", 1000), "a", "b"}
	for i := range 100 {
		texts = append(texts, strings.Repeat(fmt.Sprint(i, " "), i))
	}
	var messages []stream.Message
	for _, text := range texts {
		messages = append(messages, token(text))
	}
	b := stream.NewBroadcast()
	require.NoError(t, b.Run(&said{messages: append(messages, complete)}))
	var got kept
	sink := got.sink()
	sink.MaxMessage = 1024
	require.NoError(t, stream.Write(t.Context(), stream.Resume(t.Context(), b.Subscribe, 0), sink))
	assert.Less(t, len(got), 60, "short ones are joined")
	whole, upTo := strings.Join(texts, ""), int64(0)
	for i, m := range got {
		sofar := got[:i+1].text()
		assert.True(t, strings.HasPrefix(whole, sofar))
		if m.Sequence == 0 || m.Last() {
			continue // a part of the first
		}
		assert.Greater(t, m.Sequence, upTo)
		upTo = m.Sequence
		assert.True(t, sofar == strings.Join(texts[:upTo], ""), upTo)
	}
	assert.EqualValues(t, len(texts), upTo)
	assert.Zero(t, got[0].Sequence)
}

// A reader that leaves while it waits leaves the others alone.
func TestResumeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 100)).Pace(1))
		b := stream.NewBroadcast()
		ran := make(chan error, 1)
		go func() { ran <- b.Run(s) }()
		other := make(chan kept, 1)
		go func() {
			got, err := collect(t, b, 0)
			assert.NoError(t, err)
			other <- got
		}()
		gone := errors.New("gone")
		began := time.Now()
		err := stream.Write(t.Context(), stream.Resume(t.Context(), b.Subscribe, 0), stream.Sink{Send: func(context.Context, stream.Message) error { return gone }})
		assert.ErrorIs(t, err, gone)
		assert.Less(t, time.Since(began), 5*time.Second)
		assert.NoError(t, <-ran)
		assert.Equal(t, strings.Repeat("word ", 100), (<-other).text())
	})
}

func TestBroadcastIsBoundedInBytes(t *testing.T) {
	var messages []stream.Message
	for i := range 2000 {
		messages = append(messages, token(fmt.Sprintf("%04d%s", i, strings.Repeat("x", 96))))
	}
	b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.KeepBytes = 10_000 })
	require.NoError(t, b.Run(&said{messages: append(messages, complete)}))
	_, err := collect(t, b, 1900)
	assert.ErrorIs(t, err, stream.ErrGap)
	got, err := collect(t, b, 1950)
	require.NoError(t, err)
	assert.Len(t, got, 51)
	assert.True(t, strings.HasPrefix(got[0].Data, "1950"))
	assert.EqualValues(t, 1951, got[0].Sequence)
	assert.EqualValues(t, 2001, got[50].Sequence)
	assert.True(t, got[50].Last())
}

// What a reader gets of a broadcast is what the source said, of every type.
func TestBroadcastKeepsAll(t *testing.T) {
	b := stream.NewBroadcast()
	said := &said{messages: aLoop()}
	said.messages[2].Round = math.MaxInt // more than is kept in short, on most machines
	said.messages[3].Code = "odd"
	require.NoError(t, b.Run(said))
	got, err := collect(t, b, 0)
	require.NoError(t, err)
	for i := range got {
		want := said.messages[i]
		want.Sequence = int64(i + 1)
		assert.Equal(t, want, got[i])
	}
	assert.Len(t, got, len(said.messages))
}

// A thousand readers, one of them asleep.
func TestBroadcastToASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 100)).Pace(100))
		b := stream.NewBroadcast()
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 1000 {
			wg.Go(func() {
				for m, err := range b.Subscribe(t.Context(), 0) {
					if assert.NoError(t, err); i == 0 && !m.Last() {
						time.Sleep(time.Second)
					}
				}
				if i > 0 {
					assert.Less(t, time.Since(began), 3*time.Second)
				}
			})
		}
		require.NoError(t, b.Run(s))
		wg.Wait()
	})
}

func TestNewReader(t *testing.T) {
	s, _ := start(t, bedrocktest.Text("one two").ChunkSize(3))
	data, err := io.ReadAll(stream.NewReader(t.Context(), s, stream.SSE))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(data), "id: 1\nevent: token\ndata: {"), string(data))
	assert.Contains(t, string(data), "event: complete\n")

	s, _ = start(t, bedrocktest.Text("one two").ChunkSize(1).EndAfter(4))
	data, err = io.ReadAll(stream.NewReader(t.Context(), s, stream.PlainText))
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	assert.NotEmpty(t, data)

	synctest.Test(t, func(t *testing.T) {
		s, srv := start(t, bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
		r := stream.NewReader(t.Context(), s, stream.PlainText)
		failed := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(r)
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, r.Close())
		assert.ErrorIs(t, <-failed, stream.ErrClosed)
		_, err := r.Read(make([]byte, 1))
		assert.ErrorIs(t, err, stream.ErrClosed)
		synctest.Wait()
		assert.Len(t, srv.Requests(), 1)
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).ChunkSize(5))
		why := errors.New("the function has no more time")
		ctx, cancel := context.WithCancelCause(t.Context())
		writing := false
		r := stream.NewReader(ctx, s, func(w io.Writer) stream.Sink {
			return stream.Sink{Send: func(ctx context.Context, m stream.Message) error {
				writing = true
				_, err := io.WriteString(w, m.Data)
				writing = false
				return err
			}}
		})
		_, err := r.Read(make([]byte, 1))
		require.NoError(t, err)
		synctest.Wait()
		assert.True(t, writing)
		cancel(why) // nothing is read any more
		synctest.Wait()
		assert.False(t, writing)
		_, err = io.ReadAll(r)
		assert.ErrorIs(t, err, why)
		require.NoError(t, r.Close())
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, bedrocktest.Text("one"))
		require.NoError(t, stream.NewReader(t.Context(), s, stream.SSE).Close())
		_, err := s.Reader().Read(make([]byte, 1))
		assert.ErrorIs(t, err, stream.ErrClosed, "a reader that was never read")
	})
}

// The body of a streaming function, as the runtime of AWS Lambda reads it.
func TestNewReaderInLambda(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &said{messages: append(aLoop()[:4:4], complete), pause: 20 * time.Second}
		resp := &events.LambdaFunctionURLStreamingResponse{
			Headers: map[string]string{"Content-Type": "text/event-stream"},
			Body:    stream.NewReader(t.Context(), s, stream.SSE),
		}
		data, err := io.ReadAll(resp)
		require.NoError(t, err)
		require.NoError(t, resp.Close())
		head, body, ok := strings.Cut(string(data), strings.Repeat("\x00", 8))
		require.True(t, ok)
		assert.JSONEq(t, `{"statusCode":200,"headers":{"Content-Type":"text/event-stream"}}`, head)
		assert.Equal(t, 5, strings.Count(body, ": ping\n\n"), "no proxy sees an idle connection")
		assert.Equal(t, 5, strings.Count(body, "\ndata: "))
		assert.Positive(t, s.closed.Load())
	})
}
