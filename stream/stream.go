package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

var (
	// ErrClosed is the error of a stream that was closed before its end. errors.Is
	// also finds context.Canceled, because the reader left and nothing failed.
	ErrClosed error = closedError{}
	// ErrUsed is the error of a second loop over a stream. Its events are gone; Result
	// holds their content.
	ErrUsed = errors.New("stream was read before; a stream can be read once")

	errZero = errors.New("this is the zero Stream; Converse, InvokeModel, Invoke or Replay makes one")
)

type closedError struct{}

func (closedError) Error() string { return "stream was closed before its end" }

func (closedError) Is(target error) bool { return target == context.Canceled }

// A Stream is the answer to one call, while it arrives. It can be read once, with one
// of its iterators. While one goroutine reads it, another may call only Close.
type Stream struct {
	call   *bedrockx.Call
	newDec func() frameDecoder
	tape   *tape // of a replay, which has no response

	// To continue a stream that broke; see continued.go.
	again     func(soFar string) (*bedrockx.Call, error)
	open      func(*bedrockx.Call) error
	began     time.Time
	ended     time.Time
	continued int
	trimmed   bool
	base      base        // what the continuation goes on with
	earlier   earlier     // what became of the calls that broke
	broken    []func()    // they end the calls that broke, without the lock
	continues atomic.Bool // there are some

	// The attempt that answered.
	ctx    context.Context
	body   io.ReadCloser
	frames *eventstream.Reader
	dec    frameDecoder

	cancel  context.CancelFunc // ends whatever the stream waits for
	stop    func() bool        // of the context's AfterFunc; nil for a replay
	claimed atomic.Bool        // an iterator or a Reader reads, or has read
	pulled  atomic.Bool        // it is a Reader, which nobody need be reading
	closed  atomic.Bool

	mu      sync.Mutex // held while an event is read
	kept    int64      // bytes of payloads that were read
	pending []Event    // decoded; those from head on have not been given out
	head    int
	hot     Event // the piece of a frame that holds nothing else, where direct let it pass by pending
	direct  bool
	passed  bool            // hot is to be given out, before pending
	held    bool            // what is pending waits for Call.Hold
	refused []Event         // what waited for it when the stream ended, and is never given out
	whole   bool            // the answer has come to its end; what is pending is all of it
	fresh   strings.Builder // the text that Call.Hold has not seen
	acc     accumulator
	done    bool
	err     error
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
	s.held, s.whole = s.call.Hold != nil, false
	s.fresh.Reset()
	s.acc = accumulator{metered: s.call.CacheHit} // it took nothing, whatever its metadata says
	if s.continued > 0 {
		if err := s.rejoin(); err != nil {
			return err
		}
	}
	for held := 0; ; {
		switch err := s.read(); {
		case err == io.EOF:
			return nil // a whole answer without output; the reader meets the end
		case err != nil:
			return err
		}
		for ; held < len(s.pending); held++ {
			if isOutput(s.pending[held].Type) || held == maxHeld {
				return nil
			}
		}
	}
}

// maxHeld bounds the events that are held back while the first output has not
// come.
const maxHeld = 1000

// Events yields the events of the stream. An error is yielded once, at the end; it is
// a [*bedrockx.Error], [ErrClosed] or [ErrUsed]. If you leave the loop, the stream is
// closed.
func (s *Stream) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := s.claim(); err != nil {
			yield(Event{}, err)
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

// Text yields only the pieces of the answer's text. Otherwise it is like
// [Stream.Events].
func (s *Stream) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.claim(); err != nil {
			yield("", err)
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

// claim makes the caller the one reader of the stream.
func (s *Stream) claim() error {
	switch {
	case s.cancel == nil:
		return errZero
	case s.claimed.Swap(true):
		return ErrUsed
	}
	return nil
}

// next returns the next event, io.EOF after the last one of a whole answer. The
// event holds until the next call.
func (s *Stream) next() (*Event, error) {
	ev, err := s.locked()
	if s.continues.Load() {
		s.endBroken()
	}
	if err != nil {
		s.settle()
	}
	return ev, err
}

func (s *Stream) locked() (*Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.head == len(s.pending) || s.held {
		if s.head == len(s.pending) {
			s.pending, s.head = s.pending[:0], 0
		}
		if s.done {
			return nil, s.err
		}
		if s.whole {
			return nil, s.finish(io.EOF)
		}
		if s.fresh.Len() > 0 {
			if err := s.hold(false); err != nil {
				return nil, s.finish(err)
			}
			continue
		}
		s.direct = s.call.Hold == nil
		err := s.read()
		s.direct = false
		if err != nil && err != io.EOF {
			err = s.resume(err)
		}
		if s.call.Hold != nil && (err == nil || err == io.EOF) {
			if err = s.hold(err == io.EOF); err == nil {
				continue // what was held comes before the end
			}
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

// hold asks Call.Hold whether what is pending may be given out.
func (s *Stream) hold(whole bool) error {
	text := s.fresh.String()
	s.fresh.Reset()
	release, err := s.call.Hold(text, whole)
	if err != nil {
		return &bedrockx.Error{Kind: bedrockx.KindRefused, Err: err}
	}
	s.held, s.whole = !release && !whole, whole
	return nil
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
	case err == io.EOF && s.unread() != nil:
		return s.unread()
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

// addEscaped adds a piece that a scan found. It fails, having done nothing, if
// the piece must be read with encoding/json.
func (s *Stream) addEscaped(t EventType, index int, escaped []byte) bool {
	if s.trimmed || len(s.call.OnText) > 0 || s.call.Hold != nil {
		return false
	}
	text, ok := s.acc.appendEscaped(t, index, escaped)
	switch {
	case !ok:
	case s.direct && !s.passed && len(s.pending) == 0:
		// The copy of a whole event would cost more than all of its scan.
		s.hot.Type, s.hot.Index, s.hot.Text = t, index, text
		s.passed = true
	default:
		s.pending = append(s.pending, Event{Type: t, Index: index, Text: text})
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
	if ev.Type == Text && s.call.Hold != nil {
		s.fresh.WriteString(ev.Text)
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
// It returns the error that every later call gets. The lock is held; its
// holder calls s.settle after letting it go.
func (s *Stream) finish(err error) error {
	if s.done {
		return s.err
	}
	if e, ok := err.(*bedrockx.Error); err != io.EOF && err != ErrClosed && (!ok || e.Op == "") {
		err = s.call.Fail(s.ctx, err)
	}
	s.done, s.err, s.ended = true, err, time.Now()
	if s.held || s.call.Hold != nil && err != io.EOF && err != ErrClosed {
		s.refused = s.pending[s.head:]
	}
	s.pending, s.head, s.held = nil, 0, false
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
	s.endBroken()
	err := s.err
	if err == io.EOF {
		err = nil
	}
	s.call.End(err)
}

// endBroken ends the calls that broke and were continued.
func (s *Stream) endBroken() {
	s.mu.Lock()
	broken := s.broken
	s.broken = nil
	s.continues.Store(false)
	s.mu.Unlock()
	for _, end := range broken {
		end()
	}
}

// end ends the stream, if it has not ended.
func (s *Stream) end(err error) {
	s.mu.Lock()
	s.finish(err)
	s.mu.Unlock()
	s.settle()
}

// Close ends the stream: the rest of the answer is dropped and the connection is
// freed. It may be called at any time. If another goroutine is reading, it gets
// [ErrClosed]. After the end of the stream, Close does nothing.
func (s *Stream) Close() error {
	if s.cancel == nil {
		return nil
	}
	s.closed.Store(true)
	s.cancel()
	s.end(ErrClosed)
	return nil
}
