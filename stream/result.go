package stream

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Result is what a stream said, put together.
type Result struct {
	Blocks     []Block               `json:"blocks"`
	StopReason bedrockkit.StopReason `json:"stop_reason,omitempty"`
	Usage      bedrockkit.Usage      `json:"usage"`

	// Complete says that the stream reached its end. Where it is false,
	// Blocks hold what came before.
	Complete bool `json:"complete"`

	// Continued is how often the answer broke and was continued; see
	// bedrockx.Options.Continue. What the broken parts took is not known.
	Continued int `json:"continued,omitempty"`

	// Cost is what the call cost in US dollars; nil until the stream has
	// ended and where it is not known, and CostErr says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`
	// Caching is what the service's prompt cache did; nil where it did nothing
	// or Cost is nil.
	Caching *pricing.Caching `json:"caching,omitempty"`

	Model       bedrockkit.ModelID `json:"model"`
	CacheHit    bool               `json:"cache_hit,omitempty"`
	Attempts    int                `json:"attempts"`
	RequestID   string             `json:"request_id,omitempty"`
	FirstOutput time.Duration      `json:"first_output_ns"`  // time to the first output
	Latency     time.Duration      `json:"latency_ns"`       // of the whole call; 0 until it has ended
	Pieces      int                `json:"pieces,omitempty"` // events of text, tool input and reasoning

	// Metadata is the last event's JSON: trace, metrics, tier.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// AdditionalFields are those that the request asked the model for.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
}

// BlockKind says what a [Block] holds.
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

	// Text is the text, the reasoning, or the JSON of a tool's input as it
	// came.
	Text string `json:"text,omitempty"`

	ToolUseID string `json:"tool_use_id,omitempty"`
	ToolName  string `json:"tool_name,omitempty"`
	// Input is a tool's input, "{}" where the model sent none. It is nil
	// unless the block is complete and its input is a JSON object: without it
	// a tool must not run.
	Input json.RawMessage `json:"input,omitempty"`

	Signature string          `json:"signature,omitempty"` // of reasoning, to be given back as it came
	Redacted  json.RawMessage `json:"redacted,omitempty"`  // reasoning that is encrypted, the service's JSON

	Citations []json.RawMessage `json:"citations,omitempty"`
	Unknown   []json.RawMessage `json:"unknown,omitempty"` // events of this block that this version does not know

	// Complete says that the block's end has come.
	Complete bool `json:"complete"`
}

// PerPiece is the mean time from one piece of output to the next, 0 where the
// stream has not ended or has fewer than two.
func (r *Result) PerPiece() time.Duration {
	if r.Pieces < 2 || r.Latency <= r.FirstOutput {
		return 0
	}
	return (r.Latency - r.FirstOutput) / time.Duration(r.Pieces-1)
}

// Text is all text of the answer.
func (r *Result) Text() string {
	var b strings.Builder
	for _, block := range r.Blocks {
		if block.Kind == BlockText {
			b.WriteString(block.Text)
		}
	}
	return b.String()
}

// accumulator puts the blocks together. A piece of text is given to the reader
// as a part of its block's text, so that it costs no allocation of its own.
type accumulator struct {
	blocks           []*block
	seen             bool // any event
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

func (a *accumulator) empty() bool { return !a.seen }

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

// appendRaw appends a piece that is still escaped and returns its text. It
// fails, having done nothing, where encoding/json is to read it.
func (a *accumulator) appendRaw(d delta) (string, bool) {
	b, err := a.open(d.typ, d.index)
	if err != nil {
		return "", false
	}
	text := d.raw
	if !jsonscan.Plain(text) {
		var ok bool
		text, ok = jsonscan.AppendString(b.scratch[:0], d.raw)
		b.scratch = text
		if !ok {
			return "", false
		}
	}
	a.seen = true
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
	a.seen = true
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

// toolInput is a tool's input, nil where it is no JSON object. A model that
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
