package telemetry_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/telemetry"
)

// fits validates what was captured against a schema of the conventions.
func fits(t *testing.T, name string, captured any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/gen-ai-" + name + ".json")
	require.NoError(t, err)
	var schema *jsonschema.Schema
	require.NoError(t, json.Unmarshal(raw, &schema))
	resolved, err := schema.Resolve(nil)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal([]byte(captured.(string)), &value))
	assert.NoError(t, resolved.Validate(value), captured)
}

// captured sends a body and returns the attributes of its span.
func captured(t *testing.T, body string, optFns ...func(*telemetry.Options)) map[string]any {
	t.Helper()
	o := newObserved(t, append([]func(*telemetry.Options){func(o *telemetry.Options) { o.CaptureInput, o.CaptureOutput = true, true }}, optFns...)...)
	call := &bedrockx.Call{Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(body)}
	call.Decode = func(context.Context, *bedrockx.Response) error {
		call.StopReason = "end_turn"
		return call.Text("Good evening.")
	}
	o.srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Text("Good evening.")
	})
	require.NoError(t, o.Client.Do(t.Context(), call))
	spans := o.spans.GetSpans()
	return of(spans[len(spans)-1])
}

// Every kind of content has the form of the conventions, whatever the body's.
func TestCaptureHasTheFormOfTheConventions(t *testing.T) {
	for name, test := range map[string]struct{ body, want, system string }{
		"Converse": {
			`{"system":[{"text":"Be brief."},{"cachePoint":{"type":"default"}}],"guardrailConfig":{"guardrailIdentifier":"gr-1","guardrailVersion":"1"},"messages":[
			{"role":"user","content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"aGk="}}},{"document":{"name":"bill","format":"pdf","source":{"s3Location":{"uri":"s3://b/k"}}}},
				{"guardContent":{"text":{"text":"guarded"}}}]},
			{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"citationsContent":{"content":[{"text":"cited"}]}},
				{"toolUse":{"toolUseId":"t1","name":"look","input":{"n":12345678901234567890}}}]},
			{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"json":{"a":1}},{"text":"b"}]}},{"toolResult":{"toolUseId":"t2","content":[{"text":"one"}]}}]}]}`,
			`[{"role":"user","parts":[{"type":"text","content":"hi"},{"type":"image","bytes":3},{"type":"uri","modality":"document","uri":"s3://b/k"},{"type":"text","content":"guarded"}]},
			{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"cited"},{"type":"tool_call","id":"t1","name":"look","arguments":{"n":12345678901234567890}}]},
			{"role":"user","parts":[{"type":"tool_call_response","id":"t1","response":[{"type":"json"},{"type":"text","content":"b"}]},{"type":"tool_call_response","id":"t2","response":"one"}]}]`,
			`[{"type":"text","content":"Be brief."},{"type":"cachePoint"}]`,
		},
		"Anthropic": {
			`{"system":"Be brief.","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
			{"type":"tool_use","id":"t1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"three"},
			{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},{"type":"server_block","x":1}]}]}`,
			`[{"role":"user","parts":[{"type":"text","content":"hi"}]},{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"tool_call","id":"t1","name":"look","arguments":{}}]},
			{"role":"user","parts":[{"type":"tool_call_response","id":"t1","response":"three"},{"type":"image","bytes":3},{"type":"server_block"}]}]`,
			`[{"type":"text","content":"Be brief."}]`,
		},
		"OpenAI": {
			`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"https://a/b.png"}}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"n\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"three"}]}`,
			`[{"role":"system","parts":[{"type":"text","content":"Be brief."}]},{"role":"user","parts":[{"type":"text","content":"hi"},{"type":"uri","modality":"image","uri":"https://a/b.png"}]},
			{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"look","arguments":{"n":1}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"three"}]}]`,
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := captured(t, test.body)
			assert.JSONEq(t, test.want, got["gen_ai.input.messages"].(string))
			fits(t, "input-messages", got["gen_ai.input.messages"])
			if test.system != "" {
				assert.JSONEq(t, test.system, got["gen_ai.system_instructions"].(string))
				fits(t, "system-instructions", got["gen_ai.system_instructions"])
			}
			assert.JSONEq(t, `[{"role":"assistant","parts":[{"type":"text","content":"Good evening."}],"finish_reason":"stop"}]`, got["gen_ai.output.messages"].(string))
			fits(t, "output-messages", got["gen_ai.output.messages"])
			if name == "Converse" {
				assert.Equal(t, "gr-1", got["aws.bedrock.guardrail.id"])
			}
		})
	}
}

// What is captured is bounded, and each message is whole or left out.
func TestCaptureIsBounded(t *testing.T) {
	body := `{"system":"` + strings.Repeat("x", 300) + `","messages":[{"role":"user","content":"` + strings.Repeat("y", 300) + `"},{"role":"user","content":"海賊王におれはなる"}]}`
	got := captured(t, body, func(o *telemetry.Options) { o.MaxInput = 200 })
	assert.JSONEq(t, `[{"role":"user","parts":[{"type":"text","content":"海賊王におれはなる"}]}]`, got["gen_ai.input.messages"].(string))
	assert.EqualValues(t, 1, got["bedrockkit.input.messages.dropped"])
	assert.NotContains(t, got, "gen_ai.system_instructions")
	assert.Contains(t, got, "gen_ai.output.messages")

	got = captured(t, body, func(o *telemetry.Options) { o.MaxInput = 10 })
	assert.NotContains(t, got, "gen_ai.input.messages")
	assert.EqualValues(t, 2, got["bedrockkit.input.messages.dropped"])
	assert.NotContains(t, got, "gen_ai.output.messages", "an answer over the bound is left out")
}
