package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/internal/timed"
)

// State is where a delivery stands: pending, and then delivered, failed or gone.
type State string

// The states.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed" // refused, or all attempts were made
	Gone      State = "gone"   // answered with 410: nothing more is to be sent there
)

// A Delivery is a body to send to one URL, and the state of sending it.
type Delivery struct {
	ID   string          `json:"id"` // the webhook-id of all attempts
	URL  string          `json:"url"`
	Body json.RawMessage `json:"body"`

	State       State     `json:"state"`
	Attempt     int       `json:"attempt"`      // how many were begun
	NextAttempt time.Time `json:"next_attempt"` // while it is pending
	CreatedAt   time.Time `json:"created_at"`
	EndedAt     time.Time `json:"ended_at,omitzero"`

	// LastStatus is the HTTP status of the last attempt, 0 where there was no
	// response; LastError is then a word for why, such as "refused".
	LastStatus int    `json:"last_status,omitempty"`
	LastError  string `json:"last_error,omitempty"`

	// Version counts the writes. A store refuses the update of another one.
	Version int64 `json:"version"`
}

// A Store keeps deliveries. It must be safe for concurrent use, and honours its
// context.
type Store interface {
	// Create stores a new delivery as version 1. The error for an id that
	// exists wraps [asyncq.ErrExists].
	Create(ctx context.Context, d Delivery) error

	// Due returns pending deliveries whose NextAttempt has come, the earliest
	// first, at most limit. One that cannot be read holds up no other: Due
	// returns the others, and an error beside them.
	Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error)

	// Get returns a delivery. The error for one that does not exist wraps
	// [asyncq.ErrNotFound].
	Get(ctx context.Context, id string) (Delivery, error)

	// Update replaces the delivery whose stored version is d.Version, and
	// stores it as the next version. The error for another version wraps
	// [asyncq.ErrConflict], that for an id that does not exist
	// [asyncq.ErrNotFound].
	Update(ctx context.Context, d Delivery) error
}

// MemoryStore is a [Store] in memory, for tests and for programs that may lose
// deliveries when they end. [NewMemoryStore] makes one.
type MemoryStore struct {
	retention  time.Duration
	mu         sync.Mutex
	deliveries map[string]Delivery
	pending    timed.Queue // ids, by NextAttempt
	ended      timed.Queue // ids, by EndedAt
}

// MemoryOptions are the options of [NewMemoryStore]. The zero value of a field means its
// default.
type MemoryOptions struct {
	// Retention is how long a delivery that has ended is kept; meanwhile its
	// notification makes no other one. The default is a day.
	Retention time.Duration
}

// NewMemoryStore returns an empty store.
func NewMemoryStore(optFns ...func(*MemoryOptions)) *MemoryStore {
	var o MemoryOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Retention <= 0 {
		o.Retention = 24 * time.Hour
	}
	return &MemoryStore{retention: o.Retention, deliveries: map[string]Delivery{}}
}

// Create implements [Store].
func (m *MemoryStore) Create(ctx context.Context, d Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for kept := time.Now().Add(-m.retention); ; {
		id, ok := m.ended.Pop(kept)
		if !ok {
			break
		}
		delete(m.deliveries, id)
	}
	if _, ok := m.deliveries[d.ID]; ok {
		return fmt.Errorf("webhook: the delivery %s: %w", d.ID, asyncq.ErrExists)
	}
	d.Version, d.Body = 1, bytes.Clone(d.Body)
	m.put(d)
	return nil
}

// put keeps a delivery. The store is locked.
func (m *MemoryStore) put(d Delivery) {
	m.deliveries[d.ID] = d
	if d.State == Pending {
		m.ended.Delete(d.ID)
		m.pending.Set(d.ID, d.NextAttempt)
		return
	}
	m.pending.Delete(d.ID)
	m.ended.Set(d.ID, d.EndedAt)
}

// Due implements [Store].
func (m *MemoryStore) Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []Delivery
	for _, id := range m.pending.Due(now, limit) {
		d := m.deliveries[id]
		d.Body = bytes.Clone(d.Body)
		due = append(due, d)
	}
	return due, nil
}

// Get implements [Store].
func (m *MemoryStore) Get(ctx context.Context, id string) (Delivery, error) {
	if err := ctx.Err(); err != nil {
		return Delivery{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.deliveries[id]
	if !ok {
		return Delivery{}, fmt.Errorf("webhook: the delivery %s: %w", id, asyncq.ErrNotFound)
	}
	d.Body = bytes.Clone(d.Body)
	return d, nil
}

// Update implements [Store].
func (m *MemoryStore) Update(ctx context.Context, d Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.deliveries[d.ID]
	switch {
	case !ok:
		return fmt.Errorf("webhook: the delivery %s: %w", d.ID, asyncq.ErrNotFound)
	case old.Version != d.Version:
		return fmt.Errorf("webhook: the delivery %s: %w", d.ID, asyncq.ErrConflict)
	}
	d.Version++
	d.Body = bytes.Clone(d.Body)
	m.put(d)
	return nil
}
