package retrieve

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Memory is a [Store] in the memory of the process. It compares a question with
// every document that passes the filter, so that what it finds is exact; a
// thousand vectors of 1,024 dimensions take about a millisecond. It starts no
// goroutine. The zero value is empty and ready.
type Memory struct {
	mu      sync.RWMutex
	entries map[string]Entry
}

// Put implements [Store]. Vectors of another length than those that are there
// are an error.
func (m *Memory) Put(ctx context.Context, entries []Entry) error {
	entries, err := CheckEntries(entries)
	if err := cmp.Or(err, ctx.Err()); err != nil || len(entries) == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fits(entries[0].Vector); err != nil {
		return err
	}
	if m.entries == nil {
		m.entries = map[string]Entry{}
	}
	for _, e := range entries {
		e.Fields = cloneFields(e.Fields)
		m.entries[e.ID] = e
	}
	return nil
}

// fits returns an error if a vector cannot be compared with those that are there.
func (m *Memory) fits(v Vector) error {
	for _, e := range m.entries {
		if len(e.Vector) != len(v) {
			return invalid("the vector has %d dimensions, those of the store have %d; they must be of one model", len(v), len(e.Vector))
		}
		break // all have one length
	}
	return nil
}

// Search implements [Store].
func (m *Memory) Search(ctx context.Context, q Query) ([]Match, error) {
	q, err := CheckQuery(q)
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.fits(q.Vector); err != nil {
		return nil, err
	}
	var found []Match
	compared := 0
	for _, e := range m.entries {
		if compared++; compared%1000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !passes(e.Fields, q.Filter) {
			continue
		}
		var dot float32
		for i, x := range e.Vector {
			dot += x * q.Vector[i]
		}
		found = append(found, Match{e.Document, clampCosine(float64(dot))})
	}
	found = nearest(found, q.K)
	for i := range found {
		found[i].Fields = cloneFields(found[i].Fields)
	}
	return found, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, ids ...string) error {
	if err := cmp.Or(CheckIDs(ids), ctx.Err()); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.entries, id)
	}
	return nil
}

// nearest sorts matches as [Store] says and keeps the first k.
func nearest(found []Match, k int) []Match {
	slices.SortFunc(found, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.ID, b.ID))
	})
	return slices.Clip(found[:min(k, len(found))])
}

func passes(fields, filter map[string][]string) bool {
	for name, wanted := range filter {
		if !slices.ContainsFunc(fields[name], func(value string) bool { return slices.Contains(wanted, value) }) {
			return false
		}
	}
	return true
}

// clampCosine takes away what rounding added.
func clampCosine(x float64) float64 { return min(1, max(-1, x)) }

func cloneFields(fields map[string][]string) map[string][]string {
	fields = maps.Clone(fields)
	for name, values := range fields {
		fields[name] = slices.Clone(values)
	}
	return fields
}
