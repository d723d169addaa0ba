package batch_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A mortal is a process that is killed at its n-th request: that one is not sent,
// or its answer is not seen, and nothing is sent after it.
type mortal struct {
	mu       sync.Mutex
	left     int
	answered bool // the last request is sent
	dead     bool
	kill     context.CancelFunc
}

// The soak test of CI tries each request; a plain test some of them.
var everyRequest = flag.Bool("every-request", false, "TestKilledAtEachRequest: kill the process at each request, and not at some")

var errKilled = errors.New("the process was killed")

// round decides on one request: whether it is sent, and whether its answer is seen.
func (m *mortal) round() (send, see bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return false, false
	}
	m.left--
	if m.left > 0 {
		return true, true
	}
	m.dead = true
	m.kill()
	return m.answered, false
}

type mortalTransport struct {
	m    *mortal
	next aws.HTTPClient
}

func (t mortalTransport) Do(r *http.Request) (*http.Response, error) {
	send, see := t.m.round()
	if !send {
		return nil, errKilled
	}
	resp, err := t.next.Do(r.WithContext(context.WithoutCancel(r.Context())))
	if !see && err == nil {
		resp.Body.Close()
		return nil, errKilled
	}
	return resp, err
}

// mortal returns a client of a process that is killed at its n-th request, and the
// context that ends with it.
func (w *world) mortal(ctx context.Context, n int, answered bool, optFns ...func(*batch.Options)) (context.Context, *mortal, *batch.Client) {
	ctx, kill := context.WithCancel(ctx)
	m := &mortal{left: n, answered: answered, kill: kill}
	cfg := w.srv.Config()
	cfg.HTTPClient = mortalTransport{m, cfg.HTTPClient}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	live := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	store := w.store.Client(func(o *s3.Options) {
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = mortalTransport{m, o.HTTPClient}
	})
	return ctx, m, batch.New(bedrock.NewFromConfig(cfg), store, append([]func(*batch.Options){few, func(o *batch.Options) {
		o.Live, o.MinDelay, o.MaxDelay = live, time.Hour, 2*time.Hour
	}}, optFns...)...)
}

// A set that is killed at any request, before or after the service has seen it,
// and run again, has each result once, and no job more than without.
func TestKilledAtEachRequest(t *testing.T) {
	const records = 23
	cases := map[string]struct {
		job  func(*batch.Job)
		plan bedrocktest.BatchPlan
		jobs int
		live bool
		some int // records, if not all
	}{
		"jobs":  {jobs: 3},
		"retry": {jobs: 4, job: func(j *batch.Job) { j.Retry = batch.RetryJob }, plan: bedrocktest.BatchPlan{FailEvery: 9, DropEvery: 10}},
		"live":  {jobs: 3, live: true, job: func(j *batch.Job) { j.Retry = batch.RetryLive }, plan: bedrocktest.BatchPlan{FailEvery: 9}},
		"few":   {jobs: 0, live: true, some: 1, job: func(j *batch.Job) { j.Live = true }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			step := 7
			if *everyRequest {
				step = 1
			}
			for _, answered := range []bool{false, true} {
				for n, dead := 1, true; dead; n += step {
					inWorld(t, func(t *testing.T, w *world) {
						w.plans["-0001-"], w.plans["-0002-"], w.plans["-0003-"] = c.plan, c.plan, c.plan
						count := records
						if c.some > 0 {
							count = c.some
						}
						job := job("killed")
						if c.job != nil {
							c.job(&job)
						}
						ctx, m, client := w.mortal(t.Context(), n, answered)
						_, err := batch.Run(ctx, client, job, questions(count))
						m.kill()
						if dead = m.dead; dead && err == nil {
							t.Error("a killed process has come to an end")
						}
						checkSet(t, w, job, count, c.jobs, c.live)
					}, fewJobs)
					if n > 300 {
						t.Fatal("it does not come to an end")
					}
				}
			}
		})
	}
}

// checkSet runs a set in a process that lives, and counts.
func checkSet(t *testing.T, w *world, job batch.Job, records, jobs int, live bool) {
	_, m, client := w.mortal(t.Context(), 1<<30, true)
	defer m.kill()
	results, err := batch.Run(t.Context(), client, job, questions(records))
	require.NoError(t, err)
	found := all(t, results)
	require.Len(t, found, records)
	for id, r := range found {
		require.NoError(t, r.Err, id)
		assert.Equal(t, "You said: Who wrote volume "+strings.TrimPrefix(id, "title-")+"?", r.Output.Text())
	}
	stats := results.Stats()
	assert.EqualValues(t, records, stats.Succeeded)
	assert.Zero(t, stats.Strange)
	assert.Zero(t, stats.Duplicated)
	assert.Equal(t, jobs, w.created(), "jobs")
	if live {
		return
	}
	// Nothing was paid for twice: every job's records are in one job's files.
	total := 0
	for _, j := range w.jobs() {
		total += int(aws.ToInt64(j.TotalRecordCount))
	}
	assert.GreaterOrEqual(t, total, records)
}

func (w *world) jobs() []*bedrock.GetModelInvocationJobOutput {
	api := bedrock.NewFromConfig(w.srv.Config())
	out, err := api.ListModelInvocationJobs(w.t.Context(), &bedrock.ListModelInvocationJobsInput{MaxResults: aws.Int32(1000)})
	require.NoError(w.t, err)
	var list []*bedrock.GetModelInvocationJobOutput
	for _, j := range out.InvocationJobSummaries {
		got, err := api.GetModelInvocationJob(w.t.Context(), &bedrock.GetModelInvocationJobInput{JobIdentifier: j.JobArn})
		require.NoError(w.t, err)
		list = append(list, got)
	}
	return list
}

// A process that is killed again and again, each time a little later, comes to an
// end, also with the state in a file.
func TestKilledAgainAndAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("again")
		job.StateFile = t.TempDir() + "/state.json"
		job.Retry = batch.RetryJob
		w.plans["-0001-"] = bedrocktest.BatchPlan{FailEvery: 4}
		deaths := 0
		for n := 3; ; n += 1 + n/10 {
			ctx, m, client := w.mortal(t.Context(), n, n%2 == 0)
			_, err := batch.Run(ctx, client, job, questions(31))
			m.kill()
			if err == nil {
				break
			}
			deaths++
			time.Sleep(time.Minute)
			require.Less(t, deaths, 100)
		}
		t.Log(deaths, "deaths")
		assert.Greater(t, deaths, 5)
		checkSet(t, w, job, 31, 5, false)
	}, fewJobs)
}
