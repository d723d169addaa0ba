package stream

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

const metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"invocationLatency":900,"firstByteLatency":200}`

// familyTests have streams as the families of InvokeModel send them, the third
// event being one that comes for every token.
var familyTests = []struct {
	name   string
	dec    Decoder
	events []string
	want   []string
}{
	{"Nova", Nova, []string{
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
	}, []string{"MessageStart", "0 Reasoning hm", "1 Text One ", "1 Text あ", "2 BlockStart t n", `2 ToolInput {"a":1}`, "2 BlockStop",
		`-1 Unknown {"somethingNew":{"a":1}}`, "MessageStop tool_use", "Metadata 7 3 2 1"}},
	{"Llama", Llama, []string{
		`{"generation":"","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"generation":"One","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":3,"stop_reason":null}`,
		`{"generation":"","prompt_token_count":null,"generation_token_count":4,"stop_reason":"length",` + metrics + `}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", "0 BlockStop", "MessageStop max_tokens", "Metadata 7 3 0 0"}},
	{"Llama without metrics", Llama, []string{
		`{"generation":"One","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"unheard":"of"}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":"","prompt_token_count":null,"generation_token_count":4,"stop_reason":"stop"}`,
	}, []string{"MessageStart", "0 Text One", `-1 Unknown {"unheard":"of"}`, "0 Text  two", "0 BlockStop", "MessageStop end_turn", "Metadata 7 4 0 0"}},
	{"Titan", Titan, []string{
		`{"outputText":"One","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":7}`,
		`{"outputText":"","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
		`{"outputText":" two","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":null}`,
		`{"outputText":" three","index":0,"totalOutputTextTokenCount":9,"completionReason":"FINISH","inputTextTokenCount":null,` + metrics + `}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", "0 Text  three", "0 BlockStop", "MessageStop end_turn", "Metadata 7 3 0 0"}},
	{"Mistral, text", Mistral, []string{
		`{"outputs":[{"text":"One","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":null}]}`,
		`{"outputs":[{"text":" two","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":"stop"}],` + metrics + `}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", "0 BlockStop", "MessageStop end_turn", "Metadata 7 3 0 0"}},
	{"Mistral, chat", Mistral, []string{
		`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""},"stop_reason":null}]}`,
		`{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"One"}]},"stop_reason":null}]}`,
		`{"id":"i","object":"chat.completion.chunk","created":1732000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":" two","tool_calls":null},"stop_reason":null}]}`,
		`{"id":"i","choices":[{"index":0,"message":{"role":"assistant","content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":{"x":1}}}]},"stop_reason":"tool_calls"}],` + metrics + `}`,
	}, []string{"MessageStart", `-1 Unknown {"type":"thinking","thinking":[]}`, "0 Text One", "0 Text  two", "1 BlockStart a f", "1 ToolInput {}", "2 BlockStart b g", `2 ToolInput {"x":1}`,
		"0 BlockStop", "1 BlockStop", "2 BlockStop", "MessageStop tool_use", "Metadata 7 3 0 0"}},
	{"Mistral, as OpenAI says it", Mistral, []string{
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"content":"Hm"},"finish_reason":null,"logprobs":null}],"usage":null}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"null","function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}`,
	}, []string{"MessageStart", "1 BlockStart a f", "0 Text Hm", `1 ToolInput {"x"`, `1 ToolInput :1}`, "0 BlockStop", "1 BlockStop", "MessageStop tool_use", "Metadata 7 3 0 0"}},
	{"Cohere", Cohere, []string{
		`{"event_type":"stream-start","is_finished":false,"generation_id":"g"}`,
		`{"event_type":"text-generation","is_finished":false,"text":"One"}`,
		`{"event_type":"text-generation","is_finished":false,"text":" two"}`,
		`{"event_type":"citation-generation","is_finished":false,"citations":[{"start":0}]}`,
		`{"event_type":"search-results","is_finished":false,"documents":[]}`,
		`{"event_type":"tool-calls-generation","is_finished":false,"tool_calls":[{"name":"f","parameters":{"x":1}}]}`,
		`{"event_type":"stream-end","is_finished":true,"finish_reason":"COMPLETE","response":{"text":"One two"},` + metrics + `}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", `0 Citation {"start":0}`, `-1 Unknown {"event_type":"search-results","is_finished":false,"documents":[]}`,
		"1 BlockStart  f", `1 ToolInput {"x":1}`, "0 BlockStop", "1 BlockStop", "MessageStop tool_use", "Metadata 7 3 0 0"}},
	{"a guardrail", Llama, []string{
		`{"generation":"One","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}`,
		`{"generation":" two","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}`,
		`{"generation":" three","prompt_token_count":null,"generation_token_count":3,"stop_reason":null}`,
		`{"generation":"No.","generation_token_count":4,"stop_reason":"stop","amazon-bedrock-guardrailAction":"INTERVENED"}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", "0 Text  three", "0 Text No.", "0 BlockStop", "MessageStop guardrail_intervened", "Metadata 7 4 0 0"}},
	{"the stop reason before the metrics", Mistral, []string{
		`{"outputs":[{"text":"One","stop_reason":null}]}`,
		`{"outputs":[{"text":" two","stop_reason":null}]}`,
		`{"outputs":[{"text":" three","stop_reason":null}]}`,
		`{"outputs":[{"text":"","stop_reason":"stop"}]}`, `{` + metrics + `}`,
	}, []string{"MessageStart", "0 Text One", "0 Text  two", "0 Text  three", "0 BlockStop", "MessageStop end_turn", "Metadata 7 3 0 0"}},
}

func chunkOf(event string) []byte {
	return fmt.Appendf(nil, `{"bytes":%q,"p":"abc"}`, base64.StdEncoding.EncodeToString([]byte(event)))
}

func line(ev Event) string {
	switch ev.Type {
	case MessageStart:
		return "MessageStart"
	case MessageStop:
		return "MessageStop " + string(ev.StopReason)
	case Metadata:
		u := ev.Usage
		return fmt.Sprintf("Metadata %d %d %d %d", u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens)
	case BlockStart:
		return fmt.Sprintf("%d BlockStart %s %s", ev.Index, ev.ToolUseID, ev.ToolName)
	case BlockStop:
		return fmt.Sprintf("%d BlockStop", ev.Index)
	}
	return fmt.Sprintf("%d %s %s", ev.Index, ev.Type, ev.Text+string(ev.Raw))
}

func TestFamilies(t *testing.T) {
	for _, tt := range familyTests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Stream{call: &bedrockx.Call{}, dec: tt.dec.new()}
			for _, event := range tt.events {
				require.NoError(t, s.dec.decode(s, []byte("chunk"), chunkOf(event)), event)
			}
			var lines []string
			for _, ev := range s.pending {
				lines = append(lines, line(ev))
			}
			assert.Equal(t, tt.want, lines)
			assert.True(t, s.acc.stopped && s.acc.metered)
		})
	}
}

// What comes for every token takes no allocation of its own.
func TestFamiliesAreScanned(t *testing.T) {
	for _, tt := range familyTests {
		fam := tt.dec.new().(*chunkDecoder).family
		s := &Stream{call: &bedrockx.Call{}}
		for _, event := range tt.events[:2] {
			require.NoError(t, fam.event(s, []byte(event)))
		}
		event := []byte(tt.events[2])
		d, ok := fam.scan(event)
		if !assert.True(t, ok, "%s: %s", tt.name, event) {
			continue
		}
		assert.Equal(t, Text, d.typ)
		assert.NotEmpty(t, d.raw)
		assert.Zero(t, testing.AllocsPerRun(10, func() { fam.scan(event) }), tt.name)
	}
}

func TestFamiliesRefuse(t *testing.T) {
	for _, tt := range []struct {
		dec   Decoder
		event string
	}{
		{Nova, `[]`}, {Nova, `{"messageStop":{}}`}, {Nova, `{"metadata":{"usage":5}}`},
		{Llama, `{"generation":5}`}, {Titan, `{"outputText":[]}`},
		{Mistral, `{"outputs":5}`}, {Mistral, `{"choices":[{"delta":{"content":5}}]}`}, {Mistral, `{"choices":[{"delta":{"content":[5]}}]}`},
		{Mistral, `{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"\x"}}]}}]}`},
		{Cohere, `{"event_type":5}`}, {Llama, ``}, {Cohere, `x`},
	} {
		s := &Stream{call: &bedrockx.Call{}, dec: tt.dec.new()}
		assert.ErrorIs(t, s.dec.decode(s, []byte("chunk"), chunkOf(tt.event)), errFrame, tt.event)
	}
	// A piece after the end is no part of the answer.
	s := &Stream{call: &bedrockx.Call{}, dec: Llama.new()}
	require.NoError(t, s.dec.decode(s, []byte("chunk"), chunkOf(`{"generation":"x","stop_reason":"stop"}`)))
	assert.ErrorIs(t, s.dec.decode(s, []byte("chunk"), chunkOf(`{"generation":"y","stop_reason":null}`)), errFrame)
	assert.False(t, s.acc.metered)
	assert.Equal(t, bedrockkit.StopEndTurn, s.call.StopReason)
}

// fuzzScan holds what a family's scan takes against encoding/json: both give
// the same text.
func fuzzScan(f *testing.F, dec Decoder) {
	begun := map[string]bool{}
	for _, tt := range familyTests {
		for _, event := range tt.events {
			if !begun[event] {
				f.Add([]byte(event))
			}
			begun[event] = true
		}
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		start := func() (family, *Stream) {
			fam, s := dec.new().(*chunkDecoder).family, &Stream{call: &bedrockx.Call{}}
			if c, ok := fam.(interface{ begin(*Stream) error }); ok {
				require.NoError(t, c.begin(s))
				s.pending = nil
			}
			return fam, s
		}
		fam, s := start()
		d, ok := fam.scan(event)
		if !ok || !s.addRaw(d) {
			return
		}
		other, by := start()
		require.NoError(t, other.event(by, event), "taken: %s", event)
		if len(by.pending) == 0 {
			// encoding/json gives no event for an empty piece.
			require.Empty(t, s.pending[0].Text)
			return
		}
		a, err := json.Marshal(s.pending)
		require.NoError(t, err)
		b, err := json.Marshal(by.pending)
		require.NoError(t, err)
		assert.Equal(t, string(b), string(a))
	})
}

func FuzzScanNova(f *testing.F)    { fuzzScan(f, Nova) }
func FuzzScanLlama(f *testing.F)   { fuzzScan(f, Llama) }
func FuzzScanTitan(f *testing.F)   { fuzzScan(f, Titan) }
func FuzzScanMistral(f *testing.F) { fuzzScan(f, Mistral) }
func FuzzScanCohere(f *testing.F)  { fuzzScan(f, Cohere) }
