package converse

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

func TestRequestBody(t *testing.T) {
	r := everyParameter()
	r.Messages, r.System = []Message{User("hi")}, Contents{Text("Be brief."), GuardText{Text: "guard"}}
	body, err := r.appendBody(nil, bedrockx.OpConverseStream)
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

	unary, err := r.appendBody(nil, bedrockx.OpConverse)
	require.NoError(t, err)
	assert.NotContains(t, string(unary), "streamProcessingMode", "it is a parameter of streams")
}

// A request survives JSON, so that it can be queued.
func TestRequestRoundTrip(t *testing.T) {
	r := everyParameter()
	stored, err := json.Marshal(r)
	require.NoError(t, err)
	var again Request
	require.NoError(t, json.Unmarshal(stored, &again))
	want, err := r.appendBody(nil, bedrockx.OpConverse)
	require.NoError(t, err)
	got, err := again.appendBody(nil, bedrockx.OpConverse)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestNumbersThatJSONDoesNotHave(t *testing.T) {
	r := Request{Messages: []Message{User("hi")}, Temperature: new(float64)}
	*r.Temperature = math.NaN()
	assert.ErrorIs(t, Preflight(r), bedrockx.ErrValidation)
	body, err := r.appendBody(nil, bedrockx.OpConverse)
	require.NoError(t, err)
	assert.True(t, json.Valid(body))
}
