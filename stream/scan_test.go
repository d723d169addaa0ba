package stream

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

func TestScanConverseDelta(t *testing.T) {
	hot := map[string]delta{
		`{"contentBlockIndex":3,"delta":{"text":"Hi"},"p":"abc"}`:                      {Text, 3, []byte("Hi")},
		`{"delta":{"text":"\u3042 \"x\" \\"},"contentBlockIndex":0}`:                   {Text, 0, []byte(`\u3042 \"x\" \\`)},
		` { "delta" : { "text" : "" } , "contentBlockIndex" : 12 } `:                   {Text, 12, []byte{}},
		`{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}},"p":"abcdef"}`: {ToolInput, 1, []byte(`{\"a\":`)},
	}
	for payload, want := range hot {
		got, ok := scanConverseDelta([]byte(payload))
		if assert.True(t, ok, payload) {
			assert.Equal(t, want.typ, got.typ, payload)
			assert.Equal(t, want.index, got.index, payload)
			assert.Equal(t, string(want.raw), string(got.raw), payload)
		}
	}
	for _, payload := range []string{
		``, `{`, `{}`, `[]`, `{"delta":{}}`, `{"delta":{"text":1}}`, `{"delta":{"text":"a"}`, `{"delta":{"text":"a"}}x`,
		`{"delta":{"text":"a"},}`, `{"delta":{"text":"a","other":"b"}}`, `{"delta":{"text":"a","text":"b"}}`,
		`{"delta":{"text":"a"},"contentBlockIndex":-1}`, `{"delta":{"text":"a"},"contentBlockIndex":01}`,
		`{"delta":{"text":"a"},"contentBlockIndex":99999999999}`, `{"delta":{"text":"a"},"new":true}`,
		`{"delta":{"reasoningContent":{"text":"a"}}}`, `{"delta":{"text":"a"},"delta":{"text":"b"}}`,
	} {
		_, ok := scanConverseDelta([]byte(payload))
		assert.False(t, ok, payload)
	}
}

// What the scanner takes, encoding/json reads the same way.
func FuzzScanConverseDelta(f *testing.F) {
	f.Add([]byte(`{"contentBlockIndex":0,"delta":{"text":"Hello \u3042\n"},"p":"abc"}`))
	f.Add([]byte(`{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}}}`))
	f.Add([]byte(`{"delta":{"text":"\ud83d\ude00"},"contentBlockIndex":7}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, ok := scanConverseDelta(payload)
		if !ok {
			return
		}
		text, ok := jsonscan.AppendString(nil, d.raw)
		if !ok {
			return
		}
		var v struct {
			ContentBlockIndex int             `json:"contentBlockIndex"`
			Delta             json.RawMessage `json:"delta"`
		}
		if err := json.Unmarshal(payload, &v); err != nil {
			// A string that nobody looks at, such as the padding, is not
			// unescaped; it can only be wrong there.
			return
		}
		var inner struct {
			Text    string                  `json:"text"`
			ToolUse struct{ Input *string } `json:"toolUse"`
		}
		require.NoError(t, json.Unmarshal(v.Delta, &inner))
		want := inner.Text
		if d.typ == ToolInput {
			want = *inner.ToolUse.Input
		}
		assert.Equal(t, want, string(text))
		assert.Equal(t, v.ContentBlockIndex, d.index)
	})
}

func FuzzScanAnthropicDelta(f *testing.F) {
	f.Add([]byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`))
	f.Add([]byte(`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`))
	f.Add([]byte(`{"type":"content_block_delta","index":2,"delta":{"type":"thinking_delta","thinking":"hm"}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		d, ok := scanAnthropicDelta(event)
		if !ok {
			return
		}
		text, ok := jsonscan.AppendString(nil, d.raw)
		if !ok {
			return
		}
		var v struct {
			Index int `json:"index"`
			Delta struct {
				Text        string `json:"text"`
				PartialJSON string `json:"partial_json"`
				Thinking    string `json:"thinking"`
			} `json:"delta"`
		}
		if err := json.Unmarshal(event, &v); err != nil {
			t.Fatalf("taken, but %v: %s", err, event)
		}
		assert.Equal(t, map[EventType]string{Text: v.Delta.Text, ToolInput: v.Delta.PartialJSON, Reasoning: v.Delta.Thinking}[d.typ], string(text))
		assert.Equal(t, v.Index, d.index)
	})
}

// Whatever the payload, a decoder gives an error or events, and never panics.
func FuzzDecoders(f *testing.F) {
	f.Add("contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s"}}}`))
	f.Add("contentBlockStart", []byte(`{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}`))
	f.Add("messageStop", []byte(`{"stopReason":"end_turn"}`))
	f.Add("metadata", []byte(`{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":4}}`))
	f.Add("chunk", []byte(`{"type":"message_start","message":{"usage":{"input_tokens":3}}}`))
	f.Add("chunk", []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`))
	f.Add("chunk", []byte(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}`))
	for _, tt := range familyTests {
		for _, event := range tt.events {
			f.Add("chunk", []byte(event))
		}
	}
	f.Fuzz(func(t *testing.T, eventType string, payload []byte) {
		chunk := payload
		if eventType == "chunk" {
			chunk = []byte(`{"bytes":"` + base64.StdEncoding.EncodeToString(payload) + `"}`)
		}
		decoders := []decoder{converseDecoder{}, Anthropic.new()}
		for _, tt := range familyTests {
			decoders = append(decoders, tt.dec.new())
		}
		for i, dec := range decoders {
			s := &Stream{call: &bedrockx.Call{}, dec: dec}
			if i > 0 {
				payload = chunk
			}
			if err := dec.decode(s, []byte(eventType), payload); err != nil {
				continue
			}
			if _, err := json.Marshal(s.acc.result()); err != nil {
				t.Fatalf("%v", err)
			}
			for _, ev := range s.pending {
				if _, err := json.Marshal(ev); err != nil {
					t.Fatalf("%+v: %v", ev, err)
				}
			}
		}
	})
}
