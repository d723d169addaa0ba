package stream_test

import (
	"context"
	"encoding/json"
	"strings"
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

func continued(n int) func(*bedrockx.Options) {
	return func(o *bedrockx.Options) { o.Continue, o.MaxAttempts = n, 1 }
}

func TestContinued(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(
		bedrocktest.Text("one two three").Chunks("one ", "two ", "three").EndAfter(3),
		bedrocktest.Text("three four").Chunks("three", " four"),
	)
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(1))
	require.NoError(t, err)
	text, events, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "one two three four", text)
	r := s.Result()
	assert.True(t, r.Complete)
	assert.Equal(t, 1, r.Continued)
	assert.Equal(t, text, r.Text())
	assert.Len(t, r.Blocks, 1, "it is one answer")
	assert.True(t, r.Usage.Unknown, "what the broken part took nobody knows")
	assert.Nil(t, r.Cost)
	starts := 0
	for _, ev := range events {
		if ev.Type == stream.MessageStart {
			starts++
		}
	}
	assert.Equal(t, 1, starts)

	messages := srv.Requests()[1].Messages
	require.Len(t, messages, 2)
	assert.Equal(t, "assistant", messages[1].Role)
	assert.Equal(t, "one two", messages[1].Text(), "without the white space that the service refuses")
}

// What runs at the end of the call that broke may ask for the result so far.
func TestContinuedTellsTheEndOfWhatBroke(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(bedrocktest.Text("one two").Chunks("one ", "two").EndAfter(3), bedrocktest.Text(" three"))
	var s *stream.Stream
	var ends []string
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(1), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.OnEnd(func(err error) {
					ends = append(ends, string(bedrockx.KindOf(err)))
					assert.Contains(t, s.Result().Text(), "one two")
				})
				return next(ctx, call)
			}
		})
	})
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "one two three", text)
	assert.Equal(t, []string{string(bedrockx.KindTruncated), ""}, ends)
}

func TestContinuedOnlyWhereItCanBe(t *testing.T) {
	tests := []struct {
		name  string
		reply *bedrocktest.Reply
		times int
	}{
		{"not asked for", bedrocktest.Text("one two").ChunkSize(4).EndAfter(3), 0},
		{"a tool call", bedrocktest.Text("one").ToolUse("search", map[string]any{"q": "x"}).EndAfter(4), 3},
		{"reasoning", bedrocktest.Reasoning("hm hm").ChunkSize(2).EndAfter(3), 3},
		{"white space", bedrocktest.Text("  \n  x").ChunkSize(3).EndAfter(2), 3},
		{"an error of the request", bedrocktest.Text("one two").ChunkSize(2).ExceptionAfter(3, "ValidationException", "no"), 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(tt.reply)
			s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(tt.times))
			require.NoError(t, err)
			_, _, err = read(s)
			assert.Error(t, err)
			assert.Len(t, srv.Requests(), 1)
			assert.Zero(t, s.Result().Continued)
		})
	}
}

func TestContinuedIsBounded(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	for range 3 {
		srv.Reply(bedrocktest.Text("word word").ChunkSize(5).EndAfter(2))
	}
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(2))
	require.NoError(t, err)
	_, _, err = read(s)
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	assert.Equal(t, 2, s.Result().Continued)
	assert.Equal(t, "word word word ", s.Result().Text())
}

func TestContinuationThatFails(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one two").ChunkSize(4).EndAfter(2), bedrocktest.Throttle())
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(1))
	require.NoError(t, err)
	text, _, err := read(s)
	assert.ErrorIs(t, err, bedrockx.ErrTruncated, "what broke is told")
	assert.Equal(t, "one ", text)
	assert.False(t, s.Result().Complete)
}

func TestCloseWhileContinuing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text("one two").ChunkSize(4).EndAfter(2), bedrocktest.Text("x").Stall())
		s, err := converse(t.Context(), bedrockx.New(srv.Client()), continued(1))
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { s.Close() })
		began := time.Now()
		_, _, err = read(s)
		assert.Error(t, err)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// answer is one that a stream brought.
func answer(t *testing.T, reply *bedrocktest.Reply) *stream.Result {
	t.Helper()
	s, _ := start(t, reply)
	_, _, err := read(s)
	require.NoError(t, err)
	stored, err := json.Marshal(s.Result())
	require.NoError(t, err)
	r := &stream.Result{}
	require.NoError(t, json.Unmarshal(stored, r))
	return r
}

func TestReplay(t *testing.T) {
	r := answer(t, bedrocktest.Reasoning("I think.").Text("日本の「漫画」 and more").ToolUse("search", map[string]any{"q": "x"}))
	s, err := stream.Replay(t.Context(), r)
	require.NoError(t, err)
	text, events, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "日本の「漫画」 and more", text)
	assert.Equal(t, stream.Metadata, events[len(events)-1].Type)
	again := s.Result()
	assert.Equal(t, r.Blocks, again.Blocks)
	assert.Equal(t, r.StopReason, again.StopReason)
	assert.True(t, again.Complete)
	assert.True(t, again.CacheHit)
	assert.Equal(t, "0", again.Cost.String())
	assert.Equal(t, bedrockkit.Usage{}, again.Usage)
	assert.Zero(t, again.Latency)
}

func TestReplayAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("漫画 word ", 20)
		s, err := stream.Replay(t.Context(), answer(t, bedrocktest.Text(text)), func(o *stream.ReplayOptions) { o.Pace = 50 })
		require.NoError(t, err)
		began, n, got := time.Now(), 0, ""
		for piece, err := range s.Text() {
			require.NoError(t, err)
			got += piece
			n++
		}
		assert.Equal(t, text, got)
		assert.Equal(t, 40, n)
		assert.InDelta(t, 160.0/50, time.Since(began).Seconds(), 0.01)
	})
}

func TestReplayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := stream.Replay(ctx, answer(t, bedrocktest.Text(strings.Repeat("word ", 100))), func(o *stream.ReplayOptions) { o.Pace = 10 })
		require.NoError(t, err)
		_, _, err = read(s)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, s.Result().Complete)
	})
}

func TestReplayOfABrokenAnswer(t *testing.T) {
	_, err := stream.Replay(t.Context(), &stream.Result{})
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
}
