package nova

import (
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit/bedrockx/internal/family"
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
func (b *Block) wire() (any, error) {
	switch {
	case len(b.Extra) > 0:
		raw, err := family.Marshal((*plainBlock)(b), b.Extra)
		return json.RawMessage(raw), err
	case b.ToolUse != nil && len(b.ToolUse.Input) == 0:
		call := *b.ToolUse
		call.Input = json.RawMessage("{}")
		return &plainBlock{ToolUse: &call}, nil
	case b.Text == "" && b.Image == nil && b.Video == nil && b.Audio == nil && b.Document == nil && b.ToolUse == nil &&
		b.ToolResult == nil && b.ReasoningContent == nil && b.CachePoint == nil && b.JSON == nil:
		return json.RawMessage(`{"text":""}`), nil
	}
	return (*plainBlock)(b), nil
}

func wires(blocks []Block) ([]any, error) {
	if blocks == nil {
		return nil, nil
	}
	list := make([]any, len(blocks))
	for i := range blocks {
		w, err := blocks[i].wire()
		if err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		list[i] = w
	}
	return list, nil
}

// MarshalJSON writes the body as the model takes it.
func (r Request) MarshalJSON() ([]byte, error) {
	if r.SchemaVersion == "" {
		r.SchemaVersion = SchemaVersion
	}
	w := wireRequest{plainRequest: (*plainRequest)(&r), Messages: make([]wireMessage, len(r.Messages))}
	var err error
	if w.System, err = wires(r.System); err != nil {
		return nil, fmt.Errorf("system: %w", err)
	}
	for i, m := range r.Messages {
		w.Messages[i].Role = m.Role
		if w.Messages[i].Content, err = wires(m.Content); err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
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
func (b Block) MarshalJSON() ([]byte, error) {
	w, err := b.wire()
	if err != nil {
		return nil, err
	}
	return family.Marshal(w, nil)
}

// UnmarshalJSON reads a block.
func (b *Block) UnmarshalJSON(data []byte) (err error) {
	b.Extra, err = family.Unmarshal(data, (*plainBlock)(b))
	return err
}

// MarshalJSON writes the tool as the model takes it.
func (t Tool) MarshalJSON() ([]byte, error) { return family.Marshal(plainTool(t), t.Extra) }

// UnmarshalJSON reads a tool.
func (t *Tool) UnmarshalJSON(data []byte) (err error) {
	t.Extra, err = family.Unmarshal(data, (*plainTool)(t))
	return err
}
