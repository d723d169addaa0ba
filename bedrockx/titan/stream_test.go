package titan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/event/eventtest"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// streams are answers as the service sends them.
var streams = map[string]struct{ chunks, want []string }{
	"Titan": {[]string{
		`{"outputText":"One","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":7}`,
		`{"outputText":"","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
		`{"outputText":" two","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
		`{"outputText":" three","index":0,"totalOutputTextTokenCount":9,"completionReason":"FINISH","inputTextTokenCount":null,` + metrics + `}`,
	}, []string{"message_start", "0 text One", "0 text  two", "0 text  three", "0 block_stop", "message_stop end_turn", "metadata 7 3 0 0"}},
}

func TestDecoder(t *testing.T) {
	for name, tt := range streams {
		t.Run(name, func(t *testing.T) { eventtest.Run(t, titan.NewDecoder, tt.chunks, tt.want) })
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, chunk := range []string{`{"outputText":[]}`} {
		_, err := eventtest.Events(titan.NewDecoder(), true, chunk)
		assert.Error(t, err, chunk)
	}
}

func TestDecoderIsQuick(t *testing.T) {
	eventtest.Hot(t, titan.NewDecoder, []string{`{"outputText":"","inputTextTokenCount":7}`},
		`{"outputText":" two","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`)
}

func FuzzDecoder(f *testing.F) {
	var seeds []string
	for _, tt := range streams {
		seeds = append(seeds, tt.chunks...)
	}
	eventtest.Fuzz(f, titan.NewDecoder, []string{`{"outputText":""}`}, seeds...)
}
