package asyncq_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/s3blobs"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// From a producer to the result, with SQS, DynamoDB and S3 as servers that nobody
// here wrote, and the SDK's clients.
func TestServers(t *testing.T) {
	cfg, ok := servertest.SQS(t)
	tables, found := servertest.DynamoDB(t)
	if !ok || !found {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	queues := sqs.NewFromConfig(cfg)
	for _, name := range []string{"high", "normal", "ordered.fifo", "dead"} {
		in := &sqs.CreateQueueInput{QueueName: &name}
		if strings.HasSuffix(name, ".fifo") {
			in.Attributes = map[string]string{"FifoQueue": "true"}
		}
		_, err := queues.CreateQueue(ctx, in)
		require.NoError(t, err)
	}
	names := asyncq.Queues{High: "high", Normal: "normal", Ordered: "ordered.fifo", DeadLetter: "dead"}

	database := dynamodb.NewFromConfig(tables)
	_, err := database.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("statuses"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(database, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("statuses")}, time.Minute))
	status := dynamostatus.New(database, "statuses")

	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("blobs"))
	bucket := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	defer bucket.Close()
	cfg.BaseEndpoint, cfg.HTTPClient = &bucket.URL, bucket.Client()
	blobs := s3blobs.New(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), "blobs")

	const jobs = 60
	producer, err := asyncq.NewProducer[string](queues, func(o *asyncq.ProducerOptions) {
		o.Queues, o.Status, o.Payloads, o.OffloadBytes = names, status, blobs, 2000
	})
	require.NoError(t, err)
	var requests []asyncq.Request[string]
	var ids []string
	for i := range jobs {
		r := asyncq.Request[string]{ID: fmt.Sprintf("job-%d", i), Payload: strings.Repeat("漫", i*30)} // the longest go to S3
		switch i % 3 {
		case 1:
			r.Priority = asyncq.High
		case 2:
			r.Group = fmt.Sprint("group-", i%4)
		}
		requests, ids = append(requests, r), append(ids, r.ID)
	}
	for _, submitted := range producer.SubmitBatch(ctx, requests) {
		require.NoError(t, submitted.Err)
	}
	objects, err := backend.ListBucket("blobs", nil, gofakes3.ListBucketPage{})
	require.NoError(t, err)
	assert.NotEmpty(t, objects.Contents, "large payloads are in S3")

	// Each job with a group fails once: those behind it wait.
	var mu sync.Mutex
	order := map[string][]int{}
	var poisoned atomic.Int64
	worker := asyncq.NewWorker(queues, func(_ context.Context, job *asyncq.Job[string]) error {
		if job.ID == "job-13" {
			poisoned.Add(1)
			return fmt.Errorf("attempt %d", job.Attempt)
		}
		if job.Group != "" {
			if job.Attempt == 1 {
				return errors.New("not yet")
			}
			mu.Lock()
			order[job.Group] = append(order[job.Group], len(job.Payload))
			mu.Unlock()
		}
		return job.SetResult(len(job.Payload))
	}, func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Results, o.Payloads = names, status, blobs, blobs
		o.WaitTime, o.BaseDelay, o.MaxDelay = time.Second, time.Millisecond, 10*time.Millisecond
	})
	life, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- worker.Run(life) }()
	ended := map[string]asyncq.Status{}
	for s, err := range asyncq.WaitAll(ctx, status, ids) {
		require.NoError(t, err)
		ended[s.ID] = s
	}
	stop()
	<-stopped
	require.Len(t, ended, jobs)
	for i := range jobs {
		s := ended[fmt.Sprintf("job-%d", i)]
		if i == 13 {
			assert.Equal(t, asyncq.Failed, s.State)
			continue
		}
		require.Equal(t, asyncq.Completed, s.State, s.ID)
		size, err := asyncq.Result[int](ctx, blobs, s)
		require.NoError(t, err)
		assert.Equal(t, i*90, size)
	}
	assert.Len(t, order, 4)
	for group, sizes := range order {
		assert.IsIncreasing(t, sizes, group)
		assert.Len(t, sizes, 5)
	}
	assert.EqualValues(t, 3, poisoned.Load(), "the attempts of the job that cannot be done")
	letters := 0
	for d, err := range asyncq.NewDeadLetters(queues, names, status).List(ctx) {
		require.NoError(t, err)
		assert.Equal(t, "job-13", d.ID)
		letters++
	}
	assert.Equal(t, 1, letters)
}
