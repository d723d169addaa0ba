package app

import (
	"context"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// assistant returns the assistant that sells what a shop has.
func (b *builder) assistant(ctx context.Context, client *bedrockx.Client, store *shop.Shop, traits ...func(context.Context) (func(*assistant.Options), error)) (*assistant.Assistant, error) {
	options, err := collect(ctx, traits)
	if err != nil {
		return nil, err
	}
	return assistant.New(client, store, b.models, options...), nil
}
