package family

import (
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
)

// A Completion makes a message of chunks that are not events of one: those of
// models that answer with one text. Its text is block 0, its tool calls are the
// blocks after it.
type Completion struct {
	begun, spoke bool
	calls        int
}

// Text adds a piece of the text.
func (c *Completion) Text(to event.Sink, text string) error {
	if err := c.Begin(to); err != nil || text == "" {
		return err
	}
	c.spoke = true
	return to.Add(event.Event{Type: event.Text, Text: text})
}

// Begin adds the start of the message, once.
func (c *Completion) Begin(to event.Sink) error {
	if c.begun {
		return nil
	}
	c.begun = true
	return to.Add(event.Event{Type: event.MessageStart})
}

// Scanned adds a piece of text that a scan found, and reports whether it did.
// The first chunk and an empty piece are read with encoding/json.
func (c *Completion) Scanned(to event.Sink, raw []byte, ok bool) bool {
	if !ok || !c.begun || len(raw) == 0 || !to.AddEscaped(event.Text, 0, raw) {
		return false
	}
	c.spoke = true
	return true
}

// Citation adds a source of the text.
func (c *Completion) Citation(to event.Sink, raw []byte) error {
	c.spoke = true
	return to.Add(event.Event{Type: event.Citation, Raw: raw})
}

// maxCalls bounds the tool calls of one answer, whatever a stream claims.
const maxCalls = 10_000

// Call begins a tool call and returns the index of its block.
func (c *Completion) Call(to event.Sink, id, name string) (int, error) {
	if c.calls == maxCalls {
		return 0, fmt.Errorf("it has more than %d tool calls", maxCalls)
	}
	c.calls++
	return c.calls, to.Add(event.Event{Type: event.BlockStart, Index: c.calls, ToolUseID: id, ToolName: name})
}

// Calls returns how many tool calls have begun; the block of the last one has
// the same index.
func (c *Completion) Calls() int { return c.calls }

// End takes what a chunk says of the end: a stop reason, the usage that the
// body gives, and Bedrock's own metrics, which win. Metrics may also come in a
// chunk after that of the stop reason.
func (c *Completion) End(to event.Sink, stop bedrockkit.StopReason, usage bedrockkit.Usage, in *event.Invocation, chunk []byte) error {
	if stop != "" {
		if err := c.Begin(to); err != nil {
			return err
		}
		first := 0
		if !c.spoke {
			first = 1
		}
		for index := first; index <= c.calls; index++ {
			if err := to.Add(event.Event{Type: event.BlockStop, Index: index}); err != nil {
				return err
			}
		}
		if err := to.Add(event.Event{Type: event.MessageStop, StopReason: in.Stopped(stop)}); err != nil {
			return err
		}
	}
	if told := in.Metrics.Usage(); !told.Unknown {
		usage = told
	}
	if in.Metrics == nil && (stop == "" || usage.Unknown) {
		return nil
	}
	return to.Add(event.Event{Type: event.Metadata, Usage: &usage, Raw: Clone(chunk)})
}

// Unknown adds a chunk, or a part of one, that the family does not know.
func Unknown(to event.Sink, name string, raw []byte) error {
	return to.Add(event.Event{Type: event.Unknown, Index: -1, Name: name, Raw: Clone(raw)})
}

// Clone returns a copy of raw, which may be a part of a chunk.
func Clone(raw []byte) []byte { return append([]byte(nil), raw...) }
