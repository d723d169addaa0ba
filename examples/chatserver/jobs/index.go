package jobs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// An Index keeps short lists of names: the jobs of a caller, the callers of a day.
// It is safe for concurrent use.
type Index interface {
	// Add puts names in front of a list, the last one first. A name that the list
	// has stays where it is. A list keeps its newest [MaxList] names, for [Retention]
	// after the last new one was added.
	Add(ctx context.Context, list string, names ...string) error

	// List returns at most limit names, the newest first.
	List(ctx context.Context, list string, limit int) ([]string, error)
}

const (
	// MaxList is how many names a list of an [Index] has at most.
	MaxList = 500

	// Retention is how long lists are kept, as statuses are.
	Retention = 7 * 24 * time.Hour
)

// merge returns a list with names in front of it.
func merge(list, names []string) []string {
	had := make(map[string]bool, len(list))
	for _, name := range list {
		had[name] = true
	}
	merged := make([]string, 0, len(names)+len(list))
	for _, name := range slices.Backward(names) {
		if !had[name] {
			had[name] = true
			merged = append(merged, name)
		}
	}
	merged = append(merged, list...)
	return merged[:min(len(merged), MaxList)]
}

// MemoryIndex is an [Index] in memory. [NewMemoryIndex] makes one.
type MemoryIndex struct {
	mu    sync.Mutex
	lists map[string]memoryList
	swept time.Time
}

type memoryList struct {
	names []string
	until time.Time
}

// NewMemoryIndex returns an empty index.
func NewMemoryIndex() *MemoryIndex { return &MemoryIndex{lists: map[string]memoryList{}} }

// Add implements [Index].
func (m *MemoryIndex) Add(ctx context.Context, list string, names ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.swept) > time.Hour {
		m.swept = now
		for name, l := range m.lists {
			if now.After(l.until) {
				delete(m.lists, name)
			}
		}
	}
	m.lists[list] = memoryList{merge(m.lists[list].names, names), now.Add(Retention)}
	return ctx.Err()
}

// List implements [Index].
func (m *MemoryIndex) List(ctx context.Context, list string, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lists[list]
	if time.Now().After(l.until) {
		return nil, ctx.Err()
	}
	return slices.Clone(l.names[:min(limit, len(l.names))]), ctx.Err()
}
