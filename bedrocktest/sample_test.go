package bedrocktest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// A sample fits its schema, by the word of a validator.
func TestSampleFits(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object"}`,
		`{"type":"object","required":["a","b"],"properties":{"a":{"type":"string","minLength":20},"b":{"type":"string","maxLength":2}}}`,
		`{"type":"object","required":["題名","é"],"properties":{"題名":{"type":"string","maxLength":1},"é":{"type":"string","minLength":2}}}`,
		`{"type":"object","required":["n"],"properties":{"n":{"type":"integer","exclusiveMinimum":10,"multipleOf":7}}}`,
		`{"type":"object","required":["n"],"properties":{"n":{"type":"integer","maximum":-3}}}`,
		`{"type":"object","required":["n"],"properties":{"n":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.5}}}`,
		`{"type":"object","required":["l"],"properties":{"l":{"type":"array","minItems":2,"items":{"enum":["x","y"]}}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"anyOf":[{"type":"boolean"},{"type":"null"}]}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"allOf":[{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}},{"required":["y"],"properties":{"y":{"const":"z"}}}]}}}`,
		`{"type":"object","required":["a"],"properties":{"a":{"$ref":"#/$defs/item"}},"$defs":{"item":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"next":{"$ref":"#/$defs/item"}}}}}`,
		`{"type":"object","required":["when"],"properties":{"when":{"type":["string","null"],"format":"date-time"}}}`,
		`{"type":"object","required":["any"],"properties":{"any":true}}`,
		`{"properties":{"a":{"type":"integer"}},"required":["a"]}`,
	} {
		sample := bedrocktest.Sample([]byte(schema))
		var s jsonschema.Schema
		require.NoError(t, json.Unmarshal([]byte(schema), &s), schema)
		resolved, err := s.Resolve(nil)
		require.NoError(t, err, schema)
		var v any
		require.NoError(t, json.Unmarshal(sample, &v))
		assert.NoError(t, resolved.Validate(v), "%s gave %s", schema, sample)
	}
}

// A schema that would grow for ever is given up on.
func TestSampleIsBounded(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object","required":["a","b"],"properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}}}`,
		`{"type":"array","minItems":100,"items":{"$ref":"#"}}`,
		`{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`,
	} {
		sample := bedrocktest.Sample([]byte(schema))
		assert.True(t, json.Valid(sample))
		assert.Less(t, len(sample), 1<<20)
	}
}

func FuzzSample(f *testing.F) {
	f.Add([]byte(`{"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}}`))
	f.Add([]byte(`{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`))
	f.Add([]byte(`{"type":"array","minItems":1e300,"items":{"type":"integer","maximum":-1e300}}`))
	f.Fuzz(func(t *testing.T, schema []byte) {
		if sample := bedrocktest.Sample(schema); !json.Valid(sample) {
			t.Fatalf("%s gave %s", schema, sample)
		}
	})
}
