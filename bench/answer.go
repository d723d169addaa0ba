package main

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// Every streamed answer has so many deltas of text, each a token.
const (
	deltas = 500
	model  = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
)

// padding makes a frame as long as Bedrock's are: it pads each event to hide
// the length of its token.
const padding = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func token(i int) string { return fmt.Sprintf(" token%d", i) }

// textBytes is how much text each contestant must find in n deltas.
func textBytes(n int) int {
	sum := 0
	for i := range n {
		sum += len(token(i))
	}
	return sum
}

// toolInput is the input of each call of a tool, in the pieces in which it comes.
var toolInput = []string{`{"ti`, `tle": "One`, ` Piece", "vol`, `ume": 105`, `}`}

// converseFrames are the frames of a ConverseStream with n deltas and then a call of
// check_stock under each of the ids.
func converseFrames(n int, calls ...string) [][]byte {
	var frames [][]byte
	event := func(kind, payload string) {
		frames = append(frames, eventstream.AppendEvent(nil, kind, []byte(payload)))
	}
	event("messageStart", `{"p":"abcdefghij","role":"assistant"}`)
	for i := range n {
		event("contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":0,"delta":{"text":%q},"p":%q}`, token(i), padding[:10+i*7%50]))
	}
	event("contentBlockStop", `{"contentBlockIndex":0,"p":"abc"}`)
	reason := "end_turn"
	for i, id := range calls {
		reason = "tool_use"
		event("contentBlockStart", fmt.Sprintf(`{"contentBlockIndex":%d,"p":"abcd","start":{"toolUse":{"name":"check_stock","toolUseId":%q}}}`, i+1, id))
		for _, piece := range toolInput {
			event("contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":%d,"delta":{"toolUse":{"input":%q}},"p":"abcdefghij"}`, i+1, piece))
		}
		event("contentBlockStop", fmt.Sprintf(`{"contentBlockIndex":%d,"p":"abc"}`, i+1))
	}
	event("messageStop", fmt.Sprintf(`{"p":"abcdef","stopReason":%q}`, reason))
	event("metadata", fmt.Sprintf(`{"metrics":{"latencyMs":500},"p":"abc","usage":{"inputTokens":10,"outputTokens":%d,"totalTokens":%d}}`, n, n+10))
	return frames
}

// invokeFrames are the frames of an InvokeModelWithResponseStream of Anthropic
// with n deltas and such calls.
func invokeFrames(n int, calls ...string) [][]byte {
	var frames [][]byte
	event := func(payload string) {
		chunk := fmt.Sprintf(`{"bytes":%q,"p":%q}`, base64.StdEncoding.EncodeToString([]byte(payload)), padding[:10+len(frames)*7%50])
		frames = append(frames, eventstream.AppendEvent(nil, "chunk", []byte(chunk)))
	}
	event(`{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}`)
	event(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for i := range n {
		event(fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%q}}`, token(i)))
	}
	event(`{"type":"content_block_stop","index":0}`)
	reason := "end_turn"
	for i, id := range calls {
		reason = "tool_use"
		event(fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":%q,"name":"check_stock","input":{}}}`, i+1, id))
		for _, piece := range toolInput {
			event(fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%q}}`, i+1, piece))
		}
		event(fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, i+1))
	}
	event(fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":%d}}`, reason, n))
	event(fmt.Sprintf(`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":%d,"invocationLatency":500,"firstByteLatency":100}}`, n))
	return frames
}

// Unary answers: about 1 KB of text.
var (
	answerText   = strings.Repeat("One Piece follows Luffy and his crew. ", 27)
	converseJSON = fmt.Appendf(nil, `{"metrics":{"latencyMs":500},"output":{"message":{"content":[{"text":%q}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":10,"outputTokens":250,"totalTokens":260}}`, answerText)
	invokeJSON   = fmt.Appendf(nil, `{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":%q}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":250}}`, answerText)
)
