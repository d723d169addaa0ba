package nightly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/nightly"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// night is a fake Bedrock with an S3, whose jobs take a minute, and counts the answers
// that were paid for.
func night(t *testing.T, answer bedrocktest.Responder, plan bedrocktest.BatchPlan) (*batch.Client, *atomic.Int64) {
	t.Helper()
	store, err := fakes3.Memory("manga")
	require.NoError(t, err)
	paid := &atomic.Int64{}
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.JobDuration, o.Batch.Store = true, time.Minute, store
		o.Batch.Plan = func(string) bedrocktest.BatchPlan { return plan }
		o.Responder = func(ctx context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			paid.Add(1)
			return answer(ctx, r)
		}
	})
	return batch.New(bedrock.NewFromConfig(fake.Config()), store.Client(), func(o *batch.Options) {
		o.Live = bedrockx.NewFromConfig(fake.Config(), bedrockx.Service)
	}), paid
}

// few are as many manga as a batch job needs, and some more.
func few(t *testing.T) *catalog.Catalog {
	t.Helper()
	var list []*catalog.Manga
	for m := range catalog.Default().All() {
		if list = append(list, m); len(list) == 110 {
			break
		}
	}
	data, err := json.Marshal(list)
	require.NoError(t, err)
	books, err := catalog.Load(bytes.NewReader(data))
	require.NoError(t, err)
	require.Contains(t, string(data), "MNG-ONEPIECE")
	return books
}

func options() nightly.Options {
	return nightly.Options{Day: "2026-11-30", Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Role: "arn:aws:iam::123456789012:role/batch", Bucket: "s3://manga/nightly"}
}

// Every manga is enriched and ranked, at half the price of live calls.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := few(t)
		client, paid := night(t, offline.New(books).Respond, bedrocktest.BatchPlan{})
		seen := map[string]int{}
		o := options()
		o.Progress = func(set string, p batch.Progress) { seen[set]++ }
		e, sets, err := nightly.Run(t.Context(), client, books, o)
		require.NoError(t, err)
		assert.Equal(t, "2026-11-30", e.Day)
		assert.Len(t, e.Manga, books.Len())
		assert.EqualValues(t, 2*books.Len(), paid.Load())
		onePiece := e.Manga["MNG-ONEPIECE"]
		assert.Contains(t, onePiece.SearchKeywords, "ONE PIECE")
		assert.Contains(t, onePiece.ThemeKeywords, "pirates")
		assert.Len(t, onePiece.Scores, 6)
		require.Len(t, sets, 2)
		for _, set := range sets {
			assert.NotZero(t, seen[set.Name])
			assert.Zero(t, set.Useless)
			assert.EqualValues(t, books.Len(), set.Stats.Succeeded)
			require.NotNil(t, set.Saved())
			assert.Equal(t, set.Cost.Total.String(), set.Saved().String(), "batch costs half")
			assert.Positive(t, set.Saved().Sign())
		}
		assert.Equal(t, books.Len(), books.Enrich(e), "the catalogue takes it")
	})
}

// A run that was interrupted goes on: nothing is paid for twice. A manga that gets no
// answer, or one of no use, keeps what it had.
func TestResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := few(t)
		answer := offline.New(books).Respond
		client, paid := night(t, func(ctx context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			if strings.Contains(r.LastText(), `"MNG-ONEPIECE"`) {
				return bedrocktest.ToolUse("answer", map[string]any{"scores": "many"})
			}
			return answer(ctx, r)
		}, bedrocktest.BatchPlan{FailEvery: 25})
		o := options()
		o.Before = &catalog.Enrichment{Day: "2026-11-29", Manga: map[string]catalog.Enriched{
			"MNG-ONEPIECE": {SearchKeywords: []string{"kept"}}, "MNG-GONE0000": {SearchKeywords: []string{"gone"}},
		}}
		ctx, stop := context.WithCancel(t.Context())
		o.Progress = func(string, batch.Progress) { stop() }
		_, _, err := nightly.Run(ctx, client, books, o)
		require.ErrorIs(t, err, context.Canceled)

		o.Progress = nil
		e, sets, err := nightly.Run(t.Context(), client, books, o)
		require.NoError(t, err)
		failed := sets[0].Stats.Failed + sets[1].Stats.Failed
		assert.Positive(t, failed)
		assert.LessOrEqual(t, paid.Load(), int64(2*books.Len()))
		assert.Equal(t, 2, sets[0].Useless+sets[1].Useless)
		assert.Equal(t, []string{"kept"}, e.Manga["MNG-ONEPIECE"].SearchKeywords)
		assert.NotContains(t, e.Manga, "MNG-GONE0000")
	})
}

// With Live, what has failed is sent once more.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := few(t)
		client, _ := night(t, offline.New(books).Respond, bedrocktest.BatchPlan{FailEvery: 25})
		o := options()
		o.Live = true
		e, sets, err := nightly.Run(t.Context(), client, books, o)
		require.NoError(t, err)
		assert.Zero(t, sets[0].Stats.Failed+sets[1].Stats.Failed)
		assert.Len(t, e.Manga, books.Len())
	})
}

func TestPlaces(t *testing.T) {
	store, err := fakes3.Memory("manga")
	require.NoError(t, err)
	one := &catalog.Enrichment{Day: "2026-11-29", Manga: map[string]catalog.Enriched{"MNG-ONEPIECE": {SearchKeywords: []string{"海"}}}}
	two := &catalog.Enrichment{Day: "2026-11-30", Manga: map[string]catalog.Enriched{}}
	file := filepath.Join(t.TempDir(), "enrichment.json")
	for _, text := range []string{file, "s3:manga/nightly/enrichment.json", "s3://manga/other.json"} {
		var api nightly.S3API
		if nightly.InS3(text) {
			api = store.Client()
		}
		place, err := nightly.NewPlace(text, api)
		require.NoError(t, err)
		none, tag, err := place.Load(t.Context(), "")
		require.NoError(t, err)
		assert.Nil(t, none)
		require.NoError(t, place.Save(t.Context(), one))
		got, tag, err := place.Load(t.Context(), tag)
		require.NoError(t, err)
		assert.Equal(t, one, got)
		same, tag, err := place.Load(t.Context(), tag)
		require.NoError(t, err)
		assert.Nil(t, same, "nothing has changed")
		require.NoError(t, place.Save(t.Context(), two))
		got, _, err = place.Load(t.Context(), tag)
		require.NoError(t, err)
		assert.Equal(t, two, got)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file is left")
	require.NoError(t, os.WriteFile(file, []byte(`{"manga":{"x":{}}}`), 0o600))
	place, err := nightly.NewPlace(file, nil)
	require.NoError(t, err)
	_, _, err = place.Load(t.Context(), "")
	assert.ErrorContains(t, err, `"x"`)
	_, err = nightly.NewPlace("s3:manga", nil)
	assert.EqualError(t, err, `the enrichment is "s3:manga"; it is a file, or s3:BUCKET/KEY`)
}
