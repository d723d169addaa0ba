package converse_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

func ExampleEncodeRequest() {
	body, err := converse.EncodeRequest(converse.Request{
		Model:     "amazon.nova-lite-v1:0",
		Messages:  []converse.Message{converse.User("Who wrote Berserk?")},
		MaxTokens: 50,
	})
	fmt.Println(string(body), err)
	// Output: {"messages":[{"role":"user","content":[{"text":"Who wrote Berserk?"}]}],"inferenceConfig":{"maxTokens":50}} <nil>
}

func TestEncodeRequestPreflight(t *testing.T) {
	_, err := converse.EncodeRequest(converse.Request{Model: "amazon.nova-lite-v1:0", MaxTokens: 50})
	var problems *converse.PreflightError
	require.ErrorAs(t, err, &problems)
}

// An output format goes out as the service takes it, or not at all.
func TestEncodeRequestClosesTheFormat(t *testing.T) {
	r := converse.Request{Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Messages: []converse.Message{converse.User("q")}, MaxTokens: 50,
		OutputFormat: &converse.OutputFormat{Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}`)}}
	body, err := converse.EncodeRequest(r)
	require.NoError(t, err)
	assert.Contains(t, string(body), `{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"description\":\"(minimum: 1)\"}},\"additionalProperties\":false}`)
	assert.NotContains(t, string(r.OutputFormat.Schema), "additionalProperties", "the caller's stays as it is")

	r.OutputFormat.Schema = json.RawMessage(`{"type":"object","additionalProperties":{"type":"string"}}`)
	_, err = converse.EncodeRequest(r)
	require.ErrorContains(t, err, "outputConfig.textFormat.structure.jsonSchema.schema: no answer can be held to it: an object in it takes any property")
}

func TestDecodeResponse(t *testing.T) {
	const body = `{"output":{"message":{"role":"assistant","content":[{"text":"Kentaro Miura"}]}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":4,"totalTokens":13},"metrics":{"latencyMs":1}}`
	r, err := converse.DecodeResponse([]byte(body))
	require.NoError(t, err)
	assert.Equal(t, "Kentaro Miura", r.Text())
	assert.Equal(t, bedrockkit.StopEndTurn, r.StopReason)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 9, OutputTokens: 4}, r.Usage)

	_, err = converse.DecodeResponse([]byte(`{"output":{}}`))
	require.ErrorIs(t, err, bedrockx.ErrEmpty)
	_, err = converse.DecodeResponse(json.RawMessage(body[:40]))
	require.Error(t, err)
}
