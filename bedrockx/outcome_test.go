package bedrockx_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/stream"
)

// ways are the four ways to ask a Nova model, with optimized latency.
var ways = map[string]func(*testing.T, *bedrockx.Client, bedrockkit.ModelID) (bedrockx.Outcome, error){
	"Invoke": func(t *testing.T, c *bedrockx.Client, m bedrockkit.ModelID) (bedrockx.Outcome, error) {
		r, err := bedrockx.Invoke(t.Context(), c, m, novaRequest, optimized)
		if err != nil {
			return bedrockx.Outcome{}, err
		}
		return r.Outcome, nil
	},
	"stream.Invoke": func(t *testing.T, c *bedrockx.Client, m bedrockkit.ModelID) (bedrockx.Outcome, error) {
		s, err := stream.Invoke(t.Context(), c, m, novaRequest, optimized)
		return streamed(s, err)
	},
	"converse.Send": func(t *testing.T, c *bedrockx.Client, m bedrockkit.ModelID) (bedrockx.Outcome, error) {
		r, err := converse.New(c).Send(t.Context(), converseRequest(m))
		if err != nil {
			return bedrockx.Outcome{}, err
		}
		return r.Outcome, nil
	},
	"converse.Stream": func(t *testing.T, c *bedrockx.Client, m bedrockkit.ModelID) (bedrockx.Outcome, error) {
		s, err := converse.New(c).Stream(t.Context(), converseRequest(m))
		return streamed(s, err)
	},
}

var novaRequest = nova.Request{
	Messages:        []nova.Message{nova.User("hi")},
	InferenceConfig: nova.InferenceConfig{MaxTokens: 10},
}

func converseRequest(m bedrockkit.ModelID) converse.Request {
	return converse.Request{Model: m, MaxTokens: 10, Latency: bedrockkit.LatencyOptimized, Messages: []converse.Message{converse.User("hi")}}
}

func optimized(o *bedrockx.Options) { o.Invoke.Latency = bedrockkit.LatencyOptimized }

func streamed(s *stream.Stream, err error) (bedrockx.Outcome, error) {
	if err != nil {
		return bedrockx.Outcome{}, err
	}
	for _, err := range s.Events() {
		if err != nil {
			return s.Result().Outcome, err
		}
	}
	return s.Result().Outcome, nil
}

func TestOutcomeIsTheSameWhicheverWay(t *testing.T) {
	const pro bedrockkit.ModelID = "us.amazon.nova-pro-v1:0"
	usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 1}
	want, err := pricing.Default().Cost(pro, usage, func(o *pricing.CostOptions) { o.Tier, o.Region = bedrockkit.TierOptimized, "us-east-1" })
	require.NoError(t, err)
	standard, err := pricing.Default().Cost(pro, usage, func(o *pricing.CostOptions) { o.Region = "us-east-1" })
	require.NoError(t, err)
	require.Negative(t, standard.Cmp(want))
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("x").Usage(usage))
			limiter, err := quota.New([]quota.Quota{{Model: pro, RequestsPerMinute: 1000}})
			require.NoError(t, err)
			got, err := ask(t, bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.Limiter = limiter }), pro)
			require.NoError(t, err)

			assert.Equal(t, pro, got.Model)
			assert.Equal(t, "us-east-1", got.Region)
			assert.NotEmpty(t, got.Host)
			assert.NotEmpty(t, got.RequestID)
			assert.Equal(t, bedrockkit.StopEndTurn, got.StopReason)
			assert.Equal(t, usage, got.Usage)
			assert.Equal(t, bedrockkit.TierOptimized, got.ServiceTier)
			assert.Equal(t, 2, got.Attempts)
			assert.Positive(t, got.Latency)
			require.NoError(t, got.CostErr)
			assert.Equal(t, want.String(), got.Cost.String(), "optimized latency has prices of its own")
			require.Len(t, got.Failures, 1)
			assert.Equal(t, 1, got.Failures[0].Number)
			assert.Equal(t, bedrockx.KindThrottled, got.Failures[0].Kind)
			require.ErrorIs(t, got.Failures[0].Err, bedrockx.ErrThrottled)
			if name == "stream.Invoke" || name == "converse.Stream" {
				assert.Positive(t, got.FirstOutput)
			}
		})
	}
}

// The names in JSON are those of the results before they shared a struct.
func TestOutcomeInJSON(t *testing.T) {
	o := bedrockx.Outcome{
		Model: haiku, Region: "us-east-1", StopReason: bedrockkit.StopEndTurn, Usage: bedrockkit.Usage{InputTokens: 1},
		Cost: new(pricing.Amount), PromptCache: &pricing.PromptCache{ReadTokens: 1}, CacheHit: true, Attempts: 2, RequestID: "r",
		Failures: []bedrockx.Attempt{{Model: haiku, Kind: bedrockx.KindThrottled}}, Latency: time.Second, FirstOutput: 1, Queued: 1,
	}
	names := []string{"model", "region", "stop_reason", "usage", "cost", "caching", "cache_hit", "attempts", "failures", "request_id", "latency_ns", "first_output_ns", "queued_ns"}
	for name, v := range map[string]any{
		"Result": bedrockx.Result[string]{Outcome: o}, "stream.Result": stream.Result{Outcome: o}, "converse.Response": converse.Response{Outcome: o},
	} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		var got map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &got))
		for _, want := range names {
			assert.Contains(t, got, want, name)
		}
	}
}
