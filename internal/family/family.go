// Package family is what the packages of the model families share: bodies with
// fields that this module does not know, and the check of the model.
package family

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

// Marshal writes v, a struct or a pointer to one, as a JSON object and adds the
// extra fields in the order of their names. It writes <, > and & as they are:
// what was read is written again byte for byte.
func Marshal(v any, extra map[string]json.RawMessage) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(extra) == 0 {
		return body, nil
	}
	known := fieldsOf(v)
	body = body[:len(body)-1]
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if known[strings.ToLower(name)] {
			return nil, fmt.Errorf("extra has %q, which is a field of its own; set that one", name)
		}
		if !json.Valid(extra[name]) {
			return nil, fmt.Errorf("the value of %q in extra is not JSON", name)
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		body = append(append(append(body, key...), ':'), extra[name]...)
	}
	return append(body, '}'), nil
}

// Unmarshal reads a JSON object into the struct that v points to and returns
// the fields that it has no place for, nil where there are none.
func Unmarshal(data []byte, v any) (map[string]json.RawMessage, error) {
	// What nearly every object is takes one pass.
	if Strict(data, v) {
		return nil, nil
	}
	reflect.ValueOf(v).Elem().SetZero()
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	var extra map[string]json.RawMessage
	if err := json.Unmarshal(data, &extra); err != nil {
		return nil, err
	}
	known := fieldsOf(v)
	maps.DeleteFunc(extra, func(name string, _ json.RawMessage) bool { return known[strings.ToLower(name)] })
	if len(extra) == 0 {
		return nil, nil
	}
	return extra, nil
}

// Strict reads JSON into v and reports whether v has a place for all of it.
func Strict(data []byte, v any) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if dec.Decode(v) != nil {
		return false
	}
	return len(bytes.TrimSpace(data[dec.InputOffset():])) == 0
}

// fields are the names of each struct's JSON fields, in lower case as
// encoding/json compares them.
var fields sync.Map // of map[string]bool by reflect.Type

func fieldsOf(v any) map[string]bool {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if known, ok := fields.Load(t); ok {
		return known.(map[string]bool)
	}
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch name {
		case "-":
			continue
		case "":
			name = f.Name
		}
		known[strings.ToLower(name)] = true
	}
	fields.Store(t, known)
	return known
}

// Usage is the usage of a body that counts its input and output in tokens. It
// is unknown where the body lacks either or says what cannot be.
func Usage(input, output *int64) bedrockkit.Usage {
	if input == nil || output == nil || *input < 0 || *output < 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return bedrockkit.Usage{InputTokens: *input, OutputTokens: *output}
}

// PromptUsage is the usage of a body in the words of Chat Completions. Most
// count what was read from and written to the prompt cache within the prompt's
// tokens; a total that is the sum of all says that this one does not. total may
// be nil.
func PromptUsage(prompt, completion, total *int64, read, written int64) bedrockkit.Usage {
	u := Usage(prompt, completion)
	if u.Unknown || min(read, written) < 0 || read > math.MaxInt64/4 || written > math.MaxInt64/4 || max(u.InputTokens, u.OutputTokens) > math.MaxInt64/4 {
		return bedrockkit.Usage{Unknown: true}
	}
	u.CacheReadTokens, u.CacheWrite5mTokens = read, written
	if total != nil && read+written > 0 && *total == u.Total() {
		return u
	}
	if u.InputTokens -= read + written; u.InputTokens < 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return u
}

// Between returns an error where a value is given and out of its range. The
// ends belong to the range.
func Between[N int | float64](name string, value *N, low, high N) error {
	if value == nil || *value >= low && *value <= high {
		return nil
	}
	return fmt.Errorf("%s is %v; it is from %v to %v", name, *value, low, high)
}
