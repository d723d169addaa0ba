package bedrockx_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestParseInvokeUsage(t *testing.T) {
	headers := http.Header{}
	headers.Set("x-amzn-bedrock-input-token-count", "14")
	headers.Set("x-amzn-bedrock-output-token-count", "5")
	headers.Set("x-amzn-bedrock-cache-read-input-token-count", "6")
	headers.Set("x-amzn-bedrock-cache-write-input-token-count", "7")
	tests := []struct {
		name   string
		header http.Header
		body   string
		want   bedrockkit.Usage
	}{
		{"Anthropic", headers, `{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":12,"cache_read_input_tokens":13216,
			"cache_creation_input_tokens":125,"cache_creation":{"ephemeral_5m_input_tokens":25,"ephemeral_1h_input_tokens":100}}}`,
			bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13_216, CacheWrite5mTokens: 25, CacheWrite1hTokens: 100}},
		{"Anthropic before TTLs", nil, `{"usage":{"input_tokens":3,"output_tokens":12,"cache_creation_input_tokens":25}}`,
			bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheWrite5mTokens: 25}},
		{"Nova", nil, `{"output":{},"usage":{"inputTokens":7,"outputTokens":9,"totalTokens":16,"cacheReadInputTokenCount":100,"cacheWriteInputTokenCount":50}}`,
			bedrockkit.Usage{InputTokens: 7, OutputTokens: 9, CacheReadTokens: 100, CacheWrite5mTokens: 50}},
		{"Titan text", nil, `{"inputTextTokenCount":8,"results":[{"tokenCount":4,"outputText":"a"},{"tokenCount":6}]}`,
			bedrockkit.Usage{InputTokens: 8, OutputTokens: 10}},
		{"Titan embedding", nil, `{"embedding":[0.1],"inputTextTokenCount":8}`, bedrockkit.Usage{InputTokens: 8}},
		{"Llama", nil, `{"generation":"hi","prompt_token_count":21,"generation_token_count":4,"stop_reason":"stop"}`,
			bedrockkit.Usage{InputTokens: 21, OutputTokens: 4}},
		{"OpenAI", nil, `{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64}}}`,
			bedrockkit.Usage{InputTokens: 36, OutputTokens: 20, CacheReadTokens: 64}},
		{"Mistral", nil, `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}`,
			bedrockkit.Usage{InputTokens: 10, OutputTokens: 2}},
		{"Cohere, by its headers", headers, `{"text":"hi","finish_reason":"COMPLETE"}`,
			bedrockkit.Usage{InputTokens: 14, OutputTokens: 5, CacheReadTokens: 6, CacheWrite5mTokens: 7}},
		{"no body", headers, ``, bedrockkit.Usage{InputTokens: 14, OutputTokens: 5, CacheReadTokens: 6, CacheWrite5mTokens: 7}},
		{"the last chunk of a stream", nil, `{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":3,"invocationLatency":5,"cacheReadInputTokenCount":2}}`,
			bedrockkit.Usage{InputTokens: 9, OutputTokens: 3, CacheReadTokens: 2}},
		{"the last chunk of a stream of Titan", nil, `{"outputText":"","index":0,"totalOutputTextTokenCount":42,"completionReason":"FINISH","inputTextTokenCount":5,
			"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":42}}`, bedrockkit.Usage{InputTokens: 5, OutputTokens: 42}},
		{"an embedding of an image", nil, `{"embedding":[0.1],"inputTextTokenCount":0}`, bedrockkit.Usage{Unknown: true}},
		{"TTLs without their sum", nil, `{"usage":{"input_tokens":3,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":7}}}`,
			bedrockkit.Usage{InputTokens: 3, OutputTokens: 1, CacheWrite5mTokens: 7}},
		{"a TTL that has no name yet", nil, `{"usage":{"input_tokens":3,"output_tokens":1,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_2h_input_tokens":200}}}`,
			bedrockkit.Usage{InputTokens: 3, OutputTokens: 1, CacheWrite5mTokens: 300}},
		{"half an hour", nil, `{"usage":{"input_tokens":3,"output_tokens":1,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_30m_input_tokens":200}}}`,
			bedrockkit.Usage{InputTokens: 3, OutputTokens: 1, CacheWrite5mTokens: 100, CacheWrite30mTokens: 200}},
		{"Responses", nil, `{"object":"response","usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":900},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":1005}}`,
			bedrockkit.Usage{InputTokens: 100, OutputTokens: 5, CacheReadTokens: 900}},
		{"the end of a stream of Responses", nil, `{"type":"response.completed","response":{"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":900,"cache_write_tokens":60},"output_tokens":5,"total_tokens":1005}}}`,
			bedrockkit.Usage{InputTokens: 40, OutputTokens: 5, CacheReadTokens: 900, CacheWrite5mTokens: 60}},
		{"Chat Completions that count the cache beside the prompt", nil, `{"usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":2700,"prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":400}}}`,
			bedrockkit.Usage{InputTokens: 200, OutputTokens: 100, CacheReadTokens: 2000, CacheWrite5mTokens: 400}},
		{"Chat Completions with cache writes", nil, `{"usage":{"prompt_tokens":2600,"completion_tokens":100,"total_tokens":2700,"prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":400}}}`,
			bedrockkit.Usage{InputTokens: 200, OutputTokens: 100, CacheReadTokens: 2000, CacheWrite5mTokens: 400}},
		{"nothing told", nil, `{"usage":{}}`, bedrockkit.Usage{Unknown: true}},
		{"nothing at all", nil, ``, bedrockkit.Usage{Unknown: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bedrockx.ParseInvokeUsage(tt.header, []byte(tt.body))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	none := http.Header{}
	none.Set("x-amzn-bedrock-input-token-count", "0")
	image, err := bedrockx.ParseInvokeUsage(none, []byte(`{"embedding":[0.1],"inputTextTokenCount":0}`))
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.Usage{Unknown: true}, image, "an image is not free")
	for name, body := range map[string]string{
		"no JSON":                         `{`,
		"a negative count":                `{"usage":{"input_tokens":-3}}`,
		"more for an hour than in all":    `{"usage":{"input_tokens":3,"cache_creation_input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":2}}}`,
		"more from the cache than in all": `{"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}}`,
	} {
		got, err := bedrockx.ParseInvokeUsage(headers, []byte(body))
		assert.Error(t, err, name)
		assert.True(t, got.Unknown, name)
	}
	headers.Set("x-amzn-bedrock-output-token-count", "many")
	got, err := bedrockx.ParseInvokeUsage(headers, nil)
	assert.ErrorContains(t, err, "Output-Token-Count")
	assert.True(t, got.Unknown)
}

func FuzzParseInvokeUsage(f *testing.F) {
	f.Add([]byte(`{"usage":{"input_tokens":3,"output_tokens":12,"cache_creation":{"ephemeral_1h_input_tokens":1}}}`))
	f.Add([]byte(`{"inputTextTokenCount":8,"results":[{"tokenCount":9223372036854775807},{"tokenCount":9}]}`))
	f.Add([]byte(`{"usage":{"prompt_tokens":-9223372036854775808,"prompt_tokens_details":{"cached_tokens":9}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := bedrockx.ParseInvokeUsage(nil, body)
		if err != nil || u.Unknown {
			require.Equal(t, bedrockkit.Usage{Unknown: true}, u)
			return
		}
		require.True(t, json.Valid(body))
		require.GreaterOrEqual(t, min(u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens, u.CacheWrite30mTokens, u.CacheWrite1hTokens), int64(0))
		_, err = pricing.Default().Cost("us.anthropic.claude-haiku-4-5-20251001-v1:0", u)
		if err != nil && !errors.Is(err, pricing.ErrInvalidUsage) { // more tokens than any request has
			require.ErrorIs(t, err, pricing.ErrNoRate)
		}
	})
}
