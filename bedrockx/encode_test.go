package bedrockx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

const (
	opus5    bedrockkit.ModelID = "us.anthropic.claude-opus-5"
	haiku45  bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	haiku45E bedrockkit.ModelID = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	unheard  bedrockkit.ModelID = "anthropic.claude-of-tomorrow-v1:0"
	profile  bedrockkit.ModelID = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
)

// fitted is a body that differs by model: one without sampling gets no
// temperature, and what is left out is told.
func fitted(maxTokens int) func(bedrockkit.ModelID, bedrockkit.Capability) (bedrockx.Encoded, error) {
	return func(id bedrockkit.ModelID, known bedrockkit.Capability) (bedrockx.Encoded, error) {
		if id == "anthropic.claude-refuses" {
			return bedrockx.Encoded{}, errors.New("it takes no such question")
		}
		e := bedrockx.Encoded{MaxTokens: maxTokens}
		body := map[string]any{"anthropic_version": "bedrock-2023-05-31", "max_tokens": max(1, maxTokens), "temperature": 0.5,
			"messages": []map[string]any{{"role": "user", "content": "hello"}}}
		if known.Sampling.Temperature.Accepted == bedrockkit.No {
			delete(body, "temperature")
			e.Skipped = append(e.Skipped, bedrockx.Skipped{What: bedrockx.SkipTemperature, Support: bedrockkit.No})
		}
		var err error
		e.Body, err = json.Marshal(body)
		return e, err
	}
}

func temperatures(srv *bedrocktest.Server) (all []any) {
	for _, r := range srv.Requests() {
		var body map[string]any
		_ = json.Unmarshal(r.Body, &body)
		all = append(all, body["temperature"])
	}
	return all
}

// Each model gets a body of its own, and what was left out is told once.
func TestEncodeForEachTarget(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Throttle(), bedrocktest.Throttle())
	var told []bedrockx.Skipped
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: haiku45E}, bedrockx.Target{Model: opus5}), func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.OnSkipped = append(o.OnSkipped, func(_ context.Context, _ *bedrockx.Call, s bedrockx.Skipped) { told = append(told, s) })
	})
	asked := map[bedrockkit.ModelID]int{}
	encode := fitted(100)
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll,
		Encode: func(id bedrockkit.ModelID, known bedrockkit.Capability) (bedrockx.Encoded, error) {
			asked[id]++
			return encode(id, known)
		}}
	err := client.Do(t.Context(), call)
	require.ErrorIs(t, err, bedrockx.ErrThrottled)
	assert.Equal(t, []any{0.5, 0.5, nil}, temperatures(srv))
	assert.Equal(t, map[bedrockkit.ModelID]int{haiku45: 1, opus5: 1}, asked, "a profile of the same model gets the same body")
	assert.Equal(t, []bedrockx.Skipped{{What: bedrockx.SkipTemperature, Model: opus5, Support: bedrockkit.No}}, told)
	assert.Equal(t, told, call.Skipped)
	call.Skip(told[0])
	assert.Len(t, told, 1, "once for a call")
	assert.Contains(t, call.String(), "skipped=temperature")
}

func readAll(_ context.Context, r *bedrockx.Response) error {
	_, err := r.ReadAll()
	return err
}

// opus41 answers with less than others.
const opus41 bedrockkit.ModelID = "us.anthropic.claude-opus-4-1-20250805-v1:0"

// What a target does not take is refused before anything is sent or set aside,
// also where the first model would have answered.
func TestTargetThatRefusesIsFoundBeforeSending(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	budget := pricing.NewBudget(dollars(t, "1"))
	send := func(target bedrockkit.ModelID, maxTokens int) error {
		client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: target}), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{budget} })
		return client.Do(t.Context(), &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll, Encode: fitted(maxTokens)})
	}
	err := send("anthropic.claude-refuses", 10)
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "fallback target 1, anthropic.claude-refuses: it takes no such question")
	err = send(opus41, 40_000)
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "answers with at most 32000")
	assert.Empty(t, srv.Requests())
	assert.Equal(t, "0", budget.Spent().String())
}

// A call whose body is given is checked against the targets' limits too.
func TestMaxTokensOfATargetAreFoundBeforeSending(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: opus41}))
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll, MaxTokens: 40_000,
		Body: json.RawMessage(`{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 40000, "messages": [{"role": "user", "content": "hello"}]}`)}
	assert.ErrorContains(t, client.Do(t.Context(), call), "answers with at most 32000")
	assert.Empty(t, srv.Requests())
}

// Rules go by the model that Options.Resolve tells and by the table of the call.
func TestEncodeGoesByTheResolvedModel(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("well"))
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.Resolve = func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error) { return opus5, nil }
	})
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: profile}, Decode: readAll, Encode: fitted(10)}
	require.NoError(t, client.Do(t.Context(), call))
	assert.Equal(t, []any{nil}, temperatures(srv))

	call = &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: unheard}, Decode: readAll, Encode: fitted(10)}
	err := client.Do(t.Context(), call, func(o *bedrockx.Options) {
		o.Capabilities = func(bedrockkit.ModelID) (bedrockkit.Capability, bool) {
			return bedrockkit.Capability{ID: "x.y", MaxOutput: 9}, true
		}
	})
	assert.ErrorContains(t, err, "x.y answers with at most 9")
}

// A middleware that sets another body has the last word, for all targets.
func TestBodyOfAMiddlewareIsKept(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("well"))
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: haiku}), func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.Body = json.RawMessage(`{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 7, "temperature": 0.25, "messages": [{"role": "user", "content": "hello"}]}`)
				return next(ctx, call)
			}
		})
	})
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll, Encode: fitted(10)}
	require.NoError(t, client.Do(t.Context(), call))
	assert.Equal(t, []any{0.25, 0.25}, temperatures(srv))
}

// A middleware that sets another model gets the body of that model.
func TestModelOfAMiddlewareGetsItsOwnBody(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("well"))
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.Model = opus5
				return next(ctx, call)
			}
		})
	})
	call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll, Encode: fitted(10)}
	require.NoError(t, client.Do(t.Context(), call))
	assert.Equal(t, []any{nil}, temperatures(srv))
}

// A call to a model without a price says so, once.
func TestPriceThatIsNotKnownIsTold(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("well").Usage(bedrockkit.Usage{InputTokens: 3, OutputTokens: 4}))
	var told []string
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.Prices = prices(t)
		o.OnSkipped = append(o.OnSkipped, func(_ context.Context, c *bedrockx.Call, s bedrockx.Skipped) {
			told = append(told, fmt.Sprint(s.What, " ", s.Model, " ", s.Support, " ", c.Attempts))
		})
	})
	result, err := bedrockx.Invoke(t.Context(), client, haiku45, request("hello"))
	require.NoError(t, err)
	assert.Nil(t, result.Cost)
	assert.ErrorIs(t, result.CostErr, pricing.ErrUnknownModel)
	assert.Equal(t, []string{"price " + string(haiku45) + " unknown 1"}, told)
	assert.Equal(t, []bedrockx.Skipped{{What: bedrockx.SkipPrice, Model: haiku45}}, result.Skipped)
}

// prices is a table that knows none of the models.
func prices(t *testing.T) *pricing.Table {
	t.Helper()
	table, err := pricing.NewTable(pricing.Data{})
	require.NoError(t, err)
	return table
}

// The bound on a call holds the body and the max tokens of each target.
func TestBoundHoldsTheBodiesOfAllTargets(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick, fallBackOn(bedrockx.Target{Model: opus5}), func(o *bedrockx.Options) { o.MaxTotalTokens = 5000 })
	encode := func(id bedrockkit.ModelID, known bedrockkit.Capability) (bedrockx.Encoded, error) {
		if known.Thinking.OnByDefault() == bedrockkit.Yes {
			return fitted(9000)(id, known)
		}
		return fitted(100)(id, known)
	}
	err := client.Do(t.Context(), &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: haiku45}, Decode: readAll, Encode: encode})
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.Empty(t, srv.Requests())
}
