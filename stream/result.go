package stream

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Result is the content of a stream, put together, and how its call went.
type Result struct {
	Blocks []Block `json:"blocks"`

	// Complete reports that the stream reached its end. If it is false, Blocks hold
	// what arrived before the error.
	Complete bool `json:"complete"`

	// Outcome says how the call went. Cost and Latency are set when the stream has
	// ended.
	bedrockx.Outcome

	// Continued is how often the answer broke and was continued; see
	// bedrockx.Options.Continue. The usage of the broken parts is not known.
	Continued int `json:"continued,omitempty"`

	Pieces int `json:"pieces,omitempty"` // events of text, tool input and reasoning

	// Metadata is the last event's JSON: trace, metrics, tier.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// AdditionalFields are the fields of the model's own response that the request
	// asked for.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
}

// BlockKind is the kind of content of a [Block].
type BlockKind string

// The kinds.
const (
	BlockText      BlockKind = "text"
	BlockToolUse   BlockKind = "tool_use"
	BlockReasoning BlockKind = "reasoning"
	BlockUnknown   BlockKind = "unknown"
)

// Block is one block of content.
type Block struct {
	Index int       `json:"index"`
	Kind  BlockKind `json:"kind"`

	// Text is the text, the reasoning, or the JSON of a tool's input as the model
	// wrote it.
	Text string `json:"text,omitempty"`

	ToolUseID string `json:"tool_use_id,omitempty"`
	ToolName  string `json:"tool_name,omitempty"`
	// Input is a tool's input, "{}" if the model sent none. It is nil if the block is
	// not complete or its input is not a JSON object; the tool must not run then.
	Input json.RawMessage `json:"input,omitempty"`

	Signature string          `json:"signature,omitempty"` // of reasoning, to be sent back unchanged
	Redacted  json.RawMessage `json:"redacted,omitempty"`  // encrypted reasoning, as the service's JSON

	Citations []json.RawMessage `json:"citations,omitempty"`
	Unknown   []json.RawMessage `json:"unknown,omitempty"` // events of this block that this version does not know

	// Complete reports that the end of the block has arrived.
	Complete bool `json:"complete"`
}

// PerPiece returns the mean time between two pieces of output. It is 0 if the stream
// has not ended, or has fewer than two pieces.
func (r *Result) PerPiece() time.Duration {
	if r.Pieces < 2 || r.Latency <= r.FirstOutput {
		return 0
	}
	return (r.Latency - r.FirstOutput) / time.Duration(r.Pieces-1)
}

// Text returns all text of the answer.
func (r *Result) Text() string {
	var b strings.Builder
	for _, block := range r.Blocks {
		if block.Kind == BlockText {
			b.WriteString(block.Text)
		}
	}
	return b.String()
}

// Usage returns the usage of the answer. It is unknown until the stream's metadata has
// arrived, and stays unknown if the stream ends without metadata.
func (s *Stream) Usage() bedrockkit.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call == nil {
		return bedrockkit.Usage{Unknown: true}
	}
	u := s.call.Usage
	u.Unknown = u.Unknown || !s.acc.metered
	return u
}

// Result returns what has arrived so far, even after an error. After the end of the
// stream it is the whole answer. It leaves out what Call.Hold holds back or has
// refused. It is a snapshot.
func (s *Stream) Result() *Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.acc.result()
	if s.call == nil {
		return r
	}
	if r.cut(s.refused); s.held {
		r.cut(s.pending[s.head:])
	}
	r.Complete = s.complete() && !s.held && s.refused == nil
	r.Outcome = s.call.Snapshot()
	r.Usage.Unknown = r.Usage.Unknown || !s.acc.metered
	if r.Continued = s.continued; s.continued > 0 {
		s.earlier.addTo(&r.Outcome)
		if r.Latency > 0 {
			r.Latency = s.ended.Sub(s.began)
		}
	}
	return r
}

// cut takes back the last events.
func (r *Result) cut(events []Event) {
	for _, ev := range slices.Backward(events) {
		i := slices.IndexFunc(r.Blocks, func(b Block) bool { return b.Index == ev.Index })
		if i < 0 {
			continue
		}
		switch b := &r.Blocks[i]; ev.Type {
		case Text, ToolInput, Reasoning:
			b.Text = b.Text[:len(b.Text)-len(ev.Text)]
			r.Pieces--
		case Signature:
			b.Signature = b.Signature[:len(b.Signature)-len(ev.Text)]
		case Redacted:
			b.Redacted = nil
		case Citation:
			b.Citations = b.Citations[:len(b.Citations)-1]
		case BlockStop:
			b.Complete, b.Input = false, nil
		case BlockStart:
			r.Blocks = slices.Delete(r.Blocks, i, i+1)
			continue
		}
		if b := r.Blocks[i]; b.Text == "" && b.Signature == "" && b.Redacted == nil && b.Citations == nil && b.Unknown == nil && b.ToolUseID == "" && !b.Complete {
			r.Blocks = slices.Delete(r.Blocks, i, i+1) // its first piece began it
		}
	}
}

// complete reports whether the whole answer has come. A reader that left after
// its last event has it, too.
func (s *Stream) complete() bool {
	switch {
	case !s.done, s.err == ErrClosed:
		return s.acc.stopped && s.acc.metered && !s.call.StopReason.Malformed()
	}
	return s.err == io.EOF
}

// accumulator puts the blocks together. A piece of text is given to the reader
// as a part of its block's text, so that it costs no allocation of its own.
type accumulator struct {
	blocks           []*block
	known            bool // any event of the answer: neither of an unknown type nor what Bedrock adds for every model
	unknown          int  // events of an unknown type
	pieces           int
	stopped, metered bool
	metadata         json.RawMessage
	additional       json.RawMessage
}

type block struct {
	Block
	text    strings.Builder
	scratch []byte
}

// maxBlocks bounds the blocks of one answer, whatever indexes a stream claims.
const maxBlocks = 10_000

func (a *accumulator) empty() bool { return !a.known && a.unknown == 0 }

// block returns the block of an index; blocks are in the order in which they
// began.
func (a *accumulator) block(index int) (*block, error) {
	// The newest one is nearly always the one.
	for i := len(a.blocks) - 1; i >= 0; i-- {
		if a.blocks[i].Index == index {
			return a.blocks[i], nil
		}
	}
	if len(a.blocks) == maxBlocks {
		return nil, fmt.Errorf("%w: more than %d content blocks", errFrame, maxBlocks)
	}
	b := &block{Block: Block{Index: index}}
	a.blocks = append(a.blocks, b)
	return b, nil
}

// kindOf is the kind of block that a type of piece belongs to.
func kindOf(t EventType) BlockKind {
	switch t {
	case Text, Citation:
		return BlockText
	case ToolInput:
		return BlockToolUse
	case Reasoning, Signature, Redacted:
		return BlockReasoning
	}
	return ""
}

// open returns the block that a piece belongs to and refuses a piece that the
// block cannot hold. What comes of a block that the service runs by itself is
// kept with it.
func (a *accumulator) open(t EventType, index int) (*block, error) {
	b, err := a.block(index)
	if err != nil {
		return nil, err
	}
	kind := kindOf(t)
	switch {
	case b.Complete:
		return nil, fmt.Errorf("%w: a piece of block %d after its end", errFrame, index)
	case b.Kind == "":
		b.Kind = kind
	case b.Kind != kind && b.Kind != BlockUnknown:
		return nil, fmt.Errorf("%w: a %s in block %d, which is a %s", errFrame, t, index, b.Kind)
	}
	return b, nil
}

// appendEscaped appends a piece that is still escaped and returns its text. It
// fails, having done nothing, if encoding/json is to read it.
func (a *accumulator) appendEscaped(t EventType, index int, escaped []byte) (string, bool) {
	b, err := a.open(t, index)
	if err != nil {
		return "", false
	}
	text := escaped
	if !jsonscan.Plain(text) {
		var ok bool
		text, ok = jsonscan.AppendString(b.scratch[:0], escaped)
		b.scratch = text
		if !ok {
			return "", false
		}
	}
	a.known = true
	a.pieces++
	return b.append(text), true
}

func (b *block) append(text []byte) string {
	start := b.text.Len()
	b.text.Write(text)
	return b.text.String()[start:]
}

// add accumulates any event. A piece's text becomes a part of its block's.
func (a *accumulator) add(ev *Event) error {
	switch ev.Type {
	case Unknown:
		a.unknown++
	case Metadata:
	default:
		a.known = true
	}
	switch ev.Type {
	case BlockStart:
		b, err := a.block(ev.Index)
		if err != nil {
			return err
		}
		if b.Kind != "" || b.Complete {
			return fmt.Errorf("%w: block %d starts twice", errFrame, ev.Index)
		}
		switch {
		case ev.ToolUseID != "" || ev.ToolName != "":
			b.Kind, b.ToolUseID, b.ToolName = BlockToolUse, ev.ToolUseID, ev.ToolName
		case ev.Raw != nil:
			b.Kind = BlockUnknown
			b.Unknown = append(b.Unknown, ev.Raw)
		}
	case Text, ToolInput, Reasoning, Signature, Redacted, Citation:
		b, err := a.open(ev.Type, ev.Index)
		if err != nil {
			return err
		}
		switch ev.Type {
		case Signature:
			b.Signature += ev.Text
		case Redacted:
			if b.Redacted != nil {
				return fmt.Errorf("%w: block %d has two redacted contents", errFrame, ev.Index)
			}
			b.Redacted = ev.Raw
		case Citation:
			b.Citations = append(b.Citations, ev.Raw)
		default:
			a.pieces++
			ev.Text = b.append([]byte(ev.Text))
		}
	case BlockStop:
		b, err := a.block(ev.Index)
		if err != nil {
			return err
		}
		b.Complete = true
		if b.Kind == "" {
			b.Kind = BlockText // a block without any piece
		}
	case MessageStop:
		a.stopped = true
		a.additional = ev.Raw
	case Metadata:
		a.metered = a.metered || ev.Usage != nil && !ev.Usage.Unknown
		a.metadata = ev.Raw
	case Unknown:
		if ev.Index < 0 {
			return nil // of no block
		}
		b, err := a.block(ev.Index)
		if err != nil {
			return err
		}
		if b.Kind == "" {
			b.Kind = BlockUnknown
		}
		b.Unknown = append(b.Unknown, ev.Raw)
	}
	return nil
}

func (a *accumulator) result() *Result {
	r := &Result{Blocks: make([]Block, len(a.blocks)), Metadata: a.metadata, AdditionalFields: a.additional, Pieces: a.pieces}
	for i, b := range a.blocks {
		r.Blocks[i] = b.Block
		r.Blocks[i].Text = b.text.String()
		if b.Kind == BlockToolUse && b.Complete {
			r.Blocks[i].Input = toolInput(b.text.String())
		}
	}
	return r
}

// toolInput is a tool's input, nil if it is not a JSON object. A model that
// calls a tool without arguments sends nothing.
func toolInput(text string) json.RawMessage {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return json.RawMessage("{}")
	}
	if trimmed[0] != '{' || !json.Valid([]byte(trimmed)) {
		return nil
	}
	return json.RawMessage(trimmed)
}
