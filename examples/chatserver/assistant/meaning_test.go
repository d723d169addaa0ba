package assistant

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

func TestSearchByMeaning(t *testing.T) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	require.NoError(t, err)
	defer fake.Close()
	var logged bytes.Buffer
	client := bedrockx.New(fake.Client(), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	books := catalog.Default()
	log := slog.New(slog.NewTextHandler(&logged, nil))
	index := NewIndex(client, &retrieve.Memory{})
	s := shop.New(books, ByMeaning(index, log, func(ctx context.Context) error { return Fill(ctx, index, books, log) }))
	search := func(ctx context.Context, in shop.SearchInput) shop.SearchOutput {
		out, err := s.SearchMangaCatalog(ctx, in)
		assert.NoError(t, err)
		return out
	}

	out := search(t.Context(), shop.SearchInput{Query: "One Piece"})
	assert.Equal(t, catalog.ByTitle, out.MatchedBy)
	assert.Empty(t, fake.Requests(), "nothing is embedded before it is needed")

	fake.Control(bedrockkit.OpInvokeModel, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Exception("AccessDeniedException")
	})
	out = search(t.Context(), shop.SearchInput{Query: "vampirism"})
	assert.Equal(t, catalog.ByNothing, out.MatchedBy)
	assert.NotEmpty(t, out.Hint)
	assert.Contains(t, logged.String(), "error.model=amazon.titan-embed-text-v2:0")
	assert.Contains(t, logged.String(), "error.hint=")
	assert.NotContains(t, logged.String(), "vampirism")

	// Questions that come at once embed the catalogue once.
	before := len(fake.Requests())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			out := search(t.Context(), shop.SearchInput{Query: "vampirism"})
			assert.Equal(t, catalog.ByMeaning, out.MatchedBy)
			if assert.NotEmpty(t, out.Results) {
				assert.Equal(t, "Vampire Knight", out.Results[0].English)
				assert.NotEmpty(t, out.Results[0].Reason.EN)
				assert.Equal(t, len(out.Results), out.Total)
			}
		})
	}
	wg.Wait()
	assert.Len(t, fake.Requests(), before+books.Len()+3)

	assert.Contains(t, logged.String(), "cost_usd=0.")
	assert.NotContains(t, logged.String(), "cost_usd=<nil>")

	out = search(t.Context(), shop.SearchInput{Query: "vampirism", Genre: "kodomo"})
	for _, b := range out.Results {
		assert.Equal(t, catalog.Demographic("kodomo"), b.Demographic)
	}
	out = search(t.Context(), shop.SearchInput{Query: "Who wrote The Great Gatsby?"})
	assert.Equal(t, catalog.ByNothing, out.MatchedBy)
	out = search(t.Context(), shop.SearchInput{Query: "I want a manga on swordsmanship", MaxResults: 1})
	require.Len(t, out.Results, 1)
	assert.Equal(t, "Rurouni Kenshin", out.Results[0].English)

	logged.Reset()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, catalog.ByNothing, search(ended, shop.SearchInput{Query: "vampirism"}).MatchedBy)
	assert.NotContains(t, logged.String(), "WARN", "that somebody leaves is no warning")
}
