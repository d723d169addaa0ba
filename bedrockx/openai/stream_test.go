package openai_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/openai"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

func delta(d string) string {
	return `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","choices":[{"index":0,"delta":` + d + `,"finish_reason":null}]}`
}

func finish(reason string) string {
	return `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"text": {[]string{
		delta(`{"role":"assistant","content":""}`), delta(`{"content":"One"}`), delta(`{"content":" \u3042"}`), finish("stop"),
		`{"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2}},` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  あ", "0 block_stop", "message_stop end_turn", "metadata 7 3 0 0"}},
	"usage of the body": {[]string{
		delta(`{"content":"One"}`), finish("length"),
		`{"choices":[],"usage":{"prompt_tokens":2600,"completion_tokens":3,"total_tokens":2603,"prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":400}}}`,
	}, []string{"message_start", "0 text One", "0 block_stop", "message_stop max_tokens", "metadata 200 3 2000 400"}},
	"reasoning in a field": {[]string{
		delta(`{"role":"assistant","content":"","reasoning_content":null}`), delta(`{"reasoning_content":"h"}`), delta(`{"content":null,"reasoning":"m"}`),
		delta(`{"content":"One"}`), delta(`{"content":" two","reasoning_content":null}`), finish("stop"),
	}, []string{"message_start", "0 reasoning h", "0 reasoning m", "0 block_stop", "1 text One", "1 text  two", "1 block_stop", "message_stop end_turn"}},
	"reasoning in tags": {[]string{
		delta(`{"content":"<reas"}`), delta(`{"content":"oning>h"}`), delta(`{"content":"m </reas"}`), delta(`{"content":"on</reasoning>One"}`), delta(`{"content":" two"}`), finish("stop"),
	}, []string{"message_start", "0 reasoning h", "0 reasoning m ", "0 reasoning </reason", "0 block_stop", "1 text One", "1 text  two", "1 block_stop", "message_stop end_turn"}},
	"what looks like a tag": {[]string{
		delta(`{"content":"<"}`), delta(`{"content":"b>"}`), delta(`{"content":"<reasoning>x"}`), finish("stop"),
	}, []string{"message_start", "0 text <b>", "0 text <reasoning>x", "0 block_stop", "message_stop end_turn"}},
	"cut while it thinks": {[]string{
		delta(`{"content":"<reasoning>h</"}`), finish("length"),
	}, []string{"message_start", "0 reasoning h", "0 reasoning </", "0 block_stop", "message_stop max_tokens"}},
	"held to the end": {[]string{delta(`{"content":"<"}`), finish("stop")},
		[]string{"message_start", "0 text <", "0 block_stop", "message_stop end_turn"}},
	"tools": {[]string{
		delta(`{"role":"assistant","content":null}`), delta(`{"content":"Hm"}`),
		delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}`),
		delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}`), delta(`{"tool_calls":[{"function":{"arguments":":1}"}}]}`),
		delta(`{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`), finish("tool_calls"),
	}, []string{"message_start", "0 text Hm", "0 block_stop", "1 block_start a f", `1 tool_input {"x"`, `1 tool_input :1}`, "2 block_start b g", "2 tool_input {}",
		"1 block_stop", "2 block_stop", "message_stop tool_use"}},
	"all in one chunk": {[]string{
		`{"choices":[{"index":0,"delta":{"reasoning_content":"h","content":"One","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],` +
			`"amazon-bedrock-guardrailAction":"INTERVENED",` + metrics + `}`,
	}, []string{"message_start", "0 reasoning h", "0 block_stop", "1 text One", "1 block_stop", "2 block_start a f", "2 tool_input {}", "2 block_stop", "message_stop guardrail_intervened", "metadata 7 3 0 0"}},
	"a refusal": {[]string{delta(`{"refusal":"No."}`), finish("content_filter")},
		[]string{"message_start", "0 text No.", "0 block_stop", "message_stop content_filtered"}},
	"unknown things": {[]string{`{"new":1}`, delta(`{"content":"x"}`), finish("a_new_reason")},
		[]string{`-1 unknown {"new":1}`, "message_start", "0 text x", "0 block_stop", "message_stop a_new_reason"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, openai.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`{"choices":5}`, `{"choices":[{"delta":{"content":5}}]}`, `{"choices":[{"index":0},{"index":1}]}`, `{"usage":[]}`, `x`} {
		_, err := eventtest.Events(openai.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, openai.NewDecoder, []string{delta(`{"content":"One"}`)}, delta(`{"content":" two"}`))
	eventtest.Hot(t, openai.NewDecoder, []string{delta(`{"reasoning_content":"h"}`), delta(`{"content":"One"}`)}, delta(`{"role":"assistant","content":" two","reasoning_content":null,"tool_calls":null}`))
	eventtest.Hot(t, openai.NewDecoder, []string{delta(`{"content":"<reasoning>h</reasoning>One"}`)}, delta(`{"content":" two"}`))
	eventtest.Hot(t, openai.NewDecoder, []string{delta(`{"reasoning_content":"h"}`)}, delta(`{"reasoning_content":"m"}`))
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, openai.NewDecoder, []string{delta(`{"content":"One"}`)}, seeds...)
}
