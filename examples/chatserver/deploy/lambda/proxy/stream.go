package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// Stream returns a Lambda handler that sends what h writes as h writes it. h is
// asked for server-sent events, whatever the client accepts.
//
// The context of the request ends 2 s before the function does, and when Lambda
// takes the response no more. A client that has gone is not always told to the
// function: a handler must bound its work by itself. If h panics, the response ends
// with the error as a trailer, and API Gateway breaks off the connection.
func Stream(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
	h = known(h)
	return func(ctx context.Context, event events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
		ctx, cancel := withMargin(ctx)
		request, err := request(ctx, event)
		if err != nil {
			cancel()
			return nil, err
		}
		request.Header.Set("Accept", "text/event-stream")
		reader, writer := io.Pipe()
		w := &streamed{header: http.Header{}, pipe: writer, begun: make(chan struct{})}
		body := &body{PipeReader: reader, cancel: cancel, ended: make(chan struct{})}
		go func() {
			defer close(body.ended)
			defer cancel()
			err := serve(h, w, request)
			w.WriteHeader(http.StatusOK) // if h has written nothing
			writer.CloseWithError(err)
		}()
		<-w.begun
		response := &events.APIGatewayProxyStreamingResponse{StatusCode: w.status, Body: body}
		response.Headers, response.MultiValueHeaders = split(w.sent)
		return response, nil
	}
}

// serve returns a panic of the handler as an error: in a goroutine of its own it
// would end the process.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked with a %T", p) // its value may repeat a prompt
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// body is what Lambda reads. Closed before its end, it stops the handler; and it
// waits for it, as a function must not work between two events.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
	ended  chan struct{}
}

func (b *body) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.ended
	return err
}

// streamed is a response that is sent while it is written.
type streamed struct {
	header, sent http.Header
	status       int
	pipe         *io.PipeWriter
	begun        chan struct{} // closed when status and headers are known
}

func (w *streamed) Header() http.Header { return w.header }

func (w *streamed) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	}
}

func (w *streamed) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(data)
}

// Flush implements [http.Flusher]: a write has been read when it returns.
func (w *streamed) Flush() { w.WriteHeader(http.StatusOK) }

// SetWriteDeadline is for [http.ResponseController]. It breaks off a write, and all
// that follow, if the time is past. Other deadlines are not supported.
func (w *streamed) SetWriteDeadline(deadline time.Time) error {
	if deadline.IsZero() || time.Now().Before(deadline) {
		return http.ErrNotSupported
	}
	return w.pipe.CloseWithError(os.ErrDeadlineExceeded)
}
