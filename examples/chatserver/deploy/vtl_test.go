package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/proxy"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/stream"
)

// A mapping is a template with what API Gateway has for it.
type mapping struct {
	Template string            `json:"template"`
	Body     string            `json:"body"`
	Context  map[string]any    `json:"context"`
	Stage    map[string]string `json:"stageVariables"`
}

// mapped is what it gives.
type mapped struct {
	Text     string `json:"text"`
	Error    string `json:"error"`
	Override struct {
		Status any            `json:"status"`
		Header map[string]any `json:"header"`
	} `json:"override"`
}

const (
	requestID = "c6af9ac6-7b61-41e6-9a41-93e8deadbeef"
	queueURL  = "https://sqs.us-east-1.amazonaws.com/123456789012/manga-fm-requests"
)

func gatewayContext() map[string]any {
	return map[string]any{
		"apiId": "abc123", "stage": "prod", "httpMethod": "POST", "resourcePath": "/v1/manga/query", "requestId": requestID,
		"requestTime": "30/Nov/2026:08:00:00 +0000", "requestTimeEpoch": int64(1796025600000),
		"routeKey": "$default", "connectionId": "L0SM9cOFvHcCIhw=", "messageId": "L0SM9e_FvHcCIhw=", "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
		"identity": map[string]any{"apiKeyId": "key1", "sourceIp": "192.0.2.1", "userAgent": `it's "an" agent \ 日本`},
	}
}

// classes is where the compiled Render.java is, for as long as the tests run.
var classes = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "render")
	if err != nil {
		return "", err
	}
	// The compiler is in each Java of 17, without a JDK, too.
	out, err := exec.Command("java", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", jars, "-d", dir, "testdata/Render.java").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("compiling Render.java: %w: %s", err, out)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if rendered {
			if dir, _ := classes(); dir != "" {
				os.RemoveAll(dir)
			}
		}
		os.Exit(code)
	}))
}

// rendered says that there are classes.
var rendered bool

// jars is where Debian's packages velocity and libcommons-*-java are.
const jars = "/usr/share/java/velocity.jar:/usr/share/java/commons-lang.jar:/usr/share/java/commons-collections3.jar"

// velocity renders mappings with Apache Velocity 1.7, which API Gateway has as well.
// It is skipped only where there is none; CI has it.
func velocity(t *testing.T, mappings ...mapping) []mapped {
	t.Helper()
	java, err := exec.LookPath("java")
	if _, missing := os.Stat(strings.Split(jars, ":")[0]); err != nil || missing != nil {
		if os.Getenv("CI") != "" {
			require.Fail(t, "java and Debian's package velocity are needed in CI; .ci/setup installs them")
		}
		t.Skip("java and Debian's package velocity are needed")
	}
	for i, m := range mappings {
		data, err := os.ReadFile("templates/vtl/" + m.Template + ".vm")
		require.NoError(t, err)
		mappings[i].Template = string(data)
		if m.Context == nil {
			mappings[i].Context = gatewayContext()
		}
		mappings[i].Stage = map[string]string{"requestsQueueUrl": queueURL}
	}
	in, err := json.Marshal(mappings)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rendered = true
	dir, err := classes()
	require.NoError(t, err)
	command := exec.CommandContext(ctx, java, "-XX:TieredStopAtLevel=1", "-cp", dir+":"+jars, "Render")
	command.Stdin = bytes.NewReader(in)
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	require.NoError(t, command.Run(), "%s", &stderr)
	var results []mapped
	require.NoError(t, json.Unmarshal(out.Bytes(), &results), "%s", &out)
	require.Len(t, results, len(mappings))
	for i, r := range results {
		require.Empty(t, r.Error, "%s", mappings[i].Body)
	}
	return results
}

var ownID = regexp.MustCompile(`"request_id":"[A-Z2-7]{26}"`)

// golden holds a result against a file.
func golden(t *testing.T, name string, r mapped) {
	t.Helper()
	override, err := json.Marshal(r.Override)
	require.NoError(t, err)
	// The function's own id is another one each time.
	got := ownID.ReplaceAllString(r.Text, `"request_id":"R"`) + "\n" + string(override) + "\n"
	file := filepath.Join("testdata", "vtl", name+".txt")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, name)
}

// conforms holds JSON against a schema of package rest.
func conforms(t *testing.T, schema, body string) {
	t.Helper()
	data, err := os.ReadFile("../rest/schemas/" + schema + ".json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(schema, doc))
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	require.NoError(t, err, "%s", body)
	require.NoError(t, c.MustCompile(schema).Validate(value), "%s", body)
}

// hard are texts that a template may spoil: quotes, backslashes, controls, other
// planes, and what looks like a template.
var hard = []string{
	"ワンピースに似たアクション漫画を教えてください", "it's", `she said "yes" and 'no'`, `C:\manga\'new'`, `\\' \" \/ </script>`, "a\nb\tc\r\u2028\u0001",
	"𠮷野家 🍣 👨‍👩‍👧 ﾊﾝｶｸ", "$input.path('$') ${context.stage} #set($x = 1) #if(true)#end ## comment #* *# $!util", "e\u0301", "\u202eevil", "%00 %22 &amp; {{}} [[1]]",
}

// questions gets what is asked and answers with a text.
type questions struct {
	mu    sync.Mutex
	asked []string
	text  string
	err   error
}

func (q *questions) Answer(_ context.Context, question rest.Question) (rest.Answer, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = append(q.asked, question.Text)
	return rest.Answer{Text: q.text, Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", StopReason: bedrockkit.StopEndTurn,
		Usage: bedrockkit.Usage{InputTokens: 12, OutputTokens: 34}}, q.err
}

func (*questions) Route(_ context.Context, q rest.Question) (rest.Route, error) {
	return rest.Route{Model: q.Model}, nil
}

func (*questions) Stream(context.Context, rest.Question) (stream.Source, error) {
	return nil, fmt.Errorf("it is not asked for a stream")
}

// A question goes through the request template, the function and the response
// template, and neither it nor its answer is changed by them.
func TestQueryMapping(t *testing.T) {
	var requests []mapping
	for _, text := range hard {
		body, err := json.Marshal(map[string]any{"query": text, "model": "haiku"})
		require.NoError(t, err)
		requests = append(requests, mapping{Template: "query-request", Body: string(body)})
	}
	events := velocity(t, requests...)
	golden(t, "query-request", events[0])
	golden(t, "query-request-quotes", events[2])
	var responses []mapping
	for i, text := range hard {
		backend := &questions{text: text}
		responses = append(responses, mapping{Template: "query-response", Body: function(t, backend, events[i].Text, requests[i].Body)})
		require.Equal(t, []string{rest.Clean(text)}, backend.asked)
	}
	answers := velocity(t, responses...)
	golden(t, "query-response", answers[0])
	for i, text := range hard {
		conforms(t, "MangaQueryResponse", answers[i].Text)
		var answer struct {
			Response, Model string
			Metadata        struct {
				Model     string
				Usage     bedrockkit.Usage
				RequestID string `json:"request_id"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(answers[i].Text), &answer))
		assert.Equal(t, text, answer.Response)
		assert.Equal(t, "haiku", answer.Metadata.Model)
		assert.Equal(t, bedrockkit.Usage{InputTokens: 12, OutputTokens: 34}, answer.Metadata.Usage)
		assert.Equal(t, requestID, answer.Metadata.RequestID)
		assert.EqualValues(t, 200, answers[i].Override.Status)
	}
}

// function is the function rest: an event in, a response out, as JSON.
func function(t *testing.T, backend *questions, event, body string) string {
	t.Helper()
	var e events.APIGatewayProxyRequest
	require.NoError(t, json.Unmarshal([]byte(event), &e), "%s", event)
	assert.Equal(t, body, e.Body)
	assert.Equal(t, "key1", e.RequestContext.Identity.APIKeyID)
	assert.Equal(t, `it's "an" agent \ 日本`, e.RequestContext.Identity.UserAgent)
	assert.NotContains(t, event, "X-Api-Key")
	response, err := proxy.Handler(rest.New(backend, nil))(t.Context(), e)
	require.NoError(t, err)
	data, err := json.Marshal(response)
	require.NoError(t, err)
	return string(data)
}

// What is wrong comes back with its status, and a busy model with the time to wait.
func TestErrorMapping(t *testing.T) {
	request := velocity(t, mapping{Template: "query-request", Body: `{"query":""}`}, mapping{Template: "query-request", Body: `{"query":"it's"}`})
	invalid := function(t, &questions{}, request[0].Text, `{"query":""}`)
	busy := function(t, &questions{err: fmt.Errorf("x: %w", bedrockx.ErrThrottled)}, request[1].Text, `{"query":"it's"}`)
	failed := function(t, &questions{err: assert.AnError}, request[1].Text, `{"query":"it's"}`)
	results := velocity(t,
		mapping{Template: "query-response", Body: invalid},
		mapping{Template: "query-response", Body: busy},
		mapping{Template: "query-response", Body: failed},
		mapping{Template: "query-response", Body: strings.Replace(busy, `"Retry-After":"5"`, `"Retry-After":"5}\r\nX: 1"`, 1)},
		mapping{Template: "query-response", Body: strings.Replace(busy, `"Retry-After":"5"`, `"Retry-After":"17"`, 1)},
		mapping{Template: "query-response", Body: `{"statusCode":200}`},
		mapping{Template: "query-response", Body: `{"response":"it's 日本","model":"haiku","usage":{"input_tokens":1,"output_tokens":2},"stop_reason":"end_turn","request_id":"r"}`},
		mapping{Template: "error-response", Body: `{"errorMessage":"secret"}`},
		mapping{Template: "timeout-response", Body: `{"errorMessage":"Task timed out"}`},
		mapping{Template: "too-large-response", Body: `{}`},
	)
	for i, want := range []struct {
		name   string
		status any
		after  any
		schema string
	}{
		{"invalid", 400.0, nil, "ErrorResponse"},
		{"busy", 429.0, "5", "ErrorResponse"},
		{"failed", 500.0, nil, "ErrorResponse"},
		{"busy-odd", 429.0, "5", "ErrorResponse"},
		{"busy-long", 429.0, "17", "ErrorResponse"},
		{"no-answer", 502.0, nil, "ErrorResponse"},
		{"container", nil, nil, "MangaQueryResponse"},
		{"error", nil, nil, "ErrorResponse"},
		{"timeout", nil, nil, "ErrorResponse"},
		{"too-large", nil, nil, "ErrorResponse"},
	} {
		conforms(t, want.schema, results[i].Text)
		assert.Equal(t, want.status, results[i].Override.Status, want.name)
		assert.Equal(t, want.after, results[i].Override.Header["Retry-After"], want.name)
		assert.NotContains(t, results[i].Text, "secret")
		var body struct {
			After any `json:"retry_after_seconds"`
		}
		require.NoError(t, json.Unmarshal([]byte(results[i].Text), &body))
		if want.after == nil {
			assert.Nil(t, body.After, want.name)
		} else {
			assert.Equal(t, want.after, fmt.Sprint(body.After), want.name)
		}
	}
	golden(t, "query-response-container", results[6])
}

// batchBody is a batch with a hard text in each item.
func batchBody(t *testing.T, items int) string {
	t.Helper()
	body := rest.Batch{Priority: "high", CallbackURL: "https://shop.example/it's?a=1&b=\u65e5"}
	for i := range items {
		body.Items = append(body.Items, rest.Item{MangaID: "MNG-ONEPIECE", AnalysisType: "reading_level", AdditionalContext: hard[i%len(hard)]})
	}
	data, err := json.Marshal(body)
	require.NoError(t, err)
	return string(data)
}

// A batch goes through the template into a queue, and the ids that the client gets are
// those of its items.
func TestBatchMapping(t *testing.T) {
	sizes := []int{1, 9, 10, 11, 100}
	var requests []mapping
	for _, n := range sizes {
		requests = append(requests, mapping{Template: "batch-request", Body: batchBody(t, n)})
	}
	requests = append(requests, mapping{Template: "batch-request", Body: `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"content_moderation","text":"it's \"x\""}]}`})
	sent := velocity(t, requests...)
	golden(t, "batch-request", sent[0])
	golden(t, "batch-request-defaults", sent[len(sizes)])
	var responses []mapping
	for i, n := range sizes {
		answer, items := queue(t, sent[i].Text)
		responses = append(responses, mapping{Template: "batch-response", Body: answer})
		require.Len(t, items, n)
		for j, item := range items {
			assert.Equal(t, hard[j%len(hard)], item.AdditionalContext)
			assert.Equal(t, "MNG-ONEPIECE", item.MangaID)
		}
	}
	_, items := queue(t, sent[len(sizes)].Text)
	assert.Equal(t, `it's "x"`, items[0].Text)
	responses = append(responses, mapping{Template: "batch-response", Body: `{"Successful":[{"Id":"1-9"}],"Failed":[{"Id":"0-9","Code":"InternalError","SenderFault":false}]}`})
	accepted := velocity(t, responses...)
	for i, n := range sizes {
		conforms(t, "BatchSubmitResponse", accepted[i].Text)
		var answer struct {
			ItemCount  int      `json:"item_count"`
			RequestIDs []string `json:"request_ids"`
		}
		require.NoError(t, json.Unmarshal([]byte(accepted[i].Text), &answer))
		assert.Equal(t, n, answer.ItemCount)
		require.Len(t, answer.RequestIDs, n)
		for j, id := range answer.RequestIDs {
			assert.Equal(t, fmt.Sprintf("%s%03d", requestID[:33], j), id)
			assert.Regexp(t, "^[a-f0-9-]{36}$", id)
		}
	}
	partly := accepted[len(sizes)]
	assert.EqualValues(t, 503, partly.Override.Status)
	conforms(t, "ErrorResponse", partly.Text)
	golden(t, "batch-response", accepted[3])
	golden(t, "batch-response-partly", partly)
}

// queue gives a request to an SQS and returns its answer, and the items of the
// messages in their order.
func queue(t *testing.T, request string) (answer string, items []rest.Item) {
	t.Helper()
	var in sqs.SendMessageBatchInput
	decoder := json.NewDecoder(strings.NewReader(request))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&in), "%s", request)
	assert.Equal(t, queueURL, aws.ToString(in.QueueUrl))
	service := memqueue.New()
	made, err := service.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("manga-fm-requests")})
	require.NoError(t, err)
	in.QueueUrl = made.QueueUrl
	out, err := service.SendMessageBatch(t.Context(), &in)
	require.NoError(t, err)
	require.Empty(t, out.Failed)
	for _, entry := range in.Entries {
		assert.Regexp(t, `^[\x20-\x7e]+$`, *entry.MessageBody, "SQS refuses some characters")
		var m struct {
			Version   int    `json:"batch"`
			RequestID string `json:"request_id"`
			Caller    string
			First     int
			rest.Batch
		}
		require.NoError(t, json.Unmarshal([]byte(*entry.MessageBody), &m), "%s", *entry.MessageBody)
		assert.Equal(t, []any{1, requestID, "key1", len(items)}, []any{m.Version, m.RequestID, m.Caller, m.First})
		assert.LessOrEqual(t, len(m.Items), 10)
		items = append(items, m.Items...)
	}
	var entries []types.SendMessageBatchResultEntry
	for i := len(out.Successful) - 1; i >= 0; i-- { // SQS promises no order
		entries = append(entries, out.Successful[i])
	}
	data, err := json.Marshal(map[string]any{"Successful": entries, "Failed": []any{}})
	require.NoError(t, err)
	return string(data), items
}

// A message of the WebSocket API becomes the event of a proxy integration.
func TestSocketMapping(t *testing.T) {
	var requests []mapping
	for _, text := range hard {
		body, err := json.Marshal(map[string]any{"messages": []any{map[string]string{"role": "user", "content": text}}})
		require.NoError(t, err)
		requests = append(requests, mapping{Template: "socket-request", Body: string(body)})
	}
	results := velocity(t, requests...)
	golden(t, "socket-request", results[0])
	for i, r := range results {
		var e events.APIGatewayWebsocketProxyRequest
		require.NoError(t, json.Unmarshal([]byte(r.Text), &e), "%s", r.Text)
		assert.Equal(t, requests[i].Body, e.Body)
		assert.Equal(t, "L0SM9cOFvHcCIhw=", e.RequestContext.ConnectionID)
		assert.Equal(t, "$default", e.RequestContext.RouteKey)
	}
}

var reference = regexp.MustCompile(`\$context\.[\w.]+`)

// What API Gateway answers by itself has the form of our errors.
func TestGatewayResponses(t *testing.T) {
	values := strings.NewReplacer("$context.error.messageString", `"Missing \"Token\""`, "$context.requestId", requestID)
	found := 0
	for name, r := range read(t, "templates/api-rest.yaml").Resources {
		if r.(map[string]any)["Type"] != "AWS::ApiGateway::GatewayResponse" {
			continue
		}
		found++
		p := properties(r)
		text := p["ResponseTemplates"].(map[string]any)["application/json"].(string)
		text = values.Replace(text)
		assert.Empty(t, reference.FindAllString(text, -1), name)
		conforms(t, "ErrorResponse", text)
		if p["StatusCode"] == "429" {
			header := p["ResponseParameters"].(map[string]any)["gatewayresponse.header.Retry-After"]
			assert.Contains(t, text, fmt.Sprintf(`"retry_after_seconds":%s,`, strings.Trim(header.(string), "'")), name)
		}
	}
	assert.Equal(t, 5, found)
}
