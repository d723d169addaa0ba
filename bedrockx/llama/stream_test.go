package llama_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"Llama": {[]string{
		`{"generation":"","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"generation":"One","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":3,"stop_reason":null}`,
		`{"generation":"","prompt_token_count":null,"generation_token_count":4,"stop_reason":"length",` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  two", "0 block_stop", "message_stop max_tokens", "metadata 7 3 0 0"}},
	"Llama without metrics": {[]string{
		`{"generation":"One","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"unheard":"of"}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":"","prompt_token_count":null,"generation_token_count":4,"stop_reason":"stop"}`,
	}, []string{"message_start", "0 text One", `-1 unknown {"unheard":"of"}`, "0 text  two", "0 block_stop", "message_stop end_turn", "metadata 7 4 0 0"}},
	"a guardrail": {[]string{
		`{"generation":"One","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":" three","prompt_token_count":null,"generation_token_count":3,"stop_reason":null}`,
		`{"generation":"No.","generation_token_count":4,"stop_reason":"stop","amazon-bedrock-guardrailAction":"INTERVENED"}`,
	}, []string{"message_start", "0 text One", "0 text  two", "0 text  three", "0 text No.", "0 block_stop", "message_stop guardrail_intervened", "metadata 7 4 0 0"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, llama.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`{"generation":5}`, ``} {
		_, err := eventtest.Events(llama.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, llama.NewDecoder, []string{`{"generation":"","prompt_token_count":7}`},
		`{"generation":" two","prompt_token_count":null,"generation_token_count":3,"stop_reason":null}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, llama.NewDecoder, []string{`{"generation":""}`}, seeds...)
}
