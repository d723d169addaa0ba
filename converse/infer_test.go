package converse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	mathrand "math/rand"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type (
	base struct {
		ID int `json:"id"`
	}
	Exported struct {
		Kind string `json:"kind"`
	}
	genre       int
	title       string
	page[T any] struct {
		Items []T `json:"items"`
		Next  *T  `json:"next,omitempty"`
	}
	byWire   struct{}
	bySchema struct{}
	endless  struct{ More *endless }
)

var genres = []string{"shonen", "seinen"}

func (g genre) MarshalText() ([]byte, error) { return []byte(genres[int(uint(g)%2)]), nil }
func (g *genre) UnmarshalText(b []byte) error {
	for i, name := range genres {
		if name == string(b) {
			*g = genre(i)
			return nil
		}
	}
	return errors.New("no such genre")
}
func (genre) Generate(r *mathrand.Rand, _ int) reflect.Value {
	return reflect.ValueOf(genre(r.Intn(2)))
}

func (byWire) MarshalJSON() ([]byte, error)    { return []byte(`7`), nil }
func (*byWire) UnmarshalJSON(b []byte) error   { return nil }
func (bySchema) MarshalJSON() ([]byte, error)  { return []byte(`7`), nil }
func (*bySchema) UnmarshalJSON(b []byte) error { return nil }
func (bySchema) JSONSchema() json.RawMessage   { return json.RawMessage(`{"type":"integer"}`) }

// good are structs whose JSON encoding/json both writes and reads.
var good = []any{
	struct {
		base     // promoted
		X    int `json:"x"`
	}{},
	struct {
		Exported `json:"base"` // a member of its own
		X        int           `json:"x"`
	}{},
	struct {
		*Exported     // promoted, if it is there
		X         int `json:"x,omitzero"`
	}{},
	struct {
		A int     `json:"a,string"`
		B float64 `json:"b,string"`
		C bool    `json:",string"`
		D *uint8  `json:"d,string"`
		//lint:ignore SA5008 without effect, which is what is tested
		E []int `json:"e,string"`
	}{},
	struct {
		Genre  genre           `json:"genre"`
		Genres []genre         `json:"genres"`
		By     map[genre]title `json:"by"`
	}{},
	struct {
		Page page[title] `json:"page"`
		Deep page[*page[int]]
	}{},
	struct {
		A int8
		B uint16
		C uint
		D [3]bool
		E [2]byte
		F []byte
		G map[int8]string
		H map[string][]*int
		I any
		J **int
		K float32
		L title
		M bySchema
	}{},
	struct {
		Skipped int `json:"-"`
		//lint:ignore SA5008 an odd name, and one that encoding/json does not take: the Go name holds
		Dash int `json:"-,"`
		//lint:ignore SA5008 the same
		Quote  int    `json:"a\"b"`
		Kanji  int    `json:"漢字"`
		hidden int    //nolint:unused // it has no JSON
		Mode   string `json:"mode" enum:"fast,slow" jsonschema:"how"`
	}{Mode: "fast"},
}

// What a value is written as fits its type's schema and is read back.
func TestSchemaFitsWhatIsWritten(t *testing.T) {
	for _, example := range good {
		typ := reflect.TypeOf(example)
		t.Run(typ.String(), func(t *testing.T) { checkType(t, typ, 300) })
	}
}

// Structs of random fields and tags.
func TestSchemaFitsRandomTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		checkType(t, randomStruct(r, 2), 5)
	}
}

func randomStruct(r *rand.Rand, depth int) reflect.Type {
	var fields []reflect.StructField
	for i := range 1 + r.IntN(5) {
		tag := []string{"", fmt.Sprintf(`json:"f%d"`, i), `json:",omitempty"`, `json:",string"`, fmt.Sprintf(`json:"g%d,omitzero,string"`, i), `json:"-"`}[r.IntN(6)]
		typ := randomType(r, depth)
		text := typ.Kind() == reflect.String || typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.String
		if strings.Contains(tag, "string") && (text || strings.HasSuffix(typ.String(), "genre")) { // refused
			tag = ""
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: typ, Tag: reflect.StructTag(tag)})
	}
	return reflect.StructOf(fields)
}

func randomType(r *rand.Rand, depth int) reflect.Type {
	leaves := []any{false, 0, int8(0), int16(0), int32(0), uint8(0), uint32(0), uint64(0), float64(0), float32(0), "", title(""), []byte(nil), genre(0)}
	if depth == 0 || r.IntN(2) == 0 {
		return reflect.TypeOf(leaves[r.IntN(len(leaves))])
	}
	inner := randomType(r, depth-1)
	switch r.IntN(6) {
	case 0:
		return reflect.PointerTo(inner)
	case 1:
		return reflect.SliceOf(inner)
	case 2:
		return reflect.ArrayOf(r.IntN(3), inner)
	case 3:
		return reflect.MapOf(reflect.TypeFor[string](), inner)
	case 4:
		return reflect.MapOf(reflect.TypeFor[int](), inner)
	}
	return randomStruct(r, depth-1)
}

func checkType(t *testing.T, typ reflect.Type, values int) {
	t.Helper()
	schema, err := schemaOf(typ)
	require.NoError(t, err, typ)
	raw, err := json.Marshal(schema)
	require.NoError(t, err)
	resolved, err := resolveSchema(raw)
	require.NoError(t, err, "%s", raw)
	r := mathrand.New(mathrand.NewSource(3))
	for range values {
		v := randomValue(typ, r)
		written, err := json.Marshal(v.Interface())
		require.NoError(t, err)
		var instance any
		require.NoError(t, json.Unmarshal(written, &instance))
		require.NoError(t, resolved.Validate(instance), "%s\nfits not\n%s", written, raw)
		read := reflect.New(typ)
		require.NoError(t, json.Unmarshal(written, read.Interface()), "%s into %v", written, typ)

		// And what fits the schema is read, with nothing left over.
		written, err = json.Marshal(randomInstance(schema, r, 0))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(written, &instance))
		require.NoError(t, resolved.Validate(instance), "%s\nfits not\n%s", written, raw)
		read = reflect.New(typ)
		decoder := json.NewDecoder(bytes.NewReader(written))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(read.Interface()), "%s into %v", written, typ)
	}
}

// randomValue is a value of a type, with the enum of its tag.
func randomValue(typ reflect.Type, r *mathrand.Rand) reflect.Value {
	v := reflect.New(typ).Elem()
	fill(v, r)
	return v
}

func fill(v reflect.Value, r *mathrand.Rand) {
	t := v.Type()
	switch {
	case t == reflect.TypeFor[genre]():
		v.Set(reflect.ValueOf(genre(r.Intn(2))))
		return
	case t == reflect.TypeFor[bySchema](), t == reflect.TypeFor[any]():
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("enum") != "" {
				v.Field(i).SetString("slow")
			} else if f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				if v.Field(i).CanSet() {
					fill(v.Field(i), r)
				}
			}
		}
	case reflect.Pointer:
		if r.Intn(2) == 0 {
			v.Set(reflect.New(t.Elem()))
			fill(v.Elem(), r)
		}
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && r.Intn(3) > 0 {
			v.Set(reflect.MakeSlice(t, r.Intn(3), 3))
		}
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.Map:
		if r.Intn(3) > 0 {
			v.Set(reflect.MakeMap(t))
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			fill(key, r)
			fill(value, r)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(strconv.Itoa(r.Int()))
	default:
		random, _ := quick.Value(t, r)
		v.Set(random)
	}
}

// randomInstance is a JSON value that fits a schema as schemaOf makes them.
func randomInstance(s *jsonschema.Schema, r *mathrand.Rand, depth int) any {
	if len(s.Enum) > 0 {
		return s.Enum[r.Intn(len(s.Enum))]
	}
	kind := s.Type
	if len(s.Types) > 0 {
		kind = s.Types[r.Intn(len(s.Types))]
	}
	switch kind {
	case "boolean":
		return r.Intn(2) == 0
	case "integer":
		if s.Maximum != nil {
			return int64(*s.Maximum)
		}
		return r.Intn(100)
	case "number":
		return r.Float32()
	case "string":
		switch {
		case strings.HasPrefix(s.Pattern, "^(true"):
			return "true"
		case s.Pattern != "":
			return strconv.Itoa(r.Intn(100))
		case s.ContentEncoding != "":
			return "aGk="
		}
		return genres[r.Intn(2)] // which the texts of the tests' types are, too
	case "array":
		n := r.Intn(3)
		if s.MinItems != nil {
			n = *s.MinItems
		}
		list := make([]any, n)
		for i := range list {
			list[i] = randomInstance(s.Items, r, depth+1)
		}
		return list
	case "object":
		object := map[string]any{}
		for name, property := range s.Properties {
			if r.Intn(2) == 0 || contains(s.Required, name) {
				object[name] = randomInstance(property, r, depth+1)
			}
		}
		if s.Properties == nil && s.AdditionalProperties != nil && s.AdditionalProperties.Not == nil {
			key := genres[r.Intn(2)]
			if s.PropertyNames != nil {
				key = strconv.Itoa(r.Intn(100))
			}
			object[key] = randomInstance(s.AdditionalProperties, r, depth+1)
		}
		return object
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// What encoding/json would read otherwise than a schema can say is refused when
// the tool is made, with the path of the field.
func TestSchemaRefuses(t *testing.T) {
	type inner struct {
		Wire byWire
	}
	type left struct{ ID int }
	type right struct{ ID int }
	for want, v := range map[string]any{
		`.A.Wire: the type converse.byWire reads its JSON itself`: struct{ A inner }{},
		`.A[].Wire: the type`:                                           struct{ A []inner }{},
		`.F: encoding/json does not read a func`:                        struct{ F func() }{},
		`.C: encoding/json does not read a chan`:                        struct{ C chan int }{},
		`.I: encoding/json cannot read into the interface fmt.Stringer`: struct{ I fmt.Stringer }{},
		`.M: encoding/json does not read map keys of type float64`:      struct{ M map[float64]int }{},
		`.S: a text within a text`: struct {
			S string `json:",string"`
		}{},
		`.G: encoding/json does not read converse.genre with the option string`: struct {
			G genre `json:",string"`
		}{},
		`.base: encoding/json cannot set an embedded pointer`:       struct{ *base }{},
		`endless.More: the type converse.endless is part of itself`: endless{},
		`.right.ID: it has the JSON name "ID", as`: struct {
			left
			right
		}{},
		`.E: its enum tag has "x"`: struct {
			E int `enum:"1,x"`
		}{},
		`.E: its enum tag has "manga": no such genre`: struct {
			E genre `enum:"shonen,manga"`
		}{},
		`.E: its enum tag has "true": it is for strings`: struct {
			E bool `enum:"true"`
		}{},
		`.D: its jsonschema tag is empty`: struct {
			D int `jsonschema:""`
		}{},
	} {
		_, err := schemaOf(reflect.TypeOf(v))
		assert.ErrorContains(t, err, want)
	}
}

func TestSchemaOfKnownTypes(t *testing.T) {
	schema, err := schemaOf(reflect.TypeFor[struct {
		Number json.Number `json:"number"`
		Big    *big.Int    `json:"big"`
		Addr   netip.Addr  `json:"addr"`
		At     *time.Time  `json:"at,omitempty"`
		Kind   []string    `json:"kind" enum:"a,b"`
		Stars  *int        `json:"stars" enum:"1,2" jsonschema:"sort=none is allowed in a description"`
	}]())
	require.NoError(t, err)
	raw, err := json.Marshal(schema)
	require.NoError(t, err)
	assert.JSONEq(t, `{"type":"object","additionalProperties":false,"required":["number","big","addr","kind","stars"],"properties":{
		"number":{"type":"number"},"big":{"type":["null","integer"]},"addr":{"type":"string"},"at":{"type":["null","string"],"format":"date-time"},
		"kind":{"type":["null","array"],"items":{"type":"string","enum":["a","b"]}},
		"stars":{"type":["null","integer"],"enum":[null,1,2],"description":"sort=none is allowed in a description"}}}`, string(raw))
}
