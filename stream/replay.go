package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// ReplayOptions are the options of [Replay]. The zero value of a field means its
// default.
type ReplayOptions struct {
	// Pace is the speed of the stream, in characters of text a second. The default is
	// 0: all at once.
	Pace float64

	// Piece is how many characters a piece of text has. The default is 4 if Pace is
	// set, otherwise the text of a block is one piece.
	Piece int
}

// Replay returns a stream of an answer that was kept, for example in a cache. A reader
// sees no difference to a new answer, except that the Result has CacheHit set and a
// cost of zero. It returns an error if the answer is not complete.
//
// The stream ends when ctx ends, or when the reader leaves it.
func Replay(ctx context.Context, r *Result, optFns ...func(*ReplayOptions)) (*Stream, error) {
	if !r.Complete {
		return nil, fmt.Errorf("replaying an answer that is not complete: %w", bedrockx.ErrTruncated)
	}
	var o ReplayOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Piece <= 0 && o.Pace > 0 {
		o.Piece = 4
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{ctx: ctx, cancel: cancel, body: http.NoBody, tape: &tape{options: o, events: tapeOf(r, o.Piece)}}
	s.call = &bedrockx.Call{
		Op: bedrockkit.OpConverseStream, Outcome: bedrockx.Outcome{Model: r.Model, CacheHit: true, RequestID: r.RequestID},
		Options: &bedrockx.Options{},
	}
	return s, nil
}

// A tape is what a replay has still to give out.
type tape struct {
	options ReplayOptions
	events  []Event
}

// tapeOf is the answer as the events that it came in, its texts cut into pieces
// of so many characters, 0 for whole ones.
func tapeOf(r *Result, piece int) []Event {
	events := []Event{{Type: MessageStart}}
	for _, b := range r.Blocks {
		typ, unknown := Text, b.Unknown
		switch b.Kind {
		case BlockToolUse:
			typ = ToolInput
			events = append(events, Event{Type: BlockStart, Index: b.Index, ToolUseID: b.ToolUseID, ToolName: b.ToolName})
		case BlockReasoning:
			typ = Reasoning
		case BlockUnknown:
			// What a tool that the service runs is given is not the answer's text.
			typ = ToolInput
			if len(unknown) > 0 {
				events = append(events, Event{Type: BlockStart, Index: b.Index, Raw: unknown[0]})
				unknown = unknown[1:]
			}
		}
		for rest := b.Text; rest != ""; {
			n := len(rest)
			if piece > 0 && typ != ToolInput {
				n = 0
				for range piece {
					if n == len(rest) {
						break
					}
					_, size := utf8.DecodeRuneInString(rest[n:])
					n += size
				}
			}
			events = append(events, Event{Type: typ, Index: b.Index, Text: rest[:n]})
			rest = rest[n:]
		}
		for _, raw := range b.Citations {
			events = append(events, Event{Type: Citation, Index: b.Index, Raw: raw})
		}
		for _, raw := range unknown {
			events = append(events, Event{Type: Unknown, Index: b.Index, Raw: raw})
		}
		if b.Redacted != nil {
			events = append(events, Event{Type: Redacted, Index: b.Index, Raw: b.Redacted})
		}
		if b.Signature != "" {
			events = append(events, Event{Type: Signature, Index: b.Index, Text: b.Signature})
		}
		if b.Complete {
			events = append(events, Event{Type: BlockStop, Index: b.Index})
		}
	}
	events = append(events, Event{Type: MessageStop, StopReason: r.StopReason, Raw: r.AdditionalFields})
	return append(events, Event{Type: Metadata, Usage: &bedrockkit.Usage{}, Raw: r.Metadata})
}

// play gives out the next event, when its time has come.
func (t *tape) play(s *Stream) error {
	if len(t.events) == 0 {
		return io.EOF
	}
	ev := t.events[0]
	t.events = t.events[1:]
	if t.options.Pace > 0 && ev.Text != "" {
		timer := time.NewTimer(time.Duration(float64(utf8.RuneCountInString(ev.Text)) / t.options.Pace * float64(time.Second)))
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
		}
	}
	switch {
	case s.closed.Load():
		return ErrClosed
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return s.add(ev)
}
