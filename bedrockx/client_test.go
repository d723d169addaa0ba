package bedrockx_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model bedrockkit.ModelID = "global.anthropic.claude-haiku-4-5-20251001-v1:0"

func request(text string) anthropic.Request {
	return anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(text)}}
}

// newDefault returns a client with the HTTP client that a service has by
// default: it takes gzip, and it has none of the fake's protection.
func newDefault(t *testing.T, srv *bedrocktest.Server, optFns ...func(*bedrockx.Options)) *bedrockx.Client {
	cfg := srv.Config()
	buildable := awshttp.NewBuildableClient()
	cfg.HTTPClient = buildable.Freeze()
	t.Cleanup(func() { cfg.HTTPClient.(*http.Client).CloseIdleConnections() })
	return bedrockx.New(bedrockruntime.NewFromConfig(cfg), optFns...)
}

// quick retries without waiting.
func quick(o *bedrockx.Options) { o.BaseDelay, o.MaxDelay = 1, 1 }

func TestInvoke(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Text("こんにちは").Usage(bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000, CacheReadTokens: 7}))
	result, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, "こんにちは", result.Output.Text())
	assert.Equal(t, bedrockkit.StopEndTurn, result.StopReason)
	assert.Equal(t, model, result.Model)
	assert.Equal(t, 1, result.Attempts)
	assert.NotEmpty(t, result.RequestID)
	assert.Positive(t, result.Latency)
	assert.EqualValues(t, 7, result.Usage.CacheReadTokens)

	sent := srv.Requests()[0]
	assert.Equal(t, bedrockkit.OpInvokeModel, sent.Op)
	assert.Equal(t, "application/json", sent.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}`, string(sent.Body))

	stored, err := json.Marshal(result)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"stop_reason":"end_turn"`)
}

func TestInvokeCost(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}
	for id, want := range map[bedrockkit.ModelID]string{
		"us.anthropic.claude-haiku-4-5-20251001-v1:0":     "1.65",
		"global.anthropic.claude-haiku-4-5-20251001-v1:0": "1.5",
		"us.anthropic.claude-sonnet-4-6":                  "4.95",
	} {
		srv.Reply(bedrocktest.Text("x").Usage(usage))
		result, err := bedrockx.Invoke(t.Context(), client, id, request("hello"))
		require.NoError(t, err)
		require.NoError(t, result.CostErr)
		assert.Equal(t, want, result.Cost.String(), "%s", id)
	}
}

func TestRequestsThatCanNotBeRightAreNotSent(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	tests := []struct {
		name  string
		model bedrockkit.ModelID
		req   anthropic.Request
		want  string
	}{
		{"no model", "", request("hi"), "empty"},
		{"no model id", "claude", request("hi"), "provider"},
		{"another family", "amazon.nova-lite-v1:0", request("hi"), "amazon"},
		{"no bound", model, anthropic.Request{Messages: request("hi").Messages}, "max_tokens"},
		{"more than the model gives", model, anthropic.Request{MaxTokens: 1_000_000, Messages: request("hi").Messages}, "answers with at most"},
		{"no messages", model, anthropic.Request{MaxTokens: 1}, "messages is empty"},
		{"blank", model, request(" "), "messages[0].content[0]"},
		{"role", model, anthropic.Request{MaxTokens: 1, Messages: []anthropic.Message{{Role: "system", Content: anthropic.Text("x")}}}, "messages[0].role"},
	}
	for _, tt := range tests {
		_, err := bedrockx.Invoke(t.Context(), client, tt.model, tt.req)
		assert.ErrorIs(t, err, bedrockx.ErrValidation, tt.name)
		assert.ErrorContains(t, err, tt.want, tt.name)
	}
	assert.Empty(t, srv.Requests())
}

// The server sees exactly as many requests as the policy says.
func TestAttempts(t *testing.T) {
	tests := []struct {
		name  string
		reply func() *bedrocktest.Reply
		want  error
		sent  int
	}{
		{"throttled", bedrocktest.Throttle, bedrockx.ErrThrottled, 3},
		{"throttled as 400", func() *bedrocktest.Reply { return bedrocktest.Error(400, "ThrottlingException", "slow down") }, bedrockx.ErrThrottled, 3},
		{"HTML 429", func() *bedrocktest.Reply { return bedrocktest.HTML(429) }, bedrockx.ErrThrottled, 3},
		{"bare 429", func() *bedrocktest.Reply { return bedrocktest.Body(429, "application/json", []byte("{}")) }, bedrockx.ErrThrottled, 3},
		{"tokens per day", func() *bedrocktest.Reply {
			return bedrocktest.Error(429, "ThrottlingException", "Too many tokens per day, please wait before trying again.")
		}, bedrockx.ErrDailyQuota, 1},
		{"quota", func() *bedrocktest.Reply { return bedrocktest.Exception("ServiceQuotaExceededException") }, bedrockx.ErrQuota, 1},
		{"not ready", func() *bedrocktest.Reply { return bedrocktest.Exception("ModelNotReadyException") }, bedrockx.ErrNotReady, 5},
		{"model timeout", func() *bedrocktest.Reply { return bedrocktest.Exception("ModelTimeoutException") }, bedrockx.ErrTimeout, 2},
		{"model error", func() *bedrocktest.Reply { return bedrocktest.Exception("ModelErrorException") }, bedrockx.ErrModelError, 2},
		{"overloaded", func() *bedrocktest.Reply { return bedrocktest.Exception("ServiceUnavailableException") }, bedrockx.ErrOverloaded, 3},
		{"internal", func() *bedrocktest.Reply { return bedrocktest.Exception("InternalServerException") }, bedrockx.ErrInternal, 3},
		{"529", func() *bedrocktest.Reply { return bedrocktest.Body(529, "application/json", []byte("{}")) }, bedrockx.ErrOverloaded, 3},
		{"validation", func() *bedrocktest.Reply { return bedrocktest.Error(400, "ValidationException", "no") }, bedrockx.ErrValidation, 1},
		{"context overflow", func() *bedrocktest.Reply {
			return bedrocktest.Error(400, "ValidationException", "Input is too long for requested model.")
		}, bedrockx.ErrContextOverflow, 1},
		{"denied", func() *bedrocktest.Reply { return bedrocktest.Exception("AccessDeniedException") }, bedrockx.ErrAccessDenied, 1},
		{"not found", func() *bedrocktest.Reply { return bedrocktest.Exception("ResourceNotFoundException") }, bedrockx.ErrNotFound, 1},
		{"{}", func() *bedrocktest.Reply { return bedrocktest.Body(200, "application/json", []byte("{}")) }, bedrockx.ErrEmpty, 3},
		{"nothing", func() *bedrocktest.Reply { return bedrocktest.Body(200, "application/json", nil) }, bedrockx.ErrEmpty, 3},
		{"HTML 200", func() *bedrocktest.Reply { return bedrocktest.HTML(200) }, bedrockx.ErrCorrupt, 3},
		{"broken JSON", func() *bedrocktest.Reply { return bedrocktest.Body(200, "application/json", []byte(`{"content":[`)) }, bedrockx.ErrCorrupt, 3},
		{"another JSON", func() *bedrocktest.Reply { return bedrocktest.Body(200, "application/json", []byte(`{"hello":1}`)) }, bedrockx.ErrCorrupt, 3},
		{"cut", func() *bedrocktest.Reply { return bedrocktest.Text("hello").CutAfter(20) }, nil, 3},
		{"reset", func() *bedrocktest.Reply { return bedrocktest.Text("hello").AbortAfter(20) }, nil, 3},
		{"gzip bomb", func() *bedrocktest.Reply { return bedrocktest.GzipBomb(20 << 20) }, bedrockx.ErrTooLarge, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			client := newDefault(t, srv, quick, func(o *bedrockx.Options) { o.MaxResponseBytes = 1 << 20 })
			for range tt.sent {
				srv.Reply(tt.reply())
			}
			_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
			var e *bedrockx.Error
			require.ErrorAs(t, err, &e)
			if tt.want != nil {
				assert.ErrorIs(t, err, tt.want)
			}
			assert.Equal(t, tt.sent, e.Attempts)
			assert.Len(t, srv.Requests(), tt.sent)
			assert.Equal(t, bedrockkit.OpInvokeModel, e.Op)
			assert.Equal(t, model, e.Model)
		})
	}
}

func TestModelErrorOfTheCallersIsNotRetried(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick)
	srv.Reply(bedrocktest.Body(424, "application/json", []byte(`{"message":"bad input","originalStatusCode":400}`)).Header("X-Amzn-Errortype", "ModelErrorException"))
	_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	assert.ErrorIs(t, err, bedrockx.ErrModelError)
	assert.Len(t, srv.Requests(), 1)
}

func TestRetriesEndWell(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick)
	notReady := bedrocktest.Exception("ModelNotReadyException")
	srv.Reply(notReady, notReady, notReady, notReady, bedrocktest.Text("ready"))
	result, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, "ready", result.Output.Text())
	assert.Equal(t, 5, result.Attempts)

	srv.Reply(notReady)
	_, err = bedrockx.Invoke(t.Context(), client, model, request("hello"), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	assert.ErrorIs(t, err, bedrockx.ErrNotReady, "1 means no retries")
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client(), quick)
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "7"), bedrocktest.Throttle().Header("X-Amz-Retry-After", "2000"), bedrocktest.Text("ok"))
		began := time.Now()
		_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
		require.NoError(t, err)
		assert.Equal(t, 9*time.Second, time.Since(began).Truncate(time.Second))

		// Not beyond the caller's deadline: then there is no use in waiting.
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "7"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began = time.Now()
		_, err = bedrockx.Invoke(ctx, client, model, request("hello"))
		assert.ErrorIs(t, err, bedrockx.ErrThrottled)
		assert.ErrorContains(t, err, "deadline")
		assert.Zero(t, time.Since(began))
	})
}

func TestUnaryTimeouts(t *testing.T) {
	for name, reply := range map[string]*bedrocktest.Reply{
		"before the headers": bedrocktest.Text("x").Stall(),
		"before the body":    bedrocktest.Text("x").StallAfter(0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
					o.AttemptTimeout, o.MaxAttempts = 10*time.Second, 1
				})
				srv.Reply(reply)
				began := time.Now()
				_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
				assert.ErrorIs(t, err, bedrockx.ErrAttemptTimeout)
				assert.NotErrorIs(t, err, context.Canceled)
				assert.Equal(t, 10*time.Second, time.Since(began))
			})
		})
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client())
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		srv.Reply(bedrocktest.Text("x").Stall())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err := bedrockx.Invoke(ctx, client, model, request("hello"))
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, why)

		// While it waits to retry, too.
		ctx, cancel = context.WithCancelCause(t.Context())
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "60"))
		time.AfterFunc(time.Second, func() { cancel(why) })
		began := time.Now()
		_, err = bedrockx.Invoke(ctx, client, model, request("hello"))
		assert.ErrorIs(t, err, why)
		assert.ErrorIs(t, err, bedrockx.ErrThrottled, "and why it waited")
		assert.Equal(t, time.Second, time.Since(began).Truncate(time.Second))

		// One that has ended sends nothing.
		n := len(srv.Requests())
		_, err = bedrockx.Invoke(ctx, client, model, request("hello"))
		assert.ErrorIs(t, err, why)
		assert.Len(t, srv.Requests(), n)
	})
}

func TestMiddleware(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	var order []string
	note := func(name string) bedrockx.Middleware {
		return func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				order = append(order, name)
				call.OnEnd(func(err error) {
					assert.NoError(t, err)
					assert.NotNil(t, call.Cost)
					order = append(order, name+" end")
				})
				return next(ctx, call)
			}
		}
	}
	client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) { o.Middleware = []bedrockx.Middleware{note("first")} })
	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("ok"))
	_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, note("second"))
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "second", "second end", "first end"}, order, "once, outside of the retries")

	refuse := errors.New("not allowed")
	_, err = bedrockx.Invoke(t.Context(), client, model, request("hello"), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(bedrockx.Handler) bedrockx.Handler {
			return func(context.Context, *bedrockx.Call) error { return refuse }
		}}
	})
	assert.ErrorIs(t, err, refuse)
	assert.Len(t, srv.Requests(), 2)
}

// The SDK's own per-call options still work, its retries are off.
func TestSDKOptions(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(func(o *bedrockruntime.Options) { o.RetryMaxAttempts = 9 }), func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.SDKOptions = append(o.SDKOptions, func(o *bedrockruntime.Options) { o.AppID = "manga" })
	})
	srv.Reply(bedrocktest.Throttle())
	_, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	var throttled *types.ThrottlingException
	require.ErrorAs(t, err, &throttled)
	require.Len(t, srv.Requests(), 1)
	assert.Contains(t, srv.Requests()[0].Header.Get("User-Agent"), "app/manga")
}

// The SDK's request body has a WriteTo that net/http would call, and that
// breaks HTTP/1.1 connections which a response is still being read from.
func TestWriteToOfTheBodyIsHidden(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("ok"), bedrocktest.Text("ok"))
	var seen []bool
	api := srv.Client(func(o *bedrockruntime.Options) {
		next := o.HTTPClient
		o.HTTPClient = smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			_, ok := r.Body.(io.WriterTo)
			seen = append(seen, ok)
			return next.Do(r)
		})
	})
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(api), model, request("hello"))
	require.NoError(t, err)
	body, err := request("hello").EncodeInvoke(model)
	require.NoError(t, err)
	_, err = api.InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(string(model)), Body: body})
	require.NoError(t, err)
	assert.Equal(t, []bool{false, true}, seen, "ours, and the SDK's: where that is false too, the guard can go")
}

func TestNewFromConfig(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	srv.Reply(bedrocktest.Text("ok"))
	client := bedrockx.NewFromConfig(srv.Config(), bedrockx.Lambda)
	result, err := bedrockx.Invoke(t.Context(), client, model, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, "ok", result.Output.Text())
	assert.Equal(t, 2, client.Options().MaxAttempts)
	assert.Equal(t, "us-east-1", client.Options().Region)
}

// mock is what a user without a fake would write.
type mock struct {
	bedrockx.RuntimeAPI
	in *bedrockruntime.InvokeModelInput
}

func (m *mock) InvokeModel(_ context.Context, in *bedrockruntime.InvokeModelInput, _ ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error) {
	m.in = in
	return &bedrockruntime.InvokeModelOutput{Body: []byte(`{"content":[{"type":"text","text":"mocked"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`)}, nil
}

func TestMock(t *testing.T) {
	m := &mock{}
	result, err := bedrockx.Invoke(t.Context(), bedrockx.New(m), model, request("hello"))
	require.NoError(t, err)
	assert.Equal(t, "mocked", result.Output.Text())
	assert.EqualValues(t, model, *m.in.ModelId)
	assert.Equal(t, "application/json", *m.in.ContentType)
	assert.Contains(t, string(m.in.Body), "hello")
}

// No prompt, no answer and no credential is in an error.
func TestErrorsHoldNoSecrets(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), quick)
	const canary = "canary-prompt-1234"
	for _, reply := range []*bedrocktest.Reply{
		bedrocktest.Exception("ValidationException"),
		bedrocktest.Body(200, "application/json", []byte(`{"content":{"`+canary+`":1}}`)),
		bedrocktest.Body(200, "text/html", []byte(`<html>`+canary)),
		bedrocktest.Body(403, "text/html", []byte(`<html>`+canary)),
		bedrocktest.Text(canary).CutAfter(60),
	} {
		srv.Reply(reply)
		_, err := bedrockx.Invoke(t.Context(), client, model, request(canary), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		require.Error(t, err)
		assert.NotContains(t, err.Error(), canary)
		assert.NotContains(t, err.Error(), "AWS4-HMAC")
	}
}

func TestACallIsSentOnce(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	call := &bedrockx.Call{
		Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`),
		Decode: func(_ context.Context, resp *bedrockx.Response) error {
			return resp.Body.Close()
		},
	}
	srv.Reply(bedrocktest.Text("x"))
	require.NoError(t, client.Do(t.Context(), call))
	assert.ErrorContains(t, client.Do(t.Context(), call), "sent before")

	for name, call := range map[string]*bedrockx.Call{
		"no Decode": {Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(`{}`)},
		"no body":   {Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Decode: func(context.Context, *bedrockx.Response) error { return nil }},
		"bad op":    {Op: "Dance", Outcome: bedrockx.Outcome{Model: model}, Body: []byte(`{}`), Decode: func(context.Context, *bedrockx.Response) error { return nil }},
	} {
		assert.ErrorIs(t, client.Do(t.Context(), call), bedrockx.ErrValidation, name)
	}
	assert.Len(t, srv.Requests(), 1)
}

func TestContextThatHasEndedBefore(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	why := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := bedrockx.Invoke(ctx, bedrockx.New(srv.Client()), model, request("hello"))
	var e *bedrockx.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, bedrockx.KindCanceled, e.Kind)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, why)
}

// A cause of the caller's is the caller's, whatever it wraps.
func TestCauseOfTheCallerThatLooksLikeOurs(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	srv.Reply(bedrocktest.NewReply().Stall())
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		cancel(&bedrockx.Error{Kind: bedrockx.KindTimeout, Err: bedrockx.ErrAttemptTimeout})
		return nil
	})
	_, err := bedrockx.Invoke(ctx, bedrockx.New(srv.Client(), quick), model, request("x"))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Len(t, srv.Requests(), 1)
}

func TestOptionsOfOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		client := bedrockx.New(srv.Client(), bedrockx.Service)
		look := func(o *bedrockx.Options) {
			o.Middleware = []bedrockx.Middleware{func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					assert.Equal(t, 5*time.Second, call.Options.FirstEventTimeout, "it follows AttemptTimeout")
					call.Options.MaxAttempts = 1
					return next(ctx, call)
				}
			}}
		}
		srv.Reply(bedrocktest.Throttle())
		_, err := bedrockx.Invoke(t.Context(), client, model, request("x"), look, func(o *bedrockx.Options) { o.AttemptTimeout = 5 * time.Second })
		assert.ErrorIs(t, err, bedrockx.ErrThrottled)
		assert.Len(t, srv.Requests(), 1)
		assert.Equal(t, 3, client.Options().MaxAttempts, "that of the client stays")

		// No delay means none.
		began := time.Now()
		srv.Reply(bedrocktest.Throttle(), bedrocktest.Throttle(), bedrocktest.Text("ok"))
		_, err = bedrockx.Invoke(t.Context(), client, model, request("x"), func(o *bedrockx.Options) { o.BaseDelay = -1; o.MaxResponseBytes = 1<<63 - 1 })
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))

		// Nobody waits for a day.
		srv.Reply(bedrocktest.Throttle().Header("Retry-After", "86400"))
		_, err = bedrockx.Invoke(t.Context(), client, model, request("x"))
		var e *bedrockx.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 24*time.Hour, e.RetryAfter)
		assert.ErrorContains(t, err, "24h")
		assert.Zero(t, time.Since(began))
	})
}

func TestModelThatAMiddlewareSets(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client()), model, request("x"), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.Model = ""
				return next(ctx, call)
			}
		}}
	})
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.Empty(t, srv.Requests())
}

// A body that tells no usage is asked for in the headers, and is not nothing.
func TestUsageOfTheHeaders(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	body := []byte(`{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}`)
	srv.Reply(
		bedrocktest.Body(200, "application/json", body).Header("X-Amzn-Bedrock-Input-Token-Count", "100").Header("X-Amzn-Bedrock-Output-Token-Count", "50"),
		bedrocktest.Body(200, "application/json", body),
	)
	result, err := bedrockx.Invoke(t.Context(), client, model, request("x"))
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 100, OutputTokens: 50}, result.Usage)
	result, err = bedrockx.Invoke(t.Context(), client, model, request("x"))
	require.NoError(t, err)
	assert.True(t, result.Usage.Unknown)
	assert.Nil(t, result.Cost)
}

// A panic of a policy or a decoder is the caller's, and ends the call: what was
// set aside of a budget is free again.
func TestPanicEndsTheCall(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	ended := 0
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.OnEnd(func(err error) {
					ended++
					assert.Error(t, err)
				})
				return next(ctx, call)
			}
		})
	})
	body := []byte(`{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`)
	call := &bedrockx.Call{Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: body, MaxTokens: 100,
		Decode: func(context.Context, *bedrockx.Response) error { panic("broken") }}
	assert.PanicsWithValue(t, "broken", func() { _ = client.Do(t.Context(), call) })
	assert.Equal(t, 1, ended)
}
