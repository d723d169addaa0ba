package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestJobSettings(t *testing.T) {
	for _, tt := range []struct {
		change func(*app.Settings)
		want   string
	}{
		{func(s *app.Settings) { s.Jobs.Role = "boss" }, `-role is "boss"; it is all, api or worker`},
		{func(s *app.Settings) { s.Jobs.Role = "api" }, "-role api needs -queues that processes share: sqs"},
		{func(s *app.Settings) { s.Jobs.Role, s.Jobs.Queues = "worker", "sqs" }, "-role worker needs -statuses that processes share: dynamodb:TABLE or redis://HOST:PORT"},
		{func(s *app.Settings) {
			s.Jobs.Role, s.Jobs.Queues, s.Jobs.Statuses = "worker", "sqs", "redis://h:1"
		}, "-role worker needs -results that processes share: folder:PATH or s3:BUCKET"},
		{func(s *app.Settings) { s.Jobs.Queues = "sqs" }, "-queues sqs needs -statuses that last as long as the messages"},
		{func(s *app.Settings) { s.Jobs.Queues = "kafka:x" }, `-queues is "kafka:x"; it is memory, sqs or sqs:HIGH,NORMAL,LOW,DEAD`},
		{func(s *app.Settings) { s.Jobs.Queues, s.Jobs.Statuses = "sqs:a,b", "dynamodb:t" }, `-queues is "sqs:a,b"; it is sqs:HIGH,NORMAL,LOW and then`},
		{func(s *app.Settings) { s.Jobs.Statuses = "dynamodb:" }, `-statuses is "dynamodb:"`},
		{func(s *app.Settings) { s.Jobs.Results = "s3" }, `-results is "s3"; it is memory, folder:PATH or s3:BUCKET`},
		{func(s *app.Settings) { s.Jobs.Callbacks = "redis://h:1" }, `-callbacks is "redis://h:1"; it is memory or dynamodb:TABLE`},
		{func(s *app.Settings) { s.Jobs.CallbackPort = 70000 }, "-callback-port is for tests on this machine"},
		{func(s *app.Settings) { s.Bedrock, s.Jobs.CallbackPort = "aws", 9000 }, "it needs -bedrock fake"},
		{func(s *app.Settings) { s.Jobs.CallbackSecrets = "canary" }, "MANGA_WEBHOOK_SECRET: webhook: a secret is"},
		{func(s *app.Settings) { s.Jobs.Statuses = "dynamodb:statuses"; s.Jobs.Results = "folder:x" }, ""},
		{func(s *app.Settings) {
			s.Addr, s.Jobs.Role, s.Jobs.Queues, s.Jobs.Statuses, s.Jobs.Results = ":8080", "worker", "sqs", "rediss://h:1", "s3:b"
		}, ""},
	} {
		s := app.FromEnv(func(string) string { return "" })
		tt.change(&s)
		err := s.Check()
		if tt.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, tt.want)
		assert.NotContains(t, err.Error(), "canary")
	}
}

func TestJobsFromEnv(t *testing.T) {
	env := map[string]string{
		"MANGA_HIGH_QUEUE_URL": "https://sqs/h", "MANGA_NORMAL_QUEUE_URL": "https://sqs/n", "MANGA_LOW_QUEUE_URL": "https://sqs/l", "MANGA_DEAD_LETTER_QUEUE_URL": "https://sqs/d",
		"MANGA_STATUS_TABLE": "statuses", "MANGA_WEBHOOKS_TABLE": "webhooks", "MANGA_RESULTS_BUCKET": "results", "MANGA_RESULTS_TOPIC": "arn:topic", "MANGA_WEBHOOK_SECRET": webhook.NewSecret(),
	}
	s := app.FromEnv(func(name string) string { return env[name] })
	require.NoError(t, s.Check())
	assert.Equal(t, app.JobSettings{
		Role: "all", Queues: "sqs:https://sqs/h,https://sqs/n,https://sqs/l,https://sqs/d", Statuses: "dynamodb:statuses", Results: "s3:results",
		Callbacks: "dynamodb:webhooks", Topic: "arn:topic", CallbackSecrets: env["MANGA_WEBHOOK_SECRET"],
	}, s.Jobs)
	delete(env, "MANGA_DEAD_LETTER_QUEUE_URL") // who only submits does not have it
	assert.NoError(t, app.FromEnv(func(name string) string { return env[name] }).Check())
}

// shared starts the queues, the table and the bucket that processes share, and sets
// the environment by which the SDK's clients find them.
func shared(t *testing.T, queueNames ...string) bool {
	t.Helper()
	queues, ok := servertest.SQS(t)
	tables, found := servertest.DynamoDB(t)
	if !ok || !found {
		return false
	}
	api := sqs.NewFromConfig(queues)
	for _, name := range queueNames {
		_, err := api.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		require.NoError(t, err)
	}
	database := dynamodb.NewFromConfig(tables)
	_, err := database.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("statuses"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	_, err = database.CreateTable(t.Context(), &dynamodb.CreateTableInput{ // as dynamowebhook describes it
		TableName: aws.String("webhooks"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("pending"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("next_attempt"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("due"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pending"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("next_attempt"), KeyType: types.KeyTypeRange}},
		}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(database, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	for _, table := range []string{"statuses", "webhooks"} {
		require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute))
	}
	store, err := fakes3.Memory("results")
	require.NoError(t, err)
	bucket := httptest.NewServer(store)
	t.Cleanup(bucket.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SQS": *queues.BaseEndpoint, "AWS_ENDPOINT_URL_DYNAMODB": *tables.BaseEndpoint, "AWS_ENDPOINT_URL_S3": bucket.URL,
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return true
}

// serve runs a process of a role, and returns its address and what stops it.
func serve(t *testing.T, change func(*app.JobSettings)) (url string, stop func()) {
	t.Helper()
	s := app.FromEnv(func(string) string { return "" })
	s.TPS = 1e6
	change(&s.Jobs)
	server, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			assert.NoError(t, <-served)
			server.Close()
		}
	}
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop
}

func call(t *testing.T, method, url, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.NewDecoder(bytes.NewReader(data)).Decode(into), "%s", data)
	}
	return resp.StatusCode
}

type job struct {
	RequestID string          `json:"request_id"`
	Status    string          `json:"status"`
	Priority  string          `json:"priority"`
	Result    json.RawMessage `json:"result"`
}

// What one process accepts another one does: over SQS, with the statuses in DynamoDB
// and the results in S3, or in Redis and files. A worker that is stopped ends the jobs
// that it has begun.
func TestRoles(t *testing.T) {
	// The queues of each case are its own: a long poll that ends with its worker takes
	// the next message along in this SQS.
	if !shared(t, "high1", "normal1", "low1", "dead1", "high2", "normal2", "low2", "dead2") {
		t.Skip("the servers are missing")
	}
	address, _ := servertest.Redis(t)
	folder := t.TempDir()
	for name, places := range map[string]func(*app.JobSettings){
		"dynamodb and s3": func(s *app.JobSettings) {
			s.Queues, s.Statuses, s.Results, s.Callbacks = "sqs:high1,normal1,low1,dead1", "dynamodb:statuses", "s3:results", "dynamodb:webhooks"
		},
		"redis and folder": func(s *app.JobSettings) {
			s.Queues, s.Statuses, s.Results = "sqs:high2,normal2,low2,dead2", "redis://"+address, "folder:"+folder
		},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan webhook.Event, 1)
			var receiver atomic.Value // once the secret is known
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { receiver.Load().(http.Handler).ServeHTTP(w, r) }))
			defer site.Close()
			secret := webhook.NewSecret()
			role := func(role string) func(*app.JobSettings) {
				return func(s *app.JobSettings) {
					places(s)
					s.Role, s.CallbackSecrets, s.CallbackPort = role, secret, int(netip.MustParseAddrPort(strings.TrimPrefix(site.URL, "http://")).Port())
				}
			}
			front, _ := serve(t, role("api"))
			var own struct{ Secret string }
			require.Equal(t, 200, call(t, "GET", front+"/v1/manga/callback-secret", "", &own))
			verified, err := webhook.NewReceiver(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var event webhook.Event
				assert.NoError(t, json.NewDecoder(r.Body).Decode(&event))
				told <- event
			}), []string{own.Secret})
			require.NoError(t, err)
			receiver.Store(verified)
			submit := func(priority, more string) string {
				var accepted struct {
					RequestIDs []string `json:"request_ids"`
				}
				require.Equal(t, 202, call(t, "POST", front+"/v1/manga/batch",
					`{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level"}],"priority":"`+priority+`"`+more+`}`, &accepted))
				return accepted.RequestIDs[0]
			}
			status := func(id string) (j job) {
				require.Equal(t, 200, call(t, "GET", front+"/v1/manga/status/"+id, "", &j))
				return j
			}
			ids := []string{submit("high", `,"callback_url":"`+site.URL+`/done"`), submit("normal", ""), submit("low", "")}
			assert.Equal(t, job{RequestID: ids[2], Status: "queued", Priority: "low"}, status(ids[2]))

			back, stop := serve(t, role("worker"))
			assert.Equal(t, 200, call(t, "GET", back+"/healthz", "", nil))
			assert.Equal(t, 200, call(t, "GET", back+"/readyz", "", nil))
			assert.Equal(t, 200, call(t, "GET", back+"/metrics", "", nil))
			for _, path := range []string{"/", "/v1/manga/jobs", "/v1/info", "/openapi.json"} {
				assert.Equal(t, 404, call(t, "GET", back+path, "", nil), "a worker serves nobody: %s", path)
			}
			count := func() map[string]int {
				var list struct{ Jobs []job }
				call(t, "GET", front+"/v1/manga/jobs?limit=100", "", &list)
				counts := map[string]int{}
				for _, j := range list.Jobs {
					counts[j.Status]++
				}
				return counts
			}
			require.Eventually(t, func() bool { return count()["completed"] == 3 }, 30*time.Second, 10*time.Millisecond)
			assert.Contains(t, string(status(ids[0]).Result), "easy")
			select {
			case event := <-told:
				assert.Equal(t, ids[0], event.Data.RequestID)
			case <-time.After(30 * time.Second):
				t.Error("the callback did not come")
			}

			item := `{"manga_id":"MNG-ONEPIECE","analysis_type":"full_enrichment"}`
			require.Equal(t, 202, call(t, "POST", front+"/v1/manga/batch", `{"items":[`+strings.Repeat(item+",", 59)+item+`]}`, nil))
			require.Eventually(t, func() bool { return count()["completed"] > 3 }, 30*time.Second, time.Millisecond)
			stop()
			left := count()
			assert.Zero(t, left["processing"], "it ended what it had begun, or gave it back: %v", left)
			assert.Equal(t, 63, left["completed"]+left["queued"], "%v", left)
		})
	}
}
