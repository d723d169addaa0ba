package anthropic

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// The answers of Anthropic's Messages API. Source: "Messages" and "Streaming
// Messages", Anthropic's API documentation.

// inDelta are the members of a message that the delta of message_delta tells,
// and management is the one that it tells beside.
var inDelta = []string{"stop_reason", "stop_sequence", "stop_details", "container"}

const management = "context_management"

// bedrocks says which members of a message are Bedrock's own: message_stop
// tells them.
func bedrocks(name string) bool { return strings.HasPrefix(name, "amazon-bedrock-") }

// told are the members of the events beside their type. Another one is not known.
var told = map[string][]string{
	"ping":                {},
	"message_start":       {"message"},
	"content_block_start": {"index", "content_block"},
	"content_block_delta": {"index", "delta"},
	"content_block_stop":  {"index"},
	"message_delta":       {"delta", "usage", management},
}

func split(s *family.Splitter, top family.Object) error {
	if family.Text(top["type"]) != "message" {
		return family.ErrForm
	}
	var content []family.Object
	if err := family.Read(top["content"], &content); err != nil {
		return err
	}
	message, delta := maps.Clone(top), family.Object{}
	message["content"] = json.RawMessage("[]")
	for _, name := range inDelta {
		if value, ok := top[name]; ok {
			delta[name], message[name] = value, json.RawMessage("null")
		}
	}
	stop, last := map[string]any{"type": "message_stop"}, map[string]any{"type": "message_delta", "delta": delta, "usage": top["usage"]}
	for name, value := range top {
		switch {
		case bedrocks(name):
			stop[name] = value
			delete(message, name)
		case name == management:
			last[name] = value
			delete(message, name)
		}
	}
	if err := s.Add("", map[string]any{"type": "message_start", "message": message}, 0); err != nil {
		return err
	}
	for i, block := range content {
		if err := splitBlock(s, i, block); err != nil {
			return err
		}
		if err := s.Add("", map[string]any{"type": "content_block_stop", "index": i}, 0); err != nil {
			return err
		}
	}
	if err := s.Add("", last, 0); err != nil {
		return err
	}
	return s.Add("", stop, 0)
}

// A splitDelta has its members in the order in which the service writes
// them.
type splitDelta struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta any    `json:"delta"`
}

// streamed are the members of a block that come by deltas, and their types.
var streamed = map[string]string{"text": "text_delta", "thinking": "thinking_delta", "signature": "signature_delta"}

func splitBlock(s *family.Splitter, index int, block family.Object) error {
	start := maps.Clone(block)
	var names []string
	switch typ := family.Text(block["type"]); typ {
	case "text":
		names = []string{"text"}
		if !family.IsNull(block["citations"]) {
			delete(start, "citations")
		}
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
	if err := s.Add("", map[string]any{"type": "content_block_start", "index": index, "content_block": start}, 0); err != nil {
		return err
	}
	delta := func(d any) splitDelta { return splitDelta{"content_block_delta", index, d} }
	for _, name := range names {
		typ := streamed[name]
		payload := func(piece string) any { return delta(map[string]string{"type": typ, name: piece}) }
		if block[name] == nil {
			continue
		}
		whole, err := family.String(block[name])
		if err != nil {
			return err
		}
		switch {
		case name != "signature":
			err = s.Pieces("", whole, payload)
		case whole != "":
			err = s.Add("", payload(whole), 0)
		}
		if err != nil {
			return err
		}
	}
	if names == nil && start["input"] != nil {
		input, err := family.JSON(block["input"])
		if err != nil {
			return err
		}
		return s.Add("", delta(map[string]string{"type": "input_json_delta", "partial_json": string(input)}), 0)
	}
	var citations []json.RawMessage
	if family.Text(block["type"]) == "text" && !family.IsNull(block["citations"]) {
		if err := family.Read(block["citations"], &citations); err != nil {
			return err
		}
	}
	for _, citation := range citations {
		if err := s.Add("", delta(map[string]any{"type": "citations_delta", "citation": citation}), 0); err != nil {
			return err
		}
	}
	return nil
}

func join(events []family.Event) (any, error) {
	if family.Text(events[0].Object["type"]) != "message_start" {
		return nil, family.ErrForm
	}
	var message family.Object
	type block struct {
		object    family.Object
		texts     map[string]*strings.Builder
		citations []json.RawMessage
	}
	var blocks []*block
	for _, ev := range events {
		var v struct {
			Type    string
			Index   int
			Message family.Object
			Block   family.Object `json:"content_block"`
			Delta   family.Object
			Usage   family.Object
		}
		if err := family.Read(ev.Raw, &v); err != nil {
			return nil, err
		}
		delete(ev.Object, "type")
		if names, known := told[v.Type]; known {
			if err := family.Within(ev.Object, names...); err != nil {
				return nil, err
			}
		}
		switch v.Type {
		case "ping":
		case "message_stop":
			for name, value := range ev.Object {
				if message == nil || !bedrocks(name) {
					return nil, family.ErrForm
				}
				message[name] = value
			}
		case "message_start":
			message = v.Message
		case "content_block_start":
			if v.Index != len(blocks) || v.Block == nil {
				return nil, family.ErrForm
			}
			blocks = append(blocks, &block{object: v.Block, texts: map[string]*strings.Builder{}})
		case "content_block_delta":
			if v.Index < 0 || v.Index >= len(blocks) {
				return nil, family.ErrForm
			}
			b := blocks[v.Index]
			typ := family.Text(v.Delta["type"])
			delete(v.Delta, "type")
			if len(v.Delta) != 1 {
				return nil, family.ErrForm
			}
			for name, value := range v.Delta {
				switch typ + "." + name {
				case "text_delta.text", "thinking_delta.thinking", "signature_delta.signature", "input_json_delta.partial_json":
					if b.texts[name] == nil {
						b.texts[name] = &strings.Builder{}
						b.texts[name].WriteString(family.Text(b.object[name])) // a block may start with some of it
					}
					piece, err := family.String(value)
					if err != nil {
						return nil, err
					}
					b.texts[name].WriteString(piece)
				case "citations_delta.citation":
					b.citations = append(b.citations, value)
				default:
					return nil, family.ErrForm
				}
			}
		case "content_block_stop":
		case "message_delta":
			if value, ok := ev.Object[management]; ok && message != nil {
				message[management] = value
			}
			for name, value := range v.Delta {
				if message != nil && slices.Contains(inDelta, name) {
					message[name] = value
				} else {
					return nil, family.ErrForm
				}
			}
			usage := family.Object{}
			if !family.IsNull(message["usage"]) {
				if err := family.Read(message["usage"], &usage); err != nil {
					return nil, err
				}
			}
			maps.Copy(usage, v.Usage) // cumulative
			raw, err := family.JSON(usage)
			if err != nil {
				return nil, err
			}
			message["usage"] = raw
		default:
			return nil, family.ErrForm
		}
	}
	if message == nil {
		return nil, family.ErrForm
	}
	content := make([]family.Object, len(blocks))
	for i, b := range blocks {
		content[i] = b.object
		for name, whole := range b.texts {
			if name == "partial_json" {
				input := strings.TrimSpace(whole.String())
				if input == "" {
					input = "{}"
				}
				if !json.Valid([]byte(input)) {
					return nil, family.ErrForm
				}
				b.object["input"] = json.RawMessage(input)
				continue
			}
			raw, err := family.JSON(whole.String())
			if err != nil {
				return nil, err
			}
			b.object[name] = raw
		}
		if b.citations != nil {
			raw, err := family.JSON(b.citations)
			if err != nil {
				return nil, err
			}
			b.object["citations"] = raw
		}
	}
	raw, err := family.JSON(content)
	message["content"] = raw
	return message, err
}
