package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// ErrGap is the error of a reader that cannot go on from its sequence: messages after
// it were dropped, or the answer has not reached it, so the reader saw another answer.
// The reader should read the answer from the beginning. The code in an error message
// is "gap".
var ErrGap error = gapError{}

type gapError struct{}

func (gapError) Error() string       { return "the answer cannot be resumed from this sequence" }
func (gapError) MessageCode() string { return "gap" }

// ErrAbandoned is the error of an answer that was stopped because it had no reader.
var ErrAbandoned = errors.New("the answer has no reader")

// BroadcastOptions are the options of a [Broadcast]. The zero value of a field means
// its default.
type BroadcastOptions struct {
	// Keep is how many messages can be replayed. Older messages are dropped. The
	// default is 100,000.
	Keep int

	// KeepBytes bounds the memory of the messages that can be replayed, in bytes. A
	// piece of text takes its length and about 40 bytes. The default is 4 MiB.
	KeepBytes int

	// MaxMessage is the maximum size of one message as JSON, in bytes; see
	// [Sink.MaxMessage]. The default is 32 KiB, which fits every sink; the minimum is
	// 1 KiB. A larger message is split or cut before it gets its sequence, so all
	// readers get the same messages.
	MaxMessage int

	// Grace is how long an answer goes on without a reader, so that a reader that lost
	// its connection can come back. The default is 30 s; negative means that the
	// answer goes on to its end.
	Grace time.Duration
}

// A Broadcast sends one answer to any number of readers, each from the sequence that
// it asks for. Readers may be several devices of one user, or a device that lost its
// connection and comes back. It is safe for concurrent use.
//
// [Broadcast.Run] reads the answer and keeps its messages. Each reader takes the
// messages from there, so a slow reader does not delay the others. [Resume] makes a
// source from what a reader gets, for [Write].
type Broadcast struct {
	options BroadcastOptions

	mu      sync.Mutex
	changed chan struct{} // closed with the next message; nil if nobody waits
	kept    reel
	readers int
	running Source // nil before Run and after the end
	idle    *time.Timer
	ran     bool
	left    bool // nobody read for the grace period
	ended   bool
}

// NewBroadcast returns a broadcast without readers.
func NewBroadcast(optFns ...func(*BroadcastOptions)) *Broadcast {
	var o BroadcastOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Keep <= 0 {
		o.Keep = 100_000
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 4 << 20
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 32 << 10
	}
	o.MaxMessage = max(o.MaxMessage, minMessage)
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	return &Broadcast{options: o}
}

// Run reads the source to its end, passes the messages to the readers and closes the
// source. It returns the source's error. If there is no reader for
// BroadcastOptions.Grace, it stops the model and returns [ErrAbandoned]. A broadcast
// can run once; a second Run closes its source and returns [ErrUsed].
//
// If the source panics, the readers get an error at once, and Run panics.
func (b *Broadcast) Run(s Source) error {
	defer s.Close()
	b.mu.Lock()
	if b.ran {
		b.mu.Unlock()
		return fmt.Errorf("a broadcast is of one answer: %w", ErrUsed)
	}
	b.ran, b.running = true, s
	b.wait()
	b.mu.Unlock()

	failed := errNoEnd
	last := ErrorMessage(errNoEnd) // of a source that ends, or panics, without one
	defer func() { b.end(last) }()
	for m, err := range s.Messages() {
		if m.endOn(err); m.Last() {
			last, failed = m, err
			break
		}
		b.add(m)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left && failed != nil {
		return ErrAbandoned
	}
	return failed
}

// wait starts the grace period when nobody reads.
func (b *Broadcast) wait() {
	if b.readers > 0 || b.running == nil || b.options.Grace < 0 {
		return
	}
	b.idle = time.AfterFunc(b.options.Grace, func() {
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
	for piece := range m.fit(b.options.MaxMessage) {
		b.kept.add(piece)
	}
	b.kept.trim(b.options.Keep, b.options.KeepBytes)
	b.wake()
}

// end ends the answer for the readers.
func (b *Broadcast) end(last Message) {
	b.add(last)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.running = true, nil
	if b.idle != nil {
		b.idle.Stop()
	}
	b.wake()
}

func (b *Broadcast) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Subscribe yields the messages after a sequence (0 for all): first the messages that
// are kept, then the others as they arrive, to the last. It may be called before Run.
// An error is yielded once, at the end: [ErrGap], or the cause of ctx. If you leave
// the loop, the reader is unsubscribed. A reader that has seen the last message gets
// nothing.
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
	first, last := b.kept.bounds()
	switch {
	case after < first-1 || after > last:
		return m, false, nil, fmt.Errorf("%w: after %d; it has %d to %d", ErrGap, after, first, last)
	case after < last:
		return b.kept.get(after + 1), true, nil, nil
	case b.ended:
		return m, false, nil, nil
	case b.changed == nil:
		b.changed = make(chan struct{})
	}
	return m, false, b.changed, nil
}
