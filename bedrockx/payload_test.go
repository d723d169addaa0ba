package bedrockx_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
)

// A response of any family is an error or survives JSON: nothing that a server
// sends is a panic, or usage below zero.
func FuzzPayloads(f *testing.F) {
	for _, body := range []string{
		`{"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1}}`,
		`{"output":{"message":{"role":"assistant","content":[{"text":"x"},{"new":1}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}`,
		`{"inputTextTokenCount":1,"results":[{"tokenCount":2,"outputText":"x","completionReason":"FINISH"}]}`,
		`{"embedding":[0.5],"embeddingsByType":{"binary":[0,1]},"inputTextTokenCount":1}`,
		`{"text":"x","finish_reason":"COMPLETE","tool_calls":[{"name":"n","parameters":{}}]}`,
		`{"embeddings":{"float":[[1]],"ubinary":[[255]]},"response_type":"embeddings_by_type"}`, `{"embeddings":[[1e-3]]}`,
		`{"results":[{"index":0,"relevance_score":0.5}]}`,
		`{"generation":"x","prompt_token_count":1,"generation_token_count":2,"stop_reason":"stop"}`,
		`{"outputs":[{"text":"x","stop_reason":"stop"}]}`,
		`{"choices":[{"message":{"role":"assistant","content":[{"type":"text","text":"x"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		decode(t, anthropic.Request{}, body)
		decode(t, nova.Request{}, body)
		decode(t, titan.TextRequest{}, body)
		decode(t, titan.EmbedRequest{}, body)
		decode(t, titan.MultimodalRequest{}, body)
		decode(t, cohere.ChatRequest{}, body)
		decode(t, cohere.EmbedRequest{Texts: []string{"x"}}, body)
		decode(t, cohere.RerankRequest{Documents: []string{"x"}}, body)
		decode(t, llama.Request{}, body)
		decode(t, mistral.TextRequest{}, body)
		decode(t, mistral.ChatRequest{}, body)
		decode(t, bedrockx.Raw(nil), body)
	})
}

func decode[Out any](t *testing.T, in bedrockx.Payload[Out], body []byte) {
	out, usage, _, err := in.DecodeInvoke(body)
	if err != nil {
		return
	}
	assert.GreaterOrEqual(t, min(usage.InputTokens, usage.OutputTokens, usage.CacheReadTokens, usage.CacheWrite5mTokens, usage.CacheWrite1hTokens), int64(0))
	stored, err := json.Marshal(out)
	if err != nil {
		return // a block that cannot be sent, such as one without a type
	}
	again := reflect.New(reflect.TypeOf(out))
	require.NoError(t, json.Unmarshal(stored, again.Interface()), "%T: %s", out, stored)
	twice, err := json.Marshal(again.Interface())
	require.NoError(t, err)
	assert.Equal(t, string(stored), string(twice), "%T", out)
}

// Budgets and quotas go by what a request says that it bounds.
func TestOutputBounds(t *testing.T) {
	for _, in := range []any{anthropic.Request{MaxTokens: 7}, nova.Request{InferenceConfig: nova.InferenceConfig{MaxTokens: 7}},
		titan.TextRequest{TextGenerationConfig: &titan.TextConfig{MaxTokenCount: 7}}, cohere.ChatRequest{MaxTokens: 7},
		llama.Request{MaxGenLen: 7}, mistral.TextRequest{MaxTokens: 7}, mistral.ChatRequest{MaxTokens: 7}} {
		bound, ok := in.(bedrockx.OutputBound)
		if assert.True(t, ok, "%T", in) {
			assert.Equal(t, 7, bound.MaxOutputTokens(), "%T", in)
		}
	}
}
