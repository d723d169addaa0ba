package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// WriteOptions are the options of [Write]. The zero value of a field means its
// default.
type WriteOptions struct {
	// Coalesce is how long text waits for more text, so that fewer messages are sent.
	// The text that waits becomes one message; reasoning too. It is sent earlier if
	// MaxPending is reached or the answer has ended. The default is [Sink.Coalesce];
	// negative means that text is sent at once.
	Coalesce time.Duration

	// Heartbeat is how long the connection may be idle before a message of type
	// [TypePing] is sent. The default is [Sink.Heartbeat]; negative means that none is
	// sent.
	Heartbeat time.Duration

	// MaxPending bounds the data that waits for the reader, in bytes. The default is
	// 64 KiB. If it is reached, Write stops reading the source until the reader has
	// caught up, so the service waits.
	MaxPending int

	// DropSlowReader makes Write return [ErrSlowReader] instead, if the reader has
	// made no room within one second after MaxPending was reached.
	DropSlowReader bool

	// Inline reads the source in the goroutine that calls Write, between the calls of
	// [Sink.Send]. That is cheaper than a second goroutine. Use it for a sink that
	// never waits, or for a source that loses nothing if it is read slowly, such as a
	// source of [Resume]. Text is then not joined, and Coalesce, Heartbeat, MaxPending
	// and DropSlowReader have no effect.
	Inline bool

	// Timeout bounds each call of [Sink.Send]. The default is 30 s; negative means
	// none. If a call takes longer, the answer ends with [ErrSlowReader].
	Timeout time.Duration
}

// Write returns ErrSlowReader if the reader falls behind.
var ErrSlowReader = errors.New("the reader is too slow")

// Write sends an answer to a sink while it arrives, and at the end a message that says
// how it ended. It returns when the answer has ended or the sink has failed. It then
// closes the source, so if the reader is gone, the model is stopped.
//
// Messages are sent in order. While the sink is busy, Write reads on from the source
// and joins text into one message. No message is larger than [Sink.MaxMessage]: longer
// text is split between characters, and a tool's input or result is cut. Sequences
// count the sent messages from 1. A source of [Resume] keeps its sequences, so that a
// reader can come back with one.
//
// Write returns the error of the source or of the sink, or nil if the whole answer was
// sent. If the source panics, Write sends an error to the reader and panics.
func Write(ctx context.Context, s Source, sink Sink, optFns ...func(*WriteOptions)) error {
	w := writer{source: s, sink: sink}
	for _, fn := range optFns {
		fn(&w.options)
	}
	if err := w.resolve(); err != nil {
		s.Close()
		return err
	}
	if w.options.Inline {
		return w.inline(ctx)
	}
	w.queue = newQueue(w.sink.MaxMessage, w.options.MaxPending)
	err := w.run(ctx)
	switch q := w.queue; {
	case q.crash != nil:
		panic(q.crash)
	case q.exits:
		runtime.Goexit()
	}
	return err
}

// A writer is one call of Write.
type writer struct {
	source  Source
	sink    Sink
	options WriteOptions
	queue   *queue
	sent    int64 // the sequence of the last message
}

// resolve sets the defaults.
func (w *writer) resolve() error {
	o, sink := &w.options, &w.sink
	if sink.Send == nil {
		return errors.New("the sink has no Send; stream.JSON makes one that has")
	}
	if sink.MaxMessage == 0 {
		sink.MaxMessage = 32 << 10
	}
	if sink.MaxMessage < minMessage {
		return fmt.Errorf("Sink.MaxMessage is %d; it must be at least %d", sink.MaxMessage, minMessage)
	}
	if o.Coalesce == 0 {
		o.Coalesce = sink.Coalesce
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = sink.Heartbeat
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 64 << 10
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	return nil
}

// run sends the answer. When it returns, the source is closed and no longer
// read.
func (w *writer) run(ctx context.Context) error {
	q := w.queue
	ctx, cancel := context.WithCancelCause(ctx)
	if w.options.DropSlowReader {
		q.drop = func() { cancel(ErrSlowReader) }
	}
	stop := context.AfterFunc(ctx, func() { q.end(context.Cause(ctx)) })
	var reading sync.WaitGroup
	reading.Go(func() { q.fill(w.source) })
	defer func() {
		stop()
		cancel(nil)
		q.end(ErrClosed)
		w.source.Close()
		reading.Wait()
	}()
	kept := keepsSequences(w.source)
	for {
		batch, done, err := q.take(ctx, w.options.Coalesce, w.options.Heartbeat)
		if len(batch) == 0 && !done {
			if err := w.send(ctx, Message{Type: TypePing}); err != nil {
				return err
			}
		}
		for _, m := range batch {
			if err := w.sendFitting(ctx, &m, kept); err != nil {
				return err
			}
		}
		if done {
			return err
		}
	}
}

// inline sends the answer in the caller's goroutine.
func (w *writer) inline(ctx context.Context) error {
	defer w.source.Close()
	defer context.AfterFunc(ctx, func() { w.source.Close() })()
	kept, some, ended := keepsSequences(w.source), false, false
	defer func() {
		if !ended { // it panics
			w.noEnd(ctx)
		}
	}()
	for m, err := range w.source.Messages() {
		if some = true; ctx.Err() != nil {
			ended = true
			return context.Cause(ctx)
		}
		m.endOn(err)
		if failed := w.sendFitting(ctx, &m, kept); failed != nil {
			ended = true
			return failed
		}
		if m.Last() {
			ended = true
			return err
		}
	}
	ended = true
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !some && kept:
		return nil // its reader has seen all
	}
	return w.noEnd(ctx)
}

// noEnd tells the reader that the source ended without a last message.
func (w *writer) noEnd(ctx context.Context) error {
	m := ErrorMessage(errNoEnd)
	if err := w.sendFitting(ctx, &m, false); err != nil {
		return err
	}
	return errNoEnd
}

// sendFitting sends a message, in pieces if it is too large for one.
func (w *writer) sendFitting(ctx context.Context, m *Message, kept bool) error {
	if m.fits(w.sink.MaxMessage) {
		return w.sendNext(ctx, m, kept)
	}
	return w.sendPieces(ctx, m, kept)
}

// sendPieces sends a message that is too large for one.
func (w *writer) sendPieces(ctx context.Context, m *Message, kept bool) error {
	for piece := range m.pieces(w.sink.MaxMessage) {
		if err := w.sendNext(ctx, &piece, kept); err != nil {
			return err
		}
	}
	return nil
}

// sendNext sends a message, whose sequence it sets.
func (w *writer) sendNext(ctx context.Context, m *Message, kept bool) error {
	if w.sent++; kept {
		w.sent = m.Sequence
	}
	m.Sequence = w.sent
	return w.send(ctx, *m)
}

func (w *writer) send(ctx context.Context, m Message) error {
	if timeout := w.options.Timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: it took no message for %s", ErrSlowReader, timeout))
		defer cancel()
	}
	err := w.sink.Send(ctx, m)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// A sourcePanic is the panic of a source, as it reaches the caller of the
// function that read it in another goroutine.
type sourcePanic struct {
	value any
	stack []byte
}

// Error says what the panic said, and where it happened.
func (p *sourcePanic) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// Unwrap returns the value, if it is an error.
func (p *sourcePanic) Unwrap() error {
	err, _ := p.value.(error)
	return err
}
