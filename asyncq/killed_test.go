package asyncq_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/fileblobs"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

var jobsFlag = flag.Int("jobs", 40, "how many jobs TestKilledWorkers submits to each queue, and TestSoak if it is more than a thousand")

// workerEnv has the configuration of a worker's process, which is this test's
// program once more.
const workerEnv = "ASYNCQ_TEST_WORKER"

// workerConfig is what a worker's process is told.
type workerConfig struct {
	Queues, Tables string // endpoints
	Region, Table  string
	Results        string // folder
}

func (c workerConfig) aws(endpoint string) aws.Config {
	return aws.Config{Region: c.Region, BaseEndpoint: aws.String(endpoint), HTTPClient: http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		})}
}

func (c workerConfig) status() *dynamostatus.Store {
	return dynamostatus.New(dynamodb.NewFromConfig(c.aws(c.Tables)), c.Table)
}

var killedQueues = asyncq.Queues{High: "high", Normal: "normal", Ordered: "ordered.fifo", DeadLetter: "dead"}

// runWorker is the whole of a worker's process, until it is killed.
func runWorker() error {
	var c workerConfig
	if err := json.Unmarshal([]byte(os.Getenv(workerEnv)), &c); err != nil {
		return err
	}
	results, err := fileblobs.New(c.Results)
	if err != nil {
		return err
	}
	worker := asyncq.NewWorker(sqs.NewFromConfig(c.aws(c.Queues)), func(ctx context.Context, job *asyncq.Job[int]) error {
		time.Sleep(rand.N(3 * time.Millisecond)) // work, in the middle of which it may be killed
		if job.Payload%97 == 0 {
			return errors.New("this one cannot be done")
		}
		return job.SetResult(2 * job.Payload)
	}, func(o *asyncq.WorkerOptions) {
		o.Queues, o.Status, o.Results, o.Logger = killedQueues, c.status(), results, quiet()
		o.Concurrency, o.Visibility, o.WaitTime = 32, 3*time.Second, time.Second
		o.BaseDelay, o.MaxDelay, o.MaxAttempts = time.Millisecond, 10*time.Millisecond, 4
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Println("working")
	return worker.Run(ctx)
}

// startWorker starts a process and returns when it works.
func startWorker(c workerConfig) (*exec.Cmd, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		kill(cmd)
		return nil, fmt.Errorf("a worker's process did not start: %w", err)
	}
	return cmd, nil
}

// kill ends a process at once: SIGKILL, where there is such a thing.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// massacre keeps two workers at work until ctx is done, and kills one of them
// at random moments, at most so many times. It returns how often it did.
func massacre(ctx context.Context, c workerConfig, most int) (killed int, err error) {
	var workers [2]*exec.Cmd
	defer func() {
		for _, w := range workers {
			if w != nil {
				kill(w)
			}
		}
	}()
	for i := range workers {
		if workers[i], err = startWorker(c); err != nil {
			return 0, err
		}
	}
	for killed < most {
		select {
		case <-time.After(200*time.Millisecond + rand.N(600*time.Millisecond)):
		case <-ctx.Done():
			return killed, nil
		}
		i := rand.N(len(workers))
		kill(workers[i])
		killed++
		if workers[i], err = startWorker(c); err != nil {
			return killed, err
		}
	}
	<-ctx.Done()
	return killed, nil
}

// Processes are killed at random moments while jobs pass. What was accepted is
// done or a dead letter, never both, and its one result is right.
func TestKilledWorkers(t *testing.T) {
	tables, ok := servertest.DynamoDB(t)
	if !ok {
		return
	}
	t.Run("memqueue", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(memqueue.New())
		defer server.Close()
		killWorkers(t, server.URL, tables, "memqueue")
	})
	t.Run("fauxqs", func(t *testing.T) {
		t.Parallel()
		if cfg, ok := servertest.SQS(t); ok {
			killWorkers(t, *cfg.BaseEndpoint, tables, "fauxqs")
		}
	})
}

func killWorkers(t *testing.T, endpoint string, tables aws.Config, table string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := workerConfig{Queues: endpoint, Tables: *tables.BaseEndpoint, Region: tables.Region, Table: table, Results: t.TempDir()}
	queues := sqs.NewFromConfig(c.aws(c.Queues))
	for _, name := range []string{killedQueues.High, killedQueues.Normal, killedQueues.Ordered, killedQueues.DeadLetter} {
		in := &sqs.CreateQueueInput{QueueName: aws.String(name)}
		if name == killedQueues.Ordered {
			in.Attributes = map[string]string{"FifoQueue": "true"}
		}
		_, err := queues.CreateQueue(ctx, in)
		require.NoError(t, err)
	}
	database := dynamodb.NewFromConfig(c.aws(c.Tables))
	_, err := database.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String(table), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("request_id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("request_id"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	active := dynamodb.NewTableExistsWaiter(database, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second })
	require.NoError(t, active.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)}, time.Minute))
	status := c.status()

	working, stop := context.WithCancel(ctx)
	var killed int
	var wg sync.WaitGroup
	wg.Go(func() {
		var err error
		killed, err = massacre(working, c, 2+*jobsFlag/50) // endless killing would make dead letters of all
		assert.NoError(t, err)
	})
	defer wg.Wait()
	defer stop()

	producer, err := asyncq.NewProducer[int](queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = killedQueues, status })
	require.NoError(t, err)
	var requests []asyncq.Request[int]
	var ids []string
	for i := range *jobsFlag {
		r := asyncq.Request[int]{ID: fmt.Sprintf("job-%d", i), Payload: i}
		switch i % 3 {
		case 0:
			r.Priority = asyncq.High
		case 1:
			r.Group = fmt.Sprint("group-", i%97)
		}
		requests, ids = append(requests, r), append(ids, r.ID)
	}
	for _, submitted := range producer.SubmitBatch(ctx, requests) {
		require.NoError(t, submitted.Err)
	}
	completed, failed := map[string]asyncq.Status{}, map[string]bool{}
	for s, err := range asyncq.WaitAll(ctx, status, ids, func(o *asyncq.WaitOptions) { o.BaseDelay = time.Second }) {
		require.NoError(t, err, s.ID)
		if s.State == asyncq.Completed {
			completed[s.ID] = s
		} else {
			assert.Equal(t, asyncq.Failed, s.State, s.ID)
			failed[s.ID] = true
		}
	}
	// What a killed worker left behind comes once more.
	for _, name := range []string{killedQueues.High, killedQueues.Normal, killedQueues.Ordered} {
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			assert.Zero(t, messages(ctx, t, queues, name))
		}, time.Minute, 100*time.Millisecond, name)
	}
	stop()
	wg.Wait()
	t.Logf("%d jobs, %d workers killed: %d completed, %d failed", *jobsFlag, killed, len(completed), len(failed))

	results, err := fileblobs.New(c.Results)
	require.NoError(t, err)
	for i, id := range ids {
		s, done := completed[id]
		if !done {
			continue
		}
		assert.NotZero(t, i%97, "%s cannot be done", id)
		data, err := results.Get(ctx, s.ResultKey)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(2*i), string(data))
	}
	stored, err := os.ReadDir(c.Results)
	require.NoError(t, err)
	blobs := 0
	for _, file := range stored {
		if strings.HasPrefix(file.Name(), "b-") {
			blobs++
		}
	}
	assert.Equal(t, len(completed), blobs, "a result for each job that is done, and no other")

	dead := map[string]bool{}
	letters := asyncq.NewDeadLetters(queues, killedQueues, status)
	for d, err := range letters.List(ctx) {
		require.NoError(t, err)
		dead[d.ID] = true
		assert.NotContains(t, completed, d.ID, "both done and dead")
	}
	for id := range failed {
		assert.Contains(t, dead, id)
	}
	assert.Equal(t, *jobsFlag, len(completed)+len(dead), "what was accepted is done or in the dead-letter queue")
}

// messages are those of a queue, also the ones that a worker has or had.
func messages(ctx context.Context, t require.TestingT, queues *sqs.Client, name string) (n int) {
	url, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(t, err)
	counts := []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible, sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed}
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: counts})
	require.NoError(t, err)
	for _, name := range counts {
		count, err := strconv.Atoi(out.Attributes[string(name)])
		require.NoError(t, err)
		n += count
	}
	return n
}
