package converse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// Response is the model's answer to one request.
type Response struct {
	Message    Message               `json:"message"`
	StopReason bedrockkit.StopReason `json:"stop_reason"`
	Usage      bedrockkit.Usage      `json:"usage"`

	// Cost is what the request cost in US dollars; nil where that is not
	// known, and CostErr says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`
	// Caching is what the service's prompt cache did: the tokens that were read
	// and written, what that saved and what the miss cost. It is nil where the
	// cache did nothing or Cost is nil.
	Caching *pricing.Caching `json:"caching,omitempty"`

	Model     bedrockkit.ModelID `json:"model"` // what answered
	CacheHit  bool               `json:"cache_hit,omitempty"`
	Attempts  int                `json:"attempts"`
	RequestID string             `json:"request_id,omitempty"`

	Latency     time.Duration `json:"latency_ns"`                // of the whole request with its retries
	FirstOutput time.Duration `json:"first_output_ns,omitempty"` // time to the first token of a stream

	// AdditionalFields are those that the request asked the model for.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
	// Trace is that of a guardrail or a prompt router.
	Trace json.RawMessage `json:"trace,omitempty"`

	op     bedrockx.Operation
	unread string // the id of a tool use whose input could not be read
}

// Text is all text of the answer.
func (r *Response) Text() string { return r.Message.Text() }

// decode reads a Converse response (API reference, ConverseResponse) within an
// attempt.
func (r *Response) decode(call *bedrockx.Call, resp *bedrockx.Response) error {
	raw, err := rawResponse(resp)
	if err != nil {
		return err
	}
	var plain plainAnswer
	if plain.scan(raw) {
		r.Message, r.AdditionalFields, r.Trace = plain.message, nil, nil
		call.Usage, call.StopReason = plain.usage, plain.reason
		if plain.tier != "" {
			call.ServiceTier = plain.tier
		}
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
	body, ok := entries(bytes.TrimSpace(raw), '{')
	if !ok {
		return corrupt("the response of %d bytes is no JSON object", len(raw))
	}
	output, _ := entries(find(body, "output"), '{')
	message, ok := entries(find(output, "message"), '{')
	if !ok {
		return &bedrockx.Error{Kind: bedrockx.KindEmpty, Err: errors.New("the response holds no message")}
	}
	r.Message = Message{Role: Role(text(message, "role"))}
	if content := find(message, "content"); content != nil {
		if err := r.Message.Content.UnmarshalJSON(content); err != nil {
			return corrupt("the response of %d bytes is not that of Converse: %w", len(raw), err)
		}
	}
	call.Usage = bedrockkit.Usage{Unknown: true}
	if usage := find(body, "usage"); usage != nil {
		if call.Usage, err = bedrockkit.ParseConverseUsage(usage); err != nil {
			return corrupt("%w", err)
		}
	}
	reason := bedrockkit.StopReason(text(body, "stopReason"))
	switch {
	case reason == "":
		return corrupt("the response has no stop reason")
	case reason.Malformed():
		return malformed(reason)
	}
	call.StopReason = reason
	tier, _ := entries(find(body, "serviceTier"), '{')
	if served := text(tier, "type"); served != "" {
		call.ServiceTier = bedrockkit.ServiceTier(served)
	}
	r.AdditionalFields, r.Trace = bytes.Clone(find(body, "additionalModelResponseFields")), bytes.Clone(find(body, "trace"))
	return nil
}

// text is a member that is a string, or empty.
func text(all []member, key string) string {
	raw := find(all, key)
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	return unquote(raw)
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

// settle takes over what the pipeline knows of the call.
func (r *Response) settle(call *bedrockx.Call) {
	r.op = call.Op
	r.StopReason, r.Usage = call.StopReason, call.Usage
	r.Cost, r.CostErr, r.Caching = call.Cost, call.CostErr, call.Caching
	r.Model, r.CacheHit, r.Attempts, r.RequestID = call.Model, call.CacheHit, call.Attempts, call.RequestID
	r.Latency, r.FirstOutput = call.Latency, call.FirstOutput
}

// fromStream is the response that a stream has put together.
func fromStream(s *stream.Result) (*Response, error) {
	r := &Response{
		op: bedrockx.OpConverseStream, Message: Message{Role: RoleAssistant}, StopReason: s.StopReason, Usage: s.Usage,
		Cost: s.Cost, CostErr: s.CostErr, Caching: s.Caching, Model: s.Model, CacheHit: s.CacheHit, Attempts: s.Attempts,
		RequestID: s.RequestID, Latency: s.Latency, FirstOutput: s.FirstOutput, AdditionalFields: s.AdditionalFields,
	}
	var metadata struct {
		Trace json.RawMessage `json:"trace"`
	}
	if len(s.Metadata) > 0 {
		if err := json.Unmarshal(s.Metadata, &metadata); err != nil {
			return r, err
		}
		r.Trace = metadata.Trace
	}
	for _, b := range s.Blocks {
		c, err := fromBlock(b)
		if err != nil {
			return r, err
		}
		if b.Kind == stream.BlockToolUse && c == nil {
			r.unread = b.ToolUseID
		}
		if c != nil {
			r.Message.Content = append(r.Message.Content, c)
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
