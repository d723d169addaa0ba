// Package nightly enriches the catalogue through batch inference, at half the price of
// live calls: one set of records asks for what each manga is found by, another one
// how well it stands on its shelves. [Run] submits both, waits, and returns the
// [catalog.Enrichment] that searches use.
//
//	client := batch.New(bedrock.NewFromConfig(cfg), s3.NewFromConfig(cfg))
//	enrichment, report, err := nightly.Run(ctx, client, books, nightly.Options{
//		Day: "2026-11-30", Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
//		Role: "arn:aws:iam::123456789012:role/batch", Bucket: "s3://manga-batch/nightly",
//	})
//
// A run that was interrupted is run again with the same day: it goes on where it was.
package nightly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Options are those of [Run].
type Options struct {
	// Day names the sets, such as 2026-11-30: the same day is the same work.
	Day string

	// Model answers. Its records are bodies of Anthropic's Messages API.
	Model bedrockkit.ModelID

	// Role is the ARN of the service role that Bedrock reads and writes S3 with, and
	// Bucket where the files go, as "s3://bucket/prefix".
	Role, Bucket string

	// MaxCost bounds what each set can cost at most in US dollars. The default is no
	// bound.
	MaxCost *pricing.Amount

	// Live sends the records of a catalogue that is too small for a batch job live, and
	// once more those that have failed. It needs the client's Live.
	Live bool

	// Before is the enrichment of the night before. A manga that gets no answer keeps
	// what it had there. It may be nil.
	Before *catalog.Enrichment

	// Progress is called with how far a set is, by its name. There is none by default.
	Progress func(set string, p batch.Progress)
}

// A Set is what became of one set of records.
type Set struct {
	Name    string
	Stats   batch.Stats
	Cost    batch.Cost
	Useless int // answers that do not fit the schema
}

// Saved is what the set would have cost more in live calls; nil if that is not known.
func (s Set) Saved() *pricing.Amount {
	if s.Cost.Total == nil || s.Cost.Live == nil {
		return nil
	}
	saved := s.Cost.Live.Sub(*s.Cost.Total)
	return &saved
}

// A question is what a set asks about each manga.
type question struct {
	name, prompt, schema string
	maxTokens            int
	store                func(to *catalog.Enriched, of *catalog.Manga, answer json.RawMessage) error
}

var questions = []question{
	{"enrich", "You are the catalogue analyst of a Japanese manga store. You get one entry of the catalogue as JSON. " +
		"Fill in what is asked for. State nothing that the entry or common knowledge of the series does not support.", "FullEnrichment", 1500, storeEnrichment},
	{"rank", "You are a bookseller in a Japanese manga store. You get one entry of the catalogue as JSON. Say for each of its genres how well a reader is served " +
		"who asks for that genre and knows nothing else: 100 is the first book to hand over, 0 one to keep on the shelf.", "ShelfRanking", 500, storeRanking},
}

// Run enriches a catalogue. It returns what is known of its manga now and what became
// of each set. An error ends it before all is done; run it again.
func Run(ctx context.Context, client *batch.Client, books *catalog.Catalog, o Options) (*catalog.Enrichment, []Set, error) {
	// Both sets are submitted before one is waited for: they run side by side.
	var running []*batch.Submission
	for _, q := range questions {
		job := batch.Job{
			Name: "nightly-" + q.name + "-" + o.Day, Model: o.Model, Role: o.Role, Input: o.Bucket + "/in", Output: o.Bucket + "/out",
			OutputTokens: q.maxTokens / 3, MaxCost: o.MaxCost, Live: o.Live,
			Tags: map[string]string{"job": "nightly", "day": o.Day},
		}
		if o.Live {
			job.Retry = batch.RetryLive
		}
		submission, err := batch.Submit(ctx, client, job, q.records(books))
		if err != nil {
			return nil, nil, fmt.Errorf("submitting %s: %w", job.Name, err)
		}
		running = append(running, submission)
	}
	enrichment := &catalog.Enrichment{Day: o.Day, Manga: map[string]catalog.Enriched{}}
	if o.Before != nil {
		for id, m := range o.Before.Manga {
			if _, ok := books.ByID(id); ok {
				enrichment.Manga[id] = m
			}
		}
	}
	var sets []Set
	for i, q := range questions {
		for progress, err := range running[i].Watch(ctx) {
			if err != nil {
				return nil, sets, fmt.Errorf("waiting for %s: %w", q.name, err)
			}
			if o.Progress != nil {
				o.Progress(q.name, progress)
			}
		}
		set, err := q.collect(ctx, running[i], books, enrichment)
		if err != nil {
			return nil, sets, fmt.Errorf("collecting %s: %w", q.name, err)
		}
		sets = append(sets, set)
	}
	enrichment.Batch = total(sets)
	return enrichment, sets, nil
}

// total is what the sets cost together; nil if it is not known of one.
func total(sets []Set) *catalog.BatchCost {
	var all catalog.BatchCost
	for _, s := range sets {
		if s.Cost.Total == nil || s.Cost.Live == nil {
			return nil
		}
		all.Cost, all.Live = all.Cost.Add(*s.Cost.Total), all.Live.Add(*s.Cost.Live)
	}
	return &all
}

// records yields a record for each manga. The model must answer by a call of a tool
// whose input fits the schema: batch inference takes tools in these bodies.
func (q question) records(books *catalog.Catalog) iter.Seq2[batch.Record[anthropic.Request], error] {
	temperature := 0.0
	return func(yield func(batch.Record[anthropic.Request], error) bool) {
		for m := range books.All() {
			entry, err := json.Marshal(m)
			if err != nil {
				yield(batch.Record[anthropic.Request]{}, err)
				return
			}
			request := anthropic.Request{
				MaxTokens: q.maxTokens, Temperature: &temperature, System: anthropic.Text(q.prompt),
				Messages:   []anthropic.Message{anthropic.User("The entry:\n" + string(entry))},
				Tools:      []anthropic.Tool{{Name: "answer", Description: "Takes the answer.", InputSchema: rest.Schema(q.schema)}},
				ToolChoice: &anthropic.ToolChoice{Type: "tool", Name: "answer"},
			}
			if !yield(batch.Record[anthropic.Request]{ID: m.ID, Input: request}, nil) {
				return
			}
		}
	}
}

// collect puts the answers of a set into an enrichment. Whatever the model writes is
// checked against the schema first.
func (q question) collect(ctx context.Context, s *batch.Submission, books *catalog.Catalog, into *catalog.Enrichment) (Set, error) {
	set := Set{Name: q.name}
	results := batch.ResultsOf[anthropic.Request](s)
	for result, err := range results.All(ctx) {
		if err != nil {
			return set, err
		}
		manga, ok := books.ByID(result.ID)
		if result.Err != nil || !ok {
			continue // counted in the statistics
		}
		more := into.Manga[result.ID]
		if err := q.read(&more, manga, result.Output); err != nil {
			set.Useless++
			continue
		}
		into.Manga[result.ID] = more
	}
	set.Stats, set.Cost = results.Stats(), results.Cost()
	return set, nil
}

func (q question) read(to *catalog.Enriched, of *catalog.Manga, output anthropic.Response) error {
	at := slices.IndexFunc(output.Content, func(b anthropic.Block) bool { return b.Type == "tool_use" && b.Name == "answer" })
	if at < 0 {
		return errors.New("there is no answer")
	}
	answer := output.Content[at].Input
	if wrong := rest.Validate(q.schema, answer); len(wrong) > 0 {
		return fmt.Errorf("the answer does not fit: %s: %s", wrong[0].Path, wrong[0].Message)
	}
	return q.store(to, of, answer)
}

// maxKeyword bounds a keyword in bytes; the catalogue takes none that is longer.
const maxKeyword = 100

func storeEnrichment(to *catalog.Enriched, _ *catalog.Manga, answer json.RawMessage) error {
	var a struct {
		Theme  []string `json:"theme_keywords"`
		Search []string `json:"search_keywords"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	usable := func(words []string) []string {
		return slices.DeleteFunc(words, func(w string) bool { return w == "" || len(w) > maxKeyword })
	}
	to.ThemeKeywords, to.SearchKeywords = usable(a.Theme), usable(a.Search)
	return nil
}

func storeRanking(to *catalog.Enriched, of *catalog.Manga, answer json.RawMessage) error {
	var a struct {
		Scores []struct {
			Genre catalog.Genre
			Score int
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	to.Scores = map[catalog.Genre]int{}
	for _, s := range a.Scores {
		if slices.Contains(of.Genres, s.Genre) { // a model may name others
			to.Scores[s.Genre] = s.Score
		}
	}
	return nil
}
