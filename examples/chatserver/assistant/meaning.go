package assistant

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// near is how near a description must be to a question. It was chosen with the
// offline embeddings; measure it with your model and questions of your own.
const near = 0.3

// Dimensions is the length of the vectors of [NewIndex].
const Dimensions = 512

// NewIndex returns an index of the catalogue, whose vectors are in a store.
func NewIndex(client *bedrockx.Client, store retrieve.Store) *retrieve.Index {
	return retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", Dimensions), store, func(o *retrieve.Options) { o.Parallel = 8 })
}

// Fill embeds the catalogue and stores its vectors in an index, which costs a fraction
// of a cent. The log says what it cost.
func Fill(ctx context.Context, index *retrieve.Index, books *catalog.Catalog, log *slog.Logger) error {
	spent, err := index.Add(ctx, documents(books))
	if spent.Texts > 0 {
		log.Info("embedded the catalogue", "documents", spent.Texts, "cost_usd", spent.Cost)
	}
	return err
}

// ByMeaning lets the shop find manga by the meaning of a question. fill is called when
// the first question needs the index, and again if it fails; nil says that the index
// is filled.
func ByMeaning(index *retrieve.Index, log *slog.Logger, fill func(context.Context) error) func(*shop.Options) {
	filled := make(chan bool, 1) // whether the index is; taken while it is filled
	filled <- fill == nil
	ready := func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case done := <-filled:
			defer func() { filled <- done }()
			if done {
				return nil
			}
			err := fill(ctx)
			done = err == nil
			return err
		}
	}
	return func(o *shop.Options) {
		o.ByMeaning = func(ctx context.Context, text string, demographic catalog.Demographic, genre catalog.Genre, limit int) []string {
			err := ready(ctx)
			var found []retrieve.Match
			if err == nil {
				var spent retrieve.Spent
				found, spent, err = index.Search(ctx, text, func(o *retrieve.SearchOptions) {
					o.K, o.MinScore, o.Filter = limit, near, fields(demographic, genre)
				})
				log.Info("searched by meaning", "found", len(found), "cost_usd", spent.Cost)
			}
			if err != nil && ctx.Err() == nil {
				var failed *bedrockx.Error
				if errors.As(err, &failed) {
					err = failed // which logs what to do
				}
				log.Warn("cannot search by meaning", "error", err)
			}
			var ids []string
			for _, m := range found {
				ids = append(ids, m.ID)
			}
			return ids
		}
	}
}

// documents are what is embedded of the catalogue.
func documents(books *catalog.Catalog) []retrieve.Document {
	var all []retrieve.Document
	for m := range books.All() {
		lines := slices.DeleteFunc([]string{m.Title, m.Romaji, m.English, m.Description.EN, m.Description.JA}, func(s string) bool { return s == "" })
		all = append(all, retrieve.Document{ID: m.ID, Text: strings.Join(lines, "\n"), Fields: fields(m.Demographic, m.Genres...)})
	}
	return all
}

func fields(demographic catalog.Demographic, genres ...catalog.Genre) map[string][]string {
	all := map[string][]string{}
	if demographic != "" {
		all["demographic"] = []string{string(demographic)}
	}
	for _, genre := range genres {
		if genre != "" {
			all["genre"] = append(all["genre"], string(genre))
		}
	}
	return all
}
