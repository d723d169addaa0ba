package compat_test

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// The defects of the AWS SDK for Go that its callers must be protected from
// (bedrockruntime v1.63.13, aws-sdk-go-v2 v1.48.0, smithy-go v1.28.9), each with
// the plain client. These tests tell when one is fixed: they then fail and say
// what of this module can go.

func inProcess(o *bedrocktest.Options) { o.InProcess = true }

func noRetry(o *bedrockruntime.Options) { o.RetryMaxAttempts = 1 }

func userText(text string) []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}}
}

func anthropicBody(text string) []byte {
	b, _ := json.Marshal(map[string]any{
		"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100,
		"messages": []any{map[string]any{"role": "user", "content": text}},
	})
	return b
}

// streamEvents reads a ConverseStream with the plain client.
func streamEvents(t *testing.T, client *bedrockruntime.Client, in *bedrockruntime.ConverseStreamInput) (events int, err error) {
	out, err := client.ConverseStream(t.Context(), in)
	if err != nil {
		return 0, err
	}
	stream := out.GetStream()
	defer stream.Close()
	for range stream.Events() {
		events++
	}
	return events, stream.Err()
}

// sayHi is a Converse with the plain client.
func sayHi(t *testing.T, srv *bedrocktest.Server, optFns ...func(*bedrockruntime.Options)) (*bedrockruntime.ConverseOutput, error) {
	return srv.Client(optFns...).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: userText("Hi")})
}

// A stream whose body ends early looks like one that has ended well, wherever it
// was cut: within a frame or between two. (A connection that is reset is told.)
func TestSDKDefectStreamBreaksOffSilently(t *testing.T) {
	operations := map[string]func(*testing.T, *bedrockruntime.Client) error{
		"ConverseStream": func(t *testing.T, client *bedrockruntime.Client) error {
			_, err := streamEvents(t, client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: userText("Hi")})
			return err
		},
		"InvokeModelWithResponseStream": func(t *testing.T, client *bedrockruntime.Client) error {
			out, err := client.InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
				ModelId: aws.String(model), ContentType: aws.String("application/json"), Body: anthropicBody("Hi"),
			})
			if err != nil {
				return err
			}
			stream := out.GetStream()
			defer stream.Close()
			for range stream.Events() {
			}
			return stream.Err()
		},
	}
	for operation, call := range operations {
		t.Run(operation, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			client := srv.Client(noRetry)
			srv.Reply(bedrocktest.Text("Hi"))
			require.NoError(t, call(t, client))
			whole := srv.Requests()[0].Outcome.Bytes

			silent := int64(0)
			for n := range whole {
				srv.Reply(bedrocktest.Text("Hi").CutAfter(n))
				if call(t, client) == nil {
					silent++
				}
			}
			assert.Equal(t, whole, silent, "of the places where a stream can be cut, the SDK is silent about that many only, so it has been mended. "+
				"This was a reason to read streams with a reader of our own (docs/adr/0003); where the SDK's is still used, its end can be trusted.")
		})
	}
}

// A content block that the SDK does not know becomes the block before it, so a
// tool would be called twice. In the first place it is nil.
func TestSDKDefectUnknownBlockIsACopy(t *testing.T) {
	const message = "the SDK tells unknown content blocks apart, so it has been mended. " +
		"This was a reason to decode responses in converse/response.go and not by the SDK (docs/adr/0003)."
	unknown := bedrocktest.Block{Raw: json.RawMessage(`{"blockOfNextYear":{"x":1}}`)}

	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(
		bedrocktest.ToolUse("pay", map[string]int{"amount": 1}).Block(unknown),
		bedrocktest.NewReply().Block(unknown).Text("Hello"),
	)
	content := func() []types.ContentBlock {
		out, err := sayHi(t, srv, noRetry)
		require.NoError(t, err)
		message, ok := out.Output.(*types.ConverseOutputMemberMessage)
		require.True(t, ok)
		return message.Value.Content
	}
	doubled := content()
	require.Len(t, doubled, 2)
	first, ok := doubled[0].(*types.ContentBlockMemberToolUse)
	require.True(t, ok)
	second, ok := doubled[1].(*types.ContentBlockMemberToolUse)
	if assert.True(t, ok, message) {
		assert.Equal(t, first.Value.ToolUseId, second.Value.ToolUseId, message)
	}

	alone := content()
	require.Len(t, alone, 2)
	assert.Nil(t, alone[0], message)
}

// A body that is no answer is an answer without output, and no error.
func TestSDKDefectAnyBodyIsAnAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"empty object":       `{}`,
		"something else":     `{"status":"ok"}`,
		"answer without one": `{"stopReason":"end_turn"}`,
	} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			srv.Reply(bedrocktest.Body(http.StatusOK, "application/json", []byte(body)))
			out, err := sayHi(t, srv, noRetry)
			const message = "the SDK refuses a body that is no answer, so it has been mended. " +
				"This was a reason to decode responses in converse/response.go and not by the SDK (docs/adr/0003)."
			if assert.NoError(t, err, message) {
				assert.Nil(t, out.Output, message)
			}
		})
	}
}

// sdkGoroutines counts the goroutines that the SDK has started.
func sdkGoroutines() int {
	buf := make([]byte, 1<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if _, by, ok := strings.Cut(stack, "created by "); ok &&
			(strings.HasPrefix(by, "github.com/aws/aws-sdk-go-v2/") || strings.HasPrefix(by, "github.com/aws/smithy-go/")) {
			n++
		}
	}
	return n
}

// A stream that is left without Close keeps its goroutines, even when its
// context has ended.
func TestSDKDefectStreamThatIsLeftLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("a stream of many events").ChunkSize(1))
		before := sdkGoroutines()
		ctx, cancel := context.WithCancel(t.Context())
		out, err := srv.Client(noRetry).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: userText("Hi")})
		require.NoError(t, err)
		stream := out.GetStream()
		<-stream.Events()
		synctest.Wait() // the SDK has an event to give that nobody takes
		cancel()
		synctest.Wait() // whatever reacts to the end of ctx has done so
		assert.Positive(t, sdkGoroutines()-before, "the end of the context ends the SDK's goroutines, so it has been mended. "+
			"This was a reason for bedrockx/send.go to take the SDK's stream reader out of the stack, and to close the SDK's streams when their context ends.")

		require.NoError(t, stream.Close())
		synctest.Wait()
		assert.Equal(t, before, sdkGoroutines(), "Close ends them")
	})
}

// A stream that stalls is waited for without any limit.
func TestSDKDefectStalledStreamIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("Hello").StallAfter(1))
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		out, err := srv.Client(noRetry).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: userText("Hi")})
		require.NoError(t, err)
		stream := out.GetStream()
		defer stream.Close()
		began := time.Now()
		for range stream.Events() {
		}
		assert.Equal(t, 24*time.Hour, time.Since(began), "the SDK has given up by itself, so it has been mended. "+
			"Compare its limits with those of bedrockx/watchdog.go, which can go if they are as good.")
	})
}

// Errors that would pass are not retried, ModelNotReadyException among them,
// of which the SDK's documentation says that it is retried five times. A 429
// without a code is retried since aws-sdk-go-v2 v1.48.0.
func TestSDKDefectNoRetry(t *testing.T) {
	for name, reply := range map[string]*bedrocktest.Reply{
		"ModelNotReadyException": bedrocktest.Exception("ModelNotReadyException"),
		"ModelTimeoutException":  bedrocktest.Exception("ModelTimeoutException"),
		"ModelErrorException":    bedrocktest.Exception("ModelErrorException"),
		"408 without a code":     bedrocktest.HTML(http.StatusRequestTimeout),
		"529, which is overload": bedrocktest.HTML(529),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a retry would not take time either
				srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) { o.Responder = bedrocktest.Echo })
				srv.Reply(reply)
				_, err := sayHi(t, srv)
				const message = "the SDK retries this, so it has been mended. If it does so for all of them, one reason for bedrockx/retry.go is gone."
				assert.Error(t, err, message)
				assert.Len(t, srv.Requests(), 1, message)
			})
		})
	}
}

// JSON is announced as binary, where the caller does not say what it is.
func TestSDKDefectContentType(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(bedrocktest.Text("Hello"))
	// The outcome is the server's business.
	_, _ = srv.Client(noRetry).InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(model), Body: anthropicBody("Hi")})
	requests := srv.Requests()
	require.Len(t, requests, 1)
	assert.Equal(t, "application/octet-stream", requests[0].Header.Get("Content-Type"),
		"InvokeModel has another content type by default, so the SDK has been mended. If it is application/json, bedrockx/send.go need not set it.")
}

// An empty model id is sent: the path has an empty segment.
func TestSDKDefectEmptyModelID(t *testing.T) {
	// Not NewServer, whose test fails with a path that no operation has.
	srv, err := bedrocktest.New(inProcess)
	require.NoError(t, err)
	defer srv.Close()
	_, err = srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(""), Messages: userText("Hi")})
	require.Error(t, err)
	requests := srv.Requests()
	if assert.Len(t, requests, 1, "the SDK refuses an empty model id, so it has been mended. The check in validate of bedrockx/client.go is a repetition now.") {
		assert.Equal(t, "/model//converse", requests[0].Path)
	}
}

// A client without credentials asks a token provider that is nil.
func TestSDKDefectNoCredentialsPanics(t *testing.T) {
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "")
	client := bedrockruntime.NewFromConfig(aws.Config{Region: "us-east-1"})
	assert.Panics(t, func() {
		_, _ = client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: userText("Hi")})
	}, "the SDK returns an error, so it has been mended. noCredentials in bedrockx/send.go can go.")
}
