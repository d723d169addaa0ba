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

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/converseform"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// A frameDecoder adds what the payload of a frame says. It belongs to one
// attempt.
type frameDecoder interface {
	decode(eventType, payload []byte, to event.Sink) error
}

// converseFrames reads the events of ConverseStream.
type converseFrames struct{}

func (converseFrames) decode(eventType, payload []byte, to event.Sink) error {
	return converseform.Decode(eventType, payload, to)
}

// chunkFrames reads {"bytes":"<base64 of an event of the model>","p":"…"}.
type chunkFrames struct {
	decoder Decoder
	chunk   []byte // the event, decoded; used again for each
}

func (d *chunkFrames) decode(eventType, payload []byte, to event.Sink) error {
	if string(eventType) != "chunk" {
		if !json.Valid(payload) {
			return fmt.Errorf("the event %q is not JSON", eventType)
		}
		return to.Add(Event{Type: Unknown, Index: -1, Name: string(eventType), Raw: bytes.Clone(payload)})
	}
	raw, err := scanChunk(payload)
	if err != nil {
		return err
	}
	if d.chunk, err = appendBase64(d.chunk[:0], raw); err != nil {
		return err
	}
	return d.decoder.Decode(d.chunk, to)
}

// unread is the error of a stream that ended without a message stop and of
// which its decoder knew nothing; nil for any other. The service is not to blame.
func (s *Stream) unread() error {
	if d, ok := s.dec.(*chunkFrames); ok && s.acc.unknown > 0 && !s.acc.known {
		return &bedrockx.Error{Kind: bedrockx.KindValidation, Err: fmt.Errorf(
			"the %s decoder does not recognise these chunks; use the decoder of the model's family, or stream.RawChunks", d.decoder.Name())}
	}
	return nil
}

// sink is a stream as its decoder sees it.
type sink Stream

func (s *sink) Add(ev Event) error { return (*Stream)(s).add(ev) }

func (s *sink) AddEscaped(t EventType, index int, escaped []byte) bool {
	return (*Stream)(s).addEscaped(t, index, escaped)
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
	if err := json.Unmarshal(payload, &v); err != nil {
		return nil, err
	}
	if v.Bytes == nil || len(*v.Bytes) < 2 || (*v.Bytes)[0] != '"' {
		return nil, errors.New("a chunk without bytes")
	}
	return (*v.Bytes)[1 : len(*v.Bytes)-1], nil
}

// padding takes a string and the end of its object.
func padding(s *jsonscan.Scanner) bool {
	_, ok := s.Str()
	return ok && s.Take('}')
}

// errFrame is a payload that is not what its event says.
var errFrame = errors.New("the payload of an event cannot be read")

// frame hands one frame to the decoder, or returns the error that it holds.
func (s *Stream) frame(f *eventstream.Frame) error {
	switch string(f.MessageType) {
	case "event":
		err := s.dec.decode(f.EventType, f.Payload, (*sink)(s))
		if err != nil && isTransport(err) {
			err = fmt.Errorf("%w: %w", errFrame, err) // what a decoder says is of the payload
		}
		return err
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
			return dst, errors.New("its bytes are not a JSON string")
		}
		raw = plain
	}
	out, err := base64.StdEncoding.AppendDecode(dst, raw)
	if err != nil {
		return dst, errors.New("its bytes are not base64")
	}
	return out, nil
}
