package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
)

// A builder has what the lines of the recipe share. Each method is one of them.
type builder struct {
	Settings
	log    *slog.Logger
	models map[string]bedrockkit.ModelID // by the names that clients use
	model  model
	limits *auth.Limits // of callers

	metrics *metrics.Metrics
	sources metrics.Sources                        // what the metrics ask
	ready   map[string]func(context.Context) error // what must work, by name, for /readyz: quick checks that cost nothing

	cfg        *aws.Config                      // see aws
	redises    map[string]redis.UniversalClient // see redis
	summary    []Line                           // see say
	background []func(context.Context)          // run while the server serves
	closers    []func()                         // of what was opened, called in reverse
}

// A Line says what a part of a server is.
type Line struct{ Part, Is string }

// say adds a line to the summary of what is on. It has no secret.
func (b *builder) say(part, format string, args ...any) {
	b.summary = append(b.summary, Line{part, fmt.Sprintf(format, args...)})
}

// warn returns a function that logs an error that no caller gets.
func (b *builder) warn(what string) func(context.Context, error) {
	return func(ctx context.Context, err error) { b.log.WarnContext(ctx, what, "error", err) }
}

// collect calls functions that make options.
func collect[T any](ctx context.Context, makers []func(context.Context) (func(*T), error)) ([]func(*T), error) {
	var all []func(*T)
	for _, maker := range makers {
		option, err := maker(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, option)
	}
	return all, nil
}

// aws returns the AWS configuration of the environment, for the settings that need
// one.
func (b *builder) aws(ctx context.Context) (aws.Config, error) {
	if b.cfg != nil {
		return *b.cfg, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("no AWS region is set; set AWS_REGION, or a region in your AWS profile")
	}
	b.cfg = &cfg
	return cfg, nil
}

// close frees what was opened.
func (b *builder) close() {
	for len(b.closers) > 0 {
		last := len(b.closers) - 1
		b.closers[last]()
		b.closers = b.closers[:last]
	}
}
