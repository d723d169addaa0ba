package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// A Sink takes the messages of an answer, one after another. Its error ends the
// answer: the model is stopped. [JSON], [SSE] and [PlainText] make one.
type Sink func(context.Context, Message) error

// WriteOptions say how [Write] deals with a reader that is slower than the
// model. The zero value of a field means its default.
type WriteOptions struct {
	// Coalesce waits this long for more text before it sends a message, so that
	// fewer are sent, but not longer than until MaxPending is reached. The default
	// is 0: what is there is sent at once.
	Coalesce time.Duration

	// MaxPending bounds the text that waits for the reader, in bytes. The
	// default is 64 KiB. Text that waits is sent as one message.
	MaxPending int

	// Leave gives up a reader for whom MaxPending is reached, with
	// [ErrSlowReader]. By default the model's stream is read no further until
	// the reader has caught up, and the service waits.
	Leave bool

	// Timeout bounds each call of the sink. The default is 30 s; negative means
	// none.
	Timeout time.Duration
}

// ErrSlowReader is the error of a reader that did not take its messages in
// time.
var ErrSlowReader = errors.New("the reader is too slow")

// Write sends an answer to a sink as it comes, and at last how it ended. It
// returns when the answer has ended or the sink has failed, and then the
// stream is closed: a reader that is gone stops the model.
//
// While the sink is busy the stream is read on, and what has gathered is sent
// as one message; sequences count the messages that were sent. The error is
// that of the stream or of the sink, nil for an answer that was sent whole.
func Write(ctx context.Context, s *Stream, sink Sink, optFns ...func(*WriteOptions)) error {
	var o WriteOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 64 << 10
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	q := &queue{max: o.MaxPending, leave: o.Leave, full: make(chan struct{}, 1)}
	q.changed.L = &q.mu
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { q.end(nil, context.Cause(ctx)) })
	var reading sync.WaitGroup
	reading.Go(func() { q.fill(s) })
	defer func() {
		stop()
		cancel()
		q.end(nil, ErrClosed)
		s.Close()
		reading.Wait()
	}()
	for sequence := int64(1); ; sequence++ {
		text, last, err := q.take(ctx, o.Coalesce)
		m := Message{Type: TypeToken, Data: text}
		if text == "" {
			if last == nil {
				return err
			}
			m = *last
		}
		m.Sequence = sequence
		if failed := send(ctx, sink, m, o.Timeout); failed != nil {
			return failed
		}
		if text == "" {
			return err
		}
	}
}

func send(ctx context.Context, sink Sink, m Message, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: it took no message for %s", ErrSlowReader, timeout))
		defer cancel()
	}
	err := sink(ctx, m)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// queue holds the text between the model's stream and the sink.
type queue struct {
	max   int
	leave bool
	full  chan struct{} // there is no more room: what gathers is to be sent

	mu      sync.Mutex
	changed sync.Cond
	text    []byte
	sending bool     // the sink has a message; without one no reader is slow
	last    *Message // how the answer ended
	err     error
	ended   bool // nothing more comes
}

// fill reads the stream into the queue.
func (q *queue) fill(s *Stream) {
	for m, err := range s.Messages() {
		if m.Last() {
			q.end(&m, err)
			return
		}
		if !q.add(m.Data) {
			return
		}
	}
	q.end(nil, ErrClosed)
}

// add adds a piece, when there is room for it.
func (q *queue) add(text string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.text) > 0 && len(q.text)+len(text) > q.max && !q.ended {
		if q.leave && q.sending {
			q.ended, q.err, q.text = true, ErrSlowReader, nil
			q.changed.Broadcast()
			return false
		}
		select {
		case q.full <- struct{}{}:
		default:
		}
		q.changed.Wait()
	}
	if q.ended {
		return false
	}
	q.text = append(q.text, text...)
	q.changed.Broadcast()
	return true
}

func (q *queue) end(last *Message, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended, q.last, q.err = true, last, err
		q.changed.Broadcast()
	}
}

// take waits for text and returns all that is there, or how the answer ended.
func (q *queue) take(ctx context.Context, coalesce time.Duration) (text string, last *Message, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = false
	for len(q.text) == 0 && !q.ended {
		q.changed.Wait()
	}
	if coalesce > 0 && !q.ended {
		q.mu.Unlock()
		timer := time.NewTimer(coalesce)
		select {
		case <-timer.C:
		case <-q.full:
		case <-ctx.Done():
		}
		timer.Stop()
		q.mu.Lock()
	}
	if len(q.text) > 0 && q.last == nil && q.ended && q.err != nil {
		q.text = nil // nobody is there to read it
	}
	if len(q.text) > 0 {
		text, q.text, q.sending = string(q.text), q.text[:0], true
		q.changed.Broadcast()
		return text, nil, nil
	}
	return "", q.last, q.err
}

// JSON is a sink that sends each message as JSON text, as over a WebSocket:
//
//	stream.JSON(func(ctx context.Context, data []byte) error {
//		return conn.Write(ctx, websocket.MessageText, data)
//	})
func JSON(send func(context.Context, []byte) error) Sink {
	return func(ctx context.Context, m Message) error {
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return send(ctx, data)
	}
}

// SSE is a sink of server-sent events: the data of each is the message as JSON,
// its id the sequence, which a browser gives back as Last-Event-ID. It sets
// the response's headers and flushes every event; the response writer's
// deadlines bound its writes.
func SSE(w http.ResponseWriter) Sink {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or nginx would wait for the end
	control := http.NewResponseController(w)
	return func(ctx context.Context, m Message) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", m.Sequence, m.Type, data); err != nil {
			return err
		}
		return control.Flush()
	}
}

// PlainText is a sink that writes the answer's text and nothing else. Where w can be flushed,
// as a http.ResponseWriter, every message is.
func PlainText(w io.Writer) Sink {
	flush := func() error { return nil }
	if rw, ok := w.(http.ResponseWriter); ok {
		flush = http.NewResponseController(rw).Flush
	}
	return func(ctx context.Context, m Message) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if m.Data == "" {
			return nil
		}
		if _, err := io.WriteString(w, m.Data); err != nil {
			return err
		}
		return flush()
	}
}
