package converse

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

func TestHistoryRoundTrip(t *testing.T) {
	history := []Message{
		{RoleUser, Contents{
			Text("ワンピース <b>&</b> \"quoted\"\n\u2028 \\ \x01"),
			Image{Format: "png", Bytes: []byte{0, 1, 0xFF}},
			Document{Format: "pdf", Name: "list (1)", Bytes: []byte("%PDF")},
			Document{Format: "txt", Name: "far", S3URI: "s3://bucket/key"},
			CachePoint{TTL: "1h"},
		}},
		{RoleAssistant, Contents{
			Reasoning{Text: "hm <&>", Signature: "EqMBCkYIBRgCKkA/+=="},
			Redacted{0xDE, 0xAD},
			Text("Let me look."),
			ToolUse{ID: "tooluse_1", Name: "search", Input: json.RawMessage(`{"n":12345678901234567890,"f":1e400,"s":"\u3042"}`)},
			ToolUse{ID: "tooluse_2", Name: "none", Input: json.RawMessage(`{}`)},
		}},
		{RoleUser, Contents{
			ToolResult{ToolUseID: "tooluse_1", Content: Contents{JSON(`{"a":[1,2.50]}`), Text("two")}, Status: ToolSuccess},
			ToolResult{ToolUseID: "tooluse_2", Content: Contents{Text("broken")}, Status: ToolError},
			Raw(`{"futureBlock":{"x":[1,{"y":null}]}}`),
		}},
	}
	first, err := json.Marshal(history)
	require.NoError(t, err)
	var again []Message
	require.NoError(t, json.Unmarshal(first, &again))
	second, err := json.Marshal(again)
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
	assert.Equal(t, history[0], again[0])
	assert.Equal(t, history[1].Content[0], again[1].Content[0], "the signature, byte for byte")
	assert.Equal(t, history[1].Content[1], again[1].Content[1])
	assert.Contains(t, string(second), `12345678901234567890`)
	assert.Contains(t, string(second), `1e400`)
	assert.Equal(t, history[2], again[2])
}

// What the service may send and this version does not know is kept as it is.
func TestUnknownContentIsKept(t *testing.T) {
	for _, block := range []string{
		`{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://b/k"}}}}`,
		`{"text":"a","citations":[1]}`,
		`{"image":{"format":"png","source":{"bytes":"AA=="},"new":1}}`,
		`{"image":{"format":"png","source":{}}}`,
		`{"image":{"format":"png","source":{"s3Location":{"uri":"s3://b/k","bucketOwner":"1"}}}}`,
		`{"reasoningContent":{"other":1}}`,
		`{"cachePoint":{"type":"other"}}`,
		`{"guardContent":{"text":{"text":"x"}}}`,
		`{}`,
		`{"text":null}`,
		`{"text":"a","cachePoint":{"type":"default"}}`,
		`{"Text":"a"}`,
		`{"json":[1]}`,
		`{"toolUse":{"toolUseId":"1","name":"n","input":[1]}}`,
		`{"toolUse":{"toolUseId":"1","name":"n","type":"server_tool_use","input":{}}}`,
		`{"reasoningContent":{"reasoningText":{"text":"t"},"redactedContent":"AA=="}}`,
	} {
		c, err := decodeContent(json.RawMessage(block))
		require.NoError(t, err, block)
		raw, ok := c.(Raw)
		require.True(t, ok, "%s is %T", block, c)
		assert.Equal(t, block, string(raw))
		out, err := c.appendJSON(nil)
		require.NoError(t, err)
		assert.Equal(t, block, string(out))
	}
	for _, block := range []string{``, `1`, `"text"`, `null`, `[]`, `{"text":`} {
		_, err := decodeContent(json.RawMessage(block))
		assert.Error(t, err, block)
	}
}

func TestBadContentIsRefused(t *testing.T) {
	for name, m := range map[string]Message{
		"nil":                  {RoleUser, Contents{nil}},
		"tool input no object": {RoleAssistant, Contents{ToolUse{ID: "1", Name: "n", Input: json.RawMessage(`[1]`)}}},
		"tool input broken":    {RoleAssistant, Contents{ToolUse{ID: "1", Name: "n", Input: json.RawMessage(`{"a":`)}}},
		"result no object":     {RoleUser, Contents{ToolResult{ToolUseID: "1", Content: Contents{JSON(`1`)}}}},
		"raw broken":           {RoleUser, Contents{Raw(`{`)}},
	} {
		_, err := json.Marshal(m)
		assert.Error(t, err, name)
	}
}

func TestAppendStringIsJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "日本語😀", "\x00\x1f\"\\/\b\f\n\r\t", "bad \xff utf8 \xe3\x81", "<>&\u2028"} {
		quoted := appendString(nil, s)
		var got string
		require.NoError(t, json.Unmarshal(quoted, &got), "%q", quoted)
		want, err := json.Marshal(s)
		require.NoError(t, err)
		var same string
		require.NoError(t, json.Unmarshal(want, &same))
		assert.Equal(t, same, got)
	}
}

func FuzzMessageRoundTrip(f *testing.F) {
	f.Add([]byte(`{"role":"user","content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"AA=="}}}]}`))
	f.Add([]byte(`{"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"n","input":{"a":1e400}}}]}`))
	f.Add([]byte(`{"role":"user","content":[{"toolResult":{"toolUseId":"1","content":[{"json":{}}],"status":"error"}}]}`))
	f.Add([]byte(`{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"t","signature":"s"}}},{"cachePoint":{"type":"default","ttl":"1h"}}]}`))
	f.Add([]byte(`{"role":"assistant","content":[{"reasoningContent":{"redactedContent":"AA=="}},{"new":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		if json.Unmarshal(data, &m) != nil {
			return
		}
		first, err := json.Marshal(m)
		if err != nil {
			return // a tool input that is no object
		}
		var again Message
		require.NoError(t, json.Unmarshal(first, &again), "%s", first)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second))
	})
}

// A model that calls a tool without arguments may send nothing at all.
func TestToolUseWithoutInput(t *testing.T) {
	for _, input := range []string{`null`, `""`, `{}`} {
		var m Message
		require.NoError(t, json.Unmarshal([]byte(`{"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"n","input":`+input+`}}]}`), &m))
		again, err := json.Marshal(m)
		require.NoError(t, err)
		assert.Contains(t, string(again), `"input":{}`)
	}
}

func TestMockOutput(t *testing.T) {
	raw, err := fromSDK(nil)
	assert.ErrorIs(t, err, bedrockx.ErrEmpty)
	assert.Nil(t, raw)
	raw, err = fromSDK(&bedrockruntime.ConverseOutput{
		StopReason:                    types.StopReasonEndTurn,
		AdditionalModelResponseFields: document.NewLazyDocument(map[string]any{"stop_sequence": "x"}),
		Output: &types.ConverseOutputMemberMessage{Value: types.Message{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{
			&types.ContentBlockMemberCitationsContent{Value: types.CitationsContentBlock{Content: []types.CitationGeneratedContent{
				&types.CitationGeneratedContentMemberText{Value: "the whole answer"}}}},
			&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("n"), Input: document.NewLazyDocument(map[string]any{"a": 1})}},
			&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("n"), Input: document.NewLazyDocument(map[string]any{"a": 1})}},
			&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("2"), Name: aws.String("n"), Type: types.ToolUseTypeServerToolUse}},
			nil,
		}}},
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"output":{"message":{"role":"assistant","content":[{"text":"the whole answer"},{"toolUse":{"toolUseId":"1","name":"n","input":{"a":1}}}]}},
		"stopReason":"end_turn","additionalModelResponseFields":{"stop_sequence":"x"}}`, string(raw))
}
