package lambdatest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop/dynamoproducts"
)

// A Cloud is what the templates make of AWS, as far as functions can tell: the
// services that they call, behind one address on loopback. It records the calls, as
// IAM sees them.
type Cloud struct {
	// Queues are the queues, by the names of the templates.
	Queues *memqueue.Service

	url     string
	bedrock *bedrocktest.Server
	objects http.Handler
	sockets http.Handler // the management API of the WebSocket API, below /prod

	mu        sync.Mutex
	tables    tables
	published []string
	calls     map[Call]bool
}

// A Call is one that a policy must allow. In its resource, ${Stack.Name} is an output
// of a nested stack; deploy/README.md says more.
type Call struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
}

// outputs are those of the templates, by the name that the resource has here.
var outputs = map[string]map[string]string{
	"sqs": {
		"manga-fm-requests": "${Queues.RequestsArn}", "manga-fm-high-priority": "${Queues.HighArn}", "manga-fm-normal": "${Queues.NormalArn}",
		"manga-fm-low-priority": "${Queues.LowArn}", "manga-fm-ordered.fifo": "${Queues.OrderedArn}", "manga-fm-dlq": "${Queues.DeadLettersArn}",
	},
	"dynamodb": {
		"sessions": "${Data.SessionsArn}", "products": "${Data.ProductsArn}", "status": "${Data.StatusArn}",
		"webhooks": "${Data.WebhooksArn}", "connections": "${Data.ConnectionsArn}",
	},
}

// CloudOptions are the options of [NewCloud].
type CloudOptions struct {
	TPS float64 // tokens a second of the models; 0 is as fast as they are read
}

// NewCloud starts the services, with the offline assistant as all models. They end
// with the test.
func NewCloud(tb testing.TB, optFns ...func(*CloudOptions)) *Cloud {
	tb.Helper()
	var o CloudOptions
	for _, fn := range optFns {
		fn(&o)
	}
	c := &Cloud{Queues: memqueue.New(), calls: map[Call]bool{}, tables: tables{
		"sessions": newTable("id"), "products": newTable("manga_id"), "status": newTable("request_id"), "webhooks": newTable("id"), "connections": newTable("connection_id"),
	}}
	c.sockets = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "GoneException")
		w.WriteHeader(http.StatusGone)
	})
	for name := range outputs["sqs"] {
		attributes := map[string]string{}
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		_, err := c.Queues.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
		must(tb, err)
	}
	objects, err := fakes3.Memory("results")
	must(tb, err)
	c.objects = objects
	c.bedrock, err = bedrocktest.New(func(b *bedrocktest.Options) {
		b.Responder, b.Pace = offline.New(catalog.Default()).Respond, o.TPS
	})
	must(tb, err)
	tb.Cleanup(func() { must(tb, c.bedrock.Close()) })
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	c.url = server.URL
	books := catalog.Default()
	_, err = dynamoproducts.New(dynamodb.NewFromConfig(c.Config(tb)), "products").Load(tb.Context(), books, shop.Invented(books))
	must(tb, err)
	return c
}

// Env are the variables of a function in this cloud: those of deploy/README.md, and
// where the services are.
func (c *Cloud) Env() []string {
	queue := c.QueueURL
	return []string{
		"AWS_ENDPOINT_URL=" + c.url, "MANGA_BEDROCK=aws",
		"MANGA_HAIKU=" + haiku, "MANGA_SONNET=" + sonnet,
		"MANGA_SESSIONS_TABLE=sessions", "MANGA_STATUS_TABLE=status", "MANGA_WEBHOOKS_TABLE=webhooks",
		"MANGA_CONNECTIONS_TABLE=connections", "MANGA_CONNECTIONS_URL=" + c.url + "/prod",
		"MANGA_HIGH_QUEUE_URL=" + queue("manga-fm-high-priority"), "MANGA_NORMAL_QUEUE_URL=" + queue("manga-fm-normal"),
		"MANGA_LOW_QUEUE_URL=" + queue("manga-fm-low-priority"), "MANGA_ORDERED_QUEUE_URL=" + queue("manga-fm-ordered.fifo"),
		"MANGA_DEAD_LETTER_QUEUE_URL=" + queue("manga-fm-dlq"), "MANGA_RESULTS_BUCKET=results", "MANGA_RESULTS_TOPIC=" + topic,
		"MANGA_RETRIEVER=memory",
	}
}

// Sockets makes a gateway of package gatewaytest the WebSocket API of the cloud, by
// its ConnectionsURL. Before, all connections are gone.
func (c *Cloud) Sockets(tb testing.TB, connectionsURL string) {
	target, err := url.Parse(connectionsURL)
	must(tb, err)
	target.Path = ""
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport = &http.Transport{DisableKeepAlives: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = forward
}

// QueueURL is the URL of a queue.
func (c *Cloud) QueueURL(name string) string {
	return "https://sqs.us-east-1.amazonaws.com/000000000000/" + name
}

const (
	haiku  = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	sonnet = "us.anthropic.claude-sonnet-4-6"
	topic  = "arn:aws:sns:us-east-1:000000000000:results"
)

// Calls are the calls that were made, each once, in order.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Call
	for call := range c.calls {
		all = append(all, call)
	}
	slices.SortFunc(all, func(a, b Call) int {
		return cmp.Or(strings.Compare(a.Action, b.Action), strings.Compare(a.Resource, b.Resource))
	})
	return all
}

// CheckCalls holds the calls that were made against those that the role's policy is
// tested with, in deploy/check/calls.
func (c *Cloud) CheckCalls(tb testing.TB, role string) {
	tb.Helper()
	data, err := os.ReadFile("../../check/calls/" + role + ".json")
	must(tb, err)
	var known []Call
	must(tb, json.Unmarshal(data, &known))
	for _, call := range c.Calls() {
		if !slices.Contains(known, call) {
			line, err := json.Marshal(call)
			must(tb, err)
			tb.Errorf("deploy/check/calls/%s.json lacks a call that %s makes: %s", role, role, line)
		}
	}
}

// Published are the messages that were published to the topic of results.
func (c *Cloud) Published() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.published)
}

// scope finds the service that a request was signed for.
var scope = regexp.MustCompile(`Credential=([^/]+)/\d+/[^/]+/([a-z0-9-]+)/aws4_request`)

// testKey is the access key of the test's own clients, whose calls are not recorded.
const testKey = "lambdatest"

// ServeHTTP records a request, and lets the service answer that it was signed for.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signed := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	if signed == nil {
		http.Error(w, "the request is not signed", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	record := c.record
	if signed[1] == testKey {
		record = func(string, string) {}
	}
	switch service := signed[2]; service {
	case "bedrock":
		action := "bedrock:InvokeModel"
		if strings.HasSuffix(r.URL.Path, "-stream") {
			action += "WithResponseStream"
		}
		model, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/model/"), "/")
		record(action, modelARN(model))
		c.bedrock.ServeHTTP(w, r)
	case "dynamodb":
		var in struct {
			TableName, IndexName string
			RequestItems         map[string]any
		}
		json.Unmarshal(body, &in) // the table answers what is wrong
		for name := range in.RequestItems {
			in.TableName = name
		}
		resource := outputs[service][in.TableName]
		if in.IndexName != "" {
			resource += "/index/" + in.IndexName
		}
		record("dynamodb:"+op, resource)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tables.serve(w, op, body)
	case "sqs":
		var in struct{ QueueUrl, QueueName string }
		json.Unmarshal(body, &in)
		name := cmp.Or(in.QueueName, in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:])
		record("sqs:"+strings.TrimSuffix(op, "Batch"), outputs[service][name]) // IAM has no action for batches
		c.Queues.ServeHTTP(w, r)
	case "s3":
		resource := "${Data.ResultsArn}"
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if folder, _, _ := strings.Cut(key, "/"); folder != "" {
			resource += "/" + folder + "/id"
		}
		action := map[string]string{http.MethodGet: "Get", http.MethodHead: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete"}[r.Method]
		record("s3:"+action+"Object", resource)
		c.objects.ServeHTTP(w, r)
	case "sns":
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("TopicArn") != topic {
			http.Error(w, "there is no such topic", http.StatusNotFound)
			return
		}
		record("sns:"+form.Get("Action"), "${Topics.ResultsTopic}")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.published = append(c.published, form.Get("Message"))
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>`)
	case "execute-api":
		record("execute-api:ManageConnections", "arn:aws:execute-api:${Region}:${Account}:${SocketApi.ApiId}/prod/"+r.Method+"/@connections/id=")
		c.mu.Lock()
		sockets := c.sockets
		c.mu.Unlock()
		sockets.ServeHTTP(w, r)
	default:
		http.Error(w, "there is no service "+service, http.StatusNotImplemented)
	}
}

func (c *Cloud) record(action, resource string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[Call{action, resource}] = true
}

// modelARN is the resource of a model's call.
func modelARN(escaped string) string {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped
	}
	parsed, err := bedrockkit.ModelID(id).Parse()
	switch {
	case err != nil:
		return id
	case id == haiku:
		return "${profile haiku}"
	case id == sonnet:
		return "${profile sonnet}"
	case parsed.Prefix == "":
		return "arn:aws:bedrock:${Region}::foundation-model/" + id
	}
	return "arn:aws:bedrock:${Region}:${Account}:inference-profile/" + id
}

// Config is for clients of the test itself. Their calls are not recorded.
func (c *Cloud) Config(tb testing.TB) aws.Config {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &c.url, HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: "test", Source: "lambdatest"}, nil
		}),
	}
}
