package stream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// A decoder turns a frame's payload into events, which it gives to the
// stream. It belongs to one attempt.
type decoder interface {
	decode(s *Stream, eventType, payload []byte) error
}

// delta is what the scan of a hot event found: a piece of text of some type,
// still escaped.
type delta struct {
	typ   EventType
	index int
	raw   []byte
}

// A Decoder reads the chunks of InvokeModelWithResponseStream of one model
// family.
type Decoder struct {
	new func() decoder
}

func decoderOf(newFamily func() family) Decoder {
	return Decoder{new: func() decoder { return &chunkDecoder{family: newFamily()} }}
}

// A family reads the events of its models. It belongs to one attempt.
type family interface {
	// scan reads the event that comes for every token, where it is one.
	scan(event []byte) (delta, bool)
	// event reads any event.
	event(s *Stream, event []byte) error
}

// chunkDecoder reads {"bytes":"<base64 of an event of the family>","p":"…"}.
type chunkDecoder struct {
	family family
	chunk  []byte // the event, decoded; used again for each
}

func (d *chunkDecoder) decode(s *Stream, eventType, payload []byte) error {
	if string(eventType) != "chunk" {
		if !json.Valid(payload) {
			return fmt.Errorf("%w: the event %q", errFrame, eventType)
		}
		return s.add(Event{Type: Unknown, Index: -1, Name: string(eventType), Raw: clone(payload)})
	}
	raw, err := scanChunk(payload)
	if err != nil {
		return err
	}
	if d.chunk, err = appendBase64(d.chunk[:0], raw); err != nil {
		return err
	}
	if delta, ok := d.family.scan(d.chunk); ok && s.addRaw(delta) {
		return nil
	}
	return d.family.event(s, d.chunk)
}

// scanChunk finds the string "bytes", still escaped.
func scanChunk(payload []byte) (raw []byte, err error) {
	s := jsonscan.New(payload)
	if s.Skip(`{"bytes":`) {
		if raw, ok := s.Str(); ok && (s.Skip(`}`) || s.Skip(`,"p":`) && padding(&s)) && s.End() {
			return raw, nil
		}
	}
	s = jsonscan.New(payload)
	ok := s.Object(func(key []byte) bool {
		value, ok := s.Str()
		if string(key) == "bytes" {
			raw = value
		}
		return ok
	})
	if ok && raw != nil && s.End() {
		return raw, nil
	}
	var v struct{ Bytes *json.RawMessage }
	if err := read(payload, &v); err != nil {
		return nil, err
	}
	if v.Bytes == nil || len(*v.Bytes) < 2 || (*v.Bytes)[0] != '"' {
		return nil, fmt.Errorf("%w: a chunk without bytes", errFrame)
	}
	return (*v.Bytes)[1 : len(*v.Bytes)-1], nil
}

// padding takes a string and the end of its object.
func padding(s *jsonscan.Scanner) bool {
	_, ok := s.Str()
	return ok && s.Take('}')
}

// invocation is what Bedrock itself adds to the last event of any family.
type invocation struct {
	Metrics   *invocationMetrics `json:"amazon-bedrock-invocationMetrics"`
	Guardrail string             `json:"amazon-bedrock-guardrailAction"` // "INTERVENED" or "NONE"
}

type invocationMetrics struct {
	InputTokenCount           *int64
	OutputTokenCount          *int64
	CacheReadInputTokenCount  int64
	CacheWriteInputTokenCount int64 // of whichever TTL; the default is five minutes
	InvocationLatency         int64 // milliseconds, as is FirstByteLatency
	FirstByteLatency          int64
}

// usage is unknown where the metrics do not tell it.
func (m *invocationMetrics) usage() bedrockkit.Usage {
	if m == nil || m.InputTokenCount == nil || m.OutputTokenCount == nil ||
		min(*m.InputTokenCount, *m.OutputTokenCount, m.CacheReadInputTokenCount, m.CacheWriteInputTokenCount) < 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	return bedrockkit.Usage{
		InputTokens: *m.InputTokenCount, OutputTokens: *m.OutputTokenCount,
		CacheReadTokens: m.CacheReadInputTokenCount, CacheWrite5mTokens: m.CacheWriteInputTokenCount,
	}
}

// stopped is the stop reason of an answer, which a guardrail may have replaced.
func (i *invocation) stopped(reason bedrockkit.StopReason) bedrockkit.StopReason {
	if i.Guardrail == "INTERVENED" {
		return bedrockkit.StopGuardrailIntervened
	}
	return reason
}

// errFrame is a payload that is not what its event says.
var errFrame = errors.New("the payload of an event cannot be read")

// frame hands one frame to the decoder, or returns the error that it tells.
func (s *Stream) frame(f *eventstream.Frame) error {
	switch string(f.MessageType) {
	case "event":
		return s.dec.decode(s, f.EventType, f.Payload)
	case "exception":
		return exception(string(f.ExceptionType), f.Payload)
	case "error":
		return &smithy.GenericAPIError{Code: string(f.ErrorCode), Message: string(f.ErrorMessage)}
	}
	return fmt.Errorf("%w: a frame of the message type %q", errFrame, f.MessageType)
}

// exception is the SDK's own error for a modelled exception, so that errors.As
// finds the same types in a stream and before it.
func exception(name string, payload []byte) error {
	var body struct {
		Message            string `json:"message"`
		Upper              string `json:"Message"`
		OriginalMessage    string `json:"originalMessage"`
		OriginalStatusCode *int32 `json:"originalStatusCode"`
	}
	// A message that cannot be read takes nothing from the error's type.
	_ = json.Unmarshal(payload, &body)
	message := aws.String(body.Message + body.Upper)
	switch strings.ToLower(name) {
	case "internalserverexception":
		return &types.InternalServerException{Message: message}
	case "modelstreamerrorexception":
		return &types.ModelStreamErrorException{Message: message, OriginalMessage: &body.OriginalMessage, OriginalStatusCode: body.OriginalStatusCode}
	case "modeltimeoutexception":
		return &types.ModelTimeoutException{Message: message}
	case "serviceunavailableexception":
		return &types.ServiceUnavailableException{Message: message}
	case "throttlingexception":
		return &types.ThrottlingException{Message: message}
	case "validationexception":
		return &types.ValidationException{Message: message}
	}
	return &smithy.GenericAPIError{Code: name, Message: *message}
}

// appendBase64 appends what the raw JSON string encodes to dst. Base64 has no
// character that JSON must escape, but some encoders escape the slash.
func appendBase64(dst, raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		plain, ok := jsonscan.AppendString(nil, raw)
		if !ok {
			return dst, fmt.Errorf("%w: its bytes are no JSON string", errFrame)
		}
		raw = plain
	}
	out, err := base64.StdEncoding.AppendDecode(dst, raw)
	if err != nil {
		return dst, fmt.Errorf("%w: its bytes are no base64", errFrame)
	}
	return out, nil
}
