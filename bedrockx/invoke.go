package bedrockx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/event"
)

// A Payload is the body of an InvokeModel request in a model family's own
// form, such as anthropic.Request. Out is the family's response.
type Payload[Out any] interface {
	// EncodeInvoke returns the JSON body for the model. The model is what
	// Options.Resolve returns for the call's id, if it knows the id. An error says
	// what is wrong with the request, and nothing is sent.
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)

	// DecodeInvoke reads the body of a response. It returns an error if the body is
	// not JSON or not in the model's form. It returns the usage in the body, or
	// unknown if there is none; the usage in the response's headers is then used.
	DecodeInvoke(body json.RawMessage) (Out, bedrockkit.Usage, bedrockkit.StopReason, error)
}

// invokeInput is the SDK's input of a body.
func invokeInput(op bedrockkit.Operation, body json.RawMessage) any {
	if op == bedrockkit.OpInvokeModelWithResponseStream {
		return &bedrockruntime.InvokeModelWithResponseStreamInput{Body: body}
	}
	return &bedrockruntime.InvokeModelInput{Body: body}
}

// Raw is a body that is sent unchanged, for a model without a type in any package. The
// response is returned as JSON, unchanged. The usage is read from the headers.
type Raw json.RawMessage

// EncodeInvoke returns the body, which must be a JSON object.
func (r Raw) EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error) {
	if body := bytes.TrimSpace(r); len(body) == 0 || body[0] != '{' || !json.Valid(body) {
		return nil, errors.New("the body is no JSON object")
	}
	return json.RawMessage(r), nil
}

// MarshalJSON returns the body, so that a Raw can be part of other JSON.
func (r Raw) MarshalJSON() ([]byte, error) { return json.RawMessage(r).MarshalJSON() }

// UnmarshalJSON sets the body to a copy of data.
func (r *Raw) UnmarshalJSON(data []byte) error { return (*json.RawMessage)(r).UnmarshalJSON(data) }

// NewDecoder returns a decoder that yields the chunks of a streamed answer unchanged;
// see [event.RawChunks].
func (r Raw) NewDecoder() event.Decoder { return event.RawChunks() }

// DecodeInvoke returns the body.
func (r Raw) DecodeInvoke(body json.RawMessage) (json.RawMessage, bedrockkit.Usage, bedrockkit.StopReason, error) {
	unknown := bedrockkit.Usage{Unknown: true}
	if !json.Valid(body) {
		return nil, unknown, "", errors.New("the response is not JSON")
	}
	return body, unknown, "", nil
}

// OutputBound is an optional interface of a [Payload]: it returns the request's own
// bound on the answer in tokens. Without it, budgets and quotas use the most that the
// model can answer.
type OutputBound interface{ MaxOutputTokens() int }

// Result is the answer of a unary call, and how the call went.
type Result[Out any] struct {
	Output Out `json:"output"`
	Outcome
}

// InvokeParams are the parameters of InvokeModel, unary or as a stream, that are not
// part of the model's body (API reference, InvokeModel). Converse has them in its
// body. If an input of the SDK sets one of them, the input's value is used.
type InvokeParams struct {
	// Guardrail checks the prompt and the answer. Its StreamMode cannot be set here,
	// because it is part of the model's body (amazon-bedrock-guardrailConfig).
	Guardrail bedrockkit.Guardrail

	ServiceTier bedrockkit.ServiceTier
	Latency     bedrockkit.Latency

	// Metadata is written to the log of model invocations, for filters: up to
	// 16 pairs of up to 256 letters, digits, white space and :_@$#=/+,-.
	Metadata map[string]string
}

// The bounds on metadata. Source: API reference, Converse, requestMetadata.
const (
	maxMetadata     = 16
	maxMetadataText = 256
)

func (p InvokeParams) checkMetadata() error {
	if n := len(p.Metadata); n > maxMetadata {
		return fmt.Errorf("Options.Invoke.Metadata has %d pairs; %d are allowed", n, maxMetadata)
	}
	for key, value := range p.Metadata {
		if key == "" || !isMetadata(key) || !isMetadata(value) {
			return fmt.Errorf("Options.Invoke.Metadata has a key or value over %d characters, or with others than letters, digits, white space and :_@$#=/+,.- signs", maxMetadataText)
		}
	}
	return nil
}

func isMetadata(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" \t\n\v\f\r:_@$#=/+,-.", c) >= 0) {
			return false
		}
	}
	return len(s) <= maxMetadataText
}

// metadata is the header's value: a JSON object, empty for none.
func (p *InvokeParams) metadata() string {
	if len(p.Metadata) == 0 {
		return ""
	}
	text, _ := json.Marshal(p.Metadata) // of strings
	return string(text)
}

// trace is the guardrail's trace as InvokeModel spells it.
func (p *InvokeParams) trace() string { return strings.ToUpper(string(p.Guardrail.Trace)) }

func (p InvokeParams) check() error {
	g := &p.Guardrail
	switch {
	case (g.ID == "") != (g.Version == ""):
		return errors.New("Options.Invoke.Guardrail has an ID or a Version; it needs both, or none")
	case g.Trace != "" && g.Trace != bedrockkit.GuardrailTraceEnabled && g.Trace != bedrockkit.GuardrailTraceFull && g.Trace != bedrockkit.GuardrailTraceDisabled:
		return fmt.Errorf("Options.Invoke.Guardrail.Trace is %q; it must be enabled, enabled_full or disabled", g.Trace)
	case g.StreamMode != "":
		return errors.New("Options.Invoke.Guardrail.StreamMode is set; InvokeModel takes it in the model's body, as amazon-bedrock-guardrailConfig")
	case p.Latency != "" && p.Latency != bedrockkit.LatencyStandard && p.Latency != bedrockkit.LatencyOptimized:
		return fmt.Errorf("Options.Invoke.Latency is %q; it is standard or optimized", p.Latency)
	}
	return p.checkMetadata()
}

// params are those that a cached answer depends on.
func (p InvokeParams) params() []cache.Param {
	var params []cache.Param
	for _, one := range []cache.Param{
		{Name: "GuardrailIdentifier", Value: p.Guardrail.ID}, {Name: "GuardrailVersion", Value: p.Guardrail.Version},
		{Name: "Trace", Value: p.trace()}, {Name: "ServiceTier", Value: string(p.ServiceTier)}, {Name: "PerformanceConfigLatency", Value: string(p.Latency)},
	} {
		if one.Value != "" {
			params = append(params, one)
		}
	}
	return params
}

// Invoke calls InvokeModel with a typed request and returns the typed response.
//
//	result, err := bedrockx.Invoke(ctx, client, model, anthropic.Request{…})
//
// The error is an [*Error].
func Invoke[In Payload[Out], Out any](ctx context.Context, c *Client, model bedrockkit.ModelID, in In, optFns ...func(*Options)) (*Result[Out], error) {
	call := &Call{Op: bedrockkit.OpInvokeModel, Outcome: Outcome{Model: model}}
	call.SetPayload(in)
	return invokeModel(ctx, c, call, in.DecodeInvoke, optFns)
}

// InvokeModel is [Invoke] with the SDK's input, which it does not change. decode reads
// the body of the answer, as Payload.DecodeInvoke does. Use the function of a family,
// such as anthropic.Request{}.DecodeInvoke, or Raw{}.DecodeInvoke for the plain JSON,
// or your own.
//
//	result, err := bedrockx.InvokeModel(ctx, client, &bedrockruntime.InvokeModelInput{…}, bedrockx.Raw{}.DecodeInvoke)
//
// The error is an [*Error].
func InvokeModel[Out any](ctx context.Context, c *Client, in *bedrockruntime.InvokeModelInput,
	decode func(body json.RawMessage) (Out, bedrockkit.Usage, bedrockkit.StopReason, error), optFns ...func(*Options)) (*Result[Out], error) {
	if in == nil {
		in = &bedrockruntime.InvokeModelInput{}
	}
	call := &Call{Op: bedrockkit.OpInvokeModel, Outcome: Outcome{Model: bedrockkit.ModelID(aws.ToString(in.ModelId))}}
	if decode == nil {
		return nil, call.fail(&Error{Kind: KindValidation, Err: errors.New("it needs a decode function, such as bedrockx.Raw{}.DecodeInvoke")})
	}
	call.SDKInput = func() (any, error) {
		copied := *in
		return &copied, nil
	}
	return invokeModel(ctx, c, call, decode, optFns)
}

// invokeModel sends the call of an InvokeModel and reads its answer.
func invokeModel[Out any](ctx context.Context, c *Client, call *Call,
	read func(json.RawMessage) (Out, bedrockkit.Usage, bedrockkit.StopReason, error), optFns []func(*Options)) (*Result[Out], error) {
	result := new(Result[Out])
	decode := func(call *Call, resp *Response) (out Out, err error) {
		raw, err := readBody(resp)
		if err != nil {
			return out, err
		}
		out, usage, stop, err := read(raw)
		if err != nil || usage.Unknown {
			usage, _ = headerUsage(resp.Header) // headers that cannot be read say nothing
		}
		call.Usage = usage // what cannot be read was billed as well
		if err != nil {
			return out, &Error{Kind: KindCorrupt, Err: err}
		}
		call.StopReason = stop
		if guardrailIntervened(raw) {
			call.StopReason = bedrockkit.StopGuardrailIntervened
		}
		if len(call.OnText) > 0 {
			text := string(raw)
			if t, ok := any(out).(interface{ Text() string }); ok {
				text = t.Text()
			}
			return out, call.Text(text)
		}
		return out, nil
	}
	call.Decode = func(_ context.Context, resp *Response) (err error) {
		result.Output, err = decode(call, resp)
		return err
	}
	call.Share = func(other *Call) func() error {
		other.Decode = func(_ context.Context, resp *Response) error {
			_, err := decode(other, resp)
			return err
		}
		return nil
	}
	if err := c.Do(ctx, call, optFns...); err != nil {
		return nil, err
	}
	result.Outcome = call.Outcome
	return result, nil
}

// guardrailIntervened reports whether a guardrail has replaced the answer, which
// Bedrock says in a field that it adds to the model's own.
func guardrailIntervened(body json.RawMessage) bool {
	const field = `"amazon-bedrock-guardrailAction"`
	if !bytes.Contains(body, []byte(field)) {
		return false
	}
	var v struct {
		Action string `json:"amazon-bedrock-guardrailAction"`
	}
	return json.Unmarshal(body, &v) == nil && v.Action == "INTERVENED"
}

// readBody reads the whole of an InvokeModel response and refuses what cannot
// be JSON: a 200 can also be a proxy's HTML. What broke off is found by the code that
// decodes it.
func readBody(resp *Response) (json.RawMessage, error) {
	var raw []byte
	switch {
	case resp.Body != nil:
		var err error
		if raw, err = resp.ReadAll(); err != nil {
			return nil, err
		}
	case resp.SDK != nil:
		out, ok := resp.SDK.(*bedrockruntime.InvokeModelOutput)
		if !ok {
			return nil, fmt.Errorf("the API returned a %T for InvokeModel", resp.SDK)
		}
		raw = out.Body
	}
	if text := bytes.TrimSpace(raw); len(text) == 0 || string(text) == "{}" {
		return nil, &Error{Kind: KindEmpty, Err: errors.New("the response holds nothing")}
	}
	if first := bytes.TrimSpace(raw)[0]; first != '{' && first != '[' {
		return nil, &Error{Kind: KindCorrupt, Err: fmt.Errorf("the response of %d bytes is neither a JSON object nor a list", len(raw))}
	}
	return raw, nil
}
