package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
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
	if e.pos < len(e.src) && e.src[e.pos] > ' ' {
		return e.src[e.pos]
	}
	if e.pos = jsonscan.SkipSpace(e.src, e.pos); e.pos < len(e.src) {
		return e.src[e.pos]
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
	end := jsonscan.SkipNumber(e.src, e.pos)
	if end < 0 {
		return e.unexpected("a number")
	}
	e.out = append(e.out, '#')
	e.out = binary.BigEndian.AppendUint32(e.out, uint32(end-e.pos))
	e.out = append(e.out, e.src[e.pos:end]...)
	e.pos = end
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
		cold, warm := e.cold, e.warm
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
			e.out, e.cold, e.warm = e.out[:m.start], cold, warm // as if it were not there
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

// string writes a string with its escapes resolved. A surrogate that is not one
// of a pair stays different from all other text; see jsonscan.AppendText.
func (e *encoder) string() (err error) {
	begin := len(e.out)
	e.out = append(e.out, '"', 0, 0, 0, 0)
	if e.out, e.pos, err = jsonscan.AppendText(e.out, e.src, e.pos); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(e.out[begin+1:], uint32(len(e.out)-begin-5))
	return nil
}
