package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// A listener hears the frames of answers.
type listener struct {
	frames, text atomic.Int64
}

// An answerer asks one question at a time.
type answerer interface {
	// ask sends a question and reads its answer. It returns how long the first token
	// took and how many frames with tokens there were.
	ask(ctx context.Context, heard *listener) (first time.Duration, err error)
	close()
}

func (s *chatServer) dial(ctx context.Context, client *http.Client) (answerer, error) {
	if s.events {
		return &eventsAnswerer{url: "http://" + s.addr + "/v1/manga/query", client: client}, nil
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/ws", nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	return &socketAnswerer{conn: conn}, nil
}

type socketAnswerer struct {
	conn *websocket.Conn
	n    int
}

func (a *socketAnswerer) close() { a.conn.CloseNow() }

func (a *socketAnswerer) ask(ctx context.Context, heard *listener) (first time.Duration, err error) {
	a.n++
	began := time.Now()
	if err := a.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, chatAsked, a.n)); err != nil {
		return 0, err
	}
	for {
		_, frame, err := a.conn.Read(ctx)
		if err != nil {
			return 0, err
		}
		last, err := heard.frame(frame)
		if first == 0 && bytes.Contains(frame, []byte(`"data":"`)) {
			first = time.Since(began)
		}
		if err != nil || last {
			return first, err
		}
	}
}

// frame counts a frame, and reports whether it is the last one.
func (l *listener) frame(frame []byte) (last bool, err error) {
	switch {
	case bytes.HasPrefix(frame, []byte(`{"type":"token"`)):
		_, rest, _ := bytes.Cut(frame, []byte(`"data":"`))
		text, _, _ := bytes.Cut(rest, []byte(`"`)) // no token has a quotation mark
		l.frames.Add(1)
		l.text.Add(int64(len(text)))
	case bytes.HasPrefix(frame, []byte(`{"type":"complete"`)):
		return true, nil
	case bytes.HasPrefix(frame, []byte(`{"type":"error"`)):
		return true, fmt.Errorf("the answer is %s", frame)
	}
	return false, nil
}

type eventsAnswerer struct {
	url    string
	client *http.Client
}

func (a *eventsAnswerer) close() {}

func (a *eventsAnswerer) ask(ctx context.Context, heard *listener) (first time.Duration, err error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, strings.NewReader(chatQuery))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 1024)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return first, fmt.Errorf("%s: %w", resp.Status, err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		if first == 0 && bytes.Contains(data, []byte(`"data":"`)) {
			first = time.Since(began)
		}
		last, err := heard.frame(data)
		if err != nil || last {
			io.Copy(io.Discard, lines)
			return first, err
		}
	}
}
