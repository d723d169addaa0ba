package converse

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Converse sends an input of the SDK through the pipeline of c and returns the answer.
// It is for programs that already have inputs of the SDK. stream.Converse does the
// same for a streamed answer. It sends the input unchanged, without the checks and
// defaults of a [Client]. To have those, convert the input with [RequestFromSDK] and
// send that. Converse does not change in. The error is a [*bedrockx.Error].
//
//	resp, err := converse.Converse(ctx, client, &bedrockruntime.ConverseInput{…})
func Converse(ctx context.Context, c *bedrockx.Client, in *bedrockruntime.ConverseInput, optFns ...func(*bedrockx.Options)) (*Response, error) {
	if in == nil {
		in = &bedrockruntime.ConverseInput{}
	}
	return send(ctx, c, &bedrockx.Call{
		Op:      bedrockkit.OpConverse,
		Outcome: bedrockx.Outcome{Model: bedrockkit.ModelID(aws.ToString(in.ModelId))},
		SDKInput: func() (any, error) {
			copied := *in
			return &copied, nil
		},
	}, optFns)
}
