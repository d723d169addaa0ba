package retrieve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/parallel"
	"github.com/mangaassist/bedrockkit/pricing"
)

// An Index finds documents by the meaning of a question: it embeds both and
// leaves the comparing to a [Store]. Its methods are safe for concurrent use.
type Index struct {
	embed   Embedder
	store   Store
	options Options
}

// Options are those of [New]. The zero value of a field means its default.
type Options struct {
	// Parallel is how many documents are embedded at a time. The default is 4.
	Parallel int

	// Batch is how many documents are embedded before they are stored. If
	// [Index.Add] fails, what was stored stays. The default is 100.
	Batch int
}

// New returns an index over a store.
func New(embed Embedder, store Store, optFns ...func(*Options)) *Index {
	x := &Index{embed: embed, store: store}
	for _, fn := range optFns {
		fn(&x.options)
	}
	if x.options.Parallel <= 0 {
		x.options.Parallel = 4
	}
	if x.options.Batch <= 0 {
		x.options.Batch = 100
	}
	return x
}

// Spent is what the embeddings of a call took.
type Spent struct {
	Texts int // that were embedded
	Usage bedrockkit.Usage
	Cost  *pricing.Amount // US dollars; nil if that of any text is not known
}

func (s *Spent) add(e Embedding) {
	switch {
	case s.Texts == 0:
		s.Cost = e.Cost
	case s.Cost != nil && e.Cost != nil:
		sum := s.Cost.Add(*e.Cost)
		s.Cost = &sum
	default:
		s.Cost = nil
	}
	s.Texts++
	s.Usage = s.Usage.Add(e.Usage)
}

// Add embeds documents and stores them. It checks all of them before it embeds
// the first. With an error too it returns what was spent; documents of the
// batches before are then stored.
func (x *Index) Add(ctx context.Context, documents []Document) (Spent, error) {
	var spent Spent
	if err := checkDocuments(slices.All(documents)); err != nil {
		return spent, err
	}
	for batch := range slices.Chunk(documents, x.options.Batch) {
		entries, err := x.embedAll(ctx, batch, &spent)
		if err != nil {
			return spent, err
		}
		if err := x.store.Put(ctx, entries); err != nil {
			return spent, fmt.Errorf("storing documents: %w", err)
		}
	}
	return spent, nil
}

func (x *Index) embedAll(ctx context.Context, batch []Document, spent *Spent) ([]Entry, error) {
	entries := make([]Entry, len(batch))
	var failed error
	// After a failure no text is begun any more. Those that were begun are waited
	// for, since they are paid for.
	todo := func(yield func(int) bool) {
		for i := range batch {
			if failed != nil || !yield(i) {
				return
			}
		}
	}
	embed := func(ctx context.Context, i int) (Embedding, error) {
		return x.embed(ctx, ForDocument, batch[i].Text)
	}
	for item := range parallel.Map(ctx, x.options.Parallel, todo, embed) {
		if item.Err != nil {
			if failed == nil {
				failed = fmt.Errorf("embedding the document %q: %w", batch[item.Input].ID, item.Err)
			}
			continue
		}
		spent.add(item.Result)
		entries[item.Input] = Entry{batch[item.Input], item.Result.Vector}
	}
	if failed == nil {
		failed = ctx.Err() // then some were not begun
	}
	return entries, failed
}

// SearchOptions are those of [Index.Search]. The zero value of a field means its
// default.
type SearchOptions struct {
	K        int                 // the most documents to return, up to 100; the default is 5
	Filter   map[string][]string // each field must have one of its values
	MinScore float64             // leaves out documents that are less near; the default is 0
}

// Search embeds a question and returns the documents that are nearest to it, the
// nearest first. How near is near enough differs by model: measure MinScore with
// questions of your own. A question has 1 to 20,000 bytes.
func (x *Index) Search(ctx context.Context, question string, optFns ...func(*SearchOptions)) ([]Match, Spent, error) {
	var o SearchOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.K == 0 {
		o.K = 5
	}
	var spent Spent
	if strings.TrimSpace(question) == "" || len(question) > MaxText || !utf8.ValidString(question) {
		return nil, spent, invalid("the question has %d bytes; it must be 1 to %d of UTF-8, and not blank", len(question), MaxText)
	}
	// The rest of the query is checked before the question is paid for.
	if _, err := CheckQuery(Query{Vector: Vector{1}, K: o.K, Filter: o.Filter}); err != nil {
		return nil, spent, err
	}
	embedding, err := x.embed(ctx, ForQuestion, question)
	if err != nil {
		return nil, spent, fmt.Errorf("embedding the question: %w", err)
	}
	spent.add(embedding)
	found, err := x.store.Search(ctx, Query{Vector: embedding.Vector, K: o.K, Filter: o.Filter})
	if err != nil {
		return nil, spent, fmt.Errorf("searching: %w", err)
	}
	found = slices.DeleteFunc(found, func(m Match) bool { return m.Score < o.MinScore })
	return found, spent, nil
}

// Delete removes documents. An id that is not there is not an error.
func (x *Index) Delete(ctx context.Context, ids ...string) error { return x.store.Delete(ctx, ids...) }
