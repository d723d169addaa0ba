package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/internal/servertest"
	"github.com/mangaassist/bedrockkit/pricing"
)

var update = flag.Bool("update", false, "write the golden files")

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// golden compares with a file; ids of messages are random.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = uuid.ReplaceAllString(got, "00000000-0000-4000-8000-000000000000")
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got, name)
}

// createQueues makes the default queues, whose dead letters go to one.
func createQueues(t *testing.T, api interface {
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
}) {
	t.Helper()
	for _, name := range []string{"manga-fm-dlq", "manga-fm-high-priority", "manga-fm-normal"} {
		in := &sqs.CreateQueueInput{QueueName: &name}
		if name != "manga-fm-dlq" {
			in.Attributes = map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:manga-fm-dlq","maxReceiveCount":1}`}
		}
		_, err := api.CreateQueue(t.Context(), in)
		require.NoError(t, err)
	}
	_, err := api.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("manga-fm-ordered.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
	require.NoError(t, err)
}

// submit puts jobs on the queues: two are received too often, one waits.
func submit(t *testing.T, api asyncq.QueueAPI, status asyncq.StatusStore) {
	t.Helper()
	p, err := asyncq.NewProducer[string](api, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = defaultQueues, status })
	require.NoError(t, err)
	send := func(id string, priority asyncq.Priority) {
		_, err := p.Submit(t.Context(), asyncq.Request[string]{ID: id, Priority: priority, Payload: "canary of " + id})
		require.NoError(t, err)
	}
	send("job-1", asyncq.High)
	send("job-2", asyncq.Normal)
	for _, name := range []string{"manga-fm-high-priority", "manga-fm-normal"} {
		queue, err := api.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
		require.NoError(t, err)
		// Received once, and not again: the second receive moves it.
		for _, want := range []int{1, 0} {
			out, err := api.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, VisibilityTimeout: 1, WaitTimeSeconds: 2})
			require.NoError(t, err)
			require.Len(t, out.Messages, want)
		}
	}
	send("job-3", asyncq.Normal)
}

// memory connects to queues and statuses within the test.
func memory(queues queueAPI, status asyncq.StatusStore) func(context.Context, *arguments) (*services, error) {
	return func(_ context.Context, a *arguments) (*services, error) {
		s := &services{queues: queues}
		if a.table != "" {
			s.status = status
		}
		return s, nil
	}
}

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues, status := memqueue.New(), asyncq.NewMemoryStatus()
		createQueues(t, queues)
		submit(t, queues, status)
		_, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String("https://sqs.us-east-1.amazonaws.com/000000000000/manga-fm-dlq"), MessageBody: aws.String("no\tjob")})
		require.NoError(t, err)
		cost, err := pricing.ParseAmount("0.0001364")
		require.NoError(t, err)
		now := time.Now().UTC()
		require.NoError(t, status.Create(t.Context(), asyncq.Status{ID: "done", State: asyncq.Completed, Priority: asyncq.Low, Attempt: 2, Step: 3, Steps: 3,
			CreatedAt: now, FinishedAt: now.Add(time.Minute), ExpiresAt: now.Add(time.Hour), Cost: &cost, ResultKey: "results/done"}))

		asyncq := func(args ...string) (string, string, int) {
			var out, errs bytes.Buffer
			code := run(t.Context(), append(args[:1:1], append([]string{"-endpoint", "http://127.0.0.1:1"}, args[1:]...)...), &out, &errs, memory(queues, status))
			return out.String(), errs.String(), code
		}
		for _, step := range []struct {
			golden string
			args   []string
			code   int
			errors string
		}{
			{"queues.txt", []string{"queues"}, 0, ""},
			{"queues.json", []string{"queues", "-json"}, 0, ""},
			{"status.txt", []string{"status", "-table", "t", "job-1", "done"}, 0, ""},
			{"status.json", []string{"status", "-table", "t", "-json", "done"}, 0, ""},
			{"status-missing.txt", []string{"status", "-table", "t", "none", "done"}, 1, "asyncq: there is no status of none\n"},
			{"dead.txt", []string{"dead"}, 0, ""},
			{"dead.json", []string{"dead", "-json"}, 0, ""},
			{"redrive.txt", []string{"redrive", "-table", "t", "job-1"}, 0, ""},
			{"redrive-again.txt", []string{"redrive", "job-1"}, 1, "asyncq: of 1 jobs 0 have dead letters that can be seen now\n"},
			{"dead-body.txt", []string{"dead", "-body"}, 0, ""},
			{"purge.json", []string{"purge", "-yes", "-json"}, 0, ""},
			{"queues-after.txt", []string{"queues"}, 0, ""},
		} {
			out, errs, code := asyncq(step.args...)
			assert.Equal(t, step.code, code, "%s: %s", step.golden, errs)
			assert.Equal(t, step.errors, errs, step.golden)
			golden(t, step.golden, out)
			if strings.HasSuffix(step.golden, ".json") {
				assert.True(t, json.Valid([]byte(out)), step.golden)
			}
			assert.Equal(t, step.golden == "dead-body.txt", strings.Contains(out, "canary"), "%s: a body is shown with -body only", step.golden)
		}
	})
}

func TestArguments(t *testing.T) {
	never := func(context.Context, *arguments) (*services, error) { panic("connected") }
	for name, tt := range map[string]struct {
		args   string
		code   int
		errors string
	}{
		"nothing":           {"", 2, "a command is missing"},
		"help":              {"-h", 0, "asyncq purge   -aws -yes"},
		"help of a command": {"redrive -h", 0, "send all dead letters back"},
		"unknown":           {"list -aws", 2, `there is no command "list"`},
		"neither":           {"queues", 2, "either -aws or -endpoint"},
		"both":              {"queues -aws -endpoint http://127.0.0.1:1", 2, "either -aws or -endpoint"},
		"no endpoint":       {"queues -endpoint 127.0.0.1", 2, "is no http URL"},
		"ids of queues":     {"queues -aws a", 2, `queues takes no "a"`},
		"no table":          {"status -aws a", 2, "status needs -table"},
		"no ids":            {"status -aws -table t", 2, "status needs -table"},
		"redrive nothing":   {"redrive -aws", 2, "either ids of jobs or -all"},
		"redrive too much":  {"redrive -aws -all a", 2, "either ids of jobs or -all"},
		"purge by mistake":  {"purge -aws", 2, "say -yes"},
		"another's flag":    {"queues -aws -body", 2, "-body"},
		"a flag too late":   {"redrive -aws a -table t", 2, "flags come before it"},
		"two accounts":      {"status -aws -table t -table-endpoint http://127.0.0.1:1 a", 2, "goes with -endpoint"},
		"no dead letters":   {"dead -aws -dead-letter=", 2, "-dead-letter is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			assert.Equal(t, tt.code, run(t.Context(), strings.Fields(tt.args), &out, &errs, never))
			assert.Contains(t, errs.String(), tt.errors)
			assert.Empty(t, out.String())
		})
	}
}

// An id that a script has left empty is not that of the letters without one, and
// one that is named twice is one.
func TestIDs(t *testing.T) {
	_, err := parse([]string{"redrive", "-aws", ""}, io.Discard)
	assert.ErrorIs(t, err, errUsage)
	a, err := parse([]string{"redrive", "-aws", "b", "a", "b"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "a"}, a.ids)
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := asyncq.NewMemoryStatus()
		now := time.Now().UTC()
		job := asyncq.Status{ID: "job", State: asyncq.Queued, CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}
		require.NoError(t, status.Create(t.Context(), job))
		job, err := status.Get(t.Context(), "job")
		require.NoError(t, err)
		job.State = asyncq.Completed
		timer := time.AfterFunc(time.Hour, func() { assert.NoError(t, status.Update(context.Background(), job)) })
		defer timer.Stop()
		var out, errs bytes.Buffer
		args := strings.Fields("status -aws -table t -wait none job")
		require.Equal(t, 1, run(t.Context(), args, &out, &errs, memory(nil, status)))
		assert.Equal(t, "asyncq: there is no status of none\n", errs.String())
		assert.GreaterOrEqual(t, time.Since(now), time.Hour)
		assert.Contains(t, out.String(), "completed")
	})
}

func TestFailure(t *testing.T) {
	down := errors.New("the network is down")
	queues := memqueue.New(func(o *memqueue.Options) { o.Before = func(context.Context, string, any) error { return down } })
	for _, args := range []string{"queues -aws", "dead -aws", "redrive -aws -all", "purge -aws -yes"} {
		var out, errs bytes.Buffer
		assert.Equal(t, 1, run(t.Context(), strings.Fields(args), &out, &errs, memory(queues, nil)), args)
		assert.Contains(t, errs.String(), down.Error(), args)
		assert.Empty(t, out.String(), args)
	}
}

// The same over sockets, with servers that nobody here wrote.
func TestEndpoint(t *testing.T) {
	cfg, ok := servertest.SQS(t)
	tables, found := servertest.DynamoDB(t)
	if !ok || !found {
		return
	}
	client := dynamodb.NewFromConfig(tables)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("manga-fm-request-status"), BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: dynamotypes.ScalarAttributeTypeS}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: dynamotypes.KeyTypeHash}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("manga-fm-request-status")}, time.Minute))
	queues := sqs.NewFromConfig(cfg)
	createQueues(t, queues)
	submit(t, queues, dynamostatus.New(client, "manga-fm-request-status"))

	asyncq := func(args string) string {
		var out, errs bytes.Buffer
		args = fmt.Sprintf(args, "-endpoint "+*cfg.BaseEndpoint, "-table manga-fm-request-status -table-endpoint "+*tables.BaseEndpoint)
		require.Zero(t, run(t.Context(), strings.Fields(args), &out, &errs, connect), "%s: %s", args, errs.String())
		return out.String()
	}
	assert.Contains(t, asyncq("status %s %s job-3"), "queued")
	assert.Contains(t, asyncq("dead %s %.0s"), "received too often")
	assert.Equal(t, "1 redriven\n", asyncq("redrive %s %s job-1"))
	var after []queue
	require.NoError(t, json.Unmarshal([]byte(asyncq("queues %s -json %.0s")), &after))
	require.Len(t, after, 5)
	assert.Equal(t, queue{Role: "high", Name: "manga-fm-high-priority", Visible: 1, DeadLetter: "manga-fm-dlq", Receives: 1}, after[0])
	assert.True(t, after[2].Missing)
	assert.Equal(t, 1, after[4].Visible)
	assert.Equal(t, "1 purged\n", asyncq("purge %s -yes %.0s"))
}
