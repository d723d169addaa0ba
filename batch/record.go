package batch

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// A Record is one request of a set.
type Record[In any] struct {
	// ID matches the result to the record. It must be unique in its set and has 1 to
	// 256 bytes. The default is derived from the record's position and content.
	ID string

	// Input is a bedrockx.Payload, such as anthropic.Request, or a [Converse].
	Input In
}

// Converse is a record that is a request of the Converse API. Its Model may be empty.
// Another model than the job's is refused, because a job has one model. Tools are
// refused, because batch inference takes them only in InvokeModel bodies.
type Converse converse.Request

// EncodeInvoke validates the request and returns its JSON in the form of the Converse
// operation.
func (c Converse) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	return c.AppendInvoke(nil, model)
}

// AppendInvoke appends the JSON of EncodeInvoke to dst.
func (c Converse) AppendInvoke(dst []byte, model bedrockkit.ModelID) ([]byte, error) {
	if c.Model != "" && c.Model != model {
		return dst, fmt.Errorf("the record's model is %s, the job's %s: a job has one model", c.Model, model)
	}
	if len(c.Tools) > 0 {
		return dst, errors.New("batch inference takes no tools with Converse; write the record as the model's InvokeModel body")
	}
	c.Model = model
	return converse.AppendRequest(dst, converse.Request(c))
}

// DecodeInvoke reads a Converse response.
func (c Converse) DecodeInvoke(body json.RawMessage) (*converse.Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	r, err := converse.DecodeResponse(body)
	return r, r.Usage, r.StopReason, err
}

// MaxOutputTokens returns the request's bound on the answer.
func (c Converse) MaxOutputTokens() int { return c.MaxTokens }

func (Converse) invocationType() Type { return TypeConverse }

// Type is the API whose form the records of a job have.
type Type string

// The types. All records of a set have the same type.
const (
	TypeInvokeModel Type = "InvokeModel"
	TypeConverse    Type = "Converse"
)

// typeOf is the type of a payload.
func typeOf(in any) Type {
	if t, ok := in.(interface{ invocationType() Type }); ok {
		return t.invocationType()
	}
	return TypeInvokeModel
}

// A Result is the result of one record.
type Result[Out any] struct {
	ID string

	// Output is the response in the form of the record's model family. It is the zero
	// value if Err is not nil.
	Output     Out
	StopReason bedrockkit.StopReason

	// Usage is the usage in the response. It is unknown if the response has none.
	Usage bedrockkit.Usage

	// Err says why the record has no answer: a [*RecordError] or a [*RefusedError]. It
	// is nil if there is an answer. If an answer was cut before it had any content,
	// both Output and Err are set, and Err is [ErrCut].
	Err error

	// Job is the ARN of the job that answered. It is empty for live calls.
	Job string
}

// The errors of records. Find them with errors.Is.
var (
	// ErrMissing is the error of a record without a line in any output file.
	ErrMissing = errors.New("the record has no result")

	// ErrCut is the error of an answer that reached max tokens before it had any
	// content. It happens with models whose thinking counts toward max tokens.
	ErrCut = errors.New("max tokens were spent before the answer began")
)

// A RecordError says why a record has no answer. errors.Is finds [ErrMissing] or
// [ErrCut], or the bedrockx error of its code, such as bedrockx.ErrThrottled.
type RecordError struct {
	ID string

	// Code and Message are from the service, as in the output file. Code is a number
	// such as "400", a name such as "ThrottlingException", or empty if the line has
	// none.
	Code    string
	Message string

	// Err is ErrMissing, ErrCut, a [*JobError] that wraps ErrMissing, an error that
	// says what is wrong with the response, or a *bedrockx.Error with the kind of
	// Code.
	Err error
}

func (e *RecordError) Error() string {
	switch {
	case e.Code == "" && e.Message == "":
		return fmt.Sprintf("record %q: %v", e.ID, e.Err)
	case e.Code == "":
		return fmt.Sprintf("record %q: the service answered an error: %s", e.ID, e.Message)
	case e.Message == "":
		return fmt.Sprintf("record %q: the service answered %s", e.ID, e.Code)
	}
	return fmt.Sprintf("record %q: the service answered %s: %s", e.ID, e.Code, e.Message)
}

// Unwrap returns Err.
func (e *RecordError) Unwrap() error { return e.Err }

// Retryable reports whether another attempt may give an answer: the record is missing,
// or the model or the service has failed. It is false if the request is wrong, or if
// there is an answer that is cut or unreadable.
func (e *RecordError) Retryable() bool {
	switch bedrockx.KindOf(e.Err) {
	case bedrockx.KindValidation, bedrockx.KindAccessDenied, bedrockx.KindNotFound, bedrockx.KindContextOverflow, bedrockx.KindCorrupt:
		return false
	}
	return !errors.Is(e.Err, ErrCut)
}

// A RefusedError says why a record was not written.
type RefusedError struct {
	Line int    // its position in the set, from 1
	ID   string // as it was given; empty if there was none
	Err  error  // what is wrong
}

func (e *RefusedError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("record %d is refused: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("record %d (%q) is refused: %v", e.Line, e.ID, e.Err)
}

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }
