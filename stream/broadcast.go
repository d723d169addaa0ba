package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// ErrGap is the error of a reader that cannot go on from its sequence: messages
// after it were forgotten, or the answer has not come so far and the reader saw
// another one.
var ErrGap = errors.New("the answer cannot be resumed from this sequence")

// ErrAbandoned is the error of an answer that nobody read any more.
var ErrAbandoned = errors.New("nobody reads the answer")

// BroadcastOptions are those of a [Broadcast]. The zero value of a field means
// its default.
type BroadcastOptions struct {
	// Keep is how many messages can be replayed. The default is 10,000, which is
	// more than most answers have.
	Keep int

	// Grace is how long an answer goes on without a reader, so that one that
	// lost its connection can come back. The default is 30 s; negative means
	// that it goes on to its end.
	Grace time.Duration
}

// A Broadcast gives one answer to any number of readers, each from the sequence
// that it asks for: to several devices of one user, or to one that lost its
// connection and comes back. It is safe for concurrent use.
//
// [Broadcast.Run] reads the answer; a reader that is slow holds nobody up, as
// messages wait for it within Keep.
type Broadcast struct {
	keep  int
	grace time.Duration

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced with every message
	messages []Message     // the newest; the first has the sequence forgotten+1
	gone     int64         // messages that were forgotten
	readers  int
	running  *Stream // nil before Run and after the end
	idle     *time.Timer
	ran      bool
	left     bool // nobody read for the grace period
	ended    bool
}

// NewBroadcast returns a broadcast that nobody reads yet.
func NewBroadcast(optFns ...func(*BroadcastOptions)) *Broadcast {
	var o BroadcastOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	return &Broadcast{keep: o.Keep, grace: o.Grace, changed: make(chan struct{})}
}

// Run reads the stream to its end and gives it to the readers. It returns the
// stream's error, or [ErrAbandoned] when nobody has read for the grace period;
// the model is stopped then. A broadcast can be run once; another Run closes its
// stream and returns [ErrUsed].
func (b *Broadcast) Run(s *Stream) error {
	b.mu.Lock()
	if b.ran {
		b.mu.Unlock()
		s.Close()
		return fmt.Errorf("a broadcast is of one answer: %w", ErrUsed)
	}
	b.ran, b.running = true, s
	b.wait()
	b.mu.Unlock()
	var failed error
	for m, err := range s.Messages() {
		b.add(m)
		failed = err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.running = true, nil
	if b.idle != nil {
		b.idle.Stop()
	}
	b.wake()
	if b.left && failed != nil {
		return ErrAbandoned
	}
	return failed
}

// wait starts the grace period when nobody reads.
func (b *Broadcast) wait() {
	if b.readers > 0 || b.running == nil || b.grace < 0 {
		return
	}
	b.idle = time.AfterFunc(b.grace, func() {
		b.mu.Lock()
		s := b.running
		b.left = b.readers == 0 && s != nil
		left := b.left
		b.mu.Unlock()
		if left {
			s.Close()
		}
	})
}

func (b *Broadcast) add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	if len(b.messages) > b.keep {
		b.messages = b.messages[1:]
		b.gone++
	}
	b.wake()
}

func (b *Broadcast) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Subscribe yields the messages after a sequence, 0 for all, first those that
// came before and then the others as they come, to the last. It may be called
// before Run, for all. An error comes once and last: [ErrGap], or the cause of
// ctx.
// Leaving the loop unsubscribes.
func (b *Broadcast) Subscribe(ctx context.Context, after int64) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		b.mu.Lock()
		b.readers++
		if b.idle != nil {
			b.idle.Stop()
			b.idle = nil
		}
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.readers--
			b.wait()
		}()
		for next := max(0, after); ; {
			m, ok, changed, err := b.get(next)
			switch {
			case err != nil:
				yield(Message{}, err)
				return
			case ok:
				if !yield(m, nil) || m.Last() {
					return
				}
				next = m.Sequence
				continue
			case changed == nil:
				return // it has ended, and all was seen
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(Message{}, context.Cause(ctx))
				return
			}
		}
	}
}

// get returns the message after a sequence, or what to wait for until there is
// one, nil if there never will be.
func (b *Broadcast) get(after int64) (m Message, ok bool, changed <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := after - b.gone
	switch {
	case i < 0 || i > int64(len(b.messages)):
		return m, false, nil, fmt.Errorf("%w: after %d; it has %d to %d", ErrGap, after, b.gone+1, b.gone+int64(len(b.messages)))
	case i < int64(len(b.messages)):
		return b.messages[i], true, nil, nil
	case b.ended:
		return m, false, nil, nil
	}
	return m, false, b.changed, nil
}
