package stream

import (
	"fmt"

	"github.com/mangaassist/bedrockkit"
)

// A completion makes a message of chunks that are no events of one: of the
// models that answer a prompt with a text. Its text is block 0, its tool calls
// are the blocks after it.
type completion struct {
	begun, spoke bool
	calls        int
}

// text adds a piece of the text.
func (c *completion) text(s *Stream, text string) error {
	if err := c.begin(s); err != nil || text == "" {
		return err
	}
	c.spoke = true
	return s.add(Event{Type: Text, Text: text})
}

func (c *completion) begin(s *Stream) error {
	if c.begun {
		return nil
	}
	c.begun = true
	return s.add(Event{Type: MessageStart})
}

// scanned gives a piece of text that a scan found to the stream. The first
// chunk and an empty piece are read with encoding/json.
func (c *completion) scanned(raw []byte, ok bool) (delta, bool) {
	if !ok || !c.begun || len(raw) == 0 {
		return delta{}, false
	}
	c.spoke = true
	return delta{typ: Text, raw: raw}, true
}

// call begins a tool call and returns the index of its block.
func (c *completion) call(s *Stream, id, name string) (int, error) {
	if c.calls == maxBlocks {
		return 0, fmt.Errorf("%w: more than %d tool calls", errFrame, maxBlocks)
	}
	c.calls++
	return c.calls, s.add(Event{Type: BlockStart, Index: c.calls, ToolUseID: id, ToolName: name})
}

// end takes what a chunk says of the end: a stop reason, the usage that the
// body tells, and Bedrock's own metrics, which win. Metrics may also come in a
// chunk after that of the stop reason.
func (c *completion) end(s *Stream, stop bedrockkit.StopReason, usage bedrockkit.Usage, in *invocation, event []byte) error {
	if stop != "" {
		if err := c.begin(s); err != nil {
			return err
		}
		first := 0
		if !c.spoke {
			first = 1
		}
		for index := first; index <= c.calls; index++ {
			if err := s.add(Event{Type: BlockStop, Index: index}); err != nil {
				return err
			}
		}
		if err := s.add(Event{Type: MessageStop, StopReason: in.stopped(stop)}); err != nil {
			return err
		}
	}
	if told := in.Metrics.usage(); !told.Unknown {
		usage = told
	}
	if in.Metrics == nil && (stop == "" || usage.Unknown) {
		return nil
	}
	return s.add(Event{Type: Metadata, Usage: &usage, Raw: clone(event)})
}

// unknown keeps a chunk that is none of the family's.
func (c *completion) unknown(s *Stream, name string, event []byte) error {
	return s.add(Event{Type: Unknown, Index: -1, Name: name, Raw: clone(event)})
}

// counts is the usage that a body tells, unknown where a count is missing.
func counts(input, output *int64) bedrockkit.Usage {
	m := invocationMetrics{InputTokenCount: input, OutputTokenCount: output}
	return m.usage()
}
