package session

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/converse"
)

// MemoryOptions are those of a [Memory]. The zero value of a field means its
// default.
type MemoryOptions struct {
	// MaxBytes bounds the histories together, as JSON. When it is reached,
	// those that were not used for the longest time are dropped. The default
	// is 64 MiB.
	MaxBytes int

	// TTL is how long a history lives after it was saved. The default is
	// without end.
	TTL time.Duration
}

// A Memory is a [Store] in memory, for one process and for tests.
type Memory struct {
	options MemoryOptions

	mu    sync.Mutex
	byID  map[string]*list.Element
	order *list.List // of *memoryEntry, the one used last in front
	bytes int
	last  int64 // the last version that was given
}

type memoryEntry struct {
	id      string
	data    []byte // JSON, so that nobody shares a slice with the store
	version int64
	expires time.Time // zero: never
}

// NewMemory returns an empty store.
func NewMemory(optFns ...func(*MemoryOptions)) *Memory {
	var o MemoryOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	return &Memory{options: o, byID: map[string]*list.Element{}, order: list.New()}
}

// Load returns a history, or [ErrNotFound].
func (m *Memory) Load(ctx context.Context, id string) (History, error) {
	if err := check(ctx, id); err != nil {
		return History{}, err
	}
	m.mu.Lock()
	e := m.find(id)
	if e == nil {
		m.mu.Unlock()
		return History{}, ErrNotFound
	}
	m.order.MoveToFront(m.byID[id])
	data, h := e.data, History{Version: e.version} // the data is never changed
	m.mu.Unlock()
	if err := json.Unmarshal(data, &h.Messages); err != nil {
		return History{}, fmt.Errorf("session: reading a history: %w", err)
	}
	return h, nil
}

// Save stores a history. One that is larger than MaxBytes is [ErrTooLarge].
func (m *Memory) Save(ctx context.Context, id string, h History) (int64, error) {
	if err := check(ctx, id); err != nil {
		return 0, err
	}
	if h.Messages == nil {
		h.Messages = []converse.Message{}
	}
	data, err := json.Marshal(h.Messages)
	if err != nil {
		return 0, fmt.Errorf("session: writing a history: %w", err)
	}
	if size := len(data) + len(id); size > m.options.MaxBytes {
		return 0, fmt.Errorf("%w: %d bytes of %d", ErrTooLarge, size, m.options.MaxBytes)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := int64(0)
	if e := m.find(id); e != nil {
		stored = e.version
	}
	if stored != h.Version {
		return 0, ErrConflict
	}
	m.remove(id)
	m.last++
	e := &memoryEntry{id: id, data: data, version: m.last}
	if m.options.TTL > 0 {
		e.expires = time.Now().Add(m.options.TTL)
	}
	m.byID[id] = m.order.PushFront(e)
	m.bytes += len(data) + len(id)
	for m.bytes > m.options.MaxBytes {
		m.remove(m.order.Back().Value.(*memoryEntry).id)
	}
	return e.version, nil
}

// Delete removes a history.
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := check(ctx, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
	return nil
}

func check(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return CheckID(id)
}

// find is the entry of an id; one that has expired is removed.
func (m *Memory) find(id string) *memoryEntry {
	element := m.byID[id]
	if element == nil {
		return nil
	}
	e := element.Value.(*memoryEntry)
	if !e.expires.IsZero() && !time.Now().Before(e.expires) {
		m.remove(id)
		return nil
	}
	return e
}

func (m *Memory) remove(id string) {
	element := m.byID[id]
	if element == nil {
		return
	}
	e := m.order.Remove(element).(*memoryEntry)
	delete(m.byID, id)
	m.bytes -= len(e.data) + len(id)
}
