package eventstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	preludeLen = 12 // total length, headers length, CRC
	minFrame   = 16 // the prelude and the CRC of the message

	// MaxHeaders is the most bytes of headers that a frame may have.
	MaxHeaders = 128 << 10
	// DefaultMaxFrame is the most bytes of a frame where a Reader is given no
	// other bound: the 24 MiB that the encoding allows.
	DefaultMaxFrame = 24 << 20

	// A buffer is small at first, as a slow stream has a frame at a time, and
	// grows to the other as soon as more than it holds has come.
	firstBuffer = 1 << 10
	busyBuffer  = 4 << 10
)

// The errors of a Reader; those that it returns wrap one of them, io.EOF or
// the error of the reader below.
var (
	// ErrMalformed is a frame that cannot be: lengths or headers that
	// contradict one another.
	ErrMalformed = errors.New("malformed event-stream frame")
	// ErrChecksum is a frame whose CRC does not fit its bytes.
	ErrChecksum = errors.New("event-stream checksum mismatch")
	// ErrTooLarge is a frame over the bound.
	ErrTooLarge = errors.New("event-stream frame too large")
)

// A Frame is one message of a stream. It belongs to the Reader and holds until
// its next call.
type Frame struct {
	steering

	Payload []byte

	headers []byte
}

// steering are the headers that steer decoding, nil where the frame has none.
type steering struct {
	MessageType   []byte // :message-type, "event", "exception" or "error"
	EventType     []byte // :event-type
	ExceptionType []byte // :exception-type
	ErrorCode     []byte // :error-code
	ErrorMessage  []byte // :error-message
}

// A Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	r   io.Reader
	max int
	buf []byte // buf[off:end] has been read and not yet given out
	off int
	end int
	err error

	// The headers of the frame before, as a copy, and what they said: the
	// frames of a stream have nearly always the same ones.
	headers []byte
	frame   Frame
}

// NewReader returns a Reader of the frames in r, each of at most max bytes;
// 0 means DefaultMaxFrame.
func NewReader(r io.Reader, max int) *Reader {
	if max <= 0 {
		max = DefaultMaxFrame
	}
	return &Reader{r: r, max: max}
}

// Next returns the next frame. After the last one it returns io.EOF; an end
// within a frame is io.ErrUnexpectedEOF. An error stays: every later call
// returns it again.
func (r *Reader) Next() (*Frame, error) {
	if r.err == nil {
		r.err = r.next()
	}
	if r.err != nil {
		r.buf = nil
		return nil, r.err
	}
	return &r.frame, nil
}

func (r *Reader) next() error {
	// next is kept small: it is on the stack while fill waits for the model.
	if err := r.fill(preludeLen); err != nil {
		return err
	}
	n, headers, err := r.prelude()
	if err != nil {
		return err
	}
	if err := r.fill(n); err != nil {
		return err
	}
	return r.cut(n, headers)
}

// prelude reads the lengths of a frame and of its headers.
func (r *Reader) prelude() (n, headers int, err error) {
	prelude := r.buf[r.off : r.off+preludeLen]
	total, head := binary.BigEndian.Uint32(prelude), binary.BigEndian.Uint32(prelude[4:])
	// The checksum first: what is not a frame at all, as a proxy's page, claims
	// any length.
	if checksum(0, prelude[:8]) != binary.BigEndian.Uint32(prelude[8:]) {
		return 0, 0, fmt.Errorf("%w in the prelude", ErrChecksum)
	}
	switch {
	case total < minFrame:
		return 0, 0, fmt.Errorf("%w: total length %d, at least %d is needed", ErrMalformed, total, minFrame)
	case head > total-minFrame:
		return 0, 0, fmt.Errorf("%w: headers of %d bytes in a frame of %d", ErrMalformed, head, total)
	case uint64(total) > uint64(r.max):
		return 0, 0, fmt.Errorf("%w: %d bytes, the bound is %d", ErrTooLarge, total, r.max)
	case head > MaxHeaders:
		return 0, 0, fmt.Errorf("%w: headers of %d bytes, the bound is %d", ErrTooLarge, head, MaxHeaders)
	}
	return int(total), int(head), nil
}

// cut takes a frame of n bytes out of the buffer.
func (r *Reader) cut(n, headers int) error {
	raw := r.buf[r.off : r.off+n]
	// The prelude's checksum has been found right, and the message's goes on from it.
	if checksum(binary.BigEndian.Uint32(raw[8:]), raw[8:n-4]) != binary.BigEndian.Uint32(raw[n-4:]) {
		return fmt.Errorf("%w in the message", ErrChecksum)
	}
	r.off += n
	h := preludeLen + headers
	if !bytes.Equal(raw[preludeLen:h], r.headers) {
		r.headers = append(r.headers[:0], raw[preludeLen:h]...)
		steer, err := index(r.headers)
		if err != nil {
			return err
		}
		r.frame = Frame{steering: steer, headers: r.headers}
	}
	r.frame.Payload = raw[h : n-4]
	return nil
}

// fill makes r.buf[r.off:] hold at least n bytes.
func (r *Reader) fill(n int) error {
	for empty := 0; r.end-r.off < n; {
		if r.off == r.end {
			r.off, r.end = 0, 0
		}
		if r.end == len(r.buf) || r.off+n > len(r.buf) && r.off > 0 {
			r.makeRoom()
		}
		m, err := r.r.Read(r.buf[r.end:])
		r.end += m
		if r.end-r.off >= n {
			return nil // an error with the last bytes comes again
		}
		switch {
		case err == io.EOF && r.off == r.end:
			return io.EOF
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty == 100 {
			return io.ErrNoProgress
		}
	}
	return nil
}

// makeRoom moves what is unread to the front of the buffer, or makes a larger
// one when it is full: so it grows with the bytes that came, not with a length
// that a frame claims.
func (r *Reader) makeRoom() {
	size := firstBuffer
	switch n := len(r.buf); {
	case n >= busyBuffer && r.off > 0:
		r.end = copy(r.buf, r.buf[r.off:r.end])
		r.off = 0
		return
	case n >= busyBuffer:
		size = 2 * n
	case n > 0:
		size = busyBuffer
	}
	grown := make([]byte, size)
	r.end = copy(grown, r.buf[r.off:r.end])
	r.off, r.buf = 0, grown
}
