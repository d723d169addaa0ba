package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

var (
	// ErrClosed is the error of a stream that was closed before its end.
	// errors.Is also finds context.Canceled: the reader left, nothing failed.
	ErrClosed error = closedError{}
	// ErrUsed is the error of a second loop over a stream: its events are
	// gone. Result holds what they said.
	ErrUsed = errors.New("stream was read before; a stream can be read once")
)

type closedError struct{}

func (closedError) Error() string { return "stream was closed before its end" }

func (closedError) Is(target error) bool { return target == context.Canceled }

// A Stream is the answer to one call, as it comes. It is read once, by one of
// its iterators. Only Close may be called while another goroutine reads.
type Stream struct {
	call   *bedrockx.Call
	newDec func() decoder
	tape   *tape // of a replay, which has no response

	// To continue a stream that broke; see continued.go.
	open      func(*bedrockx.Call) error
	continued int
	trimmed   bool
	broken    []func() // they end the calls that broke, without the lock

	// The attempt that answered.
	ctx    context.Context
	body   io.ReadCloser
	frames *eventstream.Reader
	dec    decoder

	cancel  context.CancelFunc // ends whatever the stream waits for
	stop    func() bool        // of the context's AfterFunc; nil for a replay
	claimed atomic.Bool        // an iterator reads, or has read
	closed  atomic.Bool

	mu      sync.Mutex // held while an event is read
	kept    int64      // bytes of payloads that were read
	pending []Event    // decoded; those from head on have not been given out
	head    int
	hot     Event // the piece of a frame that holds nothing else, where direct let it pass by pending
	direct  bool
	passed  bool // hot is to be given out, before pending
	acc     accumulator
	done    bool
	err     error
}

// Converse opens a ConverseStream. It returns when the first output has come;
// until then failures are retried. The input is not changed. The error is a
// [*bedrockx.Error].
func Converse(ctx context.Context, c *bedrockx.Client, in *bedrockruntime.ConverseStreamInput, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	if in == nil {
		in = &bedrockruntime.ConverseStreamInput{}
	}
	return Open(ctx, c, converseCall(in), optFns...)
}

func converseCall(in *bedrockruntime.ConverseStreamInput) *bedrockx.Call {
	return &bedrockx.Call{
		Op:    bedrockx.OpConverseStream,
		Model: bedrockkit.ModelID(aws.ToString(in.ModelId)),
		SDKInput: func() (any, error) {
			copied := *in
			return &copied, nil
		},
		Continuation: func(soFar string) (*bedrockx.Call, error) {
			copied := *in
			copied.Messages = append(slices.Clone(in.Messages), types.Message{
				Role:    types.ConversationRoleAssistant,
				Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: soFar}},
			})
			return converseCall(&copied), nil
		},
	}
}

// InvokeModel opens an InvokeModelWithResponseStream, whose chunks the decoder
// of the model's family reads: [Anthropic], [Cohere], [Llama], [Mistral], [Nova]
// or [Titan]. Otherwise it is like [Converse].
func InvokeModel(ctx context.Context, c *bedrockx.Client, in *bedrockruntime.InvokeModelWithResponseStreamInput, dec Decoder, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	if in == nil {
		in = &bedrockruntime.InvokeModelWithResponseStreamInput{}
	}
	return openInvoke(ctx, c, &bedrockx.Call{
		Op:    bedrockx.OpInvokeModelStream,
		Model: bedrockkit.ModelID(aws.ToString(in.ModelId)),
		SDKInput: func() (any, error) {
			copied := *in
			return &copied, nil
		},
	}, dec, optFns)
}

// A Request is a body in a model family's own form, such as anthropic.Request;
// a [bedrockx.Payload] is one.
type Request interface {
	// EncodeInvoke returns the JSON body for the model. An error says what is
	// wrong with the request; nothing is sent then.
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
}

// Invoke is [InvokeModel] with a typed request.
//
//	s, err := stream.Invoke(ctx, client, model, nova.Request{…}, stream.Nova)
//
// A request with a method Continued(soFar string), which returns the request
// for the rest of an answer, is asked for it where bedrockx.Options.Continue
// says so.
func Invoke[In Request](ctx context.Context, c *bedrockx.Client, model bedrockkit.ModelID, in In, dec Decoder, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	call, err := requestCall(model, in)
	if err != nil {
		return nil, err
	}
	return openInvoke(ctx, c, call, dec, optFns)
}

func requestCall[In Request](model bedrockkit.ModelID, in In) (*bedrockx.Call, error) {
	body, err := in.EncodeInvoke(model)
	if err != nil {
		return nil, &bedrockx.Error{Op: bedrockx.OpInvokeModelStream, Model: model, Kind: bedrockx.KindValidation, Err: err}
	}
	call := &bedrockx.Call{
		Op: bedrockx.OpInvokeModelStream, Model: model, Body: body,
		SDKInput: func() (any, error) {
			return &bedrockruntime.InvokeModelWithResponseStreamInput{Body: body}, nil
		},
	}
	if b, ok := any(in).(bedrockx.OutputBound); ok {
		call.MaxTokens = b.MaxOutputTokens()
	}
	if r, ok := any(in).(interface{ Continued(soFar string) In }); ok {
		call.Continuation = func(soFar string) (*bedrockx.Call, error) { return requestCall(model, r.Continued(soFar)) }
	}
	return call, nil
}

func openInvoke(ctx context.Context, c *bedrockx.Client, call *bedrockx.Call, dec Decoder, optFns []func(*bedrockx.Options)) (*Stream, error) {
	if dec.new == nil {
		return nil, &bedrockx.Error{Op: call.Op, Model: call.Model, Kind: bedrockx.KindValidation,
			Err: errors.New("it needs a Decoder, such as stream.Anthropic")}
	}
	s := &Stream{call: call, newDec: dec.new}
	return s.begun(ctx, c, optFns)
}

// Open opens the ConverseStream of a call that its owner has made, as package
// converse does with a body of its own. The call's Decode is set here.
func Open(ctx context.Context, c *bedrockx.Client, call *bedrockx.Call, optFns ...func(*bedrockx.Options)) (*Stream, error) {
	s := &Stream{call: call, newDec: func() decoder { return converseDecoder{} }}
	return s.begun(ctx, c, optFns)
}

func (s *Stream) begun(ctx context.Context, c *bedrockx.Client, optFns []func(*bedrockx.Options)) (*Stream, error) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.open = func(call *bedrockx.Call) error { return c.Do(ctx, call, optFns...) }
	s.call.Decode, s.call.Share = s.begin, s.share
	if err := s.open(s.call); err != nil {
		s.cancel()
		return nil, err
	}
	if s.body == nil {
		err := s.call.Fail(ctx, &bedrockx.Error{Kind: bedrockx.KindValidation, Err: errors.New("a middleware has answered a stream without calling its Decode")})
		s.cancel()
		s.call.End(err)
		return nil, err
	}
	// A stream that nobody reads ends with its context too, maybe before stop is set.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = context.AfterFunc(ctx, func() {
		if !s.claimed.Load() {
			s.end(context.Cause(ctx))
		}
	})
	return s, nil
}

// begin reads an attempt's response until its first output, or its end.
func (s *Stream) begin(ctx context.Context, resp *bedrockx.Response) error {
	if resp.Body == nil {
		return &bedrockx.Error{Kind: bedrockx.KindValidation, Err: fmt.Errorf(
			"the API returned a %T without the response's body; streams need the SDK's own client: test with package bedrocktest, not with a mock", resp.SDK)}
	}
	s.ctx, s.body = ctx, resp.Body
	s.frames = eventstream.NewReader(resp.Body, s.call.Options.MaxFrameBytes)
	s.dec = s.newDec()
	s.pending, s.head = s.pending[:0], 0
	if s.continued == 0 {
		s.acc = accumulator{metered: s.call.CacheHit} // it took nothing, whatever its metadata says
	}
	for held := 0; ; {
		switch err := s.read(); {
		case err == io.EOF:
			return nil // a whole answer without output; the reader meets the end
		case err != nil:
			return err
		}
		for ; held < len(s.pending); held++ {
			if s.pending[held].Type.output() || held == maxHeld {
				return nil
			}
		}
	}
}

// share makes the Decode of a copy of the call, which is sent for several. What
// it reads is for whoever keeps the answer.
func (s *Stream) share(call *bedrockx.Call) (rest func() error) {
	other := &Stream{call: call, newDec: s.newDec, cancel: func() {}}
	call.Decode = other.begin
	return func() error {
		for {
			if _, err := other.next(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// maxHeld bounds the events that are held back while the first output has not
// come.
const maxHeld = 1000

// Events yields the events of the stream. An error comes once and last; it is
// a [*bedrockx.Error], or [ErrClosed] or [ErrUsed]. Leaving the loop closes the
// stream.
func (s *Stream) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if s.claimed.Swap(true) {
			yield(Event{}, ErrUsed)
			return
		}
		defer s.Close()
		for {
			ev, err := s.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(*ev, nil) {
				return
			}
		}
	}
}

// Text yields the pieces of the answer's text and nothing else; otherwise it
// is like [Stream.Events].
func (s *Stream) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if s.claimed.Swap(true) {
			yield("", ErrUsed)
			return
		}
		defer s.Close()
		for {
			ev, err := s.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
			if ev.Type == Text && !yield(ev.Text, nil) {
				return
			}
		}
	}
}

// next returns the next event, io.EOF after the last one of a whole answer. The
// event holds until the next call.
func (s *Stream) next() (*Event, error) {
	ev, err := s.locked()
	if s.broken != nil {
		for _, end := range s.broken {
			end()
		}
		s.broken = nil
	}
	if err != nil {
		s.settle()
	}
	return ev, err
}

func (s *Stream) locked() (*Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.head == len(s.pending) {
		s.pending, s.head = s.pending[:0], 0
		if s.done {
			return nil, s.err
		}
		s.direct = true
		err := s.read()
		s.direct = false
		if err != nil && err != io.EOF {
			err = s.resume(err)
		}
		if err != nil {
			return nil, s.finish(err)
		}
		if s.passed {
			s.passed = false
			return &s.hot, nil
		}
	}
	s.head++
	return &s.pending[s.head-1], nil
}

// read decodes one more frame into s.pending. It returns io.EOF where a whole
// answer ends, and otherwise what went wrong.
func (s *Stream) read() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.tape != nil {
		return s.tape.play(s)
	}
	f, err := s.frames.Next()
	if err == nil {
		if s.kept += int64(len(f.Payload)); s.call.Options.MaxResponseBytes >= 0 && s.kept > s.call.Options.MaxResponseBytes {
			return &bedrockx.Error{Kind: bedrockx.KindTooLarge, Err: fmt.Errorf("the stream has more than %d bytes", s.call.Options.MaxResponseBytes)}
		}
		err = s.frame(f)
	}
	switch {
	case err == nil:
		return nil
	case s.closed.Load():
		return ErrClosed
	case errors.Is(err, eventstream.ErrChecksum), errors.Is(err, eventstream.ErrMalformed), errors.Is(err, errFrame):
		return &bedrockx.Error{Kind: bedrockx.KindCorrupt, Err: err}
	case errors.Is(err, eventstream.ErrTooLarge):
		return &bedrockx.Error{Kind: bedrockx.KindTooLarge, Err: err}
	case !isTransport(err):
		return err
	case s.acc.stopped:
		// The answer is whole. Without its metadata, what it took is unknown.
		return s.malformed()
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case err == io.EOF && s.acc.empty():
		return &bedrockx.Error{Kind: bedrockx.KindEmpty, Err: errors.New("the stream ended before its first event")}
	}
	return &bedrockx.Error{Kind: bedrockx.KindTruncated, Err: fmt.Errorf("it ended without a message stop: %w", err)}
}

// isTransport reports whether an error is one of the connection below, and
// not an exception that the service sent.
func isTransport(err error) bool {
	var api interface{ ErrorCode() string }
	var ours *bedrockx.Error
	return !errors.As(err, &api) && !errors.As(err, &ours)
}

// malformed is the error of an answer that ended whole but cannot be read,
// and io.EOF for any other.
func (s *Stream) malformed() error {
	if s.call.StopReason.Malformed() {
		return &bedrockx.Error{Kind: bedrockx.KindModelError, Err: fmt.Errorf("the model stopped with %s", s.call.StopReason)}
	}
	return io.EOF
}

// addRaw adds a piece that a scan found. It fails, having done nothing, where
// the piece must be read with encoding/json.
func (s *Stream) addRaw(d delta) bool {
	if s.trimmed || len(s.call.OnText) > 0 {
		return false
	}
	text, ok := s.acc.appendRaw(d)
	switch {
	case !ok:
	case s.direct && !s.passed && len(s.pending) == 0:
		// The copy of a whole event would cost more than all of its scan.
		s.hot.Type, s.hot.Index, s.hot.Text = d.typ, d.index, text
		s.passed = true
	default:
		s.pending = append(s.pending, Event{Type: d.typ, Index: d.index, Text: text})
	}
	return ok
}

// add accumulates an event and queues it for the reader.
func (s *Stream) add(ev Event) error {
	if s.continued > 0 && s.joins(&ev) {
		return nil
	}
	if ev.Type == Text && s.call.OnText != nil {
		if err := s.call.Text(ev.Text); err != nil {
			return err
		}
	}
	if err := s.acc.add(&ev); err != nil {
		return err
	}
	switch ev.Type {
	case MessageStop:
		s.call.StopReason = ev.StopReason
	case Metadata:
		if s.call.CacheHit {
			ev.Usage = &bedrockkit.Usage{}
		}
		if ev.Usage != nil {
			s.call.Usage = *ev.Usage
		}
		if ev.ServiceTier != "" {
			s.call.ServiceTier = ev.ServiceTier
		}
	}
	s.pending = append(s.pending, ev)
	return nil
}

// finish notes that the stream has ended with err, io.EOF for a whole answer.
// It returns the error that every later call gets. The lock is held; whoever
// holds it calls s.settle when he has let it go.
func (s *Stream) finish(err error) error {
	if s.done {
		return s.err
	}
	if e, ok := err.(*bedrockx.Error); err != io.EOF && err != ErrClosed && (!ok || e.Op == "") {
		err = s.call.Fail(s.ctx, err)
	}
	s.done, s.err = true, err
	s.pending, s.head = nil, 0
	if !s.acc.metered || s.continued > 0 {
		s.call.Usage.Unknown = true
	}
	s.body.Close()
	s.cancel()
	if s.stop != nil {
		s.stop()
	}
	return s.err
}

// settle ends the call of a stream that has ended. It is called without the
// lock, as what runs at a call's end may ask for the stream's result.
func (s *Stream) settle() {
	err := s.err
	if err == io.EOF {
		err = nil
	}
	s.call.End(err)
}

// end ends the stream, if it has not ended.
func (s *Stream) end(err error) {
	s.mu.Lock()
	s.finish(err)
	s.mu.Unlock()
	s.settle()
}

// Close leaves the stream: the model's answer is cut off and the connection is
// freed. It may be called at any time, also while another goroutine reads,
// which then gets [ErrClosed]; after the end it does nothing.
func (s *Stream) Close() error {
	s.closed.Store(true)
	s.cancel()
	s.end(ErrClosed)
	return nil
}

// Usage is what the answer took. It is unknown until the stream's metadata has
// come, and stays so where the stream ended without.
func (s *Stream) Usage() bedrockkit.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.call.Usage
	u.Unknown = u.Unknown || !s.acc.metered
	return u
}

// Result is what has come so far, also after an error; after the end of the
// stream it is the whole answer. It is a snapshot.
func (s *Stream) Result() *Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.acc.result()
	r.Complete = s.done && s.err == io.EOF || s.acc.stopped && s.acc.metered && !s.call.StopReason.Malformed()
	r.StopReason = s.call.StopReason
	r.Usage = s.call.Usage
	r.Usage.Unknown = r.Usage.Unknown || !s.acc.metered
	r.Continued = s.continued
	if s.call.Settled() {
		r.Cost, r.CostErr, r.Caching, r.Latency = s.call.Cost, s.call.CostErr, s.call.Caching, s.call.Latency
	}
	r.Model, r.CacheHit, r.Attempts, r.RequestID = s.call.Model, s.call.CacheHit, s.call.Attempts, s.call.RequestID
	r.FirstOutput = s.call.FirstOutput
	return r
}
