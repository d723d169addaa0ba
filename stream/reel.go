package stream

import (
	"slices"
	"strings"
	"unsafe"
)

// A reel keeps the newest messages of an answer. Nearly all are short pieces of
// text: those are kept as parts of larger strings, and not as messages, which
// have room for much else.
type reel struct {
	ring  []frame // those that are kept begin at head and go round
	head  int
	n     int
	gone  int64 // messages that were forgotten
	bytes int
	chunk strings.Builder // of the newest pieces of text
}

// A frame is a kept message: text with its kind and round, or any other.
type frame struct {
	text      string
	round     int32
	reasoning bool
	other     *Message
}

// chunkBytes is how long the strings are that pieces of text are kept in.
const chunkBytes = 1 << 10

// bounds are the sequences of the oldest and the newest message.
func (r *reel) bounds() (first, last int64) {
	return r.gone + 1, r.gone + int64(r.n)
}

// add keeps a message as the next one.
func (r *reel) add(m Message) {
	f := frame{round: int32(m.Round), reasoning: m.Type == TypeReasoning}
	if m.isPlain() && int(f.round) == m.Round {
		f.text = r.keep(m.Data)
	} else {
		m.Input, m.Pending = slices.Clone(m.Input), slices.Clone(m.Pending)
		f.other = &m
	}
	if r.n == len(r.ring) {
		grown := make([]frame, max(16, r.n+r.n/4))
		copy(grown[copy(grown, r.ring[r.head:]):], r.ring[:r.head])
		r.ring, r.head = grown, 0
	}
	*r.at(r.n) = f
	r.n++
	r.bytes += f.weight()
}

// at is the frame of an index among those that are kept.
func (r *reel) at(i int) *frame { return &r.ring[(r.head+i)%len(r.ring)] }

// keep returns a copy of a piece of text, as a part of a larger string.
func (r *reel) keep(text string) string {
	if r.chunk.Cap()-r.chunk.Len() < len(text) {
		r.chunk.Reset()
		r.chunk.Grow(max(chunkBytes, len(text)))
	}
	start := r.chunk.Len()
	r.chunk.WriteString(text)
	return r.chunk.String()[start:]
}

// weight is about what the frame takes in memory.
func (f *frame) weight() int {
	n := int(unsafe.Sizeof(*f)) + len(f.text)
	if m := f.other; m != nil {
		n += int(unsafe.Sizeof(*m)) + len(m.Data) + len(m.Input)
		for _, p := range m.Pending {
			n += int(unsafe.Sizeof(p)) + len(p.Question)
		}
	}
	return n
}

// trim forgets the oldest messages that are over a bound, but not the newest.
func (r *reel) trim(messages, bytes int) {
	for r.n > 1 && (r.n > messages || r.bytes > bytes) {
		oldest := r.at(0)
		r.bytes -= oldest.weight()
		*oldest = frame{}
		r.head = (r.head + 1) % len(r.ring)
		r.n--
		r.gone++
	}
}

// get returns the message of a sequence that is kept.
func (r *reel) get(sequence int64) Message {
	f := r.at(int(sequence-r.gone) - 1)
	if f.other != nil {
		m := *f.other
		m.Sequence = sequence
		return m
	}
	typ := TypeToken
	if f.reasoning {
		typ = TypeReasoning
	}
	return Message{Type: typ, Data: f.text, Sequence: sequence, Round: int(f.round)}
}
