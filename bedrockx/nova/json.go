package nova

import (
	"bytes"
	"encoding/json"

	"github.com/mangaassist/bedrockkit/internal/family"
)

type (
	plainRequest  Request
	plainResponse Response
	plainBlock    Block
	plainTool     Tool
)

// wireRequest is written in one pass, however large its images are.
type wireRequest struct {
	*plainRequest
	System   []any         `json:"system,omitempty"`
	Messages []wireMessage `json:"messages"`
}

type wireMessage struct {
	Role    string `json:"role"`
	Content []any  `json:"content"`
}

// wire is the block without methods. One that holds nothing is an empty text.
func (b *Block) wire() any {
	switch {
	case b.Raw != nil:
		return b.Raw
	case b.ToolUse != nil && len(b.ToolUse.Input) == 0:
		call := *b.ToolUse
		call.Input = json.RawMessage("{}")
		return &plainBlock{ToolUse: &call}
	case b.Text == "" && b.Image == nil && b.Video == nil && b.Audio == nil && b.Document == nil && b.ToolUse == nil &&
		b.ToolResult == nil && b.ReasoningContent == nil && b.CachePoint == nil && b.JSON == nil:
		return json.RawMessage(`{"text":""}`)
	}
	return (*plainBlock)(b)
}

func wires(blocks []Block) []any {
	if blocks == nil {
		return nil
	}
	list := make([]any, len(blocks))
	for i := range blocks {
		list[i] = blocks[i].wire()
	}
	return list
}

// MarshalJSON writes the body as the model takes it.
func (r Request) MarshalJSON() ([]byte, error) {
	if r.SchemaVersion == "" {
		r.SchemaVersion = SchemaVersion
	}
	w := wireRequest{plainRequest: (*plainRequest)(&r), System: wires(r.System), Messages: make([]wireMessage, len(r.Messages))}
	for i, m := range r.Messages {
		w.Messages[i] = wireMessage{m.Role, wires(m.Content)}
	}
	return family.Marshal(w, r.Extra)
}

// UnmarshalJSON reads a body.
func (r *Request) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r Response) MarshalJSON() ([]byte, error) { return family.Marshal(plainResponse(r), r.Extra) }

// UnmarshalJSON reads a body.
func (r *Response) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainResponse)(r))
	return err
}

// MarshalJSON writes the block as the model takes it.
func (b Block) MarshalJSON() ([]byte, error) { return family.Marshal(b.wire(), nil) }

// UnmarshalJSON reads a block.
func (b *Block) UnmarshalJSON(data []byte) error {
	*b = Block{}
	if family.Strict(data, (*plainBlock)(b)) {
		return nil
	}
	*b = Block{}
	if err := json.Unmarshal(data, (*plainBlock)(b)); err != nil {
		return err
	}
	b.Raw = bytes.Clone(data)
	return nil
}

// MarshalJSON writes the tool as the model takes it.
func (t Tool) MarshalJSON() ([]byte, error) { return family.Marshal(plainTool(t), t.Extra) }

// UnmarshalJSON reads a tool.
func (t *Tool) UnmarshalJSON(data []byte) (err error) {
	t.Extra, err = family.Unmarshal(data, (*plainTool)(t))
	return err
}
