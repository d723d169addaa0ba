package jobs_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a service with an offline model.
func start(t *testing.T, change func(*jobs.Backend)) (*jobs.Service, *bedrocktest.Server) {
	t.Helper()
	books := catalog.Default()
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Responder, o.InProcess = offline.New(books).Respond, true })
	return startOn(t, fake, change, nil), fake
}

// send sends a message to the queue of low priority, past the producer.
func send(t *testing.T, b jobs.Backend, body string) {
	t.Helper()
	queue, err := b.SQS.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &b.Queues.Low})
	require.NoError(t, err)
	out, err := b.SQS.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl, Entries: []types.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: &body}}})
	require.NoError(t, err)
	require.Empty(t, out.Failed)
}

// as is the context of a request of a caller.
func as(t *testing.T, caller string) context.Context {
	return auth.WithCaller(t.Context(), auth.Caller{ID: caller})
}

// wait asks for the status until the job has ended.
func wait(t *testing.T, s *jobs.Service, id string) rest.Status {
	t.Helper()
	var status rest.Status
	require.Eventually(t, func() bool {
		var err error
		status, err = s.Status(t.Context(), id)
		require.NoError(t, err)
		return !status.CompletedAt.IsZero()
	}, 30*time.Second, 5*time.Millisecond)
	return status
}

// Each of the five analyses gives a value of its type, with what it cost.
func TestAnalyses(t *testing.T) {
	s, _ := start(t, nil)
	batch := rest.Batch{Priority: "high"}
	types := []string{jobs.GenreClassification, jobs.ContentSummary, jobs.SimilarSeries, jobs.ReadingLevel, jobs.FullEnrichment}
	for _, kind := range types {
		batch.Items = append(batch.Items, rest.Item{MangaID: "MNG-ONEPIECE", AnalysisType: kind})
	}
	ids, err := s.Submit(t.Context(), batch)
	require.NoError(t, err)
	require.Len(t, ids, 5)
	var genres jobs.Genres
	var summary jobs.Summary
	var similar jobs.Similar
	var level jobs.Level
	var all jobs.Enrichment
	for i, into := range []any{&genres, &summary, &similar, &level, &all} {
		status := wait(t, s, ids[i])
		require.Equal(t, "completed", status.State, "%s: %s", types[i], status.Error)
		assert.Equal(t, ids[i], status.RequestID)
		assert.Equal(t, 1, status.Attempts)
		require.NotNil(t, status.Cost)
		assert.False(t, status.Cost.IsZero())
		require.NoError(t, json.Unmarshal(status.Result, into), "%s", status.Result)
	}
	assert.Equal(t, jobs.Genres{GenreTags: []string{"action", "adventure", "fantasy", "comedy", "pirates", "friendship"}, TargetDemographic: "shonen"}, genres)
	assert.Contains(t, summary.Japanese, "ルフィ")
	assert.Len(t, similar.Series, 5)
	assert.Equal(t, jobs.Level{ReadingLevel: "easy", MinimumAge: 10, ContentWarnings: []string{}}, level)
	assert.Equal(t, genres, all.Genres)
	assert.Equal(t, summary, all.Summary)
	assert.Contains(t, all.SearchKeywords, "ONE PIECE")
}

func TestRefused(t *testing.T) {
	s, fake := start(t, nil)
	_, err := s.Submit(t.Context(), rest.Batch{Priority: "low", CallbackURL: "https://shop.example/done", Items: []rest.Item{
		{MangaID: "MNG-ONEPIECE", AnalysisType: jobs.ReadingLevel}, {MangaID: "MNG-ZZZZZZZZ", AnalysisType: jobs.ReadingLevel},
	}})
	var invalid *rest.InvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []rest.Detail{
		{Path: "/items/1/manga_id", Message: "the catalogue has no such manga", Validator: "exists"},
		{Path: "/callback_url", Message: "this server calls nobody back; ask for the status instead", Validator: "callback"},
	}, invalid.Details)
	_, err = s.Status(t.Context(), "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11")
	require.ErrorIs(t, err, rest.ErrNotFound)
	assert.Empty(t, fake.Requests())
}

// told keeps the ends of jobs.
type told struct{ ends chan asyncq.Notification }

func (n told) Notify(_ context.Context, e asyncq.Notification) error {
	if e.CallbackURL != "" {
		n.ends <- e
	}
	return nil
}

// A callback is told the end, a failed job its reason in words for a client.
func TestEnds(t *testing.T) {
	n := told{make(chan asyncq.Notification, 2)}
	s, fake := start(t, func(b *jobs.Backend) { b.Notifier, b.Callbacks = n, &asyncq.CallbackPolicy{} })
	fake.Reply(bedrocktest.Error(400, "ValidationException", "arn:aws:secret"))
	ids, err := s.Submit(t.Context(), rest.Batch{Priority: "normal", CallbackURL: "https://shop.example/done", Items: []rest.Item{{MangaID: "MNG-ONEPIECE", AnalysisType: jobs.ReadingLevel}}})
	require.NoError(t, err)
	status := wait(t, s, ids[0])
	assert.Equal(t, "failed", status.State)
	assert.Equal(t, "The model cannot take this analysis. A shorter additional_context may help.", status.Error)
	assert.Nil(t, status.Result)
	assert.Equal(t, "https://shop.example/done", (<-n.ends).CallbackURL)

	_, err = s.Submit(t.Context(), rest.Batch{Priority: "normal", CallbackURL: "https://127.0.0.1/done", Items: []rest.Item{{MangaID: "MNG-ONEPIECE", AnalysisType: jobs.ReadingLevel}}})
	var invalid *rest.InvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "/callback_url", invalid.Details[0].Path)
}

// A job for which the dollars of the day do not do says so: submitted again it would
// fail again.
func TestBudgetOfAJob(t *testing.T) {
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.Responder, o.InProcess = offline.New(catalog.Default()).Respond, true
	})
	limit, err := pricing.ParseAmount("0.000001")
	require.NoError(t, err)
	limits := auth.NewLimits(func(o *auth.LimitOptions) { o.Daily = limit })
	chat := converse.New(bedrockx.New(fake.Client(), bedrockx.Service, limits.Spend), func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
	synctest.Test(t, func(t *testing.T) {
		backend, err := jobs.InProcess(t.Context())
		require.NoError(t, err)
		s, err := jobs.New(chat, catalog.Default(), backend, func(o *jobs.Options) { o.Log = slog.New(slog.DiscardHandler) })
		require.NoError(t, err)
		ctx, stop := context.WithCancel(as(t, "key-1"))
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		ids, err := s.Submit(ctx, rest.Batch{Priority: "high", Items: []rest.Item{{MangaID: "MNG-ONEPIECE", AnalysisType: jobs.ReadingLevel}}})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		status, err := s.Status(ctx, ids[0])
		require.NoError(t, err)
		assert.Equal(t, "failed", status.State)
		assert.Equal(t, "Too little is left of what may be spent today. Submit it again after 00:00 UTC.", status.Error)
		stop()
		require.NoError(t, <-ended)
	})
	assert.Empty(t, fake.Requests())
}

// Queues in memory have a bound: a caller that submits faster than the worker works
// does not take all memory.
func TestQueuesInMemoryAreBounded(t *testing.T) {
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	backend, err := jobs.InProcess(t.Context())
	require.NoError(t, err)
	s, err := jobs.New(converse.New(bedrockx.New(fake.Client())), catalog.Default(), backend) // nobody works
	require.NoError(t, err)
	batch := rest.Batch{Priority: "low"}
	for range 100 {
		batch.Items = append(batch.Items, rest.Item{MangaID: "MNG-ONEPIECE", AnalysisType: jobs.ReadingLevel})
	}
	accepted := 0
	for ; accepted < 50; accepted++ {
		if _, err = s.Submit(as(t, "key-1"), batch); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "wait in memory")
	assert.Equal(t, 20, accepted)
	_, err = s.Summarize(as(t, "key-1"), "")
	require.ErrorContains(t, err, "wait in memory")
	list, err := s.Recent(as(t, "key-2"), 10)
	require.NoError(t, err)
	assert.Empty(t, list)
}
