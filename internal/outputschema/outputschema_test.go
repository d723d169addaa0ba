package outputschema

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClose(t *testing.T) {
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
			got, err := Close(json.RawMessage(tt.schema))
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
			again, err := Close(got)
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
		_, err := Close(json.RawMessage(schema))
		assert.Error(t, err, name)
	}
}

// The strict schema of anything that is JSON is JSON.
func FuzzClose(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"]}`)
	f.Add(`{"$defs":{"a":{"$ref":"#/$defs/a"}},"anyOf":[{},true]}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) {
			return
		}
		got, err := Close(json.RawMessage(schema))
		if err != nil {
			return
		}
		require.True(t, json.Valid(got), "%s", got)
		require.NoError(t, Check(got))
		again, err := Close(got)
		require.NoError(t, err)
		assert.JSONEq(t, string(got), string(again))
	})
}

func TestCheck(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"a":{"type":"string","pattern":"^a"}},"additionalProperties":false}`: "",
		`{"type":"object"}`:                                                   "an object in it is not closed; set additionalProperties to false",
		`{"properties":{}}`:                                                   "an object in it is not closed; set additionalProperties to false",
		`{"type":"object","additionalProperties":{}}`:                         "an object in it takes any property; set additionalProperties to false",
		`{"type":"array","items":{"type":"integer","minimum":1}}`:             "the keyword minimum is not taken",
		`{"type":"array","minItems":2}`:                                       "the keyword minItems is not taken",
		`{"type":"array","minItems":1}`:                                       "",
		`{"enum":["a",1,null]}`:                                               "",
		`{"enum":["a",[1]]}`:                                                  "the keyword enum is not taken",
		`{"anyOf":[{"$ref":"#"}]}`:                                            "it refers to something that is not one of its own definitions",
		`{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}`: "it is recursive",
		`true`: "", // of what is not read nothing is known
	} {
		err := Check(json.RawMessage(schema))
		if want == "" {
			assert.NoError(t, err, schema)
			continue
		}
		assert.EqualError(t, err, want, schema)
	}
}
