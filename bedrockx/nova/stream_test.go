package nova_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"Nova": {[]string{
		`{"messageStart":{"role":"assistant"}}`,
		`{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}}`,
		`{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"text":"One "}}}`,
		`{"contentBlockDelta":{"delta":{"text":"\u3042"},"contentBlockIndex":1}}`,
		`{"contentBlockStart":{"start":{"toolUse":{"toolUseId":"t","name":"n"}},"contentBlockIndex":2}}`,
		`{"contentBlockDelta":{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":1}"}}}}`,
		`{"contentBlockStop":{"contentBlockIndex":2}}`,
		`{"somethingNew":{"a":1}}`,
		`{"messageStop":{"stopReason":"tool_use"}}`,
		`{"metadata":{"usage":{"inputTokens":7,"outputTokens":3,"cacheReadInputTokenCount":2,"cacheWriteInputTokenCount":1},"metrics":{},"trace":{}},` + metrics + `}`,
	}, []string{"message_start", "0 reasoning hm", "1 text One ", "1 text あ", "2 block_start t n", `2 tool_input {"a":1}`, "2 block_stop",
		`-1 unknown {"somethingNew":{"a":1}}`, "message_stop tool_use", "metadata 7 3 2 1"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, nova.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`[]`, `{"messageStop":{}}`, `{"metadata":{"usage":5}}`} {
		_, err := eventtest.Events(nova.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, nova.NewDecoder, []string{`{"messageStart":{"role":"assistant"}}`},
		`{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":" two"}}}`)
	eventtest.Hot(t, nova.NewDecoder, []string{`{"messageStart":{"role":"assistant"}}`},
		`{"contentBlockDelta":{"delta":{"text":"\u3042"},"contentBlockIndex":1}}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, nova.NewDecoder, []string{}, seeds...)
}
