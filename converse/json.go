package converse

import (
	"bytes"
	"encoding/json"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

func appendString(b []byte, s string) []byte { return jsonscan.AppendQuote(b, s) }

// object returns a JSON object without the space around it, "{}" for none.
func object(raw json.RawMessage) ([]byte, bool) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 {
		return []byte("{}"), true
	}
	return trimmed, trimmed[0] == '{' && jsonscan.Valid(trimmed)
}

// A member is one of a JSON object; an item of a list has no key.
type member = jsonscan.Member

// find is the value of a member of an object, nil if there is none.
func find(all []member, key string) json.RawMessage {
	for _, m := range all {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// members returns the members of a JSON object, in their order.
func members(raw json.RawMessage) ([]member, error) {
	list, ok := jsonscan.Entries(bytes.TrimSpace(raw), '{')
	if !ok {
		return nil, errNoObject
	}
	return list, nil
}
