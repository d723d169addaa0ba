package bedrockx_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// instant is an API that answers at once: what is left is the pipeline.
type instant struct{ bedrockx.RuntimeAPI }

var instantOutput = &bedrockruntime.InvokeModelOutput{Body: []byte(`{"content":[]}`)}

func (instant) InvokeModel(context.Context, *bedrockruntime.InvokeModelInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error) {
	return instantOutput, nil
}

// throughThePipeline returns a function that sends one call and nothing else.
func throughThePipeline(tb testing.TB) func() {
	client := bedrockx.New(&instant{})
	body := []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}`)
	in := &bedrockruntime.InvokeModelInput{Body: body}
	ctx := context.Background()
	send := func() {
		err := client.Do(ctx, &bedrockx.Call{
			Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: model}, Body: body,
			SDKInput: func() (any, error) { return in, nil },
			Decode:   func(context.Context, *bedrockx.Response) error { return nil },
		})
		require.NoError(tb, err)
	}
	send() // reads the tables of models and prices
	return send
}

// What the pipeline adds to a call is the context and the timer of the attempt,
// its bookkeeping and the cost: eight allocations, beside the caller's two.
func TestAllocationsOfThePipeline(t *testing.T) {
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, throughThePipeline(t)), 10.0)
}

func BenchmarkPipeline(b *testing.B) {
	send := throughThePipeline(b)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}
