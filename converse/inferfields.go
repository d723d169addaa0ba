package converse

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A jsonField is a field of a struct as encoding/json knows it.
type jsonField struct {
	name     string
	path     string // for errors: the Go names from the root
	typ      reflect.Type
	tag      reflect.StructTag
	tagged   bool // the name is that of a tag
	quoted   bool
	optional bool
	index    []int
}

// jsonFields are the fields that encoding/json reads, by its rules: those of
// embedded structs are the struct's own unless a tag names them, and the least
// deep one of a name wins, then the one with a tag. A field that encoding/json
// silently passes over, as another has its name or as it cannot be set, is an
// error.
func jsonFields(t reflect.Type, path string) ([]jsonField, error) {
	type embedded struct {
		typ      reflect.Type
		path     string
		index    []int
		optional bool // behind a pointer
	}
	var fields []jsonField
	level := []embedded{{typ: t, path: path}}
	seen := map[reflect.Type]bool{}
	for len(level) > 0 {
		var next []embedded
		var met []reflect.Type
		for _, e := range level {
			if seen[e.typ] {
				continue // a deeper one of the same type never wins
			}
			met = append(met, e.typ)
			for i := range e.typ.NumField() {
				sf := e.typ.Field(i)
				at := e.path + "." + sf.Name
				inner := sf.Type
				if inner.Name() == "" && inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				if sf.Anonymous {
					if !sf.IsExported() && inner.Kind() != reflect.Struct {
						continue
					}
				} else if !sf.IsExported() {
					continue
				}
				tag := sf.Tag.Get("json")
				if tag == "-" {
					continue
				}
				name, options, _ := strings.Cut(tag, ",")
				if !isTagName(name) {
					name = ""
				}
				index := append(slices.Clone(e.index), i)
				if name == "" && sf.Anonymous && inner.Kind() == reflect.Struct {
					pointer := sf.Type.Kind() == reflect.Pointer
					if pointer && !sf.IsExported() {
						return nil, refused(at, "encoding/json cannot set an embedded pointer to a type that is not exported")
					}
					next = append(next, embedded{inner, at, index, e.optional || pointer})
					continue
				}
				f := jsonField{name: cmp.Or(name, sf.Name), path: at, typ: sf.Type, tag: sf.Tag, tagged: name != "", optional: e.optional, index: index}
				for option := range strings.SplitSeq(options, ",") {
					switch option {
					case "omitempty", "omitzero":
						f.optional = true
					case "string":
						f.quoted = isQuotable(sf.Type)
					}
				}
				fields = append(fields, f)
			}
		}
		for _, typ := range met {
			seen[typ] = true
		}
		level = next
	}
	return dominant(fields)
}

// dominant keeps one field of each name, in the order of the struct.
func dominant(fields []jsonField) ([]jsonField, error) {
	best := map[string]jsonField{}
	for _, f := range fields {
		other, ok := best[f.name]
		switch {
		case !ok, len(f.index) < len(other.index), len(f.index) == len(other.index) && f.tagged && !other.tagged:
			best[f.name] = f
		case len(f.index) == len(other.index) && f.tagged == other.tagged:
			return nil, refused(f.path, "it has the JSON name %q, as %s has, so encoding/json reads neither", f.name, other.path)
		}
	}
	kept := make([]jsonField, 0, len(best))
	for _, f := range best {
		kept = append(kept, f)
	}
	slices.SortFunc(kept, func(a, b jsonField) int { return slices.Compare(a.index, b.index) })
	return kept, nil
}

// isTagName reports whether encoding/json takes a tag's name.
func isTagName(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

// isQuotable reports whether the option "string" has an effect on a type.
func isQuotable(t reflect.Type) bool {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64, reflect.String:
		return true
	}
	return integer(t.Kind()) != nil
}
