package converseform

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// inStop are the members of a body that messageStop has; those that no other
// event has are in metadata.
var inStop = []string{"stopReason", "additionalModelResponseFields"}

// MaxTokens returns the bound on the answer of a request, be it JSON or the
// SDK's input.
func MaxTokens(request []byte) int64 {
	return family.Bound(request, "inferenceConfig", "maxTokens")
}

// Split adds the frames of a ConverseStream.
func Split(s *family.Splitter, top family.Object) error {
	var output, message family.Object
	if err := family.Read(top["output"], &output); err != nil {
		return err
	}
	if err := family.Read(output["message"], &message); err != nil {
		return err
	}
	role, err := family.String(message["role"])
	if err = errors.Join(err, family.Within(output, "message"), family.Within(message, "role", "content")); err != nil {
		return err
	}
	var content []family.Object
	if err := family.Read(message["content"], &content); err != nil {
		return err
	}
	if err := s.Add("messageStart", map[string]string{"role": role}, 0); err != nil {
		return err
	}
	for i, block := range content {
		if err := splitBlock(s, i, block); err != nil {
			return err
		}
		if err := s.Add("contentBlockStop", map[string]int{"contentBlockIndex": i}, 0); err != nil {
			return err
		}
	}
	stop, metadata := family.Object{}, family.Object{}
	for name, value := range top {
		switch {
		case name == "output":
		case slices.Contains(inStop, name):
			stop[name] = value
		default:
			metadata[name] = value
		}
	}
	if err := s.Add("messageStop", stop, 0); err != nil {
		return err
	}
	return s.Add("metadata", metadata, 0)
}

// A delta is one of a block, in the order in which the service writes
// its members.
type delta struct {
	Index int `json:"contentBlockIndex"`
	Delta any `json:"delta"`
}

func splitBlock(s *family.Splitter, index int, block family.Object) error {
	if len(block) != 1 {
		return family.ErrForm
	}
	for kind, raw := range block {
		if kind == "text" {
			return splitText(s, index, raw, func(piece string) any { return map[string]string{"text": piece} })
		}
		var v family.Object
		if err := family.Read(raw, &v); err != nil {
			return err
		}
		switch kind {
		case "toolUse":
			return splitTool(s, index, v)
		case "reasoningContent":
			return splitReasoning(s, index, v)
		case "citationsContent":
			return splitCitations(s, index, v)
		}
	}
	return family.ErrForm
}

// splitText adds a delta for each piece of a text, a JSON string.
func splitText(s *family.Splitter, index int, text json.RawMessage, wrap func(piece string) any) error {
	whole, err := family.String(text)
	if err != nil {
		return err
	}
	return s.Pieces("contentBlockDelta", whole, func(piece string) any { return delta{index, wrap(piece)} })
}

func splitTool(s *family.Splitter, index int, tool family.Object) error {
	input := tool["input"]
	if input == nil {
		return family.ErrForm
	}
	delete(tool, "input")
	start := map[string]any{"contentBlockIndex": index, "start": map[string]any{"toolUse": tool}}
	if err := s.Add("contentBlockStart", start, 0); err != nil || string(input) == "{}" {
		return err // no input is not a delta
	}
	return s.Add("contentBlockDelta", delta{index, map[string]any{"toolUse": map[string]string{"input": string(input)}}}, 0)
}

func splitReasoning(s *family.Splitter, index int, r family.Object) error {
	reasoning := func(name string, value any) any {
		return map[string]any{"reasoningContent": map[string]any{name: value}}
	}
	switch {
	case len(r) != 1:
		return family.ErrForm
	case r["redactedContent"] != nil:
		return s.Add("contentBlockDelta", delta{index, reasoning("redactedContent", r["redactedContent"])}, 0)
	}
	var said family.Object
	err := family.Read(r["reasoningText"], &said)
	if err = errors.Join(err, family.Within(said, "text", "signature")); err != nil {
		return err
	}
	if err := splitText(s, index, said["text"], func(piece string) any { return reasoning("text", piece) }); err != nil {
		return err
	}
	if said["signature"] == nil {
		return nil
	}
	signature, err := family.String(said["signature"])
	if err != nil {
		return err
	}
	return s.Add("contentBlockDelta", delta{index, reasoning("signature", signature)}, 0)
}

// splitCitations takes one text with citations. Of several, or of none, a stream
// says nothing that differs from other content.
func splitCitations(s *family.Splitter, index int, c family.Object) error {
	part, err := family.Only(c["content"])
	if err = errors.Join(err, family.Within(c, "content", "citations"), family.Within(part, "text")); err != nil {
		return err
	}
	var citations []json.RawMessage
	if err := family.Read(c["citations"], &citations); err != nil || len(citations) == 0 {
		return family.ErrForm
	}
	if err := splitText(s, index, part["text"], func(piece string) any { return map[string]string{"text": piece} }); err != nil {
		return err
	}
	for _, citation := range citations {
		if err := s.Add("contentBlockDelta", delta{index, family.Object{"citation": citation}}, 0); err != nil {
			return err
		}
	}
	return nil
}

// A joined block is put together of its deltas.
type joined struct {
	index                      int
	text, reasoning, signature strings.Builder
	redacted                   json.RawMessage
	citations                  []json.RawMessage
	tool                       family.Object
	input                      strings.Builder
	reasons                    bool
}

// members are those that the events of a block and of a message's start are known
// to have; those of its end are members of the body.
var members = map[string][]string{
	"messageStart":      {"role"},
	"contentBlockStart": {"contentBlockIndex", "start"},
	"contentBlockDelta": {"contentBlockIndex", "delta"},
	"contentBlockStop":  {"contentBlockIndex"},
}

// Join returns the body of a Converse response.
func Join(events []family.Event) (any, error) {
	body := map[string]any{}
	role := "assistant"
	var blocks []*joined
	find := func(raw json.RawMessage) (*joined, error) {
		var index int
		if err := family.Read(raw, &index); err != nil {
			return nil, err
		}
		for _, b := range slices.Backward(blocks) {
			if b.index == index {
				return b, nil
			}
		}
		b := &joined{index: index}
		blocks = append(blocks, b)
		return b, nil
	}
	for _, ev := range events {
		for name := range ev.Object {
			if known, ok := members[ev.Name]; ok && !slices.Contains(known, name) {
				return nil, family.ErrForm
			}
		}
		switch ev.Name {
		case "messageStart":
			var err error
			if role, err = family.String(ev.Object["role"]); err != nil || len(ev.Object) != 1 {
				return nil, family.ErrForm
			}
		case "contentBlockStart", "contentBlockDelta", "contentBlockStop":
			b, err := find(ev.Object["contentBlockIndex"])
			if err == nil {
				err = b.add(ev)
			}
			if err != nil {
				return nil, err
			}
		case "messageStop", "metadata":
			for name, value := range ev.Object {
				body[name] = value
			}
		default:
			return nil, family.ErrForm
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
func (b *joined) add(ev family.Event) error {
	var v struct{ Start, Delta family.Object }
	err := family.Read(ev.Raw, &v)
	if err = errors.Join(err, family.Within(ev.Object, "contentBlockIndex", "start", "delta")); err != nil {
		return err
	}
	for name, value := range v.Start {
		if name != "toolUse" || b.tool != nil {
			return family.ErrForm
		}
		if err := family.Read(value, &b.tool); err != nil {
			return err
		}
	}
	for name, value := range v.Delta {
		var member family.Object
		switch name {
		case "text":
			if err := write(&b.text, value); err != nil {
				return err
			}
			continue
		case "citation":
			b.citations = append(b.citations, value)
			continue
		case "toolUse", "reasoningContent":
			if err := family.Read(value, &member); err != nil {
				return err
			}
		}
		if len(member) != 1 {
			return family.ErrForm
		}
		for inner, value := range member {
			err := family.ErrForm
			switch name + "." + inner {
			case "toolUse.input":
				err = write(&b.input, value)
			case "reasoningContent.text":
				b.reasons = true
				err = write(&b.reasoning, value)
			case "reasoningContent.signature":
				b.reasons = true
				err = write(&b.signature, value)
			case "reasoningContent.redactedContent":
				if b.redacted == nil {
					b.redacted, err = value, nil
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// write appends a JSON string.
func write(to *strings.Builder, raw json.RawMessage) error {
	text, err := family.String(raw)
	to.WriteString(text)
	return err
}

// content is the block as a unary answer has it.
func (b *joined) content() (any, error) {
	kinds := 0
	for _, has := range []bool{b.text.Len() > 0 || b.citations != nil, b.tool != nil, b.reasons, b.redacted != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case kinds > 1 || b.tool == nil && b.input.Len() > 0:
		return nil, family.ErrForm
	case b.tool != nil:
		input := json.RawMessage(b.input.String())
		if strings.TrimSpace(b.input.String()) == "" {
			input = json.RawMessage("{}")
		}
		if !json.Valid(input) {
			return nil, family.ErrForm
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
