package batch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

// unreliable is a client whose requests to S3 go through a function.
func (w *world) unreliable(do func(next aws.HTTPClient, r *http.Request) (*http.Response, error), optFns ...func(*batch.Options)) *batch.Client {
	store := w.store.Client(func(o *s3.Options) {
		o.Retryer = aws.NopRetryer{}
		next := o.HTTPClient
		o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) { return do(next, r) })
	})
	return batch.New(bedrock.NewFromConfig(w.srv.Config(), func(o *bedrock.Options) { o.Retryer = aws.NopRetryer{} }), store, optFns...)
}

func putsState(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/state.json")
}

func (w *world) get(key string) []byte {
	r, err := w.store.Open(w.t.Context(), "manga", key)
	require.NoError(w.t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(w.t, err)
	return data
}

func (w *world) put(key, body string) {
	_, err := w.store.Client().PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: aws.String("manga"), Key: &key, Body: strings.NewReader(body)})
	require.NoError(w.t, err)
}

// A process that another one has overtaken tries again and again, and its state
// file must not become the newer one: the records would be sent again once more.
func TestStateFileOfAnOvertakenProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["-0001-"] = bedrocktest.BatchPlan{FailEvery: 3}
		job := job("overtaken")
		job.Retry, job.StateFile = batch.RetryJob, filepath.Join(t.TempDir(), "state.json")
		one, err := batch.Submit(t.Context(), w.client(few), job, questions(9))
		require.NoError(t, err)
		two, err := w.client(few).Resume(t.Context(), one.URI())
		require.NoError(t, err)
		require.NoError(t, two.Wait(t.Context()))
		require.Equal(t, 2, w.created())
		for range 20 {
			require.ErrorIs(t, one.Wait(t.Context()), batch.ErrConflict)
		}
		results, err := batch.Run(t.Context(), w.client(few), job, questions(9))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 9)
		assert.Equal(t, 2, w.created(), "the records were sent again once")
	}, fewJobs)
}

// The answer to a write of the state is lost. The process has no conflict with
// itself.
func TestAnswerOfStateLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		writes := 0
		c := w.unreliable(func(next aws.HTTPClient, r *http.Request) (*http.Response, error) {
			resp, err := next.Do(r)
			if putsState(r) && err == nil {
				if writes++; writes%2 == 0 && writes > 4 {
					resp.Body.Close()
					return nil, io.ErrUnexpectedEOF
				}
			}
			return resp, err
		})
		results, err := batch.Run(t.Context(), c, job("lost"), questions(100))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 100)
		assert.Greater(t, writes, 6)
		assert.Equal(t, 1, w.created())
	})
}

// A job is created only after the state that has its token was stored.
func TestNoJobWithoutState(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		writes := 0
		c := w.unreliable(func(next aws.HTTPClient, r *http.Request) (*http.Response, error) {
			if putsState(r) {
				if writes++; writes > 4 && writes%3 != 0 {
					return nil, io.ErrUnexpectedEOF
				}
			}
			return next.Do(r)
		}, few, func(o *batch.Options) { o.Limits.MaxJobs = 1 })
		w.srv.Control(bedrockkit.OpCreateModelInvocationJob, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			var body struct {
				Token string `json:"clientRequestToken"`
			}
			assert.NoError(t, json.Unmarshal(r.Body, &body))
			assert.True(t, bytes.Contains(w.get("in/before/state.json"), []byte(body.Token)))
			return nil
		}).Keep()
		s, err := batch.Submit(t.Context(), c, job("before"), questions(25))
		require.NoError(t, err)
		require.NoError(t, s.Wait(t.Context()))
		assert.Len(t, all(t, batch.ResultsOf[anthropic.Request](s)), 25)
		assert.Equal(t, 3, w.created())
	}, fewJobs)
}

// A state that is damaged, of another version or of another place is an error
// and never a panic.
func TestDamagedState(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, err := batch.Submit(t.Context(), w.client(), job("whole"), questions(100))
		require.NoError(t, err)
		whole := string(w.get("in/whole/state.json"))
		for name, c := range map[string]struct{ state, want string }{
			"empty":            {"", "not the state of a set"},
			"null":             {"null", "version 0"},
			"cut":              {whole[:len(whole)/2], "not the state of a set"},
			"later version":    {strings.Replace(whole, `"version":1`, `"version":9`, 1), "version 9"},
			"no job":           {`{"version":1}`, "Job.Input"},
			"null among jobs":  {strings.Replace(whole, `"jobs":[`, `"jobs":[null,`, 1), "job 1"},
			"folder elsewhere": {strings.Replace(whole, `"folder":"s3://manga`, `"folder":"manga`, 1), "job 1"},
		} {
			w.put("in/broken/state.json", c.state)
			file := filepath.Join(t.TempDir(), "state.json")
			require.NoError(t, os.WriteFile(file, []byte(c.state), 0o600))
			for _, from := range []string{"s3://manga/in/broken", file} {
				_, err := w.client().Resume(t.Context(), from)
				assert.ErrorContains(t, err, c.want, name)
			}
		}
		w.put("in/moved/state.json", whole)
		_, err = w.client().Resume(t.Context(), "s3://manga/in/moved")
		require.ErrorIs(t, err, batch.ErrChanged, "it would be read here and written there")
		require.NoError(t, s.Stop(t.Context()))
	})
}

// The folder of a job that this package has not created ends without a slash, and
// there is another one whose name begins with its name.
func TestForeignFolderWithoutSlash(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var file strings.Builder
		_, err := batch.Write(&file, job("x"), questions(100))
		require.NoError(t, err)
		w.put("theirs/in.jsonl", file.String())
		api := bedrock.NewFromConfig(w.srv.Config())
		out, err := api.CreateModelInvocationJob(t.Context(), &bedrock.CreateModelInvocationJobInput{
			JobName: aws.String("theirs"), ModelId: aws.String(haiku), RoleArn: aws.String("arn:aws:iam::123456789012:role/x"),
			InputDataConfig: &types.ModelInvocationJobInputDataConfigMemberS3InputDataConfig{
				Value: types.ModelInvocationJobS3InputDataConfig{S3Uri: aws.String("s3://manga/theirs")}},
			OutputDataConfig: &types.ModelInvocationJobOutputDataConfigMemberS3OutputDataConfig{
				Value: types.ModelInvocationJobS3OutputDataConfig{S3Uri: aws.String("s3://manga/results")}},
		})
		require.NoError(t, err)
		s, err := w.client().Resume(t.Context(), *out.JobArn)
		require.NoError(t, err)
		require.NoError(t, s.Wait(t.Context()))
		w.put("theirs-not/in.jsonl", strings.ReplaceAll(file.String(), "title-", "other-"))
		results := batch.ResultsOf[anthropic.Request](s)
		assert.Len(t, all(t, results), 100)
		assert.EqualValues(t, 100, results.Stats().Succeeded)
	})
}

func TestLimitsBelowZero(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for want, limits := range map[string]batch.Limits{
			"MinRecords": {MinRecords: -1}, "MaxRecords": {MaxRecords: -1}, "MaxFileRecords": {MaxFileRecords: -1},
			"MaxFileBytes": {MaxFileBytes: -1}, "MaxJobBytes": {MaxJobBytes: -1}, "MaxJobs": {MaxJobs: -1},
		} {
			_, err := batch.Submit(t.Context(), w.client(func(o *batch.Options) { o.Limits = limits }), job("below"), questions(100))
			assert.ErrorContains(t, err, want)
		}
		_, err := batch.Submit(t.Context(), w.client(func(o *batch.Options) { o.Limits = batch.Limits{MinRecords: 10, MaxRecords: 5} }), job("below"), questions(100))
		assert.ErrorContains(t, err, "MinRecords")
	})
}

// What was a decision, to stop a job in the console, is not undone.
func TestStoppedJobIsNotSentAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("console")
		job.Retry = batch.RetryJob
		s, err := batch.Submit(t.Context(), w.client(), job, questions(300))
		require.NoError(t, err)
		arn := s.Jobs()[0].ARN
		time.Sleep(time.Hour)
		_, err = bedrock.NewFromConfig(w.srv.Config()).StopModelInvocationJob(t.Context(), &bedrock.StopModelInvocationJobInput{JobIdentifier: &arn})
		require.NoError(t, err)
		require.NoError(t, s.Wait(t.Context()))
		assert.Equal(t, 1, w.created())
		results := batch.ResultsOf[anthropic.Request](s)
		assert.Len(t, all(t, results), 300)
		assert.Positive(t, results.Stats().Missing)
	})
}

// Counts stay within the set while its missing records are sent again.
func TestProgressOfRecordsThatAreSentAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["-0001-"] = bedrocktest.BatchPlan{Queued: 22 * time.Hour, FailEvery: 7}
		job := job("again")
		job.Retry = batch.RetryJob
		s, err := batch.Submit(t.Context(), w.client(few), job, questions(10))
		require.NoError(t, err)
		var last batch.Progress
		for p, err := range s.Watch(t.Context()) {
			require.NoError(t, err)
			assert.GreaterOrEqual(t, p.Failed, int64(0))
			assert.LessOrEqual(t, p.Processed, p.Records)
			assert.Equal(t, p.Processed, p.Succeeded+p.Failed)
			last = p
		}
		assert.Len(t, last.Jobs, 2)
		assert.EqualValues(t, 10, last.Succeeded)
		assert.Zero(t, last.Failed)
		assert.Contains(t, last.Bar(4), "[####] 10/10 records, $")
	}, fewJobs)
}

// Ids and texts with line breaks, quotes and other scripts, and long lines,
// come back as they were.
func TestStrangeRecords(t *testing.T) {
	ids := []string{"a\nb", `"quoted" \ <tag>`, "ベルセルク\u2028 1", strings.Repeat("ü", 128), " ", "\r", "null"}
	text := func(id string) string { return "Volume " + id + "\n\r\n" + strings.Repeat("x", 600_000) }
	inWorld(t, func(t *testing.T, w *world) {
		results, err := batch.Run(t.Context(), w.client(few), job("strange"), func(yield func(batch.Record[anthropic.Request], error) bool) {
			for _, id := range ids {
				if !yield(batch.Record[anthropic.Request]{ID: id, Input: ask(text(id))}, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
		found := all(t, results)
		assert.Equal(t, batch.Stats{Records: 7, Succeeded: 7}, results.Stats())
		for _, id := range ids {
			require.NoError(t, found[id].Err)
			assert.Equal(t, strings.ToValidUTF8(text(id)[:50], ""), found[id].Output.Text(), "%q", id)
		}
	}, fewJobs, func(o *bedrocktest.Options) {
		o.Responder = func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Text(strings.ToValidUTF8(r.LastText()[:50], ""))
		}
	})
}
