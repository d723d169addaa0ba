package resume

import (
	"container/list"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
)

// MemoryOptions are the options of a [MemoryLog]. The zero value of a field means its
// default.
type MemoryOptions struct {
	// MaxAnswers bounds how many answers are kept, running or ended. The default is
	// 10,000.
	MaxAnswers int

	// MaxBytes bounds the size of all kept messages in bytes, without the last message
	// of each answer. The default is 256 MiB.
	MaxBytes int64
}

// A MemoryLog is a [Log] in the memory of a process. It keeps text unchanged and other
// messages as JSON, which takes a third of the memory of the Go values. If there is no
// more room, it removes answers that have ended before their time, beginning with the
// one that ended first.
type MemoryLog struct {
	options MemoryOptions
	bytes   atomic.Int64 // of all answers

	mu      sync.RWMutex // is locked before that of an answer
	answers map[string]*held
	swept   time.Time // when those that are too old were forgotten
	ended   endings
}

var _ Log = (*MemoryLog)(nil)

// held is an answer in memory. Each has a lock of its own, as hundreds of tokens a
// second come for each of a thousand.
type held struct {
	id string

	mu      sync.Mutex
	gone    bool // it was forgotten
	owner   string
	data    []byte        // the messages, one after another; what is there is not changed
	ends    []int         // where each of them ends in data
	changed chan struct{} // closed with the next change; nil if nobody waits for it
	lease   time.Time
	keep    time.Duration
	ended   time.Time // zero while it runs
	ending  *list.Element
	stopped bool
	readers int
	left    time.Time // when the last reader left, or the answer began
}

// endings are the answers that have ended, the first to end before the others.
type endings struct {
	mu   sync.Mutex // is locked after that of an answer
	list list.List  // of *held
}

func (e *endings) add(h *held) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h.ending = e.list.PushBack(h)
}

func (e *endings) remove(h *held) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.ending != nil {
		e.list.Remove(h.ending)
		h.ending = nil
	}
}

// first is the answer that ended first, nil if there is none.
func (e *endings) first() *held {
	e.mu.Lock()
	defer e.mu.Unlock()
	if front := e.list.Front(); front != nil {
		return front.Value.(*held)
	}
	return nil
}

// last is the sequence of the newest message, 0 if there is none.
func (h *held) last() int64 { return int64(len(h.ends)) }

// NewMemoryLog returns an empty log.
func NewMemoryLog(optFns ...func(*MemoryOptions)) *MemoryLog {
	var o MemoryOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxAnswers <= 0 {
		o.MaxAnswers = 10_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	return &MemoryLog{options: o, answers: map[string]*held{}}
}

// Begin implements [Log].
func (l *MemoryLog) Begin(ctx context.Context, c Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.sweep(now)
	if h := l.answers[c.ID]; h != nil {
		switch owner, expired := h.state(now); {
		case expired:
			l.forget(c.ID)
		case owner == c.Owner:
			return nil
		default:
			return ErrExists
		}
	}
	if !l.room(func() bool { return len(l.answers) < l.options.MaxAnswers && l.bytes.Load() < l.options.MaxBytes }, now) {
		return l.full()
	}
	l.answers[c.ID] = &held{id: c.ID, owner: c.Owner, lease: now.Add(c.Lease), keep: c.Keep, left: now}
	return nil
}

// Append implements [Log].
func (l *MemoryLog) Append(ctx context.Context, c Claim, messages ...stream.Message) (Status, error) {
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	now := time.Now()
	h := l.get(c.ID, now)
	if h == nil {
		return Status{}, ErrLost
	}
	defer h.mu.Unlock()
	if h.owner != c.Owner || !h.ended.IsZero() && len(messages) == 0 {
		return Status{}, ErrLost
	}
	for _, m := range messages {
		switch last := h.last(); {
		case m.Sequence <= last:
			continue
		case m.Sequence > last+1:
			return Status{}, fmt.Errorf("a message of the sequence %d after %d", m.Sequence, last)
		}
		if !h.ended.IsZero() || h.gone {
			return Status{}, ErrLost
		}
		grown, err := appendMessage(h.data, m)
		if err != nil {
			return Status{}, err
		}
		if size := int64(len(grown) - len(h.data)); !m.Last() && l.bytes.Load()+size > l.options.MaxBytes {
			if !l.makeRoom(h, size, now) {
				return Status{}, l.full()
			}
			if h.owner != c.Owner || !h.ended.IsZero() || h.gone { // meanwhile
				return Status{}, ErrLost
			}
		}
		l.add(h, grown, m.Last(), now)
	}
	h.lease, h.keep = now.Add(c.Lease), c.Keep
	s := Status{Stopped: h.stopped}
	if h.readers == 0 {
		s.Unread = now.Sub(h.left)
	}
	return s, nil
}

// makeRoom makes room for a message of an answer, whose lock it gives up meanwhile.
func (l *MemoryLog) makeRoom(h *held, size int64, now time.Time) bool {
	h.mu.Unlock()
	defer h.mu.Lock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room(func() bool { return l.bytes.Load()+size <= l.options.MaxBytes }, now)
}

// full is the error of a log without room.
func (l *MemoryLog) full() error {
	return fmt.Errorf("%w: the answers hold %d bytes of %d", ErrFull, l.bytes.Load(), l.options.MaxBytes)
}

// Read implements [Log].
func (l *MemoryLog) Read(ctx context.Context, id string, after int64, wait time.Duration) (Page, error) {
	after = max(0, after)
	data, ends, ended, err := l.wait(ctx, id, after, wait)
	if err != nil {
		return Page{}, err
	}
	// The lock is not needed for what does not change.
	p := Page{Ended: ended}
	if p.Messages, err = messages(data, ends, after); err != nil {
		return Page{}, err
	}
	return p, nil
}

// messages are those that were kept after a sequence.
func messages(data []byte, ends []int, after int64) (all []stream.Message, err error) {
	all = make([]stream.Message, len(ends)-1)
	for i := range all {
		if all[i], err = message(data[ends[i]:ends[i+1]], after+int64(i)+1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// textOf begins what is kept of a message that is a piece of text and nothing else:
// its round follows, and then the text. Its sequence is its place. Any other message
// is JSON, which begins with a brace.
const textOf = 't'

// appendMessage appends what is kept of a message.
func appendMessage(b []byte, m stream.Message) ([]byte, error) {
	if m.Type == stream.TypeToken && m.Round >= 0 && m.ToolUseID == "" && m.ToolName == "" && m.Input == nil && m.Status == "" && !m.Truncated &&
		m.Usage == nil && m.StopReason == "" && m.Cost == "" && m.Pending == nil && m.Code == "" {
		return append(binary.AppendUvarint(append(b, textOf), uint64(m.Round)), m.Data...), nil
	}
	data, err := json.Marshal(m)
	return append(b, data...), err
}

// message is the message that was kept so.
func message(kept []byte, sequence int64) (m stream.Message, err error) {
	if kept[0] != textOf {
		err = json.Unmarshal(kept, &m)
		return m, err
	}
	round, n := binary.Uvarint(kept[1:])
	return stream.Message{Type: stream.TypeToken, Data: string(kept[1+n:]), Sequence: sequence, Round: int(round)}, nil
}

// pageSize bounds the messages of a page.
const pageSize = 1000

// wait waits for messages after a sequence. The first end is where they begin.
func (l *MemoryLog) wait(ctx context.Context, id string, after int64, wait time.Duration) (data []byte, ends []int, ended bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, false, context.Cause(ctx)
	}
	until := time.Now().Add(wait)
	h := l.get(id, time.Now())
	if h == nil {
		return nil, nil, false, ErrUnknown
	}
	h.readers++
	defer func() {
		h.readers--
		h.left = time.Now()
		h.mu.Unlock()
	}()
	for {
		now := time.Now()
		if h.ended.IsZero() && now.After(h.lease) {
			if err := l.interrupt(h, now); err != nil {
				return nil, nil, false, err
			}
		}
		if after != h.last() || !now.Before(until) || !h.ended.IsZero() {
			return h.page(after)
		}
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		h.awaitChange(ctx, min(until.Sub(now), h.lease.Sub(now)+time.Nanosecond))
		if ctx.Err() != nil {
			return nil, nil, false, context.Cause(ctx)
		}
	}
}

// page is what there is after a sequence, at most pageSize messages. h.mu is held.
func (h *held) page(after int64) (data []byte, ends []int, ended bool, err error) {
	last := h.last()
	if after > last {
		return nil, nil, false, fmt.Errorf("%w: after %d; it has 1 to %d", stream.ErrGap, after, last)
	}
	to := min(last, after+pageSize)
	begin := 0
	if after > 0 {
		begin = h.ends[after-1]
	}
	return h.data, append([]int{begin}, h.ends[after:to]...), !h.ended.IsZero() && to == last, nil
}

// awaitChange waits for the next message. h.mu is held before and after, but not
// during the wait.
func (h *held) awaitChange(ctx context.Context, wait time.Duration) {
	changed, timer := h.changed, time.NewTimer(wait)
	h.mu.Unlock()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	h.mu.Lock()
}

// interrupt ends an answer whose owner is gone. h.mu is held.
func (l *MemoryLog) interrupt(h *held, now time.Time) error {
	grown, err := appendMessage(h.data, Interrupted(h.last()+1))
	if err != nil {
		return err
	}
	l.add(h, grown, true, now)
	h.owner = "" // it has lost the answer
	return nil
}

// Stop implements [Log].
func (l *MemoryLog) Stop(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := l.get(id, time.Now())
	if h == nil {
		return ErrUnknown
	}
	defer h.mu.Unlock()
	h.stopped = true
	return nil
}

// Interrupted returns the message that ends an answer whose owner is gone. Use it to
// implement a [Log].
func Interrupted(sequence int64) stream.Message {
	return stream.Message{Type: stream.TypeError, Sequence: sequence, Code: CodeInterrupted}
}

// get returns an answer that is not too old, locked; nil if there is none.
func (l *MemoryLog) get(id string, now time.Time) *held {
	l.mu.RLock()
	h := l.answers[id]
	l.mu.RUnlock()
	if h == nil {
		return nil
	}
	h.mu.Lock()
	if h.gone || h.expired(now) { // what is too old is forgotten by the next Begin
		h.mu.Unlock()
		return nil
	}
	return h
}

// state returns whose an answer is, and whether it is too old.
func (h *held) state(now time.Time) (owner string, expired bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.owner, h.expired(now)
}

// expired reports whether an answer ended long ago, or was left by its owner and
// read by nobody. The answer is locked.
func (h *held) expired(now time.Time) bool {
	if h.ended.IsZero() {
		return h.readers == 0 && now.After(h.lease.Add(h.keep))
	}
	return now.After(h.ended.Add(h.keep))
}

// add adds the message by which an answer's data has grown. The answer is locked.
func (l *MemoryLog) add(h *held, grown []byte, last bool, now time.Time) {
	if !h.gone {
		l.bytes.Add(int64(len(grown) - len(h.data)))
	}
	h.data, h.ends = grown, append(h.ends, len(grown))
	if last {
		h.ended = now
		if !h.gone {
			l.ended.add(h)
		}
		h.data, h.ends = slices.Clone(h.data), slices.Clone(h.ends) // without room to grow
	}
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// sweep forgets those that are too old, once a minute. The log is locked.
func (l *MemoryLog) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.forgetExpired(now)
}

// forgetExpired forgets those that are too old. It looks at all of them. The log is
// locked.
func (l *MemoryLog) forgetExpired(now time.Time) {
	l.swept = now
	for id, h := range l.answers {
		if _, expired := h.state(now); expired {
			l.forget(id)
		}
	}
}

// room forgets answers that have ended until there is room, the first to end
// before the others. The log is locked.
func (l *MemoryLog) room(enough func() bool, now time.Time) bool {
	for !enough() {
		h := l.ended.first()
		if h == nil {
			if now.Sub(l.swept) >= time.Second { // for those whose owners are gone
				l.forgetExpired(now)
			}
			return enough()
		}
		l.forget(h.id)
	}
	return true
}

// forget drops an answer. The log is locked.
func (l *MemoryLog) forget(id string) {
	h := l.answers[id]
	delete(l.answers, id)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	l.ended.remove(h)
	l.bytes.Add(-int64(len(h.data)))
}
