package bedrockx_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

func asking(maxTokens int) anthropic.Request {
	return anthropic.Request{MaxTokens: maxTokens, Messages: []anthropic.Message{anthropic.User("hello")}}
}

// The default bound on an attempt grows with the answer that may come, and what
// has hit it is not paid for twice.
func TestAttemptTimeoutGrowsWithMaxTokens(t *testing.T) {
	raw := func(maxTokens string) bedrockx.Raw {
		return bedrockx.Raw(`{"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "x"}]` + maxTokens + `}`)
	}
	const nova2, nova9 bedrockkit.ModelID = "us.amazon.nova-2-lite-v1:0", "amazon.nova-9-v1:0"
	unbounded := bedrockx.Raw(`{"messages": [{"role": "user", "content": [{"text": "x"}]}]}`)
	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		send  func(*bedrockx.Client, bedrockkit.ModelID) error
		set   func(*bedrockx.Options)
		want  time.Duration
	}{
		"a short answer":        {haiku45, typed(100), nil, 2 * time.Minute},
		"a long answer":         {haiku45, typed(64_000), nil, 30 * time.Minute},
		"the longest answer":    {opus5, typed(128_000), nil, time.Hour},
		"a body of its own":     {haiku45, untyped(raw(`, "max_tokens": 32000`)), nil, 15 * time.Minute},
		"as much as it gives":   {nova2, untyped(unbounded), nil, 30 * time.Minute},
		"nothing known":         {nova9, untyped(unbounded), nil, 2 * time.Minute},
		"work nobody waits for": {haiku45, typed(100), bedrockx.Batch, 5 * time.Minute},
		"a long one of those":   {haiku45, typed(64_000), bedrockx.Batch, 30 * time.Minute},
		"a short function":      {haiku45, typed(64_000), bedrockx.Lambda, 30 * time.Second},
		"set by the caller":     {haiku45, typed(64_000), func(o *bedrockx.Options) { o.AttemptTimeout = 7 * time.Second }, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
					o.InProcess, o.Models = true, []bedrockkit.ModelID{nova9, nova2.Base(), haiku45.Base(), opus5.Base()}
				})
				srv.Reply(bedrocktest.Text("late").Stall())
				client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
					if tt.set != nil {
						tt.set(o)
					}
				})
				began := time.Now()
				err := tt.send(client, tt.model)
				require.ErrorIs(t, err, bedrockx.ErrAttemptTimeout)
				assert.Equal(t, tt.want, time.Since(began))
				assert.Len(t, srv.Requests(), 1, "it was billed, and is not sent again")
			})
		})
	}
}

func typed(maxTokens int) func(*bedrockx.Client, bedrockkit.ModelID) error {
	return func(c *bedrockx.Client, id bedrockkit.ModelID) error {
		_, err := bedrockx.Invoke(context.Background(), c, id, asking(maxTokens))
		return err
	}
}

func untyped(body bedrockx.Raw) func(*bedrockx.Client, bedrockkit.ModelID) error {
	return func(c *bedrockx.Client, id bedrockkit.ModelID) error {
		_, err := bedrockx.Invoke(context.Background(), c, id, body)
		return err
	}
}

// A stream is bounded as before, but for a model that thinks without a word.
func TestStreamTimeoutsGrowWhereThinkingIsSilent(t *testing.T) {
	for model, want := range map[bedrockkit.ModelID]time.Duration{haiku45: 2 * time.Minute, opus55: 30 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
			srv.Reply(bedrocktest.Text("late").StallAfter(0))
			client := bedrockx.New(srv.Client())
			call := &bedrockx.Call{Op: bedrockkit.OpInvokeModelWithResponseStream, Outcome: bedrockx.Outcome{Model: model},
				Decode: func(_ context.Context, r *bedrockx.Response) error {
					_, err := r.Body.Read(make([]byte, 1))
					for err == nil {
						_, err = r.Body.Read(make([]byte, 1))
					}
					return err
				}}
			call.SetPayload(asking(64_000))
			began := time.Now()
			require.ErrorIs(t, client.Do(t.Context(), call), bedrockx.ErrFirstEventTimeout)
			assert.Equal(t, want, time.Since(began), model)
			assert.Len(t, srv.Requests(), 1)
		})
	}
}

// A target of the fallback is asked after a bound of ours too.
func TestFallbackAfterATimeoutOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text("late").Stall(), bedrocktest.Text("in time"))
		client := bedrockx.New(srv.Client(), fallBackOn(bedrockx.Target{Model: opus5}))
		result, err := bedrockx.Invoke(t.Context(), client, haiku45, asking(10))
		require.NoError(t, err)
		assert.Equal(t, opus5, result.Model)
		assert.Equal(t, 2, result.Attempts)
	})
}

const opus55 bedrockkit.ModelID = "us.anthropic.claude-opus-5-5"

func TestMetadataOfInvokeModel(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("well"))
	client := bedrockx.New(srv.Client(), quick)
	with := func(pairs map[string]string) func(*bedrockx.Options) {
		return func(o *bedrockx.Options) { o.Invoke.Metadata = pairs }
	}
	_, err := bedrockx.Invoke(t.Context(), client, haiku45, asking(10), with(map[string]string{"team": "manga", "a": "b"}))
	require.NoError(t, err)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(srv.Requests()[0].Header.Get("X-Amzn-Bedrock-Request-Metadata")), &got))
	assert.Equal(t, map[string]string{"team": "manga", "a": "b"}, got)

	many := map[string]string{}
	for i := range 17 {
		many[string(rune('a'+i))] = "x"
	}
	for _, pairs := range []map[string]string{many, {"k": "é"}, {"": "v"}, {"k": string(make([]byte, 300))}} {
		_, err := bedrockx.Invoke(t.Context(), client, haiku45, asking(10), with(pairs))
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.ErrorContains(t, err, "Options.Invoke.Metadata")
	}
	assert.Len(t, srv.Requests(), 1)
}
