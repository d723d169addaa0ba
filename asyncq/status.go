package asyncq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq/internal/timed"
	"github.com/mangaassist/bedrockkit/pricing"
)

// State is the state of a job: queued → processing → completed, failed or cancelled. A
// job that is tried again is queued in between.
type State string

// The states.
const (
	Queued     State = "queued"
	Processing State = "processing"
	Completed  State = "completed"
	Failed     State = "failed"
	Canceled   State = "cancelled"
)

// Done reports whether a job in this state has ended.
func (s State) Done() bool { return s == Completed || s == Failed || s == Canceled }

// Status is what is known of a job.
type Status struct {
	ID       string            `json:"request_id"`
	State    State             `json:"status"`
	Priority Priority          `json:"priority,omitempty"`
	Queue    string            `json:"queue,omitempty"` // its name
	Metadata map[string]string `json:"metadata,omitempty"`

	// Attempt counts how often a worker has started the job, from 1. Lease is the
	// lease of the last attempt, and LeaseUntil the time after which another worker
	// may take the job.
	Attempt    int       `json:"attempt,omitempty"`
	Lease      string    `json:"lease,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`

	// RetryAt is the earliest time at which a waiting job is started again.
	RetryAt time.Time `json:"retry_at,omitzero"`

	// Step and Steps are the progress of the handler, from Job.Progress.
	Step  int `json:"step,omitempty"`
	Steps int `json:"steps,omitempty"`

	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"` // of the last attempt
	UpdatedAt  time.Time `json:"updated_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at"` // when the store may remove it

	// ErrorClass is the class of the last error, such as "throttled" or "panic": the
	// kind of a *bedrockx.Error, or what an error's ErrorClass method returns. The
	// text of an error is not kept, because it may quote the prompt.
	ErrorClass string `json:"error_class,omitempty"`

	// ResultKey is the key of the result in the worker's Results. It is empty if the
	// handler set no result.
	ResultKey string `json:"result_key,omitempty"`

	// Usage and Cost are what the handler reported, summed over all attempts that
	// reported it.
	Usage bedrockkit.Usage `json:"usage,omitzero"`
	Cost  *pricing.Amount  `json:"cost,omitempty"`

	// Notified says that the Notifier was called for the end of the job and succeeded.
	// DeadLettered says that the message of a failed job is in the dead-letter queue.
	Notified     bool `json:"notified,omitempty"`
	DeadLettered bool `json:"dead_lettered,omitempty"`

	// Refused says that SQS has refused the message of the job. The job is then
	// failed, and ErrorClass is the code of SQS. No worker can have it. Its id can be
	// submitted again.
	Refused bool `json:"refused,omitempty"`

	// Message is the id of the SQS message whose delivery ended the job.
	Message string `json:"message_id,omitempty"`

	// PayloadHash is the SHA-256 of the payload's JSON, in hex. It ensures that an id
	// is used for one payload only.
	PayloadHash string `json:"payload_sha256,omitempty"`

	// Version counts the writes. A store refuses an update with another version.
	Version int64 `json:"version"`
}

// NotificationID returns the id of the notification of the job's end; see
// [Notification]. It changes if the job is redriven, or if its id is used again.
func (s Status) NotificationID() string {
	return s.ID + "." + string(s.State) + "." + strconv.FormatInt(s.FinishedAt.UnixMilli(), 10)
}

// A StatusStore keeps statuses. All writes are conditional: if two workers think that
// they have a job, one is refused. It must be safe for concurrent use, and must return
// when its context is done. queuetest.TestStatusStore is its conformance suite.
//
// A status that has expired counts as not existing, even if it is still stored.
type StatusStore interface {
	// Create stores a new status as version 1. If the id exists, the error wraps
	// [ErrExists].
	Create(ctx context.Context, s Status) error

	// Get returns the status of an id. If it does not exist, the error wraps
	// [ErrNotFound].
	Get(ctx context.Context, id string) (Status, error)

	// Update replaces the status whose stored version is s.Version and whose CreatedAt
	// is s.CreatedAt, and stores it as the next version. If one of them differs, the
	// error wraps [ErrConflict]. If the id does not exist, it wraps [ErrNotFound]. (If
	// an id is used again after it has expired, its versions begin at 1 again; only
	// CreatedAt distinguishes the two jobs.)
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

// MemoryStatus is a StatusStore in memory. Expired statuses are removed when new ones
// are created; there is no other bound on their number.
type MemoryStatus struct {
	mu       sync.Mutex
	statuses map[string]Status
	expires  timed.Queue // ids, by ExpiresAt, but for those that never expire
}

// Create implements [StatusStore].
func (m *MemoryStatus) Create(ctx context.Context, s Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for id, ok := m.expires.Pop(now); ok; id, ok = m.expires.Pop(now) {
		delete(m.statuses, id)
	}
	if _, ok := m.statuses[s.ID]; ok {
		return fmt.Errorf("creating the status of %s: %w", s.ID, ErrExists)
	}
	s.Version = 1
	m.put(s.clone())
	return nil
}

// put keeps a status. The store is locked.
func (m *MemoryStatus) put(s Status) {
	m.statuses[s.ID] = s
	if s.ExpiresAt.IsZero() {
		m.expires.Delete(s.ID)
		return
	}
	m.expires.Set(s.ID, s.ExpiresAt)
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
	case old.Version != s.Version || !old.CreatedAt.Equal(s.CreatedAt):
		return fmt.Errorf("updating the status of %s: %w", s.ID, ErrConflict)
	}
	s.Version++
	m.put(s.clone())
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
