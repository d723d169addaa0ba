package stream

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// A queue holds messages between a source and a sink. One goroutine fills it
// and one takes what is there.
type queue struct {
	limit int // the most bytes of a message's JSON; more text is not joined
	max   int // the most bytes that wait

	// drop is called to give up a reader that makes no room; nil to wait for it.
	drop func()

	ready chan struct{} // there is something to take
	room  chan struct{} // all was taken
	full  chan struct{} // there is no more room: what gathers is to be sent

	mu      sync.Mutex
	waiting []Message
	text    []byte // of the newest, if more was joined to it
	size    int    // of the newest as JSON, if it is text
	bytes   int    // of all that wait
	sending bool   // the sink has messages; without one no reader is slow
	blocked bool   // the source waits for room
	ended   bool   // nothing more comes
	err     error  // how it ended

	crash *sourcePanic // of the source
	exits bool         // the source has called runtime.Goexit
}

func newQueue(limit, max int) *queue {
	return &queue{limit: limit, max: max,
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1), full: make(chan struct{}, 1)}
}

// notify wakes the goroutine that waits for a channel, now or later.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// slowAfter is how long a reader may take to make room. Without it, an answer
// that comes at once, such as one from a cache, would drop a fast reader.
const slowAfter = time.Second

// fill reads the source into the queue. A source that panics ends the answer
// with an error.
func (q *queue) fill(s Source) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			q.crash = &sourcePanic{v, debug.Stack()}
		} else {
			q.exits = true
		}
		q.add(ErrorMessage(errNoEnd), errNoEnd)
	}()
	some, more := false, true
	for m, err := range s.Messages() {
		some = true
		m.endOn(err)
		if more = q.add(m, err); !more {
			break
		}
	}
	returned = true
	switch {
	case !more:
	case !some && keepsSequences(s):
		q.end(nil) // its reader has seen all
	default:
		q.add(ErrorMessage(errNoEnd), errNoEnd)
	}
}

// overhead is about what a message takes in memory besides its text.
const overhead = 256

// add adds a message when there is room for it. It reports whether more may
// come.
func (q *queue) add(m Message, err error) bool {
	weight, size := len(m.Data)+len(m.Input), 0
	if m.isText() {
		size = quoted(m.Data)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+weight > q.max && !m.Last() {
		q.await(weight)
	}
	if q.ended {
		return false
	}
	if q.joins(&m, size) {
		last := &q.waiting[len(q.waiting)-1]
		if len(q.text) == 0 {
			q.text = append(q.text, last.Data...)
		}
		q.text = append(q.text, m.Data...)
		last.Sequence, q.size = m.Sequence, q.size+size
	} else {
		q.settle()
		q.waiting, q.size = append(q.waiting, m), size+envelope
		weight += overhead
	}
	q.bytes += weight
	q.ended, q.err = m.Last(), err
	notify(q.ready)
	if q.ended {
		notify(q.full)
	}
	return !q.ended
}

// joins reports whether a message's text of so many bytes may be joined to the
// newest that waits.
func (q *queue) joins(m *Message, size int) bool {
	if len(q.waiting) == 0 || !m.isPlain() {
		return false
	}
	last := &q.waiting[len(q.waiting)-1]
	return last.isPlain() && last.Type == m.Type && last.Round == m.Round && q.size+size <= q.limit
}

// await waits for room for so many bytes. The lock is held, but not while it
// waits.
func (q *queue) await(weight int) {
	var dropped <-chan time.Time
	if q.drop != nil {
		timer := time.NewTimer(slowAfter)
		defer timer.Stop()
		dropped = timer.C
	}
	q.blocked = true
	defer func() { q.blocked = false }()
	for q.bytes > 0 && q.bytes+weight > q.max && !q.ended {
		notify(q.full)
		q.mu.Unlock()
		select {
		case <-q.room:
			q.mu.Lock()
		case <-dropped:
			q.mu.Lock()
			if q.sending && !q.ended {
				q.stop(ErrSlowReader)
				q.drop()
			}
			dropped = nil
		}
	}
}

// settle gives the newest message the text that was joined to it.
func (q *queue) settle() {
	if len(q.text) > 0 {
		q.waiting[len(q.waiting)-1].Data = string(q.text)
		q.text = q.text[:0]
	}
}

// end ends the queue without a last message, if it has not ended.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.stop(err)
	}
}

// stop ends the queue and forgets what waits. The lock is held.
func (q *queue) stop(err error) {
	q.ended, q.err, q.waiting, q.text = true, err, nil, nil
	notify(q.ready)
	notify(q.room)
	notify(q.full)
}

// take waits for messages and takes all that are there. There are none when the
// heartbeat is due, and when the answer has ended without a last message, which
// done reports.
func (q *queue) take(ctx context.Context, coalesce, heartbeat time.Duration) (batch []Message, done bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = false
	if len(q.waiting) == 0 && !q.ended && !q.wait(heartbeat) {
		return nil, false, nil
	}
	if coalesce > 0 && !q.ended {
		q.gather(ctx, coalesce)
	}
	q.settle()
	batch = q.waiting
	q.waiting, q.bytes, q.sending = nil, 0, true
	notify(q.room)
	return batch, q.ended, q.err
}

// wait waits until there is something to take, or until the heartbeat is due;
// then it returns false. The lock is held, but not while it waits.
func (q *queue) wait(heartbeat time.Duration) bool {
	var due <-chan time.Time
	if heartbeat > 0 {
		timer := time.NewTimer(heartbeat)
		defer timer.Stop()
		due = timer.C
	}
	for len(q.waiting) == 0 && !q.ended {
		q.mu.Unlock()
		select {
		case <-q.ready:
			q.mu.Lock()
		case <-due:
			q.mu.Lock()
			return len(q.waiting) > 0 || q.ended
		}
	}
	return true
}

// gather waits for more to take, until there is no more room or nothing more
// comes. The lock is held, but not while it waits.
func (q *queue) gather(ctx context.Context, coalesce time.Duration) {
	select {
	case <-q.full: // of an earlier batch
	default:
	}
	if q.blocked {
		return
	}
	q.mu.Unlock()
	timer := time.NewTimer(coalesce)
	select {
	case <-timer.C:
	case <-q.full:
	case <-ctx.Done():
	}
	timer.Stop()
	q.mu.Lock()
}
