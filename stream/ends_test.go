package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

func inProcess(o *bedrocktest.Options) { o.InProcess = true }

// policy is a middleware among the options.
func policy(fn func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error) func(*bedrockx.Options) {
	return func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error { return fn(ctx, call, next) }
		})
	}
}

// onText gives the text to a check.
func onText(check func(string) error) func(*bedrockx.Options) {
	return policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
		call.OnText = append(call.OnText, check)
		return next(ctx, call)
	})
}

// A Reader that is closed while a Read waits ends the Read at once, and never
// looks like the end of the answer.
func TestReaderIsClosedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("one two three").Chunks("one ", "two ", "three").StallAfter(3))
		s, err := converse(t.Context(), bedrockx.New(srv.Client()))
		require.NoError(t, err)
		r := s.Reader()
		got := make(chan error, 1)
		var text []byte
		go func() {
			b := make([]byte, 3)
			for {
				n, err := r.Read(b)
				text = append(text, b[:n]...)
				if err != nil {
					got <- err
					return
				}
			}
		}()
		synctest.Wait()
		require.NoError(t, r.Close())
		err = <-got
		assert.ErrorIs(t, err, stream.ErrClosed)
		assert.NotErrorIs(t, err, io.EOF)
		assert.Equal(t, "one two ", string(text))
		_, err = r.Read(make([]byte, 3))
		assert.ErrorIs(t, err, stream.ErrClosed)
	})
}

// Over HTTP/2, net/http closes the body of a request while a Read of it is under
// way. Over HTTP/1.1 it waits for the Read, which ends with the stream's context.
func TestReaderAsTheBodyOfARequestWithADeadline(t *testing.T) {
	for _, h2 := range []bool{true, false} {
		t.Run(fmt.Sprint("HTTP/2 ", h2), func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.Text("one two three").Chunks("one ", "two ", "three").StallAfter(3))
			got := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadFull(r.Body, make([]byte, len("one two ")))
				cancel()
				if err == nil {
					_, err = io.ReadAll(r.Body)
				}
				got <- err
			}))
			up.EnableHTTP2 = h2
			up.StartTLS()
			defer up.Close()
			own := ctx
			if h2 {
				own = t.Context()
			}
			s, err := converse(own, bedrockx.New(srv.Client()))
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(ctx, "POST", up.URL, s.Reader())
			require.NoError(t, err)
			_, err = up.Client().Do(req)
			require.ErrorIs(t, err, context.Canceled)
			require.Error(t, <-got, "the other side does not take it for whole")
			require.NoError(t, s.Close())
			assert.False(t, s.Result().Complete)
		})
	}
}

// A Reader ends with the context even if nobody reads, and a used stream has
// none.
func TestReaderEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("one two").Chunks("one ", "two").StallAfter(3))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		s, err := converse(ctx, bedrockx.New(srv.Client()), policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
			call.OnEnd(func(error) { close(ended) })
			return next(ctx, call)
		}))
		require.NoError(t, err)
		r := s.Reader()
		_, err = r.Read(make([]byte, 1))
		require.NoError(t, err)
		for _, err := range s.Text() {
			assert.ErrorIs(t, err, stream.ErrUsed)
		}
		cancel()
		<-ended
	})
}

// However the opening of a stream fails after the model has begun, its
// connection and its flight end with it.
func TestNothingStaysOfAStreamThatWasNotGivenOut(t *testing.T) {
	bug, refused := errors.New("bug"), errors.New("refused")
	for name, policy := range map[string]func(*bedrockx.Options){
		"a policy panics": policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
			_ = next(ctx, call)
			panic(bug)
		}),
		"a policy refuses": policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
			_ = next(ctx, call)
			return refused
		}),
		"a check panics": onText(func(string) error { panic(bug) }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				srv.Reply(bedrocktest.Text("one two three").Chunks("one ", "two ", "three").StallAfter(4))
				var attempt context.Context
				client := bedrockx.New(srv.Client(), once, func(o *bedrockx.Options) { o.FirstEventTimeout = -1 }, policy,
					func(o *bedrockx.Options) {
						o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
							return func(ctx context.Context, call *bedrockx.Call) error {
								decode := call.Decode
								call.Decode = func(ctx context.Context, resp *bedrockx.Response) error {
									attempt = ctx
									return decode(ctx, resp)
								}
								return next(ctx, call)
							}
						})
					})
				func() {
					defer func() {
						if r := recover(); r != nil {
							assert.Equal(t, bug, r)
						}
					}()
					_, err := converse(context.WithoutCancel(t.Context()), client)
					assert.ErrorIs(t, err, refused)
				}()
				synctest.Wait()
				assert.Error(t, attempt.Err(), "the attempt has ended")
			})
		})
	}
}

// A continuation that panics leaves nothing of the call that broke.
func TestContinuationThatPanics(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("one two").Chunks("one ", "two").EndAfter(3), bedrocktest.Text(" three"))
	var began, ended atomic.Int64
	budget := pricing.NewTokenBudget(1_000_000)
	client := bedrockx.New(srv.Client(), quick, continued(1), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} },
		policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
			n := began.Add(1)
			call.OnEnd(func(error) { ended.Add(1) })
			if n == 2 {
				call.OnText = append(call.OnText, func(string) error { panic("bug") })
			}
			return next(ctx, call)
		}))
	s, err := stream.Invoke(t.Context(), client, model, anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("hi")}})
	require.NoError(t, err)
	assert.PanicsWithValue(t, "bug", func() {
		for _, err := range s.Text() {
			require.NoError(t, err)
		}
	})
	assert.EqualValues(t, 2, began.Load())
	assert.EqualValues(t, 2, ended.Load())
	assert.Equal(t, 1_000_000-budget.SpentTokens(), budget.RemainingTokens(), "nothing is set aside any more")
}

// What an attempt at a continuation has begun is undone by the next attempt.
func TestContinuationIsTriedAgain(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
	elsewhere := func(frames []bedrocktest.Frame) []bedrocktest.Frame {
		for i := range frames {
			frames[i].Payload = []byte(strings.ReplaceAll(string(frames[i].Payload), `"contentBlockIndex":0`, `"contentBlockIndex":1`))
		}
		return frames
	}
	tool := func() *bedrocktest.Reply {
		return bedrocktest.ToolUse("search", map[string]any{"q": "x"}).Edit(elsewhere)
	}
	srv.Reply(bedrocktest.Text("one two").Chunks("one ", "two").EndAfter(3), tool().EndAfter(2), tool())
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), quick, func(o *bedrockx.Options) { o.Continue, o.MaxAttempts = 1, 3 })
	require.NoError(t, err)
	_, _, err = read(s)
	require.NoError(t, err)
	require.Len(t, srv.Requests(), 3)
	blocks := s.Result().Blocks
	require.Len(t, blocks, 2)
	assert.Equal(t, "one two", blocks[0].Text)
	assert.Equal(t, "search", blocks[1].ToolName)
}

// The result of a continued stream is of all its calls.
func TestResultOfAContinuedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Throttle(),
			bedrocktest.Text("one two").Chunks("one ", "two").Delay(10*time.Second).EndAfter(3),
			bedrocktest.Text(" three").Delay(time.Second))
		s, err := converse(t.Context(), bedrockx.New(srv.Client()), func(o *bedrockx.Options) { o.Continue, o.BaseDelay, o.MaxDelay = 1, -1, -1 })
		require.NoError(t, err)
		_, _, err = read(s)
		require.NoError(t, err)
		r := s.Result()
		assert.Equal(t, 1, r.Continued)
		assert.Equal(t, 10*time.Second, r.FirstOutput)
		assert.Equal(t, 11*time.Second, r.Latency)
		assert.Equal(t, 3, r.Attempts)
		assert.Len(t, r.Failures, 1)
	})
}

// A check that gathers the text sees that of a continuation with what came
// before.
func TestCheckOfAContinuedStream(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("the secret").Chunks("the ", "secret").EndAfter(3), bedrocktest.Text(" word"))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), quick, continued(1), policy(func(ctx context.Context, call *bedrockx.Call, next bedrockx.Handler) error {
		all := ""
		call.OnText = append(call.OnText, func(text string) error {
			if all += text; all == "the secret word" {
				return errors.New("found it")
			}
			return nil
		})
		return next(ctx, call)
	}))
	require.NoError(t, err)
	_, _, err = read(s)
	assert.ErrorIs(t, err, bedrockx.ErrTruncated, "what broke first is what is told")
	assert.NotContains(t, s.Result().Text(), "word")
}

// What a tool that the service runs is given is no text of the answer, also
// when that is replayed.
func TestReplayOfAToolThatTheServiceRuns(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("Found it.").
		InsertAfter(1, "content_block_start", `{"type":"content_block_start","index":7,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}`).
		InsertAfter(2, "content_block_delta", `{"type":"content_block_delta","index":7,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"one piece\"}"}}`).
		InsertAfter(3, "content_block_stop", `{"type":"content_block_stop","index":7}`))
	s, err := invoke(t.Context(), bedrockx.New(srv.Client()))
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	again, err := stream.Replay(t.Context(), s.Result())
	require.NoError(t, err)
	replayed, _, err := read(again)
	require.NoError(t, err)
	assert.Equal(t, text, replayed)
	assert.Equal(t, s.Result().Blocks, again.Result().Blocks)
	assert.Equal(t, s.Result().Text(), again.Result().Text())
}

// A whole answer whose usage cannot be read is an answer of unknown usage.
func TestUsageThatCanNotBeRead(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("whole answer").Without("metadata").
		InsertAfter(99, "metadata", `{"usage":{"inputTokens":5,"outputTokens":3,"cacheWriteInputTokens":0,"cacheDetails":[{"ttl":"1h","inputTokens":7}]}}`))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), once)
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "whole answer", text)
	r := s.Result()
	assert.True(t, r.Complete)
	assert.True(t, r.Usage.Unknown)
	assert.Nil(t, r.Cost)
}

// A result is complete only if the reader got no error.
func TestErrorAfterTheWholeAnswer(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("whole").InsertAfter(99, "extra", `{"a":1}`).Corrupt(5, -1))
	s, err := converse(t.Context(), bedrockx.New(srv.Client()), once)
	require.NoError(t, err)
	_, _, err = read(s)
	require.ErrorIs(t, err, bedrockx.ErrCorrupt)
	assert.False(t, s.Result().Complete)
	_, err = stream.Replay(t.Context(), s.Result())
	assert.ErrorIs(t, err, bedrockx.ErrTruncated)
}

// JSON or HTML where a stream should be is corrupt, as it is for a unary call:
// it is tried again, and another target may do better.
func TestSomethingElseThanAStream(t *testing.T) {
	for typ, body := range map[string]string{"application/json": `{"message":"upstream unavailable"}`, "text/html": `<html><body>Bad gateway</body></html>`} {
		srv := bedrocktest.NewServer(t)
		bad := bedrocktest.Body(200, typ, []byte(body))
		srv.Reply(bad, bad, bad)
		_, err := converse(t.Context(), bedrockx.New(srv.Client()), quick)
		assert.ErrorIs(t, err, bedrockx.ErrCorrupt, typ)
		assert.Len(t, srv.Requests(), 3, typ)
	}
}

// The bounds of an attempt are for the service: a check may take its time.
func TestSlowCheck(t *testing.T) {
	for name, bound := range map[string]func(*bedrockx.Options){
		"first event": func(o *bedrockx.Options) { o.FirstEventTimeout = 10 * time.Second },
		"idle":        func(o *bedrockx.Options) { o.IdleTimeout = 10 * time.Second },
	} {
		for _, refuses := range []bool{false, true} {
			t.Run(fmt.Sprint(name, refuses), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := bedrocktest.NewServer(t, inProcess)
					srv.Reply(bedrocktest.Text("one two three four").Chunks("one ", "two ", "three ", "four").Pace(0.5))
					s, err := converse(t.Context(), bedrockx.New(srv.Client()), bound, onText(func(string) error {
						time.Sleep(20 * time.Second)
						if refuses {
							return errors.New("no")
						}
						return nil
					}))
					if refuses {
						require.ErrorIs(t, err, bedrockx.ErrRefused)
						assert.Len(t, srv.Requests(), 1)
						return
					}
					require.NoError(t, err)
					text, _, err := read(s)
					require.NoError(t, err)
					assert.Equal(t, "one two three four", text)
				})
			})
		}
	}
}

func TestZeroStream(t *testing.T) {
	var s stream.Stream
	for _, err := range s.Events() {
		assert.ErrorContains(t, err, "zero Stream")
	}
	for _, err := range s.Text() {
		assert.ErrorContains(t, err, "zero Stream")
	}
	_, err := s.Reader().Read(make([]byte, 1))
	assert.ErrorContains(t, err, "zero Stream")
	assert.False(t, s.Result().Complete)
	assert.True(t, s.Usage().Unknown)
	assert.NoError(t, s.Close())
}
