package bedrockx_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/stream"
)

func TestRaw(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Text("Hi").Usage(bedrockkit.Usage{InputTokens: 3, OutputTokens: 2, CacheReadTokens: 1}))
	const body = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"x"}],"metadata":{"new":"<1>"}}`
	result, err := bedrockx.Invoke(t.Context(), client, model, bedrockx.Raw(body))
	require.NoError(t, err)
	assert.Equal(t, body, string(srv.Requests()[0].Body))
	assert.Contains(t, string(result.Output), `"text":"Hi"`)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 3, OutputTokens: 2, CacheReadTokens: 1}, result.Usage)
	for _, body := range []string{"", "[]", "{", `"x"`} {
		_, err := bedrockx.Invoke(t.Context(), client, model, bedrockx.Raw(body))
		assert.ErrorIs(t, err, bedrockx.ErrValidation, body)
	}
	srv.Reply(bedrocktest.Body(200, "application/json", []byte(`{"half":`)))
	_, err = bedrockx.Invoke(t.Context(), client, model, bedrockx.Raw(body), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	assert.ErrorIs(t, err, bedrockx.ErrCorrupt)
}

// A response is read up to the bound and no further, whether it says how long
// it is or not.
func TestResponseIsBounded(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client(), quick)
	ask := bedrockx.Raw(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"x"}]}`)
	body := func(n int) []byte { return fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("x", n-8)) }
	for _, tt := range []struct {
		bytes, bound int
		fits         bool
	}{{1000, 1000, true}, {1001, 1000, false}, {200_000, 200_000, true}, {200_000, 100_000, false}, {8, 1, false}, {2000, -1, true}} {
		srv.Reply(bedrocktest.Body(200, "application/json", body(tt.bytes)))
		result, err := bedrockx.Invoke(t.Context(), client, model, ask, func(o *bedrockx.Options) { o.MaxResponseBytes = int64(tt.bound) })
		if tt.fits {
			require.NoError(t, err)
			assert.Len(t, result.Output, tt.bytes)
			continue
		}
		assert.ErrorIs(t, err, bedrockx.ErrTooLarge)
		assert.ErrorContains(t, err, fmt.Sprintf("more than %d bytes", tt.bound))
	}
	assert.Len(t, srv.Requests(), 6, "what is too large is too large again")
}

// What a guardrail has put in an answer's place does not pass for one.
func TestGuardrailIntervened(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client())
	for action, want := range map[string]bedrockkit.StopReason{"INTERVENED": bedrockkit.StopGuardrailIntervened, "NONE": bedrockkit.StopEndTurn} {
		srv.Reply(bedrocktest.Body(200, "application/json", fmt.Appendf(nil,
			`{"content":[{"type":"text","text":"No. \"amazon-bedrock-guardrailAction\""}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1},"amazon-bedrock-guardrailAction":%q}`, action)))
		result, err := bedrockx.Invoke(t.Context(), client, model, request("x"))
		require.NoError(t, err)
		assert.Equal(t, want, result.StopReason)
		assert.JSONEq(t, `"`+action+`"`, string(result.Output.Extra["amazon-bedrock-guardrailAction"]))
	}
}

// An answer that cannot be read was billed, and the headers say how much.
func TestWhatCannotBeReadIsMetered(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client(), quick)
	broken := bedrocktest.Body(200, "application/json", []byte(`{"content":5}`)).
		Header("X-Amzn-Bedrock-Input-Token-Count", "1000000").Header("X-Amzn-Bedrock-Output-Token-Count", "0")
	srv.Reply(broken, bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 1_000_000}))
	result, err := bedrockx.Invoke(t.Context(), client, model, request("x"))
	require.NoError(t, err)
	require.Len(t, result.Failures, 1)
	assert.Equal(t, bedrockx.KindCorrupt, result.Failures[0].Kind)
	require.NotNil(t, result.Failures[0].Cost)
	assert.Equal(t, "1", result.Failures[0].Cost.String())
	require.NotNil(t, result.Cost)
	assert.Equal(t, "2", result.Cost.String())
}

// A result can be stored and read again.
func TestResultSurvivesJSON(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Reasoning("hm").Text("Hi <b>").Block(bedrocktest.Block{Raw: json.RawMessage(`{"type":"hologram","x":"<"}`)}))
	result, err := bedrockx.Invoke(t.Context(), client, model, request("x"))
	require.NoError(t, err)
	stored, err := json.Marshal(result)
	require.NoError(t, err)
	var again bedrockx.Result[anthropic.Response]
	require.NoError(t, json.Unmarshal(stored, &again))
	assert.Equal(t, result.Usage, again.Usage)
	assert.Equal(t, "Hi <b>", again.Output.Text())
	assert.Equal(t, result.Output.Content[0], again.Output.Content[0])
	assert.JSONEq(t, `{"type":"hologram","x":"<"}`, string(again.Output.Content[2].Raw))
}

// Where neither the body nor a header tells the usage, it is unknown, and the
// cost with it.
func TestUsageThatNobodyTells(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Body(200, "application/json", []byte(`{"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}`)))
	result, err := bedrockx.Invoke(t.Context(), client, model, request("x"))
	require.NoError(t, err)
	assert.Equal(t, "x", result.Output.Text())
	assert.True(t, result.Usage.Unknown)
	assert.Nil(t, result.Cost)
	assert.Error(t, result.CostErr)
}

// What InvokeModel takes as headers goes out with a typed body, whole or as a
// stream, and is part of what a cached answer depends on.
func TestInvokeParams(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
		o.Responder = bedrocktest.Echo
		o.Guardrails = []bedrocktest.Guardrail{{ID: "gr1234567890", Version: "1"}}
	})
	_, cache := cachedClient(t, srv)
	params := bedrockx.InvokeParams{Guardrail: bedrockkit.Guardrail{ID: "gr1234567890", Version: "1", Trace: bedrockkit.GuardrailTraceEnabled},
		ServiceTier: bedrockkit.TierPriority, Latency: "optimized"}
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Invoke, o.CachePolicy.AnyTemperature, o.Cache = params, true, cache })
	_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	s, err := stream.Invoke(t.Context(), client, model, request("hello, as a stream"))
	require.NoError(t, err)
	for _, err := range s.Text() {
		require.NoError(t, err)
	}
	require.Len(t, srv.Requests(), 2)
	for _, r := range srv.Requests() {
		assert.Equal(t, "gr1234567890", r.Header.Get("X-Amzn-Bedrock-GuardrailIdentifier"))
		assert.Equal(t, "1", r.Header.Get("X-Amzn-Bedrock-GuardrailVersion"))
		assert.Equal(t, "ENABLED", r.Header.Get("X-Amzn-Bedrock-Trace"))
		assert.Equal(t, "priority", r.Header.Get("X-Amzn-Bedrock-Service-Tier"))
		assert.Equal(t, "optimized", r.Header.Get("X-Amzn-Bedrock-PerformanceConfig-Latency"))
	}

	again, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	assert.True(t, again.CacheHit)
	for _, change := range []func(*bedrockx.InvokeParams){
		func(p *bedrockx.InvokeParams) { p.Guardrail.ID, p.Guardrail.Version = "", "" },
		func(p *bedrockx.InvokeParams) { p.Guardrail.Trace = "" },
		func(p *bedrockx.InvokeParams) { p.ServiceTier = "" },
		func(p *bedrockx.InvokeParams) { p.Latency = "standard" },
	} {
		other, err := bedrockx.Invoke(t.Context(), client, model, request("hello"), func(o *bedrockx.Options) { change(&o.Invoke) })
		require.NoError(t, err)
		assert.False(t, other.CacheHit)
	}

	sent := len(srv.Requests())
	for _, wrong := range []bedrockx.InvokeParams{
		{Guardrail: bedrockkit.Guardrail{ID: "gr1234567890"}}, {Guardrail: bedrockkit.Guardrail{Trace: "yes"}},
		{Guardrail: bedrockkit.Guardrail{ID: "gr1234567890", Version: "1", StreamMode: bedrockkit.GuardrailAsync}}, {Latency: "fast"}} {
		_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"), func(o *bedrockx.Options) { o.Invoke = wrong })
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
	}
	assert.Len(t, srv.Requests(), sent)
}

// A policy that neither calls the next handler nor decodes is no empty answer.
func TestInvokeWithoutAnAnswer(t *testing.T) {
	client := bedrockx.New(&mockInvoke{}, func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(bedrockx.Handler) bedrockx.Handler {
			return func(context.Context, *bedrockx.Call) error { return nil }
		}}
	})
	_, err := bedrockx.Invoke(t.Context(), client, haiku, request("hello"))
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "Decode")
}

func TestNewOfNil(t *testing.T) {
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(nil), haiku, request("hello"))
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "New was given nil")
}

// An input of the SDK passes the pipeline, and its body is not the pipeline's.
func TestInvokeModelOfTheSDK(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.Invoke.Guardrail.Trace = bedrockkit.GuardrailTraceEnabled })
	const body = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"x"}]}`
	in := &bedrockruntime.InvokeModelInput{ModelId: aws.String(string(model)), Body: []byte(body)}
	usage := bedrockkit.Usage{InputTokens: 3, OutputTokens: 2}
	srv.Reply(bedrocktest.Exception("ThrottlingException"), bedrocktest.Text("Hi").Usage(usage), bedrocktest.Text("Ho").Usage(usage))

	typed, err := bedrockx.InvokeModel(t.Context(), client, in, anthropic.Request{}.DecodeInvoke)
	require.NoError(t, err)
	assert.Equal(t, "Hi", typed.Output.Text())
	assert.Equal(t, 2, typed.Attempts)
	assert.Equal(t, bedrockkit.StopEndTurn, typed.StopReason)
	raw, err := bedrockx.InvokeModel(t.Context(), client, in, bedrockx.Raw{}.DecodeInvoke)
	require.NoError(t, err)
	assert.Contains(t, string(raw.Output), `"text":"Ho"`)
	assert.Equal(t, usage, raw.Usage, "of the headers")
	assert.Equal(t, body, string(srv.Requests()[2].Body))
	assert.Equal(t, &bedrockruntime.InvokeModelInput{ModelId: aws.String(string(model)), Body: []byte(body)}, in)

	_, err = bedrockx.InvokeModel(t.Context(), client, nil, bedrockx.Raw{}.DecodeInvoke)
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	_, err = bedrockx.InvokeModel[string](t.Context(), client, in, nil)
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.Len(t, srv.Requests(), 3)
}
