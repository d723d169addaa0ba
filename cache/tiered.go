package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// TieredOptions are the options of [Tiered]. The zero value of a field means its
// default.
type TieredOptions struct {
	// FastTTL bounds how long the fast store keeps an entry. So it bounds how long
	// this process may still return an entry that another process has deleted or
	// replaced. The default is one minute.
	FastTTL time.Duration

	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// Tiered returns a store that asks fast first, which is in the memory of this process,
// and then slow, which other processes share. It keeps entries of slow in fast, but
// never longer than slow would keep them.
//
// An error of fast is treated as a miss; an error of slow is returned. With
// Tiered(memory, FailOpen(redis)), a failure of Redis is not returned.
func Tiered(fast, slow Store, optFns ...func(*TieredOptions)) Store {
	o := TieredOptions{FastTTL: time.Minute, Now: time.Now}
	for _, fn := range optFns {
		fn(&o)
	}
	if o.FastTTL <= 0 {
		o.FastTTL = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &tiered{fast: fast, slow: slow, options: o}
}

type tiered struct {
	fast, slow Store
	options    TieredOptions
	stripes    [64]stripe
}

// A stripe counts the changes of its keys, so that what Get has read from slow
// is not put into fast after a Set or Delete that it did not see. Of two changes
// at once nobody knows which was the last one in slow, so neither leaves
// anything in fast.
type stripe struct {
	mu      sync.Mutex
	changes uint64 // that have ended
	running int    // changes under way
}

func (t *tiered) stripe(key *Key) *stripe { return &t.stripes[key.Sum[0]%64] }

func (t *tiered) Get(ctx context.Context, key Key) (Entry, error) {
	if e, err := t.fast.Get(ctx, key); err == nil {
		return e, nil
	}
	s := t.stripe(&key)
	s.mu.Lock()
	before := s.changes
	s.mu.Unlock()

	e, err := t.slow.Get(ctx, key)
	if err != nil {
		return Entry{}, err
	}
	ttl := t.options.FastTTL
	if !e.Expires.IsZero() {
		ttl = min(ttl, e.Expires.Sub(t.options.Now()))
	}
	if ttl > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.changes == before {
			_ = t.fast.Set(ctx, key, e.Value, ttl) // it is found in slow the next time
		}
	}
	return e, nil
}

func (t *tiered) Set(ctx context.Context, key Key, value []byte, ttl time.Duration) error {
	if err := CheckTTL(ttl); err != nil {
		return err
	}
	return t.change(ctx, &key, func() error { return t.slow.Set(ctx, key, value, ttl) }, func() error {
		err := t.fast.Set(ctx, key, value, min(ttl, t.options.FastTTL))
		if err != nil { // the old value must not stay
			return errors.Join(ignoreTooLarge(err), t.fast.Delete(ctx, key))
		}
		return nil
	})
}

// ignoreTooLarge is for a value that only slow has room for.
func ignoreTooLarge(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return nil
	}
	return err
}

func (t *tiered) Delete(ctx context.Context, key Key) error {
	return t.change(ctx, &key, func() error { return t.slow.Delete(ctx, key) }, func() error { return t.fast.Delete(ctx, key) })
}

// change changes slow and then fast.
func (t *tiered) change(ctx context.Context, key *Key, slow, fast func() error) error {
	s := t.stripe(key)
	s.mu.Lock()
	before := s.changes
	s.running++
	s.mu.Unlock()
	returned := false
	defer func() {
		if !returned { // slow has panicked
			s.mu.Lock()
			defer s.mu.Unlock()
			s.running--
			s.changes++
		}
	}()
	err := slow()
	returned = true

	s.mu.Lock()
	defer s.mu.Unlock()
	alone := s.running == 1 && s.changes == before
	s.running--
	s.changes++
	if !alone {
		fast = func() error { return t.fast.Delete(ctx, *key) }
	}
	return errors.Join(err, fast())
}
