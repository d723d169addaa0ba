package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/gatewaytest"
)

func TestMain(m *testing.M) {
	lambdatest.Run(main)
	goleak.VerifyTestMain(m)
}

// proxied is the event that an API Gateway sends: the sample, with what this one
// says. Headers and query come with $connect alone.
func proxied(t *testing.T, e gatewaytest.Event) events.APIGatewayWebsocketProxyRequest {
	event := lambdatest.Event[events.APIGatewayWebsocketProxyRequest](t, "apigw-websocket-request.json")
	event.Headers, event.MultiValueHeaders = nil, e.Header
	event.QueryStringParameters, event.MultiValueQueryStringParameters = nil, e.Query
	event.RequestContext.EventType, event.RequestContext.RouteKey, event.RequestContext.ConnectionID = e.Type, e.RouteKey(), e.ConnectionID
	event.RequestContext.Identity.SourceIP, event.Body = e.Address, string(e.Body)
	return event
}

// start starts the function, and an API Gateway that calls it.
func start(t *testing.T, cloud *lambdatest.Cloud, env ...string) *gatewaytest.Gateway {
	f := lambdatest.Start(t, append(cloud.Env(), env...)...)
	gateway := gatewaytest.New(t, func(_ context.Context, e gatewaytest.Event) (int, error) {
		result := f.Invoke(proxied(t, e))
		var response events.APIGatewayProxyResponse
		if result.Failed {
			return 500, nil
		}
		err := json.Unmarshal(result.Body, &response)
		return response.StatusCode, err
	})
	cloud.Sockets(t, gateway.ConnectionsURL)
	return gateway
}

type frame struct {
	Type, Data, Code string
	Sequence         int
	RequestID        string `json:"request_id"`
}

func TestAnswers(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	gateway := start(t, cloud, "MANGA_BEDROCK=fake")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, gateway.URL, nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	for _, question := range []string{"Who wrote Monster?", "モンスターの作者は？"} {
		require.NoError(t, wsjson.Write(ctx, conn, map[string]any{"request_id": "r", "messages": []map[string]string{{"role": "user", "content": question}}}))
		var answer strings.Builder
		last := frame{}
		for last.Type != "complete" {
			last = frame{}
			require.NoError(t, wsjson.Read(ctx, conn, &last))
			require.NotEqual(t, "error", last.Type, "%+v", last)
			require.Equal(t, "r", last.RequestID)
			answer.WriteString(last.Data)
		}
		assert.Contains(t, answer.String(), map[bool]string{true: "Naoki Urasawa", false: "浦沢直樹"}[question == "Who wrote Monster?"])
	}

	// A message that is not valid is answered with words, and the connection lives on.
	require.NoError(t, wsjson.Write(ctx, conn, map[string]any{"type": "nonsense"}))
	refused := frame{}
	require.NoError(t, wsjson.Read(ctx, conn, &refused))
	assert.Equal(t, frame{Type: "error", Code: "bad_request"}, refused)

	conn.Close(websocket.StatusNormalClosure, "")
	require.Eventually(t, func() bool { return len(gateway.Connections()) == 0 }, 10*time.Second, 10*time.Millisecond)
	cloud.CheckCalls(t, "socket")
}

// Who is not connected cannot ask, and an origin that is not listed cannot connect.
func TestRefuses(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	f := lambdatest.Start(t, append(cloud.Env(), "MANGA_BEDROCK=fake")...)
	for status, e := range map[string]gatewaytest.Event{
		`"statusCode":403`: {Type: gatewaytest.Connect, ConnectionID: "a=", Header: map[string][]string{"Origin": {"https://evil.example"}}},
		`"statusCode":410`: {Type: gatewaytest.Message, ConnectionID: "b=", Body: []byte(`{"messages":[{"role":"user","content":"hello"}]}`)},
		`the event's type`: {Type: "SOMETHING", ConnectionID: "c="},
	} {
		assert.Contains(t, string(f.Invoke(proxied(t, e)).Body), status)
	}
}

// The other sample events are of a connection that is not known.
func TestSamples(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	f := lambdatest.Start(t, append(cloud.Env(), "MANGA_BEDROCK=fake")...)
	for file, want := range map[string]string{
		"apigw-websocket-request-send-message.json": `"statusCode":410`,
		"apigw-websocket-request-disconnect.json":   `"statusCode":200`,
	} {
		assert.Contains(t, string(f.Invoke(lambdatest.Event[events.APIGatewayWebsocketProxyRequest](t, file)).Body), want, file)
	}
}
