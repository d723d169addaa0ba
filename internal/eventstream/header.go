package eventstream

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The types of header values on the wire.
const (
	typeTrue byte = iota
	typeFalse
	typeByte
	typeInt16
	typeInt32
	typeInt64
	typeBytes
	typeString
	typeTimestamp
	typeUUID
)

// A Header is a named value. Value is a bool, int8, int16, int32, int64,
// []byte, string, time.Time (of millisecond precision) or [16]byte (a UUID).
type Header struct {
	Name  string
	Value any
}

// index checks the headers and finds those that steer decoding.
func index(headers []byte) (s steering, err error) {
	for rest := headers; len(rest) > 0; {
		name, typ, value, tail, err := cutHeader(rest)
		if err != nil {
			return steering{}, err
		}
		rest = tail
		if typ != typeString {
			continue
		}
		switch string(name) {
		case ":message-type":
			s.MessageType = value
		case ":event-type":
			s.EventType = value
		case ":exception-type":
			s.ExceptionType = value
		case ":error-code":
			s.ErrorCode = value
		case ":error-message":
			s.ErrorMessage = value
		}
	}
	return s, nil
}

// Headers decodes all headers in their order, as copies.
func (f *Frame) Headers() ([]Header, error) {
	var headers []Header
	for rest := f.headers; len(rest) > 0; {
		name, typ, value, tail, err := cutHeader(rest)
		if err != nil {
			return nil, err
		}
		rest = tail
		headers = append(headers, Header{Name: string(name), Value: decodeValue(typ, value)})
	}
	return headers, nil
}

// cutHeader splits the first header off b.
func cutHeader(b []byte) (name []byte, typ byte, value, tail []byte, err error) {
	fail := func(what string) ([]byte, byte, []byte, []byte, error) {
		return nil, 0, nil, nil, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	n := int(b[0])
	if n == 0 {
		return fail("a header without a name")
	}
	if len(b) < 1+n+1 {
		return fail("a header's name runs over the headers' end")
	}
	name, typ, b = b[1:1+n], b[1+n], b[2+n:]
	var size int
	switch typ {
	case typeTrue, typeFalse:
	case typeByte:
		size = 1
	case typeInt16:
		size = 2
	case typeInt32:
		size = 4
	case typeInt64, typeTimestamp:
		size = 8
	case typeUUID:
		size = 16
	case typeBytes, typeString:
		if len(b) < 2 {
			return fail("a header's value runs over the headers' end")
		}
		size = int(binary.BigEndian.Uint16(b))
		b = b[2:]
	default:
		return fail(fmt.Sprintf("header value type %d", typ))
	}
	if len(b) < size {
		return fail("a header's value runs over the headers' end")
	}
	return name, typ, b[:size], b[size:], nil
}

func decodeValue(typ byte, b []byte) any {
	switch typ {
	case typeTrue:
		return true
	case typeFalse:
		return false
	case typeByte:
		return int8(b[0])
	case typeInt16:
		return int16(binary.BigEndian.Uint16(b))
	case typeInt32:
		return int32(binary.BigEndian.Uint32(b))
	case typeInt64:
		return int64(binary.BigEndian.Uint64(b))
	case typeBytes:
		return append([]byte{}, b...)
	case typeString:
		return string(b)
	case typeTimestamp:
		return time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	default: // typeUUID: cutHeader knows no other
		return [16]byte(b)
	}
}
