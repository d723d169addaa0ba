package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/pgvector"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// retriever is the search by meaning. In memory the vectors are made when a question
// first needs them; the other stores are filled once, by chatserver load.
func (b *builder) retriever(ctx context.Context, client *bedrockx.Client, books *catalog.Catalog) (func(*shop.Options), error) {
	if b.Retriever == "memory" {
		index := assistant.NewIndex(client, &retrieve.Memory{})
		b.say("retriever", "memory, filled when it is needed")
		return assistant.ByMeaning(index, b.log, func(ctx context.Context) error { return assistant.Fill(ctx, index, books, b.log) }), nil
	}
	store, where, err := b.vectors(ctx)
	if err != nil {
		return nil, err
	}
	b.say("retriever", "%s", where)
	return assistant.ByMeaning(assistant.NewIndex(client, store), b.log, nil), nil
}

// A vectorStore is a store that has to be made before it is filled.
type vectorStore interface {
	retrieve.Store
	Create(ctx context.Context, dimensions int) error
}

// vectors opens the store of -retriever, and returns a name of it without a password.
func (b *builder) vectors(ctx context.Context) (store vectorStore, where string, err error) {
	kind, at, _ := strings.Cut(b.Retriever, ":")
	switch kind {
	case "opensearch":
		return b.openSearch(ctx, at)
	case "s3vectors":
		cfg, err := b.aws(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("-retriever: %w", err)
		}
		bucket, index, _ := strings.Cut(at, "/")
		s, err := retrieve.NewS3Vectors(cfg, bucket, index)
		if err != nil {
			return nil, "", fmt.Errorf("-retriever is s3vectors:BUCKET/INDEX: %w", err)
		}
		return s, "S3 Vectors, the index " + at, nil
	case "pgvector":
		s, err := pgvector.Open(at, "mangaassist")
		if err != nil {
			return nil, "", fmt.Errorf("-retriever is pgvector:DSN: %w", err)
		}
		b.closers = append(b.closers, s.Close)
		return s, "PostgreSQL, the table mangaassist", nil
	}
	return nil, "", errors.New("-retriever must be memory, opensearch:URL, s3vectors:BUCKET/INDEX or pgvector:DSN") // a DSN may have a password
}

// openSearch opens an index of a collection, such as
// https://abc.us-east-1.aoss.amazonaws.com/manga. The collection is of the second
// generation, or with ?generation=classic of the first.
func (b *builder) openSearch(ctx context.Context, address string) (vectorStore, string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, "", errors.New("-retriever is opensearch:URL; the URL is one such as https://abc.us-east-1.aoss.amazonaws.com/manga")
	}
	index := strings.Trim(u.Path, "/")
	if index == "" {
		index = "mangaassist"
	}
	cfg, err := b.aws(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("-retriever: %w", err)
	}
	s, err := retrieve.NewOpenSearch(cfg, u.Scheme+"://"+u.Host, index, func(o *retrieve.OpenSearchOptions) {
		if u.Query().Get("generation") == "classic" {
			o.Generation = retrieve.Classic
		}
	})
	if err != nil {
		return nil, "", fmt.Errorf("-retriever: %w", err)
	}
	return s, "OpenSearch at " + u.Host + ", the index " + index, nil
}
