package bedrockx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Payload is the body of an InvokeModel request in a model family's own
// form, such as anthropic.Request. Out is the family's response.
type Payload[Out any] interface {
	// EncodeInvoke returns the JSON body for the model. An error says what is
	// wrong with the request; nothing is sent then.
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)

	// DecodeInvoke reads the body of a response, and returns an error where it
	// is not JSON or not the model's. The usage is that of the body, unknown
	// where the body tells none; it is then that of the response's headers.
	DecodeInvoke(body json.RawMessage) (Out, bedrockkit.Usage, bedrockkit.StopReason, error)
}

// Raw is a body as it is, for a model that no package has a type for. The
// response is the JSON as it came, and the usage that of its headers.
type Raw json.RawMessage

// EncodeInvoke returns the body, which must be a JSON object.
func (r Raw) EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error) {
	if body := bytes.TrimSpace(r); len(body) == 0 || body[0] != '{' || !json.Valid(body) {
		return nil, errors.New("the body is no JSON object")
	}
	return json.RawMessage(r), nil
}

// DecodeInvoke returns the body.
func (r Raw) DecodeInvoke(body json.RawMessage) (json.RawMessage, bedrockkit.Usage, bedrockkit.StopReason, error) {
	unknown := bedrockkit.Usage{Unknown: true}
	if !json.Valid(body) {
		return nil, unknown, "", errors.New("the response is not JSON")
	}
	return body, unknown, "", nil
}

// OutputBound is what a [Payload] may implement to tell its own bound on the
// answer in tokens. Without it budgets and quotas go by the most that the
// model gives.
type OutputBound interface{ MaxOutputTokens() int }

// Result is the answer of a unary call and what it took.
type Result[Out any] struct {
	Output     Out                   `json:"output"`
	StopReason bedrockkit.StopReason `json:"stop_reason,omitempty"`
	Usage      bedrockkit.Usage      `json:"usage"`

	// Cost is what the call cost in US dollars; nil where that is not known,
	// and CostErr says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`

	Model     bedrockkit.ModelID `json:"model"` // what answered
	CacheHit  bool               `json:"cache_hit,omitempty"`
	Attempts  int                `json:"attempts"`
	Failures  []Failure          `json:"failures,omitempty"` // why it was not the first attempt that answered
	Latency   time.Duration      `json:"latency_ns"`         // the whole call with its retries
	RequestID string             `json:"request_id,omitempty"`
}

// InvokeParams are the parameters of InvokeModel, unary or as a stream, that do
// not belong to the model's body (API reference, InvokeModel). Converse has them
// in its body. An input of the SDK that sets one itself keeps its own.
type InvokeParams struct {
	GuardrailIdentifier string // an id or an ARN; it needs the version too
	GuardrailVersion    string // a number, or "DRAFT"
	Trace               string // of the guardrail: "ENABLED", "ENABLED_FULL" or "DISABLED"

	ServiceTier bedrockkit.ServiceTier
	Latency     string // "standard" or "optimized"
}

func (p InvokeParams) check() error {
	switch {
	case (p.GuardrailIdentifier == "") != (p.GuardrailVersion == ""):
		return errors.New("Options.Invoke has a guardrail's identifier or its version; it needs both, or none")
	case p.Trace != "" && p.Trace != "ENABLED" && p.Trace != "ENABLED_FULL" && p.Trace != "DISABLED":
		return fmt.Errorf("Options.Invoke.Trace is %q; it is ENABLED, ENABLED_FULL or DISABLED", p.Trace)
	case p.Latency != "" && p.Latency != "standard" && p.Latency != "optimized":
		return fmt.Errorf("Options.Invoke.Latency is %q; it is standard or optimized", p.Latency)
	}
	return nil
}

// params are those that a cached answer depends on.
func (p InvokeParams) params() []cache.Param {
	var params []cache.Param
	for _, one := range []cache.Param{
		{Name: "GuardrailIdentifier", Value: p.GuardrailIdentifier}, {Name: "GuardrailVersion", Value: p.GuardrailVersion},
		{Name: "Trace", Value: p.Trace}, {Name: "ServiceTier", Value: string(p.ServiceTier)}, {Name: "PerformanceConfigLatency", Value: p.Latency},
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
	call := &Call{Op: OpInvokeModel, Model: model}
	body, err := in.EncodeInvoke(model)
	if err != nil {
		return nil, call.fail(&Error{Kind: KindValidation, Err: err})
	}
	call.Body = body
	if b, ok := any(in).(OutputBound); ok {
		call.MaxTokens = b.MaxOutputTokens()
	}
	call.SDKInput = func() (any, error) { return &bedrockruntime.InvokeModelInput{Body: body}, nil }
	var answer struct {
		Result[Out]
		decoded bool
	}
	result := &answer.Result
	decode := func(call *Call, resp *Response) (out Out, err error) {
		raw, err := readBody(resp)
		if err != nil {
			return out, err
		}
		out, usage, stop, err := in.DecodeInvoke(raw)
		if err != nil || usage.Unknown {
			usage = usageFromHeader(resp.Header)
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
		answer.decoded = true
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
	if !answer.decoded {
		return nil, call.fail(&Error{Kind: KindValidation, Err: errors.New("a middleware has answered the call without calling its Decode")})
	}
	result.StopReason, result.Usage = call.StopReason, call.Usage
	result.Cost, result.CostErr = call.Cost, call.CostErr
	result.Model, result.CacheHit, result.Attempts = call.Model, call.CacheHit, call.Attempts
	result.Latency, result.RequestID, result.Failures = call.Latency, call.RequestID, call.Failures
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
// be JSON: a 200 can also be a proxy's HTML. What broke off is found by whoever
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

// usageFromHeader is the usage that the headers tell, unknown where they tell
// none. They say nothing of TTLs: a body that tells the usage wins over them.
func usageFromHeader(h http.Header) bedrockkit.Usage {
	in, ok := tokenCount(h, "X-Amzn-Bedrock-Input-Token-Count")
	out, ok2 := tokenCount(h, "X-Amzn-Bedrock-Output-Token-Count")
	if !ok && !ok2 {
		return bedrockkit.Usage{Unknown: true}
	}
	read, _ := tokenCount(h, "X-Amzn-Bedrock-Cache-Read-Input-Token-Count")
	write, _ := tokenCount(h, "X-Amzn-Bedrock-Cache-Write-Input-Token-Count")
	return bedrockkit.Usage{InputTokens: in, OutputTokens: out, CacheReadTokens: read, CacheWrite5mTokens: write}
}

func tokenCount(h http.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(h.Get(name), 10, 64)
	return n, err == nil && n >= 0
}
