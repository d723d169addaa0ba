package socket

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/stream"
)

const (
	// maxFrame is what a frame may have: as much as an API Gateway WebSocket
	// message. A longer one is refused, and the connection lives on; at
	// closeFrame it is closed.
	maxFrame   = 128 << 10
	closeFrame = 1 << 20

	writeTimeout = 10 * time.Second
	pingInterval = 30 * time.Second
)

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, closed, refused := h.admit(r)
	if refused != nil {
		refused.Header(w.Header())
		http.Error(w, refused.Message, refused.Status)
		return
	}
	defer closed()
	// Accept refuses other origins.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: h.opts.Origins})
	if err != nil {
		return // Accept has answered
	}
	if !h.enter() {
		conn.Close(websocket.StatusGoingAway, "the server is stopping")
		return
	}
	defer h.open.Done()
	conn.SetReadLimit(closeFrame)
	ctx, cancel := context.WithCancel(r.Context())
	// A goodbye must be said before the reader's context ends.
	bye := context.AfterFunc(h.closing, func() { conn.Close(websocket.StatusGoingAway, "the server is stopping") })
	defer bye()
	defer pinging(ctx, conn, cancel)()
	var working sync.WaitGroup
	status, reason := h.newClient(r, conn, &working).listen(ctx, conn)
	cancel()
	working.Wait()
	conn.Close(status, reason)
}

// admit lets a caller in who has not too many connections.
func (h *Handler) admit(r *http.Request) (admitted *http.Request, closed func(), refused *auth.Refused) {
	if r, refused = h.gate.Admit(r); refused != nil {
		return nil, nil, refused
	}
	closed, refused = h.gate.Connect(r.Context())
	return r, closed, refused
}

// newClient returns the other end of a connection. Its answers are sent by goroutines that
// working waits for.
func (h *Handler) newClient(r *http.Request, conn *websocket.Conn, working *sync.WaitGroup) *client {
	return &client{
		Handler: h, connection: rand.Text(), address: auth.Address(r),
		background: func(ctx context.Context, send func(context.Context)) { working.Go(func() { send(ctx) }) },
		post:       (&postbox{conn: conn}).post,
		sink:       stream.Sink{MaxMessage: maxFrame},
	}
}

// A postbox writes to a connection, one message at a time. One timer bounds all
// writes, as a context for each would cost more than the write.
type postbox struct {
	conn *websocket.Conn

	mu    sync.Mutex
	timer *time.Timer
}

func (p *postbox) post(ctx context.Context, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(writeTimeout, func() { p.conn.CloseNow() })
	} else {
		p.timer.Reset(writeTimeout)
	}
	defer p.timer.Stop()
	return p.conn.Write(context.Background(), websocket.MessageText, data)
}

// pinging notices a reader that has gone without a word, until stop is called. It has
// a timer and no goroutine, as there are thousands of connections.
func pinging(ctx context.Context, conn *websocket.Conn, lost func()) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(pingInterval, func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		bounded, done := context.WithTimeout(ctx, writeTimeout)
		defer done()
		if conn.Ping(bounded) != nil {
			lost()
			return
		}
		timer.Reset(pingInterval)
	})
	return func() {
		mu.Lock() // after a ping that is under way
		defer mu.Unlock()
		timer.Stop()
	}
}

// listen takes frames until the connection ends, and says how to close it.
func (c *client) listen(ctx context.Context, conn *websocket.Conn) (status websocket.StatusCode, reason string) {
	for {
		typ, r, err := conn.Reader(ctx)
		if err != nil {
			return websocket.StatusNormalClosure, ""
		}
		if status, reason = c.frame(ctx, typ, r); status != 0 {
			return status, reason
		}
	}
}

// frame takes one frame. A status other than 0 closes the connection.
func (c *client) frame(ctx context.Context, typ websocket.MessageType, r io.Reader) (status websocket.StatusCode, reason string) {
	data, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	if err == nil && len(data) > maxFrame {
		if _, err = io.Copy(io.Discard, r); err == nil {
			c.refuse(ctx, "", &badInput{"", fmt.Sprintf("the message has more than %d bytes", maxFrame)})
			return 0, ""
		}
	}
	switch {
	case err != nil:
		return websocket.StatusMessageTooBig, "message too big"
	case typ != websocket.MessageText:
		c.refuse(ctx, "", &badInput{"", "the message must be text"})
	case !utf8.Valid(data):
		return websocket.StatusInvalidFramePayloadData, "text must be UTF-8"
	default:
		c.take(ctx, data)
	}
	return 0, ""
}
