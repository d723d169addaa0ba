package bedrocktest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net"
	"net/http"
	"time"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// sendFrames sends the messages of a stream as the reply wants them, and reports
// whether to go on.
func (x *exchange) sendFrames(r *Reply, frames []Frame) bool {
	for _, edit := range r.edits {
		frames = edit(frames)
	}
	pace := r.pace
	if pace <= 0 {
		pace = x.s.opts.Pace
	}
	began, sent := time.Now(), int64(0)
	var buf []byte
	for i, f := range frames {
		if r.stallAfter != nil && i == *r.stallAfter {
			x.stall()
		}
		if pace > 0 && f.Tokens > 0 {
			sent += f.Tokens
			x.wait(time.Until(began.Add(atRate(sent, pace))))
		}
		if i == len(frames)-1 {
			x.settleQuota()
		}
		buf = x.encode(buf[:0], f)
		if !x.write(r, buf) {
			return false
		}
		x.update(func(o *Outcome) { o.Events++ })
	}
	if r.stallAfter != nil && *r.stallAfter >= len(frames) {
		x.stall()
	}
	return true
}

// encode is the frame of a message, padded as Bedrock pads it: a member p of
// changing length hides the length of the text.
func (x *exchange) encode(dst []byte, f Frame) []byte {
	at := len(dst)
	switch {
	case f.Raw != nil:
		dst = append(dst, f.Raw...)
	case f.Exception:
		dst = eventstream.AppendException(dst, f.Type, f.Payload)
	case x.req.family != nil:
		dst = eventstream.AppendEvent(dst, "chunk", pad(appendChunk(nil, f.Payload)))
	default:
		dst = eventstream.AppendEvent(dst, f.Type, pad(f.Payload))
	}
	if f.mangle != nil {
		f.mangle(dst[at:])
	}
	return dst
}

// pad adds the member p to a JSON object. It leaves the payload alone.
func pad(payload []byte) []byte {
	end := bytes.LastIndexByte(payload, '}')
	if end < 1 {
		return payload
	}
	n := digest(string(payload))%uint64(len(alphanumeric)) + 1
	out := make([]byte, 0, len(payload)+int(n)+8)
	out = append(out, payload[:end]...)
	if payload[end-1] != '{' {
		out = append(out, ',')
	}
	out = append(out, `"p":"`...)
	out = append(out, alphanumeric[:n]...)
	return append(out, `"}`...)
}

// claim is a prelude that claims lengths, with a right checksum, and 16 bytes.
func claim(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return append(b, make([]byte, 16)...)
}

// write sends a part of the body, up to where the reply cuts or breaks it, and
// reports whether to go on.
func (x *exchange) write(r *Reply, b []byte) bool {
	sent := x.req.Outcome.Bytes
	end := sent + int64(len(b))
	cut := r.cutAfter != nil && end > *r.cutAfter
	abort := r.abortAfter != nil && end >= *r.abortAfter && (!cut || *r.abortAfter <= *r.cutAfter)
	switch {
	case abort:
		b = b[:max(0, *r.abortAfter-sent)]
	case cut:
		b = b[:max(0, *r.cutAfter-sent)]
	}
	// Counted first: a client that has a whole body may look at once.
	x.update(func(o *Outcome) { o.Bytes += int64(len(b)) })
	n, err := x.w.Write(b)
	if err == nil {
		err = x.flush()
	}
	if n < len(b) {
		x.update(func(o *Outcome) { o.Bytes -= int64(len(b) - n) })
	}
	switch {
	case err != nil:
		x.end("client left")
		return false
	case abort:
		x.abort()
	case cut:
		x.end("cut")
		return false
	}
	return true
}

func (x *exchange) flush() error { return http.NewResponseController(x.w).Flush() }

// abort breaks the connection, or on HTTP/2 the stream.
func (x *exchange) abort() {
	x.end("aborted")
	if x.r.ProtoMajor == 1 {
		// Without lingering, closing sends a reset.
		if c, ok := x.r.Context().Value(connKey{}).(net.Conn); ok {
			if l, ok := c.(interface{ SetLinger(int) error }); ok {
				l.SetLinger(0)
			}
		}
	}
	panic(http.ErrAbortHandler)
}

// wait sleeps. It breaks the connection if the client leaves meanwhile or the
// server is closed: a response that merely ended would seem to be whole.
func (x *exchange) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.ctx.Done():
		x.end("client left")
		panic(http.ErrAbortHandler)
	}
}

// stall waits until the client leaves or the server is closed, and breaks the
// connection then.
func (x *exchange) stall() {
	<-x.ctx.Done()
	x.end("stalled until the client left")
	panic(http.ErrAbortHandler)
}
