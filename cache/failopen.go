package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// FailOpenOptions are the options of [FailOpen]. The zero value of a field means its
// default.
type FailOpenOptions struct {
	// OnError is called with each error that FailOpen does not return, and with the
	// errors of Delete. Each is a [*StoreError]. It runs in the goroutine of the
	// operation, so it must be fast and safe for concurrent use. The default does
	// nothing.
	OnError func(ctx context.Context, err error)

	// Failures is how many failures in a row open the breaker. The default is 5;
	// negative means no breaker.
	Failures int

	// Cooldown is how long the store is not asked while the breaker is open. After
	// that, one operation tries the store, and closes the breaker if it succeeds. The
	// default is one second.
	Cooldown time.Duration

	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// FailOpen returns a store that treats a failing store as empty: if the given store
// fails, Get returns a miss and Set does nothing. So a request never fails, or waits
// long, because of a cache. Use it for every store that is reached over a network.
//
// It has a circuit breaker, which counts errors of the store. A miss, [ErrCorrupt] and
// [ErrTooLarge] do not count, because a working store returns them. An operation whose
// context is done does not count either; it returns the context's error. Delete
// returns its error, and [ErrUnavailable] if the breaker is open, because a caller
// that must delete has to know whether it was done. If a Set was dropped, the old
// value may still be there.
func FailOpen(store Store, optFns ...func(*FailOpenOptions)) *FailOpenStore {
	var o FailOpenOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.OnError == nil {
		o.OnError = func(context.Context, error) {}
	}
	if o.Failures == 0 {
		o.Failures = 5
	}
	if o.Cooldown <= 0 {
		o.Cooldown = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &FailOpenStore{store: store, options: o}
}

// FailOpenStore is the store that [FailOpen] returns.
type FailOpenStore struct {
	store   Store
	options FailOpenOptions

	mu      sync.Mutex
	row     int       // failures in a row
	until   time.Time // when an open breaker may try the store; zero if closed
	probing bool      // an operation is trying it
	stats   FailOpenStats
}

// FailOpenStats counts the results of a [FailOpenStore]'s operations.
type FailOpenStats struct {
	Failures uint64 `json:"failures"` // errors of the store
	Corrupt  uint64 `json:"corrupt"`  // entries that were [ErrCorrupt]
	TooLarge uint64 `json:"too_large"`
	Skipped  uint64 `json:"skipped"` // operations that found the breaker open
	Open     bool   `json:"open"`    // whether the breaker is open now
}

// Stats returns the counts since the store was made.
func (s *FailOpenStore) Stats() FailOpenStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Open = !s.until.IsZero()
	return stats
}

// Get implements [Store]. It returns only [ErrNotFound] or the error of the context.
func (s *FailOpenStore) Get(ctx context.Context, key Key) (Entry, error) {
	var e Entry
	err := s.do(ctx, OpGet, key, func() (err error) {
		e, err = s.store.Get(ctx, key)
		return err
	})
	switch {
	case err == nil:
		return e, nil
	case ctx.Err() != nil:
		return Entry{}, ctx.Err()
	}
	return Entry{}, ErrNotFound
}

// Set implements [Store]. It returns only the error of the context, or an error if ttl
// is not positive.
func (s *FailOpenStore) Set(ctx context.Context, key Key, value []byte, ttl time.Duration) error {
	if err := CheckTTL(ttl); err != nil {
		return err
	}
	err := s.do(ctx, OpSet, key, func() error { return s.store.Set(ctx, key, value, ttl) })
	if err != nil {
		return ctx.Err()
	}
	return nil
}

// Delete implements [Store].
func (s *FailOpenStore) Delete(ctx context.Context, key Key) error {
	return s.do(ctx, OpDelete, key, func() error { return s.store.Delete(ctx, key) })
}

// do asks the store, unless the breaker is open, and reports to those who have to know.
func (s *FailOpenStore) do(ctx context.Context, op Op, key Key, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	probe, ok := s.admit()
	if !ok {
		return ErrUnavailable
	}
	err := errPanicked
	defer func() { s.settle(ctx, probe, err) }()
	err = fn()
	if err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
		s.options.OnError(ctx, &StoreError{Op: op, Key: key, Err: err})
	}
	return err
}

// errPanicked is what an operation that panics counts as.
var errPanicked = errors.New("cache: the store panicked")

// admit says whether the store may be asked, and whether that is the probe of an
// open breaker.
func (s *FailOpenStore) admit() (probe, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.IsZero() {
		return false, true
	}
	if s.probing || s.options.Now().Before(s.until) {
		s.stats.Skipped++
		return false, false
	}
	s.probing = true
	return true, true
}

// settle counts the outcome and moves the breaker.
func (s *FailOpenStore) settle(ctx context.Context, probe bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if probe {
		s.probing = false
	}
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrCorrupt):
		s.stats.Corrupt++
	case errors.Is(err, ErrTooLarge):
		s.stats.TooLarge++
	case ctx.Err() != nil: // says nothing of the store
		return
	default:
		s.stats.Failures++
		s.row++
		if probe || s.until.IsZero() && s.options.Failures > 0 && s.row >= s.options.Failures {
			s.until = s.options.Now().Add(s.options.Cooldown)
		}
		return
	}
	if probe || s.until.IsZero() { // and not an operation from before it opened
		s.row, s.until = 0, time.Time{}
	}
}
