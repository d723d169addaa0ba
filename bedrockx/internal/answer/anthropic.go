package answer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The answers of Anthropic's Messages API. Source: "Messages" and "Streaming
// Messages", Anthropic's API documentation.

// inDelta are the members of a message that message_delta tells.
var inDelta = []string{"stop_reason", "stop_sequence", "stop_details", "container", "context_management"}

func (s *splitter) anthropic(top object) error {
	var content []object
	if err := read(top["content"], &content); err != nil {
		return err
	}
	message, delta := maps.Clone(top), object{}
	message["content"] = json.RawMessage("[]")
	for _, name := range inDelta {
		if value, ok := top[name]; ok {
			delta[name], message[name] = value, json.RawMessage("null")
		}
	}
	if err := s.add("", map[string]any{"type": "message_start", "message": message}, 0); err != nil {
		return err
	}
	for i, block := range content {
		if err := s.anthropicBlock(i, block); err != nil {
			return err
		}
		if err := s.add("", map[string]any{"type": "content_block_stop", "index": i}, 0); err != nil {
			return err
		}
	}
	if err := s.add("", map[string]any{"type": "message_delta", "delta": delta, "usage": top["usage"]}, 0); err != nil {
		return err
	}
	return s.add("", map[string]string{"type": "message_stop"}, 0)
}

// An anthropicDelta has its members in the order in which the service writes
// them.
type anthropicDelta struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta any    `json:"delta"`
}

// streamed are the members of a block that come by deltas, and their types.
var streamed = map[string]string{"text": "text_delta", "thinking": "thinking_delta", "signature": "signature_delta"}

func (s *splitter) anthropicBlock(index int, block object) error {
	start := maps.Clone(block)
	var names []string
	switch typ := text(block["type"]); typ {
	case "text":
		names = []string{"text"}
		delete(start, "citations")
	case "thinking":
		names = []string{"thinking", "signature"}
	case "tool_use", "server_tool_use":
		start["input"] = json.RawMessage("{}")
	}
	for _, name := range names {
		if start[name] != nil {
			start[name] = json.RawMessage(`""`)
		}
	}
	if err := s.add("", map[string]any{"type": "content_block_start", "index": index, "content_block": start}, 0); err != nil {
		return err
	}
	delta := func(d any) anthropicDelta { return anthropicDelta{"content_block_delta", index, d} }
	for _, name := range names {
		typ := streamed[name]
		payload := func(piece string) any { return delta(map[string]string{"type": typ, name: piece}) }
		var err error
		switch whole := text(block[name]); {
		case name != "signature":
			err = s.pieces("", whole, payload)
		case whole != "":
			err = s.add("", payload(whole), 0)
		}
		if err != nil {
			return err
		}
	}
	if names == nil && start["input"] != nil {
		input, err := marshal(block["input"])
		if err != nil {
			return err
		}
		return s.add("", delta(map[string]string{"type": "input_json_delta", "partial_json": string(input)}), 0)
	}
	var citations []json.RawMessage
	if text(block["type"]) == "text" && !isNull(block["citations"]) {
		if err := read(block["citations"], &citations); err != nil {
			return err
		}
	}
	for _, citation := range citations {
		if err := s.add("", delta(map[string]any{"type": "citations_delta", "citation": citation}), 0); err != nil {
			return err
		}
	}
	return nil
}

func joinAnthropic(events []event) (any, error) {
	var message object
	type block struct {
		object    object
		texts     map[string]*strings.Builder
		citations []json.RawMessage
	}
	var blocks []*block
	for _, ev := range events {
		var v struct {
			Type    string
			Index   int
			Message object
			Block   object `json:"content_block"`
			Delta   object
			Usage   object
		}
		if err := read(ev.raw, &v); err != nil {
			return nil, err
		}
		switch v.Type {
		case "ping", "message_stop":
		case "message_start":
			message = v.Message
		case "content_block_start":
			if v.Index != len(blocks) || v.Block == nil {
				return nil, ErrForm
			}
			blocks = append(blocks, &block{object: v.Block, texts: map[string]*strings.Builder{}})
		case "content_block_delta":
			if v.Index < 0 || v.Index >= len(blocks) {
				return nil, ErrForm
			}
			b := blocks[v.Index]
			typ := text(v.Delta["type"])
			delete(v.Delta, "type")
			if len(v.Delta) != 1 {
				return nil, ErrForm
			}
			for name, value := range v.Delta {
				switch typ + "." + name {
				case "text_delta.text", "thinking_delta.thinking", "signature_delta.signature", "input_json_delta.partial_json":
					if b.texts[name] == nil {
						b.texts[name] = &strings.Builder{}
						b.texts[name].WriteString(text(b.object[name])) // a block may start with some of it
					}
					b.texts[name].WriteString(text(value))
				case "citations_delta.citation":
					b.citations = append(b.citations, value)
				default:
					return nil, ErrForm
				}
			}
		case "content_block_stop":
		case "message_delta":
			for name, value := range v.Delta {
				if message != nil && slices.Contains(inDelta, name) {
					message[name] = value
				} else {
					return nil, ErrForm
				}
			}
			usage := object{}
			if !isNull(message["usage"]) {
				if err := read(message["usage"], &usage); err != nil {
					return nil, err
				}
			}
			maps.Copy(usage, v.Usage) // cumulative
			raw, err := marshal(usage)
			if err != nil {
				return nil, err
			}
			message["usage"] = raw
		default:
			return nil, ErrForm
		}
	}
	if message == nil {
		return nil, ErrForm
	}
	content := make([]object, len(blocks))
	for i, b := range blocks {
		content[i] = b.object
		for name, whole := range b.texts {
			if name == "partial_json" {
				input := strings.TrimSpace(whole.String())
				if input == "" {
					input = "{}"
				}
				if !json.Valid([]byte(input)) {
					return nil, ErrForm
				}
				b.object["input"] = json.RawMessage(input)
				continue
			}
			raw, err := marshal(whole.String())
			if err != nil {
				return nil, err
			}
			b.object[name] = raw
		}
		if b.citations != nil {
			raw, err := marshal(b.citations)
			if err != nil {
				return nil, err
			}
			b.object["citations"] = raw
		}
	}
	raw, err := marshal(content)
	message["content"] = raw
	return message, err
}
