package stream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/stream"
)

// FuzzAgainstSDK reads the same bytes with the SDK's decoder and with ours.
// They are streams of the events that the SDK knows, one stream at a time,
// whole and not cut: where the SDK is right.
func FuzzAgainstSDK(f *testing.F) {
	f.Add(uint64(1), "Hello")
	f.Add(uint64(2), "日本\n\"\\ 😀\u2028")
	f.Add(uint64(3), "")
	f.Add(uint64(4), `{"a":1}`)
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		if !utf8.ValidString(text) || len(text) > 1000 {
			return
		}
		body := randomStream(rand.New(rand.NewPCG(seed, 0)), text)
		theirs := readWithSDK(t, body)
		ours := readWithOurs(t, body)
		require.Equal(t, theirs, ours)
	})
}

// randomStream is a valid ConverseStream response of any shape.
func randomStream(r *rand.Rand, text string) canned {
	var b []byte
	event := func(name string, payload map[string]any) {
		if r.IntN(2) == 0 {
			payload["p"] = "abcdefghijklmnopqrstuvwxyz"[:r.IntN(27)]
		}
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(r.IntN(2) == 0)
		if err := enc.Encode(payload); err != nil {
			panic(err)
		}
		data := bytes.TrimSpace(buf.Bytes())
		if r.IntN(4) == 0 {
			var spaced bytes.Buffer
			json.Indent(&spaced, data, "", " ")
			data = spaced.Bytes()
		}
		b = eventstream.AppendEvent(b, name, data)
	}
	piece := func() string {
		runes := []rune(text)
		i := r.IntN(len(runes) + 1)
		return string(runes[i:min(len(runes), i+r.IntN(20))])
	}
	event("messageStart", map[string]any{"role": "assistant"})
	for index := range r.IntN(5) {
		at := func(fields map[string]any) map[string]any {
			fields["contentBlockIndex"] = index
			return fields
		}
		delta := func(d map[string]any) { event("contentBlockDelta", at(map[string]any{"delta": d})) }
		switch r.IntN(4) {
		case 0:
			for range r.IntN(6) {
				delta(map[string]any{"text": piece()})
			}
		case 1:
			event("contentBlockStart", at(map[string]any{"start": map[string]any{"toolUse": map[string]any{"toolUseId": fmt.Sprint("id-", index), "name": "tool"}}}))
			for range r.IntN(6) {
				delta(map[string]any{"toolUse": map[string]any{"input": piece()}})
			}
		case 2:
			for range r.IntN(6) {
				delta(map[string]any{"reasoningContent": map[string]any{"text": piece()}})
			}
			delta(map[string]any{"reasoningContent": map[string]any{"signature": "c2ln"}})
		case 3:
			delta(map[string]any{"reasoningContent": map[string]any{"redactedContent": []byte(piece())}})
		}
		event("contentBlockStop", at(map[string]any{}))
	}
	reasons := []string{"end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered", "a_new_reason"}
	event("messageStop", map[string]any{"stopReason": reasons[r.IntN(len(reasons))]})
	event("metadata", map[string]any{
		"usage":   map[string]any{"inputTokens": r.IntN(1000), "outputTokens": r.IntN(1000), "totalTokens": 7, "cacheReadInputTokens": r.IntN(10), "cacheWriteInputTokens": r.IntN(10)},
		"metrics": map[string]any{"latencyMs": r.IntN(1000)},
	})
	return b
}

func readWithSDK(t *testing.T, body canned) (lines []string) {
	out, err := body.client().ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")})
	require.NoError(t, err)
	s := out.GetStream()
	defer s.Close()
	note := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for ev := range s.Events() {
		switch ev := ev.(type) {
		case *types.ConverseStreamOutputMemberMessageStart:
			note("start")
		case *types.ConverseStreamOutputMemberContentBlockStart:
			tool := ev.Value.Start.(*types.ContentBlockStartMemberToolUse).Value
			note("%d tool %s %s", *ev.Value.ContentBlockIndex, *tool.ToolUseId, *tool.Name)
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			index := *ev.Value.ContentBlockIndex
			switch d := ev.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				note("%d text %q", index, d.Value)
			case *types.ContentBlockDeltaMemberToolUse:
				note("%d input %q", index, *d.Value.Input)
			case *types.ContentBlockDeltaMemberReasoningContent:
				switch r := d.Value.(type) {
				case *types.ReasoningContentBlockDeltaMemberText:
					note("%d reasoning %q", index, r.Value)
				case *types.ReasoningContentBlockDeltaMemberSignature:
					note("%d signature %q", index, r.Value)
				case *types.ReasoningContentBlockDeltaMemberRedactedContent:
					note("%d redacted %q", index, r.Value)
				}
			}
		case *types.ConverseStreamOutputMemberContentBlockStop:
			note("%d stop", *ev.Value.ContentBlockIndex)
		case *types.ConverseStreamOutputMemberMessageStop:
			note("end %s", ev.Value.StopReason)
		case *types.ConverseStreamOutputMemberMetadata:
			u := ev.Value.Usage
			note("usage %d %d %d %d", *u.InputTokens, *u.OutputTokens, *u.CacheReadInputTokens, *u.CacheWriteInputTokens)
		}
	}
	require.NoError(t, s.Err())
	return lines
}

func readWithOurs(t *testing.T, body canned) (lines []string) {
	s, err := stream.Converse(t.Context(), bedrockx.New(body.client()), &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")})
	require.NoError(t, err)
	note := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for ev, err := range s.Events() {
		require.NoError(t, err)
		switch ev.Type {
		case stream.MessageStart:
			note("start")
		case stream.BlockStart:
			note("%d tool %s %s", ev.Index, ev.ToolUseID, ev.ToolName)
		case stream.Text:
			note("%d text %q", ev.Index, ev.Text)
		case stream.ToolInput:
			note("%d input %q", ev.Index, ev.Text)
		case stream.Reasoning:
			note("%d reasoning %q", ev.Index, ev.Text)
		case stream.Signature:
			note("%d signature %q", ev.Index, ev.Text)
		case stream.Redacted:
			var data []byte
			require.NoError(t, json.Unmarshal(ev.Raw, &data))
			note("%d redacted %q", ev.Index, data)
		case stream.BlockStop:
			note("%d stop", ev.Index)
		case stream.MessageStop:
			note("end %s", ev.StopReason)
		case stream.Metadata:
			u := *ev.Usage
			note("usage %d %d %d %d", u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens)
		}
	}
	return lines
}
