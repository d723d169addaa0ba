package stream

import (
	"cmp"
	"context"
	"io"
	"sync"
)

// Reader returns the answer's text as bytes, for an API that wants an io.Reader, such
// as the body of AWS Lambda's response streaming. A Read waits for the next piece; if
// the stream breaks, Read returns its error. Close ends the stream. It may be called
// while a Read waits; the Read then returns [ErrClosed]. If you use it as the body of
// a request over HTTP/1.1, open the stream with the context of that request, because
// net/http waits for a running Read.
func (s *Stream) Reader() io.ReadCloser { return &textReader{s: s} }

type textReader struct {
	s    *Stream
	mine bool // it has claimed the stream
	rest string
	err  error
}

func (r *textReader) Read(p []byte) (int, error) {
	if !r.mine && r.err == nil {
		if r.err = r.s.claim(); r.err == nil {
			r.mine = true
			r.s.pulled.Store(true)
		}
	}
	if r.mine && r.s.closed.Load() {
		r.rest, r.err = "", cmp.Or(r.err, error(ErrClosed))
	}
	for r.rest == "" && r.err == nil {
		r.next()
	}
	if r.rest == "" {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next takes the next event. A check that panics ends the stream.
func (r *textReader) next() {
	returned := false
	defer func() {
		if !returned {
			r.s.Close()
		}
	}()
	ev, err := r.s.next()
	if returned = true; err != nil {
		r.err = err
	} else if ev.Type == Text {
		r.rest = ev.Text
	}
}

func (r *textReader) Close() error { return r.s.Close() }

// NewReader returns an answer as the bytes that a sink writes, for an API that takes
// an io.Reader, such as AWS Lambda's response streaming:
//
//	return &events.LambdaFunctionURLStreamingResponse{
//		Headers: map[string]string{"Content-Type": "text/event-stream"},
//		Body:    stream.NewReader(ctx, answer, stream.SSE),
//	}, nil
//
// sink is [SSE], [PlainText] or a function like them. NewReader calls [Write] with the
// options. [Write] runs from the first Read until the answer has ended, ctx has ended
// or the reader is closed. The last Read returns its error. Close stops the answer. It
// may be called while a Read waits; the Read then returns [ErrClosed].
//
// For only the text of a stream, [Stream.Reader] does the same without a goroutine.
func NewReader(ctx context.Context, s Source, sink func(io.Writer) Sink, optFns ...func(*WriteOptions)) io.ReadCloser {
	r := &sinkReader{source: s}
	r.r, r.w = io.Pipe()
	r.write = func() error { return Write(ctx, s, sink(r.w), optFns...) }
	r.stop = context.AfterFunc(ctx, func() {
		s.Close()
		r.w.CloseWithError(context.Cause(ctx)) // a write does not wait for the next Read
	})
	return r
}

type sinkReader struct {
	r       *io.PipeReader
	w       *io.PipeWriter
	source  Source
	write   func() error
	stop    func() bool
	once    sync.Once
	writing sync.WaitGroup
	crash   any // of the source
}

func (r *sinkReader) Read(p []byte) (int, error) {
	r.once.Do(func() { r.writing.Go(r.run) })
	n, err := r.r.Read(p)
	if err != nil {
		r.stop()
		if r.writing.Wait(); r.crash != nil {
			panic(r.crash)
		}
	}
	return n, err
}

// run writes the answer into the pipe.
func (r *sinkReader) run() {
	err := errNoEnd // of a source that calls runtime.Goexit
	defer func() {
		if r.crash = recover(); r.crash != nil {
			err = errNoEnd
		}
		r.w.CloseWithError(err)
	}()
	err = r.write()
}

func (r *sinkReader) Close() error {
	r.once.Do(func() {}) // nothing is read any more
	r.stop()
	r.w.CloseWithError(ErrClosed)
	err := r.source.Close()
	r.writing.Wait()
	return err
}
