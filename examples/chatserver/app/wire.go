package app

import (
	"context"
	"log/slog"

	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

// Build puts the server together: the model with its policies, the assistant with its
// tools, who may call, the analyses in the background, and the WebSocket. The details
// of each line are in the file of its name. Close the server when it has served.
func Build(ctx context.Context, s Settings, log *slog.Logger) (_ *Server, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	b := &builder{Settings: s, log: log, ready: map[string]func(context.Context) error{}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.models, err = s.models(); err != nil {
		return nil, err
	}
	if b.metrics, err = metrics.New(); err != nil {
		return nil, err
	}
	books, products, err := b.products(ctx)
	if err != nil {
		return nil, err
	}
	if books, err = b.enrichment(ctx, books); err != nil {
		return nil, err
	}
	if err := b.openModel(ctx, books); err != nil { // bedrock.go
		return nil, err
	}
	client, err := b.client(ctx,
		b.metered, // counted and timed
		b.cloudwatch,
		b.cache,    // an answer that was given is not paid for again
		b.budget,   // the dollars of a day
		b.spending, // the dollars of each caller in a day
		b.quota,    // the tokens and requests of a minute
	)
	if err != nil {
		return nil, err
	}
	byMeaning, err := b.retriever(ctx, client, books)
	if err != nil {
		return nil, err
	}
	store := shop.New(books, products, byMeaning)
	manga, err := b.assistant(ctx, client, store,
		b.fallback,  // another model, if the one that was asked fails
		b.guardrail, // what is neither asked nor answered
		b.sessions,  // the conversations of the REST API
	)
	if err != nil {
		return nil, err
	}
	gate, err := b.gate()
	if err != nil {
		return nil, err
	}
	jobs, err := b.jobs(ctx, client, books)
	if err != nil {
		return nil, err
	}
	answers, err := b.share(gate)
	if err != nil {
		return nil, err
	}
	sockets := socket.New(manga, gate, log, func(o *socket.Options) { o.Origins, o.Coalesce, o.Log = s.origins(), s.Coalesce, answers })
	gateway, err := b.gateway(ctx, sockets)
	if err != nil {
		return nil, err
	}
	b.metrics.Watch(b.sources)
	return &Server{
		assistant: manga, gate: gate, jobs: jobs, socket: sockets, gateway: gateway, origins: s.origins(),
		metrics: b.metrics, ready: b.ready, books: books, log: log, summary: b.summary, close: b.close, background: b.background, role: s.Jobs.Role,
		info: info{
			Backend: b.model.name, Notice: b.model.notice, NeedsKey: !s.open(), MaxQuestionCharacter: socket.MaxQuestion,
			Models: modelInfos(b.models, b.model.cfg.Region),
		},
	}, nil
}
