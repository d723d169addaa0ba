package bedrockx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Operation is an operation of Bedrock Runtime that a [Call] can be of.
type Operation string

// The operations.
const (
	OpInvokeModel       Operation = "InvokeModel"
	OpInvokeModelStream Operation = "InvokeModelWithResponseStream"
	OpConverse          Operation = "Converse"
	OpConverseStream    Operation = "ConverseStream"
)

// Streaming reports whether the response is an event stream.
func (op Operation) Streaming() bool {
	return op == OpInvokeModelStream || op == OpConverseStream
}

// A Handler handles a call. A [Middleware] wraps one handler in another.
type Handler func(context.Context, *Call) error

// A Middleware is a policy: it may look at the call before and after the next
// handler, change it, answer it or refuse it. It runs once for a call, outside
// of the retries, and calls the next handler at most once: a call is sent for one
// answer, and costs and budgets are settled for one. It must be safe for
// concurrent use.
//
// What is to happen when the call has ended (a stream ends long after the
// handler returned) is registered with [Call.OnEnd].
type Middleware func(next Handler) Handler

// A Call is one request on its way through the pipeline and what became of it.
// It belongs to one goroutine at a time.
type Call struct {
	// Op and Model say what is called. A middleware may change the model.
	Op    Operation
	Model bedrockkit.ModelID

	// Body is the JSON body as it goes out; it is not checked again. Where it
	// is nil, the SDK's serializer writes the body from SDKInput. It must not
	// be changed once the call has been sent.
	Body json.RawMessage

	// SDKInput returns the SDK's input for the operation, such as a
	// *bedrockruntime.ConverseInput, complete but for the model id. It is
	// called when Body is nil, or when the API is not the SDK's own client.
	// What it returns is changed by the pipeline, so it must be a copy.
	SDKInput func() (any, error)

	// MaxTokens is the request's own bound on the answer in tokens, which
	// budgets and quotas go by; 0 stands for the most that the model gives.
	MaxTokens int

	// Decode reads the response. It runs within each attempt: an error is a
	// failure of the attempt and may be retried, so it must start anew each
	// time. For a unary call it reads all of the body, for a stream it reads
	// until the first output and keeps the body for later.
	Decode func(context.Context, *Response) error

	// Share gives a copy of the call, which a [Cache] sends for all who ask the
	// same at once, a Decode of its own: one that changes the copy and nothing
	// of this call. For a stream it returns a function that reads what Decode
	// has left to the end and ends the copy. Where Share is nil, the call
	// passes by the cache.
	Share func(*Call) (rest func() error)

	// OnText are given the text of the answer before the caller sees it: that
	// of a stream piece by piece, that of a unary call at once, in the goroutine
	// that reads. Of an InvokeModel response whose type has no method Text() string
	// it is the body. An error of one ends the call, with [KindRefused]. A
	// middleware adds to them before it calls the next handler.
	OnText []func(text string) error

	// Continuation returns the call that asks for the rest of a streamed answer
	// whose beginning is given, for Options.Continue; nil where that cannot be
	// asked for.
	Continuation func(soFar string) (*Call, error)

	// Options are those of the client and of this call, defaults filled in.
	Options *Options

	// What became of it. A middleware that answers the call itself sets them.
	Attempts    int    // requests sent, to whichever target
	RequestID   string // of the last response, success or error
	Host        string // that the last attempt was sent to, with its port where the endpoint names one
	Fallback    bool   // a target of Options.Fallback was the last to be asked
	Usage       bedrockkit.Usage
	StopReason  bedrockkit.StopReason
	ServiceTier bedrockkit.ServiceTier // the tier that served it, as far as the response says
	CacheHit    bool                   // answered from a cache, which costs nothing
	Failures    []Failure              // the attempts that did not answer, and the targets that were left out

	// Latency is the time from Do to the end, FirstOutput that to the first
	// output of a stream (time to first token). They are set when reached.
	Latency     time.Duration
	FirstOutput time.Duration

	// Queued is the part of the latency that the call has waited for a quota.
	Queued time.Duration

	// Cost is what the call cost in US dollars, once it has ended; nil where
	// that is not known, and CostErr says why.
	Cost    *pricing.Amount
	CostErr error

	// Caching is what the service's prompt cache did for the call; nil until it
	// has ended, where the usage tells of no cache, and where Cost is nil.
	Caching *pricing.Caching

	// Where the call goes now: the client's own API, or a fallback target's.
	api     RuntimeAPI
	sdk     *bedrockruntime.Client // api, where it is the SDK's own client
	region  string
	account string

	hold        *hold // what is set aside of budgets
	input, most int64 // tokens of the input and of the longest answer, once a limiter has asked

	resolve func(bedrockkit.ModelID) (bedrockkit.ModelID, error) // Options.Resolve, in the context of Do; may be nil

	began   time.Time
	sent    bool
	ended   atomic.Bool
	settled atomic.Bool
	onEnd   []func(error)
}

// A Response is what an attempt brought back.
type Response struct {
	// Header and Body are those of the HTTP response. The body is bounded:
	// reading more of a unary body than Options.MaxResponseBytes is an error.
	// They are nil where the API is not the SDK's own client.
	Header http.Header
	Body   io.ReadCloser

	// SDK is the SDK's output, such as a *bedrockruntime.ConverseOutput. It
	// holds the answer only where Body is nil.
	SDK any
}

// ReadAll reads the body of a unary response to its end. One that breaks off is
// an error of [KindTruncated]; one that lies about its length, as a proxy's can,
// is found by whoever decodes it.
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

// Region is the AWS region that the call goes to and is priced in, as far as
// that is known: a fallback may change it.
func (c *Call) Region() string { return c.region }

// Resolved is the id that says which model the call goes to: Model itself,
// unless that is an ARN that does not tell and Options.Resolve does.
func (c *Call) Resolved() bedrockkit.ModelID { return c.resolved(c.Model) }

func (c *Call) resolved(id bedrockkit.ModelID) bedrockkit.ModelID {
	if c.resolve != nil && id.Base() == "" {
		if known, err := c.resolve(id); err == nil {
			return known
		}
	}
	return id
}

// OnEnd registers a function that runs once when the call has ended, with the
// error that it ended with. The last one registered runs first, all of them
// after usage and cost were settled.
func (c *Call) OnEnd(fn func(error)) { c.onEnd = append(c.onEnd, fn) }

// Text gives a piece of the answer's text to OnText. Whoever decodes a
// response does it, and hands no text on where it returns an error.
func (c *Call) Text(text string) error {
	for _, fn := range c.OnText {
		if err := fn(text); err != nil {
			return &Error{Kind: KindRefused, Err: err} // and not the kind of a check that failed, which could be retried
		}
	}
	return nil
}

// End tells that the call has ended. The pipeline does it for unary calls and
// for streams that never began; whoever reads a stream does it once it is
// complete, broken or left. Later calls do nothing.
func (c *Call) End(err error) {
	if c.ended.Swap(true) {
		return
	}
	if !c.began.IsZero() {
		c.Latency = time.Since(c.began)
	}
	c.price(err)
	c.settled.Store(true)
	for i := len(c.onEnd) - 1; i >= 0; i-- {
		c.onEnd[i](err)
	}
}

// Settled reports whether End has set Latency, Cost, CostErr and Caching; only
// then may another goroutine than that which called End read them.
func (c *Call) Settled() bool { return c.settled.Load() }

// price settles the cost: that of the answer and of attempts that were refused
// after their usage was known. A call that brought neither an answer nor usage
// has no cost that anybody knows, as an attempt that failed may have been
// billed.
func (c *Call) price(err error) {
	switch {
	case c.CacheHit:
		c.Cost = new(pricing.Amount)
	case err != nil && c.Usage == bedrockkit.Usage{}:
		c.CostErr = err
	default:
		cost, err := c.cost()
		if err != nil {
			c.CostErr = err
			return
		}
		for _, f := range c.Failures {
			// The failure that ended the call is the one just priced.
			if f.Cost != nil && (f.RequestID != c.RequestID || f.RequestID == "") {
				cost = cost.Add(*f.Cost)
			}
		}
		c.Cost = &cost
		if u := c.Usage; u.InputTokens != u.TotalInput() {
			if caching, err := c.Options.Prices.Caching(c.Model, u, c.priced); err == nil {
				c.Caching = &caching
			}
		}
	}
}

// cost is that of the usage, as the attempt that told it is billed.
func (c *Call) cost() (pricing.Amount, error) {
	return c.Options.Prices.Cost(c.Model, c.Usage, c.priced)
}

// priced says how the attempt was served.
func (c *Call) priced(o *pricing.CostOptions) {
	o.Region = c.region
	o.Tier = c.ServiceTier
	o.Resolve = c.resolve
}

func (c *Call) start() error {
	if c.sent {
		return errors.New("the call was sent before; make a new one")
	}
	c.sent = true
	c.began = time.Now()
	return nil
}

// check finds mistakes of whoever made the call.
func (c *Call) check() error {
	if err := c.Model.Validate(); err != nil {
		return err
	}
	switch {
	case c.api == nil:
		return errors.New("the client has no API: New was given nil")
	case c.Decode == nil:
		return errors.New("the call has no Decode")
	case c.Body == nil && c.SDKInput == nil:
		return errors.New("the call has neither a Body nor an SDKInput")
	}
	switch c.Op {
	case OpInvokeModel, OpInvokeModelStream, OpConverse, OpConverseStream:
		return nil
	}
	return fmt.Errorf("unknown operation %q", c.Op)
}
