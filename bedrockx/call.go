package bedrockx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Handler handles a call. A [Middleware] wraps one handler in another.
type Handler func(context.Context, *Call) error

// A Middleware is a policy: it may look at the call before and after the next handler,
// change it, answer it or refuse it. It runs once for a call, outside the retries. It
// calls the next handler at most once, because costs and budgets are settled for one
// answer. It must be safe for concurrent use.
//
// A stream ends long after the handler has returned. To run something when a call has
// ended, register it with [Call.OnEnd].
type Middleware func(next Handler) Handler

// A Call is one request on its way through the pipeline, and its outcome. Only one
// goroutine at a time may use it.
type Call struct {
	// Op is the operation to call, on Outcome.Model.
	Op bedrockkit.Operation

	// Body is the JSON body as it is sent; it is not checked again. If it is nil, the
	// SDK's serializer writes the body from SDKInput. It must not be changed after the
	// call has been sent.
	Body json.RawMessage

	// SDKInput returns the SDK's input for the operation, such as a
	// *bedrockruntime.ConverseInput, complete except for the model id. It is called if
	// Body is nil, or if the API is not the SDK's own client. The pipeline changes the
	// input, so it must be a copy.
	SDKInput func() (any, error)

	// MaxTokens is the request's own bound on the answer in tokens. Budgets and quotas
	// use it. 0 means the most that the model can answer.
	MaxTokens int

	// Decode reads the response. It runs once in each attempt, and must start from the
	// beginning each time: an error fails the attempt, which may be retried. For a
	// unary call it reads the whole body. For a stream it reads until the first output
	// and keeps the body for later.
	Decode func(context.Context, *Response) error

	// Share prepares a copy of the call, which a [Cache] sends on behalf of several
	// equal calls. It sets the Decode of the copy, which must change the copy and not
	// this call. For a stream it returns a function that reads the rest of the stream
	// after Decode, and ends the copy. If Share is nil, the call does not use the
	// cache.
	Share func(*Call) (rest func() error)

	// OnText functions are called with the text of the answer before the caller sees
	// it: piece by piece for a stream, once for a unary call, in the goroutine that
	// reads. If the type of an InvokeModel response has no method Text() string, the
	// text is the body. If a function returns an error, the call ends with
	// [KindRefused]. A middleware adds its function before it calls the next handler.
	OnText []func(text string) error

	// Hold holds events of a stream back until the reader may see their text. It gets
	// the text that came since its last call. whole is true if the answer is complete,
	// or if it broke and another call will continue it. While Hold returns false, the
	// events wait; at the end, release has no effect. If it returns an error, the call
	// ends with [KindRefused], and the reader never sees the events that wait. Hold
	// runs in the goroutine that reads. A middleware that sets it, before it calls the
	// next handler, must also call the function that was set before. Nil holds nothing
	// back. For unary calls, use OnText.
	Hold func(text string, whole bool) (release bool, err error)

	// Encode, if set, makes the request for a model, so that Body, SDKInput and
	// MaxTokens need not be set. model is what Options.Resolve returns. known is what
	// Options.Capabilities returns, or the zero value if the model is not known.
	// Encode is called before anything is sent: for the call's own model, and for
	// targets of Options.Fallback with another model. If it returns an error for any
	// of them, the call fails with [KindValidation]. If a middleware has replaced the
	// body, targets get that body unchanged.
	Encode func(model bedrockkit.ModelID, known bedrockkit.Capability) (Encoded, error)

	// Options are the options of the client and of this call, with the defaults filled
	// in. Only a middleware may change them, before it calls the next handler.
	Options *Options

	// Outcome says how the call went, and the model and region that it goes to.
	Outcome

	// Where the call goes now: the client's own API, or a fallback target's.
	api     RuntimeAPI
	sdk     *bedrockruntime.Client // api, where it is the SDK's own client
	account string

	// What Encode has made: for the call's own model, and for others.
	own        *Encoded
	encodedFor bedrockkit.ModelID
	variants   map[bedrockkit.ModelID]*Encoded

	hold        *hold             // what is set aside of budgets
	onAgain     func(*Error) bool // what sets aside for another attempt, if not the call itself
	input, most int64             // tokens of the input and of the longest answer, once a limiter has asked
	estimated   bool              // input is an estimate
	counted     int64             // what Options.InputTokens has counted; -1 after it failed

	resolve func(bedrockkit.ModelID) (bedrockkit.ModelID, error) // Options.Resolve, in the context of Do; may be nil

	ctx context.Context // of Do; what may run after its end takes it without

	open io.ReadCloser // the body of a stream that Decode was given
	dog  *watchdog     // of the attempt under way

	charging  sync.Mutex
	charged   pricing.Amount // beside the model's
	chargeErr error

	valid    bedrockkit.ModelID // a model that was found valid
	began    time.Time
	asked    time.Time // when the last attempt began
	sent     bool
	ended    atomic.Bool
	settling sync.Mutex // held while End writes to Outcome
	onEnd    []func(error)
}

// A Response is the response to one attempt.
type Response struct {
	// Header and Body are the header and body of the HTTP response. Reading more of a
	// unary body than Options.MaxResponseBytes is an error. They are nil if the API is
	// not the SDK's own client.
	Header http.Header
	Body   io.ReadCloser

	// SDK is the SDK's output, such as a *bedrockruntime.ConverseOutput. It has the
	// answer only if Body is nil.
	SDK any
}

// ReadAll reads the body of a unary response to its end. It returns an error of
// [KindTruncated] if the body breaks off. A proxy can send a wrong length; then the
// decoder finds the error.
func (r *Response) ReadAll() ([]byte, error) {
	const unsaid, most = 2 << 10, 64 << 10 // most of what is only said
	room := unsaid
	if said := r.Header.Get("Content-Length"); said != "" {
		n, _ := strconv.Atoi(said)
		room = max(0, min(n, most)) + 1 // for the Read that finds the end
	}
	body := make([]byte, 0, room)
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		switch body = body[:len(body)+n]; {
		case err == io.EOF:
			return body, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return body, &Error{Kind: KindTruncated, Err: err}
		case err != nil:
			return body, err
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// Resolved returns the id that names the model of the call. It is Model itself, or
// what Options.Resolve returns for it if Model is an ARN.
func (c *Call) Resolved() bedrockkit.ModelID { return c.resolved(c.Model) }

func (c *Call) resolved(id bedrockkit.ModelID) bedrockkit.ModelID {
	if c.resolve != nil && id.Base() == "" {
		if known, err := c.resolve(id); err == nil {
			return known
		}
	}
	return id
}

// OnEnd registers a function that runs once when the call has ended, with the error of
// the call. The function that was registered last runs first. All run after usage and
// cost were settled.
func (c *Call) OnEnd(fn func(error)) { c.onEnd = append(c.onEnd, fn) }

// Text passes a piece of the answer's text to OnText. Code that decodes a response
// must call it, and must not pass the text on if it returns an error.
func (c *Call) Text(text string) error {
	if len(c.OnText) == 0 {
		return nil
	}
	if c.dog != nil { // a check that takes long is not a slow service
		c.dog.pause()
		defer c.dog.resume()
	}
	for _, fn := range c.OnText {
		if err := fn(text); err != nil {
			return &Error{Kind: KindRefused, Err: err} // and not the kind of a check that failed, which could be retried
		}
	}
	return nil
}

// Charge adds to the cost of the call what a middleware has spent in addition to the
// model, such as a guardrail's text units. If cost is nil, the cost of the call is
// unknown, with err as the reason. Charge is safe for concurrent use until the call
// ends.
func (c *Call) Charge(cost *pricing.Amount, err error) {
	c.charging.Lock()
	defer c.charging.Unlock()
	if cost != nil {
		c.charged = c.charged.Add(*cost)
	} else if c.chargeErr == nil {
		c.chargeErr = err
	}
}

// End ends the call and settles its latency and cost. The pipeline ends unary calls,
// and streams that never began. The reader of a stream ends its call when the stream
// is complete, is broken or is no longer read. Later calls of End do nothing.
func (c *Call) End(err error) {
	if c.ended.Swap(true) {
		return
	}
	cost, saved, unpriced := c.price(err)
	cost, unpriced = c.withCharges(cost, unpriced)
	c.settling.Lock()
	if !c.began.IsZero() {
		c.Latency = time.Since(c.began)
	}
	c.Cost, c.PromptCache, c.CostErr = cost, saved, unpriced
	c.settling.Unlock()
	if err == nil && unpriced != nil {
		c.skipPrice(unpriced)
	}
	for i := len(c.onEnd) - 1; i >= 0; i-- {
		c.onEnd[i](err)
	}
}

func (c *Call) start() error {
	if c.sent {
		return errors.New("the call was sent before; make a new one")
	}
	c.sent = true
	c.began = time.Now()
	return nil
}

// check finds mistakes of the caller.
func (c *Call) check() error {
	switch {
	case c.api == nil:
		return errors.New("the client has no API: New was given nil")
	case c.Decode == nil:
		return errors.New("the call has no Decode")
	case c.Body == nil && c.SDKInput == nil:
		return errors.New("the call has neither a Body nor an SDKInput")
	}
	switch c.Op {
	case bedrockkit.OpInvokeModel, bedrockkit.OpInvokeModelWithResponseStream, bedrockkit.OpConverse, bedrockkit.OpConverseStream:
		return nil
	}
	return fmt.Errorf("unknown operation %q", c.Op)
}
