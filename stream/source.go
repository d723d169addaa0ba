package stream

import (
	"context"
	"errors"
	"iter"
)

// A Source is an answer as messages: a [*Stream], a tool loop of package converse or a
// turn of package session. [Write] and [Broadcast.Run] take any Source.
type Source interface {
	// Messages yields the answer's messages as they arrive, in the order of their
	// sequences, which count from 1. The last message ends the answer; see
	// [Message.Last]. If the answer failed, the error is yielded with the last
	// message; it is for the log, not for the reader. A source can be read once. If
	// you leave the loop, the source is closed.
	Messages() iter.Seq2[Message, error]

	// Close stops the answer: the model, and the tools that run. It may be called at
	// any time, by any goroutine and more than once. A running loop over Messages ends
	// soon after.
	Close() error
}

// errNoEnd is the error of a source that ended without its last message.
var errNoEnd = errors.New("the source ended without a last message")

// endOn makes the message of an error one that ends the answer, as a source should have
// done.
func (m *Message) endOn(err error) {
	if err != nil && !m.Last() {
		*m = ErrorMessage(err)
	}
}

// Messages yields the answer as messages: text and reasoning as they arrive, a tool
// that the model asks for when its input is complete, and at the end how the answer
// ended. An error is yielded with the last message. Otherwise it is like
// [Stream.Events].
func (s *Stream) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var sequence int64
		for ev, err := range s.Events() {
			var m Message
			switch {
			case err != nil:
				m = ErrorMessage(err)
			case ev.Type == Text && ev.Text != "":
				m = Message{Type: TypeToken, Data: ev.Text}
			case ev.Type == Reasoning && ev.Text != "":
				m = Message{Type: TypeReasoning, Data: ev.Text}
			case ev.Type == BlockStop:
				var ok bool
				if m, ok = s.toolUse(ev.Index); !ok {
					continue
				}
			default:
				continue
			}
			sequence++
			m.Sequence = sequence
			if !yield(m, err) || err != nil {
				return
			}
		}
		r := s.Result()
		if !r.Complete {
			return // the loop was left
		}
		done := Message{Type: TypeComplete, Sequence: sequence + 1, Usage: &r.Usage, StopReason: r.StopReason}
		if r.Cost != nil {
			done.Cost = r.Cost.String()
		}
		yield(done, nil)
	}
}

// toolUse is the message of a block that has ended, if it is a tool use.
func (s *Stream) toolUse(index int) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.acc.block(index)
	if err != nil || b.Kind != BlockToolUse {
		return Message{}, false
	}
	input := toolInput(b.text.String())
	return Message{Type: TypeToolUse, ToolUseID: b.ToolUseID, ToolName: b.ToolName, Input: input, Truncated: input == nil}, true
}

// Filter returns a source without the messages of s for which keep returns false. keep
// may change a message that it keeps, for example to remove the cost. The message that
// ends the answer is always kept.
func Filter(s Source, keep func(*Message) bool) Source { return &filtered{s, keep} }

type filtered struct {
	Source
	keep func(*Message) bool
}

func (f *filtered) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		kept := keepsSequences(f.Source)
		var sequence int64
		for m, err := range f.Source.Messages() {
			m.endOn(err)
			typ, last, own := m.Type, m.Last(), m.Sequence
			if !f.keep(&m) && !last {
				continue
			}
			if last {
				m.Type = typ
			}
			if sequence++; kept {
				sequence = own
			}
			m.Sequence = sequence
			if !yield(m, err) {
				return
			}
		}
	}
}

func (f *filtered) keepsSequences() bool { return keepsSequences(f.Source) }

// keepsSequences reports whether the messages of a source have sequences by
// which a reader comes back.
func keepsSequences(s Source) bool {
	k, ok := s.(interface{ keepsSequences() bool })
	return ok && k.keepsSequences()
}

// Resume returns the messages of an answer after a sequence (0 for all) as a source.
// Pass it to [Write], for a reader that has seen the messages before. subscribe is
// [Broadcast.Subscribe] or a function like it. If the source is closed, the answer
// goes on for its other readers. Messages keep their sequences. If [Write] joins
// messages, the result has the sequence of the last one.
//
// A reader that cannot go on from the sequence gets an error message with the code
// "gap"; see [ErrGap]. A reader that has seen the last message gets nothing.
func Resume(ctx context.Context, subscribe func(ctx context.Context, after int64) iter.Seq2[Message, error], after int64) Source {
	r := &resumed{subscribe: subscribe, after: after}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

type resumed struct {
	subscribe func(context.Context, int64) iter.Seq2[Message, error]
	after     int64
	ctx       context.Context
	cancel    context.CancelCauseFunc
}

func (r *resumed) keepsSequences() bool { return true }

func (r *resumed) Close() error {
	r.cancel(ErrClosed)
	return nil
}

func (r *resumed) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		defer r.Close()
		after := r.after
		for m, err := range r.subscribe(r.ctx, r.after) {
			if m.endOn(err); err != nil && m.Sequence == 0 {
				m.Sequence = after + 1
			}
			after = m.Sequence
			if !yield(m, err) || m.Last() {
				return
			}
		}
	}
}
