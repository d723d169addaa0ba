package jsonscan

import (
	"bytes"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendQuote appends s as a JSON string. Like encoding/json it writes U+FFFD
// for bytes that are not UTF-8; unlike it, it leaves <, > and & alone, as the
// service does, and writes a lone surrogate as it was read; see AppendText.
func AppendQuote(b []byte, s string) []byte {
	b = append(b, '"')
	if !utf8.ValidString(s) {
		return appendInvalid(b, s)
	}
	for {
		i := Special(s)
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

// appendInvalid appends a string that is not UTF-8 and its closing quote.
func appendInvalid(b []byte, s string) []byte {
	for len(s) > 0 {
		if r := surrogate(s); r != 0 {
			b = append(b, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&0xF], hexDigits[r>>4&0xF], hexDigits[r&0xF])
			s = s[3:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		quoted := AppendQuote(nil, string(r))
		b = append(b, quoted[1:len(quoted)-1]...)
		s = s[size:]
	}
	return append(b, '"')
}

// surrogate is the lone surrogate that s begins with, 0 for none.
func surrogate(s string) rune {
	if len(s) < 3 || s[0] != 0xED || s[1]&0xE0 != 0xA0 || s[2]&0xC0 != 0x80 {
		return 0
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F)
}

// IsText reports whether a string is UTF-8, lone surrogates apart.
func IsText(s string) bool {
	for !utf8.ValidString(s) {
		for s != "" && surrogate(s) == 0 {
			r, size := utf8.DecodeRuneInString(s)
			if r == utf8.RuneError && size == 1 {
				return false
			}
			s = s[size:]
		}
		if s != "" {
			s = s[3:]
		}
	}
	return true
}

// ToText replaces the bytes that keep a string from being a text by U+FFFD each.
func ToText(s string) string {
	if IsText(s) {
		return s
	}
	return Unquote(AppendQuote(nil, s))
}

// Unquote returns the text of a JSON string that is valid, U+FFFD in place of a
// byte that is not UTF-8.
func Unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	if !utf8.Valid(quoted) {
		var valid []byte
		for rest := quoted; len(rest) > 0; {
			r, size := utf8.DecodeRune(rest)
			valid = utf8.AppendRune(valid, r)
			rest = rest[size:]
		}
		quoted = valid
	}
	text, _, err := AppendText(nil, quoted, 0)
	if err != nil {
		return "" // it was not valid
	}
	return string(text)
}
