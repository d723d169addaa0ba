package converse

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStrictSchema(t *testing.T) {
	tests := []struct{ name, schema, want string }{
		{"order stays", `{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"string"}},"additionalProperties":false}`,
			`{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"string"}},"additionalProperties":false}`},
		{"closed", `{"type":"object","properties":{}}`, `{"type":"object","properties":{},"additionalProperties":false}`},
		{"notes", `{"type":"string","description":"A name.","minLength":1,"pattern":"^a"}`, `{"type":"string","description":"A name. (minLength: 1, pattern: \"^a\")"}`},
		{"notes without description", `{"type":"integer","multipleOf":5}`, `{"type":"integer","description":"(multipleOf: 5)"}`},
		{"formats", `{"anyOf":[{"type":"string","format":"date"},{"type":"string","format":"color"}]}`,
			`{"anyOf":[{"type":"string","format":"date"},{"type":"string","description":"(format: \"color\")"}]}`},
		{"items", `{"type":"array","items":{"type":"integer","minimum":1},"minItems":1,"maxItems":3}`,
			`{"type":"array","items":{"type":"integer","description":"(minimum: 1)"},"minItems":1,"description":"(maxItems: 3)"}`},
		{"oneOf", `{"oneOf":[{"type":"null"},{"type":"string"}],"$comment":"x","examples":["a"]}`, `{"anyOf":[{"type":"null"},{"type":"string"}]}`},
		{"definitions", `{"$defs":{"a":{"type":"string","maxLength":3}},"$ref":"#/$defs/a"}`, `{"$defs":{"a":{"type":"string","description":"(maxLength: 3)"}},"$ref":"#/$defs/a"}`},
		{"a property of a keyword's name", `{"type":"object","properties":{"minimum":{"type":"integer"}}}`, `{"type":"object","properties":{"minimum":{"type":"integer"}},"additionalProperties":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := strictSchema(json.RawMessage(tt.schema))
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
			again, err := strictSchema(got)
			require.NoError(t, err)
			assert.Equal(t, string(got), string(again), "what is strict stays as it is")
		})
	}
	for name, schema := range map[string]string{
		"open":            `{"type":"object","additionalProperties":{"type":"string"}}`,
		"recursive":       `{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}}}`,
		"root":            `{"type":"object","properties":{"a":{"$ref":"#"}}}`,
		"elsewhere":       `{"$ref":"https://example.com/schema"}`,
		"a boolean":       `{"type":"object","properties":{"a":true}}`,
		"list of schemas": `{"type":"array","items":[{"type":"string"}]}`,
	} {
		_, err := strictSchema(json.RawMessage(schema))
		assert.Error(t, err, name)
	}
}

// The strict schema of anything that is JSON is JSON.
func FuzzStrictSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"]}`)
	f.Add(`{"$defs":{"a":{"$ref":"#/$defs/a"}},"anyOf":[{},true]}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) {
			return
		}
		got, err := strictSchema(json.RawMessage(schema))
		if err != nil {
			return
		}
		require.True(t, json.Valid(got), "%s", got)
		again, err := strictSchema(got)
		require.NoError(t, err)
		assert.JSONEq(t, string(got), string(again))
	})
}

func TestStrictTool(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}`)
	f := Tool("count", "Counts.", func(_ context.Context, in struct{ N int }) (int, error) { return in.N, nil },
		func(o *ToolOptions) { o.Schema, o.Strict = schema, true })
	require.NoError(t, f.err)
	assert.True(t, f.Spec.Strict)
	assert.Equal(t, `{"type":"object","properties":{"n":{"type":"integer","description":"(minimum: 1)"}},"required":["n"],"additionalProperties":false}`, string(f.Spec.InputSchema))
	_, err := runTool(t, f, `{"n":0}`)
	assert.ErrorContains(t, err, "JSON Schema", "the whole schema holds here")

	open := Tool("count", "Counts.", func(context.Context, map[string]string) (int, error) { return 0, nil }, func(o *ToolOptions) { o.Strict = true })
	assert.ErrorContains(t, open.err, `tool "count"`)
}
