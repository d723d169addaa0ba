package anthropic_test

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"all kinds": {[]string{
		`{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1,"cache_read_input_tokens":2}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"ZGF0YQ=="}}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"One"}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":" \u3042"}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"char_location"}}}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}`,
		`{"type":"content_block_start","index":4,"content_block":{"type":"hologram"}}`,
		`{"type":"content_block_delta","index":4,"delta":{"type":"hologram_delta","depth":3}}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}`,
		`{"type":"message_stop",` + metrics + `}`,
	}, []string{"message_start", "0 block_start  ", "0 reasoning hm", "0 signature c2ln", "0 block_stop", "1 block_start  ", `1 redacted "ZGF0YQ=="`,
		"2 block_start  ", "2 text One", "2 text  あ", `2 citation {"type":"char_location"}`, "3 block_start t n", `3 tool_input {"a":1}`,
		`4 block_start  {"type":"hologram"}`, `4 unknown {"type":"hologram_delta","depth":3}`, "message_stop tool_use", "metadata 7 3 2 0"}},
	"an event that nobody knows": {[]string{
		`{"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1}}}`,
		`{"type":"message_annotation","note":"new"}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`,
		`{"type":"content_block_annotation","index":0,"note":"new"}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2,"inference_geo":"us"}}`,
		`{"type":"message_stop"}`,
	}, []string{"message_start", `-1 unknown {"type":"message_annotation","note":"new"}`, "0 block_start  ", "0 text Hi",
		`0 unknown {"type":"content_block_annotation","index":0,"note":"new"}`, "0 block_stop", "message_stop end_turn", "metadata 1 2 0 0"}},
	"an input that comes at once": {[]string{
		`{"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"delete","input":{"only":"this one"}}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"}}`, `{"type":"message_stop"}`,
	}, []string{"message_start", "0 block_start t delete", `0 tool_input {"only":"this one"}`, "0 block_stop", "message_stop tool_use", "metadata 1 1 0 0"}},
	"usage of the metrics alone": {[]string{
		`{"type":"message_start","message":{}}`,
		`{"type":"message_delta","delta":{"stop_reason":"refusal"}}`,
		`{"type":"message_stop",` + metrics + `}`,
	}, []string{"message_start", "message_stop content_filtered", "metadata 7 3 0 0"}},
}

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, anthropic.NewDecoder, tt.chunks, tt.want) })
	}
}

// A stop without a reason is not one that the model has made.
func TestDecoderRefuses(t *testing.T) {
	_, err := eventtest.Events(anthropic.NewDecoder(), true, `{"type":"message_start","message":{}}`, `{"type":"message_stop"}`)
	assert.ErrorContains(t, err, "without a reason")
}

// An exception that comes in a chunk is the service's.
func TestDecoderException(t *testing.T) {
	_, err := eventtest.Events(anthropic.NewDecoder(), true, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	var api smithy.APIError
	require.True(t, errors.As(err, &api))
	assert.Equal(t, "overloaded_error", api.ErrorCode())
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, anthropic.NewDecoder, []string{`{"type":"message_start","message":{}}`},
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" two"}}`)
	eventtest.Hot(t, anthropic.NewDecoder, []string{`{"type":"message_start","message":{}}`},
		`{"delta":{"partial_json":"{}","type":"input_json_delta"},"index":1,"type":"content_block_delta"}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, anthropic.NewDecoder, nil, seeds...)
}
