package bedrockx_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/parallel"
	"github.com/mangaassist/bedrockkit/pricing"
)

const (
	sonnet bedrockkit.ModelID = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	haiku  bedrockkit.ModelID = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
)

func fallBackOn(targets ...bedrockx.Target) func(*bedrockx.Options) {
	return func(o *bedrockx.Options) { o.Fallback = targets }
}

func TestFallback(t *testing.T) {
	tests := []struct {
		name  string
		reply *bedrocktest.Reply
		first int // requests to the first model; 0: no fallback
		kind  bedrockx.Kind
	}{
		{"throttled", bedrocktest.Throttle(), 3, bedrockx.KindThrottled},
		{"tokens per day", bedrocktest.Error(429, "ThrottlingException", "Too many tokens per day"), 1, bedrockx.KindDailyQuota},
		{"quota", bedrocktest.Exception("ServiceQuotaExceededException"), 1, bedrockx.KindQuota},
		{"internal", bedrocktest.Exception("InternalServerException"), 3, bedrockx.KindInternal},
		{"overloaded", bedrocktest.Exception("ServiceUnavailableException"), 3, bedrockx.KindOverloaded},
		{"model error", bedrocktest.Exception("ModelErrorException"), 2, bedrockx.KindModelError},
		{"model timeout", bedrocktest.Exception("ModelTimeoutException"), 2, bedrockx.KindTimeout},
		{"not ready", bedrocktest.Exception("ModelNotReadyException"), 5, bedrockx.KindNotReady},
		{"HTML 200", bedrocktest.HTML(200), 3, bedrockx.KindCorrupt},
		{"validation", bedrocktest.Error(400, "ValidationException", "no"), 0, bedrockx.KindValidation},
		{"denied", bedrocktest.Exception("AccessDeniedException"), 0, bedrockx.KindAccessDenied},
		{"not found", bedrocktest.Exception("ResourceNotFoundException"), 0, bedrockx.KindNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: haiku}))
			for range max(1, tt.first) {
				srv.Reply(tt.reply)
			}
			if tt.first > 0 {
				srv.Reply(bedrocktest.Text("from haiku").Usage(bedrockkit.Usage{InputTokens: 1_000_000}))
			}
			result, err := bedrockx.Invoke(t.Context(), client, sonnet, request("hello"))
			if tt.first == 0 {
				var e *bedrockx.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, tt.kind, e.Kind)
				assert.Equal(t, sonnet, e.Model)
				assert.Len(t, srv.Requests(), 1)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, haiku, result.Model)
			assert.Equal(t, "1", result.Cost.String(), "priced by the model that answered")
			assert.Equal(t, tt.first+1, result.Attempts)
			require.Len(t, result.Failures, tt.first)
			for i, f := range result.Failures {
				assert.Equal(t, sonnet, f.Model)
				assert.Equal(t, tt.kind, f.Kind)
				assert.Equal(t, "us-east-1", f.Region)
				assert.NotEmpty(t, f.RequestID)
				assert.Equal(t, sonnet, srv.Requests()[i].Model)
			}
			assert.Equal(t, haiku, srv.Requests()[tt.first].Model)
			assert.Equal(t, string(srv.Requests()[0].Body), string(srv.Requests()[tt.first].Body))
		})
	}
}

// down is a RuntimeAPI without HTTP whose service is down. Its type cannot be compared.
type down struct {
	bedrockx.RuntimeAPI
	_ []int
}

func (down) InvokeModel(context.Context, *bedrockruntime.InvokeModelInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error) {
	return nil, &types.ServiceUnavailableException{}
}

// Of mocks and decorators no region is known; the breaker of one is not that of another.
func TestBreakerOfDecorators(t *testing.T) {
	client := bedrockx.New(down{}, quick, func(o *bedrockx.Options) {
		o.Fallback = []bedrockx.Target{{API: &mockInvoke{}}}
		o.BreakerFailures = 1
	})
	for range 3 {
		result, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.NoError(t, err)
		assert.Equal(t, "hi", result.Output.Text())
	}
}

func TestFallbackToAnotherRegion(t *testing.T) {
	east := bedrocktest.NewServer(t)
	west := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Region = "us-west-2" })
	client := bedrockx.New(east.Client(), quick, fallBackOn(bedrockx.Target{API: west.Client()}))
	for i, code := range []string{"ServiceUnavailableException", "InternalServerException"} {
		failure := bedrocktest.Exception(code)
		east.Reply(failure, failure, failure)
		west.Reply(bedrocktest.Text("from the west"))
		result, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.NoError(t, err)
		assert.Equal(t, "from the west", result.Output.Text())
		assert.Len(t, west.Requests(), i+1)
	}

	// The next call goes to its own region first again.
	east.Reply(bedrocktest.Text("from the east"))
	result, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, "from the east", result.Output.Text())
	assert.Empty(t, result.Failures)
}

func TestFallbackThatCanNotBe(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	for _, target := range []bedrockkit.ModelID{"no model", "amazon.nova-lite-v1:0"} {
		_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client()), haiku, request("hello"), fallBackOn(bedrockx.Target{Model: target}))
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.ErrorContains(t, err, "fallback target 1")
	}
	assert.Empty(t, srv.Requests())
}

func TestFallbackThatFailsToo(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: haiku}), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Exception("InternalServerException"))
	_, err := bedrockx.Invoke(t.Context(), client, sonnet, request("hello"))
	assert.ErrorIs(t, err, bedrockx.ErrInternal)
	var e *bedrockx.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, haiku, e.Model)
	assert.Equal(t, 2, e.Attempts)
}

func TestFallbackEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: haiku}))
		srv.Reply(bedrocktest.Text("x").Stall())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := bedrockx.Invoke(ctx, client, sonnet, request("hello"))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, srv.Requests(), 1)
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
			o.MaxAttempts, o.BreakerFailures, o.BreakerCooldown = 1, 3, 10*time.Second
		})
		ask := func(replies ...*bedrocktest.Reply) error {
			srv.Reply(replies...)
			_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
			return err
		}
		sent := func() int { return len(srv.Requests()) }

		// Neither the caller's errors nor his leaving count.
		for range 10 {
			assert.ErrorIs(t, ask(bedrocktest.Error(400, "ValidationException", "no")), bedrockx.ErrValidation)
			assert.ErrorIs(t, ask(bedrocktest.Exception("AccessDeniedException")), bedrockx.ErrAccessDenied)
			assert.ErrorIs(t, ask(bedrocktest.Exception("ResourceNotFoundException")), bedrockx.ErrNotFound)
			assert.ErrorIs(t, ask(bedrocktest.Throttle()), bedrockx.ErrThrottled)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			srv.Reply(bedrocktest.Text("x").Stall())
			_, err := bedrockx.Invoke(ctx, client, haiku, request("hello"))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		require.NoError(t, ask(bedrocktest.Text("well")))

		for range 3 {
			assert.ErrorIs(t, ask(bedrocktest.Exception("InternalServerException")), bedrockx.ErrInternal)
		}
		n := sent()
		err := ask()
		assert.ErrorIs(t, err, bedrockx.ErrCircuitOpen)
		assert.ErrorIs(t, err, bedrockx.ErrOverloaded)
		assert.Equal(t, n, sent(), "nothing is sent while it is open")

		// Half open: a probe that fails opens it again, one that answers closes it.
		time.Sleep(10 * time.Second)
		assert.ErrorIs(t, ask(bedrocktest.Exception("InternalServerException")), bedrockx.ErrInternal)
		assert.ErrorIs(t, ask(), bedrockx.ErrCircuitOpen)
		time.Sleep(10 * time.Second)
		assert.NoError(t, ask(bedrocktest.Text("well again")))
		assert.NoError(t, ask(bedrocktest.Text("closed")))

		// Another model has a breaker of its own.
		srv.Reply(bedrocktest.Text("other"))
		_, err = bedrockx.Invoke(t.Context(), client, sonnet, request("hello"))
		assert.NoError(t, err)
	})
}

// While it is half open, one call probes; the others are not sent.
func TestBreakerProbesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
			o.MaxAttempts, o.BreakerFailures, o.BreakerCooldown = 1, 1, 10*time.Second
		})
		srv.Reply(bedrocktest.Exception("InternalServerException"), bedrocktest.Text("well").Delay(time.Second))
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.ErrorIs(t, err, bedrockx.ErrInternal)
		time.Sleep(10 * time.Second)
		errs := make(chan error, 20)
		for range cap(errs) {
			go func() {
				_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
				errs <- err
			}()
		}
		answered := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				answered++
			} else {
				assert.ErrorIs(t, err, bedrockx.ErrCircuitOpen)
			}
		}
		assert.Equal(t, 1, answered)
		assert.Len(t, srv.Requests(), 2)
	})
}

func TestBreakerSkipsToTheFallback(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), fallBackOn(bedrockx.Target{Model: haiku}), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	for range 5 {
		srv.Reply(bedrocktest.Exception("InternalServerException"), bedrocktest.Text("haiku"))
		_, err := bedrockx.Invoke(t.Context(), client, sonnet, request("hello"))
		require.NoError(t, err)
	}
	n := len(srv.Requests())
	srv.Reply(bedrocktest.Text("haiku at once"))
	result, err := bedrockx.Invoke(t.Context(), client, sonnet, request("hello"))
	require.NoError(t, err)
	assert.Len(t, srv.Requests(), n+1)
	assert.Equal(t, 1, result.Attempts)
	require.Len(t, result.Failures, 1)
	assert.Equal(t, sonnet, result.Failures[0].Model)
	assert.Zero(t, result.Failures[0].Latency)
}

func dollars(t *testing.T, s string) pricing.Amount {
	t.Helper()
	a, err := pricing.ParseAmount(s)
	require.NoError(t, err)
	return a
}

func TestMaxCost(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	bound := func(s string) func(*bedrockx.Options) {
		limit := dollars(t, s)
		return func(o *bedrockx.Options) { o.MaxCost = &limit }
	}
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"), bound("0.0001"))
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "$0.0001")
	assert.Empty(t, srv.Requests(), "before money is spent")

	srv.Reply(bedrocktest.Text("ok"))
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"), bound("0.01"))
	assert.NoError(t, err)

	// The dearest target counts.
	_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"), bound("0.001"), fallBackOn(bedrockx.Target{Model: sonnet}))
	assert.ErrorIs(t, err, bedrockx.ErrBudget)

	// What has no price has no bound.
	_, err = bedrockx.Invoke(t.Context(), client, "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc", request("hello"), bound("100"))
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.ErrorContains(t, err, "not known")
}

func TestBudget(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	budget := pricing.NewBudget(dollars(t, "1"))
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.Budgets = []*pricing.Budget{pricing.NewBudget(dollars(t, "1000")), budget}
	})
	ask := func(reply ...*bedrocktest.Reply) error {
		srv.Reply(reply...)
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		return err
	}
	require.NoError(t, ask(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 500_000}))) // $0.50
	assert.Equal(t, "0.5", budget.Spent().String())
	assert.Equal(t, "0.5", budget.Remaining().String(), "nothing stays set aside")

	// An attempt whose cost nobody knows keeps what was set aside for it.
	require.Error(t, ask(bedrocktest.Exception("InternalServerException")))
	assert.Positive(t, budget.Spent().Sub(dollars(t, "0.5")).Sign())

	require.NoError(t, ask(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 500_000})))
	n := len(srv.Requests())
	assert.ErrorIs(t, ask(), bedrockx.ErrBudget)
	assert.Len(t, srv.Requests(), n)

	// Nothing was sent, so nothing was spent.
	spent := budget.Spent()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	_, err := bedrockx.Invoke(ctx, client, haiku, request("hello"))
	require.Error(t, err)
	assert.Equal(t, spent, budget.Spent())
}

func TestBudgetHoldsForCallsAtOnce(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 100, OutputTokens: 100}) // $0.00015
		}
	})
	limit := dollars(t, "0.01")
	budget := pricing.NewBudget(limit)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
	inputs := func(yield func(int) bool) {
		for i := range 500 {
			if !yield(i) {
				return
			}
		}
	}
	refused := 0
	for item := range parallel.Map(t.Context(), 50, inputs, func(ctx context.Context, i int) (string, error) {
		r, err := bedrockx.Invoke(ctx, client, haiku, request("hello"))
		if err != nil {
			return "", err
		}
		return r.Output.Text(), nil
	}) {
		if item.Err != nil {
			require.ErrorIs(t, item.Err, bedrockx.ErrBudget)
			refused++
		}
	}
	assert.Positive(t, refused)
	assert.LessOrEqual(t, budget.Spent().Cmp(limit), 0)
	assert.Equal(t, limit.Sub(budget.Spent()), budget.Remaining())
}

func TestDailyBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		budget := pricing.NewDailyBudget(dollars(t, "0.5"))
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
		srv.Reply(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 500_000}))
		_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.NoError(t, err)
		_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.ErrorIs(t, err, bedrockx.ErrBudget)
		time.Sleep(24 * time.Hour)
		assert.True(t, budget.Spent().IsZero())
		srv.Reply(bedrocktest.Text("a new day"))
		_, err = bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
		require.NoError(t, err)
	})
}

// A model of the same provider may take another body. A fallback to one is
// refused before anything is sent: the service's answer to it would hide why
// the call was not answered.
func TestFallbackToAnotherBody(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Exception("ServiceUnavailableException")
	}).Keep()
	for own, others := range map[bedrockkit.ModelID]map[bedrockkit.ModelID]bool{
		"amazon.nova-lite-v1:0": {
			"amazon.titan-text-express-v1": false, "amazon.titan-image-generator-v2:0": false, "us.meta.llama3-3-70b-instruct-v1:0": false,
			"us.amazon.nova-pro-v1:0": true, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc": true,
		},
		"cohere.command-r-v1:0":                       {"cohere.embed-english-v3": false, "cohere.command-r-plus-v1:0": true},
		"amazon.titan-embed-text-v2:0":                {"amazon.titan-embed-image-v1": false},
		"mistral.mistral-large-2407-v1:0":             {"mistral.mixtral-8x7b-instruct-v0:1": true}, // both bodies are Mistral's
		"us.anthropic.claude-haiku-4-5-20251001-v1:0": {"us.anthropic.claude-sonnet-4-5-20250929-v1:0": true},
		"stability.stable-image-core-v1:0":            {"amazon.nova-lite-v1:0": false, "stability.stable-image-ultra-v1:0": true},
	} {
		for other, takes := range others {
			client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
				o.MaxAttempts, o.Fallback = 1, []bedrockx.Target{{Model: other}}
			})
			before := len(srv.Requests())
			_, err := bedrockx.Invoke(t.Context(), client, own, bedrockx.Raw(`{}`))
			if takes {
				assert.NotErrorIs(t, err, bedrockx.ErrValidation, "%s → %s", own, other)
				assert.Len(t, srv.Requests(), before+2)
				continue
			}
			assert.ErrorIs(t, err, bedrockx.ErrValidation, "%s → %s", own, other)
			assert.ErrorContains(t, err, "does not take the body of "+string(own))
			assert.Len(t, srv.Requests(), before)
		}
	}
}

// A target that was tried is not tried again under another number.
func TestFallbackOnItself(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	down := bedrocktest.Exception("ServiceUnavailableException")
	srv.Reply(down, down)
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{}, bedrockx.Target{Model: sonnet}, bedrockx.Target{Model: haiku}, bedrockx.Target{Model: sonnet}),
		func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
	require.ErrorIs(t, err, bedrockx.ErrOverloaded)
	require.Len(t, srv.Requests(), 2)
	assert.Equal(t, haiku, srv.Requests()[0].Model)
	assert.Equal(t, sonnet, srv.Requests()[1].Model)
}

// A target that refuses the request hides nothing of why it was asked, and does
// not keep the next one from answering.
func TestFallbackOnATargetThatRefuses(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	const other bedrockkit.ModelID = "us.anthropic.claude-sonnet-4-6"
	down, refused := bedrocktest.Exception("ServiceUnavailableException"), bedrocktest.Exception("AccessDeniedException")
	srv.Reply(down, refused)
	once := func(o *bedrockx.Options) { o.MaxAttempts = 1 }
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client(), once), haiku, request("hello"), fallBackOn(bedrockx.Target{Model: sonnet}))
	require.ErrorIs(t, err, bedrockx.ErrOverloaded)
	assert.Equal(t, bedrockx.KindOverloaded, bedrockx.KindOf(err), "so that a queue tries it again")
	assert.ErrorContains(t, err, "the fallback on "+string(sonnet)+" has failed: access_denied")

	srv.Reply(down, refused, bedrocktest.Text("ok"))
	r, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client(), once), haiku, request("hello"), fallBackOn(bedrockx.Target{Model: sonnet}, bedrockx.Target{Model: other}))
	require.NoError(t, err)
	assert.Equal(t, other, r.Model)
}

// One user who names a thousand models closes no breaker.
func TestBreakerOutlivesOtherModels(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.AnyModel = true })
	answers := srv.Control(bedrocktest.AnyOp, func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		if req.Model == haiku {
			return bedrocktest.Exception("ServiceUnavailableException")
		}
		return bedrocktest.Text("ok")
	})
	answers.Keep()
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.MaxAttempts, o.BreakerFailures = 1, 1 })
	ask := func(id bedrockkit.ModelID) error {
		_, err := bedrockx.Invoke(t.Context(), client, id, bedrockx.Raw(`{}`))
		return err
	}
	require.ErrorIs(t, ask(haiku), bedrockx.ErrOverloaded)
	require.ErrorIs(t, ask(haiku), bedrockx.ErrCircuitOpen)
	for i := range 1100 {
		require.NoError(t, ask(bedrockkit.ModelID(fmt.Sprintf("vendor.model-%d", i))))
	}
	assert.ErrorIs(t, ask(haiku), bedrockx.ErrCircuitOpen)
}
