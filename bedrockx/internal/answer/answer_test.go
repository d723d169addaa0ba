package answer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// bodies of each family: what is split and joined again is what it was.
var bodies = map[string]struct {
	invoke bool
	body   string
}{
	"converse": {false, `{"output":{"message":{"role":"assistant","content":[
		{"reasoningContent":{"reasoningText":{"text":"hm <b>","signature":"c2ln"}}},{"reasoningContent":{"redactedContent":"ZGF0YQ=="}},
		{"text":"ワンピース & more"},{"citationsContent":{"content":[{"text":"cited"}],"citations":[{"title":"a"},{"title":"b"}]}},
		{"toolUse":{"toolUseId":"t","name":"n","input":{"n":12345678901234567890,"x":[1.50]}}},{"toolUse":{"toolUseId":"u","name":"n","input":{}}}]}},
		"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":7},"new":{"field":1},
		"additionalModelResponseFields":{"a":1},"trace":{"guardrail":{}},"serviceTier":{"type":"flex"}}`},
	"converse, empty": {false, `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn","usage":{}}`},
	"anthropic": {true, `{"id":"m","type":"message","role":"assistant","model":"c","content":[
		{"type":"thinking","thinking":"hm <b>","signature":"c2ln"},{"type":"redacted_thinking","data":"ZGF0YQ=="},
		{"type":"text","text":"ワンピース & more","citations":[{"type":"char_location"},{"type":"page_location"}]},{"type":"text","text":"plain","new":1},
		{"type":"tool_use","id":"t","name":"n","input":{"n":12345678901234567890}},{"type":"hologram","depth":3}],
		"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":0}}}`},
	"nova":    {true, `{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":1}}`},
	"llama":   {true, `{"generation":"hello","prompt_token_count":1,"generation_token_count":2,"stop_reason":"stop"}`},
	"mistral": {true, `{"outputs":[{"text":"hello","stop_reason":"stop"}]}`},
	"titan":   {true, `{"inputTextTokenCount":3,"results":[{"tokenCount":2,"outputText":"hello","completionReason":"FINISH"}]}`},
	"cohere":  {true, `{"response_id":"r","generation_id":"g","text":"hello","finish_reason":"COMPLETE"}`},
}

func joined(t *testing.T, frames []Frame, invoke bool) string {
	var all []byte
	for _, f := range frames {
		all = append(all, f.Bytes...)
	}
	body, err := Join(all, invoke, 0)
	require.NoError(t, err)
	return string(body)
}

func TestThereAndBack(t *testing.T) {
	for name, tt := range bodies {
		for _, piece := range []int{0, 1, 3} {
			t.Run(name, func(t *testing.T) {
				frames, err := Split([]byte(tt.body), tt.invoke, piece)
				require.NoError(t, err)
				body := joined(t, frames, tt.invoke)
				assert.JSONEq(t, tt.body, body)
				if strings.Contains(tt.body, "1234567890") {
					assert.Contains(t, body, "12345678901234567890", "numbers stay what they were")
				}
				for _, f := range frames {
					if piece > 0 {
						assert.LessOrEqual(t, f.Text, piece)
					}
				}
			})
		}
	}
}

// What cannot be said in the other form is an error, and never a part of it.
func TestNoOtherForm(t *testing.T) {
	for name, tt := range map[string]struct {
		invoke bool
		body   string
	}{
		"no JSON":                 {false, `<html>`},
		"no message":              {false, `{}`},
		"a block of another kind": {false, `{"output":{"message":{"role":"assistant","content":[{"hologram":{}}]}},"stopReason":"end_turn"}`},
		"a block of two kinds":    {false, `{"output":{"message":{"role":"assistant","content":[{"text":"a","toolUse":{}}]}},"stopReason":"end_turn"}`},
		"reasoning of new kind":   {false, `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"new":1}}]}},"stopReason":"end_turn"}`},
		"another family":          {true, `{"answer":"hello"}`},
		"an embedding":            {true, `{"embedding":[1],"inputTextTokenCount":1}`},
		"two outputs":             {true, `{"outputs":[{"text":"a"},{"text":"b"}]}`},
		"calls of Cohere":         {true, `{"text":"","finish_reason":"COMPLETE","tool_calls":[{}]}`},
	} {
		_, err := Split([]byte(tt.body), tt.invoke, 0)
		assert.ErrorIs(t, err, ErrForm, name)
	}
	event := func(name, payload string) []byte { return eventstream.AppendEvent(nil, name, []byte(payload)) }
	chunk := func(payload string) []byte {
		data, err := json.Marshal(map[string][]byte{"bytes": []byte(payload)})
		require.NoError(t, err)
		return event("chunk", string(data))
	}
	for name, tt := range map[string]struct {
		invoke bool
		frames [][]byte
	}{
		"nothing":            {false, nil},
		"no frame":           {false, [][]byte{[]byte("rubbish that is no frame")}},
		"exception":          {false, [][]byte{eventstream.AppendException(nil, "throttlingException", []byte(`{}`))}},
		"new event":          {false, [][]byte{event("messageStart", `{"role":"assistant"}`), event("hologram", `{}`)}},
		"new delta":          {false, [][]byte{event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"hologram":1}}`)}},
		"new start":          {false, [][]byte{event("contentBlockStart", `{"contentBlockIndex":0,"start":{"image":{}}}`)}},
		"input without tool": {false, [][]byte{event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}`)}},
		"input that is none": {false, [][]byte{event("contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"name":"n"}}}`), event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{"}}}`)}},
		"no chunk":           {true, [][]byte{event("messageStart", `{}`)}},
		"chat":               {true, [][]byte{chunk(`{"choices":[]}`)}},
		"anthropic delta":    {true, [][]byte{chunk(`{"type":"message_start","message":{}}`), chunk(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`)}},
		"anthropic event":    {true, [][]byte{chunk(`{"type":"message_start","message":{}}`), chunk(`{"type":"hologram"}`)}},
		"cohere cut":         {true, [][]byte{chunk(`{"event_type":"stream-start"}`)}},
	} {
		var all []byte
		for _, f := range tt.frames {
			all = append(all, f...)
		}
		_, err := Join(all, tt.invoke, 0)
		assert.ErrorIs(t, err, ErrForm, name)
	}
}

// What can be split is whole when it is joined again.
func FuzzThereAndBack(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b.body), b.invoke, byte(0))
		f.Add([]byte(b.body), b.invoke, byte(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, invoke bool, piece byte) {
		frames, err := Split(body, invoke, int(piece))
		if err != nil {
			return
		}
		var all []byte
		for _, f := range frames {
			all = append(all, f.Bytes...)
		}
		first, err := Join(all, invoke, 0)
		if err != nil {
			return
		}
		frames, err = Split(first, invoke, 0)
		require.NoError(t, err)
		assert.JSONEq(t, string(first), joined(t, frames, invoke))
	})
}
