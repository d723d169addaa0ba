package bedrocktest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// A Capture is a list of exchanges with Bedrock. As text it is a txtar archive,
// which people can read, edit and compare; events of a stream are one line
// each.
type Capture struct {
	Exchanges []*Exchange
}

// An Exchange is a request and its response.
type Exchange struct {
	Method, Path, Query string // the path is escaped
	RequestHeader       http.Header
	Request             []byte
	Status              int
	ResponseHeader      http.Header
	Response            []byte
}

// Text is the capture as a txtar archive.
func (c *Capture) Text() []byte {
	var b bytes.Buffer
	file := func(i int, name string, content []byte) {
		fmt.Fprintf(&b, "-- %03d/%s --\n%s", i+1, name, content)
		if len(content) > 0 && content[len(content)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	for i, e := range c.Exchanges {
		target := e.Path
		if e.Query != "" {
			target += "?" + e.Query
		}
		file(i, "request", headText(e.Method+" "+target, e.RequestHeader))
		if len(e.Request) > 0 {
			name, content := bodyText(e.Request)
			file(i, "request."+name, content)
		}
		file(i, "response", headText(strconv.Itoa(e.Status), e.ResponseHeader))
		if len(e.Response) > 0 {
			name, content := bodyText(e.Response)
			file(i, "response."+name, content)
		}
	}
	return b.Bytes()
}

func headText(first string, h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString(first + "\n")
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range h[k] {
			b.WriteString(k + ": " + v + "\n")
		}
	}
	return b.Bytes()
}

// bodyText is a body as text, in a way that gives back the same bytes.
func bodyText(body []byte) (name string, content []byte) {
	if events, ok := decodeEvents(body); ok {
		return "events", events
	}
	if json.Valid(body) && !bytes.ContainsAny(body, "\n\r") {
		return "json", body
	}
	return "base64", []byte(base64.StdEncoding.EncodeToString(body))
}

// decodeEvents writes the messages of a stream one a line:
// "event TYPE JSON", "exception TYPE JSON", "error CODE MESSAGE" and, of an
// InvokeModel stream, "chunk PADDING JSON" with the model's own event. It fails
// if the same bytes could not be made of that.
func decodeEvents(body []byte) ([]byte, bool) {
	var b bytes.Buffer
	r := eventstream.NewReader(bytes.NewReader(body), 0)
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false
		}
		switch string(f.MessageType) {
		case "event":
			if event, padding, ok := splitChunk(f.Payload); ok && string(f.EventType) == "chunk" {
				fmt.Fprintf(&b, "chunk %s %s\n", padding, event)
				break
			}
			fmt.Fprintf(&b, "event %s %s\n", f.EventType, f.Payload)
		case "exception":
			fmt.Fprintf(&b, "exception %s %s\n", f.ExceptionType, f.Payload)
		case "error":
			fmt.Fprintf(&b, "error %s %s\n", f.ErrorCode, f.ErrorMessage)
		}
	}
	again, err := encodeEvents(b.Bytes())
	return b.Bytes(), err == nil && len(body) > 0 && bytes.Equal(again, body)
}

// splitChunk takes the payload of a chunk apart.
func splitChunk(payload []byte) (event []byte, padding string, ok bool) {
	var v struct {
		Bytes []byte `json:"bytes"`
		P     string `json:"p"`
	}
	if json.Unmarshal(payload, &v) != nil || v.P == "" || strings.ContainsAny(v.P, " \n\"") || bytes.ContainsAny(v.Bytes, "\r\n") {
		return nil, "", false
	}
	return v.Bytes, v.P, json.Valid(v.Bytes)
}

func encodeEvents(text []byte) ([]byte, error) {
	var b []byte
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		name, payload, ok := strings.Cut(rest, " ")
		if !ok || len(name) > 1000 || len(payload) > maxRecorded {
			return nil, fmt.Errorf("%q is no event; expected: event TYPE JSON", clipLine(line))
		}
		switch kind {
		case "chunk":
			payload := appendChunk(nil, []byte(payload))
			payload = append(payload[:len(payload)-1], `,"p":"`+name+`"}`...)
			b = eventstream.AppendEvent(b, "chunk", payload)
		case "event":
			b = eventstream.AppendEvent(b, name, []byte(payload))
		case "exception":
			b = eventstream.AppendException(b, name, []byte(payload))
		case "error":
			if len(payload) > 1<<15 {
				return nil, fmt.Errorf("%q: the message is too long", clipLine(line))
			}
			b = eventstream.AppendError(b, name, payload)
		default:
			return nil, fmt.Errorf("%q is no event; expected: event, chunk, exception or error", clipLine(line))
		}
	}
	return b, nil
}

func clipLine(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// ParseCapture reads what [Capture.Text] wrote.
func ParseCapture(text []byte) (*Capture, error) {
	c := &Capture{}
	fail := func(name string, err error) (*Capture, error) {
		return nil, fmt.Errorf("reading a capture: %s: %w", name, err)
	}
	var last *Exchange
	number := ""
	for name, content := range archive(text) {
		n, part, _ := strings.Cut(name, "/")
		if part == "request" {
			last, number = &Exchange{}, n
			c.Exchanges = append(c.Exchanges, last)
		}
		if last == nil || n != number {
			return fail(name, errors.New("it comes before its request"))
		}
		kind, encoding, isBody := strings.Cut(part, ".")
		if kind != "request" && kind != "response" {
			return fail(name, errors.New("expected request or response"))
		}
		if !isBody {
			first, header, err := parseHead(content)
			if err != nil {
				return fail(name, err)
			}
			if kind == "response" {
				if last.Status, err = strconv.Atoi(first); err != nil || last.Status < 200 || last.Status > 599 {
					return fail(name, fmt.Errorf("%q is no HTTP status", clipLine(first)))
				}
				last.ResponseHeader = header
				continue
			}
			method, target, ok := strings.Cut(first, " ")
			if !ok {
				return fail(name, errors.New("expected a method and a path"))
			}
			last.Method, last.RequestHeader = method, header
			last.Path, last.Query, _ = strings.Cut(target, "?")
			continue
		}
		var body []byte
		var err error
		switch encoding {
		case "events":
			body, err = encodeEvents(content)
		case "json":
			body = bytes.TrimSuffix(content, []byte("\n"))
		case "base64":
			body, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(content)))
		default:
			err = errors.New("expected events, json or base64")
		}
		if err != nil {
			return fail(name, err)
		}
		if kind == "request" {
			last.Request = body
		} else {
			last.Response = body
		}
	}
	for i, e := range c.Exchanges {
		if e.Status == 0 {
			return fail(fmt.Sprintf("%03d/request", i+1), errors.New("it has no response"))
		}
	}
	return c, nil
}

func parseHead(content []byte) (first string, h http.Header, err error) {
	h = http.Header{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\r\n")
		if first == "" {
			first = line
			continue
		}
		if line == "" {
			continue
		}
		k, v, ok := strings.Cut(line, ": ")
		if !ok {
			return "", nil, fmt.Errorf("%q is no header", clipLine(line))
		}
		h.Add(k, v)
	}
	return first, h, nil
}

// archive yields the files of a txtar archive. What comes before the first is
// a comment.
func archive(text []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		name := ""
		var content []byte
		for line := range strings.Lines(string(text)) {
			trimmed := strings.TrimRight(line, "\r\n")
			if strings.HasPrefix(trimmed, "-- ") && strings.HasSuffix(trimmed, " --") && len(trimmed) > 6 {
				if name != "" && !yield(name, content) {
					return
				}
				name, content = strings.TrimSpace(trimmed[3:len(trimmed)-3]), nil
				continue
			}
			content = append(content, line...)
		}
		if name != "" {
			yield(name, content)
		}
	}
}

// Responder replays the capture: it answers a request with the first exchange
// that is left of the same method, path, query and body, where JSON is compared
// by its content. What it does not hold it leaves to next, which may be nil.
//
// As a hook it replays every operation, and before the server has a word to say
// of the request:
//
//	srv.Control(bedrocktest.AnyOp, capture.Responder(nil)).Keep()
//
// As [Options.Responder] it replays what models answered and nothing else: the
// server validates requests, counts tokens and computes embeddings by itself.
func (c *Capture) Responder(next Responder) Responder {
	var mu sync.Mutex
	left := slices.Clone(c.Exchanges)
	return func(ctx context.Context, req *Request) *Reply {
		mu.Lock()
		i := slices.IndexFunc(left, func(e *Exchange) bool { return e.answers(req) })
		var e *Exchange
		if i >= 0 {
			e = left[i]
			left = slices.Delete(left, i, i+1)
		}
		mu.Unlock()
		if e == nil {
			if next == nil {
				return nil
			}
			return next(ctx, req)
		}
		r := Body(e.Status, e.ResponseHeader.Get("Content-Type"), e.Response)
		for k, values := range e.ResponseHeader {
			for _, v := range values {
				r.Header(k, v)
			}
		}
		return r
	}
}

func (e *Exchange) answers(req *Request) bool {
	query, err := url.ParseQuery(e.Query)
	return err == nil && e.Method == req.Method && e.Path == string(redact([]byte(req.Path))) && keptQuery(query) == keptQuery(req.Query) &&
		(bytes.Equal(e.Request, redact(req.Body)) || sameJSON(e.Request, redact(req.Body)))
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return bytes.Equal(marshal(x), marshal(y))
}
