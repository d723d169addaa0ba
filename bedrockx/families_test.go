package bedrockx

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/internal/family"
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
		"context_management":{"applied_edits":[{"type":"x"}]},"amazon-bedrock-trace":{"guardrail":{}},"amazon-bedrock-guardrailAction":"NONE",
		"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":0}}}`},
	"nova":    {true, `{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":1}}`},
	"llama":   {true, `{"generation":"hello","prompt_token_count":1,"generation_token_count":2,"stop_reason":"stop"}`},
	"mistral": {true, `{"outputs":[{"text":"hello","stop_reason":"stop"}]}`},
	"titan":   {true, `{"inputTextTokenCount":3,"results":[{"tokenCount":2,"outputText":"hello","completionReason":"FINISH"}]}`},
	"openai": {true, `{"id":"c","object":"chat.completion","created":1,"model":"m","service_tier":"default","choices":[{"index":0,"message":
		{"role":"assistant","content":"ワンピース & more","refusal":null,"reasoning_content":"hm <b>","tool_calls":[{"id":"t","type":"function","function":{"name":"n","arguments":"{\"n\":12345678901234567890}"}},
		{"id":"u","type":"function","function":{"name":"m","arguments":""}}]},"finish_reason":"tool_calls"}],
		"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"system_fingerprint":null,"new":{"field":1}}`},
	"openai, tools alone": {true, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"n","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`},
	"openai, nothing":     {true, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`},
	"cohere":              {true, `{"response_id":"r","generation_id":"g","text":"hello","finish_reason":"COMPLETE"}`},
}

func opOf(invoke bool) bedrockkit.Operation {
	if invoke {
		return bedrockkit.OpInvokeModelWithResponseStream
	}
	return bedrockkit.OpConverseStream
}

func joined(t *testing.T, frames []family.Frame, invoke bool) string {
	var all []byte
	for _, f := range frames {
		all = append(all, f.Bytes...)
	}
	body, err := join(opOf(invoke), all, 0)
	require.NoError(t, err)
	return string(body)
}

func TestThereAndBack(t *testing.T) {
	for name, tt := range bodies {
		for _, piece := range []int{0, 1, 3} {
			t.Run(name, func(t *testing.T) {
				frames, err := split(opOf(tt.invoke), []byte(tt.body), piece)
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
		"reasoning, more of it":   {false, `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s","encrypted":"KEEP"}}}]}},"stopReason":"end_turn"}`},
		"reasoning of two kinds":  {false, `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm"},"redactedContent":"KEEP"}}]}},"stopReason":"end_turn"}`},
		"more of a message":       {false, `{"output":{"message":{"role":"assistant","id":"KEEP","content":[{"text":"x"}]}},"stopReason":"end_turn"}`},
		"more of citations":       {false, `{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"x"}],"citations":[{}],"sources":["KEEP"]}}]}},"stopReason":"end_turn"}`},
		"two texts with one":      {false, `{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"a"},{"text":"b"}],"citations":[{"title":"t"}]}}]}},"stopReason":"end_turn"}`},
		"no citations":            {false, `{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"a"}],"citations":[]}}]}},"stopReason":"end_turn"}`},
		"a text that is none":     {false, `{"output":{"message":{"role":"assistant","content":[{"text":{"KEEP":1}}]}},"stopReason":"end_turn"}`},
		"Llama's text, likewise":  {true, `{"generation":{"KEEP":1},"stop_reason":"stop"}`},
		"more of Mistral's":       {true, `{"outputs":[{"text":"a","stop_reason":"stop","logprobs":[1]}]}`},
		"another family":          {true, `{"answer":"hello"}`},
		"an embedding":            {true, `{"embedding":[1],"inputTextTokenCount":1}`},
		"two choices":             {true, `{"object":"chat.completion","choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}`},
		"more of a choice":        {true, `{"object":"chat.completion","choices":[{"message":{"content":"a","audio":{"id":"KEEP"}}}]}`},
		"log probabilities":       {true, `{"object":"chat.completion","choices":[{"message":{"content":"a"},"logprobs":{"content":[]}}]}`},
		"more of a call":          {true, `{"object":"chat.completion","choices":[{"message":{"content":"a","tool_calls":[{"id":"t","custom":{},"function":{"name":"n","arguments":""}}]}}]}`},
		"two outputs":             {true, `{"outputs":[{"text":"a"},{"text":"b"}]}`},
		"calls of Cohere":         {true, `{"text":"","finish_reason":"COMPLETE","tool_calls":[{}]}`},
	} {
		_, err := split(opOf(tt.invoke), []byte(tt.body), 0)
		assert.ErrorIs(t, err, family.ErrForm, name)
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
		"more of a delta":    {false, [][]byte{event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"},"new":1}`)}},
		"text of a number":   {false, [][]byte{event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":1}}`)}},
		"two redacted":       {false, [][]byte{event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"YQ=="}}}`), event("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"Yg=="}}}`)}},
		"openai, two things": {true, [][]byte{chunk(`{"object":"chat.completion.chunk","model":"a","choices":[]}`), chunk(`{"object":"chat.completion.chunk","model":"b","choices":[]}`)}},
		"openai, new delta":  {true, [][]byte{chunk(`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"audio":{}}}]}`)}},
		"openai, call 7":     {true, [][]byte{chunk(`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":7}]}}]}`)}},
		"anthropic, more":    {true, [][]byte{chunk(`{"type":"message_start","message":{},"new":1}`)}},
		"anthropic stop":     {true, [][]byte{chunk(`{"type":"message_start","message":{}}`), chunk(`{"type":"message_stop","new":1}`)}},
		"titan, guarded":     {true, [][]byte{chunk(`{"outputText":"a","totalOutputTextTokenCount":1,"completionReason":"FINISH","inputTextTokenCount":1,"amazon-bedrock-guardrailAction":"INTERVENED"}`)}},
		"cohere cut":         {true, [][]byte{chunk(`{"event_type":"stream-start"}`)}},
	} {
		var all []byte
		for _, f := range tt.frames {
			all = append(all, f...)
		}
		_, err := join(opOf(tt.invoke), all, 0)
		assert.ErrorIs(t, err, family.ErrForm, name)
	}
}

// What a form does not know would be left out, so such an answer is given in the
// form that it came in alone.
func TestFaithful(t *testing.T) {
	for name, tt := range bodies {
		assert.True(t, faithful(opOf(tt.invoke), []byte(tt.body)), name)
	}
	message := func(content string) string {
		return `{"output":{"message":{"role":"assistant","content":[` + content + `]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1}}`
	}
	for _, body := range []string{
		message(`{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s","encrypted":"new"}}}`),
		message(`{"citationsContent":{"content":[{"text":"x"}],"citations":[],"sources":["new"]}}`),
		message(`{"reasoningContent":{"reasoningText":{"text":"hm"},"redactedContent":"new"}}`),
		message(`{"text":{"new":1}}`),
		message(`{"citationsContent":{"content":[{"text":"a"},{"text":"b"}],"citations":[{"title":"t"}]}}`),
		`{"output":{"message":{"role":"assistant","id":"new","content":[{"text":"x"}]}},"stopReason":"end_turn"}`,
	} {
		assert.False(t, faithful(bedrockkit.OpConverse, []byte(body)), body)
	}
}

// What a stream says beside its message is in the body, or there is none.
func TestNothingOfAStreamIsLost(t *testing.T) {
	events := func(delta, stop string) (all []byte) {
		for _, ev := range []string{
			`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"usage":{"input_tokens":1}}}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}` + delta + `}`,
			`{"type":"message_stop"` + stop + `}`,
		} {
			data, err := json.Marshal(map[string][]byte{"bytes": []byte(ev)})
			require.NoError(t, err)
			all = eventstream.AppendEvent(all, "chunk", data)
		}
		return all
	}
	body, err := join(bedrockkit.OpInvokeModelWithResponseStream, events(`,"context_management":{"applied_edits":[1]}`, `,"amazon-bedrock-trace":{"guardrail":{}}`), 0)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"context_management":{"applied_edits":[1]}`)
	assert.Contains(t, string(body), `"amazon-bedrock-trace":{"guardrail":{}}`)
	assert.True(t, faithful(bedrockkit.OpInvokeModelWithResponseStream, body))
	_, err = join(bedrockkit.OpInvokeModelWithResponseStream, events(`,"hologram":1`, ""), 0)
	assert.ErrorIs(t, err, family.ErrForm)
	_, err = join(bedrockkit.OpConverseStream, eventstream.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant","hologram":1}`)), 0)
	assert.ErrorIs(t, err, family.ErrForm)
}

// What can be split is whole when it is joined again.
func FuzzThereAndBack(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b.body), b.invoke, byte(0))
		f.Add([]byte(b.body), b.invoke, byte(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, invoke bool, piece byte) {
		frames, err := split(opOf(invoke), body, int(piece))
		if err != nil {
			return
		}
		var all []byte
		for _, f := range frames {
			all = append(all, f.Bytes...)
		}
		first, err := join(opOf(invoke), all, 0)
		if err != nil {
			return
		}
		frames, err = split(opOf(invoke), first, 0)
		require.NoError(t, err)
		assert.JSONEq(t, string(first), joined(t, frames, invoke))
	})
}
