package anthropic

import (
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies in JSON. Like the blocks they are written in one pass.

type plainRequest Request

type wireRequest struct {
	*plainRequest
	System   []any         `json:"system,omitempty"`
	Messages []wireMessage `json:"messages"`
}

type wireMessage struct {
	Role    string `json:"role"`
	Content []any  `json:"content"`
}

// MarshalJSON writes the body as the Messages API takes it.
func (r Request) MarshalJSON() ([]byte, error) {
	if r.AnthropicVersion == "" {
		r.AnthropicVersion = Version
	}
	size := 128
	for _, m := range r.Messages {
		for i := range m.Content {
			size += len(m.Content[i].Text) + 64
		}
	}
	for i := range r.System {
		size += len(r.System[i].Text) + 32
	}
	if body, ok := r.appendPlain(make([]byte, 0, size)); ok {
		return body, nil
	}
	return r.marshal()
}

// marshal writes a body of any kind.
func (r Request) marshal() ([]byte, error) {
	w := wireRequest{plainRequest: (*plainRequest)(&r), Messages: make([]wireMessage, len(r.Messages))}
	var err error
	if w.System, err = r.System.wire(); err != nil {
		return nil, fmt.Errorf("system: %w", err)
	}
	for i, m := range r.Messages {
		w.Messages[i].Role = m.Role
		if w.Messages[i].Content, err = m.Content.wire(); err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
	}
	return family.Marshal(w, r.Extra)
}

// UnmarshalJSON reads a body.
func (r *Request) UnmarshalJSON(data []byte) error {
	extra, err := family.Unmarshal(data, (*plainRequest)(r))
	r.Extra = extra
	return err
}

type plainThinking Thinking

// MarshalJSON writes the field as the Messages API takes it.
func (t Thinking) MarshalJSON() ([]byte, error) { return family.Marshal(plainThinking(t), t.Extra) }

// UnmarshalJSON reads the field.
func (t *Thinking) UnmarshalJSON(data []byte) error {
	extra, err := family.Unmarshal(data, (*plainThinking)(t))
	t.Extra = extra
	return err
}

type plainTool Tool

// MarshalJSON writes the tool as the Messages API takes it.
func (t Tool) MarshalJSON() ([]byte, error) { return family.Marshal(plainTool(t), t.Extra) }

// UnmarshalJSON reads a tool.
func (t *Tool) UnmarshalJSON(data []byte) error {
	extra, err := family.Unmarshal(data, (*plainTool)(t))
	t.Extra = extra
	return err
}

type plainResponse Response

// MarshalJSON writes the body as it came, but for fields that are null: only a
// stop sequence is written then.
func (r Response) MarshalJSON() ([]byte, error) {
	w := struct {
		plainResponse
		StopSequence *string `json:"stop_sequence"`
	}{plainResponse: plainResponse(r)}
	if r.StopSequence != "" {
		w.StopSequence = &r.StopSequence
	}
	if w.Content == nil {
		w.Content = Blocks{} // a message's content is a list, if an empty one
	}
	return family.Marshal(w, r.Extra)
}

type plainUsage Usage

// MarshalJSON writes the usage as it came, but for fields that are null.
func (u Usage) MarshalJSON() ([]byte, error) { return family.Marshal(plainUsage(u), u.Extra) }

// UnmarshalJSON reads a usage.
func (u *Usage) UnmarshalJSON(data []byte) error {
	extra, err := family.Unmarshal(data, (*plainUsage)(u))
	u.Extra = extra
	return err
}

// UnmarshalJSON reads a body.
func (r *Response) UnmarshalJSON(data []byte) error {
	if r.scan(data) || r.unmarshalKnown(data) {
		return nil
	}
	extra, err := family.Unmarshal(data, (*plainResponse)(r))
	r.Extra = extra
	return err
}

// unmarshalKnown reads a body that has no field and no block that this version
// does not know, and reports whether it is one.
func (r *Response) unmarshalKnown(data []byte) bool {
	var v struct {
		plainResponse
		Content []plainBlock `json:"content"`
	}
	if !family.Strict(data, &v) {
		return false
	}
	content := make(Blocks, len(v.Content))
	for i, b := range v.Content {
		if !blockTypes[b.Type] {
			return false
		}
		content[i] = Block(b)
	}
	*r = Response(v.plainResponse)
	r.Content = content
	return true
}

var (
	_ json.Marshaler   = Request{}
	_ json.Unmarshaler = (*Request)(nil)
)
