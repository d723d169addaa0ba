package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Op is an operation of a [Store].
type Op string

// The operations.
const (
	OpGet    Op = "get"
	OpSet    Op = "set"
	OpDelete Op = "delete"
)

// FailOpenOptions are those of [FailOpen].
type FailOpenOptions struct {
	// OnError is told of every error that FailOpen keeps from its caller, and
	// of those of Delete. It runs within the operation, on its goroutine, so
	// it must be quick and safe for concurrent use. The error holds no value;
	// the key holds the tenant. The default is nobody.
	OnError func(ctx context.Context, op Op, key Key, err error)

	// Failures is how many failures in a row open the breaker. The default
	// is 5; a negative number means that there is no breaker.
	Failures int

	// Cooldown is how long an open breaker keeps the store unasked. After it
	// one operation tries the store, and closes the breaker if that works.
	// The default is one second.
	Cooldown time.Duration

	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// FailOpen returns a store for which a sick store is an empty one: its Get
// misses and its Set does nothing wherever those of the given store fail. So a
// request never fails, nor waits for long, because of a cache. Wrap with it
// what is across a network.
//
// It has a circuit breaker. What counts as a failure is an error of the store:
// neither a miss, nor [ErrCorrupt] or [ErrTooLarge], which a working store
// returns, nor an operation whose own context is done, which gets the context's
// error. Delete does return its error, [ErrUnavailable] with an open breaker:
// whoever must delete has to know whether it was done. Where a Set was dropped,
// the value before it may still be there.
func FailOpen(store Store, optFns ...func(*FailOpenOptions)) *FailOpenStore {
	var o FailOpenOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.OnError == nil {
		o.OnError = func(context.Context, Op, Key, error) {}
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

// FailOpenStore is made by [FailOpen].
type FailOpenStore struct {
	store   Store
	options FailOpenOptions

	mu      sync.Mutex
	row     int       // failures in a row
	until   time.Time // when an open breaker may try the store; zero if closed
	probing bool      // an operation is trying it
	stats   FailOpenStats
}

// FailOpenStats counts what became of the operations of a [FailOpenStore].
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

// Get implements [Store]. Its errors are [ErrNotFound] and that of the context.
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

// Set implements [Store]. Its errors are that of the context and that of a TTL
// that is not positive.
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

// do asks the store, unless the breaker is open, and tells who has to know.
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
		s.options.OnError(ctx, op, key, err)
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
