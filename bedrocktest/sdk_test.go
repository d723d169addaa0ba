package bedrocktest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// These tests hold what the AWS SDK for Go does wrong (bedrockruntime v1.63.11,
// smithy-go v1.28.8). One that fails means that the SDK was mended, and that
// what protects callers from it can go.

// A stream that is cut at any byte ends without an error.
func TestSDKCutStreamIsSilent(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	client := srv.Client(noRetry)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")}
	reply := func() *bedrocktest.Reply { return bedrocktest.Text("Hello, world") }
	srv.Reply(reply())
	_, err := readStream(t, client, in)
	require.NoError(t, err)
	whole := srv.Requests()[0].Outcome.Bytes
	silent := 0
	for n := range whole {
		srv.Reply(reply().CutAfter(n))
		got, err := readStream(t, client, in)
		if err == nil {
			silent++
		}
		assert.Nil(t, got.usage, "cut after %d bytes", n)
	}
	assert.EqualValues(t, whole, silent, "the SDK notices that a stream was cut")
}

// A body that is no answer gives no error and no output.
func TestSDKTakesAnyBody(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(bedrocktest.Body(http.StatusOK, "application/json", []byte("{}")))
	out, err := srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
	require.NoError(t, err)
	assert.Nil(t, out.Output)
}

// An unknown block becomes a copy of the one before it: a tool would run twice.
func TestSDKDoublesToolCalls(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(bedrocktest.ToolUse("pay", map[string]int{"amount": 1}).Block(bedrocktest.Block{Raw: json.RawMessage(`{"futureBlock":{"x":1}}`)}))
	out, err := srv.Client(noRetry).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
	require.NoError(t, err)
	calls := 0
	for _, b := range out.Output.(*types.ConverseOutputMemberMessage).Value.Content {
		if _, ok := b.(*types.ContentBlockMemberToolUse); ok {
			calls++
		}
	}
	assert.Equal(t, 2, calls, "the SDK keeps unknown blocks apart")
}

// ModelNotReadyException is documented as retried and is not.
func TestSDKDoesNotRetryModelNotReady(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(bedrocktest.Exception("ModelNotReadyException"))
	_, err := srv.Client().Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
	var notReady *types.ModelNotReadyException
	require.ErrorAs(t, err, &notReady)
	assert.Len(t, srv.Requests(), 1)
}

// A stream that stalls is waited for without any limit.
func TestSDKWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("Hello").StallAfter(1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out, err := srv.Client(noRetry).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.NoError(t, err)
		stream := out.GetStream()
		<-stream.Events()
		var once sync.Once
		ended := false
		go func() {
			for range stream.Events() {
			}
			once.Do(func() { ended = true })
		}()
		synctest.Wait() // all are blocked, and no timer is running
		assert.False(t, ended)
		stream.Close()
	})
}
