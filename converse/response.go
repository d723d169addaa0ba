package converse

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/stream"
)

// Response is the model's answer to one request, and how the call went.
type Response struct {
	Message Message `json:"message"`
	bedrockx.Outcome

	// ModelLatency is how long the answer took, as the service measured it; 0 if it
	// did not say. Performance is the latency mode that the service used, if it said
	// so. It may differ from Request.Latency.
	ModelLatency time.Duration      `json:"model_latency_ns,omitempty"`
	Performance  bedrockkit.Latency `json:"performance,omitempty"`

	// AdditionalFields are the fields that Request.ResponseFields asked for.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
	// Trace is the trace of a guardrail or a prompt router.
	Trace json.RawMessage `json:"trace,omitempty"`

	op     bedrockkit.Operation
	unread string // the id of a tool use whose input could not be read
}

// Text returns all text of the answer.
func (r *Response) Text() string { return r.Message.Text() }

// decode reads a Converse response (API reference, ConverseResponse) within an
// attempt.
func (r *Response) decode(call *bedrockx.Call, resp *bedrockx.Response) error {
	raw, err := rawResponse(resp)
	if err != nil {
		return err
	}
	return r.decodeBody(call, raw)
}

// decodeBody reads the body of a Converse response.
func (r *Response) decodeBody(call *bedrockx.Call, raw []byte) error {
	var plain plainAnswer
	if plain.scan(raw) {
		r.Message, r.AdditionalFields, r.Trace, r.unread = plain.message, nil, nil, ""
		r.ModelLatency = time.Duration(plain.took) * time.Millisecond
		call.Usage, call.StopReason = plain.usage, plain.reason
		r.serve(call, plain.tier, plain.latency)
	} else if err := r.decodeParts(call, raw); err != nil {
		return err
	}
	if len(call.OnText) > 0 {
		return call.Text(r.Message.Text())
	}
	return nil
}

// decodeParts reads a response of any kind.
func (r *Response) decodeParts(call *bedrockx.Call, raw []byte) (err error) {
	corrupt := func(format string, args ...any) error {
		return &bedrockx.Error{Kind: bedrockx.KindCorrupt, Err: fmt.Errorf(format, args...)}
	}
	body, ok := jsonscan.Entries(bytes.TrimSpace(raw), '{')
	if !ok {
		return corrupt("the response of %d bytes is no JSON object", len(raw))
	}
	output, _ := jsonscan.Entries(find(body, "output"), '{')
	message, ok := jsonscan.Entries(find(output, "message"), '{')
	if !ok {
		return &bedrockx.Error{Kind: bedrockx.KindEmpty, Err: errors.New("the response holds no message")}
	}
	r.Message, r.unread = Message{Role: Role(text(message, "role"))}, ""
	if content := find(message, "content"); content != nil {
		if err := r.Message.Content.UnmarshalJSON(content); err != nil {
			return corrupt("the response of %d bytes is not that of Converse: %w", len(raw), err)
		}
		for _, c := range r.Message.Content {
			if raw, ok := c.(Raw); ok && r.unread == "" {
				r.unread = unreadUse(raw)
			}
		}
	}
	call.Usage = bedrockkit.Usage{Unknown: true}
	if usage := find(body, "usage"); usage != nil {
		// An answer is whole, whatever is wrong with its usage: that is unknown then.
		call.Usage, _ = bedrockkit.ParseConverseUsage(usage)
	}
	reason := bedrockkit.StopReason(text(body, "stopReason"))
	switch {
	case reason == "":
		return corrupt("the response has no stop reason")
	case reason.Malformed():
		return malformed(reason)
	}
	call.StopReason = reason
	tier, _ := jsonscan.Entries(find(body, "serviceTier"), '{')
	performance, _ := jsonscan.Entries(find(body, "performanceConfig"), '{')
	metrics, _ := jsonscan.Entries(find(body, "metrics"), '{')
	took, _ := strconv.ParseInt(string(find(metrics, "latencyMs")), 10, 64)
	r.ModelLatency = time.Duration(took) * time.Millisecond
	r.serve(call, bedrockkit.ServiceTier(text(tier, "type")), bedrockkit.Latency(text(performance, "latency")))
	r.AdditionalFields, r.Trace = bytes.Clone(find(body, "additionalModelResponseFields")), bytes.Clone(find(body, "trace"))
	return nil
}

// serve notes the tier that a response names, if it does.
func (r *Response) serve(call *bedrockx.Call, tier bedrockkit.ServiceTier, latency bedrockkit.Latency) {
	r.Performance = latency
	if served := bedrockkit.ServedTier(tier, latency); served != "" {
		call.ServiceTier = served
	}
}

// unreadUse is the id of a tool use that is for the caller to run and whose
// input is not a JSON object, or empty: any other block, and one that the
// service runs by itself, which has a type.
func unreadUse(block Raw) string {
	all, _ := jsonscan.Entries(block, '{')
	use, ok := jsonscan.Entries(find(all, "toolUse"), '{')
	if !ok || find(use, "type") != nil || len(find(use, "input")) > 0 && find(use, "input")[0] == '{' {
		return ""
	}
	return cmp.Or(text(use, "toolUseId"), "unknown")
}

// text is a member that is a string, or empty.
func text(all []member, key string) string {
	raw := find(all, key)
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	return jsonscan.Unquote(raw)
}

func malformed(reason bedrockkit.StopReason) error {
	return &bedrockx.Error{Kind: bedrockx.KindModelError, Err: fmt.Errorf("the model stopped with %s", reason)}
}

func rawResponse(resp *bedrockx.Response) ([]byte, error) {
	if resp.Body == nil {
		return fromSDK(resp.SDK)
	}
	return resp.ReadAll()
}

// fromStream is the response that a stream has put together.
func fromStream(s *stream.Result) (*Response, error) {
	r := &Response{
		op: bedrockkit.OpConverseStream, Message: Message{Role: RoleAssistant}, Outcome: s.Outcome, AdditionalFields: s.AdditionalFields,
	}
	details, err := s.Details()
	if err != nil {
		return r, err
	}
	r.ModelLatency, r.Performance, r.Trace = details.Latency, bedrockkit.Latency(details.Performance), details.Trace
	for _, b := range s.Blocks {
		c, err := fromBlock(b)
		switch {
		case err != nil:
			return r, err
		case c != nil:
			r.Message.Content = append(r.Message.Content, c)
		case b.Kind == stream.BlockToolUse:
			r.unread = b.ToolUseID
		}
	}
	return r, nil
}

// fromBlock is a streamed block as content, nil for one that holds nothing.
func fromBlock(b stream.Block) (Content, error) {
	switch b.Kind {
	case stream.BlockText:
		if len(b.Citations) > 0 {
			return citedBlock(b)
		}
		if b.Text == "" {
			return nil, nil
		}
		return Text(b.Text), nil
	case stream.BlockToolUse:
		// A call that was cut has no input; it is left out, for it must not
		// run and could not be sent again.
		if b.Input == nil {
			return nil, nil
		}
		return ToolUse{ID: b.ToolUseID, Name: b.ToolName, Input: b.Input}, nil
	case stream.BlockReasoning:
		if b.Redacted != nil {
			var data []byte
			if err := json.Unmarshal(b.Redacted, &data); err != nil {
				return nil, fmt.Errorf("reading redacted reasoning: %w", err)
			}
			return Redacted(data), nil
		}
		return Reasoning{Text: b.Text, Signature: b.Signature}, nil
	case stream.BlockUnknown:
		return joinBlock(b)
	}
	return nil, nil
}

// citedBlock is a streamed text and its citations as content.
func citedBlock(b stream.Block) (Content, error) {
	raw := appendTexts([]byte(`{"citationsContent":{"content":`), []string{b.Text})
	raw = append(raw, `,"citations":[`...)
	for i, citation := range b.Citations {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(raw, citation...)
	}
	return decodeContent(append(raw, `]}}`...), 0)
}
