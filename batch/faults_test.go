package batch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
)

// How users fail, one test each.

// Records are lost that are joined with their results by order.
func TestResultsInAnotherOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		results, err := batch.Run(t.Context(), w.client(), job("order"), questions(300))
		require.NoError(t, err)
		var order []string
		for r, err := range results.All(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, "You said: Who wrote volume "+strings.TrimPrefix(r.ID, "title-")+"?", r.Output.Text())
			order = append(order, r.ID)
		}
		assert.False(t, slices.IsSortedFunc(order, func(a, b string) int { return len(a) - len(b) }), "the fake keeps no order")
	})
}

// A job was created and its id lost: it is paid for, and a second one as well.
func TestAnswerOfCreateLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		cfg := w.srv.Config()
		next, lost := cfg.HTTPClient, 0
		cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
			resp, err := next.Do(r)
			if r.Method == http.MethodPost && lost < 2 && err == nil {
				lost++
				resp.Body.Close()
				return nil, io.ErrUnexpectedEOF
			}
			return resp, err
		})
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		c := batch.New(bedrock.NewFromConfig(cfg), w.store.Client())
		for range 2 {
			_, err := batch.Submit(t.Context(), c, job("lost"), questions(100))
			if err != nil {
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
		}
		_, err := batch.Run(t.Context(), c, job("lost"), questions(100))
		require.NoError(t, err)
		assert.Equal(t, 1, lost, "it was found, and not created again")
		assert.Equal(t, 1, w.created())
	})
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// A job waits for more than a day and expires.
func TestExpired(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["expired"] = bedrocktest.BatchPlan{Queued: 30 * time.Hour}
		results, err := batch.Run(t.Context(), w.client(), job("expired"), questions(100))
		require.NoError(t, err)
		found := all(t, results)
		require.Len(t, found, 100)
		for _, r := range found {
			require.ErrorIs(t, r.Err, batch.ErrMissing)
			var e *batch.JobError
			require.ErrorAs(t, r.Err, &e)
			assert.Equal(t, batch.StatusExpired, e.Status)
			assert.Equal(t, 24*time.Hour, e.Waited)
			assert.ErrorContains(t, r.Err, "Expired after 24h0m0s")
		}
		assert.EqualValues(t, 100, results.Stats().Missing)

		long := job("long")
		long.Timeout = 48 * time.Hour
		w.plans["long"] = bedrocktest.BatchPlan{Queued: 30 * time.Hour}
		results, err = batch.Run(t.Context(), w.client(), long, questions(100))
		require.NoError(t, err)
		all(t, results)
		assert.EqualValues(t, 100, results.Stats().Succeeded)
	})
}

// A set has fewer records than a job must have.
func TestTooFew(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, err := batch.Submit(t.Context(), w.client(), job("few"), questions(99))
		require.ErrorIs(t, err, batch.ErrTooFew)
		assert.ErrorContains(t, err, "100 or more")
		assert.Zero(t, w.created())
		objects, err := w.store.List(t.Context(), "manga", "in/few/files")
		require.NoError(t, err)
		assert.Empty(t, objects, "nothing was uploaded")

		_, err = batch.Submit(t.Context(), w.client(), job("none"), questions(0))
		require.ErrorIs(t, err, batch.ErrTooFew)

		live := job("live")
		live.Live = true
		_, err = batch.Submit(t.Context(), w.client(), live, questions(99))
		require.ErrorContains(t, err, "Options.Live")
		c := w.client(func(o *batch.Options) { o.Live = bedrockx.New(w.srv.Client()) })
		results, err := batch.Run(t.Context(), c, live, questions(99))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 99)
		assert.EqualValues(t, 99, results.Stats().Succeeded)
		assert.Zero(t, w.created())
		cost := results.Cost()
		require.NoError(t, cost.Err)
		assert.Equal(t, cost.Live, cost.Total, "at the price of live calls")
	})
}

// The caller may not pass the role to the service.
func TestPassRole(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.srv.Control(bedrockkit.OpCreateModelInvocationJob, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Error(403, "AccessDeniedException", "User is not authorized to perform the action")
		})
		_, err := batch.Submit(t.Context(), w.client(), job("role"), questions(100))
		require.ErrorContains(t, err, "iam:PassRole")
		var denied *types.AccessDeniedException
		require.ErrorAs(t, err, &denied)

		results, err := batch.Run(t.Context(), w.client(), job("role"), questions(100))
		require.NoError(t, err, "after the policy was corrected")
		assert.Len(t, all(t, results), 100)
	})
}

// A set mixes models, and the least number of records is that of each model.
func TestMixedModels(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, err := batch.Submit(t.Context(), w.client(), job("mixed"), func(yield func(batch.Record[batch.Converse], error) bool) {
			for i := range 200 {
				c := batch.Converse{MaxTokens: 10, Messages: []converse.Message{converse.User("Hello.")}}
				if i == 150 {
					c.Model = "us.amazon.nova-lite-v1:0"
				}
				if !yield(batch.Record[batch.Converse]{Input: c}, nil) {
					return
				}
			}
		})
		var refused *batch.RefusedError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 151, refused.Line)
		assert.ErrorContains(t, err, "a job has one model")
		assert.Zero(t, w.created())
	})
}

// A model spends its tokens on reasoning and says nothing.
func TestCutByReasoning(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		results, err := batch.Run(t.Context(), w.client(), job("cut"), func(yield func(batch.Record[batch.Converse], error) bool) {
			for range 100 {
				if !yield(batch.Record[batch.Converse]{Input: batch.Converse{MaxTokens: 5, Messages: []converse.Message{converse.User("Why?")}}}, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
		for r, err := range results.All(t.Context()) {
			require.NoError(t, err)
			require.ErrorIs(t, r.Err, batch.ErrCut)
			assert.NotNil(t, r.Output, "what there is of it")
			assert.Equal(t, bedrockkit.StopMaxTokens, r.StopReason)
		}
	}, func(o *bedrocktest.Options) {
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.NewReply().Reasoning("I wonder what the reader may have meant by that.").Text("Because.")
		}
	})
}

// A rule of EventBridge has another detail-type, or a status in capitals.
func TestParseEvent(t *testing.T) {
	const sample = `{"version":"0","id":"a1","detail-type":"Batch Inference Job State Change","source":"aws.bedrock","account":"123456789012",
		"time":"Wed Aug 28 22:58:30 UTC 2024","region":"us-east-1","resources":["arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"],
		"detail":{"version":"0.0","accountId":"123456789012","batchJobName":"dj-1","batchJobArn":"arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl",
		"batchModelId":"anthropic.claude-3-sonnet-20240229-v1:0","status":"Failed","failureMessage":"","creationTime":"Aug 28, 2024, 10:47:53 PM"}}`
	e, err := batch.ParseEvent([]byte(sample))
	require.NoError(t, err)
	assert.Equal(t, batch.StatusFailed, e.Status)
	assert.Equal(t, "dj-1", e.JobName)
	for old, wrong := range map[string]string{
		`"status":"Failed"`:                `"status":"COMPLETED"`,
		`Batch Inference Job State Change`: `Model Invocation Job State Change`,
		`aws.bedrock`:                      `aws.s3`,
		`"batchJobArn":"arn:`:              `"batchJobArn":"`,
		`"version":"0"`:                    `version`,
	} {
		_, err := batch.ParseEvent([]byte(strings.ReplaceAll(sample, old, wrong)))
		assert.Error(t, err, wrong)
	}
}

// What else can go wrong with a job and its output.

func TestFailedMissingAndDoubledRecords(t *testing.T) {
	for name, plan := range map[string]bedrocktest.BatchPlan{
		"numbers": {FailEvery: 10, DropEvery: 7, DuplicateEvery: 9},
		"names":   {FailEvery: 10, DropEvery: 7, DuplicateEvery: 9, StringCodes: true, NoManifest: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.plans["ills"] = plan
				results, err := batch.Run(t.Context(), w.client(), job("ills"), questions(200))
				require.NoError(t, err)
				failed, missing := 0, 0
				for _, r := range all(t, results) {
					switch {
					case errors.Is(r.Err, batch.ErrMissing):
						missing++
					case r.Err != nil:
						failed++
						require.ErrorIs(t, r.Err, bedrockx.ErrInternal)
						var e *batch.RecordError
						require.ErrorAs(t, r.Err, &e)
						assert.True(t, e.Retryable())
						assert.Equal(t, "The model has failed.", e.Message)
					}
				}
				assert.Equal(t, 200/7, missing)
				assert.Equal(t, 200/10-200/70, failed)
				stats := results.Stats()
				assert.EqualValues(t, 200, stats.Records)
				assert.EqualValues(t, 200/9-200/63, stats.Duplicated)
				cost := results.Cost()
				require.NoError(t, cost.Err)
				assert.Positive(t, cost.Total.Sign())
			})
		})
	}
}

func TestTruncatedOutput(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["torn"] = bedrocktest.BatchPlan{Truncate: 700}
		results, err := batch.Run(t.Context(), w.client(), job("torn"), questions(100))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 100, "no record is lost silently")
		stats := results.Stats()
		assert.EqualValues(t, 1, stats.Unreadable)
		assert.Positive(t, stats.Missing)
		assert.EqualValues(t, 100, stats.Missing+stats.Succeeded)
	})
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		how      batch.Retry
		live     bool
		jobs     int
		stays    int64 // failed or missing
		fewLimit bool
	}{
		"none":               {how: batch.RetryNone, jobs: 1, stays: 15},
		"job":                {how: batch.RetryJob, jobs: 2, fewLimit: true},
		"job, too few":       {how: batch.RetryJob, jobs: 1, stays: 15},
		"job, too few: live": {how: batch.RetryJob, live: true, jobs: 1},
		"live":               {how: batch.RetryLive, jobs: 1, fewLimit: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.plans["-0001-"] = bedrocktest.BatchPlan{FailEvery: 10, DropEvery: 19} // 10 and 5
				job := job("retry")
				job.Retry, job.Live = c.how, c.live
				client := w.client(func(o *batch.Options) {
					o.Live = bedrockx.New(w.srv.Client())
					if c.fewLimit {
						o.Limits.MinRecords = 2
					}
				})
				results, err := batch.Run(t.Context(), client, job, questions(100))
				require.NoError(t, err)
				assert.Len(t, all(t, results), 100)
				stats := results.Stats()
				assert.Equal(t, c.stays, stats.Failed+stats.Missing)
				assert.Equal(t, 100-c.stays, stats.Succeeded)
				assert.Equal(t, c.jobs, w.created())
				asked := len(w.srv.Requests())
				_, err = batch.Run(t.Context(), client, job, questions(100))
				require.NoError(t, err)
				for _, r := range w.srv.Requests()[asked:] {
					assert.Contains(t, []bedrockkit.Operation{bedrockkit.OpGetModelInvocationJob}, r.Op, "never twice")
				}
			}, func(o *bedrocktest.Options) {
				if c.fewLimit {
					o.Batch.MinRecords = 2
				}
			})
		})
	}
}

// A request that is wrong is not sent again.
func TestWrongRequestIsNotRetried(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("wrong")
		job.Retry = batch.RetryLive
		c := w.client(func(o *batch.Options) { o.Live = bedrockx.New(w.srv.Client()) })
		results, err := batch.Run(t.Context(), c, job, questions(100))
		require.NoError(t, err)
		for _, r := range all(t, results) {
			require.ErrorIs(t, r.Err, bedrockx.ErrValidation)
		}
		for _, r := range w.srv.Requests() {
			assert.NotEqual(t, bedrockkit.OpInvokeModel, r.Op)
		}
	}, func(o *bedrocktest.Options) {
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Error(400, "ValidationException", "Malformed input request")
		}
	})
}

func TestFailedJob(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["fails"] = bedrocktest.BatchPlan{Fail: "The role has no access to the input."}
		results, err := batch.Run(t.Context(), w.client(), job("fails"), questions(100))
		require.NoError(t, err)
		for _, r := range all(t, results) {
			require.ErrorIs(t, r.Err, batch.ErrMissing)
			assert.ErrorContains(t, r.Err, "The role has no access")
		}
	})
}

func TestPartiallyCompleted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.plans["part"] = bedrocktest.BatchPlan{Queued: 22 * time.Hour}
		results, err := batch.Run(t.Context(), w.client(), job("part"), questions(100))
		require.NoError(t, err)
		all(t, results)
		stats := results.Stats()
		assert.Positive(t, stats.Succeeded)
		assert.Positive(t, stats.Missing)
		assert.EqualValues(t, 100, stats.Succeeded+stats.Missing)
		cost := results.Cost()
		require.NoError(t, cost.Err)
		assert.Positive(t, cost.Total.Sign(), "what was done is paid for")
	})
}

func TestStop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client(few, func(o *batch.Options) { o.Limits.MaxJobs = 2 })
		s, err := batch.Submit(t.Context(), c, job("stopped"), questions(35))
		require.NoError(t, err)
		time.Sleep(3 * time.Hour)
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Stop(t.Context()), "again")
		require.NoError(t, s.Wait(t.Context()))
		results := batch.ResultsOf[anthropic.Request](s)
		assert.Len(t, all(t, results), 35)
		assert.Positive(t, results.Stats().Succeeded)
		assert.Equal(t, 2, w.created(), "no job is created any more")
		for _, j := range s.Jobs() {
			assert.Equal(t, batch.StatusStopped, j.Status)
		}

		s, err = batch.Submit(t.Context(), c, job("ended"), questions(10))
		require.NoError(t, err)
		time.Sleep(5 * time.Hour)
		require.NoError(t, s.Stop(t.Context()), "a job that has ended cannot be stopped, and need not be")
		require.NoError(t, s.Wait(t.Context()))
		results = batch.ResultsOf[anthropic.Request](s)
		all(t, results)
		assert.EqualValues(t, 10, results.Stats().Succeeded)
	}, fewJobs)
}

// Whoever comes later goes on: from S3, from the state file, from a job's ARN.
func TestResume(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("resumed")
		job.StateFile = t.TempDir() + "/state.json"
		s, err := batch.Submit(t.Context(), w.client(few), job, questions(25))
		require.NoError(t, err)
		for name, from := range map[string]string{
			"S3": s.URI(), "S3, the state": s.URI() + "/state.json", "file": job.StateFile, "ARN": s.Jobs()[1].ARN,
		} {
			resumed, err := w.client(few).Resume(t.Context(), from)
			require.NoError(t, err, name)
			require.NoError(t, resumed.Wait(t.Context()), name)
			results := batch.ResultsOf[anthropic.Request](resumed)
			assert.Len(t, all(t, results), 25, name)
			assert.EqualValues(t, 25, results.Stats().Succeeded, name)
		}
		assert.Equal(t, 3, w.created())

		_, err = w.client().Resume(t.Context(), "s3://manga/in/nothing")
		require.ErrorIs(t, err, batch.ErrNotFound)
		_, err = w.client().Resume(t.Context(), t.TempDir()+"/nothing.json")
		require.ErrorIs(t, err, batch.ErrNotFound)
	}, fewJobs)
}

// A job that somebody else has created, records without ids included.
func TestResumeForeignJob(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		store := w.store.Client()
		var file strings.Builder
		for i := range 100 {
			fmt.Fprintf(&file, `{"modelInput":{"anthropic_version":"bedrock-2023-05-31","max_tokens":50,"messages":[{"role":"user","content":"Volume %d"}]}}`+"\n", i)
		}
		_, err := store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("manga"), Key: aws.String("theirs/in.jsonl"), Body: strings.NewReader(file.String())})
		require.NoError(t, err)
		out, err := bedrock.NewFromConfig(w.srv.Config()).CreateModelInvocationJob(t.Context(), &bedrock.CreateModelInvocationJobInput{
			JobName: aws.String("theirs"), ModelId: aws.String(haiku), RoleArn: aws.String("arn:aws:iam::123456789012:role/x"),
			InputDataConfig: &types.ModelInvocationJobInputDataConfigMemberS3InputDataConfig{
				Value: types.ModelInvocationJobS3InputDataConfig{S3Uri: aws.String("s3://manga/theirs/in.jsonl")}},
			OutputDataConfig: &types.ModelInvocationJobOutputDataConfigMemberS3OutputDataConfig{
				Value: types.ModelInvocationJobS3OutputDataConfig{S3Uri: aws.String("s3://manga/results/")}},
		})
		require.NoError(t, err)
		s, err := w.client().Resume(t.Context(), *out.JobArn)
		require.NoError(t, err)
		require.NoError(t, s.Wait(t.Context()))
		results := batch.ResultsOf[anthropic.Request](s)
		found := all(t, results)
		assert.Len(t, found, 100)
		assert.EqualValues(t, 100, results.Stats().Succeeded)
		objects, err := w.store.List(t.Context(), "manga", "theirs/")
		require.NoError(t, err)
		assert.Len(t, objects, 1, "nothing is written beside it")
	})
}

func TestAnotherProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, err := batch.Submit(t.Context(), w.client(), job("two"), questions(100))
		require.NoError(t, err)
		two, err := w.client().Resume(t.Context(), one.URI())
		require.NoError(t, err)
		require.NoError(t, two.Wait(t.Context()))
		require.ErrorIs(t, one.Wait(t.Context()), batch.ErrConflict)

		changed := job("two")
		changed.Model = "us.amazon.nova-lite-v1:0"
		_, err = batch.Submit(t.Context(), w.client(), changed, questions(100))
		require.ErrorIs(t, err, batch.ErrChanged)
	})
}

// The service ignores a token that it knows, and says nothing.
func TestTokenOfAnotherJob(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var arn string
		w.srv.Control(bedrockkit.OpCreateModelInvocationJob, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			if arn == "" {
				return nil
			}
			return bedrocktest.Body(200, "application/json", []byte(`{"jobArn":"`+arn+`"}`))
		}).Keep()
		s, err := batch.Submit(t.Context(), w.client(), job("first"), questions(100))
		require.NoError(t, err)
		arn = s.Jobs()[0].ARN
		_, err = batch.Submit(t.Context(), w.client(), job("second"), questions(100))
		require.ErrorIs(t, err, batch.ErrForeignJob)
	})
}

// Throttling and the account's quota make a set wait; the second one is told.
func TestNoRoom(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.srv.Control(bedrockkit.OpCreateModelInvocationJob, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Throttle() })
		s, err := batch.Submit(t.Context(), w.client(few), job("room"), questions(40))
		require.NoError(t, err)
		held := 0
		for p, err := range s.Watch(t.Context()) {
			require.NoError(t, err)
			if p.Held != nil {
				held++
				var quota *types.ServiceQuotaExceededException
				assert.ErrorAs(t, p.Held, &quota)
			}
		}
		assert.Positive(t, held)
		results := batch.ResultsOf[anthropic.Request](s)
		assert.Len(t, all(t, results), 40)
	}, fewJobs, func(o *bedrocktest.Options) { o.Batch.MaxJobs = 1 })
}

func TestModelWithoutBatch(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("model")
		for model, want := range map[bedrockkit.ModelID]string{
			"us.anthropic.claude-opus-5-5":                                          "anthropic.claude-sonnet-4-6",
			"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl": "provisioned",
			"anthropic.claude-haiku-4-5-20251001-v1:0":                              "inference profile",
		} {
			job.Model = model
			_, err := batch.Submit(t.Context(), w.client(), job, questions(100))
			require.ErrorContains(t, err, want)
		}
		assert.Empty(t, w.srv.Requests())
		objects, err := w.store.List(t.Context(), "manga", "")
		require.NoError(t, err)
		assert.Empty(t, objects, "nothing was uploaded")
	})
}

func TestMaxCost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		job := job("cost")
		plan, err := batch.Estimate(t.Context(), w.client(), job, questions(100))
		require.NoError(t, err)
		require.NoError(t, plan.CostErr)
		assert.Equal(t, plan.Live.String(), plan.Expected.Mul(2).String())
		assert.Equal(t, 1, plan.Bound.Cmp(*plan.Expected))
		less := plan.Bound.Sub(*mustAmount(t, "0.000001"))
		job.MaxCost = &less
		_, err = batch.Submit(t.Context(), w.client(), job, questions(100))
		require.ErrorIs(t, err, batch.ErrBudget)
		assert.Zero(t, w.created())
		job.MaxCost = plan.Bound
		s, err := batch.Submit(t.Context(), w.client(), job, questions(100))
		require.NoError(t, err)
		submitted := s.Plan()
		assert.Equal(t, plan, submitted, "Estimate says what Submit does")
	})
}

func mustAmount(t *testing.T, s string) *pricing.Amount {
	a, err := pricing.ParseAmount(s)
	require.NoError(t, err)
	return &a
}

// What is refused is told with its line, and may be left out.
func TestRefused(t *testing.T) {
	cached := ask("Hello.")
	cached.System = anthropic.Blocks{{Type: "text", Text: "Be brief.", CacheControl: anthropic.Cache("")}}
	for name, c := range map[string]struct {
		input anthropic.Request
		id    string
		want  string
	}{
		"no max tokens":  {anthropic.Request{Messages: []anthropic.Message{anthropic.User("Hi.")}}, "x", "max"},
		"prompt caching": {cached, "x", "prompt caching"},
		"id taken":       {ask("Hi."), "title-3", "the same id"},
		"long id":        {ask("Hi."), strings.Repeat("x", 257), "256"},
		"broken id":      {ask("Hi."), "\xff", "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				records := func(yield func(batch.Record[anthropic.Request], error) bool) {
					for r := range questions(100) {
						if !yield(r, nil) {
							return
						}
					}
					yield(batch.Record[anthropic.Request]{ID: c.id, Input: c.input}, nil)
				}
				_, err := batch.Submit(t.Context(), w.client(), job("strict"), records)
				var refused *batch.RefusedError
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, 101, refused.Line)
				assert.ErrorContains(t, err, c.want)
				assert.Zero(t, w.created())

				lenient := job("lenient")
				lenient.MaxRefused = 1
				results, err := batch.Run(t.Context(), w.client(), lenient, records)
				require.NoError(t, err)
				stats, told := 0, 0
				for r, err := range results.All(t.Context()) {
					require.NoError(t, err)
					if errors.As(r.Err, &refused) {
						told++
						assert.Equal(t, 101, refused.Line)
					} else {
						stats++
						require.NoError(t, r.Err)
					}
				}
				assert.Equal(t, []int{100, 1}, []int{stats, told})

				plan, err := batch.Estimate(t.Context(), w.client(), job("plan"), records)
				require.NoError(t, err)
				assert.Equal(t, 1, plan.Refused)
				require.Len(t, plan.RefusedRecords, 1)
			})
		})
	}
}

// What batch inference takes in InvokeModel bodies and not in Converse records, or
// only perhaps.
func TestRefusedConverse(t *testing.T) {
	hello := []converse.Message{converse.User("Hello.")}
	for name, c := range map[string]struct {
		input batch.Converse
		want  string
	}{
		"tools":      {batch.Converse{MaxTokens: 9, Messages: hello, Tools: []converse.ToolSpec{{Name: "x", InputSchema: []byte(`{"type":"object"}`)}}}, "tools"},
		"cache":      {batch.Converse{MaxTokens: 9, Messages: []converse.Message{converse.UserContent(converse.Text("Hi."), converse.CachePoint{})}}, "prompt caching"},
		"structured": {batch.Converse{MaxTokens: 9, Messages: hello, OutputFormat: &converse.OutputFormat{Name: "x", Schema: []byte(`{"type":"object","additionalProperties":false}`)}}, "StructuredOutput"},
		"media":      {batch.Converse{MaxTokens: 9, Messages: []converse.Message{converse.UserContent(converse.Text("What is it?"), converse.Image{Format: "png", S3URI: "s3://manga/a.png"})}}, "inline"},
		"preflight":  {batch.Converse{MaxTokens: 9}, "messages"},
	} {
		t.Run(name, func(t *testing.T) {
			job := job("x")
			if name == "media" {
				job.Model = "us.amazon.nova-lite-v1:0"
			}
			_, err := batch.Write(io.Discard, job, func(yield func(batch.Record[batch.Converse], error) bool) {
				yield(batch.Record[batch.Converse]{Input: c.input}, nil)
			})
			var refused *batch.RefusedError
			require.ErrorAs(t, err, &refused)
			assert.ErrorContains(t, err, c.want)
		})
	}
	// A text about caching is a text.
	_, err := batch.Write(io.Discard, job("x"), func(yield func(batch.Record[batch.Converse], error) bool) {
		yield(batch.Record[batch.Converse]{Input: batch.Converse{MaxTokens: 9, Messages: []converse.Message{converse.User(`{"cachePoint":{"type":"default"}}`)}}}, nil)
	})
	require.NoError(t, err)
}

func TestInvalidJobs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for want, change := range map[string]func(*batch.Job){
			"Job.Name":       func(j *batch.Job) { j.Name = "under_score" },
			"ends with none": func(j *batch.Job) { j.Name = "hyphen-" },
			"Job.Role":       func(j *batch.Job) { j.Role = "batch" },
			"Job.Input":      func(j *batch.Job) { j.Input = "manga/in" },
			"Job.Output":     func(j *batch.Job) { j.Output = "s3://" },
			"Job.Timeout":    func(j *batch.Job) { j.Timeout = time.Hour },
			"24 h to 168 h":  func(j *batch.Job) { j.Timeout = 169 * time.Hour },
			"Job.MaxRefused": func(j *batch.Job) { j.MaxRefused = 1001 },
			"Job.Retry":      func(j *batch.Job) { j.Retry = "always" },
			"VPC":            func(j *batch.Job) { j.Subnets = []string{"subnet-1"} },
			"model id":       func(j *batch.Job) { j.Model = "" },
		} {
			job := job("x")
			change(&job)
			_, err := batch.Submit(t.Context(), w.client(), job, questions(100))
			assert.ErrorContains(t, err, want)
		}
		assert.Empty(t, w.srv.Requests())
	})
}

// The records' own error ends a set, which can be submitted again.
func TestErrorOfRecords(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		broken := errors.New("the database is gone")
		_, err := batch.Submit(t.Context(), w.client(), job("source"), func(yield func(batch.Record[anthropic.Request], error) bool) {
			for r := range questions(150) {
				if !yield(r, nil) {
					return
				}
			}
			yield(batch.Record[anthropic.Request]{}, broken)
		})
		require.ErrorIs(t, err, broken)
		assert.ErrorContains(t, err, "record 151")
		_, err = w.client().Resume(t.Context(), "s3://manga/in/source")
		require.ErrorIs(t, err, batch.ErrNotWritten)
		results, err := batch.Run(t.Context(), w.client(), job("source"), questions(120))
		require.NoError(t, err)
		assert.Len(t, all(t, results), 120, "nothing of the first attempt is in the job's folder")
	})
}

func TestNotify(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client(func(o *batch.Options) { o.MinDelay, o.MaxDelay = 100*time.Hour, 100*time.Hour })
		s, err := batch.Submit(t.Context(), c, job("event"), questions(100))
		require.NoError(t, err)
		began := time.Now()
		go func() {
			time.Sleep(5 * time.Hour)
			s.Notify(batch.Event{JobARN: "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/another"})
			s.Notify(batch.Event{JobARN: s.Jobs()[0].ARN, Status: batch.StatusCompleted})
		}()
		require.NoError(t, s.Wait(t.Context()))
		assert.Equal(t, 5*time.Hour, time.Since(began))
	})
}

func TestProgress(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client(func(o *batch.Options) { o.MinDelay, o.MaxDelay = time.Hour, time.Hour })
		s, err := batch.Submit(t.Context(), c, job("bar"), questions(1000))
		require.NoError(t, err)
		var seen []batch.Progress
		for p, err := range s.Watch(t.Context()) {
			require.NoError(t, err)
			seen = append(seen, p)
		}
		last := seen[len(seen)-1]
		assert.True(t, last.Done)
		assert.EqualValues(t, 1000, last.Processed)
		assert.False(t, last.Estimated)
		assert.Contains(t, last.Bar(10), "[##########] 1000/1000 records, $")
		middle := seen[len(seen)/2]
		assert.True(t, middle.Estimated)
		assert.Positive(t, middle.Left)
		assert.InDelta(t, (4 * time.Hour).Seconds(), (middle.Elapsed + middle.Left).Seconds(), 3600)
		assert.Equal(t, middle.LiveCost.String(), middle.Cost.Mul(2).String())
	})
	assert.Equal(t, "[.....] 0/0 records", batch.Progress{}.Bar(5))
}

func TestWatchEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, err := batch.Submit(t.Context(), w.client(), job("ends"), questions(100))
		require.NoError(t, err)
		for _, err := range batch.ResultsOf[anthropic.Request](s).All(t.Context()) {
			require.ErrorIs(t, err, batch.ErrRunning)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, s.Wait(ctx), context.DeadlineExceeded)
		for range s.Watch(t.Context()) {
			break
		}
		w.srv.Control(bedrockkit.OpGetModelInvocationJob, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Error(500, "InternalServerException", "down")
		}).Keep()
		require.ErrorContains(t, s.Wait(t.Context()), "InternalServerException", "it does not look for ever")
	})
}
