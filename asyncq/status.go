package asyncq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// State is where a job stands: queued → processing → completed, failed or
// cancelled; a job that is tried again is queued in between.
type State string

// The states.
const (
	Queued     State = "queued"
	Processing State = "processing"
	Completed  State = "completed"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// Done reports whether a job in this state has ended.
func (s State) Done() bool { return s == Completed || s == Failed || s == Cancelled }

// Status is what is known of a job.
type Status struct {
	ID       string            `json:"request_id"`
	State    State             `json:"status"`
	Priority Priority          `json:"priority,omitempty"`
	Queue    string            `json:"queue,omitempty"` // its name
	Metadata map[string]string `json:"metadata,omitempty"`

	// Attempt counts how often a worker has begun, from 1. Lease is that of
	// the worker that has it, and LeaseUntil when another may take it.
	Attempt    int       `json:"attempt,omitempty"`
	Lease      string    `json:"lease,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`

	// Step of Steps says how far the handler is, as it told by Job.Progress.
	Step  int `json:"step,omitempty"`
	Steps int `json:"steps,omitempty"`

	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"` // of the last attempt
	UpdatedAt  time.Time `json:"updated_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at"` // when the store may forget it

	// ErrorClass is what went wrong last, such as "throttled" or "panic":
	// the kind of a *bedrockx.Error, or what an error's ErrorClass method
	// says. An error's text is not kept: it may quote the prompt.
	ErrorClass string `json:"error_class,omitempty"`

	// ResultKey is where the result is in the worker's Results; empty where
	// the handler gave none.
	ResultKey string `json:"result_key,omitempty"`

	// Usage and Cost are what the handler reported, over all attempts that
	// told.
	Usage bedrockkit.Usage `json:"usage,omitzero"`
	Cost  *pricing.Amount  `json:"cost,omitempty"`

	// Notified says that the Notifier has taken the job's end, DeadLettered that
	// the message of a failed job is in the dead-letter queue.
	Notified     bool `json:"notified,omitempty"`
	DeadLettered bool `json:"dead_lettered,omitempty"`

	// PayloadHash is the SHA-256 of the payload's JSON, in hex: an idempotency
	// key stands for one payload.
	PayloadHash string `json:"payload_sha256,omitempty"`

	// Version counts the writes. A store refuses the update of another one.
	Version int64 `json:"version"`
}

// A StatusStore keeps statuses. All writes are conditional, so that of two
// workers that believe to have a job one is refused. It must be safe for
// concurrent use, and honours its context. queuetest.TestStatusStore is its
// conformance suite.
//
// A status that has expired does not exist, whether or not it is still stored.
type StatusStore interface {
	// Create stores a new status as version 1. The error for an id that
	// exists wraps [ErrExists].
	Create(ctx context.Context, s Status) error

	// Get returns the status of an id. The error for one that does not exist
	// wraps [ErrNotFound].
	Get(ctx context.Context, id string) (Status, error)

	// Update replaces the status whose stored version is s.Version, and
	// stores it as the next version. The error for another version wraps
	// [ErrConflict], that for an id that does not exist [ErrNotFound].
	Update(ctx context.Context, s Status) error
}

// The errors of stores.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrConflict = errors.New("was changed by another")
)

// NewMemoryStatus returns a StatusStore in memory, for tests and for programs of
// one process.
func NewMemoryStatus() *MemoryStatus { return &MemoryStatus{statuses: map[string]Status{}} }

// MemoryStatus is a StatusStore in memory. What has expired is forgotten as new
// ones come.
type MemoryStatus struct {
	mu       sync.Mutex
	statuses map[string]Status
	swept    time.Time
}

// Create implements [StatusStore].
func (m *MemoryStatus) Create(ctx context.Context, s Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.swept) > time.Minute {
		m.swept = now
		for id, old := range m.statuses {
			if old.expired(now) {
				delete(m.statuses, id)
			}
		}
	}
	if old, ok := m.statuses[s.ID]; ok && !old.expired(now) {
		return fmt.Errorf("creating the status of %s: %w", s.ID, ErrExists)
	}
	s.Version = 1
	m.statuses[s.ID] = s.clone()
	return nil
}

// Get implements [StatusStore].
func (m *MemoryStatus) Get(ctx context.Context, id string) (Status, error) {
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.statuses[id]
	if !ok || s.expired(time.Now()) {
		return Status{}, fmt.Errorf("the status of %s: %w", id, ErrNotFound)
	}
	return s.clone(), nil
}

// Update implements [StatusStore].
func (m *MemoryStatus) Update(ctx context.Context, s Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.statuses[s.ID]
	switch {
	case !ok || old.expired(time.Now()):
		return fmt.Errorf("updating the status of %s: %w", s.ID, ErrNotFound)
	case old.Version != s.Version:
		return fmt.Errorf("updating the status of %s: %w", s.ID, ErrConflict)
	}
	s.Version++
	m.statuses[s.ID] = s.clone()
	return nil
}

func (s Status) expired(now time.Time) bool { return !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt) }

// clone shares nothing with s.
func (s Status) clone() Status {
	if s.Metadata != nil {
		metadata := make(map[string]string, len(s.Metadata))
		for k, v := range s.Metadata {
			metadata[k] = v
		}
		s.Metadata = metadata
	}
	if s.Cost != nil {
		cost := *s.Cost
		s.Cost = &cost
	}
	return s
}
