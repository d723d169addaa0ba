package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// A Sink is a connection to a reader, with what its transport needs. [JSON], [SSE] and
// [PlainText] make one, and so does package stream/apigateway. You may change the
// fields of a sink that they return.
type Sink struct {
	// Send sends one message. It is called by one goroutine at a time. If it returns
	// an error, the answer ends and the model is stopped.
	Send func(context.Context, Message) error

	// MaxMessage is the maximum size of one message as JSON with its escapes, in
	// bytes. Zero means 32 KiB, which works everywhere: it is what many WebSocket
	// clients read by default, and what API Gateway meters as one message. The minimum
	// is 1 KiB.
	//
	// It bounds the [JSON] that [JSON] and [SSE] write, which does not escape <, > and
	// &.
	MaxMessage int

	// Coalesce and Heartbeat are the defaults of the [WriteOptions] for this sink;
	// zero means none.
	Coalesce  time.Duration
	Heartbeat time.Duration
}

// JSON returns a sink that sends each message as JSON text, for example over a
// WebSocket:
//
//	stream.JSON(func(ctx context.Context, data []byte) error {
//		return conn.Write(ctx, websocket.MessageText, data)
//	})
//
// send may keep the data.
func JSON(send func(context.Context, []byte) error) Sink {
	return Sink{Send: func(ctx context.Context, m Message) error {
		return send(ctx, m.append(make([]byte, 0, len(m.Data)+128)))
	}}
}

// SSE returns a sink of server-sent events. The data of an event is the message as
// JSON. Its id is the sequence, which a browser's EventSource sends back as
// Last-Event-ID. Its name is the message's type, except "failed" for an error, because
// EventSource uses "error" for a lost connection. Pings are comments, by default every
// 15 s, so that no proxy closes an idle connection.
//
// An EventSource connects again when the response ends. The page must close it after a
// message of type complete or error.
//
// If w is an [http.ResponseWriter], SSE sets the response's headers, flushes every
// event, and ends a write when the context of its message ends.
func SSE(w io.Writer) Sink {
	if rw, ok := w.(http.ResponseWriter); ok {
		h := rw.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // or nginx would wait for the end
	}
	out := output(w)
	var b []byte
	return Sink{Heartbeat: 15 * time.Second, Send: func(ctx context.Context, m Message) error {
		b = b[:0]
		if m.Type == TypePing {
			return out(ctx, append(b, ": ping\n\n"...))
		}
		name := m.Type
		if name == TypeError {
			name = "failed"
		}
		b = strconv.AppendInt(append(b, "id: "...), m.Sequence, 10)
		b = append(append(b, "\nevent: "...), name...)
		b = append(m.append(append(b, "\ndata: "...)), "\n\n"...)
		return out(ctx, b)
	}}
}

// PlainText returns a sink that writes only the answer's text: no reasoning, no tools
// and no errors. If w is an [http.ResponseWriter], every piece is flushed, and a write
// ends when the context of its message ends.
func PlainText(w io.Writer) Sink {
	out := output(w)
	return Sink{Send: func(ctx context.Context, m Message) error {
		if m.Type != TypeToken || m.Data == "" {
			return nil
		}
		return out(ctx, []byte(m.Data))
	}}
}

// output returns a function that writes to w within the time that its context
// has.
func output(w io.Writer) func(context.Context, []byte) error {
	rw, ok := w.(http.ResponseWriter)
	if !ok {
		return func(ctx context.Context, data []byte) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			_, err := w.Write(data)
			return err
		}
	}
	control := http.NewResponseController(rw)
	return func(ctx context.Context, data []byte) (err error) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		broken := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(broken)
			control.SetWriteDeadline(time.Unix(1, 0)) // it fails for a recorder of tests, whose writes do not wait
		})
		defer func() {
			if !stop() {
				<-broken
				if err == nil {
					err = context.Cause(ctx)
				}
			}
		}()
		if _, err := rw.Write(data); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return fmt.Errorf("flushing a message: %w", err)
		}
		return nil
	}
}
