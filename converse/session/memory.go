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

// MemoryOptions are the options of a [MemoryStore]. The zero value of a field means
// its default.
type MemoryOptions struct {
	// MaxBytes bounds the size of all histories together, as JSON. When it is reached,
	// the least recently used histories are dropped. The default is 64 MiB.
	MaxBytes int

	// TTL is how long a history is kept after it was saved. By default it never
	// expires.
	TTL time.Duration
}

// A MemoryStore is a [Store] in memory, for one process and for tests.
type MemoryStore struct {
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
	busy    time.Time
	expires time.Time // zero: never
}

// NewMemoryStore returns an empty store.
func NewMemoryStore(optFns ...func(*MemoryOptions)) *MemoryStore {
	var o MemoryOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	return &MemoryStore{options: o, byID: map[string]*list.Element{}, order: list.New()}
}

// Load returns a history, or [ErrNotFound].
func (m *MemoryStore) Load(ctx context.Context, id string) (History, error) {
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
	data, h := e.data, History{Version: e.version, Busy: e.busy} // the data is never changed
	m.mu.Unlock()
	if err := json.Unmarshal(data, &h.Messages); err != nil {
		return History{}, fmt.Errorf("session: reading a history: %w", err)
	}
	return h, nil
}

// Save stores a history. It returns [ErrTooLarge] if the history is larger than
// MaxBytes.
func (m *MemoryStore) Save(ctx context.Context, id string, h History) (int64, error) {
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
	if m.version(id) != h.Version {
		return 0, ErrConflict
	}
	return m.put(id, data, time.Time{}), nil
}

// Claim sets the time until which a request has claimed a session.
func (m *MemoryStore) Claim(ctx context.Context, id string, version int64, until time.Time) (int64, error) {
	if err := check(ctx, id); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version(id) != version {
		return 0, ErrConflict
	}
	data := []byte("[]")
	if e := m.find(id); e != nil {
		data = e.data
	}
	return m.put(id, data, until), nil
}

// version is that of a stored history, 0 if there is none.
func (m *MemoryStore) version(id string) int64 {
	if e := m.find(id); e != nil {
		return e.version
	}
	return 0
}

// put stores an entry and returns its version.
func (m *MemoryStore) put(id string, data []byte, busy time.Time) int64 {
	m.remove(id)
	m.last++
	e := &memoryEntry{id: id, data: data, version: m.last, busy: busy}
	if m.options.TTL > 0 {
		e.expires = time.Now().Add(m.options.TTL)
	}
	m.byID[id] = m.order.PushFront(e)
	m.bytes += len(data) + len(id)
	for m.bytes > m.options.MaxBytes {
		m.remove(m.order.Back().Value.(*memoryEntry).id)
	}
	return e.version
}

// Delete removes a history.
func (m *MemoryStore) Delete(ctx context.Context, id string) error {
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
func (m *MemoryStore) find(id string) *memoryEntry {
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

func (m *MemoryStore) remove(id string) {
	element := m.byID[id]
	if element == nil {
		return
	}
	e := m.order.Remove(element).(*memoryEntry)
	delete(m.byID, id)
	m.bytes -= len(e.data) + len(id)
}
