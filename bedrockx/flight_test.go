package bedrockx_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// ofBudget charges calls to a budget.
func ofBudget(b *pricing.Budget) func(*converse.Options) {
	return converse.Call(func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{b} })
}

// Whoever joins a flight that fails sends for itself, with its own policies.
func TestFlightThatFails(t *testing.T) {
	tests := map[string]struct {
		first   *bedrocktest.Reply
		leader  func(*bedrockx.Options)
		joined  func(*bedrockx.Options)
		replies []*bedrocktest.Reply
		model   bedrockkit.ModelID
	}{
		"retries": {bedrocktest.Exception("ServiceUnavailableException"),
			func(o *bedrockx.Options) { o.MaxAttempts = 1 }, func(o *bedrockx.Options) { o.MaxAttempts = 2 },
			[]*bedrocktest.Reply{bedrocktest.Exception("ServiceUnavailableException"), bedrocktest.Text("fine")}, haiku},
		"a fallback": {bedrocktest.Exception("ServiceUnavailableException"),
			func(o *bedrockx.Options) { o.MaxAttempts = 1 }, func(o *bedrockx.Options) { o.MaxAttempts, o.Fallback = 1, []bedrockx.Target{{Model: sonnet}} },
			[]*bedrocktest.Reply{bedrocktest.Exception("ServiceUnavailableException"), bedrocktest.Text("fine")}, sonnet},
		"more time": {bedrocktest.Text("slow").Delay(20 * time.Second),
			func(o *bedrockx.Options) { o.MaxAttempts, o.AttemptTimeout = 1, 5*time.Second }, func(o *bedrockx.Options) { o.AttemptTimeout = time.Minute },
			[]*bedrocktest.Reply{bedrocktest.Text("fine").Delay(20 * time.Second)}, haiku},
		"room for a larger answer": {bedrocktest.Text(strings.Repeat("long ", 1000)),
			func(o *bedrockx.Options) { o.MaxResponseBytes = 1000 }, func(o *bedrockx.Options) {},
			[]*bedrocktest.Reply{bedrocktest.Text("fine")}, haiku},
	}
	for name, tt := range tests {
		for _, streamed := range []bool{false, true} {
			if streamed && name == "room for a larger answer" {
				continue // a stream has begun by then
			}
			t.Run(fmt.Sprint(name, ", streamed ", streamed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := bedrocktest.NewServer(t, inProcess)
					client, c := cachedClient(t, srv)
					chat := converse.New(client)
					send := func(fn func(*bedrockx.Options)) (bedrockx.Outcome, string, error) {
						if !streamed {
							r, err := chat.Send(t.Context(), ask("hello"), converse.Call(fn))
							if err != nil {
								return bedrockx.Outcome{}, "", err
							}
							return r.Outcome, r.Text(), nil
						}
						s, err := chat.Stream(t.Context(), ask("hello"), converse.Call(fn))
						if err != nil {
							return bedrockx.Outcome{}, "", err
						}
						r := drain(t, s)
						return r.Outcome, r.Text(), nil
					}
					srv.Reply(append([]*bedrocktest.Reply{tt.first.Delay(time.Second)}, tt.replies...)...)
					if name == "more time" {
						tt.first.Delay(20 * time.Second)
					}
					var wg sync.WaitGroup
					wg.Go(func() {
						_, _, err := send(tt.leader)
						assert.Error(t, err)
					})
					synctest.Wait()
					wg.Go(func() {
						outcome, text, err := send(tt.joined)
						require.NoError(t, err)
						assert.Equal(t, "fine", text)
						assert.Equal(t, tt.model, outcome.Model)
						assert.Equal(t, len(tt.replies), outcome.Attempts)
						assert.False(t, outcome.CacheHit)
						require.NotNil(t, outcome.Cost)
						assert.Positive(t, outcome.Cost.Sign())
					})
					wg.Wait()
					synctest.Wait()
					assert.Len(t, srv.Requests(), 1+len(tt.replies))
					assert.Zero(t, c.Stats().InFlight)
				})
			})
		}
	}
}

// A caller that leaves at the moment that the answer is there pays for it, if it
// was the one to pay; one request is charged once, whoever leaves when.
func TestFlightIsPaidOnce(t *testing.T) {
	const callers, runs = 4, 300
	usage := bedrockkit.Usage{InputTokens: 100, OutputTokens: 10}
	var sent atomic.Int64 // requests that the service has seen
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
		o.KeepRequests = 1
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			sent.Add(1)
			return bedrocktest.Text("hello").Usage(usage)
		}
	})
	for range runs {
		sent.Store(0)
		c := bedrockx.NewCache(memcache.New())
		budget := pricing.NewTokenBudget(1_000_000)
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
			o.Cache, o.Budgets, o.MaxAttempts = c, []*pricing.Budget{budget}, 1
		})
		chat := converse.New(client)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var answered, paid atomic.Int64
		wg.Go(func() {
			if r, err := chat.Send(ctx, ask("hello")); err == nil && !r.CacheHit {
				paid.Add(1)
			}
		})
		for range callers {
			wg.Go(func() {
				r, err := chat.Send(t.Context(), ask("hello"))
				if assert.NoError(t, err) {
					answered.Add(1)
					if !r.CacheHit {
						paid.Add(1)
					}
				}
			})
		}
		for range rand.N(2000) {
			_ = ctx.Err() // a moment
		}
		cancel()
		wg.Wait()
		require.EqualValues(t, callers, answered.Load())
		// What was sent was charged to a caller that has its answer, or to the
		// first one as it left: whole, or as the most that it could take.
		assert.GreaterOrEqual(t, budget.SpentTokens(), sent.Load()*usage.Total())
		assert.LessOrEqual(t, paid.Load(), sent.Load())
		assert.Equal(t, 1_000_000-budget.SpentTokens(), budget.RemainingTokens(), "nothing stays set aside")
		require.NoError(t, c.Close())
	}
}

// A caller of the other form never takes over a flight: it would have to send
// again, and the flight would be charged to nobody.
func TestFlightOfTheOtherForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, c := cachedClient(t, srv)
		leaver, budget := pricing.NewTokenBudget(1_000_000), pricing.NewTokenBudget(1_000_000)
		chat := converse.New(client)
		usage := bedrockkit.Usage{InputTokens: 1000, OutputTokens: 100}
		cut := bedrocktest.Text("one two three").Stop(bedrockkit.StopMaxTokens).Usage(usage)
		srv.Reply(cut.Delay(5*time.Second), bedrocktest.Text("one two three").Stop(bedrockkit.StopMaxTokens).Usage(usage))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := chat.Stream(ctx, ask("hello"), ofBudget(leaver))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		wg.Go(func() {
			r, err := chat.Send(t.Context(), ask("hello"), ofBudget(budget))
			require.NoError(t, err)
			assert.Equal(t, 1, r.Attempts)
			assert.False(t, r.CacheHit)
		})
		wg.Wait()
		assert.Len(t, srv.Requests(), 2)
		assert.Equal(t, usage.Total(), budget.SpentTokens())
		assert.Positive(t, leaver.SpentTokens(), "the most that what it has sent may take")
		assert.Zero(t, c.Stats().InFlight)
	})
}

// Fresh is never answered by what the store had.
func TestFreshBesideAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		filled := make(chan struct{})
		var gets atomic.Int64
		c := bedrockx.NewCache(&store{Store: memcache.New(), get: func() error {
			if gets.Add(1) == 1 { // it has looked, and is slow to tell
				<-filled
				return cache.ErrNotFound
			}
			return nil
		}})
		defer c.Close()
		chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Cache = c }))
		srv.Reply(bedrocktest.Text("old"), bedrocktest.Text("new"))
		var wg sync.WaitGroup
		wg.Go(func() {
			r, err := chat.Send(t.Context(), ask("hello"))
			require.NoError(t, err)
			assert.True(t, r.CacheHit)
		})
		synctest.Wait()
		_, err := chat.Send(t.Context(), ask("hello"))
		require.NoError(t, err)
		close(filled)
		wg.Go(func() {
			r, err := chat.Send(t.Context(), ask("hello"), converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Fresh = true }))
			require.NoError(t, err)
			assert.Equal(t, "new", r.Text())
			assert.False(t, r.CacheHit)
		})
		wg.Wait()
		assert.Len(t, srv.Requests(), 2)
	})
}

// rawStream opens a stream of a body that is in the SDK's input.
func rawStream(ctx context.Context, client *bedrockx.Client, body []byte) (*stream.Stream, error) {
	return stream.InvokeModel(ctx, client, &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(string(haiku)), Body: body}, anthropic.NewDecoder)
}

func claudeBody(question, more string) []byte {
	return []byte(`{"anthropic_version":"bedrock-2023-05-31","temperature":0,"max_tokens":100,"messages":[{"role":"user","content":"` + question + `"}]` + more + `}`)
}

// A stream under way that may ask for tools is not given to a caller that has not
// asked for such answers, wherever its body is: the tool would run twice.
func TestStreamWithToolsIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv)
		for range 2 {
			srv.Reply(bedrocktest.Text("Let me look.").ToolUse("buy", map[string]any{"n": 1}).Delay(time.Second))
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s, err := rawStream(t.Context(), client, claudeBody("buy one", `,"tools":[{"name":"buy","description":"Buys.","input_schema":{"type":"object"}}]`))
				require.NoError(t, err)
				assert.False(t, drain(t, s).CacheHit)
			})
		}
		wg.Wait()
		assert.Len(t, srv.Requests(), 2)
	})
}

// A buffer that its caller uses again, once the call has returned, changes
// neither what is sent nor what is kept under which key.
func TestBufferThatIsUsedAgain(t *testing.T) {
	for _, kind := range []string{"stream", "unary"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, _ := cachedClient(t, srv)
				send := func(ctx context.Context, body []byte) (string, error) {
					if kind == "unary" {
						r, err := bedrockx.Invoke(ctx, client, haiku, bedrockx.Raw(body))
						if err != nil {
							return "", err
						}
						return string(r.Output), nil
					}
					s, err := rawStream(ctx, client, body)
					if err != nil {
						return "", err
					}
					return drain(t, s).Text(), nil
				}
				// The first attempt fails after the buffer was used again.
				srv.Reply(bedrocktest.Exception("InternalServerException").Delay(10*time.Second), bedrocktest.Text("Paris"), bedrocktest.Text("Rome"))
				buf := claudeBody("capital of France?", "")
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := send(ctx, buf)
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					copy(buf, claudeBody("capital of Italia?", ""))
				})
				synctest.Wait()
				text, err := send(t.Context(), claudeBody("capital of France?", ""))
				require.NoError(t, err)
				assert.Contains(t, text, "Paris")
				wg.Wait()
				text, err = send(t.Context(), claudeBody("capital of Italia?", ""))
				require.NoError(t, err)
				assert.Contains(t, text, "Rome")
				requests := srv.Requests()
				require.Len(t, requests, 3)
				assert.Equal(t, "capital of France?", requests[1].LastText())
			})
		})
	}
}

// OnAttempt of the caller who pays sees the attempts, in its own goroutine, and
// none once its call has returned.
func TestAttemptsOfAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv)
		chat := converse.New(client)
		srv.Reply(bedrocktest.Exception("ServiceUnavailableException").Delay(10*time.Second), bedrocktest.Text("fine").Delay(10*time.Second))
		type caller struct {
			numbers  []int
			returned bool
		}
		var all [2]caller // each is used by one goroutine alone
		send := func(ctx context.Context, me *caller) error {
			_, err := chat.Send(ctx, ask("hello"), converse.Call(func(o *bedrockx.Options) {
				o.OnAttempt = append(o.OnAttempt, func(_ context.Context, _ *bedrockx.Call, a bedrockx.Attempt) {
					assert.False(t, me.returned)
					me.numbers = append(me.numbers, a.Number)
				})
			}))
			me.returned = true
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { assert.Error(t, send(ctx, &all[0])) })
		synctest.Wait()
		wg.Go(func() { assert.NoError(t, send(t.Context(), &all[1])) })
		wg.Wait()
		assert.Empty(t, all[0].numbers)
		assert.Equal(t, []int{1, 2}, all[1].numbers)
	})
}

// What is sent again for a flight is set aside of the budgets of whoever pays,
// so that the bound of a call holds with a cache too; who takes over has to have
// room for what was sent before.
func TestBudgetsOfAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		client, _ := cachedClient(t, srv)
		chat := converse.New(client)
		req := ask("hello")
		req.MaxTokens = 100
		small := converse.Call(func(o *bedrockx.Options) { o.MaxTotalTokens = 100 + mostInput })

		srv.Reply(bedrocktest.Exception("InternalServerException"))
		_, err := chat.Send(t.Context(), req, small)
		assert.ErrorIs(t, err, bedrockx.ErrInternal)
		assert.ErrorContains(t, err, "not sent again: the call may take up to")

		// The first caller leaves after one attempt that may have been billed, and
		// the second has room for one only: it sends for itself.
		failed := bedrocktest.Exception("InternalServerException")
		srv.Reply(failed.Delay(2*time.Second), bedrocktest.Text("too late").Delay(10*time.Second), bedrocktest.Text("fine"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		first := pricing.NewTokenBudget(100_000)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := chat.Send(ctx, req, ofBudget(first))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		wg.Go(func() {
			r, err := chat.Send(t.Context(), req, small)
			require.NoError(t, err)
			assert.Equal(t, "fine", r.Text())
			assert.LessOrEqual(t, r.Usage.Total(), int64(100+mostInput))
		})
		wg.Wait()
		assert.Greater(t, first.SpentTokens(), int64(100+mostInput), "both attempts are charged to who has sent them")
		assert.Equal(t, 100_000-first.SpentTokens(), first.RemainingTokens())
	})
}

// A stream that a policy ends after it has begun leaves its flight.
func TestErrorAfterAFlightHasBegun(t *testing.T) {
	for name, end := range map[string]func() error{
		"an error": func() error { return errors.New("no") },
		"a panic":  func() error { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				client, c := cachedClient(t, srv)
				srv.Reply(bedrocktest.Text(strings.Repeat("word ", 100)).ChunkSize(5).Pace(1))
				chat := converse.New(client, converse.Call(func(o *bedrockx.Options) {
					o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
						return func(ctx context.Context, call *bedrockx.Call) error {
							if err := next(ctx, call); err != nil {
								return err
							}
							return end()
						}
					})
				}))
				func() {
					defer func() { _ = recover() }()
					_, err := chat.Stream(t.Context(), ask("hello"))
					assert.Error(t, err)
				}()
				synctest.Wait()
				assert.Zero(t, c.Stats().InFlight)
			})
		})
	}
}

// What an answer depends on outside of its request may change, so it is not kept
// unless that is asked for.
func TestAnswersThatDependOnOthers(t *testing.T) {
	fromS3 := converse.Request{Model: novaPro, Temperature: aws.Float64(0), Messages: []converse.Message{{Role: converse.RoleUser, Content: converse.Contents{
		converse.Document{Format: "pdf", Name: "a", S3URI: "s3://bucket/a.pdf"}, converse.Text("Sum up."),
	}}}}
	grounded := converse.Request{Model: novaPro, Temperature: aws.Float64(0), Messages: []converse.Message{converse.User("What is new?")}, Tools: []converse.ToolSpec{{Name: "nova_grounding", System: true}}}
	draft := ask("hello")
	draft.Guardrail = bedrockkit.Guardrail{ID: "abc123", Version: "DRAFT"}
	numbered := ask("hello")
	numbered.Guardrail = bedrockkit.Guardrail{ID: "abc123", Version: "1"}
	for name, tt := range map[string]struct {
		req  converse.Request
		kept bool
	}{"S3": {fromS3, false}, "the web": {grounded, false}, "a draft": {draft, false}, "a version": {numbered, true}} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
			client, c := cachedClient(t, srv)
			chat := converse.New(client)
			n := 0
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { n++; return bedrocktest.Text("x") }).Keep()
			send := func(outside bool) bool {
				r, err := chat.Send(t.Context(), tt.req, converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Outside = outside }))
				require.NoError(t, err)
				return r.CacheHit
			}
			send(false)
			assert.Equal(t, tt.kept, send(false))
			if !tt.kept {
				assert.EqualValues(t, 2, c.Stats().Unkept[bedrockx.CacheOutside])
				send(true)
				assert.True(t, send(true))
				assert.Equal(t, 3, n)
			}
		})
	}
}
