package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/converse"
)

const (
	// maxFrame is what a frame may have: as much as an API Gateway WebSocket
	// message. A longer one is refused, and the connection lives on; at
	// closeFrame it is closed.
	maxFrame   = 128 << 10
	closeFrame = 1 << 20

	maxAnswers   = 4 // at once on one connection
	writeTimeout = 10 * time.Second
	pingInterval = 30 * time.Second
)

// errStopped is the cause of an answer's end when its reader has stopped it.
var errStopped = errors.New("stopped by the reader")

// stopCancelled is the stop reason that the page is told then; the model had
// none of its own.
const stopCancelled bedrockkit.StopReason = "cancelled"

// A socket is one connection. Its requests run side by side; each ends when it
// is stopped, when the connection closes, or by itself.
type socket struct {
	*server
	conn *websocket.Conn

	mu      sync.Mutex
	answers map[string]context.CancelCauseFunc
	wg      sync.WaitGroup
}

func (s *server) serveSocket(w http.ResponseWriter, r *http.Request) {
	// Accept refuses other origins.
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(closeFrame)
	s.sockets.Add(1)
	defer s.sockets.Done()
	c := &socket{server: s, conn: conn, answers: make(map[string]context.CancelCauseFunc)}
	ctx, cancel := context.WithCancel(r.Context())
	// A goodbye must be said before the reader's context ends.
	bye := context.AfterFunc(s.closing, func() { conn.Close(websocket.StatusGoingAway, "the server is stopping") })
	defer bye()
	c.wg.Go(func() { c.ping(ctx, cancel) })
	status, reason := c.read(ctx)
	cancel() // the model calls first, then the goodbye
	c.wg.Wait()
	conn.Close(status, reason)
}

// ping notices a reader that has gone without a word.
func (c *socket) ping(ctx context.Context, cancel context.CancelFunc) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pingCtx, done := context.WithTimeout(ctx, writeTimeout)
		err := c.conn.Ping(pingCtx)
		done()
		if err != nil {
			cancel()
			return
		}
	}
}

// read takes frames until the connection ends.
func (c *socket) read(ctx context.Context) (websocket.StatusCode, string) {
	for {
		typ, r, err := c.conn.Reader(ctx)
		if err != nil {
			return websocket.StatusNormalClosure, ""
		}
		data, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
		if err == nil && len(data) > maxFrame {
			if _, err = io.Copy(io.Discard, r); err == nil {
				c.refuse(ctx, "", &badInput{"", fmt.Sprintf("the message has more than %d bytes", maxFrame)})
				continue
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
	}
}

// take handles one frame.
func (c *socket) take(ctx context.Context, data []byte) {
	var frame chatFrame
	if err := decodeJSON(data, &frame); err != nil {
		c.refuse(ctx, frame.RequestID, err)
		return
	}
	switch frame.Type {
	case "", "chat":
	case "stop":
		c.mu.Lock()
		stop := c.answers[frame.RequestID]
		c.mu.Unlock()
		if stop != nil { // else it has ended meanwhile
			stop(errStopped)
		}
		return
	default:
		c.refuse(ctx, frame.RequestID, &badInput{"type", `must be "chat" or "stop"`})
		return
	}
	q, err := frame.question()
	if err != nil {
		c.refuse(ctx, frame.RequestID, err)
		return
	}
	if q.ID == "" {
		q.ID = rand.Text()
	}
	answerCtx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	_, twice := c.answers[q.ID]
	full := len(c.answers) == maxAnswers
	if !twice && !full {
		c.answers[q.ID] = cancel
	}
	c.mu.Unlock()
	switch {
	case twice:
		cancel(nil)
		c.refuse(ctx, q.ID, &badInput{"request_id", "is that of an answer that is still being given"})
		return
	case full:
		cancel(nil)
		c.refuse(ctx, q.ID, &badInput{"", fmt.Sprintf("%d answers are being given; wait for one to end", maxAnswers)})
		return
	}
	c.wg.Go(func() {
		defer cancel(nil)
		last := c.answer(answerCtx, ctx, q)
		// The place is free before the client hears of the end, so that it may
		// ask again at once.
		c.mu.Lock()
		delete(c.answers, q.ID)
		c.mu.Unlock()
		if last.Type != "" {
			c.write(ctx, last)
		}
	})
}

// answer streams one answer and returns the frame that is to end it, none where
// nobody listens. ctx ends when the answer is stopped; conn is the connection's.
func (c *socket) answer(ctx, conn context.Context, q question) (last serverFrame) {
	began := time.Now()
	send := func(f serverFrame) bool {
		f.RequestID = q.ID
		return c.write(conn, f) == nil
	}
	if !send(serverFrame{Type: "start", Model: c.assistant.models[q.Model]}) {
		return last
	}
	var result *converse.RunResult
	var failed error
	var firstToken time.Duration
	sequence := 0
	for ev, err := range c.assistant.answer(ctx, q) {
		if ev.Result != nil {
			result = ev.Result
		}
		if err != nil {
			failed = err
			break
		}
		ok := true
		switch {
		case ev.Text != "":
			if sequence == 0 {
				firstToken = time.Since(began)
			}
			sequence++
			ok = send(serverFrame{Type: "token", Data: ev.Text, Sequence: sequence})
		case ev.ToolUse != nil:
			ok = send(serverFrame{Type: "tool_use", ToolUseID: ev.ToolUse.ID, Name: ev.ToolUse.Name, Input: ev.ToolUse.Input})
		case ev.ToolResult != nil:
			ok = send(toolResultFrame(ev))
		}
		if !ok {
			return last // leaving the loop stops the model
		}
	}
	c.logAnswer(q.ID, q, result, failed)
	stopped := context.Cause(ctx) == errStopped
	if failed != nil && !stopped {
		p := problemOf(failed)
		return serverFrame{Type: "error", RequestID: q.ID, problem: &p}
	}
	done := serverFrame{
		Type: "complete", RequestID: q.ID, Model: c.assistant.models[q.Model], StopReason: stopCancelled,
		LatencyMS: time.Since(began).Milliseconds(), FirstTokenMS: firstToken.Milliseconds(),
		Usage: &bedrockkit.Usage{Unknown: true},
	}
	if result != nil {
		done.Usage = &result.Usage
		if result.Cost != nil {
			done.CostUSD = result.Cost.String()
		}
		if last := result.Last(); last != nil {
			done.Model = last.Model
			if failed == nil {
				done.StopReason = last.StopReason
			}
		}
	}
	return done
}

func toolResultFrame(ev converse.RunEvent) serverFrame {
	f := serverFrame{Type: "tool_result", ToolUseID: ev.ToolResult.ToolUseID, Status: string(ev.ToolResult.Status)}
	if len(ev.ToolResult.Content) == 0 {
		return f
	}
	switch c := ev.ToolResult.Content[0].(type) {
	case converse.JSON:
		f.Content = json.RawMessage(c)
	case converse.Text:
		f.Content, _ = json.Marshal(string(c)) // a string always can
	}
	return f
}

// refuse tells of bad input. The connection's other requests live on.
func (c *socket) refuse(ctx context.Context, id string, err error) {
	if !requestID.MatchString(id) {
		id = ""
	}
	c.write(ctx, serverFrame{Type: "error", RequestID: id, problem: &problem{Code: "bad_request", Message: err.Error()}})
}

// write sends one frame. A reader that does not take it in time is gone.
func (c *socket) write(ctx context.Context, f serverFrame) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, data)
}
