package stream

import "github.com/mangaassist/bedrockkit/event"

// The events of a stream, and the decoders of its chunks, are the types of package
// event.
type (
	Event     = event.Event
	EventType = event.Type
	Details   = event.Details
	Decoder   = event.Decoder
)

// The types of events, as in package event.
const (
	MessageStart = event.MessageStart
	BlockStart   = event.BlockStart
	Text         = event.Text
	ToolInput    = event.ToolInput
	Reasoning    = event.Reasoning
	Signature    = event.Signature
	Redacted     = event.Redacted
	Citation     = event.Citation
	BlockStop    = event.BlockStop
	MessageStop  = event.MessageStop
	Metadata     = event.Metadata
	Unknown      = event.Unknown
	Chunk        = event.Chunk
)

// RawChunks returns a decoder that does not read the chunks: each chunk is an event of
// type [Chunk], and Result has no blocks. Use it for a model without a decoder in any
// package. The answer is complete if the chunk with Bedrock's invocation metrics has
// arrived, which is the last one.
func RawChunks() Decoder { return event.RawChunks() }

// isOutput reports whether a reader could have acted on an event of the type: a
// retry must not come after it. The start of a message or of a block says
// nothing yet, and metadata comes after an output.
func isOutput(t EventType) bool {
	return t != MessageStart && t != BlockStart && t != Metadata && t != Unknown
}

// Details reads the result's Metadata. They are empty if the stream ended without
// metadata.
func (r *Result) Details() (Details, error) {
	return Event{Type: Metadata, Raw: r.Metadata}.Details()
}
