package retrievetest

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
)

// wrong is a store with a defect.
type wrong struct {
	retrieve.Memory
	put    func(ctx context.Context, m *retrieve.Memory, entries []retrieve.Entry) error
	search func(ctx context.Context, m *retrieve.Memory, q retrieve.Query) ([]retrieve.Match, error)
	delete func(ctx context.Context, m *retrieve.Memory, ids []string) error
}

func (w *wrong) Put(ctx context.Context, entries []retrieve.Entry) error {
	if w.put != nil {
		return w.put(ctx, &w.Memory, entries)
	}
	return w.Memory.Put(ctx, entries)
}

func (w *wrong) Search(ctx context.Context, q retrieve.Query) ([]retrieve.Match, error) {
	if w.search != nil {
		return w.search(ctx, &w.Memory, q)
	}
	return w.Memory.Search(ctx, q)
}

func (w *wrong) Delete(ctx context.Context, ids ...string) error {
	if w.delete != nil {
		return w.delete(ctx, &w.Memory, ids)
	}
	return w.Memory.Delete(ctx, ids...)
}

// The suite finds defects that a store may have.
func TestSuiteFindsDefects(t *testing.T) {
	found := func(change func(q retrieve.Query, found []retrieve.Match) []retrieve.Match) *wrong {
		return &wrong{search: func(ctx context.Context, m *retrieve.Memory, q retrieve.Query) ([]retrieve.Match, error) {
			all, err := m.Search(ctx, q)
			return change(q, all), err
		}}
	}
	asked := func(change func(q *retrieve.Query)) *wrong {
		return &wrong{search: func(ctx context.Context, m *retrieve.Memory, q retrieve.Query) ([]retrieve.Match, error) {
			change(&q)
			return m.Search(ctx, q)
		}}
	}
	for _, tt := range []struct {
		what, check string
		store       *wrong
	}{
		{"the farthest first", "nearest first", found(func(_ retrieve.Query, all []retrieve.Match) []retrieve.Match {
			slices.Reverse(all)
			return all
		})},
		{"without texts", "nearest first", found(func(_ retrieve.Query, all []retrieve.Match) []retrieve.Match {
			for i := range all {
				all[i].Text = ""
			}
			return all
		})},
		{"a distance for a score", "score", found(func(_ retrieve.Query, all []retrieve.Match) []retrieve.Match {
			for i := range all {
				all[i].Score = 1 - all[i].Score
			}
			return all
		})},
		{"ties by chance", "ties", found(func(_ retrieve.Query, all []retrieve.Match) []retrieve.Match {
			slices.Reverse(all)
			return all
		})},
		{"no filter", "filter", asked(func(q *retrieve.Query) { q.Filter = nil })},
		{"a filter after K", "filter", &wrong{search: func(ctx context.Context, m *retrieve.Memory, q retrieve.Query) ([]retrieve.Match, error) {
			all, err := m.Search(ctx, retrieve.Query{Vector: q.Vector, K: q.K})
			passing, _ := m.Search(ctx, retrieve.Query{Vector: q.Vector, K: retrieve.MaxK, Filter: q.Filter})
			return slices.DeleteFunc(all, func(a retrieve.Match) bool {
				return !slices.ContainsFunc(passing, func(b retrieve.Match) bool { return a.ID == b.ID })
			}), err
		}}},
		{"the first of two values", "filter", asked(func(q *retrieve.Query) {
			for name, values := range q.Filter {
				q.Filter[name] = values[:1]
			}
		})},
		{"an old document stays", "replace", &wrong{put: func(ctx context.Context, m *retrieve.Memory, entries []retrieve.Entry) error {
			for _, e := range entries {
				if all, _ := m.Search(ctx, retrieve.Query{Vector: e.Vector, K: 100}); !slices.ContainsFunc(all, func(a retrieve.Match) bool { return a.ID == e.ID }) {
					_ = m.Put(ctx, []retrieve.Entry{e})
				}
			}
			return nil
		}}},
		{"nothing is deleted", "delete", &wrong{delete: func(context.Context, *retrieve.Memory, []string) error { return nil }}},
		{"the first is deleted alone", "many", &wrong{delete: func(ctx context.Context, m *retrieve.Memory, ids []string) error {
			return m.Delete(ctx, ids[:min(len(ids), 500)]...)
		}}},
		{"the first are put alone", "invalid", &wrong{put: func(ctx context.Context, m *retrieve.Memory, entries []retrieve.Entry) error {
			for _, e := range entries {
				if err := m.Put(ctx, []retrieve.Entry{e}); err != nil {
					return err
				}
			}
			return nil
		}}},
		{"the context is not seen", "context", &wrong{put: func(_ context.Context, m *retrieve.Memory, entries []retrieve.Entry) error {
			return m.Put(context.Background(), entries)
		}}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == tt.check })
			s := &suite{t.Context(), tt.store, Options{Settle: func() {}, Tolerance: 0.001}}
			assert.Error(t, checks[i].fn(s))
		})
	}
}
