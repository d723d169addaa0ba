package stream

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Message is what the reader of an answer is sent over a connection, one JSON
// object each:
//
//	{"type":"token","data":"…","sequence":1}
//	{"type":"complete","sequence":2,"usage":{…},"stop_reason":"end_turn","cost":"0.0012"}
//	{"type":"error","sequence":2,"code":"throttled"}
//
// The sequence counts from 1, so that a reader that lost its connection can say
// what it has seen. An answer ends with a message of the type complete or
// error.
type Message struct {
	Type       string                `json:"type"`
	Data       string                `json:"data,omitempty"` // of a token: a piece of the answer's text
	Sequence   int64                 `json:"sequence"`
	Usage      *bedrockkit.Usage     `json:"usage,omitempty"`
	StopReason bedrockkit.StopReason `json:"stop_reason,omitempty"`
	Cost       string                `json:"cost,omitempty"` // in US dollars, exact; empty where it is not known
	Code       string                `json:"code,omitempty"` // of an error: its kind, as "throttled"
}

// The types of a [Message].
const (
	TypeToken    = "token"
	TypeComplete = "complete"
	TypeError    = "error"
)

// Last reports whether the message ends the answer.
func (m Message) Last() bool { return m.Type != TypeToken }

// Messages yields the answer's text as messages, and at last how it ended: as
// a message, and where that is an error also as the error itself, which is for
// the log and not for the reader. Otherwise it is like [Stream.Events].
func (s *Stream) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var sequence int64
		for text, err := range s.Text() {
			sequence++
			if err != nil {
				yield(Message{Type: TypeError, Sequence: sequence, Code: code(err)}, err)
				return
			}
			if !yield(Message{Type: TypeToken, Data: text, Sequence: sequence}, nil) {
				return
			}
		}
		r := s.Result()
		if !r.Complete {
			return // the loop was left
		}
		done := Message{Type: TypeComplete, Sequence: sequence + 1, Usage: &r.Usage, StopReason: r.StopReason}
		if r.Cost != nil {
			done.Cost = r.Cost.String()
		}
		yield(done, nil)
	}
}

// code is an error's kind, which tells a reader what to do and nothing of what
// was asked.
func code(err error) string {
	var e *bedrockx.Error
	switch {
	case errors.As(err, &e):
		return string(e.Kind)
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return string(bedrockx.KindCanceled)
	}
	return string(bedrockx.KindUnknown)
}

// Reader returns the answer's text as bytes, for an API that wants an
// io.Reader, such as the body of AWS Lambda's response streaming. A Read waits
// for the next piece; the error of a stream that broke is the Read's. Close
// leaves the stream.
func (s *Stream) Reader() io.ReadCloser {
	next, stop := iter.Pull2(s.Text())
	return &textReader{next: next, stop: stop}
}

type textReader struct {
	next func() (string, error, bool)
	stop func()
	rest string
	err  error
}

func (r *textReader) Read(p []byte) (int, error) {
	for r.rest == "" {
		if r.err != nil {
			return 0, r.err
		}
		text, err, ok := r.next()
		switch {
		case !ok:
			r.err = io.EOF
		case err != nil:
			r.err = err
		}
		if r.rest = text; r.err != nil {
			r.stop()
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *textReader) Close() error {
	r.stop()
	if r.err == nil {
		r.err = ErrClosed
	}
	r.rest = ""
	return nil
}
