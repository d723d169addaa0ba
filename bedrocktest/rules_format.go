package bedrocktest

import (
	"encoding/json"
	"slices"
	"strings"
)

// A formatSchema is read for what the service refuses in the schema of an output
// format. Source: Amazon Bedrock User Guide, "Get validated JSON results from
// models", which names what is not supported; the words are those of Anthropic's
// API, as the guide has none.
type formatSchema struct {
	def  string              // the definition that is being read, "" for the root
	refs map[string][]string // the definitions that each refers to
}

// narrowing are the keywords that a grammar cannot hold an answer to, by the
// type that they narrow.
var narrowing = []struct {
	kind string
	keys []string
}{
	{"number", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
	{"string", []string{"minLength", "maxLength"}},
	{"array", []string{"maxItems", "uniqueItems"}},
}

// refusal says what of a schema is not taken, or nothing.
func (f *formatSchema) refusal(schema json.RawMessage) string {
	f.refs = map[string][]string{}
	if said := f.read(schema); said != "" {
		return said
	}
	if f.circular("", nil) {
		return "Circular reference detected in schema definitions"
	}
	return ""
}

func (f *formatSchema) read(raw json.RawMessage) string {
	var schema map[string]json.RawMessage
	if json.Unmarshal(raw, &schema) != nil {
		return "" // true and false say nothing that could be refused
	}
	open, told := schema["additionalProperties"]
	if told && string(open) != "false" || !told && (strings.Contains(string(schema["type"]), `"object"`) || schema["properties"] != nil) {
		return "For 'object' type, 'additionalProperties' must be explicitly set to false"
	}
	for _, n := range narrowing {
		for _, key := range n.keys {
			if _, found := schema[key]; found {
				return "For '" + n.kind + "' type, property '" + key + "' is not supported"
			}
		}
	}
	if least, found := schema["minItems"]; found && string(least) != "0" && string(least) != "1" {
		return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
	}
	var values []json.RawMessage
	if json.Unmarshal(schema["enum"], &values) == nil && slices.ContainsFunc(values, func(v json.RawMessage) bool { return strings.ContainsRune("[{", rune(v[0])) }) {
		return "Complex types in 'enum' are not supported"
	}
	var ref string
	if json.Unmarshal(schema["$ref"], &ref) == nil {
		if !strings.HasPrefix(ref, "#") {
			return "External '$ref' is not supported"
		}
		name := strings.TrimPrefix(strings.TrimPrefix(ref, "#/$defs/"), "#/definitions/")
		f.refs[f.def] = append(f.refs[f.def], strings.TrimPrefix(name, "#"))
	}
	return f.within(schema)
}

// within reads the schemas in a schema.
func (f *formatSchema) within(schema map[string]json.RawMessage) string {
	for _, key := range []string{"anyOf", "allOf", "oneOf"} {
		var list []json.RawMessage
		_ = json.Unmarshal(schema[key], &list)
		for _, s := range list {
			if said := f.read(s); said != "" {
				return said
			}
		}
	}
	if said := f.read(schema["items"]); said != "" {
		return said
	}
	for _, key := range []string{"properties", "$defs", "definitions"} {
		var named map[string]json.RawMessage
		_ = json.Unmarshal(schema[key], &named)
		outer := f.def
		for name, s := range named {
			if key != "properties" {
				f.def = name
			}
			if said := f.read(s); said != "" {
				return said
			}
		}
		f.def = outer
	}
	return ""
}

// circular reports whether a definition leads to itself.
func (f *formatSchema) circular(def string, path []string) bool {
	if slices.Contains(path, def) {
		return true
	}
	refs := f.refs[def]
	delete(f.refs, def)
	path = append(path, def)
	return slices.ContainsFunc(refs, func(next string) bool { return f.circular(next, path) })
}
