package bedrocktest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// A Reply is what the server sends for one request: an answer of the model, an
// error, or a response that goes wrong in some way. It is built by chaining:
//
//	bedrocktest.Text("Let me look.").ToolUse("search", map[string]any{"q": "manga"})
//	bedrocktest.Text("One, two").Chunks("One", ", ", "two").CutAfter(100)
//	bedrocktest.Throttle().Header("Retry-After", "3")
//
// One value serves every operation: the same Reply becomes a Converse body, a
// stream of events or an Anthropic Messages body. The methods change their
// receiver and return it. Once it was handed to a server it must not be
// changed; it may be handed over several times.
//
// What is not set is made up as Bedrock would: the stop reason (tool_use if a
// tool is called, else end_turn), the usage, ids, signatures. The request's
// maximum of tokens and its stop sequences cut the answer.
type Reply struct {
	blocks    []Block
	stop      bedrockkit.StopReason
	usage     *bedrockkit.Usage
	tier      bedrockkit.ServiceTier
	pace      float64
	chunkSize int
	header    http.Header

	status  int // of an error or a raw body; 0 for an answer
	code    string
	message string
	raw     []byte // a raw body
	isRaw   bool

	delay      time.Duration
	stallFirst bool
	stallAfter *int // events; nil: never
	cutAfter   *int64
	abortAfter *int64
	edits      []func([]Frame) []Frame
	inStream   *frameError
}

type frameError struct{ code, message string }

// NewReply returns an empty answer to add blocks to. Sent as it is, it is an
// answer without content.
func NewReply() *Reply { return &Reply{} }

// Text is an answer of one text block.
func Text(text string) *Reply { return NewReply().Text(text) }

// ToolUse is an answer that calls a tool. See [Reply.ToolUse].
func ToolUse(name string, input any) *Reply { return NewReply().ToolUse(name, input) }

// Reasoning is an answer that starts with what the model thought. A signature
// is made from the text.
func Reasoning(text string) *Reply { return NewReply().Reasoning(text) }

// Text adds a text block.
func (r *Reply) Text(text string) *Reply { return r.Block(Block{Text: text}) }

// ToolUse adds the call of a tool. The input is encoded as JSON, and ToolUse
// panics if it cannot be; a json.RawMessage is sent as it is, and nil is a call without arguments: {} in
// a body, and no piece of JSON at all in a stream. The id is made by the
// server; use [Reply.Block] to set it.
func (r *Reply) ToolUse(name string, input any) *Reply {
	call := &ToolCall{Name: name}
	switch in := input.(type) {
	case nil:
	case json.RawMessage:
		call.Input = in
	default:
		call.Input = marshal(input)
	}
	return r.Block(Block{ToolUse: call})
}

// Reasoning adds a block of what the model thought.
func (r *Reply) Reasoning(text string) *Reply {
	return r.Block(Block{Reasoning: &ReasoningBlock{Text: text}})
}

// Redacted adds a block of encrypted reasoning.
func (r *Reply) Redacted(data []byte) *Reply {
	return r.Block(Block{Reasoning: &ReasoningBlock{Redacted: data}})
}

// Block adds any block: with an id or a signature of its own, or of a kind
// that clients do not know ([Block.Raw], in the shape of the operation that
// will be called).
func (r *Reply) Block(b Block) *Reply {
	r.blocks = append(r.blocks, b)
	return r
}

// Chunks says in which pieces a stream sends the last block, one event each;
// together they replace its text or its tool input. The pieces of an input may
// break the JSON anywhere and need not be JSON at all.
func (r *Reply) Chunks(pieces ...string) *Reply {
	if len(r.blocks) == 0 {
		r.Text("")
	}
	b := &r.blocks[len(r.blocks)-1]
	whole := strings.Join(pieces, "")
	switch {
	case b.ToolUse != nil:
		call := *b.ToolUse
		call.Input = json.RawMessage(whole)
		b.ToolUse = &call
	case b.Reasoning != nil:
		reasoning := *b.Reasoning
		reasoning.Text = whole
		b.Reasoning = &reasoning
	default:
		b.Text = whole
	}
	b.pieces = slices.Clone(pieces)
	return r
}

// ChunkSize sets how many runes an event of a stream holds. The default is one
// token an event.
func (r *Reply) ChunkSize(runes int) *Reply { r.chunkSize = runes; return r }

// Stop sets the stop reason. The answer is then not cut by the request's
// maximum of tokens or its stop sequences.
func (r *Reply) Stop(reason bedrockkit.StopReason) *Reply { r.stop = reason; return r }

// Usage sets the usage that is reported, whatever the answer's length.
func (r *Reply) Usage(u bedrockkit.Usage) *Reply { r.usage = &u; return r }

// Tier sets the service tier that is reported as having served the request.
// The default is the one that was asked for.
func (r *Reply) Tier(t bedrockkit.ServiceTier) *Reply { r.tier = t; return r }

// Pace sets how fast a stream is sent, in output tokens a second. The default
// is [Options.Pace].
func (r *Reply) Pace(tokensPerSecond float64) *Reply { r.pace = tokensPerSecond; return r }

// Header sets a header of the response.
func (r *Reply) Header(key, value string) *Reply {
	if r.header == nil {
		r.header = make(http.Header)
	}
	r.header.Set(key, value)
	return r
}

// Error is an error response: status is from 200 to 599, and code is the
// exception's name, as "ValidationException". Without a code and a message it is a bare status, as a
// load balancer gives it.
func Error(status int, code, message string) *Reply {
	r := NewReply()
	r.status, r.code, r.message = status, code, message
	return r
}

// Throttle is a ThrottlingException with status 429.
func Throttle() *Reply { return Exception("ThrottlingException") }

// Exception is an error of Bedrock Runtime with the status and a message that
// it has there. A name that Bedrock Runtime does not have gets status 400.
func Exception(code string) *Reply {
	e, ok := exceptions[code]
	if !ok {
		e = exception{http.StatusBadRequest, "The request failed."}
	}
	return Error(e.status, code, e.message)
}

type exception struct {
	status  int
	message string
}

// exceptions are those of the API reference, with the messages that the
// service gives for the usual causes.
var exceptions = map[string]exception{
	"AccessDeniedException":         {403, "You don't have access to the model with the specified model ID."},
	"ConflictException":             {400, "The request conflicts with an earlier one."},
	"InternalServerException":       {500, "The system encountered an unexpected error during processing. Try your request again."},
	"ModelErrorException":           {424, "The system encountered an unexpected error during processing. Try your request again."},
	"ModelNotReadyException":        {429, "Model is not ready for inference. Wait and try your request again."},
	"ModelStreamErrorException":     {424, "The system encountered an unexpected error during processing. Try your request again."},
	"ModelTimeoutException":         {408, "Model has timed out in processing the request. Try your request again."},
	"ResourceNotFoundException":     {404, "Could not resolve the foundation model from the provided model identifier."},
	"ServiceQuotaExceededException": {400, "Your request exceeds the service quota for your account."},
	"ServiceUnavailableException":   {503, "Bedrock is unable to process your request."},
	"ThrottlingException":           {429, "Too many requests, please wait before trying again."},
	"ValidationException":           {400, "Malformed input request, please reformat your input and try again."},
}

// Body is a response of any kind, sent as it is.
func Body(status int, contentType string, body []byte) *Reply {
	r := NewReply()
	r.status, r.raw, r.isRaw = status, body, true
	return r.Header("Content-Type", contentType)
}

// HTML is the page of a proxy or a login portal that stands in the way.
func HTML(status int) *Reply {
	return Body(status, "text/html; charset=utf-8", fmt.Appendf(nil,
		"<!DOCTYPE html>\n<html><head><title>%d %s</title></head><body><h1>%[2]s</h1></body></html>\n",
		status, http.StatusText(status)))
}

// GzipBomb is a JSON body with Content-Encoding gzip that unpacks to size
// bytes, about a thousand times what is sent.
func GzipBomb(size int64) *Reply {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, `{"message":"`)
	io.CopyN(z, zeros{}, size)
	io.WriteString(z, `"}`)
	z.Close()
	return Body(http.StatusOK, "application/json", b.Bytes()).Header("Content-Encoding", "gzip")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// Delay waits before the response's headers.
func (r *Reply) Delay(d time.Duration) *Reply { r.delay = d; return r }

// Stall sends nothing at all, not even headers, until the client leaves or the
// server is closed.
func (r *Reply) Stall() *Reply { r.stallFirst = true; return r }

// StallAfter stops a stream after that many events until the client leaves or the
// server is closed; with 0 it sends the headers alone. An operation without a
// stream stalls before its body.
func (r *Reply) StallAfter(events int) *Reply { r.stallAfter = &events; return r }

// CutAfter ends the body after that many bytes, as if it were complete: a clean end
// of the HTTP response. A body that has no more bytes is sent whole.
func (r *Reply) CutAfter(bytes int64) *Reply { r.cutAfter = &bytes; return r }

// AbortAfter breaks the connection after that many bytes of the body: a reset on
// HTTP/1.1, RST_STREAM on HTTP/2. A body that has fewer bytes is sent whole.
func (r *Reply) AbortAfter(bytes int64) *Reply { r.abortAfter = &bytes; return r }

// ExceptionAfter ends a stream with an exception after that many events. Code is the
// exception's name, as "ThrottlingException". An operation without a stream
// answers with the exception as its error.
func (r *Reply) ExceptionAfter(events int, code, message string) *Reply {
	r.inStream = &frameError{code, message}
	return r.Edit(func(frames []Frame) []Frame {
		return append(first(events, frames), Frame{Type: lowerFirst(code), Exception: true, Payload: marshal(map[string]string{"message": message})})
	})
}

// InsertAfter puts an event of any type into a stream, after that many events. The
// payload must be JSON; of an InvokeModel stream it is the model's own event.
func (r *Reply) InsertAfter(events int, eventType, payload string) *Reply {
	return r.Edit(func(frames []Frame) []Frame {
		return slices.Insert(frames, len(first(events, frames)), Frame{Type: eventType, Payload: []byte(payload)})
	})
}

// Without leaves out a stream's events of these types, as "metadata" or
// "messageStop"; of an InvokeModel stream the types of the model's own events,
// as "message_stop".
func (r *Reply) Without(eventTypes ...string) *Reply {
	return r.Edit(func(frames []Frame) []Frame {
		return slices.DeleteFunc(frames, func(f Frame) bool { return slices.Contains(eventTypes, f.Type) })
	})
}

// EndAfter ends a stream well after that many events.
func (r *Reply) EndAfter(events int) *Reply {
	return r.Edit(func(frames []Frame) []Frame { return first(events, frames) })
}

// first are the first n frames, or those that there are.
func first(n int, frames []Frame) []Frame { return frames[:max(0, min(n, len(frames)))] }

// Corrupt flips a bit of the frame that comes after that many events, at an offset in
// bytes from its start, or from its end if the offset is negative: 8 is in the
// checksum of the prelude, -1 in that of the message.
func (r *Reply) Corrupt(events, offset int) *Reply {
	return r.Edit(func(frames []Frame) []Frame {
		if events < 0 || events >= len(frames) {
			return frames
		}
		f := &frames[events]
		f.mangle = func(b []byte) {
			at := offset
			if at < 0 {
				at += len(b)
			}
			if at >= 0 && at < len(b) {
				b[at] ^= 0x10
			}
		}
		return frames
	})
}

// Claim replaces the frame after the given number of events by a valid prelude that
// announces the given lengths, followed by 16 bytes. The stream then stays open.
func (r *Reply) Claim(events int, total, headers uint32) *Reply {
	r.StallAfter(events + 1)
	return r.Edit(func(frames []Frame) []Frame {
		return append(first(events, frames), Frame{Raw: claim(total, headers)})
	})
}

// Edit changes the messages of a stream before they are sent. The functions run
// in the order in which they were added; they own the slice. Operations without
// a stream do not run them.
func (r *Reply) Edit(fn func([]Frame) []Frame) *Reply {
	r.edits = append(r.edits, fn)
	return r
}

// A Frame is one message of a response stream.
type Frame struct {
	// Type is the event's type as the client will see it: "contentBlockDelta",
	// or of an InvokeModel stream the type in the model's own event, as
	// "content_block_delta". Of an exception it is its name in lower camel case.
	Type      string
	Exception bool
	Payload   []byte // JSON

	// Raw is sent in place of an encoded message, if it is set.
	Raw []byte

	// Tokens are the output tokens that the message carries: what paces it.
	Tokens int64

	mangle func([]byte) // changes the encoded message in place
}

// Frames are bytes to send as a stream of their own, one message each.
func Frames(messages ...[]byte) *Reply {
	return NewReply().Edit(func([]Frame) []Frame {
		var frames []Frame
		for _, m := range messages {
			frames = append(frames, Frame{Raw: m})
		}
		return frames
	})
}

// EncodeEvent is the frame of an event, for [Frames].
func EncodeEvent(eventType string, payload []byte) []byte {
	return eventstream.AppendEvent(nil, eventType, payload)
}

// EncodeException is the frame of an exception, for [Frames]. Its type is a
// name in lower camel case, as "throttlingException".
func EncodeException(exceptionType string, payload []byte) []byte {
	return eventstream.AppendException(nil, exceptionType, payload)
}

// EncodeError is the frame of an error that the API does not model, for
// [Frames].
func EncodeError(code, message string) []byte {
	return eventstream.AppendError(nil, code, message)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// clone is a copy that may be changed.
func (r *Reply) clone() *Reply {
	c := *r
	c.blocks = slices.Clone(r.blocks)
	c.edits = slices.Clone(r.edits)
	c.header = maps.Clone(r.header)
	return &c
}
