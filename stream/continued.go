package stream

import (
	"errors"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// resume continues a stream that broke with err, where that was asked for and
// can be done: the answer is only text so far. It returns nil where reading can
// go on, and otherwise the error that the reader is to be told.
func (s *Stream) resume(err error) error {
	if s.tape != nil || s.continued >= s.call.Options.Continue || s.call.Continuation == nil || s.closed.Load() {
		return err
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
	next, failed := broken.Continuation(begun)
	if failed != nil {
		return err
	}
	s.body.Close()
	next.Decode, next.Share, next.Continuation = s.begin, s.share, broken.Continuation
	s.call, s.continued, s.trimmed = next, s.continued+1, len(begun) < len(soFar)
	if failed := s.open(next); failed != nil {
		// What broke first is what the reader is told.
		s.call, s.continued = broken, s.continued-1
		return e
	}
	broken.Usage.Unknown = true
	s.broken = append(s.broken, func() { broken.End(e) })
	return nil
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
