package mistral_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"text": {[]string{
		`{"outputs":[{"text":"One","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":null}]}`,
		`{"outputs":[{"text":" two","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":"stop"}],` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  two", "0 block_stop", "message_stop end_turn", "metadata 7 3 0 0"}},
	"chat": {[]string{
		`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""},"stop_reason":null}]}`,
		`{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"One"}]},"stop_reason":null}]}`,
		`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":" two","tool_calls":null},"stop_reason":null}]}`,
		`{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":{"x":1}}}]},"stop_reason":"tool_calls"}],` + metrics + `}`,
	}, []string{"message_start", `-1 unknown {"type":"thinking","thinking":[]}`, "0 text One", "0 text  two", "1 block_start a f", "1 tool_input {}", "2 block_start b g", `2 tool_input {"x":1}`,
		"0 block_stop", "1 block_stop", "2 block_stop", "message_stop tool_use", "metadata 7 3 0 0"}},
	"as OpenAI says it": {[]string{
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"content":"Hm"},"finish_reason":null,"logprobs":null}],"usage":null}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"null","function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}`,
	}, []string{"message_start", "1 block_start a f", "0 text Hm", `1 tool_input {"x"`, `1 tool_input :1}`, "0 block_stop", "1 block_stop", "message_stop tool_use", "metadata 7 3 0 0"}},
	"the stop reason before the metrics": {[]string{
		`{"outputs":[{"text":"One","stop_reason":null}]}`,
		`{"outputs":[{"text":" two","stop_reason":null}]}`,
		`{"outputs":[{"text":" three","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":"stop"}]}`, `{` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  two", "0 text  three", "0 block_stop", "message_stop end_turn", "metadata 7 3 0 0"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, mistral.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`{"outputs":5}`, `{"choices":[{"delta":{"content":5}}]}`, `{"choices":[{"delta":{"content":[5]}}]}`, `{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"\x"}}]}}]}`} {
		_, err := eventtest.Events(mistral.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, mistral.NewDecoder, []string{`{"outputs":[{"text":""}]}`},
		`{"outputs":[{"text":" two","stop_reason":null}]}`)
	eventtest.Hot(t, mistral.NewDecoder, []string{`{"outputs":[{"text":""}]}`},
		`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":" two","tool_calls":null},"stop_reason":null}]}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, mistral.NewDecoder, []string{`{"outputs":[{"text":""}]}`}, seeds...)
}
