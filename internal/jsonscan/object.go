package jsonscan

import "encoding/json"

// A Member is one of a JSON object; an item of a list has no key.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Entries reads a JSON object or a list, which begins with first and is all of raw;
// ok is false for anything else. The values are parts of raw.
func Entries(raw []byte, first byte) (all []Member, ok bool) {
	if len(raw) == 0 || raw[0] != first {
		return nil, false
	}
	end := Members(raw, 0, 0, func(key, value []byte) {
		m := Member{Value: value}
		if key != nil {
			m.Key = Unquote(key)
		}
		all = append(all, m)
	})
	return all, end == len(raw)
}

// Join writes a JSON object.
func Join(list []Member) json.RawMessage {
	b := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendQuote(b, m.Key)
		b = append(b, ':')
		b = append(b, m.Value...)
	}
	return append(b, '}')
}
