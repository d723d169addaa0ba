package bedrocktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// The bidirectional stream. Each message of the client is a frame that holds a
// signature and, as its payload, the frame of a chunk; with an API key it is
// the chunk alone. A chunk is an event of Nova Sonic: {"event":{"textInput":…}}.
//
// The server holds a session in text: at the end of each user content of type
// TEXT the script or the Responder answers, and the answer goes out as Sonic's
// text events. Audio is taken and not heard. Source: "Handling input
// and output events with the bidirectional API", Nova User Guide.

// sonicEvent is what the server reads of an input event.
type sonicEvent struct {
	Event struct {
		SessionStart *struct {
			InferenceConfiguration struct {
				MaxTokens int64 `json:"maxTokens"`
			} `json:"inferenceConfiguration"`
		} `json:"sessionStart"`
		ContentStart *struct {
			PromptName string `json:"promptName"`
			Type       string `json:"type"`
			Role       string `json:"role"`
		} `json:"contentStart"`
		TextInput *struct {
			Content string `json:"content"`
		} `json:"textInput"`
		ContentEnd *struct{} `json:"contentEnd"`
		SessionEnd *struct{} `json:"sessionEnd"`
	} `json:"event"`
}

// maxSession bounds what a session may send, in bytes: more than its eight
// minutes of audio.
const maxSession = 256 << 20

// maxSessionText bounds the text of a session, which is kept: more than a
// model's window.
const maxSessionText = 4 << 20

// bidirectional serves a whole session.
func (x *exchange) bidirectional() {
	s, req := x.s, x.req
	refused := s.knownModel(req.Model)
	if refused == nil && x.r.ProtoMajor < 2 {
		refused = invalid("InvokeModelWithBidirectionalStream needs HTTP/2.")
	}
	if r := s.authorize(x.r, nil); r != nil {
		refused = r
	}
	scripted := s.control(x.ctx, req) // an error, or the first answer
	if scripted != nil && scripted.status != 0 {
		refused = scripted
	}
	var apply []func(*Reply)
	if refused == nil {
		refused, apply = s.faults(req)
	}
	if refused != nil {
		x.send(refused)
		return
	}
	h := x.w.Header()
	h.Set("X-Amzn-Requestid", x.requestID())
	h.Set("Content-Type", "application/vnd.amazon.eventstream")
	x.start(NewReply(), http.StatusOK)
	x.flush()

	turn := Request{Op: req.Op, Model: req.Model, Method: req.Method, Path: req.Path, Query: req.Query, Header: req.Header, Proto: req.Proto,
		Time: req.Time, N: req.N, family: req.family}
	defer context.AfterFunc(x.ctx, func() { x.r.Body.Close() })() // or it would be read for ever
	frames := &sessionReader{frames: eventstream.NewReader(io.LimitReader(x.r.Body, maxSession), 0), events: s.eventVerifier(x.r)}
	role, kind, prompt, text, said := "", "", "", "", 0
	for {
		chunk, err := frames.next()
		var e sonicEvent
		switch {
		case errors.Is(err, errEventSignature):
			x.update(func(o *Outcome) { o.Code = "InvalidSignatureException" })
			x.write(NewReply(), eventstream.AppendError(nil, "InvalidSignatureException", wrongSignature))
			return
		case errors.Is(err, io.EOF):
			return
		case x.ctx.Err() != nil:
			x.end("client left")
			panic(http.ErrAbortHandler)
		case err != nil || json.Unmarshal(chunk, &e) != nil || e.Event.TextInput != nil && said > maxSessionText-len(e.Event.TextInput.Content):
			x.update(func(o *Outcome) { o.Code = "ValidationException" })
			x.write(NewReply(), eventstream.AppendException(nil, "validationException", marshal(object{"message": malformed})))
			return
		}
		switch ev := e.Event; {
		case ev.SessionStart != nil:
			turn.MaxTokens = ev.SessionStart.InferenceConfiguration.MaxTokens
		case ev.ContentStart != nil:
			role, kind, prompt, text = ev.ContentStart.Role, ev.ContentStart.Type, ev.ContentStart.PromptName, ""
		case ev.TextInput != nil:
			text += ev.TextInput.Content
			said += len(ev.TextInput.Content)
		case ev.ContentEnd != nil && kind == "TEXT" && role == "SYSTEM":
			turn.System = append(turn.System, text)
		case ev.ContentEnd != nil && kind == "TEXT" && role == "USER":
			turn.Messages = append(turn.Messages, Message{Role: "user", Blocks: []Block{{Text: text}}})
			answer, ok := x.speak(turn, prompt, scripted, apply)
			if !ok {
				return
			}
			said += len(answer.Text())
			turn.Messages, scripted = append(turn.Messages, answer), nil
		case ev.SessionEnd != nil:
			return
		}
	}
}

// speak answers a turn of the session, with the scripted reply if there is one,
// and reports whether to go on. The conversation grows with the session, so each
// turn is a request of its own.
func (x *exchange) speak(turn Request, prompt string, scripted *Reply, apply []func(*Reply)) (said Message, ok bool) {
	turn.Body = []byte(prompt + turn.LastText())
	turn.Messages = slices.Clone(turn.Messages)
	x.s.mu.Lock()
	x.req.Conversation = turn.Conversation
	x.s.mu.Unlock()
	inner := &exchange{s: x.s, w: x.w, r: x.r, ctx: x.ctx, req: &turn}
	r := scripted
	if r == nil {
		r = inner.model()
	}
	if len(apply) > 0 {
		r = r.clone()
		for _, fn := range apply {
			fn(r)
		}
	}
	if r.status != 0 {
		x.update(func(o *Outcome) { o.Code = r.code })
		x.write(r, eventstream.AppendException(nil, lowerFirst(r.code), marshal(object{"message": r.message})))
		return said, false
	}
	a := inner.complete(r)
	x.update(func(o *Outcome) { o.Usage = a.usage })
	x.wait(r.delay)
	ok = x.sendFrames(r, sonic{prompt}.frames(a)) && r.inStream == nil // an exception ends the session
	return Message{Role: "assistant", Blocks: a.blocks}, ok
}

// A sessionReader reads the messages of the client.
type sessionReader struct {
	frames *eventstream.Reader
	events *eventVerifier // nil if signatures are not checked
}

// next is what is in the frame of the next frame, or io.EOF at the empty frame
// that ends a stream.
func (r *sessionReader) next() ([]byte, error) {
	f, err := r.frames.Next()
	if err != nil {
		return nil, err
	}
	if r.events != nil {
		if err := r.events.verify(f); err != nil {
			return nil, err
		}
	}
	if len(f.EventType) == 0 {
		if len(f.Payload) == 0 {
			return nil, io.EOF
		}
		inner := eventstream.NewReader(bytes.NewReader(f.Payload), 0)
		if f, err = inner.Next(); err != nil {
			return nil, err
		}
	}
	var v struct {
		Bytes []byte `json:"bytes"`
	}
	err = json.Unmarshal(f.Payload, &v)
	return v.Bytes, err
}

// sonic writes an answer as the text events of Nova Sonic.
type sonic struct{ prompt string }

func (sonic) read(*Request) *Reply { return nil }
func (sonic) body(*answer) []byte  { return nil }

func (f sonic) frames(a *answer) []Frame {
	var frames []Frame
	add := func(name string, v object) {
		v["promptName"], v["completionId"] = f.prompt, a.id
		frames = append(frames, Frame{Type: name, Payload: marshal(object{"event": object{name: v}})})
	}
	content := identifier(20, a.id, "content")
	text, pieces := a.text()
	add("completionStart", object{})
	add("contentStart", object{"contentId": content, "type": "TEXT", "role": "ASSISTANT", "textOutputConfiguration": object{"mediaType": "text/plain"}})
	for _, p := range pieces {
		add("textOutput", object{"contentId": content, "content": p})
		frames[len(frames)-1].Tokens = CountTokens(p)
	}
	add("contentEnd", object{"contentId": content, "type": "TEXT", "stopReason": "END_TURN"})
	add("usageEvent", object{"totalInputTokens": a.usage.TotalInput(), "totalOutputTokens": a.usage.OutputTokens, "totalTokens": a.usage.TotalInput() + CountTokens(text)})
	add("completionEnd", object{"stopReason": "END_TURN"})
	return frames
}
