package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// The models of the three sets.
const (
	haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	nova  = "us.amazon.nova-lite-v1:0"
)

// job is what the sets have in common.
func job(name string, model bedrockkit.ModelID) batch.Job {
	return batch.Job{
		Name: name + "-2026-11-29", Model: model,
		Role:  "arn:aws:iam::123456789012:role/manga-batch",
		Input: "s3://" + bucket + "/in", Output: "s3://" + bucket + "/out",
		Live:         true, // a set that is too small for a job is sent live
		OutputTokens: 10,   // of a likely answer, for the cost that is shown while a job runs
	}
}

// enrichments ask for what the catalogue does not have, as InvokeModel bodies.
func enrichments(books []*catalog.Manga, n int) iter.Seq2[batch.Record[anthropic.Request], error] {
	return func(yield func(batch.Record[anthropic.Request], error) bool) {
		for i := range n {
			m, volume := books[i%len(books)], i/len(books)+1
			request := anthropic.Request{
				MaxTokens: 200,
				System:    anthropic.Text("You enrich a manga catalogue. Answer in JSON: themes, reading_level."),
				Messages:  []anthropic.Message{anthropic.User(fmt.Sprintf("Enrich %s, volume %d: %s. %s", m.ID, volume, m.Romaji, m.Description.EN))},
			}
			if !yield(batch.Record[anthropic.Request]{ID: fmt.Sprintf("enrich-%d", i), Input: request}, nil) {
				return
			}
		}
	}
}

// translations ask for titles in English, as requests of Converse. Their ids are
// derived from their content.
func translations(books []*catalog.Manga, n int) iter.Seq2[batch.Record[batch.Converse], error] {
	return func(yield func(batch.Record[batch.Converse], error) bool) {
		for i := range n {
			m, volume := books[i%len(books)], i/len(books)+1
			request := batch.Converse{
				MaxTokens: 100,
				System:    converse.Texts("Translate titles of manga from Japanese to English."),
				Messages:  []converse.Message{converse.User(fmt.Sprintf("Translate %s: %s 第%d巻", m.ID, m.Title, volume))},
			}
			if !yield(batch.Record[batch.Converse]{Input: request}, nil) {
				return
			}
		}
	}
}

// rankings ask how well a volume fits a query of the store's visitors.
func rankings(books []*catalog.Manga, n int) iter.Seq2[batch.Record[anthropic.Request], error] {
	queries := []string{"an adventure at sea", "a slow romance", "a dark fantasy", "cooking", "a story of sports"}
	return func(yield func(batch.Record[anthropic.Request], error) bool) {
		for i := range n {
			m, query := books[i%len(books)], queries[i/len(books)%len(queries)]
			request := anthropic.Request{
				MaxTokens: 20,
				Messages:  []anthropic.Message{anthropic.User(fmt.Sprintf("Rank %s for %q from 0 to 100: %s", m.ID, query, m.Description.EN))},
			}
			if !yield(batch.Record[anthropic.Request]{ID: fmt.Sprintf("rank-%d", i), Input: request}, nil) {
				return
			}
		}
	}
}

// A set is one row of the table.
type set struct {
	name    string
	records int
	stats   batch.Stats
	cost    batch.Cost
	example string
}

// work submits the three sets and waits for their results. Killed at any moment and
// started again, it goes on.
func work(ctx context.Context, out, bar io.Writer, url string, n int) error {
	debug.SetGCPercent(50) // a job has time, and pays for memory
	aws := dial(url)
	client := batch.New(bedrock.NewFromConfig(aws.bedrock), aws.s3, func(o *batch.Options) {
		o.Live = bedrockx.NewFromConfig(aws.bedrock)
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 200*time.Millisecond // the fake's jobs take a second
	})
	books := slices.Collect(catalog.Default().All())
	third := n / 3
	enrich, err := submit(ctx, client, job("enrich", haiku), enrichments(books, n-2*third), anthropic.Response.Text)
	if err != nil {
		return err
	}
	translate, err := submit(ctx, client, job("translate", nova), translations(books, third), (*converse.Response).Text)
	if err != nil {
		return err
	}
	rank, err := submit(ctx, client, job("rank", haiku), rankings(books, third), anthropic.Response.Text)
	if err != nil {
		return err
	}
	var sets []set
	for _, finish := range []func(context.Context, io.Writer) (set, error){enrich, translate, rank} {
		s, err := finish(ctx, bar)
		if err != nil {
			return err
		}
		sets = append(sets, s)
	}
	return report(out, sets, n)
}

// submit submits a set and returns what waits for it and reads its results.
func submit[In bedrockx.Payload[Out], Out any](ctx context.Context, client *batch.Client, job batch.Job,
	records iter.Seq2[batch.Record[In], error], text func(Out) string) (func(context.Context, io.Writer) (set, error), error) {
	submission, err := batch.Submit(ctx, client, job, records)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, bar io.Writer) (set, error) {
		s := set{name: job.Name, records: submission.Plan().Records}
		for progress, err := range submission.Watch(ctx) {
			if err != nil {
				return s, err
			}
			fmt.Fprintf(bar, "\r\x1b[K%-22s %s", job.Name, progress.Bar(30))
		}
		fmt.Fprintln(bar)
		results := batch.ResultsOf[In](submission)
		for result, err := range results.All(ctx) {
			if err != nil {
				return s, err
			}
			if result.Err == nil && s.example == "" {
				s.example = text(result.Output)
			}
		}
		s.stats, s.cost = results.Stats(), results.Cost()
		return s, s.cost.Err
	}, nil
}

// report prints the table and the counts.
func report(out io.Writer, sets []set, n int) error {
	var sum summary
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "set\trecords\tdone\tfailed\tcost\tlive\tfor example")
	for _, s := range sets {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", s.name, s.records, s.stats.Succeeded, s.stats.Failed,
			s.cost.Total.Display(3), s.cost.Live.Display(3), s.example)
		sum.Done += int(s.stats.Succeeded)
		sum.Failed += int(s.stats.Failed)
		sum.Doubled += int(s.stats.Duplicated + s.stats.Strange)
		sum.Cost, sum.LiveCost = sum.Cost.Add(*s.cost.Total), sum.LiveCost.Add(*s.cost.Live)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	sum.Records, sum.Lost = n, n-sum.Done-sum.Failed
	sum.PeakRSS = ownPeakRSS()
	line, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}
