package bedrocktest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// discardLog takes net/http's complaints about connections that were broken on
// purpose.
var discardLog = log.New(io.Discard, "", 0)

type connKey struct{}

// An exchange is a request that is being served.
type exchange struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	req *Request
	ctx context.Context // ends when the client leaves or the server closes

	settle  func(bedrockkit.Usage) // of what was reserved of a quota
	guarded *finding               // what a guardrail found in the input
}

// ServeHTTP makes a Server an [http.Handler], to be mounted elsewhere.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // as a server does that is gone
	}
	defer s.active.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	x := &exchange{s: s, w: w, r: r, ctx: ctx}
	rt, params, known := match(r.Method, r.URL.EscapedPath())
	var body []byte
	var err error
	if rt.op != OpInvokeModelWithBidirectionalStream { // whose body lasts as long as the session
		body, err = io.ReadAll(http.MaxBytesReader(nil, r.Body, s.opts.MaxBody))
	}
	x.req = &Request{
		Op: rt.op, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(),
		Header: r.Header.Clone(), Body: body, Proto: r.Proto, Time: s.opts.Now(),
	}
	if len(params) > 0 && rt.op.named() {
		x.req.Model = bedrockkit.ModelID(params[0])
	}
	x.req.params = params
	if rt.op == OpInvokeModelWithBidirectionalStream {
		x.req.family = sonic{}
	}
	// The request is read before anyone can see it, and refused later.
	var refused *Reply
	if known && err == nil && rt.read != nil {
		refused = rt.read(s, x)
	}
	s.mu.Lock()
	s.received++
	x.req.N = s.received
	s.requests = append(s.requests, x.req)
	if keep := s.opts.KeepRequests; keep > 0 && len(s.requests) > keep {
		s.requests[0] = nil
		s.requests = s.requests[1:]
	}
	s.mu.Unlock()
	finished := false
	defer func() {
		x.settleQuota()
		v := recover()
		switch {
		case v != nil && v != http.ErrAbortHandler:
			// net/http would only log it.
			x.end(fmt.Sprintf("panicked: %v", v))
			s.surprise("answering request #%d, %s to %s: panic: %v\n%s", x.req.N, rt.op, x.req.Model, v, debug.Stack())
		case v == nil && !finished:
			x.end("its goroutine was ended, as by t.FailNow in a hook or a Responder")
		}
		x.update(func(o *Outcome) { o.Done = true })
		if v != nil {
			panic(http.ErrAbortHandler)
		}
	}()

	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		x.send(Error(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The request body is too large."))
	case err != nil:
		x.end("the body of the request cannot be read: " + err.Error())
		panic(http.ErrAbortHandler) // returning would send a status of 200
	case !known:
		s.surprise("%s %s is no operation of Bedrock that the server knows", r.Method, r.URL.EscapedPath())
		x.send(Error(http.StatusNotFound, "UnknownOperationException", "The requested operation is not recognized by the service."))
	case rt.op == OpInvokeModelWithBidirectionalStream:
		x.bidirectional()
	default:
		x.send(x.answer(rt, refused))
	}
	finished = true
}

// enter counts a request that is being served, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.active.Add(1)
	}
	return !s.closed
}

// answer finds the reply to a request of a known operation.
// Refused is what Bedrock would refuse it with, or nil.
func (x *exchange) answer(rt route, refused *Reply) *Reply {
	s, req := x.s, x.req
	if r := s.authorize(x.r, req.Body); r != nil {
		return r
	}
	if r := s.control(x.ctx, req); r != nil {
		return r
	}
	if refused != nil {
		return refused
	}
	instead, apply := s.faults(req)
	if instead != nil {
		return instead
	}
	var r *Reply
	switch c, computes := req.family.(computer); {
	case rt.run != nil:
		r = rt.run(s, x)
	case computes:
		r = computeBody(c.compute(req))
	default:
		throttled, settle := s.reserve(req)
		if throttled != nil {
			return throttled
		}
		x.settle = settle
		if r = x.guard(); r == nil {
			r = x.model()
		}
	}
	if len(apply) > 0 {
		r = r.clone()
		for _, fn := range apply {
			fn(r)
		}
	}
	return r
}

// model is the answer of the script or of the Responder.
func (x *exchange) model() *Reply {
	s, req := x.s, x.req
	if r := s.next(); r != nil {
		return r
	}
	if s.opts.Responder != nil {
		if r := s.opts.Responder(x.ctx, req); r != nil {
			return r
		}
	}
	if x.ctx.Err() != nil {
		return Error(http.StatusServiceUnavailable, "ServiceUnavailableException", "The server is closed.")
	}
	s.surprise("nothing answers request #%d, %s to %s: script it with Server.Reply, or set Options.Responder", req.N, req.Op, req.Model)
	return Error(http.StatusNotImplemented, "UnexpectedRequest", "bedrocktest: no reply is scripted for this request and there is no Responder")
}

// maxUnexpected bounds what is remembered to fail the test with, for a program
// has no test and runs for long.
const maxUnexpected = 100

func (s *Server) surprise(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unexpected) < maxUnexpected {
		s.unexpected = append(s.unexpected, fmt.Sprintf(format, args...))
	}
}

// settleQuota gives back what was reserved and not used, once: before the last of
// the answer is sent, as a client may ask again as soon as he has it.
func (x *exchange) settleQuota() {
	if x.settle != nil {
		x.settle(x.req.Outcome.Usage)
		x.settle = nil
	}
}

func (x *exchange) update(fn func(*Outcome)) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	fn(&x.req.Outcome)
}

func (x *exchange) end(how string) { x.update(func(o *Outcome) { o.End = how }) }

// send writes a reply with all its faults.
func (x *exchange) send(r *Reply) {
	x.wait(r.delay)
	if r.stallFirst {
		x.stall()
	}
	h := x.w.Header()
	h.Set("X-Amzn-Requestid", x.requestID())
	switch {
	case r.isRaw:
		x.body(r, r.status, r.raw)
	case r.status != 0 || r.code != "": // a status of 0 panics, and the test tells
		x.fail(r, r.status, r.code, r.message)
	case x.req.Op.streams():
		x.stream(r)
	case r.inStream != nil:
		x.fail(r, exceptionStatus(r.inStream.code), r.inStream.code, r.inStream.message)
	default:
		a := x.complete(r)
		x.update(func(o *Outcome) { o.Usage = a.usage })
		var body []byte
		if x.req.family != nil {
			invokeHeaders(h, a)
			body = a.withAction(x.req.family.body(a))
		} else {
			body = converseBody(a)
		}
		h.Set("Content-Type", "application/json")
		x.body(r, http.StatusOK, body)
	}
}

// requestID is a UUID, the same for the same request of the same test.
func (x *exchange) requestID() string {
	a, b := digest("request", strconv.Itoa(x.req.N), x.req.Path), digest(string(x.req.Body), strconv.Itoa(x.req.N))
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", uint32(a), uint16(a>>32), uint16(a>>48)&0xfff, uint16(b>>48)&0xfff, b&0xffffffffffff)
}

func exceptionStatus(code string) int {
	if e, ok := exceptions[upperFirst(code)]; ok {
		return e.status
	}
	return http.StatusBadRequest
}

// errorNamespace is what the service puts after an error's name.
const errorNamespace = ":http://internal.amazon.com/coral/com.amazon.bedrock/"

func (x *exchange) fail(r *Reply, status int, code, message string) {
	x.update(func(o *Outcome) { o.Code = code })
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	v := object{}
	if code != "" {
		h.Set("X-Amzn-Errortype", code+errorNamespace)
	}
	if message != "" {
		v["message"] = message
	}
	x.body(r, status, marshal(v))
}

func (x *exchange) start(r *Reply, status int) {
	for key, values := range r.header {
		x.w.Header()[key] = values
	}
	x.update(func(o *Outcome) { o.Status = status })
	x.w.WriteHeader(status)
}

// body sends a body that is no stream.
func (x *exchange) body(r *Reply, status int, body []byte) {
	if r.cutAfter == nil && r.abortAfter == nil { // else a body could be whole before it breaks
		x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.start(r, status)
	if r.stallAfter != nil {
		x.flush()
		x.stall()
	}
	x.settleQuota()
	x.write(r, body)
}

// stream sends the events of an answer.
func (x *exchange) stream(r *Reply) {
	a := x.complete(r)
	x.update(func(o *Outcome) { o.Usage = a.usage })
	h := x.w.Header()
	h.Set("Content-Type", "application/vnd.amazon.eventstream")
	var frames []Frame
	if x.req.family != nil {
		frames = x.req.family.frames(a)
		last := &frames[len(frames)-1]
		last.Payload = a.withAction(last.Payload)
		h.Set("X-Amzn-Bedrock-Content-Type", "application/json")
		setInvokeOptions(h, a)
	} else {
		frames = converseFrames(a)
	}
	x.start(r, http.StatusOK)
	x.flush()
	x.sendFrames(r, frames)
}

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
