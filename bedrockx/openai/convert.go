package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// The two forms of an answer: {"object":"chat.completion","choices":[{"message":…}],"usage":…}
// and chunks of {"object":"chat.completion.chunk","choices":[{"delta":…}]}.

const (
	wholeObject = `"chat.completion"`
	chunkObject = `"chat.completion.chunk"`
)

// repeated are the members that every chunk has.
var repeated = []string{"id", "created", "model", "service_tier", "system_fingerprint"}

// texts are the members of a message that come in pieces.
var texts = []string{"reasoning_content", "reasoning", "content", "refusal"}

func split(s *family.Splitter, top family.Object) error {
	choice, err := family.Only(top["choices"])
	if err != nil || string(top["object"]) != wholeObject {
		return family.ErrForm
	}
	var message family.Object
	err = family.Read(choice["message"], &message)
	err = errors.Join(err, family.Within(choice, "index", "message", "finish_reason", "logprobs"),
		family.Within(message, append([]string{"role", "tool_calls"}, texts...)...))
	if err != nil || !family.IsNull(choice["logprobs"]) {
		return family.ErrForm
	}
	chunk := func(choices []any) map[string]any {
		v := map[string]any{"object": json.RawMessage(chunkObject), "choices": choices}
		for _, name := range repeated {
			if value, ok := top[name]; ok {
				v[name] = value
			}
		}
		return v
	}
	delta := func(d any, finish any) map[string]any {
		return chunk([]any{map[string]any{"index": choice["index"], "delta": d, "finish_reason": finish}})
	}
	// The first chunk says what the message has, with texts that are empty yet.
	first := map[string]any{}
	for name, value := range message {
		switch {
		case name == "tool_calls":
		case name != "role" && !family.IsNull(value):
			first[name] = ""
		default:
			first[name] = value
		}
	}
	if err := s.Add("", delta(first, nil), 0); err != nil {
		return err
	}
	for _, name := range texts {
		if family.IsNull(message[name]) {
			continue
		}
		whole, err := family.String(message[name])
		if err != nil {
			return err
		}
		if err := s.Pieces("", whole, func(piece string) any { return delta(map[string]string{name: piece}, nil) }); err != nil {
			return err
		}
	}
	if err := splitCalls(s, message["tool_calls"], delta); err != nil {
		return err
	}
	if err := s.Add("", delta(struct{}{}, choice["finish_reason"]), 0); err != nil {
		return err
	}
	last := chunk([]any{})
	for name, value := range top {
		if name != "object" && name != "choices" {
			last[name] = value
		}
	}
	return s.Add("", last, 0)
}

func splitCalls(s *family.Splitter, raw json.RawMessage, delta func(d any, finish any) map[string]any) error {
	if raw == nil {
		return nil
	}
	var calls []family.Object
	if err := family.Read(raw, &calls); err != nil || len(calls) == 0 {
		return family.ErrForm
	}
	for i, call := range calls {
		var function family.Object
		err := family.Read(call["function"], &function)
		if err = errors.Join(err, family.Within(call, "id", "type", "function"), family.Within(function, "name", "arguments")); err != nil {
			return err
		}
		if _, err := family.String(function["arguments"]); err != nil {
			return err
		}
		first := map[string]any{"index": i}
		for name, value := range call {
			first[name] = value
		}
		if err := s.Add("", delta(map[string]any{"tool_calls": []any{first}}, nil), 0); err != nil {
			return err
		}
	}
	return nil
}

// A joined message is put together of its deltas.
type joined struct {
	message family.Object
	texts   map[string]*strings.Builder
	calls   []*joinedCall
}

type joinedCall struct {
	call, function family.Object
	arguments      strings.Builder
}

func join(events []family.Event) (any, error) {
	if string(events[0].Object["object"]) != chunkObject {
		return nil, family.ErrForm
	}
	body := family.Object{}
	choice := family.Object{}
	m := joined{message: family.Object{}, texts: map[string]*strings.Builder{}}
	for _, ev := range events {
		for name, value := range ev.Object {
			switch name {
			case "choices":
				if err := m.choices(value, choice); err != nil {
					return nil, err
				}
				continue
			case "object":
				if string(value) != chunkObject {
					return nil, family.ErrForm
				}
				value = json.RawMessage(wholeObject)
			}
			if before, ok := body[name]; ok && !family.IsNull(before) {
				if family.IsNull(value) {
					continue
				}
				if !bytes.Equal(before, value) {
					return nil, family.ErrForm // it says two things
				}
			}
			body[name] = value
		}
	}
	message, err := m.whole()
	if err != nil {
		return nil, err
	}
	if _, err := family.With(choice, "message", message); err != nil {
		return nil, err
	}
	return family.With(body, "choices", []any{choice})
}

func (m *joined) choices(raw json.RawMessage, choice family.Object) error {
	if string(raw) == "[]" {
		return nil
	}
	one, err := family.Only(raw)
	if err != nil || family.Within(one, "index", "delta", "finish_reason", "logprobs") != nil || !family.IsNull(one["logprobs"]) {
		return family.ErrForm
	}
	if index, ok := one["index"]; ok {
		choice["index"] = index
	}
	if finish, ok := one["finish_reason"]; ok && (choice["finish_reason"] == nil || !family.IsNull(finish)) {
		choice["finish_reason"] = finish
	}
	var delta family.Object
	if err := family.Read(one["delta"], &delta); err != nil {
		return err
	}
	for name, value := range delta {
		switch {
		case name == "role":
			m.message[name] = value
		case name == "tool_calls":
			if err := m.toolCalls(value); err != nil {
				return err
			}
		case family.Within(family.Object{name: nil}, texts...) != nil:
			return family.ErrForm
		case family.IsNull(value):
			if m.message[name] == nil {
				m.message[name] = value
			}
		default:
			text, err := family.String(value)
			if err != nil {
				return err
			}
			if m.texts[name] == nil {
				m.texts[name] = &strings.Builder{}
			}
			m.texts[name].WriteString(text)
		}
	}
	return nil
}

func (m *joined) toolCalls(raw json.RawMessage) error {
	if family.IsNull(raw) {
		return nil
	}
	var pieces []family.Object
	if err := family.Read(raw, &pieces); err != nil {
		return err
	}
	for _, piece := range pieces {
		var index int
		var function family.Object
		if err := errors.Join(family.Within(piece, "index", "id", "type", "function"), family.Read(piece["index"], &index)); err != nil {
			return err
		}
		if piece["function"] != nil {
			if err := family.Read(piece["function"], &function); err != nil {
				return err
			}
		}
		if index < 0 || index > len(m.calls) || family.Within(function, "name", "arguments") != nil {
			return family.ErrForm
		}
		if index == len(m.calls) {
			m.calls = append(m.calls, &joinedCall{call: family.Object{}, function: family.Object{}})
		}
		call := m.calls[index]
		for _, name := range []string{"id", "type"} {
			if !family.IsNull(piece[name]) {
				call.call[name] = piece[name]
			}
		}
		if !family.IsNull(function["name"]) {
			call.function["name"] = function["name"]
		}
		if !family.IsNull(function["arguments"]) {
			text, err := family.String(function["arguments"])
			if err != nil {
				return err
			}
			call.arguments.WriteString(text)
		}
	}
	return nil
}

func (m *joined) whole() (family.Object, error) {
	for name, text := range m.texts {
		if _, err := family.With(m.message, name, text.String()); err != nil {
			return nil, err
		}
	}
	if m.calls == nil {
		return m.message, nil
	}
	calls := make([]family.Object, len(m.calls))
	for i, c := range m.calls {
		if _, err := family.With(c.function, "arguments", c.arguments.String()); err != nil {
			return nil, err
		}
		if _, err := family.With(c.call, "function", c.function); err != nil {
			return nil, err
		}
		calls[i] = c.call
	}
	return family.With(m.message, "tool_calls", calls)
}
