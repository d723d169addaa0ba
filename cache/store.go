package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of a [Store], to be found with errors.Is.
var (
	// ErrNotFound is a miss: there is no entry, or its time has passed.
	ErrNotFound = errors.New("cache: not found")

	// ErrCorrupt says that what was found is not what was stored: it is
	// damaged, of another key, of another format, or encrypted with a key
	// that is not known. The store itself works.
	ErrCorrupt = errors.New("cache: corrupt entry")

	// ErrTooLarge says that a value is larger than the store takes.
	ErrTooLarge = errors.New("cache: value too large")

	// ErrUnavailable says that a store was not asked, because it failed too
	// often just before ([FailOpen]).
	ErrUnavailable = errors.New("cache: store unavailable")
)

// A Store keeps values for a time. It may lose any of them at any time, but it
// never returns another value than the last that was set for the key: when it
// cannot be sure, it returns an error.
//
// A store is safe for concurrent use. It returns early with the context's error
// when its context is done. It says what goes wrong and leaves it to
// [FailOpen] to treat that as a miss. Package cachetest checks all of this.
type Store interface {
	// Get returns the entry of a key. A miss is [ErrNotFound]. The value may
	// be shared with the store and with other callers: nobody may change it.
	Get(ctx context.Context, key Key) (Entry, error)

	// Set stores a value for at most ttl, which must be positive, in place of
	// what was there. The value is the caller's again when Set returns. A nil
	// value is an empty one.
	Set(ctx context.Context, key Key, value []byte, ttl time.Duration) error

	// Delete removes the entry of a key. It is no error if there is none.
	Delete(ctx context.Context, key Key) error
}

// An Entry is what a store returns.
type Entry struct {
	// Value is what was set. It may be shared: do not change it.
	Value []byte

	// Expires is when the entry will be gone at the latest. A store that
	// cannot tell leaves it zero.
	Expires time.Time
}

// CheckTTL returns an error unless ttl is one that [Store.Set] takes. It is for
// those who write a store.
func CheckTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("cache: a TTL of %v; it must be positive", ttl)
	}
	return nil
}
