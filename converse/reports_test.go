package converse_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// What users of other programs for Bedrock have reported, each with its report.

// Equal calls of two ids are two calls (NousResearch/hermes-agent issue 108584).
func TestEqualCallsOfTwoIDsGetTwoResults(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		srv.Reply(bedrocktest.ToolUse("check_stock", stockIn{"a"}).ToolUse("check_stock", stockIn{"a"}), bedrocktest.Text("Done."))
		_, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.EqualValues(t, 2, runs.Load())
		assert.Len(t, srv.Requests()[1].ToolResults(), 2)
	})
}

// The events of two tool uses may alternate in a stream (crewAIInc/crewAI issue
// 5739, 2FastLabs/agent-squad issue 231).
func TestToolInputsThatAlternateInAStream(t *testing.T) {
	var titles []string
	chat, srv, _ := newChat(t, func(o *converse.Options) {
		o.ToolConcurrency = 1
		o.Tools = []converse.Tool{converse.NewTool("check_stock", "Looks.", func(_ context.Context, in stockIn) (string, error) {
			titles = append(titles, in.Title)
			return "three", nil
		})}
	})
	srv.Reply(bedrocktest.Frames(
		frame("messageStart", `{"role":"assistant"}`),
		frame("contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t1","name":"check_stock"}}}`),
		frame("contentBlockStart", `{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t2","name":"check_stock"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"title\":"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"title\":\"Na"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"\"Bleach\"}"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolUse":{"input":"na\"}"}}}`),
		frame("contentBlockStop", `{"contentBlockIndex":0}`),
		frame("contentBlockStop", `{"contentBlockIndex":1}`),
		frame("messageStop", `{"stopReason":"tool_use"}`),
		frame("metadata", `{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`),
	), bedrocktest.Text("Done."))
	_, err := run(t, true, chat, ask("q"))
	require.NoError(t, err)
	assert.Equal(t, []string{"Bleach", "Nana"}, titles)
}

// Failures that another try may fix: a model that begins a tool use which cannot
// be read (strands-agents/harness-sdk issue 649), a service with too many
// connections (anthropics/claude-code issue 562).
func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for _, failure := range []*bedrocktest.Reply{
		bedrocktest.Error(424, "ModelErrorException", "Model produced invalid sequence as part of ToolUse. Please refer to the model tool use troubleshooting guide."),
		bedrocktest.Error(503, "ServiceUnavailableException", "Too many connections, please wait before trying again."),
	} {
		chat, srv, _ := newChat(t)
		srv.Reply(failure, bedrocktest.Text("ok"))
		result, err := chat.Send(t.Context(), ask("q"))
		require.NoError(t, err)
		assert.Equal(t, "ok", result.Text())
	}
}

// A model that the table does not have may want a profile too: what the service
// says of it reaches the caller, its curly apostrophe included
// (logancyang/obsidian-copilot issue 2472, juspay/neurolink issue 1380).
func TestModelThatWantsAProfileIsTold(t *testing.T) {
	const text = "Invocation of model ID anthropic.claude-opus-9 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	chat, srv, _ := newChat(t, func(o *converse.Options) { o.Model = "anthropic.claude-opus-9" })
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Error(400, "ValidationException", text)
	})
	_, err := chat.Send(t.Context(), ask("q"))
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, text)
}

// Nova takes topK in its own fields, and a temperature of 0 is one (langchain-aws
// issue 292).
func TestNovaTopK(t *testing.T) {
	req := ask("q")
	req.AdditionalFields = json.RawMessage(`{"inferenceConfig":{"topK":1}}`)
	req.Temperature, req.TopP = ptr(0.0), ptr(1.0)
	got := sent(t, "us.amazon.nova-pro-v1:0", req)
	assert.Equal(t, 1.0, part(got, "additionalModelRequestFields", "inferenceConfig", "topK"))
	assert.Equal(t, 0.0, part(got, "inferenceConfig", "temperature"))
	assert.Equal(t, 1.0, part(got, "inferenceConfig", "topP"))
}

// A budget for a model of another family is an error that says what would be
// right (UKGovernmentBEIS/inspect_ai issue 5301).
func TestBudgetForAnotherFamily(t *testing.T) {
	for _, id := range []bedrockkit.ModelID{gptOSS, "us.amazon.nova-pro-v1:0", deepseek} {
		req := ask("q")
		req.Model, req.MaxTokens, req.Thinking = id, 4096, 1024
		assert.ErrorContains(t, converse.Preflight(req), "others take Effort, or parameters of their own as additional fields", id)
	}
}

// A service tier and a latency go together; what the service does not know is
// named before it is sent (NousResearch/hermes-agent issue 34476).
func TestServiceTierBesideLatency(t *testing.T) {
	req := ask("q")
	req.Model, req.MaxTokens = "us.amazon.nova-pro-v1:0", 10
	for _, tier := range []bedrockkit.ServiceTier{bedrockkit.TierFlex, bedrockkit.TierReserved} {
		req.ServiceTier, req.Latency = tier, bedrockkit.LatencyOptimized
		assert.NoError(t, converse.Preflight(req))
	}
	req.ServiceTier, req.Latency = "cheapest", "turbo"
	err := converse.Preflight(req)
	assert.ErrorContains(t, err, "serviceTier.type")
	assert.ErrorContains(t, err, "performanceConfig.latency")
}

// A blank text that is left out does not move the cache point after it in front
// of the picture before it (experientiallabs/experiential issue 1038).
func TestRepairKeepsACachePointBehindItsPicture(t *testing.T) {
	req := ask("")
	req.Model, req.MaxTokens = model, 100
	req.Messages[0].Content = converse.Contents{converse.Text("Look"), converse.Image{Format: "png", Bytes: []byte("\x89PNG\r\n\x1a\n0000")},
		converse.Text(" "), converse.CachePoint{}, converse.Text("What is it?")}
	repaired, _ := converse.Repair(req)
	data, err := json.Marshal(repaired.Messages)
	require.NoError(t, err)
	image, point := strings.Index(string(data), `"image"`), strings.Index(string(data), `"cachePoint"`)
	assert.Greater(t, image, 0)
	assert.Greater(t, point, image)
	assert.NoError(t, converse.Preflight(repaired))
}
