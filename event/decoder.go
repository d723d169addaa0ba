package event

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/mangaassist/bedrockkit"
)

// A Decoder makes events from the chunks of one InvokeModelWithResponseStream. It is
// used for one attempt of a call, by one goroutine.
type Decoder interface {
	// Name returns the name of the decoder in errors, such as "nova".
	Name() string

	// Decode reads a chunk, which is the JSON of one of the model's own events, and
	// adds its content to the sink. The chunk is valid until Decode returns.
	//
	// A chunk that the decoder does not know is added as an event of type [Unknown].
	// If a chunk cannot be read, return an error: the attempt fails, and is sent again
	// if the reader has not seen any of it. If a chunk holds an exception of the
	// service, return a [smithy.APIError]. Return an error of the sink unchanged.
	//
	// An answer is complete after an event of type [MessageStop] was added. If a
	// stream ends without one, the reader gets an error.
	//
	// [smithy.APIError]: https://pkg.go.dev/github.com/aws/smithy-go#APIError
	Decode(chunk []byte, to Sink) error
}

// A Sink takes the events of a [Decoder].
type Sink interface {
	// Add adds an event. It keeps Raw, which must not be a part of the chunk, and
	// copies Text. It returns an error if the event cannot be part of the answer, such
	// as a text in the block of a tool.
	Add(Event) error

	// AddEscaped adds a piece of text, for a type that has a Text, as it is in the
	// chunk: the inside of a JSON string. It saves the allocations of Add, because it
	// runs for every token. If the piece must be read with encoding/json and passed to
	// Add, it does nothing and returns false.
	AddEscaped(t Type, index int, escaped []byte) bool
}

// RawChunks returns a decoder that does not read the chunks: each chunk is an event of
// type [Chunk]. The chunk with Bedrock's invocation metrics, which is the last one,
// also adds a [MessageStop] without a stop reason, and the [Metadata].
func RawChunks() Decoder { return rawChunks{} }

type rawChunks struct{}

func (rawChunks) Name() string { return "raw" }

func (rawChunks) Decode(chunk []byte, to Sink) error {
	if !json.Valid(chunk) {
		return errors.New("it is not JSON")
	}
	raw := bytes.Clone(chunk)
	if err := to.Add(Event{Type: Chunk, Index: -1, Raw: raw}); err != nil {
		return err
	}
	if !bytes.Contains(raw, []byte(`"amazon-bedrock-invocationMetrics"`)) {
		return nil
	}
	var in Invocation
	if err := json.Unmarshal(raw, &in); err != nil || in.Metrics == nil {
		return err
	}
	if err := to.Add(Event{Type: MessageStop, StopReason: in.Stopped("")}); err != nil {
		return err
	}
	usage := in.Metrics.Usage()
	return to.Add(Event{Type: Metadata, Usage: &usage, Raw: raw})
}

// Invocation is what Bedrock itself adds to the last chunk, for every model. A decoder
// may embed it in the struct that it decodes a chunk into. Source: "Run inference",
// Amazon Bedrock User Guide.
type Invocation struct {
	Metrics   *Metrics `json:"amazon-bedrock-invocationMetrics"`
	Guardrail string   `json:"amazon-bedrock-guardrailAction"` // "INTERVENED" or "NONE"
}

// Metrics are Bedrock's own counts for an answer.
type Metrics struct {
	InputTokens      *int64 `json:"inputTokenCount"`
	OutputTokens     *int64 `json:"outputTokenCount"`
	CacheReadTokens  int64  `json:"cacheReadInputTokenCount"`
	CacheWriteTokens int64  `json:"cacheWriteInputTokenCount"` // of any TTL; the default is five minutes
}

// Usage returns the usage of the metrics. It is unknown if they are nil, or do not
// have the tokens of the input and the output.
func (m *Metrics) Usage() bedrockkit.Usage {
	if m == nil || m.InputTokens == nil || m.OutputTokens == nil ||
		min(*m.InputTokens, *m.OutputTokens, m.CacheReadTokens, m.CacheWriteTokens) < 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return bedrockkit.Usage{
		InputTokens: *m.InputTokens, OutputTokens: *m.OutputTokens,
		CacheReadTokens: m.CacheReadTokens, CacheWrite5mTokens: m.CacheWriteTokens,
	}
}

// Stopped returns the stop reason of an answer, which a guardrail may have
// replaced.
func (i *Invocation) Stopped(reason bedrockkit.StopReason) bedrockkit.StopReason {
	if i.Guardrail == "INTERVENED" {
		return bedrockkit.StopGuardrailIntervened
	}
	return reason
}
