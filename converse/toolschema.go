package converse

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// inferSchema is the JSON Schema of a Go type, unless one is given.
func inferSchema[T any](given json.RawMessage) (json.RawMessage, error) {
	if given != nil {
		return given, nil
	}
	schema, err := schemaOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, fmt.Errorf("inferring a JSON Schema: %w", err)
	}
	return json.Marshal(schema)
}

// resolveSchema is a JSON Schema to validate a model's arguments by. Of what the
// service accepts and the validator does not know, it leaves out the check:
// patterns that Go's regexp cannot compile, such as lookaheads.
func resolveSchema(raw json.RawMessage) (*jsonschema.Resolved, error) {
	var root any
	if err := json.Unmarshal(raw, &root); err != nil {
		return nil, fmt.Errorf("reading its JSON Schema: %w", err)
	}
	object, ok := root.(map[string]any)
	if !ok || object["type"] != "object" {
		return nil, errors.New("its JSON Schema is not of type object; take a struct or a map")
	}
	each(object, checkable)
	if err := checkEnds(object); err != nil {
		return nil, err
	}
	changed, err := json.Marshal(root)
	if err != nil {
		return nil, err
	}
	var schema *jsonschema.Schema
	if err := json.Unmarshal(changed, &schema); err != nil {
		return nil, fmt.Errorf("reading its JSON Schema: %w", err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolving its JSON Schema: %w", err)
	}
	return resolved, nil
}

// The keywords of JSON Schema that hold schemas: those that apply to the value
// itself, and those that apply to its parts. Of each, the value is a schema, a
// list of schemas or, in mapsOf, an object of schemas.
var (
	inPlace = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else"}
	ofParts = []string{"items", "prefixItems", "additionalItems", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
		"unevaluatedProperties", "contentSchema"}
	mapsInPlace = []string{"dependentSchemas"}
	mapsOfParts = []string{"properties", "patternProperties", "$defs", "definitions"}
)

// schemasIn are the schemas that the keywords of a schema hold.
func schemasIn(schema map[string]any, keywords, maps []string) []map[string]any {
	var found []map[string]any
	add := func(v any) {
		if s, ok := v.(map[string]any); ok {
			found = append(found, s)
		}
	}
	for _, keyword := range keywords {
		switch v := schema[keyword].(type) {
		case []any:
			for _, s := range v {
				add(s)
			}
		default:
			add(v)
		}
	}
	for _, keyword := range maps {
		if object, ok := schema[keyword].(map[string]any); ok {
			for _, s := range object {
				add(s)
			}
		}
	}
	return found
}

// each calls do for a schema and all in it.
func each(schema map[string]any, do func(map[string]any)) {
	do(schema)
	for _, s := range schemasIn(schema, slices.Concat(inPlace, ofParts), slices.Concat(mapsInPlace, mapsOfParts)) {
		each(s, do)
	}
}

// checkable leaves out of a schema what the validator does not know, and says
// draft 4's exclusive bounds in today's way.
func checkable(schema map[string]any) {
	if pattern, ok := schema["pattern"].(string); ok && !compiles(pattern) {
		delete(schema, "pattern")
	}
	if patterns, ok := schema["patternProperties"].(map[string]any); ok {
		left := len(patterns)
		maps.DeleteFunc(patterns, func(pattern string, _ any) bool { return !compiles(pattern) })
		if len(patterns) < left {
			// Which properties are additional cannot be said without them.
			delete(schema, "additionalProperties")
			delete(schema, "unevaluatedProperties")
		}
	}
	for exclusive, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		is, ok := schema[exclusive].(bool)
		if !ok {
			continue
		}
		delete(schema, exclusive)
		if value, ok := schema[bound]; ok && is {
			schema[exclusive] = value
			delete(schema, bound)
		}
	}
}

func compiles(pattern string) bool {
	_, err := regexp.Compile(pattern)
	return err == nil
}

// checkEnds finds a schema that refers to itself without going into the value:
// validating by it would never end.
func checkEnds(root map[string]any) error {
	var err error
	anchors := map[string]map[string]any{}
	each(root, func(schema map[string]any) {
		if id, ok := schema["$id"].(string); ok && reflect.ValueOf(schema).Pointer() != reflect.ValueOf(root).Pointer() {
			err = fmt.Errorf("its JSON Schema has a part with the $id %q; references could not be followed, leave it out", id)
		}
		if anchor, ok := schema["$anchor"].(string); ok {
			anchors[anchor] = schema
		}
	})
	const (
		entered = 1
		left    = 2
	)
	state := map[uintptr]int{}
	var visit func(map[string]any) error
	visit = func(schema map[string]any) error {
		id := reflect.ValueOf(schema).Pointer()
		switch state[id] {
		case entered:
			return errors.New("its JSON Schema refers to itself without going into the value; validating would never end")
		case left:
			return nil
		}
		state[id] = entered
		next := schemasIn(schema, inPlace, mapsInPlace)
		for _, keyword := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
			ref, ok := schema[keyword].(string)
			if !ok {
				continue
			}
			target, err := refersTo(root, anchors, ref)
			if err != nil {
				return err
			}
			if target != nil {
				next = append(next, target)
			}
		}
		for _, s := range next {
			if err := visit(s); err != nil {
				return err
			}
		}
		state[id] = left
		return nil
	}
	each(root, func(schema map[string]any) {
		if err == nil {
			err = visit(schema)
		}
	})
	return err
}

// refersTo is the schema that a reference within the document names; nil if it
// is true or false.
func refersTo(root map[string]any, anchors map[string]map[string]any, ref string) (map[string]any, error) {
	pointer, within := strings.CutPrefix(ref, "#")
	if within && !strings.HasPrefix(pointer, "/") && pointer != "" {
		if schema, ok := anchors[pointer]; ok {
			return schema, nil
		}
		within = false
	}
	if !within {
		return nil, fmt.Errorf("its JSON Schema refers to %q; it may refer to its own definitions only, as #/$defs/name", ref)
	}
	var at any = root
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("its JSON Schema refers to %q, which is not there", ref)
			}
			at = v[i]
		}
	}
	switch v := at.(type) {
	case map[string]any:
		return v, nil
	case bool:
		return nil, nil
	}
	return nil, fmt.Errorf("its JSON Schema refers to %q, which is not there", ref)
}
