package converse

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A JSONSchemer is a type that returns its own JSON Schema, for [NewTool] and
// [Generate]. It is for a type that has its own UnmarshalJSON, or that needs bounds
// and patterns. The method is called on the type's zero value.
type JSONSchemer interface {
	JSONSchema() json.RawMessage
}

// schemaOf is the JSON Schema of the JSON that encoding/json reads into a type.
// It goes by encoding/json's own rules for fields, names and options, so that
// what fits the schema is what is read. A type whose JSON it cannot know is an
// error, with the path of the field.
func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	s, err := (&inferrer{}).schema(t, rootPath(t))
	if err != nil {
		return nil, err
	}
	if len(s.Types) == 2 && s.Types[0] == "null" { // null is neither an input nor an answer
		s.Type, s.Types = s.Types[1], nil
	}
	return s, nil
}

func rootPath(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return cmp.Or(t.Name(), t.Kind().String())
}

type inferrer struct{ within []reflect.Type }

var (
	schemerType         = reflect.TypeFor[JSONSchemer]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonUnmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// jsonTypes are the schemas of types that encoding/json reads in a form of
// their own.
var jsonTypes = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[json.Number]():     {Type: "number"},
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
	reflect.TypeFor[big.Int]():         {Type: "integer"},
}

func (in *inferrer) schema(t reflect.Type, path string) (*jsonschema.Schema, error) {
	if t.Kind() == reflect.Pointer {
		s, err := in.schema(t.Elem(), path)
		if err != nil {
			return nil, err
		}
		return nullable(s), nil
	}
	if s, err := in.known(t, path); s != nil || err != nil {
		return s, err
	}
	if t.Name() != "" {
		if slices.Contains(in.within, t) {
			return nil, refused(path, "the type %v is part of itself", t)
		}
		in.within = append(in.within, t)
		defer func() { in.within = in.within[:len(in.within)-1] }()
	}
	switch t.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}, nil
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}, nil
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}, nil
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return nil, refused(path, "encoding/json cannot read into the interface %v", t)
		}
		return &jsonschema.Schema{}, nil
	case reflect.Map:
		return in.mapping(t, path)
	case reflect.Slice, reflect.Array:
		return in.list(t, path)
	case reflect.Struct:
		return in.object(t, path)
	}
	if s := integer(t.Kind()); s != nil {
		return s, nil
	}
	return nil, refused(path, "encoding/json does not read a %v", t.Kind())
}

// known is the schema of a type that decides about its JSON itself, nil if it
// leaves that to encoding/json.
func (in *inferrer) known(t reflect.Type, path string) (*jsonschema.Schema, error) {
	pointer := reflect.PointerTo(t)
	switch s := jsonTypes[t]; {
	case s != nil:
		return s.CloneSchemas(), nil
	case pointer.Implements(schemerType):
		var s *jsonschema.Schema
		if err := json.Unmarshal(reflect.New(t).Interface().(JSONSchemer).JSONSchema(), &s); err != nil || s == nil {
			return nil, refused(path, "the JSON Schema of %v cannot be read: %v", t, err)
		}
		return s, nil
	case pointer.Implements(jsonUnmarshalerType):
		return nil, refused(path, "the type %v reads its JSON itself; give it a method JSONSchema() json.RawMessage", t)
	case pointer.Implements(textUnmarshalerType):
		return &jsonschema.Schema{Type: "string"}, nil
	}
	return nil, nil
}

func integer(kind reflect.Kind) *jsonschema.Schema {
	between := func(low, high float64) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "integer", Minimum: &low, Maximum: &high}
	}
	switch kind {
	case reflect.Int, reflect.Int64:
		return &jsonschema.Schema{Type: "integer"}
	case reflect.Int8:
		return between(math.MinInt8, math.MaxInt8)
	case reflect.Int16:
		return between(math.MinInt16, math.MaxInt16)
	case reflect.Int32:
		return between(math.MinInt32, math.MaxInt32)
	case reflect.Uint8:
		return between(0, math.MaxUint8)
	case reflect.Uint16:
		return between(0, math.MaxUint16)
	case reflect.Uint32:
		return between(0, math.MaxUint32)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return &jsonschema.Schema{Type: "integer", Minimum: new(float64)}
	}
	return nil
}

func (in *inferrer) mapping(t reflect.Type, path string) (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{Type: "object"}
	switch key := t.Key(); {
	case key.Kind() == reflect.String, reflect.PointerTo(key).Implements(textUnmarshalerType):
	case integer(key.Kind()) != nil:
		pattern := "^-?[0-9]+$"
		if key.Kind() >= reflect.Uint {
			pattern = "^[0-9]+$"
		}
		s.PropertyNames = &jsonschema.Schema{Pattern: pattern}
	default:
		return nil, refused(path, "encoding/json does not read map keys of type %v", key)
	}
	var err error
	s.AdditionalProperties, err = in.schema(t.Elem(), path+"[]")
	return nullable(s), err
}

func (in *inferrer) list(t reflect.Type, path string) (*jsonschema.Schema, error) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		switch pointer := reflect.PointerTo(t.Elem()); {
		case pointer.Implements(jsonUnmarshalerType), pointer.Implements(textUnmarshalerType), pointer.Implements(textMarshalerType):
		default: // encoding/json writes bytes in base64
			return nullable(&jsonschema.Schema{Type: "string", ContentEncoding: "base64"}), nil
		}
	}
	items, err := in.schema(t.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "array", Items: items}
	if t.Kind() == reflect.Array {
		s.MinItems, s.MaxItems = new(t.Len()), new(t.Len())
		return s, nil
	}
	return nullable(s), nil
}

// nullable also allows null.
func nullable(s *jsonschema.Schema) *jsonschema.Schema {
	switch {
	case s.Type != "":
		s.Type, s.Types = "", []string{"null", s.Type}
	case len(s.Types) > 0 && !slices.Contains(s.Types, "null"):
		s.Types = append([]string{"null"}, s.Types...)
	}
	return s
}

func (in *inferrer) object(t reflect.Type, path string) (*jsonschema.Schema, error) {
	fields, err := jsonFields(t, path)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
	if len(fields) > 0 {
		s.Properties = map[string]*jsonschema.Schema{}
	}
	for _, f := range fields {
		property, err := in.field(f)
		if err != nil {
			return nil, err
		}
		s.Properties[f.name] = property
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if !f.optional {
			s.Required = append(s.Required, f.name)
		}
	}
	return s, nil
}

// field is the schema of a field with its tags.
func (in *inferrer) field(f jsonField) (*jsonschema.Schema, error) {
	var s *jsonschema.Schema
	var err error
	if f.quoted {
		s, err = quoted(f)
	} else {
		s, err = in.schema(f.typ, f.path)
	}
	if err != nil {
		return nil, err
	}
	if description, ok := f.tag.Lookup("jsonschema"); ok {
		if description == "" {
			return nil, refused(f.path, "its jsonschema tag is empty; write a description")
		}
		s.Description = description
	}
	if values, ok := f.tag.Lookup("enum"); ok {
		if err := enum(s, f, strings.Split(values, ",")); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// quoted is the schema of a value within a string, as the option "string" of a
// json tag writes it.
func quoted(f jsonField) (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{Type: "string"}
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
		nullable(s)
	}
	switch kind, pointer := t.Kind(), reflect.PointerTo(t); {
	case pointer.Implements(textUnmarshalerType), pointer.Implements(jsonUnmarshalerType):
		return nil, refused(f.path, "encoding/json does not read %v with the option string of its json tag; leave it out", t)
	case kind == reflect.Bool:
		s.Pattern = "^(true|false)$"
	case kind == reflect.Float32, kind == reflect.Float64:
		s.Pattern = `^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`
	case kind >= reflect.Uint && integer(kind) != nil:
		s.Pattern = "^[0-9]+$"
	case integer(kind) != nil:
		s.Pattern = "^-?[0-9]+$"
	default:
		return nil, refused(f.path, "a text within a text confuses models; leave out the option string of its json tag")
	}
	return s, nil
}

// enum puts the values of an enum tag into the schema of a field, or of the
// elements of a list.
func enum(s *jsonschema.Schema, f jsonField, values []string) error {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s.Items != nil {
		s, t = s.Items, t.Elem()
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	kind := s.Type
	if kind == "" && len(s.Types) == 2 {
		kind = s.Types[1]
		s.Enum = append(s.Enum, nil) // of a pointer
	}
	for _, text := range values {
		var value any
		var err error
		switch kind {
		case "string":
			value = text
		case "integer":
			value, err = strconv.ParseInt(text, 10, 64)
		case "number":
			value, err = strconv.ParseFloat(text, 64)
		default:
			err = errors.New("it is for strings and numbers, and for lists of them")
		}
		if err == nil && !f.quoted {
			var raw []byte
			if raw, err = json.Marshal(value); err == nil {
				err = json.Unmarshal(raw, reflect.New(t).Interface())
			}
		}
		if err != nil {
			return refused(f.path, "its enum tag has %q: %v", text, err)
		}
		s.Enum = append(s.Enum, value)
	}
	return nil
}

func refused(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
}
