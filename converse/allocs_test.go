package converse_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// rounds is an HTTP client without a network that answers one request after
// another with the same answers, over and over.
type rounds struct {
	answers []string
	next    int
}

func (c *rounds) Do(req *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return nil, err
	}
	body := c.answers[c.next]
	c.next = (c.next + 1) % len(c.answers)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// allocs are the allocations of fn, without those of what else the process does.
func allocs(fn func()) float64 {
	least := testing.AllocsPerRun(50, fn)
	for range 4 {
		least = min(least, testing.AllocsPerRun(50, fn))
	}
	return least
}

// A loop allocates little beside what its requests do: at most a fifth more than
// the same requests sent one by one.
func TestAllocationsOfALoop(t *testing.T) {
	const usage = `,"metrics":{"latencyMs":1},"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`
	wire := &rounds{}
	for i := range 4 {
		wire.answers = append(wire.answers, fmt.Sprintf(`{"output":{"message":{"role":"assistant","content":[{"text":"Let me see."},{"toolUse":{"toolUseId":"t%d","name":"check_stock","input":{"title":"Berserk"}}}]}},"stopReason":"tool_use"%s`, i, usage))
	}
	wire.answers = append(wire.answers, `{"output":{"message":{"role":"assistant","content":[{"text":"Three."}]}},"stopReason":"end_turn"`+usage)
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
	})
	sdk := bedrockruntime.New(bedrockruntime.Options{Region: "us-east-1", HTTPClient: wire, Credentials: keys, RetryMaxAttempts: 1})
	stock := converse.NewTool("check_stock", "Says how many copies are in stock.", func(context.Context, stockIn) (int, error) { return 3, nil })
	chat := converse.New(bedrockx.New(sdk), func(o *converse.Options) {
		o.Model = model
		o.System = converse.Texts("You are the assistant of a manga store.")
		o.Tools = []converse.Tool{stock}
	})
	ctx := context.Background()
	result, err := chat.Run(ctx, ask("Is Berserk in stock?"))
	require.NoError(t, err)
	require.Len(t, result.Rounds, 5)
	require.Len(t, result.Messages, 10)

	loop := allocs(func() {
		if _, err := chat.Run(ctx, ask("Is Berserk in stock?")); err != nil {
			panic(err)
		}
	})
	sends := allocs(func() {
		for i := range 5 {
			if _, err := chat.Send(ctx, converse.Request{Messages: result.Messages[:1+2*i]}); err != nil {
				panic(err)
			}
		}
	})
	t.Logf("a loop: %.0f, its requests: %.0f, %.2f times as many", loop, sends, loop/sends)
	assert.LessOrEqual(t, loop, 1.2*sends)
}
