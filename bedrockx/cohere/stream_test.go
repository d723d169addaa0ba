package cohere_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"Cohere": {[]string{
		`{"event_type":"stream-start","is_finished":false,"generation_id":"g"}`,
		`{"event_type":"text-generation","is_finished":false,"text":"One"}`,
		`{"event_type":"text-generation","is_finished":false,"text":" two"}`,
		`{"event_type":"citation-generation","is_finished":false,"citations":[{"start":0}]}`,
		`{"event_type":"search-results","is_finished":false,"documents":[]}`,
		`{"event_type":"tool-calls-generation","is_finished":false,"tool_calls":[{"name":"f","parameters":{"x":1}}]}`,
		`{"event_type":"stream-end","is_finished":true,"finish_reason":"COMPLETE","response":{"text":"One two"},` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  two", `0 citation {"start":0}`, `-1 unknown {"event_type":"search-results","is_finished":false,"documents":[]}`,
		"1 block_start  f", `1 tool_input {"x":1}`, "0 block_stop", "1 block_stop", "message_stop tool_use", "metadata 7 3 0 0"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, cohere.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`{"event_type":5}`, `x`} {
		_, err := eventtest.Events(cohere.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, cohere.NewDecoder, []string{`{"event_type":"stream-start"}`},
		`{"event_type":"text-generation","is_finished":false,"text":" two"}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, cohere.NewDecoder, []string{`{"event_type":"stream-start"}`}, seeds...)
}
