package bedrockx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

func ExampleLog() {
	client, done := newFake(bedrocktest.Text("Hello!").Usage(bedrockkit.Usage{InputTokens: 1000, OutputTokens: 100}))
	defer done()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case "time", "request_id", "latency": // not the same in each run
			return slog.Attr{}
		}
		return a
	}}))
	_, err := bedrockx.Invoke(context.Background(), client, model, request("a prompt that is not logged"), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, bedrockx.Log(logger))
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// level=INFO msg="bedrock call" operation=InvokeModel model=global.anthropic.claude-haiku-4-5-20251001-v1:0 attempts=1 input_tokens=1000 output_tokens=100 cost_usd=0.0015 stop_reason=end_turn
}

// A log has what operates a service and nothing of what was said, whatever
// happens.
func TestLogIsRedacted(t *testing.T) {
	const canary = "canary-prompt-1234"
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	var calls []*bedrockx.Call
	keep := func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			calls = append(calls, call)
			return next(ctx, call)
		}
	}
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.Middleware = append(o.Middleware, bedrockx.Log(logger), keep) })
	for _, reply := range []*bedrocktest.Reply{
		bedrocktest.Text(canary),
		bedrocktest.Error(400, "ValidationException", "malformed: "+canary),
		bedrocktest.Error(403, "AccessDeniedException", canary),
		bedrocktest.Body(200, "application/json", []byte(`{"content":{"`+canary+`":1}}`)),
	} {
		srv.Reply(reply)
		_, err := bedrockx.Invoke(t.Context(), client, model, request(canary), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		logger.Info("what a caller logs", "error", err, "call", calls[len(calls)-1])
		logger.Info("as text", "call", fmt.Sprint(calls[len(calls)-1]))
	}
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text(canary))
	_, err := bedrockx.Invoke(t.Context(), client, model, request(canary))
	require.NoError(t, err)

	assert.NotContains(t, out.String(), canary)
	for _, want := range []string{`"kind":"validation"`, `"kind":"access_denied"`, `"level":"WARN"`, `"failure_1":{"model":"` + string(model) + `","kind":"throttled"}`, `"attempts":2`, `"code":"ValidationException"`, `"hint":"allow bedrock:InvokeModel on `} {
		assert.Contains(t, out.String(), want)
	}
}

func TestKindOf(t *testing.T) {
	assert.Empty(t, bedrockx.KindOf(nil))
	assert.Equal(t, bedrockx.KindThrottled, bedrockx.KindOf(fmt.Errorf("asking: %w", &bedrockx.Error{Kind: bedrockx.KindThrottled})))
	assert.Equal(t, bedrockx.KindCanceled, bedrockx.KindOf(context.DeadlineExceeded))
	assert.Equal(t, bedrockx.KindUnknown, bedrockx.KindOf(errors.New("x")))
}

// Every request that was sent is told, in order, also those that retries and
// fallback hide.
func TestOnAttempt(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	var seen []string
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
		o.Fallback = []bedrockx.Target{{Model: "us.anthropic.claude-sonnet-4-6"}}
		o.OnAttempt = append(o.OnAttempt, func(ctx context.Context, call *bedrockx.Call, a bedrockx.Attempt) {
			assert.NoError(t, ctx.Err())
			assert.Equal(t, call.Attempts, a.Number)
			assert.NotEmpty(t, a.RequestID)
			assert.False(t, a.Began.IsZero())
			kind := "answered"
			if a.Err != nil {
				kind = string(a.Err.Kind)
			}
			seen = append(seen, fmt.Sprintf("%d %s %s %s", a.Number, a.Model, a.Region, kind))
		})
	})
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Throttle(), bedrocktest.Throttle(), bedrocktest.Exception("InternalServerException"), bedrocktest.Text("Hi"))
	_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"1 global.anthropic.claude-haiku-4-5-20251001-v1:0 us-east-1 throttled",
		"2 global.anthropic.claude-haiku-4-5-20251001-v1:0 us-east-1 throttled",
		"3 global.anthropic.claude-haiku-4-5-20251001-v1:0 us-east-1 throttled",
		"4 us.anthropic.claude-sonnet-4-6 us-east-1 internal_error",
		"5 us.anthropic.claude-sonnet-4-6 us-east-1 answered",
	}, seen)
}
