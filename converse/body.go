package converse

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// EncodeRequest validates a request as [Preflight] does and returns its JSON, as the
// Converse operation takes it, without the model's id. It is for requests that are not
// sent through a [Client], such as the records of batch inference. It does not fill in
// defaults of [Options]. It closes the objects of an output format, as the service
// requires. The error is a [*PreflightError], or says which content has no JSON.
func EncodeRequest(r Request) (json.RawMessage, error) { return AppendRequest(nil, r) }

// AppendRequest appends the JSON of [EncodeRequest] to dst, so that one buffer can be
// used for many requests. If it fails, it returns dst unchanged.
func AppendRequest(dst []byte, r Request) ([]byte, error) {
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	if err := r.preflight(bedrockkit.OpConverse, &s); err != nil {
		return dst, err
	}
	r.OutputFormat = r.OutputFormat.closed()
	body, err := r.appendBody(dst, bedrockkit.OpConverse, &s)
	if err != nil {
		return dst, err
	}
	return body, nil
}

// DecodeResponse reads the JSON of a Converse response that did not come through a
// [Client]. It sets Message, StopReason, Usage, AdditionalFields and Trace. It does
// not set the cost or anything else about a call. The error is a [*bedrockx.Error], as
// from [Client.Send].
func DecodeResponse(body []byte) (*Response, error) {
	call := &bedrockx.Call{Op: bedrockkit.OpConverse}
	r := &Response{}
	err := r.decodeBody(call, body)
	r.op, r.Outcome = call.Op, call.Outcome
	return r, err
}
