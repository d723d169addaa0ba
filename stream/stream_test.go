package stream_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// once sends every request once, so that what is sent is what is seen.
func once(o *bedrockx.Options) { o.MaxAttempts = 1 }

// quick retries without waiting.
func quick(o *bedrockx.Options) { o.BaseDelay, o.MaxDelay = 1, 1 }

// open opens a stream of either operation.
type open func(context.Context, *bedrockx.Client, ...func(*bedrockx.Options)) (*stream.Stream, error)

func converse(ctx context.Context, c *bedrockx.Client, optFns ...func(*bedrockx.Options)) (*stream.Stream, error) {
	return stream.Converse(ctx, c, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(model),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
			&types.ContentBlockMemberText{Value: "hello"},
		}}},
		ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String("search"), Description: aws.String("Searches."),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})},
		}}}},
	}, optFns...)
}

func invoke(ctx context.Context, c *bedrockx.Client, optFns ...func(*bedrockx.Options)) (*stream.Stream, error) {
	return stream.InvokeModel(ctx, c, &bedrockruntime.InvokeModelWithResponseStreamInput{
		ModelId: aws.String(model),
		Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":"hello"}],
			"tools":[{"name":"search","description":"Searches.","input_schema":{"type":"object"}}]}`),
	}, anthropic.NewDecoder, optFns...)
}

// eachOp runs a test with both operations.
func eachOp(t *testing.T, test func(t *testing.T, open open)) {
	t.Run("ConverseStream", func(t *testing.T) { test(t, converse) })
	t.Run("InvokeModelWithResponseStream", func(t *testing.T) { test(t, invoke) })
}

// eachTransport runs a test over HTTP/1.1 and HTTP/2 sockets and in memory.
func eachTransport(t *testing.T, test func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client)) {
	t.Run("h1", func(t *testing.T) {
		srv := bedrocktest.NewServer(t)
		test(t, srv, srv.Client())
	})
	t.Run("h2", func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.HTTP2 = true })
		test(t, srv, srv.Client())
	})
	t.Run("memory", func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		test(t, srv, srv.Client())
	})
}

// read reads a stream to its end.
func read(s *stream.Stream) (text string, events []stream.Event, err error) {
	for ev, e := range s.Events() {
		if e != nil {
			return text, events, e
		}
		if ev.Type == stream.Text {
			text += ev.Text
		}
		events = append(events, ev)
	}
	return text, events, nil
}

func TestWholeAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client) {
		eachOp(t, func(t *testing.T, open open) {
			usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}
			srv.Reply(bedrocktest.Reasoning("I think.").Text("日本の「漫画」\n\"quoted\" \\ 😀").ToolUse("search", map[string]any{"q": "ワンピース", "n": 5}).Usage(usage))
			s, err := open(t.Context(), bedrockx.New(api))
			require.NoError(t, err)
			text, events, err := read(s)
			require.NoError(t, err)
			assert.Equal(t, "日本の「漫画」\n\"quoted\" \\ 😀", text)

			r := s.Result()
			assert.True(t, r.Complete)
			assert.Equal(t, bedrockkit.StopToolUse, r.StopReason)
			assert.Equal(t, usage, r.Usage)
			assert.Equal(t, usage, s.Usage())
			assert.Equal(t, "1.65", r.Cost.String())
			assert.NotEmpty(t, r.RequestID)
			assert.Equal(t, 1, r.Attempts)
			assert.Positive(t, r.FirstOutput)
			assert.GreaterOrEqual(t, r.Latency, r.FirstOutput)
			require.Len(t, r.Blocks, 3)
			assert.Equal(t, stream.BlockReasoning, r.Blocks[0].Kind)
			assert.Equal(t, "I think.", r.Blocks[0].Text)
			assert.NotEmpty(t, r.Blocks[0].Signature)
			assert.Equal(t, text, r.Text())
			assert.Equal(t, "search", r.Blocks[2].ToolName)
			assert.JSONEq(t, `{"q":"ワンピース","n":5}`, string(r.Blocks[2].Input))

			kinds := make(map[stream.EventType]int)
			for _, ev := range events {
				kinds[ev.Type]++
			}
			assert.Equal(t, 1, kinds[stream.MessageStart])
			assert.Equal(t, 3, kinds[stream.BlockStop])
			assert.Equal(t, 1, kinds[stream.MessageStop])
			assert.Equal(t, 1, kinds[stream.Metadata])
			assert.Zero(t, kinds[stream.Unknown])
			_, err = json.Marshal(r)
			assert.NoError(t, err)
		})
	})
}

func TestText(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one two").Chunks("one", " ", "two"))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	var pieces []string
	for text, err := range s.Text() {
		require.NoError(t, err)
		pieces = append(pieces, text)
	}
	assert.Equal(t, []string{"one", " ", "two"}, pieces)
}

// cuts runs a stream that breaks after n bytes, for every n until it is whole.
func cuts(t *testing.T, srv *bedrocktest.Server, c *bedrockx.Client, open open, broken func(*bedrocktest.Reply, int64) *bedrocktest.Reply) {
	const whole = "一 two"
	reply := func() *bedrocktest.Reply { return bedrocktest.Text(whole).ChunkSize(4) }
	silent, partials := 0, 0
	for n := int64(0); ; n++ {
		srv.Reply(broken(reply(), n))
		s, err := open(t.Context(), c, once)
		if err != nil {
			var e *bedrockx.Error
			require.ErrorAs(t, err, &e, "broken after %d bytes", n)
			continue
		}
		text, _, err := read(s)
		r := s.Result()
		require.True(t, strings.HasPrefix(whole, text))
		require.Equal(t, text, r.Text())
		require.Equal(t, err == nil, r.Complete, "broken after %d bytes", n)
		if err == nil {
			require.Equal(t, whole, text, "broken after %d bytes, and silent", n)
			require.Equal(t, bedrockkit.StopEndTurn, r.StopReason)
			if !r.Usage.Unknown {
				break
			}
			require.Nil(t, r.Cost, "what nobody knows is not told as 0")
			require.Error(t, r.CostErr)
			silent++
			continue
		}
		var e *bedrockx.Error
		require.ErrorAs(t, err, &e)
		require.True(t, errors.Is(err, bedrockx.ErrTruncated) || errors.Is(err, bedrockx.ErrConnection), "broken after %d bytes: %v", n, err)
		if text != "" {
			partials++
		}
	}
	assert.Positive(t, partials)
	t.Logf("%d with a partial answer, %d whole but for their metadata", partials, silent)
}

func TestCutAtEveryByte(t *testing.T) {
	eachTransport(t, func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client) {
		eachOp(t, func(t *testing.T, open open) { cuts(t, srv, bedrockx.New(api), open, (*bedrocktest.Reply).CutAfter) })
	})
}

func TestAbortedAtEveryByte(t *testing.T) {
	eachTransport(t, func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client) {
		eachOp(t, func(t *testing.T, open open) { cuts(t, srv, bedrockx.New(api), open, (*bedrocktest.Reply).AbortAfter) })
	})
}

func TestWithoutMetadata(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("whole").Without("metadata"))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "whole", text)
	assert.True(t, s.Usage().Unknown)
	assert.Nil(t, s.Result().Cost)
}

func TestMetadataWithoutMessageStop(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("partial").Without("messageStop"))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, _, err := read(s)
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	assert.Equal(t, "partial", text)
	assert.Equal(t, "partial", s.Result().Text())
	assert.False(t, s.Result().Complete)
}

func TestEmptyStream(t *testing.T) {
	eachOp(t, func(t *testing.T, open open) {
		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.Frames(), bedrocktest.Frames(), bedrocktest.Frames())
		_, err := open(t.Context(), bedrockx.New(srv.Client()), quick)
		assert.ErrorIs(t, err, bedrockx.ErrEmpty)
		assert.Len(t, srv.Requests(), 3, "it is retried")

		srv.Reply(bedrocktest.Frames(), bedrocktest.Text("at last"))
		s, err := open(t.Context(), bedrockx.New(srv.Client()), quick)
		require.NoError(t, err)
		text, _, err := read(s)
		require.NoError(t, err)
		assert.Equal(t, "at last", text)
		assert.Equal(t, 2, s.Result().Attempts)
	})
}

func TestCorruptFrames(t *testing.T) {
	for name, offset := range map[string]int{"prelude": 8, "message": -1} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.Text("one two three").ChunkSize(4).Corrupt(3, offset))
			s, err := converse(t.Context(), bedrockx.New(srv.Client()), quick)
			require.NoError(t, err)
			text, _, err := read(s)
			assert.ErrorIs(t, err, bedrockx.ErrCorrupt)
			assert.NotEmpty(t, text)
			assert.Len(t, srv.Requests(), 1, "no retry after output was given out")

			srv.Reply(bedrocktest.Text("one").Corrupt(0, offset), bedrocktest.Text("two"))
			s, err = converse(t.Context(), bedrockx.New(srv.Client()), quick)
			require.NoError(t, err)
			text, _, err = read(s)
			require.NoError(t, err)
			assert.Equal(t, "two", text, "before the first output it is retried")
		})
	}
}

func TestFramesThatCanNotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		total, headers uint32
		want           error
	}{
		"total of 0":             {0, 0, bedrockx.ErrCorrupt},
		"total under 16":         {15, 0, bedrockx.ErrCorrupt},
		"headers over the total": {100, 200, bedrockx.ErrCorrupt},
		"4 GiB":                  {0xFFFFFFFF, 0, bedrockx.ErrTooLarge},
		"over the bound":         {2 << 20, 0, bedrockx.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.Text("one two three").ChunkSize(4).Claim(3, tt.total, tt.headers))
			s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) { o.MaxFrameBytes = 1 << 20 })
			require.NoError(t, err)
			text, _, err := read(s)
			assert.ErrorIs(t, err, tt.want)
			assert.NotEmpty(t, text)
		})
	}
}

func TestStalls(t *testing.T) {
	bounds := func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.AttemptTimeout, o.FirstEventTimeout, o.IdleTimeout = 10*time.Second, 20*time.Second, 30*time.Second
	}
	tests := []struct {
		name   string
		reply  *bedrocktest.Reply
		want   error
		after  time.Duration
		opened bool
	}{
		{"before the headers", bedrocktest.Text("one two").Stall(), bedrockx.ErrAttemptTimeout, 10 * time.Second, false},
		{"before the first event", bedrocktest.Text("one two").StallAfter(0), bedrockx.ErrFirstEventTimeout, 20 * time.Second, false},
		{"before the first output", bedrocktest.Text("one two").StallAfter(1), bedrockx.ErrFirstEventTimeout, 20 * time.Second, false},
		{"after the first output", bedrocktest.Text("one two").ChunkSize(2).StallAfter(3), bedrockx.ErrStalled, 30 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				srv.Reply(tt.reply)
				began := time.Now()
				s, err := converse(t.Context(), bedrockx.New(srv.Client()), bounds)
				require.Equal(t, tt.opened, err == nil, "%v", err)
				if tt.opened {
					_, _, err = read(s)
				}
				assert.ErrorIs(t, err, tt.want)
				assert.Equal(t, tt.after, time.Since(began))
				var e *bedrockx.Error
				require.ErrorAs(t, err, &e)
				assert.EqualValues(t, model, e.Model)
			})
		})
	}
}

// A stream may take as long as it takes, as long as it goes on; and a reader
// that is slow is no stall.
func TestSlowStreamsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text(strings.Repeat("word ", 100)).Pace(0.2))
		s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
			o.AttemptTimeout, o.FirstEventTimeout, o.IdleTimeout = 10*time.Second, 20*time.Second, 30*time.Second
		})
		require.NoError(t, err)
		began := time.Now()
		n := 0
		for _, err := range s.Events() {
			require.NoError(t, err)
			if n++; n == 5 {
				time.Sleep(time.Hour) // the reader, in the bubble's time
			}
		}
		assert.Greater(t, time.Since(began), time.Hour)
		assert.True(t, s.Result().Complete)
	})
}

func TestCancelWhileBlocked(t *testing.T) {
	for name, stall := range map[string]func(*bedrocktest.Reply) *bedrocktest.Reply{
		"before the headers": (*bedrocktest.Reply).Stall,
		"in the stream":      func(r *bedrocktest.Reply) *bedrocktest.Reply { return r.StallAfter(4) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				srv.Reply(stall(bedrocktest.Text("one two").ChunkSize(1)))
				why := errors.New("the reader has gone")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(why) })
				began := time.Now()
				s, err := converse(ctx, bedrockx.New(srv.Client()))
				if err == nil {
					_, _, err = read(s)
				}
				assert.ErrorIs(t, err, context.Canceled)
				assert.ErrorIs(t, err, why)
				assert.Equal(t, time.Second, time.Since(began))
			})
		})
	}
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
			srv.Reply(bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			s, err := converse(ctx, bedrockx.New(srv.Client()))
			require.NoError(t, err)
			_, _, err = read(s)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
}

func TestCloseWhileBlocked(t *testing.T) {
	eachTransport(t, func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client) {
		srv.Reply(bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
		s, err := converse(t.Context(), bedrockx.New(api))
		require.NoError(t, err)
		var wg sync.WaitGroup
		n := 0
		for _, e := range s.Events() {
			if e != nil {
				err = e
				break
			}
			if n++; n == 4 {
				wg.Go(func() { s.Close() })
			}
		}
		wg.Wait()
		assert.ErrorIs(t, err, stream.ErrClosed)
		require.NoError(t, s.Close(), "again")
		assert.False(t, s.Result().Complete)
	})
}

func TestLeftAfterOneEvent(t *testing.T) {
	eachTransport(t, func(t *testing.T, srv *bedrocktest.Server, api *bedrockruntime.Client) {
		c := bedrockx.New(api)
		for range 20 {
			srv.Reply(bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
			s, err := converse(t.Context(), c)
			require.NoError(t, err)
			for _, err := range s.Events() {
				require.NoError(t, err)
				break
			}
			assert.False(t, s.Result().Complete)
			assert.True(t, s.Usage().Unknown)
		}
		// TestMain sees that no goroutine is left.
	})
}

func TestNeverRead(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, _, err = read(s)
	assert.ErrorIs(t, err, stream.ErrClosed)
}

func TestReadTwice(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("once"))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	_, _, err = read(s)
	require.NoError(t, err)
	_, _, err = read(s)
	assert.ErrorIs(t, err, stream.ErrUsed)
	for _, err := range s.Text() {
		assert.ErrorIs(t, err, stream.ErrUsed)
	}
	assert.Equal(t, "once", s.Result().Text())
}

// The SDK shares one decoder among streams, and mixes the bytes of unknown
// events between them.
func TestConcurrentStreamsDoNotMix(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	c := bedrockx.New(srv.Client())
	const streams = 8
	for range streams {
		srv.Control(bedrockkit.OpConverseStream, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			mark := fmt.Sprintf("<%d>", r.N)
			reply := bedrocktest.Text(strings.Repeat(mark, 200)).Chunks(slicesOf(mark, 200)...)
			for i := range 50 {
				reply.InsertAfter(2+4*i, "newEvent", fmt.Sprintf(`{"mark":%q}`, mark))
			}
			return reply
		})
	}
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			s, err := converse(t.Context(), c)
			if !assert.NoError(t, err) {
				return
			}
			text, events, err := read(s)
			assert.NoError(t, err)
			mark := text[:strings.IndexByte(text, '>')+1]
			assert.Equal(t, strings.Repeat(mark, 200), text)
			unknown := 0
			for _, ev := range events {
				if ev.Type == stream.Unknown {
					unknown++
					var v struct{ Mark string }
					assert.NoError(t, json.Unmarshal(ev.Raw, &v))
					assert.Equal(t, mark, v.Mark)
				}
			}
			assert.Equal(t, 50, unknown)
		})
	}
	wg.Wait()
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestUnknownThingsAreKept(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("known").Stop("new_reason").
		InsertAfter(1, "newEvent", `{"a":[1,2]}`).
		InsertAfter(2, "contentBlockDelta", `{"contentBlockIndex":7,"delta":{"newDelta":{"x":1}}}`).
		InsertAfter(3, "contentBlockStart", `{"contentBlockIndex":8,"start":{"newBlock":{"y":2}}}`).
		InsertAfter(4, "contentBlockStop", `{"contentBlockIndex":8}`))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, events, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "known", text)
	assert.EqualValues(t, "new_reason", s.Result().StopReason)
	var raws []string
	for _, ev := range events {
		if ev.Type == stream.Unknown {
			raws = append(raws, ev.Name+" "+string(ev.Raw))
		}
	}
	require.Len(t, raws, 2)
	assert.Contains(t, raws[0], `newEvent`)
	assert.Contains(t, raws[0], `[1,2]`)
	assert.Contains(t, raws[1], `"newDelta":{"x":1}`)
	for _, b := range s.Result().Blocks {
		if b.Index == 8 {
			assert.Equal(t, stream.BlockUnknown, b.Kind)
			assert.Contains(t, string(b.Unknown[0]), `"newBlock":{"y":2}`)
		}
	}
}

func TestExceptionsInTheStream(t *testing.T) {
	tests := []struct {
		code string
		want error
		as   func(error) bool
	}{
		{"InternalServerException", bedrockx.ErrInternal, as[*types.InternalServerException]},
		{"ModelStreamErrorException", bedrockx.ErrModelError, as[*types.ModelStreamErrorException]},
		{"ValidationException", bedrockx.ErrValidation, as[*types.ValidationException]},
		{"ThrottlingException", bedrockx.ErrThrottled, as[*types.ThrottlingException]},
		{"ServiceUnavailableException", bedrockx.ErrOverloaded, as[*types.ServiceUnavailableException]},
		{"ModelTimeoutException", bedrockx.ErrTimeout, as[*types.ModelTimeoutException]},
		{"SomethingNewException", nil, as[interface{ ErrorCode() string }]},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			eachOp(t, func(t *testing.T, open open) {
				srv := bedrocktest.NewServer(t)
				c := bedrockx.New(srv.Client())
				check := func(err error) {
					t.Helper()
					if tt.want != nil {
						assert.ErrorIs(t, err, tt.want)
					}
					assert.True(t, tt.as(err), "%v", err)
					assert.ErrorContains(t, err, "what happened")
				}
				srv.Reply(bedrocktest.Text("never seen").ExceptionAfter(1, tt.code, "what happened"))
				_, err := open(t.Context(), c, once)
				check(err)

				srv.Reply(bedrocktest.Text("one two three").ChunkSize(2).ExceptionAfter(5, tt.code, "what happened"))
				s, err := open(t.Context(), c, quick)
				require.NoError(t, err)
				text, _, err := read(s)
				check(err)
				assert.NotEmpty(t, text)
				assert.Len(t, srv.Requests(), 2, "no retry after output was given out")
				assert.False(t, s.Result().Complete)
			})
		})
	}
}

func as[T any](err error) bool {
	var target T
	return errors.As(err, &target)
}

func TestExceptionBeforeTheFirstOutputIsRetried(t *testing.T) {
	eachOp(t, func(t *testing.T, open open) {
		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.Text("x").ExceptionAfter(1, "ThrottlingException", "slow down"), bedrocktest.Text("second"))
		s, err := open(t.Context(), bedrockx.New(srv.Client()), quick)
		require.NoError(t, err)
		text, _, err := read(s)
		require.NoError(t, err)
		assert.Equal(t, "second", text)
		assert.Equal(t, 2, s.Result().Attempts)
	})
}

func TestAnthropicErrorInsideAChunk(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one two").ChunkSize(3).InsertAfter(3, "error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`))
	s, err := invoke(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, _, err := read(s)
	assert.ErrorIs(t, err, bedrockx.ErrOverloaded)
	assert.Equal(t, "one", text)
}

func TestToolInput(t *testing.T) {
	const input = `{"q":"漫画 \"x\"","n":12345678901234567890}`
	t.Run("split at every byte", func(t *testing.T) {
		eachOp(t, func(t *testing.T, open open) {
			srv := bedrocktest.NewServer(t)
			c := bedrockx.New(srv.Client())
			runes := []rune(input)
			for i := range runes {
				srv.Reply(bedrocktest.ToolUse("search", json.RawMessage(input)).Chunks(string(runes[:i]), string(runes[i:])))
				s, err := open(t.Context(), c)
				require.NoError(t, err)
				_, _, err = read(s)
				require.NoError(t, err)
				require.Equal(t, input, string(s.Result().Blocks[0].Input))
			}
		})
	})
	t.Run("without arguments", func(t *testing.T) {
		eachOp(t, func(t *testing.T, open open) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.ToolUse("search", nil).Without("contentBlockDelta", "content_block_delta"))
			s, err := open(t.Context(), bedrockx.New(srv.Client()))
			require.NoError(t, err)
			_, _, err = read(s)
			require.NoError(t, err)
			assert.Equal(t, `{}`, string(s.Result().Blocks[0].Input))
		})
	})
	t.Run("cut", func(t *testing.T) {
		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.ToolUse("search", map[string]any{"q": "x"}).Stop(bedrockkit.StopMaxTokens).Edit(func(frames []bedrocktest.Frame) []bedrocktest.Frame {
			for i := range frames {
				if frames[i].Type == "contentBlockDelta" {
					frames[i].Payload = []byte(`{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"q\":"}}}`)
				}
			}
			return frames
		}))
		s, err := converse(t.Context(), bedrockx.New(srv.Client()))
		require.NoError(t, err)
		_, _, err = read(s)
		require.NoError(t, err)
		assert.Nil(t, s.Result().Blocks[0].Input, "without an input it must not run")
	})
}

func TestMalformedStop(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("half").Stop(bedrockkit.StopMalformedModelOutput))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	_, _, err = read(s)
	assert.ErrorIs(t, err, bedrockx.ErrModelError)
	assert.ErrorContains(t, err, "malformed_model_output")
}

// What ends with a call runs once, whichever way it ends, with what it took.
func TestOnEnd(t *testing.T) {
	ends := map[string]struct {
		reply *bedrocktest.Reply
		read  func(*stream.Stream)
		want  error
	}{
		"whole":  {bedrocktest.Text("one"), func(s *stream.Stream) { read(s); s.Close() }, nil},
		"left":   {bedrocktest.Text("one two").ChunkSize(1).StallAfter(4), func(s *stream.Stream) { s.Close(); s.Close() }, stream.ErrClosed},
		"broken": {bedrocktest.Text("one two").ChunkSize(1).EndAfter(4), func(s *stream.Stream) { read(s) }, bedrockx.ErrTruncated},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(tt.reply)
			var ended []error
			var cost string
			s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
				o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
					return func(ctx context.Context, call *bedrockx.Call) error {
						call.OnEnd(func(err error) {
							ended = append(ended, err)
							if call.Cost != nil {
								cost = call.Cost.String()
							}
						})
						return next(ctx, call)
					}
				})
			})
			require.NoError(t, err)
			assert.Empty(t, ended, "a stream that is open has not ended")
			tt.read(s)
			require.Len(t, ended, 1)
			if tt.want == nil {
				assert.NoError(t, ended[0])
				assert.NotEmpty(t, cost)
			} else {
				assert.ErrorIs(t, ended[0], tt.want)
				assert.Empty(t, cost)
			}
		})
	}
}

func TestMocksAreToldToUseTheFake(t *testing.T) {
	_, err := converse(t.Context(), bedrockx.New(mock{}))
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "bedrocktest")
}

type mock struct{ bedrockx.RuntimeAPI }

func (mock) ConverseStream(context.Context, *bedrockruntime.ConverseStreamInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.ConverseStreamOutput, error) {
	return &bedrockruntime.ConverseStreamOutput{}, nil
}

// A context that ends as the stream begins ends it too; with -race, also without a race.
func TestStreamWhoseContextEndsAsItBegins(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(bedrocktest.Text("Hello"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s, err := converse(ctx, bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.OnEnd(func(err error) { ended <- err })
				defer cancel()
				return next(ctx, call)
			}
		}}
	})
	require.NoError(t, err)
	require.ErrorIs(t, <-ended, context.Canceled)
	assert.False(t, s.Result().Complete)
}

// A stream that is dropped ends with its context, and so does what hangs on it.
func TestDroppedStreamEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text("slow stream").ChunkSize(1).StallAfter(3))
		var ended error
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := converse(ctx, bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
			o.Middleware = []bedrockx.Middleware{func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					call.OnEnd(func(err error) { ended = err })
					return next(ctx, call)
				}
			}}
		})
		require.NoError(t, err)
		cancel(why)
		synctest.Wait()
		assert.ErrorIs(t, ended, why)
	})
}

// What runs at the end may ask for the result: to log it, or to keep it.
func TestOnEndMayAskForTheResult(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one"))
	var s *stream.Stream
	text := ""
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.OnEnd(func(error) { text = s.Result().Text() })
				return next(ctx, call)
			}
		}}
	})
	require.NoError(t, err)
	_, _, err = read(s)
	require.NoError(t, err)
	assert.Equal(t, "one", text)
}

func TestStreamThatAMiddlewareAnswers(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	_, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(bedrockx.Handler) bedrockx.Handler {
			return func(context.Context, *bedrockx.Call) error { return nil }
		}}
	})
	assert.ErrorContains(t, err, "without calling its Decode")
}

func TestStreamIsBounded(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	reply := bedrocktest.Text("x")
	for range 100 {
		reply.InsertAfter(1, "contentBlockDelta", `{"contentBlockIndex":1,"delta":{"new":"`+strings.Repeat("y", 1000)+`"}}`)
	}
	srv.Reply(reply)
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) { o.MaxResponseBytes = 50_000 })
	if err == nil {
		_, _, err = read(s)
	}
	assert.ErrorIs(t, err, bedrockx.ErrTooLarge)
}

// The start of a block has told the reader nothing yet.
func TestRetriedAfterTheStartOfABlock(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("x").ExceptionAfter(2, "ThrottlingException", "slow down"), bedrocktest.Text("second"))
	s, err := invoke(t.Context(), bedrockx.New(srv.Client()), quick)
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "second", text)
}

// What the service runs by itself is no call for us.
func TestServerToolIsUnknown(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("hi").
		InsertAfter(1, "contentBlockStart", `{"contentBlockIndex":7,"start":{"toolUse":{"toolUseId":"s1","name":"nova_grounding","type":"server_tool_use"}}}`).
		InsertAfter(2, "contentBlockDelta", `{"contentBlockIndex":7,"delta":{"toolUse":{"input":"{}"}}}`).
		InsertAfter(3, "contentBlockStop", `{"contentBlockIndex":7}`))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	_, _, err = read(s)
	require.NoError(t, err)
	assert.Equal(t, stream.BlockUnknown, s.Result().Blocks[0].Kind)
	assert.Empty(t, s.Result().Blocks[0].ToolUseID)
}

// An Anthropic stream that tells no usage, and has no metrics either.
func TestAnthropicWithoutUsage(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	chunk := func(event string) []byte {
		return bedrocktest.EncodeEvent("chunk", fmt.Appendf(nil, `{"bytes":%q}`, base64.StdEncoding.EncodeToString([]byte(event))))
	}
	srv.Reply(bedrocktest.Frames(
		chunk(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}`),
		chunk(`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`),
		chunk(`{"type":"message_stop"}`),
	))
	s, err := invoke(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "hi", text)
	assert.True(t, s.Usage().Unknown)
	assert.Nil(t, s.Result().Cost)
}

// Another model answers as long as nothing was given out, and never after.
func TestFallbackBeforeTheFirstOutputOnly(t *testing.T) {
	eachOp(t, func(t *testing.T, open open) {
		const other = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
		srv := bedrocktest.NewServer(t)
		c := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
			o.MaxAttempts, o.Fallback = 1, []bedrockx.Target{{Model: other}}
		})
		srv.Reply(bedrocktest.Text("x").ExceptionAfter(1, "ServiceUnavailableException", "busy"), bedrocktest.Text("from the other"))
		s, err := open(t.Context(), c)
		require.NoError(t, err)
		text, _, err := read(s)
		require.NoError(t, err)
		assert.Equal(t, "from the other", text)
		assert.EqualValues(t, other, s.Result().Model)

		srv.Reply(bedrocktest.Text("one two three").ChunkSize(2).ExceptionAfter(5, "ServiceUnavailableException", "busy"))
		s, err = open(t.Context(), c)
		require.NoError(t, err)
		text, _, err = read(s)
		assert.ErrorIs(t, err, bedrockx.ErrOverloaded)
		assert.NotEmpty(t, text)
		assert.EqualValues(t, model, s.Result().Model)
		assert.Len(t, srv.Requests(), 3)
	})
}

// The reader of a stream that another goroutine closes asks for the result while
// that one settles the call.
func TestResultBesideClose(t *testing.T) {
	for range 50 {
		s, _ := start(t, bedrocktest.Text("one two three four").ChunkSize(1))
		var wg sync.WaitGroup
		wg.Go(func() { s.Close() })
		for _, err := range s.Events() {
			if err != nil {
				assert.ErrorIs(t, err, stream.ErrClosed)
			}
		}
		s.Result()
		wg.Wait()
		assert.NotZero(t, s.Result().Latency)
	}
}
