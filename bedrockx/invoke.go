package bedrockx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Payload is the body of an InvokeModel request in a model family's own
// form, such as anthropic.Request. Out is the family's response.
type Payload[Out any] interface {
	// EncodeInvoke returns the JSON body for the model. An error says what is
	// wrong with the request; nothing is sent then.
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)

	// DecodeInvoke reads the JSON body of a response. The usage it returns is
	// that of the body, unknown where the body tells none.
	DecodeInvoke(body json.RawMessage) (Out, bedrockkit.Usage, bedrockkit.StopReason, error)
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
	result := &Result[Out]{}
	call.Decode = func(_ context.Context, resp *Response) error {
		raw, err := readBody(resp)
		if err != nil {
			return err
		}
		out, usage, stop, err := in.DecodeInvoke(raw)
		if err != nil {
			return &Error{Kind: KindCorrupt, Err: err}
		}
		result.Output = out
		call.Usage, call.StopReason = usageFromHeader(usage, resp.Header), stop
		return nil
	}
	if err := c.Do(ctx, call, optFns...); err != nil {
		return nil, err
	}
	result.StopReason, result.Usage = call.StopReason, call.Usage
	result.Cost, result.CostErr = call.Cost, call.CostErr
	result.Model, result.CacheHit, result.Attempts = call.Model, call.CacheHit, call.Attempts
	result.Latency, result.RequestID, result.Failures = call.Latency, call.RequestID, call.Failures
	return result, nil
}

// readBody reads the whole of an InvokeModel response and refuses what is not
// JSON: a 200 can also be a proxy's HTML or a body that broke off.
func readBody(resp *Response) (json.RawMessage, error) {
	var raw []byte
	switch {
	case resp.Body != nil:
		var err error
		if raw, err = io.ReadAll(resp.Body); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, &Error{Kind: KindTruncated, Err: err}
			}
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
	if !json.Valid(raw) {
		return nil, &Error{Kind: KindCorrupt, Err: fmt.Errorf("the response of %d bytes is not JSON", len(raw))}
	}
	return raw, nil
}

// usageFromHeader fills in what the body does not tell. The headers say
// nothing of TTLs, so cache writes of a body win over theirs.
func usageFromHeader(u bedrockkit.Usage, h http.Header) bedrockkit.Usage {
	if !u.Unknown {
		return u
	}
	in, ok := tokenCount(h, "Input-Token-Count")
	out, ok2 := tokenCount(h, "Output-Token-Count")
	if !ok && !ok2 {
		return u
	}
	read, _ := tokenCount(h, "Cache-Read-Input-Token-Count")
	write, _ := tokenCount(h, "Cache-Write-Input-Token-Count")
	return bedrockkit.Usage{InputTokens: in, OutputTokens: out, CacheReadTokens: read, CacheWrite5mTokens: write}
}

func tokenCount(h http.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(h.Get("X-Amzn-Bedrock-"+name), 10, 64)
	return n, err == nil && n >= 0
}
