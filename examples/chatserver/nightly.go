package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/nightly"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
	"github.com/mangaassist/bedrockkit/pricing"
)

// runNightly is the subcommand nightly: it enriches the catalogue by batch inference
// and puts the result where the server's -enrichment looks.
func runNightly(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := nightly.Options{Day: time.Now().UTC().Format(time.DateOnly), Live: true}
	maxUSD := ""
	s, err := parse(args, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&o.Bucket, "batch-bucket", "", "where the files of the batch jobs go: `s3://BUCKET/PREFIX`; needed with -bedrock aws")
		flags.StringVar(&o.Role, "batch-role", "", "the `ARN` of the role that Bedrock reads and writes the bucket with; needed with -bedrock aws")
		flags.StringVar(&o.Day, "day", o.Day, "the `day` that names the work; the same day goes on where it was")
		flags.StringVar(&maxUSD, "max-usd", "", "the most `dollars` that each of the two sets can cost; empty for no bound")
	})
	if err != nil {
		return err
	}
	if s.Enrichment == "" {
		s.Enrichment = "enrichment.json"
	}
	if _, err := time.Parse(time.DateOnly, o.Day); err != nil {
		return fmt.Errorf("-day is %q; it is such as 2026-11-30", o.Day)
	}
	if maxUSD != "" {
		most, err := pricing.ParseAmount(maxUSD)
		if err != nil || most.Sign() <= 0 {
			return fmt.Errorf("-max-usd is %q; it is an amount such as 5.00", maxUSD)
		}
		o.MaxCost = &most
	}
	books, place, err := app.Enrichment(ctx, s, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	client, closeClient, err := nightlyClient(ctx, s, &o, books)
	if err != nil {
		return err
	}
	defer closeClient()
	o.Model = bedrockkit.ModelID(s.Haiku)
	if o.Before, _, err = place.Load(ctx, ""); err != nil {
		return fmt.Errorf("reading the enrichment of the night before: %w", err)
	}
	o.Progress = func(set string, p batch.Progress) { fmt.Fprintf(stderr, "%-7s %s\n", set, p.Bar(30)) }
	enrichment, sets, err := nightly.Run(ctx, client, books, o)
	if err != nil {
		return fmt.Errorf("%w; run it again with -day %s to go on", err, o.Day)
	}
	if err := place.Save(ctx, enrichment); err != nil {
		return fmt.Errorf("saving the enrichment: %w", err)
	}
	fmt.Fprintf(stdout, "%d of %d manga are enriched, in %s\n", len(enrichment.Manga), books.Len(), s.Enrichment)
	return printSets(stdout, sets)
}

// nightlyClient returns a client of batch inference: that of the account, or a fake one
// with an S3 in this process.
func nightlyClient(ctx context.Context, s app.Settings, o *nightly.Options, books *catalog.Catalog) (*batch.Client, func(), error) {
	if s.Bedrock == "aws" {
		if o.Bucket == "" || o.Role == "" {
			return nil, nil, errors.New("with -bedrock aws, -batch-bucket and -batch-role are needed")
		}
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the AWS configuration: %w", err)
		}
		live := bedrockx.NewFromConfig(cfg, bedrockx.Service)
		return batch.New(bedrock.NewFromConfig(cfg), s3.NewFromConfig(cfg), func(b *batch.Options) { b.Live = live }), func() {}, nil
	}
	o.Bucket, o.Role = "s3://offline/nightly", "arn:aws:iam::123456789012:role/offline"
	store, err := fakes3.Memory("offline")
	if err != nil {
		return nil, nil, err
	}
	fake, err := bedrocktest.New(func(f *bedrocktest.Options) {
		f.InProcess, f.KeepRequests = true, 1
		f.JobDuration, f.Batch.Store = time.Second, store
		f.Responder = offline.New(books).Respond
	})
	if err != nil {
		return nil, nil, fmt.Errorf("starting the offline model: %w", err)
	}
	cfg := fake.Config()
	client := batch.New(bedrock.NewFromConfig(cfg), store.Client(), func(b *batch.Options) {
		b.Live = bedrockx.NewFromConfig(cfg, bedrockx.Service)
		b.MinDelay, b.MaxDelay = 100*time.Millisecond, 500*time.Millisecond // its jobs take a second
	})
	return client, func() { fake.Close() }, nil
}

// printSets prints what each set has cost, and what live calls would have.
func printSets(w io.Writer, sets []nightly.Set) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "set\trecords\tdone\tfailed\tuseless\tcost\tlive\tsaved")
	for _, set := range sets {
		dollars := func(a *pricing.Amount) string {
			if a == nil {
				return "not known"
			}
			return a.Display(3)
		}
		n := set.Stats
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", set.Name, n.Records, n.Succeeded, n.Failed+n.Missing+n.Refused, set.Useless,
			dollars(set.Cost.Total), dollars(set.Cost.Live), dollars(set.Saved()))
	}
	return table.Flush()
}
