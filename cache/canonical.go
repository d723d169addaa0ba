package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"
)

const (
	maxBody  = 25_000_000 // bytes, what InvokeModel takes (API reference)
	maxDepth = 128        // objects and arrays within each other
	maxKept  = 1 << 20    // bytes of a buffer that is kept for the next request
)

// An encoder writes pre-images. It goes through the JSON once and builds no
// values: an object is written as it comes, and its members are then moved into
// their order if they were not in it.
type encoder struct {
	src     []byte
	pos     int
	out     []byte
	members []member // those of the objects that are open
	moved   []byte

	ignore     []string // names of members of the outermost object
	cold, warm bool     // a temperature that is 0, one that is not
}

// A member of an object, by offsets into out.
type member struct{ start, nameEnd, end int }

var encoders = sync.Pool{New: func() any { return new(encoder) }}

func (e *encoder) release() {
	e.src, e.ignore = nil, nil
	if cap(e.out)+cap(e.moved) <= maxKept {
		encoders.Put(e)
	}
}

// json writes one JSON value, which must be all of src.
func (e *encoder) json(src []byte) error {
	e.src, e.pos, e.members = src, 0, e.members[:0]
	e.cold, e.warm = false, false
	if err := e.value(0); err != nil {
		return fmt.Errorf("body at byte %d: %w", e.pos, err)
	}
	if e.space(); e.pos < len(src) {
		return fmt.Errorf("body at byte %d: there is more after the JSON value", e.pos)
	}
	return nil
}

// space skips white space and returns the byte after it, or 0 at the end.
func (e *encoder) space() byte {
	for ; e.pos < len(e.src); e.pos++ {
		switch c := e.src[e.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// The tags of a pre-image. That every value begins with its own tag, has its
// length where it has no end of its own, and that "]" and "}" begin no value,
// makes the form free of prefixes: it can be read back in one way only.
func (e *encoder) value(depth int) error {
	switch c := e.space(); c {
	case '{':
		return e.object(depth + 1)
	case '[':
		return e.array(depth + 1)
	case '"':
		return e.string()
	case 't':
		return e.literal("true")
	case 'f':
		return e.literal("false")
	case 'n':
		return e.literal("null")
	default:
		if c == '-' || isDigit(c) {
			return e.number()
		}
		return e.unexpected("a value")
	}
}

func (e *encoder) unexpected(want string) error {
	if e.pos >= len(e.src) {
		return fmt.Errorf("the JSON ends where %s is expected", want)
	}
	return fmt.Errorf("this is not %s", want)
}

func (e *encoder) literal(name string) error {
	if !bytes.HasPrefix(e.src[e.pos:], []byte(name)) {
		return e.unexpected("a value")
	}
	e.pos += len(name)
	e.out = append(e.out, name[0])
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number writes a number as it stands: 1, 1.0 and 1e0 are three numbers, since
// nobody knows what reads them at the other side.
func (e *encoder) number() error {
	i, src := e.pos, e.src
	at := func() byte {
		if i < len(src) {
			return src[i]
		}
		return 0
	}
	digits := func() bool {
		begin := i
		for isDigit(at()) {
			i++
		}
		return i > begin
	}
	if at() == '-' {
		i++
	}
	ok := true
	if at() == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && at() == '.' {
		i++
		ok = digits()
	}
	if ok && at()|0x20 == 'e' {
		i++
		if c := at(); c == '+' || c == '-' {
			i++
		}
		ok = digits()
	}
	if !ok {
		return e.unexpected("a number")
	}
	e.out = append(e.out, '#')
	e.out = binary.BigEndian.AppendUint32(e.out, uint32(i-e.pos))
	e.out = append(e.out, src[e.pos:i]...)
	e.pos = i
	return nil
}

func (e *encoder) array(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	e.out = append(e.out, '[')
	e.pos++
	if e.space() == ']' {
		e.pos++
		e.out = append(e.out, ']')
		return nil
	}
	for {
		if err := e.value(depth); err != nil {
			return err
		}
		switch e.space() {
		case ',':
			e.pos++
		case ']':
			e.pos++
			e.out = append(e.out, ']')
			return nil
		default:
			return e.unexpected("a comma or the end of an array")
		}
	}
}

var errDepth = fmt.Errorf("the JSON is nested deeper than %d", maxDepth)

// object writes the members in the order of the bytes of their names.
func (e *encoder) object(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	e.out = append(e.out, '{')
	e.pos++
	first, begin, sorted := len(e.members), len(e.out), true
	if e.space() == '}' {
		e.pos++
		e.out = append(e.out, '}')
		return nil
	}
	for {
		if e.space() != '"' {
			return e.unexpected("the name of a member")
		}
		m := member{start: len(e.out)}
		if err := e.string(); err != nil {
			return err
		}
		m.nameEnd = len(e.out)
		if len(e.members) > first && e.compare(e.members[len(e.members)-1], m) >= 0 {
			sorted = false
		}
		if e.space() != ':' {
			return e.unexpected("a colon")
		}
		e.pos++
		if err := e.value(depth); err != nil {
			return err
		}
		m.end = len(e.out)
		if depth <= 2 && string(e.name(m)) == "temperature" {
			e.temperature(e.out[m.nameEnd:])
		}
		if depth == 1 && len(e.ignore) > 0 && slices.Contains(e.ignore, string(e.name(m))) {
			e.out = e.out[:m.start]
		} else {
			e.members = append(e.members, m)
		}
		switch e.space() {
		case ',':
			e.pos++
			continue
		case '}':
			e.pos++
		default:
			return e.unexpected("a comma or the end of an object")
		}
		break
	}
	if !sorted {
		if err := e.sort(e.members[first:], begin); err != nil {
			return err
		}
	}
	e.members = e.members[:first]
	e.out = append(e.out, '}')
	return nil
}

// temperature notes a temperature as it was written: tag, length, digits.
func (e *encoder) temperature(value []byte) {
	zero := value[0] == '#'
	if zero {
		mantissa := value[5:]
		if i := bytes.IndexAny(mantissa, "eE"); i >= 0 {
			mantissa = mantissa[:i]
		}
		zero = len(bytes.Trim(mantissa, "-0.")) == 0
	}
	if zero {
		e.cold = true
	} else {
		e.warm = true
	}
}

// name is the name of a member, without its tag and length.
func (e *encoder) name(m member) []byte { return e.out[m.start+5 : m.nameEnd] }

func (e *encoder) compare(a, b member) int { return bytes.Compare(e.name(a), e.name(b)) }

// sort moves the members of an object, which begin at an offset into out. A
// name that is there twice is an error: readers differ in which one they take.
func (e *encoder) sort(members []member, begin int) error {
	slices.SortFunc(members, e.compare)
	for i := 1; i < len(members); i++ {
		if e.compare(members[i-1], members[i]) == 0 {
			return fmt.Errorf("an object that ends here has two members of one name")
		}
	}
	if begin < len(e.out)-begin { // copying what comes before is less than copying back
		e.moved = append(e.moved[:0], e.out[:begin]...)
		for _, m := range members {
			e.moved = append(e.moved, e.out[m.start:m.end]...)
		}
		e.out, e.moved = e.moved, e.out
		return nil
	}
	e.moved = append(e.moved[:0], e.out[begin:]...)
	at := begin
	for _, m := range members {
		at += copy(e.out[at:], e.moved[m.start-begin:m.end-begin])
	}
	return nil
}

// string writes a string with its escapes resolved. It copies eight bytes at a
// time, as far as they hold nothing special.
func (e *encoder) string() error {
	src, i := e.src, e.pos+1
	// What is written is never longer than what is read; a word may be written
	// past its end.
	e.out = slices.Grow(e.out, len(src)-i+16)
	begin, out := len(e.out), e.out[:cap(e.out)]
	j := begin + 5
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
			return e.fail(i, "the JSON ends within a string")
		}
		switch c := src[i]; {
		case c == '"':
			if seen&highs != 0 && !validUTF8(src[e.pos:i]) {
				return e.fail(i, "a string that ends here is not UTF-8")
			}
			e.pos = i + 1
			out[begin] = '"'
			binary.BigEndian.PutUint32(out[begin+1:], uint32(j-begin-5))
			e.out = out[:j]
			return nil
		case c == '\\':
			n, width := unescape(out[j:], src[i:])
			if n == 0 {
				return e.fail(i, "an escape sequence that is none")
			}
			i, j = i+n, j+width
		case c < 0x20:
			return e.fail(i, "a control character in a string")
		default:
			seen |= uint64(c)
			out[j] = c
			i, j = i+1, j+1
		}
	}
}

func (e *encoder) fail(at int, what string) error {
	e.pos = at
	return errors.New(what)
}

const ones, highs = 0x0101010101010101, 0x8080808080808080

// stops sets the highest bit of each byte of w that is a quote, a backslash or
// below 0x20: less one, or less 0x20, it borrows. A borrow can set the bits of
// further bytes, but only above the lowest that is right.
func stops(w uint64) uint64 {
	return (((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - 0x20*ones)) &^ w & highs
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
// sequence. A surrogate that is not one of a pair gets the three bytes that
// UTF-8 would have for it, which occur nowhere else.
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
		r, ok := hex4(src)
		if !ok {
			return 0, 0
		}
		n = 6
		if 0xD800 <= r && r < 0xDC00 {
			if low, ok := hex4(src[n:]); ok && 0xDC00 <= low && low < 0xE000 {
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

// hex4 reads \uXXXX at the beginning of src.
func hex4(src []byte) (rune, bool) {
	if len(src) < 6 || src[0] != '\\' || src[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range src[2:6] {
		switch {
		case isDigit(c):
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
