package stream

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// resume continues a stream that broke with err, where that was asked for and
// can be done: the answer is only text so far. It returns nil where reading can
// go on, and otherwise the error that the reader gets.
func (s *Stream) resume(err error) error {
	if s.tape != nil || s.continued >= s.call.Options.Continue || s.again == nil || s.closed.Load() {
		return err
	}
	if s.held && s.head < len(s.pending) {
		return err // what waits for Call.Hold would be lost
	}
	e := new(bedrockx.Error)
	if !errors.As(s.call.Fail(s.ctx, err), &e) || !worthContinuing(e.Kind) {
		return err
	}
	soFar, ok := s.acc.onlyText()
	// The service refuses a beginning that ends in white space.
	begun := strings.TrimRight(soFar, " \t\r\n")
	if !ok || begun == "" {
		return err
	}
	broken := s.call
	if known, _ := broken.Options.Capabilities(broken.Resolved()); known.Supports(bedrockkit.FeaturePrefill) == bedrockkit.No {
		broken.Skip(bedrockx.Skipped{What: bedrockx.SkipContinuation, Support: bedrockkit.No})
		return err
	}
	if broken.Hold != nil { // what it has seen and not judged yet would never be judged
		if refused := s.hold(true); refused != nil {
			return refused
		}
		s.whole = false
	}
	next, failed := s.again(begun)
	if failed != nil || next == nil {
		return err
	}
	s.body.Close()
	before := base{text: soFar, index: s.acc.blocks[0].Index, pieces: s.acc.pieces, trimmed: len(begun) < len(soFar)}
	next.Decode, next.Share = s.begin, s.share
	s.call, s.base, s.continued = next, before, s.continued+1
	// It is broken, whatever becomes of the continuation, also a panic.
	s.broken = append(s.broken, func() { broken.End(e) })
	s.continues.Store(true)
	broken.Usage.Unknown = true
	if failed := s.open(next); failed != nil {
		// What broke first is what the reader gets.
		s.call, s.continued = broken, s.continued-1
		s.acc = accumulator{}
		s.acc.goOn(before)
		return e
	}
	s.earlier.add(broken)
	return nil
}

// base is the part of an answer that a continuation goes on with.
type base struct {
	text    string
	index   int // of its block
	pieces  int
	trimmed bool // the service was given it without the white space at its end
}

// rejoin starts an attempt at a continuation: with the answer so far, which the
// checks of the new call have not seen.
func (s *Stream) rejoin() error {
	s.trimmed = s.base.trimmed
	s.acc.goOn(s.base)
	return s.call.Text(s.base.text)
}

// goOn lets an empty accumulator go on with what came before.
func (a *accumulator) goOn(before base) {
	b := &block{Block: Block{Index: before.index, Kind: BlockText}}
	b.text.WriteString(before.text)
	a.blocks, a.pieces, a.known = []*block{b}, before.pieces, true
}

// earlier sums up what became of the calls that broke and were continued.
type earlier struct {
	attempts            int
	failures            []bedrockx.Attempt
	firstOutput, queued time.Duration
}

func (e *earlier) add(call *bedrockx.Call) {
	if e.attempts == 0 {
		e.firstOutput = call.FirstOutput
	}
	e.attempts += call.Attempts
	e.failures = append(e.failures, call.Failures...)
	e.queued += call.Queued
}

// addTo makes the outcome of the last call that of all.
func (e *earlier) addTo(o *bedrockx.Outcome) {
	o.Attempts += e.attempts
	o.Failures = append(slices.Clone(e.failures), o.Failures...)
	o.FirstOutput = e.firstOutput
	o.Queued += e.queued
}

// worthContinuing says which breaks leave the model able to go on.
func worthContinuing(k bedrockx.Kind) bool {
	switch k {
	case bedrockx.KindTruncated, bedrockx.KindConnection, bedrockx.KindStalled, bedrockx.KindInternal,
		bedrockx.KindOverloaded, bedrockx.KindModelError, bedrockx.KindTimeout:
		return true
	}
	return false
}

// onlyText is the text of an answer of one block that has not ended, which is
// all that a continuation can go on with.
func (a *accumulator) onlyText() (string, bool) {
	if len(a.blocks) != 1 || a.stopped || a.blocks[0].Kind != BlockText || a.blocks[0].Complete {
		return "", false
	}
	return a.blocks[0].text.String(), true
}

// joins fits an event of the continuation to what came before it. It reports
// whether nothing is left of the event: the message and its text have begun
// before.
func (s *Stream) joins(ev *Event) bool {
	if s.trimmed && ev.Type == Text {
		// The white space that was cut off for the service is there already.
		ev.Text = strings.TrimLeft(ev.Text, " \t\r\n")
		s.trimmed = ev.Text == ""
		return s.trimmed
	}
	if ev.Type == BlockStart && ev.ToolUseID == "" && ev.ToolName == "" && ev.Raw == nil {
		b, err := s.acc.block(ev.Index)
		return err == nil && b.Kind == BlockText && !b.Complete
	}
	return ev.Type == MessageStart
}
