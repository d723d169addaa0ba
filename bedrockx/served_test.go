package bedrockx_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// A call that was served with optimized latency costs what that costs.
func TestServedLatencyIsATier(t *testing.T) {
	const pro = bedrockkit.ModelID("us.amazon.nova-pro-v1:0")
	usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 1_000_000}
	want, err := pricing.Default().Cost(pro, usage, func(o *pricing.CostOptions) { o.Tier = bedrockkit.TierOptimized })
	require.NoError(t, err)
	other, err := pricing.Default().Cost(pro, usage)
	require.NoError(t, err)
	require.NotEqual(t, want, other)

	say := converse.Request{Model: pro, Messages: []converse.Message{converse.User("Hi")}, Latency: bedrockkit.LatencyOptimized}
	ask := nova.Request{Messages: []nova.Message{nova.User("Hi")}}
	optimized := func(o *bedrockx.Options) { o.Invoke.Latency = bedrockkit.LatencyOptimized }
	calls := map[string]func(context.Context, *bedrockx.Client) (*pricing.Amount, error){
		"Converse": func(ctx context.Context, c *bedrockx.Client) (*pricing.Amount, error) {
			resp, err := converse.New(c).Send(ctx, say)
			if err != nil {
				return nil, err
			}
			return resp.Cost, nil
		},
		"ConverseStream": func(ctx context.Context, c *bedrockx.Client) (*pricing.Amount, error) {
			s, err := converse.New(c).Stream(ctx, say)
			if err != nil {
				return nil, err
			}
			for _, err := range s.Events() {
				if err != nil {
					return nil, err
				}
			}
			return s.Result().Cost, nil
		},
		"InvokeModel": func(ctx context.Context, c *bedrockx.Client) (*pricing.Amount, error) {
			r, err := bedrockx.Invoke(ctx, c, pro, ask, optimized)
			if err != nil {
				return nil, err
			}
			return r.Cost, nil
		},
		"InvokeModelWithResponseStream": func(ctx context.Context, c *bedrockx.Client) (*pricing.Amount, error) {
			s, err := stream.Invoke(ctx, c, pro, ask, optimized)
			if err != nil {
				return nil, err
			}
			for _, err := range s.Events() {
				if err != nil {
					return nil, err
				}
			}
			return s.Result().Cost, nil
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.Text("Hello").Usage(usage))
			cost, err := call(t.Context(), bedrockx.New(srv.Client()))
			require.NoError(t, err)
			require.NotNil(t, cost)
			assert.Equal(t, want.String(), cost.String())
		})
	}
}

// Where no response has an id, or all have the same, an attempt that was
// refused after its usage was known is paid once, and so is each before it.
func TestCostOfAttemptsWithoutAnID(t *testing.T) {
	body := []byte(`{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":1000}}`)
	one, err := pricing.Default().Cost(model, bedrockkit.Usage{InputTokens: 1000, OutputTokens: 1000})
	require.NoError(t, err)
	for _, id := range []string{"", "always the same"} {
		for refused := 1; refused <= 2; refused++ {
			srv := bedrocktest.NewServer(t)
			answer := bedrocktest.Body(200, "application/json", body).Header("X-Amzn-Requestid", id)
			srv.Reply(answer, answer)
			var cost *pricing.Amount
			attempts := 0
			client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
				o.Fallback = []bedrockx.Target{{Account: "other", API: srv.Client()}}
				o.FallbackOn = func(*bedrockx.Error) bool { return true }
				o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
					return func(ctx context.Context, call *bedrockx.Call) error {
						call.OnText = append(call.OnText, func(string) error {
							if attempts++; attempts > refused {
								return nil
							}
							return errors.New("no")
						})
						call.OnEnd(func(error) { cost = call.Cost })
						return next(ctx, call)
					}
				})
			})
			ask := anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Hi")}}
			_, err := bedrockx.Invoke(t.Context(), client, model, ask)
			assert.Equal(t, refused == 2, err != nil)
			require.NotNil(t, cost)
			assert.Equal(t, one.Mul(2).String(), cost.String(), "id %q, %d refused", id, refused)
		}
	}
}
