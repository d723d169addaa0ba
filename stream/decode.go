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

	"github.com/mangaassist/bedrockkit/internal/eventstream"
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

// errFrame is a payload that is not what its event says.
var errFrame = errors.New("the payload of an event can not be read")

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
	// A message that can not be read takes nothing from the error's type.
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
		plain, ok := appendString(nil, raw)
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
