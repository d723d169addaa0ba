package converse

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// CountTokens returns how many input tokens the request would be billed for, with the
// defaults, tools and cache points of the options, as [Client.Send] would send it. It
// costs nothing. The error is a [*bedrockx.Error]. It is bedrockx.ErrNotSupported if
// the model has no CountTokens; use [EstimateInput] then.
func (c *Client) CountTokens(ctx context.Context, req Request, optFns ...func(*Options)) (int64, error) {
	o, err := c.with(optFns).withSource(ctx)
	if err != nil {
		return 0, toolsError(ctx, bedrockkit.OpConverse, req, o, err)
	}
	call, _ := c.call(bedrockkit.OpConverse, req, o)
	options := c.bedrock.Options()
	for _, fn := range o.pipeline {
		fn(&options)
	}
	model := call.Model
	if model.Base() == "" && options.Resolve != nil {
		if known, err := options.Resolve(ctx, model); err == nil {
			model = known
		}
	}
	known, _ := options.Capabilities(model)
	fail := func(err error) (int64, error) {
		return 0, &bedrockx.Error{Op: bedrockkit.OpConverse, Model: call.Model, Kind: bedrockx.KindValidation, Err: err}
	}
	encoded, err := call.Encode(model, known)
	if err != nil {
		return fail(err)
	}
	in, err := encoded.SDKInput()
	if err != nil {
		return fail(err)
	}
	input, ok := in.(*bedrockruntime.ConverseInput)
	if !ok {
		return fail(fmt.Errorf("a %T cannot be counted", in))
	}
	return c.bedrock.CountTokens(ctx, call.Model, bedrockx.ConverseTokens(input), o.pipeline...)
}

// EstimateInput estimates the input tokens of a request: of its system prompt, tools
// and messages, as [EstimateTokens] does. It is more often too high than too low. It
// does not include the defaults of [Options].
func EstimateInput(req Request) int64 {
	n := estimate(req.System)
	for _, tool := range req.Tools {
		n += 16 + textTokens(tool.Name) + textTokens(tool.Description) + textTokens(string(tool.InputSchema))
	}
	for _, m := range req.Messages {
		n += EstimateTokens(m)
	}
	return n
}
