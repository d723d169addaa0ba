package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
)

func TestMain(m *testing.M) {
	lambdatest.Run(main)
	goleak.VerifyTestMain(m)
}

func query(t *testing.T, body string) events.APIGatewayProxyRequest {
	event := lambdatest.Event[events.APIGatewayProxyRequest](t, "apigw-request.json")
	event.Resource, event.Path, event.PathParameters, event.Body = "/v1/manga/stream", "/v1/manga/stream", nil, body
	return event
}

// The prelude is first, and the rest comes while the model writes.
func TestStreams(t *testing.T) {
	cloud := lambdatest.NewCloud(t, func(o *lambdatest.CloudOptions) { o.TPS = 100 })
	f := lambdatest.Start(t, cloud.Env()...)
	result := f.Invoke(query(t, `{"query":"Recommend three seinen manga"}`))
	require.False(t, result.Failed, "%s", result.Body)
	prelude, rest, found := bytes.Cut(result.Body, make([]byte, 8))
	require.True(t, found, "%s", result.Body)
	assert.Less(t, len(prelude), 16<<10, "API Gateway looks no further")
	assert.Contains(t, string(prelude), `"statusCode":200`)
	assert.Contains(t, string(prelude), `"Content-Type":"text/event-stream"`)
	assert.Contains(t, string(rest), "event: token\n")
	assert.Contains(t, string(rest), `"type":"complete"`)
	cloud.CheckCalls(t, "stream")
	if f.Emulated() {
		return // it sends all at the end
	}
	assert.Equal(t, "application/vnd.awslambda.http-integration-response", result.Header.Get("Content-Type"))
	assert.Empty(t, result.Trailer.Get("Lambda-Runtime-Function-Error-Type"))
	assert.True(t, bytes.HasPrefix(result.Chunks[0].Data, []byte(`{"statusCode":200`)), "%s", result.Chunks[0].Data)
	first, last := result.Chunks[0], result.Chunks[len(result.Chunks)-1]
	assert.Greater(t, last.At-first.At, 200*time.Millisecond, "about a hundred tokens")
	assert.Greater(t, len(result.Chunks), 10)
}

func TestRefuses(t *testing.T) {
	f := lambdatest.Start(t, "MANGA_BEDROCK=fake")
	for want, event := range map[string]events.APIGatewayProxyRequest{
		`"statusCode":400`: query(t, `{"query":""}`),
		`"statusCode":401`: func() events.APIGatewayProxyRequest {
			event := query(t, `{"query":"hello"}`)
			event.RequestContext.Identity.APIKeyID = ""
			return event
		}(),
	} {
		result := f.Invoke(event)
		assert.Contains(t, string(result.Body), want)
		assert.Contains(t, string(result.Body), `"error":`)
	}
}
