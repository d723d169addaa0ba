package socket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// maxAnswers are sent to one connection at once.
const maxAnswers = 4

// A client is the other end of a connection. Its answers are those of the registry,
// sent side by side: a connection that is lost stops no model, and another one
// reads on.
type client struct {
	*Handler
	connection string // its id
	address    string // that it comes from

	background func(ctx context.Context, send func(context.Context)) // runs what sends an answer
	post       func(ctx context.Context, data []byte) error          // sends one message within writeTimeout
	sink       stream.Sink                                           // how answers are sent, without its Send
}

// take handles one message. The context has the caller, and its end is that of the
// connection.
func (c *client) take(ctx context.Context, data []byte) {
	var frame chatFrame
	err := decodeJSON(data, &frame)
	if frame.Type != "stop" || c.running.answer(c.connection, frame.RequestID) == "" { // one can always stop what one is sent
		if refused := c.gate.Message(ctx, c.address); refused != nil {
			c.write(ctx, failed(problemOfRefused(refused), frame.RequestID))
			return
		}
	}
	if err != nil {
		c.refuse(ctx, frame.RequestID, err)
		return
	}
	switch frame.Type {
	case "", "chat":
		q, err := frame.question()
		if err != nil {
			c.refuse(ctx, frame.RequestID, err)
			return
		}
		if q.ID == "" {
			q.ID = rand.Text()
		}
		q.Route = c.assistant.Choose(q.Model, q.Messages)
		c.begin(ctx, reading{request: q.ID, answer: resume.NewID(), question: &q})
	case "resume":
		if err := frame.checkResume(); err != nil {
			c.refuse(ctx, frame.RequestID, err)
			return
		}
		c.begin(ctx, reading{request: frame.RequestID, answer: frame.AnswerID, after: frame.After})
	case "stop":
		c.stop(ctx, frame)
	default:
		c.refuse(ctx, frame.RequestID, &badInput{"type", `must be "chat", "resume" or "stop"`})
	}
}

// stop stops an answer: that of the request, or the one that is named, which may be
// sent to another connection.
func (c *client) stop(ctx context.Context, frame chatFrame) {
	id := c.running.answer(c.connection, frame.RequestID)
	if id == "" && requestID.MatchString(frame.AnswerID) {
		id = frame.AnswerID
	}
	if id == "" {
		return // it has ended meanwhile
	}
	if err := c.registry.Stop(ctx, owned(ctx, id)); err != nil && !errors.Is(err, resume.ErrUnknown) {
		c.log.Warn("stopping failed", "request_id", frame.RequestID, "error", err)
	}
}

// A reading is an answer that the client is sent.
type reading struct {
	request  string    // the client's id of it
	answer   string    // the registry's
	question *question // nil for an answer that was begun before
	after    int64     // the sequence that the client has seen
}

// begin starts to send an answer.
func (c *client) begin(ctx context.Context, r reading) {
	if err := c.running.begin(c.connection, r.request, r.answer); err != nil {
		c.refuse(ctx, r.request, err)
		return
	}
	c.background(ctx, func(ctx context.Context) {
		d := &delivery{client: c, reading: r, began: time.Now()}
		if d.start(ctx) {
			d.end(ctx, d.send(ctx))
		}
		// The place is free before the client hears of the end, so that it may
		// ask again at once.
		c.running.end(c.connection, r.request)
		if d.last.Type != "" {
			d.last.RequestID = r.request
			c.write(ctx, d.last)
		}
	})
}

// A delivery is an answer on its way to the client. Its methods are kept apart so that
// little is on the stack while the next token is awaited: thousands wait at once.
type delivery struct {
	*client
	reading
	began      time.Time
	asked      *asked // nil for an answer that was begun before
	firstToken time.Duration
	lost       error       // of the connection
	last       serverFrame // none if nobody listens
}

// start begins the answer, if it is a question's, and tells its id. It reports whether
// there is an answer to send.
func (d *delivery) start(ctx context.Context) bool {
	first := serverFrame{Type: "start", RequestID: d.request, AnswerID: d.answer}
	if d.question != nil {
		first.Model, first.Reason = d.assistant.Model(d.question.Route.Model), d.question.Route.Reason
		var err error
		if d.asked, err = d.ask(ctx, d.answer, *d.question); err != nil {
			d.last = failed(problemOfReading(err), d.request)
			return false
		}
	}
	d.lost = d.write(ctx, first)
	return d.lost == nil
}

// send sends the messages of the answer but for the last one.
func (d *delivery) send(ctx context.Context) error {
	messages := func(ctx context.Context, after int64) iter.Seq2[stream.Message, error] {
		return d.registry.Read(ctx, owned(ctx, d.answer), after)
	}
	sink := d.sink
	sink.Send = d.message
	return stream.Write(ctx, stream.Resume(ctx, messages, d.after), sink, func(o *stream.WriteOptions) {
		o.Timeout = -1                // post has its own
		o.Inline = sink.Coalesce == 0 // the registry keeps what a slow reader has not taken
	})
}

// message sends one message.
func (d *delivery) message(ctx context.Context, m stream.Message) error {
	f := frameOf(m)
	if m.Type == stream.TypeToken && d.firstToken == 0 {
		d.firstToken = time.Since(d.began)
	}
	if m.Last() {
		d.last = f
		return nil
	}
	if f.RequestID = d.request; f.Type != "" {
		d.lost = d.write(ctx, f)
	}
	return d.lost
}

// end settles the last frame after the error of send.
func (d *delivery) end(ctx context.Context, err error) {
	switch {
	case d.lost != nil || ctx.Err() != nil:
		d.last = serverFrame{}
	case err != nil:
		d.last = failed(problemOfReading(err), d.request)
	case d.last.Type == "":
		// There was nothing after the sequence: the client has seen all.
		d.last = serverFrame{Type: "complete", Usage: &bedrockkit.Usage{Unknown: true}}
	case d.asked != nil && d.last.Type == "complete":
		d.last.Model, d.last.Reason = d.assistant.Model(d.question.Route.Model), d.question.Route.Reason
		if result := d.asked.result(); result != nil && result.Last() != nil {
			d.last.Model, d.last.Cached = result.Last().Model, assistant.Cached(result)
		}
		d.last.LatencyMS, d.last.FirstTokenMS = time.Since(d.began).Milliseconds(), d.firstToken.Milliseconds()
	}
}

// refuse tells of bad input. The connection's other requests live on.
func (c *client) refuse(ctx context.Context, id string, err error) {
	c.write(ctx, failed(rest.Problem{Code: "bad_request", Message: err.Error()}, id))
}

// write sends one frame. A reader that does not take it in time is gone.
func (c *client) write(ctx context.Context, f serverFrame) error {
	data, err := f.append(make([]byte, 0, len(f.Data)+128))
	if err != nil {
		return err
	}
	return c.post(ctx, data)
}

// running are the answers that are being sent: by the connection, and by the client's
// id of the request.
type running struct {
	mu sync.Mutex
	of map[string]map[string]string
}

// begin enters an answer, if there is a place for it.
func (r *running) begin(connection, request, answer string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.of[connection]
	switch {
	case all[request] != "":
		return &badInput{"request_id", "is that of an answer that is still being given"}
	case len(all) >= maxAnswers:
		return &badInput{"", fmt.Sprintf("%d answers are being given; wait for one to end", maxAnswers)}
	case r.of == nil:
		r.of = map[string]map[string]string{}
	}
	if all == nil {
		all = map[string]string{}
		r.of[connection] = all
	}
	all[request] = answer
	return nil
}

// end makes the place free.
func (r *running) end(connection, request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.of[connection], request); len(r.of[connection]) == 0 {
		delete(r.of, connection)
	}
}

// answer is the id of the answer to a request, "" if none is being sent.
func (r *running) answer(connection, request string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[connection][request]
}
