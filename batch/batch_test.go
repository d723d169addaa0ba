package batch_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// A world is a Bedrock and an S3 for one test, by the bubble's clock.
type world struct {
	t     *testing.T
	srv   *bedrocktest.Server
	store *fakes3.Store
	plans map[string]bedrocktest.BatchPlan // by a part of the job's name
}

// inWorld runs a test in a synctest bubble. Jobs take four hours.
func inWorld(t *testing.T, test func(t *testing.T, w *world), optFns ...func(*bedrocktest.Options)) {
	synctest.Test(t, func(t *testing.T) {
		store, err := fakes3.Memory("manga")
		require.NoError(t, err)
		w := &world{t: t, store: store, plans: map[string]bedrocktest.BatchPlan{}}
		w.srv = bedrocktest.NewServer(t, append([]func(*bedrocktest.Options){func(o *bedrocktest.Options) {
			o.InProcess, o.Responder, o.JobDuration = true, bedrocktest.Echo, 4*time.Hour
			o.Batch = bedrocktest.Batch{Store: store, Plan: w.plan}
		}}, optFns...)...)
		test(t, w)
	})
}

func (w *world) plan(name string) bedrocktest.BatchPlan {
	for part, plan := range w.plans {
		if strings.Contains(name, part) {
			return plan
		}
	}
	return bedrocktest.BatchPlan{}
}

// client is a client of this world. It does not try again, so that a test counts
// what is sent.
func (w *world) client(optFns ...func(*batch.Options)) *batch.Client {
	return batch.New(bedrock.NewFromConfig(w.srv.Config(), func(o *bedrock.Options) { o.Retryer = aws.NopRetryer{} }),
		w.store.Client(func(o *s3.Options) { o.Retryer = aws.NopRetryer{} }), optFns...)
}

// created counts the jobs that the service has.
func (w *world) created() int {
	out, err := bedrock.NewFromConfig(w.srv.Config()).ListModelInvocationJobs(w.t.Context(), &bedrock.ListModelInvocationJobsInput{MaxResults: aws.Int32(1000)})
	require.NoError(w.t, err)
	return len(out.InvocationJobSummaries)
}

func job(name string) batch.Job {
	return batch.Job{
		Name: name, Model: haiku, Role: "arn:aws:iam::123456789012:role/batch",
		Input: "s3://manga/in", Output: "s3://manga/out",
	}
}

// few are limits with which small sets show what large ones do.
func few(o *batch.Options) { o.Limits = batch.Limits{MinRecords: 2, MaxRecords: 10, MaxFileRecords: 4} }

func fewJobs(o *bedrocktest.Options) { o.Batch.MinRecords, o.Batch.MaxRecords = 2, 10 }

// questions are n records with ids of their own.
func questions(n int) iter.Seq2[batch.Record[anthropic.Request], error] {
	return func(yield func(batch.Record[anthropic.Request], error) bool) {
		for i := range n {
			if !yield(batch.Record[anthropic.Request]{ID: fmt.Sprintf("title-%d", i), Input: ask(fmt.Sprintf("Who wrote volume %d?", i))}, nil) {
				return
			}
		}
	}
}

func ask(text string) anthropic.Request {
	return anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(text)}}
}

// all reads results by id and checks that each comes once.
func all[Out any](t *testing.T, r *batch.Results[Out]) map[string]batch.Result[Out] {
	t.Helper()
	found := map[string]batch.Result[Out]{}
	for result, err := range r.All(t.Context()) {
		require.NoError(t, err)
		assert.NotContains(t, found, result.ID)
		found[result.ID] = result
	}
	return found
}

func TestRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		began := time.Now()
		results, err := batch.Run(t.Context(), w.client(), job("catalogue"), questions(250))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(began), 4*time.Hour)
		found := all(t, results)
		require.Len(t, found, 250)
		for i := range 250 {
			r := found[fmt.Sprintf("title-%d", i)]
			require.NoError(t, r.Err)
			assert.Equal(t, fmt.Sprintf("You said: Who wrote volume %d?", i), r.Output.Text())
			assert.NotZero(t, r.Usage.OutputTokens)
		}
		assert.Equal(t, batch.Stats{Records: 250, Succeeded: 250}, results.Stats())
		assert.Equal(t, 1, w.created())

		cost := results.Cost()
		require.NoError(t, cost.Err)
		assert.Equal(t, cost.Live.String(), cost.Total.Mul(2).String(), "half the price")

		// Again: nothing is written, created or read of the records.
		results, err = batch.Run(t.Context(), w.client(), job("catalogue"), func(func(batch.Record[anthropic.Request], error) bool) {
			t.Error("the records were read again")
		})
		require.NoError(t, err)
		assert.Len(t, all(t, results), 250)
		assert.Equal(t, 1, w.created())
	})
}

func TestSeveralJobs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client(few, func(o *batch.Options) { o.Limits.MaxJobs = 2 })
		s, err := batch.Submit(t.Context(), c, job("many"), questions(31))
		require.NoError(t, err)
		var sizes []int
		for _, j := range s.Jobs() {
			sizes = append(sizes, j.Records)
		}
		assert.Equal(t, []int{10, 10, 9, 2}, sizes, "the last job has as many as it must have")
		assert.Equal(t, 2, w.created(), "the others wait")
		most := 0
		for p, err := range s.Watch(t.Context()) {
			require.NoError(t, err)
			running := 0
			for _, j := range p.Jobs {
				if j.Status != batch.StatusWaiting && !j.Status.Terminal() {
					running++
				}
			}
			most = max(most, running)
		}
		assert.Equal(t, 2, most)
		assert.Len(t, all(t, batch.ResultsOf[anthropic.Request](s)), 31)
	}, fewJobs)
}
