package converse

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// strictSchema is a JSON Schema as the service takes it where it holds the
// model to the schema: as an output format and for strict tools. It knows a
// part of JSON Schema and refuses the rest (Amazon Bedrock User Guide, "Get
// validated JSON results from models"). What it does not know is taken out and
// said in the description, so that the model can still keep to it; answers are
// held against the whole schema here.
//
// The order of the properties stays, since models answer in it. An error means
// that the schema cannot be put so: an object that is open, or a recursion.
func strictSchema(raw json.RawMessage) (json.RawMessage, error) {
	s := &stricter{refs: map[string][]string{}}
	strict := s.schema(raw)
	if s.err == nil && s.recursive("", nil) {
		s.err = errors.New("it is recursive")
	}
	return strict, s.err
}

type stricter struct {
	def  string              // the definition that is being read, "" for the root
	refs map[string][]string // the definitions that each refers to
	err  error
}

// members are those of a JSON object, in their order.
func members(raw json.RawMessage) ([]member, error) {
	list, ok := entries(bytes.TrimSpace(raw), '{')
	if !ok {
		return nil, errors.New("a schema in it is no JSON object")
	}
	return list, nil
}

func joinMembers(list []member) json.RawMessage {
	b := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, m.key)
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

// strictFormats are the formats of strings that the service knows.
var strictFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}

func (s *stricter) schema(raw json.RawMessage) json.RawMessage {
	list, err := members(raw)
	if err != nil {
		s.fail(err)
		return raw
	}
	var kept []member
	var notes []string
	description := -1
	isObject, closed := false, false
	for _, m := range list {
		keep := true
		switch m.key {
		case "type":
			isObject = isObject || strings.Contains(string(m.value), `"object"`)
		case "properties":
			isObject = true
			m.value = s.schemas(m.value, false)
		case "$defs", "definitions":
			m.value = s.schemas(m.value, true)
		case "items":
			m.value = s.schema(m.value)
		case "anyOf", "allOf":
			m.value = s.list(m.value)
		case "oneOf":
			m.key, m.value = "anyOf", s.list(m.value)
		case "additionalProperties":
			if closed = string(m.value) == "false"; !closed {
				s.fail(errors.New("an object in it takes any property"))
			}
		case "$ref":
			s.ref(m.value)
		case "description":
			description = len(kept)
		case "required", "enum", "const", "title", "default":
		case "format":
			keep = slices.ContainsFunc(strictFormats, func(f string) bool { return string(m.value) == `"`+f+`"` })
		case "minItems":
			keep = string(m.value) == "0" || string(m.value) == "1"
		case "$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly":
			continue // they say nothing of the answer
		default:
			keep = false
		}
		if keep {
			kept = append(kept, m)
			continue
		}
		var note bytes.Buffer
		if json.Compact(&note, m.value) == nil {
			notes = append(notes, m.key+": "+note.String())
		}
	}
	if isObject && !closed {
		kept = append(kept, member{"additionalProperties", json.RawMessage("false")})
	}
	if len(notes) > 0 {
		note := "(" + strings.Join(notes, ", ") + ")"
		var text string
		if description >= 0 && json.Unmarshal(kept[description].value, &text) == nil {
			kept[description].value = appendString(nil, strings.TrimSpace(text+" "+note))
		} else {
			kept = append(kept, member{"description", appendString(nil, note)})
		}
	}
	return joinMembers(kept)
}

// schemas is an object of schemas.
func (s *stricter) schemas(raw json.RawMessage, definitions bool) json.RawMessage {
	list, err := members(raw)
	if err != nil {
		s.fail(err)
		return raw
	}
	within := s.def
	for i := range list {
		if definitions {
			s.def = list[i].key
		}
		list[i].value = s.schema(list[i].value)
	}
	s.def = within
	return joinMembers(list)
}

// list is a list of schemas.
func (s *stricter) list(raw json.RawMessage) json.RawMessage {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		s.fail(err)
		return raw
	}
	b := []byte{'['}
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.schema(list[i])...)
	}
	return append(b, ']')
}

func (s *stricter) ref(raw json.RawMessage) {
	var ref string
	if err := json.Unmarshal(raw, &ref); err != nil {
		s.fail(err)
		return
	}
	name, ok := strings.CutPrefix(ref, "#/$defs/")
	if !ok {
		name, ok = strings.CutPrefix(ref, "#/definitions/")
	}
	if !ok {
		s.fail(errors.New("it refers to something that is not one of its own definitions"))
		return
	}
	s.refs[s.def] = append(s.refs[s.def], name)
}

// recursive reports whether a definition leads to itself. It looks at each
// once.
func (s *stricter) recursive(def string, path []string) bool {
	if slices.Contains(path, def) {
		return true
	}
	refs := s.refs[def]
	delete(s.refs, def)
	path = append(path, def)
	return slices.ContainsFunc(refs, func(next string) bool { return s.recursive(next, path) })
}

func (s *stricter) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}
