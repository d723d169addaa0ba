package app

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
)

// model is where answers come from.
type model struct {
	cfg    aws.Config
	name   string // for the page: "aws" or "offline"
	notice string
}

// openModel opens Amazon Bedrock or the offline model, as -bedrock says.
func (b *builder) openModel(ctx context.Context, books *catalog.Catalog) (err error) {
	if b.Bedrock == "aws" {
		b.model, err = b.bedrock(ctx)
	} else {
		b.model, err = b.offline(books)
	}
	if err == nil {
		b.say("haiku", "%s", b.models["haiku"])
		b.say("sonnet", "%s", b.models["sonnet"])
	}
	return err
}

// bedrock returns Amazon Bedrock, in the account and the region that the
// environment has.
func (b *builder) bedrock(ctx context.Context) (model, error) {
	cfg, err := b.aws(ctx)
	if err != nil {
		return model{}, err
	}
	b.ready["credentials"] = func(ctx context.Context) error {
		_, err := cfg.Credentials.Retrieve(ctx)
		return err
	}
	b.say("model", "Amazon Bedrock in %s, which costs money", cfg.Region)
	return model{cfg, "aws", "The model is Amazon Bedrock in " + cfg.Region + "; answers cost money."}, nil
}

// offline returns the offline assistant, behind a fake Bedrock in this process.
func (b *builder) offline(books *catalog.Catalog) (model, error) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.Responder = b.Respond
		if o.Responder == nil {
			o.Responder = offline.New(books).Respond
		}
		o.Guardrails = b.offlineGuardrails()
		o.Pace = b.TPS
		o.InProcess = true
		o.KeepRequests = 1 // nobody looks at them
	})
	if err != nil {
		return model{}, fmt.Errorf("starting the offline model: %w", err)
	}
	b.closers = append(b.closers, func() { fake.Close() })
	b.say("model", "offline, %g tokens a second", b.TPS)
	return model{fake.Config(), "offline", "This is the offline assistant: it knows the store's catalogue and nothing else. Costs are what the real model would cost."}, nil
}

// client returns the client of the model with its policies.
func (b *builder) client(ctx context.Context, policies ...func(context.Context) (func(*bedrockx.Options), error)) (*bedrockx.Client, error) {
	options, err := collect(ctx, policies)
	if err != nil {
		return nil, err
	}
	return bedrockx.NewFromConfig(b.model.cfg, append([]func(*bedrockx.Options){bedrockx.Service}, options...)...), nil
}

// metered counts the calls of models.
func (b *builder) metered(context.Context) (func(*bedrockx.Options), error) {
	return b.metrics.Client(), nil
}
