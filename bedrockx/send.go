package bedrockx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mangaassist/bedrockkit"
)

// send makes one attempt: the request on the SDK's path, the response through
// the call's own decoding.
func send(ctx context.Context, call *Call) error {
	// A middleware may have changed the model.
	if err := call.Model.Validate(); err != nil {
		return &Error{Kind: KindValidation, Err: err}
	}
	call.Usage, call.StopReason, call.ServiceTier = bedrockkit.Usage{}, "", ""
	call.Attempts++
	began := time.Now()
	actx, dog := watch(ctx, call.Options)
	resp, err := roundTrip(actx, call)
	if err != nil {
		failed := classify(actx, err)
		dog.stop()
		return call.failed(ctx, failed, began)
	}
	if resp.Body != nil {
		if call.Op.Streaming() {
			resp.Body = dog.stream(resp.Body)
		} else {
			resp.Body = &boundedBody{ReadCloser: resp.Body, left: call.Options.MaxResponseBytes, max: call.Options.MaxResponseBytes}
		}
	}
	if err := call.Decode(actx, resp); err != nil {
		failed := classify(actx, err)
		if resp.Body != nil {
			resp.Body.Close()
		}
		dog.stop()
		return call.failed(ctx, failed, began)
	}
	call.observe(ctx, began, nil)
	if call.Op.Streaming() {
		call.FirstOutput = time.Since(call.began)
		dog.flowing()
		return nil
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	dog.stop()
	return nil
}

// failed keeps a record of an attempt that did not answer.
func (c *Call) failed(ctx context.Context, e *Error, began time.Time) error {
	id := e.RequestID
	if id == "" {
		id = c.RequestID
	}
	f := Failure{Model: c.Model, Region: c.region, Kind: e.Kind, RequestID: id, Usage: c.Usage, Latency: time.Since(began), sent: true}
	if (c.Usage != bedrockkit.Usage{}) {
		if cost, err := c.cost(); err == nil {
			f.Cost = &cost
		}
	}
	c.Failures = append(c.Failures, f)
	c.observe(ctx, began, e)
	return e
}

// An Attempt is one request that was sent, and how it ended: a unary one with
// its response, a stream with its first output.
type Attempt struct {
	Number    int // from 1, over all targets of the call
	Model     bedrockkit.ModelID
	Region    string // as it is priced; empty where that is not known
	Host      string // that it was sent to, with its port where the endpoint names one; empty for a mock
	RequestID string
	Began     time.Time
	Latency   time.Duration
	Err       *Error // nil where it answered
}

// observe tells Options.OnAttempt of an attempt that has ended.
func (c *Call) observe(ctx context.Context, began time.Time, e *Error) {
	if len(c.Options.OnAttempt) == 0 {
		return
	}
	a := Attempt{Number: c.Attempts, Model: c.Model, Region: c.region, Host: c.Host, RequestID: c.RequestID, Began: began, Latency: time.Since(began), Err: e}
	for _, fn := range c.Options.OnAttempt {
		fn(ctx, c, a)
	}
}

// roundTrip calls the API.
func roundTrip(ctx context.Context, call *Call) (*Response, error) {
	var input any
	call.RequestID, call.Host = "", ""
	tap := &tap{op: call.Op}
	if call.Body == nil || call.sdk == nil {
		if call.SDKInput == nil {
			return nil, &Error{Kind: KindValidation, Err: fmt.Errorf("%T is not the SDK's client, and the call has no SDKInput for it", call.api)}
		}
		var err error
		if input, err = call.SDKInput(); err != nil {
			return nil, &Error{Kind: KindValidation, Err: err}
		}
	} else if call.Op == OpConverse || call.Op == OpConverseStream {
		tap.model, tap.body = string(call.Model), call.Body
	}
	optFns := append(append(tap.optFns[:0], call.Options.SDKOptions...), tap.install)
	out, meta, err := invoke(ctx, call, input, optFns)
	call.Host = tap.host
	call.ServiceTier = bedrockkit.ServiceTier(tap.header.Get("X-Amzn-Bedrock-Service-Tier"))
	if id, ok := awsmiddleware.GetRequestIDMetadata(meta); ok {
		call.RequestID = id
	} else if tap.header != nil {
		call.RequestID = tap.header.Get("X-Amzn-Requestid")
	}
	if err != nil {
		if tap.taken != nil {
			tap.taken.Close()
		}
		return nil, err
	}
	tap.response = Response{Header: tap.header, Body: tap.taken, SDK: out}
	return &tap.response, nil
}

// serialized is the JSON that the SDK makes of the call's input. Nothing is
// sent.
func (c *Call) serialized(ctx context.Context) ([]byte, error) {
	if c.SDKInput == nil || c.sdk == nil {
		return nil, errors.New("the call has no body")
	}
	input, err := c.SDKInput()
	if err != nil {
		return nil, err
	}
	var body []byte
	made := errors.New("the body is made")
	_, _, err = invoke(ctx, c, input, []func(*bedrockruntime.Options){func(o *bedrockruntime.Options) {
		o.Retryer = aws.NopRetryer{}
		// In place of the client's own, which are to see requests that are sent.
		o.APIOptions = []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("bedrockkit.Serialized",
				func(_ context.Context, in middleware.SerializeInput, _ middleware.SerializeHandler) (out middleware.SerializeOutput, meta middleware.Metadata, err error) {
					if req, ok := in.Request.(*smithyhttp.Request); ok && req.GetStream() != nil {
						if body, err = io.ReadAll(req.GetStream()); err != nil {
							return out, meta, err
						}
					}
					return out, meta, made
				}), middleware.After)
		}}
	}})
	if !errors.Is(err, made) {
		return nil, err
	}
	return body, nil
}

// invoke calls the operation's method. A nil input stands for one that holds
// only the model id, and the call's body where that is InvokeModel's.
func invoke(ctx context.Context, call *Call, input any, optFns []func(*bedrockruntime.Options)) (any, middleware.Metadata, error) {
	model := aws.String(string(call.Model))
	none := middleware.Metadata{}
	switch call.Op {
	case OpConverse:
		in, err := inputAs[bedrockruntime.ConverseInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		out, err := call.api.Converse(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	case OpConverseStream:
		in, err := inputAs[bedrockruntime.ConverseStreamInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		out, err := call.api.ConverseStream(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	case OpInvokeModel:
		in, err := inputAs[bedrockruntime.InvokeModelInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		if input == nil {
			in.Body = call.Body
		}
		// Without it the SDK says application/octet-stream.
		setDefault(&in.ContentType, &jsonContentType)
		p := &call.Options.Invoke
		setText(&in.GuardrailIdentifier, &p.GuardrailIdentifier)
		setText(&in.GuardrailVersion, &p.GuardrailVersion)
		setDefault(&in.Trace, types.Trace(p.Trace))
		setDefault(&in.ServiceTier, types.ServiceTierType(p.ServiceTier))
		setDefault(&in.PerformanceConfigLatency, types.PerformanceConfigLatency(p.Latency))
		out, err := call.api.InvokeModel(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	default: // OpInvokeModelStream: Call.check knows no other
		in, err := inputAs[bedrockruntime.InvokeModelWithResponseStreamInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		if input == nil {
			in.Body = call.Body
		}
		setDefault(&in.ContentType, &jsonContentType)
		p := &call.Options.Invoke
		setText(&in.GuardrailIdentifier, &p.GuardrailIdentifier)
		setText(&in.GuardrailVersion, &p.GuardrailVersion)
		setDefault(&in.Trace, types.Trace(p.Trace))
		setDefault(&in.ServiceTier, types.ServiceTierType(p.ServiceTier))
		setDefault(&in.PerformanceConfigLatency, types.PerformanceConfigLatency(p.Latency))
		out, err := call.api.InvokeModelWithResponseStream(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	}
}

var jsonContentType = "application/json"

// setText fills in a text that the input does not have.
func setText(field **string, value *string) {
	if *field == nil && *value != "" {
		*field = value
	}
}

func inputAs[T any](input any) (*T, error) {
	switch in := input.(type) {
	case nil:
		return new(T), nil
	case *T:
		return in, nil
	}
	return nil, &Error{Kind: KindValidation, Err: fmt.Errorf("SDKInput returned a %T, the operation takes a %T", input, new(T))}
}

// A tap sits in the SDK's middleware stack of one attempt, on the side of the
// wire: it puts our JSON of Converse in the place of the SDK's serializer, and
// takes the raw body of a success away before the SDK decodes it. All between
// stays the SDK's: endpoint, headers, hash, signature and typed errors.
type tap struct {
	op     Operation
	model  string
	body   []byte // what goes out, nil for the SDK's own serialization
	host   string // that it was sent to
	header http.Header
	taken  io.ReadCloser

	// What else an attempt needs, in one allocation.
	response Response
	optFns   [4]func(*bedrockruntime.Options)
}

// nothing is the body that the SDK decodes in place of the one that was taken.
type nothing struct{ strings.Reader }

func (*nothing) Close() error { return nil }

func (t *tap) install(o *bedrockruntime.Options) {
	o.Retryer = aws.NopRetryer{} // one attempt: the retries are ours
	o.HTTPClient = hideWriterTo{o.HTTPClient}
	o.APIOptions = append(o.APIOptions, t.addTo)
	if o.Credentials == nil && o.BearerAuthTokenProvider == nil {
		o.BearerAuthTokenProvider = noCredentials{} // the SDK would ask a nil one, and panic
	}
}

// noCredentials is the token provider of a client that has neither credentials
// nor an API key.
type noCredentials struct{}

var errNoCredentials = errors.New("the SDK client has no credentials")

func (noCredentials) RetrieveBearerToken(context.Context) (bearer.Token, error) {
	return bearer.Token{}, errNoCredentials
}

func (t *tap) addTo(stack *middleware.Stack) error {
	// It would start goroutines for a stream that we read ourselves.
	if _, ok := stack.Deserialize.Get("OperationEventStreamDeserializer"); ok {
		if _, err := stack.Deserialize.Remove("OperationEventStreamDeserializer"); err != nil {
			return err
		}
	}
	if t.body != nil {
		const serializer = "OperationSerializer"
		ours := middleware.SerializeMiddlewareFunc(serializer, t.handleSerialize)
		if _, ok := stack.Serialize.Get(serializer); ok {
			if _, err := stack.Serialize.Swap(serializer, ours); err != nil {
				return err
			}
		} else if err := stack.Serialize.Add(ours, middleware.After); err != nil {
			return err
		}
	}
	tap := middleware.DeserializeMiddlewareFunc("bedrockkit.Tap", t.handleDeserialize)
	// ClientLogMode reads a body before it is taken; that of a stream never, as
	// it would be read to its end first.
	const logger = "RequestResponseLogger"
	if _, ok := stack.Deserialize.Get(logger); ok && !t.op.Streaming() {
		return stack.Deserialize.Insert(tap, logger, middleware.Before)
	}
	return stack.Deserialize.Add(tap, middleware.After)
}

// handleSerialize does for Converse and ConverseStream what the SDK's serializer
// does: the path below the endpoint, the content type and the body.
func (t *tap) handleSerialize(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("unknown transport type %T", in.Request)
	}
	req, err := req.SetStream(bytes.NewReader(t.body))
	if err != nil {
		return middleware.SerializeOutput{}, middleware.Metadata{}, err
	}
	const model = "/model/"
	action := "/converse"
	if t.op == OpConverseStream {
		action = "/converse-stream"
	}
	req.Method = http.MethodPost
	req.URL.Path, req.URL.RawPath = model+t.model+action, model+httpbinding.EscapePath(t.model, true)+action
	req.Header.Set("Content-Type", "application/json")
	in.Request = req
	return next.HandleSerialize(ctx, in)
}

func (t *tap) handleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		t.host = req.URL.Host
	}
	out, meta, err := next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, meta, err
	}
	t.header = resp.Header
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		t.taken = resp.Body
		// net/http holds the response until the body's end: it is not to hold the tap.
		resp.Body = &nothing{*strings.NewReader("{}")}
	} else {
		// An error's body is read whole by the SDK, so it needs a bound.
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxErrorBody), resp.Body}
	}
	return out, meta, err
}

// maxErrorBody is far more than Bedrock says about an error.
const maxErrorBody = 1 << 20

// hideWriterTo keeps net/http from calling WriteTo on the request's body: the
// SDK's returns io.EOF once the body has been closed, and net/http then drops
// an HTTP/1.1 connection that a response is still being read from.
type hideWriterTo struct{ bedrockruntime.HTTPClient }

func (c hideWriterTo) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = struct{ io.ReadCloser }{req.Body}
	}
	return c.HTTPClient.Do(req)
}

// boundedBody fails where io.LimitReader would end: a response that was cut
// must not look whole.
type boundedBody struct {
	io.ReadCloser
	left, max int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.max < 0 {
		return b.ReadCloser.Read(p)
	}
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, &Error{Kind: KindTooLarge, Err: fmt.Errorf("the response has more than %d bytes", b.max)}
	}
	return n, err
}
