package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
)

func TestMain(m *testing.M) {
	lambdatest.Run(main)
	goleak.VerifyTestMain(m)
}

// request is the sample event of a proxy integration, for one of our resources.
func request(t *testing.T, method, resource, body string, parameters map[string]string) events.APIGatewayProxyRequest {
	event := lambdatest.Event[events.APIGatewayProxyRequest](t, "apigw-request.json")
	event.HTTPMethod, event.Resource, event.Path, event.PathParameters, event.Body = method, resource, resource, parameters, body
	return event
}

// call sends an event and decodes the response, and the body that is text in it.
func call(t *testing.T, f *lambdatest.Function, event any, body any) events.APIGatewayProxyResponse {
	result := f.Invoke(event)
	require.False(t, result.Failed, "%s", result.Body)
	var response events.APIGatewayProxyResponse
	require.NoError(t, json.Unmarshal(result.Body, &response), "%s", result.Body)
	require.NoError(t, json.Unmarshal([]byte(response.Body), body), "%s", response.Body)
	return response
}

type answer struct {
	Response, Model, Error string
	Usage                  map[string]int `json:"usage"`
	RequestID              string         `json:"request_id"`
	RequestIDs             []string       `json:"request_ids"`
}

func TestOffline(t *testing.T) {
	f := lambdatest.Start(t, "MANGA_BEDROCK=fake")
	var got answer
	response := call(t, f, request(t, "POST", "/v1/manga/query", `{"query":"ワンピースに似たアクション漫画を教えてください","language":"ja"}`, nil), &got)
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, got.Response, "『")
	assert.Equal(t, response.Headers["X-Request-Id"], got.RequestID)

	// The event of the mapping template has the headers once, and no parameters.
	got = answer{}
	response = call(t, f, json.RawMessage(`{"resource":"/v1/manga/query","path":"/v1/manga/query","httpMethod":"POST",
		"headers":{"Accept":"application/json","Content-Type":"application/json"},"queryStringParameters":{},"pathParameters":{},
		"body":"{\"query\":\"Who wrote Monster?\"}","isBase64Encoded":false,
		"requestContext":{"requestId":"r","stage":"prod","identity":{"apiKeyId":"k","sourceIp":"192.0.2.1"}}}`), &got)
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, got.Response, "Naoki Urasawa")

	got = answer{}
	response = call(t, f, request(t, "POST", "/v1/manga/batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level"}]}`, nil), &got)
	assert.Equal(t, 202, response.StatusCode)
	require.Len(t, got.RequestIDs, 1)
	status := request(t, "GET", "/v1/manga/status/{request_id}", "", map[string]string{"request_id": got.RequestIDs[0]})
	got = answer{}
	response = call(t, f, status, &got)
	assert.Equal(t, 200, response.StatusCode)
	status.RequestContext.Identity.APIKeyID = "another"
	assert.Equal(t, 404, call(t, f, status, &got).StatusCode, "somebody else's job is not there")

	for want, event := range map[int]events.APIGatewayProxyRequest{
		400: request(t, "POST", "/v1/manga/query", `{"query":""}`, nil),
		404: request(t, "POST", "/v1/manga/nothing", ``, nil),
		405: request(t, "DELETE", "/v1/manga/query", ``, nil),
	} {
		got = answer{}
		assert.Equal(t, want, call(t, f, event, &got).StatusCode)
		assert.NotEmpty(t, got.Error)
	}
}

func TestInTheCloud(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	f := lambdatest.Start(t, cloud.Env()...)
	var got answer
	response := call(t, f, request(t, "POST", "/v1/manga/query", `{"query":"Who wrote Monster?","model":"sonnet"}`, nil), &got)
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, got.Response, "Naoki Urasawa")
	assert.Positive(t, got.Usage["output_tokens"])

	// A conversation, and a question that the catalogue's words do not answer.
	for _, question := range []string{"Who wrote Monster?", "Is volume 3 of One Piece in stock?", "A sad story about a girl who counts rain drops"} {
		body := `{"query":"` + question + `","conversation_id":"5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"}`
		assert.Equal(t, 200, call(t, f, request(t, "POST", "/v1/manga/query", body, nil), &got).StatusCode)
	}

	// Batches do not come here: API Gateway puts them into a queue.
	now := time.Now()
	statuses := dynamostatus.New(dynamodb.NewFromConfig(cloud.Config(t)), "status")
	require.NoError(t, statuses.Create(t.Context(), asyncq.Status{ID: "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9010", State: asyncq.Queued,
		Metadata: map[string]string{"caller": "theApiKeyId"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
	response = call(t, f, request(t, "GET", "/v1/manga/status/{request_id}", "", map[string]string{"request_id": "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9010"}), &got)
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, response.Body, `"queued"`)
	cloud.CheckCalls(t, "rest")
}
