package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The errors of a [Store]. Find them with errors.Is.
var (
	// ErrNotFound is a miss: there is no entry, or it has expired.
	ErrNotFound = errors.New("cache: not found")

	// ErrCorrupt means that an entry is not what was stored: it is damaged, belongs to
	// another key, has another format, or is encrypted with an unknown key. The store
	// itself works.
	ErrCorrupt = errors.New("cache: corrupt entry")

	// ErrTooLarge means that a value is larger than the store takes.
	ErrTooLarge = errors.New("cache: value too large")

	// ErrUnavailable means that a store was not asked, because it has just failed too
	// often ([FailOpen]).
	ErrUnavailable = errors.New("cache: store unavailable")
)

// Op is an operation of a [Store].
type Op string

// The operations.
const (
	OpGet    Op = "get"
	OpSet    Op = "set"
	OpDelete Op = "delete"
)

// StoreError is the error of an operation of a [Store]. OnError of [FailOpenOptions]
// and of bedrockx.CacheOptions gets it.
type StoreError struct {
	Op  Op
	Key Key // includes the tenant
	Err error
}

// Error says which operation failed and why. It does not repeat the key or a value.
func (e *StoreError) Error() string { return "cache: " + string(e.Op) + ": " + e.Err.Error() }

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// A Store keeps values for a time. It may lose a value at any time, but it must return
// only the value that was set last for the key. If it cannot be sure, it returns an
// error.
//
// A store must be safe for concurrent use. If its context is done, it returns early
// with the context's error. It returns its own errors; [FailOpen] treats them as
// misses. Package cachetest tests all of this.
type Store interface {
	// Get returns the entry of a key, or [ErrNotFound]. The value may be shared with
	// the store and with other callers: the caller must not change it.
	Get(ctx context.Context, key Key) (Entry, error)

	// Set stores a value for at most ttl, which must be positive, and replaces the old
	// value. The caller may change value after Set has returned. A nil value is an
	// empty value.
	Set(ctx context.Context, key Key, value []byte, ttl time.Duration) error

	// Delete removes the entry of a key. It is not an error if there is none.
	Delete(ctx context.Context, key Key) error
}

// An Entry is what a store returns.
type Entry struct {
	// Value is the stored value. It may be shared: do not change it.
	Value []byte

	// Expires is the latest time at which the entry expires. It is zero if the store
	// does not know it.
	Expires time.Time
}

// CheckTTL returns an error if [Store.Set] must refuse ttl. Use it to implement a
// store.
func CheckTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("cache: a TTL of %v; it must be positive", ttl)
	}
	return nil
}
