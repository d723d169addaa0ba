package wsresume

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// The status codes with which a connection is closed, besides 1000 after the last
// message, 1001 if the registry is closed and 1011 if the log fails. A client
// connects again after 1001, 1006, 1011 and 1013, and after no other.
const (
	StatusBadRequest websocket.StatusCode = 4400 // an id or a sequence is not valid
	StatusUnknown    websocket.StatusCode = 4404 // there is no answer with this id
	StatusGap        websocket.StatusCode = 4409 // the answer has not reached the sequence
)

// Options are the options of [Handler]. The zero value of a field means its default.
type Options struct {
	// Accept says how connections are accepted: other allowed origins, subprotocols,
	// compression. The default is the default of websocket.Accept.
	Accept websocket.AcceptOptions

	// Heartbeat is how often the client is pinged. A client that does not answer
	// within WriteTimeout counts as gone. The default is 15 s.
	Heartbeat time.Duration

	// WriteTimeout bounds how long a reader may take for one message. If it takes
	// longer, its connection is closed; it may come back. The default is 10 s.
	WriteTimeout time.Duration
}

// Handler serves the answers of a registry over WebSockets, one answer for each
// connection. It first calls answer, as [resume.Handler] does.
//
// Each text message to the client is a message as JSON. The client sends the last
// sequence that it has seen in the query parameter after. A request without it starts
// the answer if there is none and Open is set; no other request does. The client stops
// the answer with the text message {"type":"stop"}; other messages are ignored. If it
// only closes the connection, the answer goes on.
func Handler(r *resume.Registry, answer func(http.ResponseWriter, *http.Request) (resume.Answer, bool), optFns ...func(*Options)) http.Handler {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		a, ok := answer(w, req)
		if !ok {
			return
		}
		conn, err := websocket.Accept(w, req, &o.Accept)
		if err != nil {
			return // Accept has answered
		}
		conn.SetReadLimit(maxCommand)
		c := &connection{registry: r, conn: conn, options: o, answer: a}
		c.serve(req)
	})
}

// maxCommand bounds a message of the client, in bytes.
const maxCommand = 1 << 10

type connection struct {
	registry *resume.Registry
	conn     *websocket.Conn
	options  Options
	answer   resume.Answer
}

// serve sends the messages and closes the connection.
func (c *connection) serve(r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	var others sync.WaitGroup
	others.Go(func() { c.listen(ctx, cancel) })
	others.Go(func() { c.ping(ctx, cancel) })
	// The goodbye comes before the end of listen's context, which would cut the
	// connection.
	_ = c.conn.Close(closing(c.answerTo(ctx, r)))
	cancel()
	others.Wait()
}

func (c *connection) answerTo(ctx context.Context, r *http.Request) error {
	after, first, err := resume.After(r)
	if err != nil {
		return err
	}
	if first && c.answer.Open != nil {
		if err := c.registry.Start(r.Context(), c.answer.ID, c.answer.Open); err != nil && !errors.Is(err, resume.ErrExists) {
			return err
		}
	}
	return c.send(ctx, after)
}

func (c *connection) send(ctx context.Context, after int64) error {
	for m, err := range c.registry.Read(ctx, c.answer.ID, after) {
		if err != nil {
			return err
		}
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, c.options.WriteTimeout)
		err = c.conn.Write(bounded, websocket.MessageText, data)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// listen takes the client's messages until the connection ends.
func (c *connection) listen(ctx context.Context, cancel context.CancelFunc) {
	defer cancel()
	for {
		_, data, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		var command struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(data, &command) == nil && command.Type == "stop" {
			if c.registry.Stop(ctx, c.answer.ID) != nil {
				_ = c.conn.Close(websocket.StatusInternalError, "the answer was not stopped")
				return
			}
		}
	}
}

// ping notices a reader that has gone without a word.
func (c *connection) ping(ctx context.Context, cancel context.CancelFunc) {
	ticker := time.NewTicker(c.options.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		bounded, done := context.WithTimeout(ctx, c.options.WriteTimeout)
		err := c.conn.Ping(bounded)
		done()
		if err != nil {
			cancel()
			return
		}
	}
}

// closing says how a connection is closed after an error.
func closing(err error) (websocket.StatusCode, string) {
	switch {
	case err == nil:
		return websocket.StatusNormalClosure, ""
	case errors.Is(err, resume.ErrUnknown):
		return StatusUnknown, resume.ErrUnknown.Error()
	case errors.Is(err, resume.ErrID), errors.Is(err, resume.ErrSequence):
		return StatusBadRequest, err.Error()
	case errors.Is(err, stream.ErrGap):
		return StatusGap, stream.ErrGap.Error()
	case errors.Is(err, resume.ErrFull):
		return websocket.StatusTryAgainLater, resume.ErrFull.Error()
	case errors.Is(err, resume.ErrClosed):
		return websocket.StatusGoingAway, "the server is stopping"
	}
	return websocket.StatusInternalError, "the answer cannot be read now"
}
