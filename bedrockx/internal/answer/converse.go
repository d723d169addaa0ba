package answer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The answers of Converse and ConverseStream, and of Nova's models, whose body
// is the same and whose chunks hold the same events. Source: ConverseResponse
// and ConverseStreamOutput, API reference; "Complete request schema", Nova User
// Guide.

// inStop are the members of a body that messageStop has; those that no other
// event has are in metadata.
var inStop = []string{"stopReason", "additionalModelResponseFields"}

func (s *splitter) converse(top object) error {
	var output struct {
		Message struct {
			Role    string
			Content []object
		}
	}
	if err := read(top["output"], &output); err != nil {
		return err
	}
	if err := s.add("messageStart", map[string]string{"role": output.Message.Role}, 0); err != nil {
		return err
	}
	for i, block := range output.Message.Content {
		if err := s.converseBlock(i, block); err != nil {
			return err
		}
		if err := s.add("contentBlockStop", map[string]int{"contentBlockIndex": i}, 0); err != nil {
			return err
		}
	}
	stop, metadata := object{}, object{}
	for name, value := range top {
		switch {
		case name == "output":
		case slices.Contains(inStop, name):
			stop[name] = value
		default:
			metadata[name] = value
		}
	}
	if err := s.add("messageStop", stop, 0); err != nil {
		return err
	}
	return s.add("metadata", metadata, 0)
}

// A converseDelta is one of a block, in the order in which the service writes
// its members.
type converseDelta struct {
	Index int `json:"contentBlockIndex"`
	Delta any `json:"delta"`
}

func (s *splitter) converseBlock(index int, block object) error {
	if len(block) != 1 {
		return ErrForm
	}
	deltas := func(text string, wrap func(piece string) any) error {
		return s.pieces("contentBlockDelta", text, func(piece string) any { return converseDelta{index, wrap(piece)} })
	}
	plain := func(piece string) any { return map[string]string{"text": piece} }
	switch {
	case block["text"] != nil:
		return deltas(text(block["text"]), plain)
	case block["toolUse"] != nil:
		var tool object
		if err := read(block["toolUse"], &tool); err != nil {
			return err
		}
		input, err := marshal(tool["input"])
		if err != nil {
			return err
		}
		delete(tool, "input")
		start := map[string]any{"contentBlockIndex": index, "start": map[string]any{"toolUse": tool}}
		if err := s.add("contentBlockStart", start, 0); err != nil || string(input) == "{}" {
			return err // no input is no delta
		}
		delta := map[string]any{"toolUse": map[string]string{"input": string(input)}}
		return s.add("contentBlockDelta", converseDelta{index, delta}, 0)
	case block["reasoningContent"] != nil:
		var r struct {
			ReasoningText   *struct{ Text, Signature string }
			RedactedContent json.RawMessage
		}
		if err := read(block["reasoningContent"], &r); err != nil {
			return err
		}
		reasoning := func(name string, value any) any {
			return map[string]any{"reasoningContent": map[string]any{name: value}}
		}
		switch {
		case r.ReasoningText != nil:
			if err := deltas(r.ReasoningText.Text, func(piece string) any { return reasoning("text", piece) }); err != nil {
				return err
			}
			if r.ReasoningText.Signature == "" {
				return nil
			}
			return s.add("contentBlockDelta", converseDelta{index, reasoning("signature", r.ReasoningText.Signature)}, 0)
		case r.RedactedContent != nil:
			return s.add("contentBlockDelta", converseDelta{index, reasoning("redactedContent", r.RedactedContent)}, 0)
		}
	case block["citationsContent"] != nil:
		var c struct {
			Content   []object
			Citations []json.RawMessage
		}
		if err := read(block["citationsContent"], &c); err != nil {
			return err
		}
		for _, part := range c.Content {
			if len(part) != 1 || part["text"] == nil {
				return ErrForm
			}
			if err := deltas(text(part["text"]), plain); err != nil {
				return err
			}
		}
		for _, citation := range c.Citations {
			if err := s.add("contentBlockDelta", converseDelta{index, object{"citation": citation}}, 0); err != nil {
				return err
			}
		}
		return nil
	}
	return ErrForm
}

// A converseBlock is put together of its deltas.
type converseBlock struct {
	index                      int
	text, reasoning, signature strings.Builder
	redacted                   json.RawMessage
	citations                  []json.RawMessage
	tool                       object
	input                      strings.Builder
	reasons                    bool
}

func joinConverse(events []event) (any, error) {
	body := map[string]any{}
	role := "assistant"
	var blocks []*converseBlock
	find := func(raw json.RawMessage) (*converseBlock, error) {
		var index int
		if err := read(raw, &index); err != nil {
			return nil, err
		}
		for _, b := range slices.Backward(blocks) {
			if b.index == index {
				return b, nil
			}
		}
		b := &converseBlock{index: index}
		blocks = append(blocks, b)
		return b, nil
	}
	for _, ev := range events {
		switch ev.name {
		case "messageStart":
			role = text(ev.object["role"])
		case "contentBlockStart", "contentBlockDelta", "contentBlockStop":
			b, err := find(ev.object["contentBlockIndex"])
			if err == nil {
				err = b.add(ev)
			}
			if err != nil {
				return nil, err
			}
		case "messageStop", "metadata":
			for name, value := range ev.object {
				body[name] = value
			}
		default:
			return nil, ErrForm
		}
	}
	content := make([]any, len(blocks))
	for i, b := range blocks {
		var err error
		if content[i], err = b.content(); err != nil {
			return nil, err
		}
	}
	body["output"] = map[string]any{"message": map[string]any{"role": role, "content": content}}
	return body, nil
}

// add takes over what an event says of the block.
func (b *converseBlock) add(ev event) error {
	var v struct{ Start, Delta object }
	if err := read(ev.raw, &v); err != nil {
		return err
	}
	for name, value := range v.Start {
		if name != "toolUse" {
			return ErrForm
		}
		if err := read(value, &b.tool); err != nil {
			return err
		}
	}
	for name, value := range v.Delta {
		var member object
		switch name {
		case "text":
			b.text.WriteString(text(value))
			continue
		case "citation":
			b.citations = append(b.citations, value)
			continue
		case "toolUse", "reasoningContent":
			if err := read(value, &member); err != nil {
				return err
			}
		default:
			return ErrForm
		}
		for inner, value := range member {
			switch name + "." + inner {
			case "toolUse.input":
				b.input.WriteString(text(value))
			case "reasoningContent.text":
				b.reasons = true
				b.reasoning.WriteString(text(value))
			case "reasoningContent.signature":
				b.reasons = true
				b.signature.WriteString(text(value))
			case "reasoningContent.redactedContent":
				b.redacted = value
			default:
				return ErrForm
			}
		}
	}
	return nil
}

// content is the block as a unary answer has it.
func (b *converseBlock) content() (any, error) {
	kinds := 0
	for _, has := range []bool{b.text.Len() > 0 || b.citations != nil, b.tool != nil, b.reasons, b.redacted != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case kinds > 1 || b.tool == nil && b.input.Len() > 0:
		return nil, ErrForm
	case b.tool != nil:
		input := json.RawMessage(b.input.String())
		if strings.TrimSpace(b.input.String()) == "" {
			input = json.RawMessage("{}")
		}
		if !json.Valid(input) {
			return nil, ErrForm
		}
		b.tool["input"] = input
		return map[string]any{"toolUse": b.tool}, nil
	case b.reasons:
		r := map[string]string{"text": b.reasoning.String()}
		if b.signature.Len() > 0 {
			r["signature"] = b.signature.String()
		}
		return map[string]any{"reasoningContent": map[string]any{"reasoningText": r}}, nil
	case b.redacted != nil:
		return map[string]any{"reasoningContent": map[string]any{"redactedContent": b.redacted}}, nil
	case b.citations != nil:
		content := []map[string]string{{"text": b.text.String()}}
		return map[string]any{"citationsContent": map[string]any{"content": content, "citations": b.citations}}, nil
	}
	return map[string]string{"text": b.text.String()}, nil
}

// joinNova takes the events of Converse out of Nova's chunks.
func joinNova(events []event) (any, error) {
	var inner []event
	for _, ev := range events {
		for name, raw := range ev.object {
			if len(ev.object) != 1 {
				return nil, ErrForm
			}
			e := event{name: name, raw: raw}
			if err := read(raw, &e.object); err != nil {
				return nil, err
			}
			if name == "metadata" {
				maps.DeleteFunc(e.object, func(_ string, value json.RawMessage) bool { return string(value) == "{}" })
			}
			inner = append(inner, e)
		}
	}
	return joinConverse(inner)
}
