package converse

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

var plainAnswers = map[string]bool{
	`{"metrics":{"latencyMs":712},"output":{"message":{"content":[{"text":"Hello!"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":25,"outputTokens":7,"totalTokens":32}}`:                                                                                           true,
	` { "usage" : {"inputTokens":0,"outputTokens":7,"totalTokens":32,"cacheReadInputTokens":3,"cacheWriteInputTokens":4}, "stopReason":"max_tokens","serviceTier":{"type":"priority"},"output":{"message":{"role":"assistant","content":[]}},"performanceConfig":{"latency":"optimized"}}`: true,
	`{"output":{"message":{"content":[{"text":"ワン\n\u30d4\ud83d\ude00 \"x\""},{"text":""}],"role":"assistant"}},"stopReason":"stop_sequence","usage":{"inputTokens":25,"outputTokens":7}}`:                                                                                                 true,

	// These are read by parts.
	`{"output":{"message":{"content":[{"text":"a"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":25,"outputTokens":7,"totalTokens":32,"cacheReadInputTokens":20}}`:         false,
	`{"output":{"message":{"content":[{"text":"a"}],"role":"assistant"}},"stopReason":"end_turn"}`:                                                                                                false,
	`{"output":{"message":{"content":[{"text":"a","b":1}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":25,"outputTokens":7}}`:                                              false,
	`{"output":{"message":{"content":[{"text":"a"}],"role":"assistant"}},"stopReason":"end_turn","stopReason":"max_tokens","usage":{"inputTokens":25,"outputTokens":7}}`:                          false,
	`{"output":{"message":{"content":[{"text":"\ud800"}],"role":"assistant"}},"stopReason":"malformed_model_output","usage":{"inputTokens":25,"outputTokens":7}}`:                                 false,
	`{"output":{"message":{"content":[{"toolUse":{"toolUseId":"t","name":"n","input":{}}}],"role":"assistant"}},"stopReason":"tool_use","usage":{"inputTokens":25,"outputTokens":7}}`:             false,
	`{"output":{"message":{"content":[{"text":"a"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":25,"outputTokens":7,"cacheDetails":[{"ttl":"1h","inputTokens":1}]}}`:      false,
	`{"output":{"message":{"content":[{"text":"a"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":25,"outputTokens":7},"trace":{"promptRouter":{"invokedModelId":"nova"}}}`: false,
	`{}`: false, `[]`: false, ``: false, `{"output":{"message":{"content":[{"text":"a`: false,
}

func TestPlainAnswers(t *testing.T) {
	for body, want := range plainAnswers {
		var a plainAnswer
		assert.Equal(t, want, a.scan([]byte(body)), body)
	}
}

// What the scan takes is what reading by parts makes of it.
func FuzzPlainAnswer(f *testing.F) {
	for body := range plainAnswers {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a plainAnswer
		if !a.scan(body) {
			return
		}
		var r Response
		call := &bedrockx.Call{}
		require.NoError(t, r.decodeParts(call, body))
		assert.Equal(t, r.Message, a.message)
		assert.Equal(t, call.Usage, a.usage)
		assert.Equal(t, call.StopReason, a.reason)
		assert.Equal(t, call.ServiceTier, bedrockkit.ServedTier(a.tier, a.latency))
		assert.Nil(t, r.AdditionalFields)
		assert.Nil(t, r.Trace)
	})
}
