package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

func batchOf(kinds ...string) rest.Batch {
	b := rest.Batch{Priority: "low"}
	for _, kind := range kinds {
		b.Items = append(b.Items, rest.Item{MangaID: "MNG-ONEPIECE", AnalysisType: kind})
	}
	return b
}

func TestRecent(t *testing.T) {
	s, _ := start(t, nil)
	none, err := s.Recent(t.Context(), 10)
	require.NoError(t, err)
	assert.Empty(t, none)
	first, err := s.Submit(t.Context(), batchOf(jobs.ReadingLevel, jobs.GenreClassification))
	require.NoError(t, err)
	second, err := s.Submit(t.Context(), batchOf(jobs.SimilarSeries))
	require.NoError(t, err)
	for _, id := range slices.Concat(first, second) {
		wait(t, s, id)
	}
	list, err := s.Recent(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, list, 2, "the newest, as many as asked for")
	assert.Equal(t, second[0], list[0].RequestID)
	assert.Equal(t, first[1], list[1].RequestID, "the last of a batch comes first")
	assert.NotEqual(t, list[0].BatchID, list[1].BatchID)
	got := list[0]
	assert.Equal(t, []string{jobs.SimilarSeries, "MNG-ONEPIECE", "One Piece", "low", "completed"}, []string{got.AnalysisType, got.MangaID, got.Title, got.Priority, got.State})
	assert.Nil(t, got.Result, "a list has no results")
	assert.NotNil(t, got.Cost)

	other, err := s.Recent(as(t, "somebody else"), 10)
	require.NoError(t, err)
	assert.Empty(t, other)
	_, err = s.Status(as(t, "somebody else"), first[0])
	assert.ErrorIs(t, err, rest.ErrNotFound)
}

// Watch yields what is there, each change, and a sign of life; it ends when the
// server stops.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fake := start(t, nil)
		fake.Reply(bedrocktest.Text("no").Delay(10 * time.Second)) // does not fit, and is asked again
		ids, err := s.Submit(t.Context(), batchOf(jobs.ReadingLevel))
		require.NoError(t, err)
		var seen []string
		for status, err := range s.Watch(t.Context(), 5) {
			require.NoError(t, err)
			seen = append(seen, status.State)
			if status.State == "" {
				break
			}
			assert.Equal(t, ids[0], status.RequestID)
		}
		assert.Equal(t, []string{"processing", "completed", ""}, seen[max(0, len(seen)-3):])

		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range s.Watch(t.Context(), 5) {
			}
		}()
		synctest.Wait()
		s.HangUp()
		<-ended
	})
}

func TestMemoryIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { testIndex(t, jobs.NewMemoryIndex(), time.Sleep) })
}

// testIndex checks an [jobs.Index]; sleep lets time pass for it, unless it is nil.
func testIndex(t *testing.T, index jobs.Index, sleep func(time.Duration)) {
	ctx := t.Context()
	list := func(name string, limit int) []string {
		names, err := index.List(ctx, name, limit)
		require.NoError(t, err)
		return names
	}
	assert.Empty(t, list("a", 5))
	require.NoError(t, index.Add(ctx, "a", "1", "2"))
	require.NoError(t, index.Add(ctx, "a", "3", "1", "3"))
	assert.Equal(t, []string{"3", "2", "1"}, list("a", 5), "the newest first, each once")
	assert.Equal(t, []string{"3", "2"}, list("a", 2))
	assert.Empty(t, list("b", 5))
	var many []string
	for i := range jobs.MaxList + 50 {
		many = append(many, fmt.Sprint("m", i))
	}
	require.NoError(t, index.Add(ctx, "b", many...))
	full := list("b", 2*jobs.MaxList)
	assert.Len(t, full, jobs.MaxList)
	assert.Equal(t, many[len(many)-1], full[0])

	// Many at once lose nothing.
	done := make(chan error)
	for i := range 8 {
		go func() { done <- index.Add(ctx, "c", fmt.Sprint("x", i)) }()
	}
	for range 8 {
		require.NoError(t, <-done)
	}
	assert.Len(t, list("c", 100), 8)
	over, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, index.Add(over, "d", "1"), context.Canceled)
	if sleep != nil {
		sleep(jobs.Retention - time.Hour)
		require.NoError(t, index.Add(ctx, "a", "4"))
		sleep(2 * time.Hour)
		assert.Empty(t, list("c", 5))
		assert.Equal(t, []string{"4", "3", "2", "1"}, list("a", 5))
	}
}
