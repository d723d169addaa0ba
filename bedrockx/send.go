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
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mangaassist/bedrockkit"
)

// send makes one attempt: the request on the SDK's path, the response through
// the call's own decoding.
func send(ctx context.Context, call *Call) error {
	if call.Model != call.valid { // a middleware has changed it
		if err := call.Model.Validate(); err != nil {
			return &Error{Kind: KindValidation, Err: err}
		}
	}
	call.Usage, call.StopReason, call.ServiceTier = bedrockkit.Usage{}, "", ""
	before, began := call.Attempts, time.Now()
	call.asked = began
	call.Attempts++
	a := new(request)
	dog := &a.dog
	actx := dog.watch(ctx, call)
	var resp *Response
	answered := false
	defer func() {
		call.dog = nil
		if !answered { // also after a panic
			if resp != nil && resp.Body != nil {
				resp.Body.Close()
			}
			dog.stop()
		}
	}()
	resp, err := roundTrip(actx, call, &a.tap)
	if err != nil {
		failed := classify(actx, err)
		dog.stop()
		return call.failed(ctx, failed, began, call.Attempts > before)
	}
	if resp.Body != nil {
		if call.Op.Streaming() {
			resp.Body = dog.stream(resp.Body)
		} else {
			resp.Body = &boundedBody{ReadCloser: resp.Body, left: call.Options.MaxResponseBytes, max: call.Options.MaxResponseBytes}
		}
	}
	call.dog = dog
	if err := call.Decode(actx, resp); err != nil {
		failed := classify(actx, err)
		if resp.Body != nil {
			resp.Body.Close()
		}
		dog.stop()
		return call.failed(ctx, failed, began, true)
	}
	if call.Op.Streaming() {
		call.FirstOutput = time.Since(call.began)
		dog.flowing()
	} else {
		if resp.Body != nil {
			resp.Body.Close()
		}
		dog.stop()
	}
	if len(call.Options.OnAttempt) > 0 { // no bound of the attempt runs any more
		call.observe(ctx, call.attempt(began, nil))
	}
	answered = true
	return nil
}

// A request is what one attempt needs, in one allocation.
type request struct {
	dog watchdog
	tap tap
}

// roundTrip calls the API.
func roundTrip(ctx context.Context, call *Call, tap *tap) (*Response, error) {
	var input any
	call.RequestID, call.Host = "", ""
	tap.op, tap.model = call.Op, string(call.Model)
	if call.Body == nil || call.sdk == nil {
		if call.SDKInput == nil {
			return nil, &Error{Kind: KindValidation, Err: fmt.Errorf("%T is not the SDK's client, and the call has no SDKInput for it", call.api)}
		}
		var err error
		if input, err = call.SDKInput(); err != nil {
			return nil, &Error{Kind: KindValidation, Err: err}
		}
	} else if call.Op == bedrockkit.OpConverse || call.Op == bedrockkit.OpConverseStream {
		tap.body = call.Body
	}
	optFns := append(append(tap.optFns[:0], call.Options.SDKOptions...), tap.install)
	out, meta, err := invoke(ctx, call, input, &tap.model, optFns)
	call.Host = tap.host
	call.ServiceTier = bedrockkit.ServedTier(bedrockkit.ServiceTier(tap.header.Get("X-Amzn-Bedrock-Service-Tier")),
		bedrockkit.Latency(tap.header.Get("X-Amzn-Bedrock-PerformanceConfig-Latency")))
	if id, ok := awsmiddleware.GetRequestIDMetadata(meta); ok {
		call.RequestID = id
	} else if tap.header != nil {
		call.RequestID = tap.header.Get("X-Amzn-Requestid")
	}
	if err != nil {
		if tap.taken != nil {
			tap.taken.Close()
		}
		if err = tap.named(err); tap.unsigned {
			call.Attempts-- // nothing was sent
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
	_, _, err = invoke(ctx, c, input, aws.String(string(c.Model)), []func(*bedrockruntime.Options){func(o *bedrockruntime.Options) {
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
func invoke(ctx context.Context, call *Call, input any, model *string, optFns []func(*bedrockruntime.Options)) (any, middleware.Metadata, error) {
	none := middleware.Metadata{}
	switch call.Op {
	case bedrockkit.OpConverse:
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
	case bedrockkit.OpConverseStream:
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
	case bedrockkit.OpInvokeModel:
		in, err := inputAs[bedrockruntime.InvokeModelInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		if input == nil {
			in.Body = call.Body
		}
		call.Options.Invoke.fill(&in.ContentType, &in.GuardrailIdentifier, &in.GuardrailVersion, &in.RequestMetadata,
			&in.Trace, &in.ServiceTier, &in.PerformanceConfigLatency)
		out, err := call.api.InvokeModel(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	default: // bedrockkit.OpInvokeModelWithResponseStream: Call.check knows no other
		in, err := inputAs[bedrockruntime.InvokeModelWithResponseStreamInput](input)
		if err != nil {
			return nil, none, err
		}
		in.ModelId = model
		if input == nil {
			in.Body = call.Body
		}
		call.Options.Invoke.fill(&in.ContentType, &in.GuardrailIdentifier, &in.GuardrailVersion, &in.RequestMetadata,
			&in.Trace, &in.ServiceTier, &in.PerformanceConfigLatency)
		out, err := call.api.InvokeModelWithResponseStream(ctx, in, optFns...)
		if out == nil {
			return nil, none, err
		}
		return out, out.ResultMetadata, err
	}
}

// fill fills in what an input of InvokeModel, whole or streamed, does not have.
func (p *InvokeParams) fill(contentType, guardrail, version, metadata **string, trace *types.Trace, tier *types.ServiceTierType, latency *types.PerformanceConfigLatency) {
	setDefault(contentType, &jsonContentType) // without it the SDK says application/octet-stream
	setText(guardrail, &p.Guardrail.ID)
	setText(version, &p.Guardrail.Version)
	if len(p.Metadata) > 0 {
		setDefault(metadata, aws.String(p.metadata()))
	}
	setDefault(trace, types.Trace(p.trace()))
	setDefault(tier, types.ServiceTierType(p.ServiceTier))
	setDefault(latency, types.PerformanceConfigLatency(p.Latency))
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
	op     bedrockkit.Operation
	model  string
	body   []byte // what goes out, nil for the SDK's own serialization
	host   string // that it was sent to
	header http.Header
	taken  io.ReadCloser

	unsigned bool // the SDK looks for credentials
	corrects bool // the SDK corrects its clock by the service's
	skewed   bool // which was off

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
	t.corrects = !o.DisableClockSkewCorrection
	giveToken(o)
}

func (t *tap) addTo(stack *middleware.Stack) error {
	// It would start goroutines for a stream that we read ourselves.
	if _, ok := stack.Deserialize.Get("OperationEventStreamDeserializer"); ok {
		if _, err := stack.Deserialize.Remove("OperationEventStreamDeserializer"); err != nil {
			return err
		}
	}
	addUserAgent(stack)
	if err := t.watchIdentity(stack); err != nil {
		return err
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
	if t.op == bedrockkit.OpConverseStream {
		action = "/converse-stream"
	}
	req.Method = http.MethodPost
	req.URL.Path, req.URL.RawPath = model+t.model+action, model+httpbinding.EscapePath(t.model, true)+action
	req.Header.Set("Content-Type", "application/json")
	in.Request = req
	return next.HandleSerialize(ctx, in)
}

func (t *tap) handleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	req, ok := in.Request.(*smithyhttp.Request)
	if ok {
		t.host = req.URL.Host
	}
	out, meta, err := next.HandleDeserialize(ctx, in)
	resp, answered := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !answered {
		return out, meta, err
	}
	t.header = resp.Header
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		t.taken = resp.Body
		// net/http holds the response until the body's end: it is not to hold the tap.
		resp.Body = &nothing{*strings.NewReader("{}")}
	} else {
		t.skewed = ok && t.corrects && skew(req, resp)
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
