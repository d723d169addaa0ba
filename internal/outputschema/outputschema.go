// Package outputschema makes JSON Schemas fit for where the service holds a model
// to them: output formats and strict tools. The service knows a part of JSON
// Schema and refuses the rest. Source: Amazon Bedrock User Guide, "Get validated
// JSON results from models".
package outputschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Close returns a schema as the service takes it: objects closed, and without the
// keywords that it refuses. What is taken out is said in the description, so that
// the model can still keep to it; the reader of the answer must check it against
// the whole schema.
//
// The order of the properties stays, since models answer in it. An error means
// that the schema cannot be put so: an object that is open, or a recursion.
func Close(raw json.RawMessage) (json.RawMessage, error) {
	s := &stricter{refs: map[string][]string{}}
	strict := s.schema(raw)
	if s.err == nil && s.recursive("", nil) {
		s.err = errRecursive
	}
	return strict, s.err
}

// What no answer can be held to.
var (
	errOpen      = errors.New("an object in it takes any property; set additionalProperties to false")
	errUnclosed  = errors.New("an object in it is not closed; set additionalProperties to false")
	errRecursive = errors.New("it is recursive")
	errNoSchema  = errors.New("a schema in it is no JSON object")
	errElsewhere = errors.New("it refers to something that is not one of its own definitions")
)

// Refusal is the reason why the service refuses a schema, however it is put, or nil.
func Refusal(schema json.RawMessage) error {
	_, err := Close(schema)
	if errors.Is(err, errOpen) || errors.Is(err, errRecursive) || errors.Is(err, errElsewhere) {
		return err
	}
	return nil // of what cannot be read nothing is known
}

// Check is the reason why the service refuses a schema as it stands, or nil.
func Check(schema json.RawMessage) error {
	s := &stricter{refs: map[string][]string{}}
	s.schema(schema)
	switch {
	case s.err == nil && s.recursive("", nil):
		return errRecursive
	case s.err != nil && !errors.Is(s.err, errNoSchema):
		return s.err
	}
	return s.refused
}

type stricter struct {
	def  string              // the definition that is being read, "" for the root
	refs map[string][]string // the definitions that each refers to
	err  error

	refused error // the first that the service would refuse as it stands
}

// members returns the members of a JSON object, in their order.
func members(raw json.RawMessage) ([]jsonscan.Member, error) {
	list, ok := jsonscan.Entries(bytes.TrimSpace(raw), '{')
	if !ok {
		return nil, errNoSchema
	}
	return list, nil
}

// refused are the keywords that the guide names as not supported, or not with
// every value; of the others that are taken out it says nothing.
var refused = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
	"minItems", "maxItems", "uniqueItems", "enum"}

// strictFormats are the formats of strings that the service knows.
var strictFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}

func (s *stricter) schema(raw json.RawMessage) json.RawMessage {
	list, err := members(raw)
	if err != nil {
		s.fail(err)
		return raw
	}
	var kept []jsonscan.Member
	var notes []string
	description := -1
	isObject, closed := false, false
	for _, m := range list {
		keep := true
		switch m.Key {
		case "type":
			isObject = isObject || strings.Contains(string(m.Value), `"object"`)
		case "properties":
			isObject = true
			m.Value = s.schemas(m.Value, false)
		case "$defs", "definitions":
			m.Value = s.schemas(m.Value, true)
		case "items":
			m.Value = s.schema(m.Value)
		case "anyOf", "allOf":
			m.Value = s.list(m.Value)
		case "oneOf":
			m.Key, m.Value = "anyOf", s.list(m.Value)
		case "additionalProperties":
			if closed = string(m.Value) == "false"; !closed {
				s.fail(errOpen)
			}
		case "$ref":
			s.ref(m.Value)
		case "description":
			description = len(kept)
		case "enum":
			keep = plain(m.Value)
		case "required", "const", "title", "default":
		case "format":
			keep = slices.ContainsFunc(strictFormats, func(f string) bool { return string(m.Value) == `"`+f+`"` })
		case "minItems":
			keep = string(m.Value) == "0" || string(m.Value) == "1"
		case "$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly":
			continue // they say nothing of the answer
		default:
			keep = false
		}
		if keep {
			kept = append(kept, m)
			continue
		}
		if slices.Contains(refused, m.Key) {
			s.refuse(fmt.Errorf("the keyword %s is not taken", m.Key))
		}
		var note bytes.Buffer
		if json.Compact(&note, m.Value) == nil {
			notes = append(notes, m.Key+": "+note.String())
		}
	}
	if isObject && !closed {
		s.refuse(errUnclosed)
		kept = append(kept, jsonscan.Member{Key: "additionalProperties", Value: json.RawMessage("false")})
	}
	if len(notes) > 0 {
		note := "(" + strings.Join(notes, ", ") + ")"
		var text string
		if description >= 0 && json.Unmarshal(kept[description].Value, &text) == nil {
			kept[description].Value = jsonscan.AppendQuote(nil, strings.TrimSpace(text+" "+note))
		} else {
			kept = append(kept, jsonscan.Member{Key: "description", Value: jsonscan.AppendQuote(nil, note)})
		}
	}
	return jsonscan.Join(kept)
}

// plain reports whether no value of a list is a list or an object.
func plain(list json.RawMessage) bool {
	values, ok := jsonscan.Entries(bytes.TrimSpace(list), '[')
	return ok && !slices.ContainsFunc(values, func(v jsonscan.Member) bool { return bytes.ContainsAny(v.Value[:1], "[{") })
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
			s.def = list[i].Key
		}
		list[i].Value = s.schema(list[i].Value)
	}
	s.def = within
	return jsonscan.Join(list)
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
		s.fail(errElsewhere)
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

func (s *stricter) refuse(err error) {
	if s.refused == nil {
		s.refused = err
	}
}

func (s *stricter) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}
