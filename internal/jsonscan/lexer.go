package jsonscan

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// The grammar of JSON, for those who go through any of it: each function begins
// at an offset and returns the one after what it has read. They allocate nothing
// and take what encoding/json takes.

// MaxDepth bounds the nesting of JSON, as encoding/json does.
const MaxDepth = 10000

// SkipSpace returns the offset of the first byte at or after i that is not white
// space, len(b) if there is none.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// SkipValue returns the offset after the value at i, -1 if there is no valid
// one. depth is how many objects and lists it lies in.
func SkipValue(b []byte, i, depth int) int {
	if i = SkipSpace(b, i); i >= len(b) || depth >= MaxDepth {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return SkipString(b, i)
	case '{', '[':
		return Members(b, i, depth, nil)
	case 't':
		return skipLiteral(b, i, "true")
	case 'f':
		return skipLiteral(b, i, "false")
	case 'n':
		return skipLiteral(b, i, "null")
	default:
		return SkipNumber(b, i)
	}
}

// Members returns the offset after the object or list at i, -1 if it is not
// valid. It calls each, unless it is nil, with the quoted key of a member, nil in
// a list, and with its value.
func Members(b []byte, i, depth int, each func(key, value []byte)) int {
	isObject := b[i] == '{'
	end := byte(']')
	if isObject {
		end = '}'
	}
	if i = SkipSpace(b, i+1); i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		var key []byte
		if isObject {
			start := SkipSpace(b, i)
			if start >= len(b) || b[start] != '"' {
				return -1
			}
			if i = SkipString(b, start); i < 0 {
				return -1
			}
			key = b[start:i]
			if i = SkipSpace(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i++
		}
		start := SkipSpace(b, i)
		if i = SkipValue(b, start, depth+1); i < 0 {
			return -1
		}
		if each != nil {
			each(key, b[start:i:i])
		}
		if i = SkipSpace(b, i); i >= len(b) {
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

// SkipString returns the offset after the string whose quote is at i, -1 if it
// is not valid. It does not look for bytes that are not UTF-8, which
// encoding/json replaces.
func SkipString(b []byte, i int) int {
	for i++; ; {
		if i += Special(b[min(i, len(b)):]); i >= len(b) || b[i] < 0x20 {
			return -1
		}
		if b[i] == '"' {
			return i + 1
		}
		n := escape(b[i:])
		if n == 0 {
			return -1
		}
		i += n
	}
}

// escape is the length of the escape sequence that b begins with, 0 if it is
// not one.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := unit(b); ok {
			return 6
		}
	}
	return 0
}

func skipLiteral(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}

// SkipNumber returns the offset after the number at i, -1 if there is none.
func SkipNumber(b []byte, i int) int {
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
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

// Valid is json.Valid, several times as fast.
func Valid(b []byte) bool {
	i := SkipValue(b, 0, 0)
	return i >= 0 && SkipSpace(b, i) == len(b)
}

const ones, highs = 0x0101010101010101, 0x8080808080808080

// stops sets the highest bit of each byte of w that is a quote, a backslash or
// below 0x20: less one, or less 0x20, it borrows. A borrow can set the bits of
// further bytes, but only above the lowest that is right.
func stops(w uint64) uint64 {
	return (((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - 0x20*ones)) &^ w & highs
}

// Special is the index of the first byte that a JSON string cannot hold as it
// is: a quote, a backslash or a control character; len(s) if there is none. It
// looks at eight bytes at once, since nearly all of a request is text.
func Special[T string | []byte](s T) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if found := stops(w); found != 0 {
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

// The errors of AppendText.
var (
	errEnd     = errors.New("the JSON ends within a string")
	errUTF8    = errors.New("a string that ends here is not UTF-8")
	errEscape  = errors.New("an escape sequence that is none")
	errControl = errors.New("a control character in a string")
)

// AppendText appends the text of the string whose quote is at i to dst, and
// returns the offset after it, or that of what is wrong. It copies eight bytes
// at a time, as far as they hold nothing special. A surrogate that is not one of
// a pair, which JSON can hold and UTF-8 cannot, becomes the three bytes that
// UTF-8 would have for it: they occur nowhere else, and AppendQuote writes the
// escape again.
func AppendText(dst, src []byte, i int) ([]byte, int, error) {
	open := i
	i++
	// What is written is never longer than what is read; a word may be written
	// past its end.
	dst = slices.Grow(dst, len(src)-i+16)
	j, out := len(dst), dst[:cap(dst)]
	seen := uint64(0)
	for {
		for i+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(out[j:], w)
			if stop := stops(w); stop != 0 {
				seen |= w & (stop&-stop - 1)
				n := bits.TrailingZeros64(stop) >> 3
				i, j = i+n, j+n
				break
			}
			seen |= w
			i, j = i+8, j+8
		}
		if i == len(src) {
			return dst, i, errEnd
		}
		switch c := src[i]; {
		case c == '"':
			if seen&highs != 0 && !validUTF8(src[open:i]) {
				return dst, i, errUTF8
			}
			return out[:j], i + 1, nil
		case c == '\\':
			n, width := unescape(out[j:], src[i:])
			if n == 0 {
				return dst, i, errEscape
			}
			i, j = i+n, j+width
		case c < 0x20:
			return dst, i, errControl
		default:
			seen |= uint64(c)
			out[j] = c
			i, j = i+1, j+1
		}
	}
}

// validUTF8 is utf8.Valid, in half the time where most characters have three
// bytes, as in Chinese, Japanese and Korean: it takes two of them at a time. It
// leaves those that begin with E0 or ED, which may be too long or surrogates,
// to package utf8.
func validUTF8(s []byte) bool {
	for len(s) > 0 {
		if len(s) >= 8 {
			w := binary.LittleEndian.Uint64(s)
			if w&highs == 0 {
				s = s[8:]
				continue
			}
			if w&0xC0C0F0_C0C0F0 == 0x8080E0_8080E0 && threeBytes>>(w&0xF)&(threeBytes>>(w>>24&0xF))&1 != 0 {
				s = s[6:]
				continue
			}
		}
		if s[0] < utf8.RuneSelf {
			s = s[1:]
			continue
		}
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 {
			return false
		}
		s = s[n:]
	}
	return true
}

// threeBytes has a bit for each of E0 to EF after which any two continuation
// bytes are a character.
const threeBytes = 0xFFFF &^ (1<<0x0 | 1<<0xD)

// unescape writes what an escape sequence at the beginning of src stands for,
// and returns how many bytes it read and wrote; none if there is no such
// sequence.
func unescape(out, src []byte) (n, width int) {
	if len(src) < 2 {
		return 0, 0
	}
	c := src[1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, ok := unit(src)
		if !ok {
			return 0, 0
		}
		n = 6
		if 0xD800 <= r && r < 0xDC00 {
			if low, ok := unit(src[n:]); ok && 0xDC00 <= low && low < 0xE000 {
				r = 0x10000 + (r-0xD800)<<10 + (low - 0xDC00)
				n = 12
			}
		}
		if 0xD800 <= r && r < 0xE000 {
			out[0], out[1], out[2] = 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F
			return n, 3
		}
		return n, utf8.EncodeRune(out, r)
	default:
		return 0, 0
	}
	out[0] = c
	return 2, 1
}

// unit reads \uXXXX at the beginning of src.
func unit(src []byte) (rune, bool) {
	if len(src) < 6 || src[0] != '\\' || src[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range src[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
