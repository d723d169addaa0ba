package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// Load fills the stores that the settings name with what is embedded in the program:
// the table of products, and the vectors of the search by meaning, which it makes
// first. What is there already is replaced.
func Load(ctx context.Context, s Settings, log *slog.Logger) error {
	if err := s.Check(); err != nil {
		return err
	}
	b := &builder{Settings: s, log: log, ready: map[string]func(context.Context) error{}}
	defer b.close()
	if s.Products == "embedded" && s.Retriever == "memory" {
		return errors.New("nothing to load: name a store with -products or -retriever")
	}
	books := s.books()
	table, name, err := b.productTable(ctx)
	if err != nil {
		return err
	}
	if table != nil {
		n, err := table.Load(ctx, books, shop.Invented(books))
		if err != nil {
			return err
		}
		log.Info("loaded the products", "table", name, "manga", n)
	}
	if s.Retriever == "memory" {
		return nil
	}
	store, where, err := b.vectors(ctx)
	if err != nil {
		return err
	}
	if b.models, err = s.models(); err != nil {
		return err
	}
	if err := b.openModel(ctx, books); err != nil {
		return err
	}
	client, err := b.client(ctx, b.budget)
	if err != nil {
		return err
	}
	if err := store.Create(ctx, assistant.Dimensions); err != nil {
		return err
	}
	if err := assistant.Fill(ctx, assistant.NewIndex(client, store), books, log); err != nil {
		return err
	}
	log.Info("loaded the vectors", "store", where)
	return nil
}
