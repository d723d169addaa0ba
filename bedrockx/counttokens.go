package bedrockx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
)

// ErrNotSupported is the error of an operation that the model does not have, or that
// the API given to New does not have.
var ErrNotSupported = errors.New("not supported")

// TokenCounter is the operation that counts tokens. [*bedrockruntime.Client] has it.
// It is optional for an API that is given to [New].
type TokenCounter interface {
	CountTokens(context.Context, *bedrockruntime.CountTokensInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.CountTokensOutput, error)
}

// CountTokens returns how many input tokens a request would be billed for. The input
// is a Converse request (types.CountTokensInputMemberConverse) or an InvokeModel body
// (types.CountTokensInputMemberInvokeModel). It costs nothing. The service counts only
// for foundation models, so the id of a profile is replaced by the id of its model. An
// ARN that does not name its model needs Options.Resolve.
//
// The error is a [*Error]. It is [ErrNotSupported] if the model is known not to
// have the operation, if the service says so, or if the API has no such method.
// Source: "CountTokens", Amazon Bedrock API Reference.
func (c *Client) CountTokens(ctx context.Context, model bedrockkit.ModelID, input types.CountTokensInput, optFns ...func(*Options)) (int64, error) {
	o := c.given.copied()
	for _, fn := range optFns {
		fn(&o)
	}
	o = o.resolved()
	fail := func(kind Kind, err error) (int64, error) {
		return 0, &Error{Op: bedrockkit.OpCountTokens, Model: model, Kind: kind, Err: err}
	}
	counter, ok := c.api.(TokenCounter)
	if !ok {
		return fail(KindValidation, fmt.Errorf("%w: the API has no CountTokens", ErrNotSupported))
	}
	resolved := model
	if model.Base() == "" && o.Resolve != nil {
		var err error
		if resolved, err = o.Resolve(ctx, model); err != nil {
			return fail(KindValidation, fmt.Errorf("resolving the model: %w", err))
		}
	}
	base := resolved.Base()
	if base == "" {
		return fail(KindValidation, errors.New("the model behind the ARN is not known; set Options.Resolve"))
	}
	if known, _ := o.Capabilities(resolved); known.Supports(bedrockkit.FeatureCountTokens) == bedrockkit.No {
		return fail(KindValidation, fmt.Errorf("%w: the model has no CountTokens", ErrNotSupported))
	}
	out, err := counter.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: aws.String(string(base)), Input: input}, o.SDKOptions...)
	if err != nil {
		e := classify(ctx, err)
		e.Op, e.Model = bedrockkit.OpCountTokens, model
		if e.Kind == KindValidation && strings.Contains(err.Error(), "support counting tokens") {
			e.Err = fmt.Errorf("%w: %w", ErrNotSupported, e.Err)
		}
		return 0, e
	}
	if out == nil || out.InputTokens == nil {
		return fail(KindCorrupt, errors.New("the response has no inputTokens"))
	}
	return int64(*out.InputTokens), nil
}

// CountTokens counts the input of an InvokeModel request as
// [Client.CountTokens] does.
func CountTokens(ctx context.Context, c *Client, model bedrockkit.ModelID, request interface {
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
}, optFns ...func(*Options)) (int64, error) {
	body, err := request.EncodeInvoke(model)
	if err != nil {
		return 0, &Error{Op: bedrockkit.OpCountTokens, Model: model, Kind: KindValidation, Err: err}
	}
	return c.CountTokens(ctx, model, &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: body}}, optFns...)
}

// CountedInput returns a function for Options.InputTokens that asks the service, so
// that quotas and budgets use real counts. It sends one request for each call whose
// size a limiter or a budget asks for. If the model does not have CountTokens, they
// use their estimates.
//
//	client := bedrockx.NewFromConfig(cfg)
//	counting := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) {
//		o.InputTokens = bedrockx.CountedInput(client)
//	})
func CountedInput(c *Client) func(context.Context, *Call) (int64, error) {
	return func(ctx context.Context, call *Call) (int64, error) {
		input, err := countInput(call)
		if err != nil {
			return 0, err
		}
		return c.CountTokens(ctx, call.Model, input, func(o *Options) {
			o.Resolve, o.Capabilities = call.Options.Resolve, call.Options.Capabilities
		})
	}
}

// countInput is a call in the form that CountTokens takes.
func countInput(call *Call) (types.CountTokensInput, error) {
	if call.Op == bedrockkit.OpInvokeModel || call.Op == bedrockkit.OpInvokeModelWithResponseStream {
		if call.Body != nil {
			return &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: call.Body}}, nil
		}
	}
	if call.SDKInput == nil {
		return nil, errors.New("the call has no SDKInput")
	}
	in, err := call.SDKInput()
	if err != nil {
		return nil, err
	}
	switch in := in.(type) {
	case *bedrockruntime.InvokeModelInput:
		return &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: in.Body}}, nil
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		return &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: in.Body}}, nil
	case *bedrockruntime.ConverseInput:
		return ConverseTokens(in), nil
	case *bedrockruntime.ConverseStreamInput:
		return &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{
			Messages: in.Messages, System: in.System, ToolConfig: in.ToolConfig, AdditionalModelRequestFields: in.AdditionalModelRequestFields}}, nil
	}
	return nil, fmt.Errorf("a %T cannot be counted", in)
}

// ConverseTokens converts a Converse input to the form that [Client.CountTokens]
// takes.
func ConverseTokens(in *bedrockruntime.ConverseInput) types.CountTokensInput {
	return &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{
		Messages: in.Messages, System: in.System, ToolConfig: in.ToolConfig, AdditionalModelRequestFields: in.AdditionalModelRequestFields}}
}
