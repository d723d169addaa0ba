package bedrockkit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit"
)

func TestOperation(t *testing.T) {
	for op, want := range map[bedrockkit.Operation]struct{ inference, streaming bool }{
		bedrockkit.OpConverse:                           {inference: true},
		bedrockkit.OpInvokeModel:                        {inference: true},
		bedrockkit.OpConverseStream:                     {inference: true, streaming: true},
		bedrockkit.OpInvokeModelWithResponseStream:      {inference: true, streaming: true},
		bedrockkit.OpInvokeModelWithBidirectionalStream: {},
		bedrockkit.OpCountTokens:                        {},
		bedrockkit.OpCreateModelInvocationJob:           {},
		"":                                              {},
	} {
		assert.Equal(t, want.inference, op.Inference(), "%q", op)
		assert.Equal(t, want.streaming, op.Streaming(), "%q", op)
	}
}
