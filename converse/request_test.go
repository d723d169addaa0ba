package converse

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

func TestRequestBody(t *testing.T) {
	r := everyParameter()
	r.Messages, r.System = []Message{User("hi")}, Contents{Text("Be brief."), GuardText{Text: "guard"}}
	body, err := r.appendBody(nil, bedrockkit.OpConverseStream, known(r.Model))
	require.NoError(t, err)
	assert.Equal(t, `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"system":[{"text":"Be brief."},{"guardContent":{"text":{"text":"guard"}}}],`+
		`"inferenceConfig":{"maxTokens":100,"temperature":0.1,"topP":0.9,"stopSequences":["STOP"]},`+
		`"toolConfig":{"tools":[{"toolSpec":{"name":"search","description":"Searches.","inputSchema":{"json":{"type":"object"}},"strict":true}},`+
		`{"toolSpec":{"name":"none","inputSchema":{"json":{"type":"object"}}}},{"cachePoint":{"type":"default","ttl":"1h"}},{"systemTool":{"name":"nova_grounding"}}],`+
		`"toolChoice":{"tool":{"name":"search"}}},`+
		`"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"answer","description":"An answer."}}}},`+
		`"guardrailConfig":{"guardrailIdentifier":"abc","guardrailVersion":"1","trace":"enabled","streamProcessingMode":"async"},`+
		`"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"},"promptVariables":{"a":{"text":"1"},"b":{"text":"2"}},`+
		`"requestMetadata":{"team":"manga"},"additionalModelRequestFields":{"top_k":10},"additionalModelResponseFieldPaths":["/stop_sequence"]}`, string(body))

	unary, err := r.appendBody(nil, bedrockkit.OpConverse, known(r.Model))
	require.NoError(t, err)
	assert.NotContains(t, string(unary), "streamProcessingMode", "it is a parameter of streams")
}

// A request's JSON is the API's, and what is sent of it is the same afterwards.
func TestRequestJSON(t *testing.T) {
	every := everyParameter()
	every.Messages = []Message{User("hi")}
	stored, err := json.Marshal(every)
	require.NoError(t, err)
	body, err := every.appendBody(nil, bedrockkit.OpConverseStream, known(every.Model))
	require.NoError(t, err)
	assert.Equal(t, `{"modelId":"`+string(every.Model)+`",`+string(body[1:]), string(stored))

	tried := 0
	for r := range randomRequests(3000) {
		if _, err := EncodeRequest(r); err != nil || r.MaxTokens < 0 {
			continue
		}
		stored, err := json.Marshal(r)
		if r.Model.Base() == "" && (r.Thinking != 0 || r.Effort != "") {
			assert.ErrorContains(t, err, "does not tell its model")
			continue
		}
		require.NoError(t, err)
		var again Request
		require.NoError(t, json.Unmarshal(stored, &again), "%s", stored)
		assert.Equal(t, r.Model, again.Model)
		want, err := r.appendBody(nil, bedrockkit.OpConverseStream, known(r.Model))
		require.NoError(t, err)
		got, err := again.appendBody(nil, bedrockkit.OpConverseStream, known(again.Model))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
		tried++
	}
	assert.Greater(t, tried, 50)
}

func TestRequestsWithoutJSON(t *testing.T) {
	for want, r := range map[string]Request{
		"NoMaxTokens":             {Model: "amazon.nova-lite-v1:0", MaxTokens: NoMaxTokens},
		"does not tell its model": {Thinking: 2048},
		"input schema of":         {Tools: []ToolSpec{{Name: "x", InputSchema: json.RawMessage(`[]`)}}},
	} {
		_, err := json.Marshal(r)
		assert.ErrorContains(t, err, want)
	}
	kept := Request{Model: "m"}
	for _, text := range []string{`{"messages":[],"other":1}`, `{"model_id":"m"}`, `[]`, `{"toolConfig":{"tools":[{}]}}`} {
		assert.Error(t, json.Unmarshal([]byte(text), &kept), text)
		assert.Equal(t, Request{Model: "m"}, kept, text)
	}
	for _, r := range []Request{{}, {Model: "m"}, {Messages: []Message{User("hi")}}} {
		stored, err := json.Marshal(r)
		require.NoError(t, err)
		var again Request
		require.NoError(t, json.Unmarshal(stored, &again))
		assert.Equal(t, r, again)
	}
}

func TestNumbersThatJSONDoesNotHave(t *testing.T) {
	r := Request{Messages: []Message{User("hi")}, Temperature: new(float64)}
	*r.Temperature = math.NaN()
	assert.ErrorIs(t, Preflight(r), bedrockx.ErrValidation)
	body, err := r.appendBody(nil, bedrockkit.OpConverse, known(r.Model))
	require.NoError(t, err)
	assert.True(t, json.Valid(body))
}
