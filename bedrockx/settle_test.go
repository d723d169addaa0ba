package bedrockx_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/stream"
)

var randomCalls = flag.Int("calls", 1000, "how many calls TestRandomCallsSettle makes")

// Whatever the service, the callers and their policies do, nothing is held when
// all have gone: no money, no tokens, no quota, no flight, no goroutine; and each
// call has ended once.
func TestRandomCallsSettle(t *testing.T) {
	const workers, each = 20, 25
	for round := 0; round*workers*each < *randomCalls; round++ {
		synctest.Test(t, func(t *testing.T) { settle(t, uint64(round), workers, each) })
	}
}

func settle(t *testing.T, seed uint64, workers, each int) {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 1))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(n)
	}
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.KeepRequests, o.AnyModel = true, 1, true
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return randomReply(roll) }
	})
	limit, err := pricing.ParseAmount("1000000")
	require.NoError(t, err)
	dollars, tokens := pricing.NewBudget(limit), pricing.NewTokenBudget(1<<40)
	limiter, err := quota.New([]quota.Quota{{Model: haiku, TokensPerMinute: 1 << 40}})
	require.NoError(t, err)
	answers := bedrockx.NewCache(memcache.New(), func(o *bedrockx.CacheOptions) { o.TTL, o.Stale = 5*time.Millisecond, 5*time.Millisecond })
	begun, ended := 0, 0
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.Cache, o.Limiter, o.Budgets = answers, limiter, []*pricing.Budget{dollars, tokens}
		o.Continue = int(seed % 3)
		o.Fallback = []bedrockx.Target{{Model: sonnet}}
		o.IdleTimeout, o.FirstEventTimeout = 200*time.Millisecond, 200*time.Millisecond
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				mu.Lock()
				begun++
				mu.Unlock()
				call.OnEnd(func(error) { mu.Lock(); ended++; mu.Unlock() })
				switch roll(30) {
				case 0:
					call.OnText = append(call.OnText, func(string) error { panic("a check") })
				case 1:
					call.OnText = append(call.OnText, func(string) error { return errors.New("refused") })
				case 2:
					call.OnText = append(call.OnText, func(string) error { runtime.Goexit(); return nil })
				case 3:
					_ = next(ctx, call)
					return errors.New("refused after it has begun")
				case 4:
					_ = next(ctx, call)
					panic("a policy")
				}
				return next(ctx, call)
			}
		})
	})
	chat := converse.New(client)
	var callers sync.WaitGroup
	for range workers {
		callers.Go(func() {
			for range each {
				var one sync.WaitGroup // as a check may end its goroutine
				one.Go(func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(roll(60))*time.Millisecond)
					defer cancel()
					req := converse.Request{Model: haiku, MaxTokens: 100, Temperature: new(0.0), Messages: []converse.Message{converse.User(fmt.Sprint("hello ", roll(4)))}}
					if roll(2) == 0 {
						_, _ = chat.Send(ctx, req)
						return
					}
					if s, err := chat.Stream(ctx, req); err == nil {
						readSomehow(s, roll)
					}
				})
				one.Wait()
			}
		})
	}
	callers.Wait()
	time.Sleep(time.Second) // streams that nobody reads end with their context
	require.NoError(t, answers.Close())
	synctest.Wait()
	stats := answers.Stats()
	assert.Zero(t, stats.InFlight)
	assert.Zero(t, stats.Refreshing)
	assert.NotZero(t, begun)
	assert.Equal(t, begun, ended, "each call ends once")
	assert.Equal(t, limit.String(), dollars.Remaining().Add(dollars.Spent()).String(), "dollars are set aside for nothing")
	assert.EqualValues(t, int64(1<<40), tokens.RemainingTokens()+tokens.SpentTokens(), "tokens are set aside for nothing")
	for _, lane := range limiter.Stats() {
		assert.Zero(t, lane.Reserved)
		assert.Zero(t, lane.Waiting)
	}
}

func randomReply(roll func(int) int) *bedrocktest.Reply {
	r := bedrocktest.Text("one two three four five").Chunks("one ", "two ", "three ", "four ", "five")
	switch roll(9) {
	case 0:
		return bedrocktest.Throttle()
	case 1:
		return r.CutAfter(int64(roll(1500)))
	case 2:
		return r.AbortAfter(int64(roll(1500)))
	case 3:
		return r.ExceptionAfter(roll(7), "ModelStreamErrorException", "x")
	case 4:
		return r.Pace(float64(50 + roll(200)))
	case 5:
		return r.Stop(bedrockkit.StopMaxTokens)
	case 6:
		return r.StallAfter(roll(7))
	}
	return r
}

// readSomehow reads a stream as callers do, good and bad.
func readSomehow(s *stream.Stream, roll func(int) int) {
	switch roll(7) {
	case 0:
		s.Close()
	case 1: // nobody reads it
	case 2:
		for range s.Text() {
			break
		}
	case 3: // another goroutine leaves
		var others sync.WaitGroup
		others.Go(func() { time.Sleep(time.Duration(roll(30)) * time.Millisecond); s.Close() })
		defer others.Wait()
		for range s.Events() {
			_, _ = s.Result(), s.Usage()
		}
	case 4:
		r := s.Reader()
		defer r.Close()
		for {
			if _, err := r.Read(make([]byte, 5)); err != nil {
				return
			}
		}
	default:
		for range s.Text() {
		}
	}
}
