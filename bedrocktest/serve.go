package bedrocktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/mangaassist/bedrockkit"
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
	if rt.op != bedrockkit.OpInvokeModelWithBidirectionalStream { // whose body lasts as long as the session
		weight := s.weight(r)
		if !s.gate.acquire(ctx, weight) {
			panic(http.ErrAbortHandler)
		}
		defer s.gate.release(weight)
		body, err = io.ReadAll(http.MaxBytesReader(nil, r.Body, s.opts.MaxBody))
	}
	x.req = &Request{
		Op: rt.op, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(),
		Header: r.Header.Clone(), Body: body, Proto: r.Proto, Time: s.opts.Now(),
	}
	if len(params) > 0 && names(rt.op) {
		x.req.Model = bedrockkit.ModelID(params[0])
	}
	x.req.params = params
	if rt.op == bedrockkit.OpInvokeModelWithBidirectionalStream {
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
	s.remember(x.req)
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
		s.surprise("%s %s is not an operation of Bedrock that the server knows", r.Method, line(r.URL.EscapedPath()))
		x.send(Error(http.StatusNotFound, "UnknownOperationException", "The requested operation is not recognized by the service."))
	case rt.op == bedrockkit.OpInvokeModelWithBidirectionalStream:
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
		if r = x.guard(); r != nil {
			break // no model is asked, and no quota of one taken
		}
		throttled, settle := s.reserve(req)
		if throttled != nil {
			return throttled
		}
		x.settle = settle
		r = x.model()
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
	case r.status != 0 || r.code != "": // a status of 0 panics, and the test shows it
		x.fail(r, r.status, r.code, r.message)
	case x.req.Op.Streaming():
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

// body sends a body that is not a stream.
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
