// Package jsonscan is the one lexer of JSON here. A Scanner reads JSON of a known
// shape in one pass and without allocating: the events of streams that come for
// every token, and plain answers; what it does not know it refuses, and
// encoding/json reads it. The functions go through any JSON: they skip values,
// list members, and read and write strings without losing a lone surrogate.
package jsonscan

import (
	"bytes"
	"unicode/utf8"
)

// A Scanner stands at a place in JSON. Its methods take what comes next and
// report whether it is what they are for; after one that has failed the scanner
// is of no more use. It may refuse what is right, but never takes what is wrong,
// except for a string whose text is not asked for: that is not unescaped.
type Scanner struct {
	b  []byte
	at int
}

// New returns a scanner at the beginning of data.
func New(data []byte) Scanner { return Scanner{b: data} }

func (s *Scanner) space() {
	if s.at < len(s.b) && s.b[s.at] > ' ' {
		return
	}
	s.at = SkipSpace(s.b, s.at)
}

// Take takes a byte that is not a part of a value: a brace, a comma.
func (s *Scanner) Take(c byte) bool {
	s.space()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// Skip takes exactly these bytes, if they come next.
func (s *Scanner) Skip(text string) bool {
	if len(s.b)-s.at < len(text) || string(s.b[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return true
}

// Str returns a string's bytes between the quotes, still escaped.
func (s *Scanner) Str() (raw []byte, ok bool) {
	if !s.Take('"') {
		return nil, false
	}
	start := s.at
	for {
		i := bytes.IndexByte(s.b[s.at:], '"')
		if i < 0 {
			return nil, false
		}
		s.at += i + 1
		// The quote is escaped by an odd number of backslashes before it.
		slashes := 0
		for j := s.at - 2; j >= start && s.b[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return s.b[start : s.at-1], true
		}
	}
}

// Text takes a string and returns its text.
func (s *Scanner) Text() (text string, ok bool) {
	raw, ok := s.Str()
	if ok && !Plain(raw) {
		raw, ok = AppendString(nil, raw)
	}
	return string(raw), ok
}

// Number returns a number of at most nine digits.
func (s *Scanner) Number() (n int, ok bool) {
	s.space()
	start := s.at
	for s.at < len(s.b) && s.at-start < 9 && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		n = n*10 + int(s.b[s.at]-'0')
		s.at++
	}
	if s.at == start || s.b[start] == '0' && s.at > start+1 {
		return 0, false
	}
	return n, true
}

// Word takes a literal: null, true or false.
func (s *Scanner) Word(w string) bool {
	s.space()
	return s.Skip(w)
}

// Digits takes a number of any size that is not negative.
func (s *Scanner) Digits() bool {
	s.space()
	start := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at == start+1 || s.at > start && s.b[start] != '0'
}

// Name takes a string that nobody reads, of ASCII without escapes.
func (s *Scanner) Name() bool {
	raw, ok := s.Str()
	return ok && Plain(raw)
}

// Value takes any value and returns its bytes.
func (s *Scanner) Value() (raw []byte, ok bool) {
	s.space()
	end := SkipValue(s.b, s.at, 0)
	if end < 0 {
		return nil, false
	}
	raw, s.at = s.b[s.at:end], end
	return raw, true
}

// List calls item for each value of a list, the scanner standing at it, until
// item refuses one.
func (s *Scanner) List(item func() bool) bool {
	if !s.Take('[') {
		return false
	}
	if s.Take(']') {
		return true
	}
	for item() {
		if s.Take(']') {
			return true
		}
		if !s.Take(',') {
			return false
		}
	}
	return false
}

// Only calls field with each key of the one object of a list.
func (s *Scanner) Only(field func(key []byte) bool) bool {
	return s.Take('[') && s.Object(field) && s.Take(']')
}

// Object calls field with each key of an object, the scanner standing at its
// value, until field refuses one.
func (s *Scanner) Object(field func(key []byte) bool) bool {
	if !s.Take('{') {
		return false
	}
	if s.Take('}') {
		return true
	}
	for {
		key, ok := s.Str()
		if !ok || !s.Take(':') || !field(key) {
			return false
		}
		if s.Take('}') {
			return true
		}
		if !s.Take(',') {
			return false
		}
	}
}

// End reports whether nothing is left.
func (s *Scanner) End() bool {
	s.space()
	return s.at == len(s.b)
}

// Plain reports whether a raw string is its own text: ASCII without escapes.
func Plain(raw []byte) bool {
	for _, c := range raw {
		if c-0x20 >= utf8.RuneSelf-0x20 || c == '\\' {
			return false
		}
	}
	return true
}

// AppendString appends the text of a raw string to dst. It fails at what
// encoding/json refuses or replaces: control characters, bytes that are not
// UTF-8, escapes that are none and lone surrogates.
func AppendString(dst, raw []byte) ([]byte, bool) {
	ascii := true
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c < 0x20:
			return dst, false
		case c == '\\':
			return appendEscaped(dst, raw, i)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !ascii && !utf8.Valid(raw) {
		return dst, false
	}
	return append(dst, raw...), true
}

func appendEscaped(dst, raw []byte, i int) ([]byte, bool) {
	if !utf8.Valid(raw) {
		return dst, false
	}
	dst = append(dst, raw[:i]...)
	var out [utf8.UTFMax]byte
	for i < len(raw) {
		c := raw[i]
		if c < 0x20 {
			return dst, false
		}
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		n, width := unescape(out[:], raw[i:])
		if n == 0 || surrogate(string(out[:width])) != 0 {
			return dst, false
		}
		dst = append(dst, out[:width]...)
		i += n
	}
	return dst, true
}
