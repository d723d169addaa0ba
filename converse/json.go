package converse

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Like encoding/json it writes U+FFFD
// for bytes that are no UTF-8; unlike it, it leaves <, > and & alone, as the
// service does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	for {
		i := special(s)
		b = append(b, s[:i]...)
		if i == len(s) {
			return append(b, '"')
		}
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
		}
		s = s[i+1:]
	}
}

// special is the index of the first byte that a JSON string cannot hold as it
// is: a quote, a backslash or a control character; len(s) if there is none. It
// looks at eight bytes at once, since nearly all of a request is text.
func special[T string | []byte](s T) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// The lowest byte that is marked is marked rightly; what a borrow marks
		// lies above it.
		if found := ((w - ones*0x20) | (quote - ones) | (slash - ones)) & ^w & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// maxDepth bounds the nesting of JSON, as encoding/json does.
const maxDepth = 10000

// scanValue returns the offset behind the JSON value at i, or -1 where there is
// no valid one. It takes what json.Valid takes and allocates nothing.
func scanValue(b []byte, i, depth int) int {
	if i = skipSpace(b, i); i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return scanString(b, i)
	case '{', '[':
		return scanComposite(b, i, depth, nil)
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	default:
		return scanNumber(b, i)
	}
}

// scanComposite scans an object or a list and calls each, unless it is nil, with
// the quoted key of a member, nil in a list, and with its value.
func scanComposite(b []byte, i, depth int, each func(key, value []byte)) int {
	isObject := b[i] == '{'
	end := byte(']')
	if isObject {
		end = '}'
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		var key []byte
		if isObject {
			start := skipSpace(b, i)
			if start >= len(b) || b[start] != '"' {
				return -1
			}
			if i = scanString(b, start); i < 0 {
				return -1
			}
			key = b[start:i]
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i++
		}
		start := skipSpace(b, i)
		if i = scanValue(b, start, depth+1); i < 0 {
			return -1
		}
		if each != nil {
			each(key, b[start:i:i])
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case end:
			return i + 1
		case ',':
			i++
		default:
			return -1
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func scanString(b []byte, i int) int {
	for i++; ; i += 2 {
		if i += special(b[min(i, len(b)):]); i >= len(b) {
			return -1
		}
		if b[i] == '"' {
			return i + 1
		}
		if b[i] != '\\' || i+1 >= len(b) {
			return -1
		}
		switch b[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if i+6 > len(b) {
				return -1
			}
			for _, c := range b[i+2 : i+6] {
				if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
					return -1
				}
			}
			i += 4
		default:
			return -1
		}
	}
}

func scanLiteral(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}

func scanNumber(b []byte, i int) int {
	digits := func() bool {
		start := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if zero := i < len(b) && b[i] == '0'; zero {
		i++
	} else if !digits() {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i++; !digits() {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

// validJSON is json.Valid, several times as fast.
func validJSON(b []byte) bool {
	i := scanValue(b, 0, 1)
	return i >= 0 && skipSpace(b, i) == len(b)
}

// object returns a JSON object without the space around it, "{}" for none.
func object(raw json.RawMessage) ([]byte, bool) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 {
		return []byte("{}"), true
	}
	return trimmed, trimmed[0] == '{' && validJSON(trimmed)
}

// A member is one of a JSON object; of a list it has no key.
type member struct {
	key   string
	value json.RawMessage
}

// entries reads a JSON object or a list, of which raw is all; ok is false for
// anything else. The values are parts of raw.
func entries(raw []byte, first byte) (all []member, ok bool) {
	if len(raw) == 0 || raw[0] != first {
		return nil, false
	}
	end := scanComposite(raw, 0, 1, func(key, value []byte) {
		m := member{value: value}
		if key != nil {
			m.key = unquote(key)
		}
		all = append(all, m)
	})
	return all, end == len(raw)
}

// unquote is the text of a JSON string that is valid.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return "" // scanString has let nothing through that it could refuse
	}
	return s
}

// find is the value of a member of an object, nil where there is none.
func find(all []member, key string) json.RawMessage {
	for _, m := range all {
		if m.key == key {
			return m.value
		}
	}
	return nil
}
