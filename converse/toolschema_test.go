package converse

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the service accepts and Go's validator does not know is accepted.
func TestSchemasOfOthers(t *testing.T) {
	for _, test := range []struct{ name, schema, fits, not string }{
		{"a lookahead", `{"type":"object","properties":{"pattern":{"type":"string","pattern":"^(?!x)"}}}`, `{"pattern":"x"}`, `{"pattern":1}`},
		{"a lookahead among the names", `{"type":"object","patternProperties":{"^(?!x)":{"type":"string"}},"additionalProperties":false}`, `{"a":1}`, `[]`},
		{"draft 4's exclusive bound", `{"type":"object","properties":{"n":{"minimum":0,"exclusiveMinimum":true}}}`, `{"n":1}`, `{"n":0}`},
		{"draft 4's inclusive bound", `{"type":"object","properties":{"n":{"maximum":2,"exclusiveMaximum":false}}}`, `{"n":2}`, `{"n":3}`},
		{"a tree", `{"type":"object","properties":{"left":{"$ref":"#"}},"additionalProperties":false}`, `{"left":{"left":{}}}`, `{"left":{"right":{}}}`},
		{"an anchor", `{"type":"object","properties":{"a":{"$ref":"#size"}},"$defs":{"x/y":{"$anchor":"size","type":"integer"}}}`, `{"a":1}`, `{"a":"1"}`},
		{"an escaped pointer", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x~1y"}},"$defs":{"x/y":{"type":"integer"}}}`, `{"a":1}`, `{"a":"1"}`},
		{"a pointer into a list", `{"type":"object","anyOf":[{"properties":{"a":{"type":"integer"}}}],"properties":{"b":{"$ref":"#/anyOf/0/properties/a"}}}`, `{"b":1}`, `{"b":"1"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := NewRawTool(ToolSpec{Name: "x", InputSchema: json.RawMessage(test.schema)}, func(context.Context, ToolUse) (Contents, error) { return nil, nil })
			require.NoError(t, f.Err())
			assert.JSONEq(t, test.schema, string(f.Spec.InputSchema), "the model is told the whole schema")
			assert.NoError(t, f.check(json.RawMessage(test.fits)))
			assert.Error(t, f.check(json.RawMessage(test.not)))
		})
	}
}

// A schema may come from a stranger: one that would never end, or leads
// elsewhere, is refused when the tool is made.
func TestSchemasThatAreRefused(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","$ref":"#"}`:                                 "would never end",
		`{"type":"object","allOf":[{"anyOf":[{"$ref":"#/allOf/0"}]}]}`: "would never end",
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"not":{"$ref":"#/$defs/b"}},"b":{"$ref":"#/$defs/a"}}}`: "would never end",
		`{"type":"object","dependentSchemas":{"a":{"$dynamicRef":"#"}}}`:                                                                "would never end",
		`{"type":"object","properties":{"a":{"$ref":"https://example.com/schema"}}}`:                                                    `refers to "https://example.com/schema"`,
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`:                                                                  "not there",
		`{"type":"object","properties":{"a":{"$ref":"#/anyOf/3"}},"anyOf":[{}]}`:                                                        "not there",
		`{"type":"object","properties":{"a":{"$id":"b","$ref":"#"}}}`:                                                                   `$id "b"`,
		`{"type":"string"}`: "not of type object",
		`[]`:                "not of type object",
		`{`:                 "reading its JSON Schema",
	} {
		f := NewRawTool(ToolSpec{Name: "x", InputSchema: json.RawMessage(schema)}, func(context.Context, ToolUse) (Contents, error) { return nil, nil })
		assert.ErrorContains(t, f.Err(), want, schema)
	}
}

// No schema of a stranger ends the program.
func FuzzRawToolSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"a":{}}`)
	f.Add(`{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#"}]}}}`, `{}`)
	f.Add(`{"type":"object","if":{"$dynamicRef":"#x"},"then":{"$anchor":"x"},"dependentSchemas":{"a":{"$dynamicAnchor":"x"}}}`, `{"a":1}`)
	f.Fuzz(func(t *testing.T, schema, input string) {
		tool := NewRawTool(ToolSpec{Name: "x", InputSchema: json.RawMessage(schema)}, func(context.Context, ToolUse) (Contents, error) { return nil, nil })
		if tool.Err() == nil {
			_ = tool.check(json.RawMessage(input))
		}
	})
}
