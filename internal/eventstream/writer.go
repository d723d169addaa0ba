package eventstream

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// AppendEvent appends the frame of an event with a JSON payload to dst.
func AppendEvent(dst []byte, eventType string, payload []byte) []byte {
	start := len(dst)
	dst = begin(dst)
	dst = appendString(dst, ":event-type", eventType)
	dst = appendString(dst, ":content-type", "application/json")
	dst = appendString(dst, ":message-type", "event")
	return finish(dst, start, payload)
}

// AppendException appends the frame of a modelled exception with a JSON
// payload to dst.
func AppendException(dst []byte, exceptionType string, payload []byte) []byte {
	start := len(dst)
	dst = begin(dst)
	dst = appendString(dst, ":exception-type", exceptionType)
	dst = appendString(dst, ":content-type", "application/json")
	dst = appendString(dst, ":message-type", "exception")
	return finish(dst, start, payload)
}

// AppendError appends the frame of an unmodelled error to dst.
func AppendError(dst []byte, code, message string) []byte {
	start := len(dst)
	dst = begin(dst)
	dst = appendString(dst, ":error-code", code)
	dst = appendString(dst, ":error-message", message)
	dst = appendString(dst, ":message-type", "error")
	return finish(dst, start, nil)
}

// AppendMessage appends a frame with any headers to dst. It panics on a value
// that is none of [Header]'s types, on a name that is empty or longer than 255
// bytes and on a string or bytes value longer than 65,535 bytes.
func AppendMessage(dst []byte, headers []Header, payload []byte) []byte {
	start := len(dst)
	dst = begin(dst)
	for _, h := range headers {
		dst = appendHeader(dst, h)
	}
	return finish(dst, start, payload)
}

// begin leaves room for the prelude.
func begin(dst []byte) []byte { return append(dst, make([]byte, preludeLen)...) }

// finish appends the payload and the CRC to the frame that starts at start
// and writes its prelude.
func finish(dst []byte, start int, payload []byte) []byte {
	headers := len(dst) - start - preludeLen
	dst = append(dst, payload...)
	total := len(dst) - start + 4
	if uint64(total) > math.MaxUint32 {
		panic(fmt.Sprintf("eventstream: a frame of %d bytes", total))
	}
	frame := dst[start:]
	binary.BigEndian.PutUint32(frame, uint32(total))
	binary.BigEndian.PutUint32(frame[4:], uint32(headers))
	binary.BigEndian.PutUint32(frame[8:], crc32.ChecksumIEEE(frame[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(frame))
}

func appendName(dst []byte, name string, typ byte) []byte {
	if len(name) == 0 || len(name) > math.MaxUint8 {
		panic(fmt.Sprintf("eventstream: a header name of %d bytes", len(name)))
	}
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, typ)
}

func appendString(dst []byte, name, value string) []byte {
	return appendSized(appendName(dst, name, typeString), value)
}

func appendSized[T string | []byte](dst []byte, value T) []byte {
	if len(value) > math.MaxUint16 {
		panic(fmt.Sprintf("eventstream: a header value of %d bytes", len(value)))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

func appendHeader(dst []byte, h Header) []byte {
	switch v := h.Value.(type) {
	case bool:
		if v {
			return appendName(dst, h.Name, typeTrue)
		}
		return appendName(dst, h.Name, typeFalse)
	case int8:
		return append(appendName(dst, h.Name, typeByte), byte(v))
	case int16:
		return binary.BigEndian.AppendUint16(appendName(dst, h.Name, typeInt16), uint16(v))
	case int32:
		return binary.BigEndian.AppendUint32(appendName(dst, h.Name, typeInt32), uint32(v))
	case int64:
		return binary.BigEndian.AppendUint64(appendName(dst, h.Name, typeInt64), uint64(v))
	case []byte:
		return appendSized(appendName(dst, h.Name, typeBytes), v)
	case string:
		return appendString(dst, h.Name, v)
	case time.Time:
		return binary.BigEndian.AppendUint64(appendName(dst, h.Name, typeTimestamp), uint64(v.UnixMilli()))
	case [16]byte:
		return append(appendName(dst, h.Name, typeUUID), v[:]...)
	}
	panic(fmt.Sprintf("eventstream: a header value of type %T", h.Value))
}
