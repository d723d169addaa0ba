package bedrockx_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/quota"
)

// limited is the option of a limiter with one quota.
func limited(t *testing.T, q quota.Quota, optFns ...func(*quota.Options)) (*quota.Limiter, func(*bedrockx.Options)) {
	t.Helper()
	if q.Model == "" {
		q.Model = haiku
	}
	limiter, err := quota.New([]quota.Quota{q}, optFns...)
	require.NoError(t, err)
	return limiter, func(o *bedrockx.Options) { o.Limiter = limiter }
}

// counted makes the size of inputs known.
func counted(tokens int64) func(*bedrockx.Options) {
	return func(o *bedrockx.Options) {
		o.InputTokens = func(context.Context, *bedrockx.Call) (int64, error) { return tokens, nil }
	}
}

func inProcess(o *bedrocktest.Options) { o.InProcess = true }

func used(in, out int64) *bedrocktest.Reply {
	return bedrocktest.Text("ok").Usage(bedrockkit.Usage{InputTokens: in, OutputTokens: out})
}

// converseCall is a call whose answer nobody reads.
func converseCall(model bedrockkit.ModelID, body string) *bedrockx.Call {
	return &bedrockx.Call{
		Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(body),
		Decode: func(_ context.Context, resp *bedrockx.Response) error { return resp.Body.Close() },
	}
}

// A service that throttles by the same quota never has to.
func TestLimiterKeepsTheServiceFromThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const claude bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
			o.Quotas = map[bedrockkit.ModelID]bedrocktest.Quota{claude: {TokensPerMinute: 10_000, RequestsPerMinute: 300, Burndown: 5}}
			o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				return bedrocktest.Text("ok").Usage(bedrockkit.Usage{InputTokens: 60, OutputTokens: 100}).Delay(2 * time.Second)
			}
		})
		limiter, option := limited(t, quota.Quota{Model: claude, TokensPerMinute: 10_000, RequestsPerMinute: 300}, func(o *quota.Options) {
			o.MaxWait = time.Hour
		})
		client := bedrockx.New(srv.Client(), option, func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		var wg sync.WaitGroup
		began := time.Now()
		for range 200 {
			wg.Go(func() {
				_, err := bedrockx.Invoke(t.Context(), client, claude, request("hello"))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		// Each takes 60 + 5 × 100 tokens: 112,000, of which 10,000 are there at
		// once, and the last ones are not settled before all have gone.
		least := time.Duration(float64(112_000-10_000) / 10_000 * float64(time.Minute))
		took := time.Since(began)
		assert.Greater(t, took, least-10*time.Second)
		assert.Less(t, took, least+time.Minute, "the quota is used")
		assert.Equal(t, []quota.Stats{{Region: "us-east-1", Model: claude, Admitted: 200}}, limiter.Stats())
	})
}

func TestReserveAndSettle(t *testing.T) {
	tests := []struct {
		name     string
		quota    quota.Quota
		request  anthropic.Request
		reply    *bedrocktest.Reply
		reserved int64 // while it runs
		settled  int64 // when it has ended
	}{
		{name: "input and max tokens, settled with burndown", quota: quota.Quota{Burndown: 5},
			reply: used(900, 20), reserved: 1100, settled: 1000},
		{name: "cache reads are given back, cache writes are not", quota: quota.Quota{Burndown: 1},
			reply:    bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 700, CacheWrite5mTokens: 30, CacheWrite1hTokens: 40}),
			reserved: 1100, settled: 85},
		{name: "more than was reserved", quota: quota.Quota{Burndown: 15},
			reply: used(1000, 100), reserved: 1100, settled: 2500},
		{name: "refused by the service", reply: bedrocktest.Exception("ValidationException"), reserved: 1100, settled: 0},
		{name: "no response", reply: bedrocktest.Exception("InternalServerException"), reserved: 1100, settled: 1100},
		{name: "usage that is not known", reply: bedrocktest.Body(200, "application/json", []byte(`{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}`)),
			reserved: 1100, settled: 1100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, inProcess)
				store := &recording{}
				tt.quota.TokensPerMinute = 10_000
				limiter, option := limited(t, tt.quota, func(o *quota.Options) { o.Store = store })
				client := bedrockx.New(srv.Client(), option, counted(1000), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
				srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
					assert.Equal(t, tt.reserved, limiter.Stats()[0].Reserved)
					return tt.reply
				})
				_, _ = bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
				assert.Equal(t, tt.settled, store.taken.Load())
				assert.Zero(t, limiter.Stats()[0].Reserved)
			})
		})
	}
}

// recording is a store without bounds that sums up what it is told.
type recording struct{ taken, throttled atomic.Int64 }

func (s *recording) Reserve(_ context.Context, _ quota.Quota, tokens int64) (time.Duration, error) {
	s.taken.Add(tokens)
	return 0, nil
}

func (s *recording) Settle(ctx context.Context, _ quota.Quota, tokens int64) error {
	s.taken.Add(tokens)
	return ctx.Err()
}

func (s *recording) Throttled(ctx context.Context, _ quota.Quota) error {
	s.throttled.Add(1)
	return ctx.Err()
}

// What a call reserves whose max tokens are not set, or only in its body.
func TestMaxTokensThatAreReserved(t *testing.T) {
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		quota int64 // Quota.MaxTokens
		body  string
		want  int64
	}{
		{"Converse", haiku, 0, `{"inferenceConfig":{"maxTokens":7}}`, 7},
		{"Anthropic", haiku, 0, `{"max_tokens":7}`, 7},
		{"Llama", "meta.llama3-8b-instruct-v1:0", 0, `{"max_gen_len":7}`, 7},
		{"Titan", "amazon.titan-text-express-v1", 0, `{"textGenerationConfig":{"maxTokenCount":7}}`, 7},
		{"the model's", haiku, 0, `{}`, 64_000},
		{"the quota's", haiku, 500, `{}`, 500},
		{"unknown", "example.model-v1:0", 0, `{"max_tokens":"7"}`, 64_000},
		{"unknown, and more than the quota", "example.model-v1:1", 0, `{}`, 999}, // beside an input of 1
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
			store := &recording{}
			perMinute := int64(1 << 40)
			if tt.want == 999 {
				perMinute = 1000
			}
			_, option := limited(t, quota.Quota{Model: tt.model, TokensPerMinute: perMinute, MaxTokens: tt.quota}, func(o *quota.Options) { o.Store = store })
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				assert.Equal(t, 1+tt.want, store.taken.Load())
				return bedrocktest.Text("x")
			})
			client := bedrockx.New(srv.Client(), option, counted(1))
			if slices.Contains([]string{"Anthropic", "Llama", "Titan"}, tt.name) {
				_, err := bedrockx.Invoke(t.Context(), client, tt.model, bedrockx.Raw(tt.body))
				require.NoError(t, err)
				return
			}
			require.NoError(t, client.Do(t.Context(), converseCall(tt.model, tt.body)))
		})
	}
}

// The id, its profile and their ARNs: which are one quota and which are two.
func TestWhoseQuota(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
	west := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Region = "us-west-2" })
	limiter, err := quota.New([]quota.Quota{
		{Model: "us.amazon.nova-lite-v1:0", Region: "eu-west-1", TokensPerMinute: 1}, // another region's
		{Model: "us.amazon.nova-lite-v1:0", TokensPerMinute: 1 << 40},
		{Model: "us.amazon.nova-lite-v1:0", TokensPerMinute: 1},
		{Model: "amazon.nova-pro-v1:0"},
	})
	require.NoError(t, err)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Limiter, o.MaxAttempts = limiter, 1
		o.Fallback = []bedrockx.Target{{API: west.Client()}, {Account: "other"}}
	})
	ask := func(model bedrockkit.ModelID) {
		require.NoError(t, client.Do(t.Context(), converseCall(model, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)))
	}
	for _, id := range []bedrockkit.ModelID{
		"us.amazon.nova-lite-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
		"amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0", // these have none
	} {
		srv.Reply(bedrocktest.Text("x"))
		ask(id)
	}
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("x"))
	west.Reply(bedrocktest.Throttle())
	ask("us.amazon.nova-lite-v1:0")

	const lite = "us.amazon.nova-lite-v1:0"
	assert.Equal(t, []quota.Stats{
		{Region: "us-east-1", Model: lite, Admitted: 3, Throttled: 1},
		{Region: "us-west-2", Model: lite, Admitted: 1, Throttled: 1},
		{Account: "other", Region: "us-east-1", Model: lite, Admitted: 1},
	}, limiter.Stats())
}

func TestQuotasThatCanNotBe(t *testing.T) {
	for name, q := range map[string]quota.Quota{
		"no model": {TokensPerMinute: 1},
		"burndown": {Model: haiku, Burndown: -1},
	} {
		_, err := quota.New([]quota.Quota{{Model: haiku}, q})
		assert.ErrorContains(t, err, "quota 2", name)
	}
}

// A count of the input replaces the estimate; one that fails does not.
func TestCountOfTheInput(t *testing.T) {
	const claude bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"counted":       {nil, "its input of 40000 tokens and its max tokens of 20000"},
		"not countable": {errors.New("the service does not count"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			calls := 0
			_, option := limited(t, quota.Quota{Model: claude, TokensPerMinute: 50_000})
			client := bedrockx.New(srv.Client(), option, quick, func(o *bedrockx.Options) {
				o.InputTokens = func(context.Context, *bedrockx.Call) (int64, error) { calls++; return 40_000, tt.err }
			})
			call := converseCall(claude, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)
			call.MaxTokens = 20_000
			if tt.want == "" {
				srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("x"))
				require.NoError(t, client.Do(t.Context(), call))
			} else {
				err := client.Do(t.Context(), call)
				require.ErrorIs(t, err, bedrockx.ErrLimited)
				assert.ErrorContains(t, err, tt.want)
				assert.Empty(t, srv.Requests())
			}
			assert.Equal(t, 1, calls)
		})
	}
}

// A call that its quota can never hold, or not in time, is refused at once, and
// says why. Nothing is sent.
func TestLimiterSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		limiter, option := limited(t, quota.Quota{TokensPerMinute: 1200}, func(o *quota.Options) { o.MaxWait = 50 * time.Second })
		client := bedrockx.New(srv.Client(), option, counted(1000))
		began := time.Now()
		refused := func(err error, text string) {
			t.Helper()
			var e *bedrockx.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, bedrockx.KindLimited, e.Kind)
			assert.ErrorIs(t, err, bedrockx.ErrLimited)
			assert.NotErrorIs(t, err, bedrockx.ErrThrottled)
			assert.NotErrorIs(t, err, bedrockx.ErrQuota)
			assert.ErrorContains(t, err, text)
			assert.Zero(t, e.Attempts)
		}
		_, err := bedrockx.Invoke(t.Context(), client, haiku, anthropic.Request{MaxTokens: 1201, Messages: request("x").Messages})
		refused(err, "max tokens of 1201; set them lower")

		srv.Reply(used(1000, 200))
		_, err = bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		require.NoError(t, err)
		_, err = bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		refused(err, "1200 tokens a minute") // 200 tokens of output take 1,000 of it
		var e *bedrockx.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 95*time.Second, e.RetryAfter)
		assert.ErrorContains(t, err, "come back in 1m35s")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = bedrockx.Invoke(ctx, client, haiku, request("x"), func(o *bedrockx.Options) { o.Priority = quota.Batch })
		refused(err, "no room")
		assert.Zero(t, time.Since(began), "at once")

		// What runs may give enough back, so it is waited for, up to the deadline.
		time.Sleep(time.Minute)
		srv.Reply(used(1000, 0).Delay(20 * time.Second))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
			assert.NoError(t, err)
		})
		synctest.Wait()
		began = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = bedrockx.Invoke(ctx, client, haiku, request("x"))
		refused(err, "deadline")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(began))
		wg.Wait()
		assert.EqualValues(t, 4, limiter.Stats()[0].Shed)
		assert.Len(t, srv.Requests(), 2)
	})
}

func TestLimiterQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		limiter, option := limited(t, quota.Quota{RequestsPerMinute: 1}, func(o *quota.Options) { o.MaxQueue, o.MaxWait = 2, time.Hour })
		client := bedrockx.New(srv.Client(), option)
		srv.Reply(used(1, 1), used(1, 1), used(1, 1))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		assert.Equal(t, 2, limiter.Stats()[0].Waiting)
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		assert.ErrorIs(t, err, bedrockx.ErrLimited)
		assert.ErrorContains(t, err, "1 requests a minute: 2 calls wait for it already")
		wg.Wait()

		// No waiting at all, for whoever has a fallback.
		_, now := limited(t, quota.Quota{RequestsPerMinute: 1}, func(o *quota.Options) { o.MaxWait = -1 })
		srv.Reply(used(1, 1), used(1, 1))
		for i, want := range []bedrockkit.ModelID{haiku, sonnet} {
			result, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"), now, fallBackOn(bedrockx.Target{Model: sonnet}))
			require.NoError(t, err)
			assert.Equal(t, want, result.Model)
			require.Len(t, result.Failures, i)
		}
	})
}

// Who waits leaves when his caller does, and the next one leads.
func TestLimiterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		limiter, option := limited(t, quota.Quota{RequestsPerMinute: 1}, func(o *quota.Options) { o.MaxWait = time.Hour })
		client := bedrockx.New(srv.Client(), option)
		srv.Reply(used(1, 1), used(1, 1))
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		require.NoError(t, err)
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := bedrockx.Invoke(ctx, client, haiku, request("x"))
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, why)
			assert.NotErrorIs(t, err, bedrockx.ErrLimited)
		})
		synctest.Wait()
		began := time.Now()
		var queued time.Duration
		wg.Go(func() {
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"), func(o *bedrockx.Options) {
				o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
					return func(ctx context.Context, call *bedrockx.Call) error {
						call.OnEnd(func(error) { queued = call.Queued })
						return next(ctx, call)
					}
				})
			})
			assert.NoError(t, err)
		})
		synctest.Wait()
		cancel(why)
		wg.Wait()
		assert.Equal(t, time.Minute, time.Since(began).Round(time.Millisecond))
		assert.Equal(t, time.Minute, queued.Round(time.Millisecond))
		assert.Zero(t, limiter.Stats()[0].Waiting)
	})
}

// Interactive calls go first, in their order; one call in five is of batch.
func TestLimiterPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
			o.Responder = func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, r.LastText())
				return used(1, 1)
			}
		})
		_, option := limited(t, quota.Quota{RequestsPerMinute: 60}, func(o *quota.Options) { o.MaxWait = time.Hour })
		client := bedrockx.New(srv.Client(), option)
		var wg sync.WaitGroup
		ask := func(text string, optFns ...func(*bedrockx.Options)) {
			wg.Go(func() {
				_, err := bedrockx.Invoke(t.Context(), client, haiku, request(text), optFns...)
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		for range 60 {
			ask("first")
		}
		for _, text := range strings.Split("abc", "") {
			ask(text, bedrockx.Batch)
		}
		for _, text := range strings.Split("123456789", "") {
			ask(text)
		}
		wg.Wait()
		assert.Equal(t, "1234a5678b9c", strings.Join(order[60:], ""))
	})
}

// What a call gives back, the next one takes at once.
func TestSettlingLetsTheNextOneGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		_, option := limited(t, quota.Quota{TokensPerMinute: 1100})
		client := bedrockx.New(srv.Client(), option, counted(1000))
		srv.Reply(used(10, 1).Delay(3*time.Second), used(10, 1))
		began := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Less(t, time.Since(began), 4*time.Second)
	})
}

// A throttle halves the rate, which recovers; other models are not slowed.
func TestThrottlesSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		limiter, option := limited(t, quota.Quota{RequestsPerMinute: 60}, func(o *quota.Options) { o.MaxWait = time.Hour })
		client := bedrockx.New(srv.Client(), option, func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		srv.Reply(bedrocktest.Throttle())
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		require.ErrorIs(t, err, bedrockx.ErrThrottled)
		assert.EqualValues(t, 1, limiter.Stats()[0].Throttled)
		ask := func() time.Duration {
			srv.Reply(used(1, 1))
			began := time.Now()
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
			require.NoError(t, err)
			return time.Since(began)
		}
		for range 29 { // half of what was left
			assert.Zero(t, ask())
		}
		ask()
		slow := ask()
		assert.InDelta(t, 2, slow.Seconds(), 0.1, "half a request a second")
		time.Sleep(2 * time.Minute)
		for range 60 {
			assert.Zero(t, ask())
		}
		assert.InDelta(t, 1, ask().Seconds(), 0.01, "the whole rate again")
	})
}

// Each attempt is a request of its own.
func TestRetriesGoThroughTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		limiter, option := limited(t, quota.Quota{RequestsPerMinute: 1}, func(o *quota.Options) { o.MaxWait = time.Hour })
		client := bedrockx.New(srv.Client(), option, quick)
		srv.Reply(bedrocktest.Exception("InternalServerException"), used(1, 1))
		began := time.Now()
		result, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
		require.NoError(t, err)
		assert.Equal(t, 2, result.Attempts)
		assert.Equal(t, time.Minute, time.Since(began).Round(time.Millisecond))
		assert.EqualValues(t, 2, limiter.Stats()[0].Admitted)
	})
}

// failing is a store that can be down.
type failing struct {
	quota.MemoryStore
	down  atomic.Bool
	asked atomic.Int64
}

var errDown = errors.New("the store is down")

func (s *failing) Reserve(ctx context.Context, q quota.Quota, tokens int64) (time.Duration, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return 0, errDown
	}
	return s.MemoryStore.Reserve(ctx, q, tokens)
}

func (s *failing) Settle(ctx context.Context, q quota.Quota, tokens int64) error {
	if s.down.Load() {
		return errDown
	}
	return s.MemoryStore.Settle(ctx, q, tokens)
}

// While the store fails, the process goes on with its share of the quota.
func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		store := &failing{}
		var seen []string
		_, option := limited(t, quota.Quota{RequestsPerMinute: 60}, func(o *quota.Options) {
			o.Store, o.LocalShare = store, 0.5
			o.OnError = func(_ context.Context, err error) {
				var e *quota.StoreError
				require.ErrorAs(t, err, &e)
				assert.Equal(t, haiku, e.Quota.Model)
				seen = append(seen, fmt.Sprintf("%s: %v", e.Op, e.Err))
			}
		})
		client := bedrockx.New(srv.Client(), option)
		ask := func() time.Duration {
			srv.Reply(used(1, 1))
			began := time.Now()
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("x"))
			require.NoError(t, err)
			return time.Since(began)
		}
		ask()
		store.down.Store(true)
		before := store.asked.Load()
		for range 30 {
			assert.Zero(t, ask())
		}
		assert.Equal(t, []string{"reserve: " + errDown.Error()}, seen, "it is left alone for a second")
		assert.EqualValues(t, 1, store.asked.Load()-before)
		assert.InDelta(t, 2, ask().Seconds(), 0.01, "half of the quota's rate")
		store.down.Store(false)
		time.Sleep(time.Second)
		assert.Zero(t, ask())
		assert.Len(t, slices.Compact(seen), 1)
	})
}

// Many calls at once: none is lost, none goes twice, and the queue is empty.
func TestLimiterUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
			o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return used(500, 10) }
		})
		limiter, option := limited(t, quota.Quota{TokensPerMinute: 60_000, RequestsPerMinute: 600}, func(o *quota.Options) { o.MaxQueue = 300 })
		client := bedrockx.New(srv.Client(), option, counted(1000))
		var answered, limitedBy, canceled atomic.Int64
		var wg sync.WaitGroup
		for i := range 500 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7+1)*5*time.Second)
			if i%11 == 1 { // while it waits
				time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
			}
			wg.Go(func() {
				defer cancel()
				_, err := bedrockx.Invoke(ctx, client, haiku, request("x"), func(o *bedrockx.Options) {
					if i%3 == 0 {
						bedrockx.Batch(o)
					}
				})
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, bedrockx.ErrLimited):
					limitedBy.Add(1)
				case errors.Is(err, context.Canceled):
					canceled.Add(1)
				default:
					assert.NoError(t, err)
				}
			})
		}
		wg.Wait()
		s := limiter.Stats()[0]
		assert.EqualValues(t, 500, answered.Load()+limitedBy.Load()+canceled.Load())
		assert.Positive(t, limitedBy.Load())
		assert.EqualValues(t, len(srv.Requests()), s.Admitted)
		assert.Equal(t, answered.Load(), s.Admitted)
		assert.Equal(t, limitedBy.Load(), s.Shed)
		assert.Zero(t, s.Waiting)
		assert.Zero(t, s.Reserved)
	})
}

// Without a count the size of the input is estimated by its body.
func TestEstimatedInput(t *testing.T) {
	image := base64.StdEncoding.EncodeToString(make([]byte, 300_000))
	tests := []struct {
		name        string
		input       func() (any, error)
		body        string
		least, most int64
	}{
		{"English", nil, `{"text":"` + strings.Repeat("Which manga? ", 100) + `"}`, 250, 400},
		{"Japanese", nil, `{"text":"` + strings.Repeat("どの漫画", 100) + `"}`, 400, 420},
		{"an image", nil, `{"data":"` + image + `"}`, 1500, 1700},
		{"a data URI", nil, `{"url":"data:image/png;base64,` + image + `"}`, 1500, 1700},
		{"a data URI as some write JSON", nil, `{"url":"data:image\/png;base64,` + image + `"}`, 1500, 1700},
		{"a text that begins like one", nil, `{"text":"data: ` + strings.Repeat("Which manga? ", 100) + `"}`, 250, 400},
		{"the SDK's own", func() (any, error) {
			return &bedrockruntime.ConverseInput{
				InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(100)},
				Messages:        []types.Message{{Role: "user", Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: strings.Repeat("Which manga? ", 100)}}}},
			}, nil
		}, "", 250, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			store := &recording{}
			_, option := limited(t, quota.Quota{TokensPerMinute: 1 << 40}, func(o *quota.Options) { o.Store = store })
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				assert.GreaterOrEqual(t, store.taken.Load(), 100+tt.least)
				assert.LessOrEqual(t, store.taken.Load(), 100+tt.most)
				return bedrocktest.Text("x")
			})
			call := &bedrockx.Call{Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: haiku}, SDKInput: tt.input,
				Decode: func(_ context.Context, resp *bedrockx.Response) error { return resp.Body.Close() }}
			if tt.body != "" {
				call.Body, call.MaxTokens = []byte(tt.body), 100
			}
			require.NoError(t, bedrockx.New(srv.Client(), option).Do(t.Context(), call))
		})
	}
}

// What panics in an attempt leaves nothing reserved but in the bucket, which
// fills by itself.
func TestPanicInAnAttempt(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	store := &recording{}
	limiter, option := limited(t, quota.Quota{TokensPerMinute: 10_000}, func(o *quota.Options) { o.Store = store })
	srv.Reply(bedrocktest.Text("x"))
	assert.Panics(t, func() {
		_ = bedrockx.New(srv.Client(), option, counted(1000)).Do(t.Context(), &bedrockx.Call{
			Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: haiku}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`), MaxTokens: 100,
			Decode: func(_ context.Context, resp *bedrockx.Response) error { resp.Body.Close(); panic("oh") },
		})
	})
	assert.EqualValues(t, 1100, store.taken.Load())
	assert.Zero(t, limiter.Stats()[0].Reserved)
}

// An application inference profile takes of the quota of the model behind it,
// unless it has one of its own.
func TestQuotaOfAnApplicationProfile(t *testing.T) {
	const profile, other bedrockkit.ModelID = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/def"
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
	limiter, err := quota.New([]quota.Quota{
		{Model: "us.amazon.nova-lite-v1:0", TokensPerMinute: 1 << 40},
		{Model: other, TokensPerMinute: 1 << 40},
	})
	require.NoError(t, err)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Limiter = limiter
		o.Resolve = func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error) {
			return "us.amazon.nova-lite-v1:0", nil
		}
	})
	for _, id := range []bedrockkit.ModelID{profile, other} {
		srv.Reply(bedrocktest.Text("x"))
		require.NoError(t, client.Do(t.Context(), converseCall(id, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)))
	}
	assert.Equal(t, []quota.Stats{
		{Region: "us-east-1", Model: other, Admitted: 1},
		{Region: "us-east-1", Model: "us.amazon.nova-lite-v1:0", Admitted: 1},
	}, limiter.Stats())
}

// Models that put out no tokens reserve none.
func TestQuotaOfAnEmbeddingModel(t *testing.T) {
	const model bedrockkit.ModelID = "amazon.titan-embed-text-v2:0"
	srv := bedrocktest.NewServer(t)
	store := &recording{}
	_, option := limited(t, quota.Quota{Model: model, TokensPerMinute: 1000}, func(o *quota.Options) { o.Store = store })
	var reserved int64
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		reserved = store.taken.Load()
		return nil
	})
	call := converseCall(model, `{"inputText":"pirates"}`)
	call.Op = bedrockkit.OpInvokeModel
	require.NoError(t, bedrockx.New(srv.Client(), option, counted(10)).Do(t.Context(), call))
	assert.EqualValues(t, 10, reserved)
}

// Neither the errors of bounds nor what is said of quotas hold a prompt.
func TestQuotasHoldNoSecrets(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	const canary = "canary-prompt-1234"
	limiter, option := limited(t, quota.Quota{RequestsPerMinute: 1}, func(o *quota.Options) {
		o.MaxWait = -1
	})
	client := bedrockx.New(srv.Client(), option)
	srv.Reply(bedrocktest.Text(canary))
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request(canary))
	require.NoError(t, err)
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request(canary))
	require.ErrorIs(t, err, bedrockx.ErrLimited)
	assert.NotContains(t, err.Error(), canary)
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request(canary), func(o *bedrockx.Options) { o.MaxTotalTokens = 1 })
	require.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.NotContains(t, err.Error(), canary)
	stats, err := json.Marshal(limiter.Stats())
	require.NoError(t, err)
	assert.NotContains(t, string(stats), canary)
	assert.JSONEq(t, `[{"region":"us-east-1","model":"global.anthropic.claude-haiku-4-5-20251001-v1:0","waiting":0,"reserved_tokens":0,"admitted":1,"shed":1,"throttled":0}]`, string(stats))
}
