package answer

import (
	"encoding/json"
	"maps"
	"strings"
)

// The answers of models that complete a prompt with one text, whose chunks each
// hold a piece of it. Source: the inference parameters of each family, Bedrock
// User Guide.

// completion adds a chunk for each piece of a text, and a last one without.
func (s *splitter) completion(whole string, chunk func(piece string, last bool) any) error {
	if err := s.pieces("", whole, func(piece string) any { return chunk(piece, false) }); err != nil {
		return err
	}
	return s.add("", chunk("", true), 0)
}

// Llama: the members of a chunk are those of the body.

func (s *splitter) llama(top object) error {
	whole := text(top["generation"])
	return s.completion(whole, func(piece string, last bool) any {
		chunk := map[string]any{}
		for name, value := range top {
			chunk[name] = value
			if !last && name != "generation" {
				chunk[name] = nil
			}
		}
		chunk["generation"] = piece
		return chunk
	})
}

func joinLlama(events []event) (any, error) {
	body := object{}
	var whole strings.Builder
	for _, ev := range events {
		whole.WriteString(text(ev.object["generation"]))
		for name, value := range ev.object {
			if body[name] == nil || !isNull(value) { // the first chunk tells the input, the last the output
				body[name] = value
			}
		}
	}
	return with(body, "generation", whole.String())
}

// with sets a member.
func with(body object, name string, value any) (object, error) {
	raw, err := marshal(value)
	body[name] = raw
	return body, err
}

// Mistral's text completion: "outputs" has one element, a piece of the text.

func (s *splitter) mistral(top object) error {
	output, err := only(top["outputs"])
	if err != nil || len(top) != 1 {
		return ErrForm
	}
	whole := text(output["text"])
	return s.completion(whole, func(piece string, last bool) any {
		chunk := map[string]any{"text": piece, "stop_reason": nil}
		if last {
			chunk["stop_reason"] = output["stop_reason"]
		}
		return map[string]any{"outputs": []any{chunk}}
	})
}

// only is the one element of a list of objects.
func only(raw json.RawMessage) (object, error) {
	var list []object
	if err := read(raw, &list); err != nil || len(list) != 1 {
		return nil, ErrForm
	}
	return list[0], nil
}

func joinMistral(events []event) (any, error) {
	output := object{}
	var whole strings.Builder
	for _, ev := range events {
		if len(ev.object) == 0 {
			continue // metrics, which were taken out
		}
		piece, err := only(ev.object["outputs"])
		if err != nil || len(ev.object) != 1 {
			return nil, ErrForm
		}
		whole.WriteString(text(piece["text"]))
		maps.Copy(output, piece)
	}
	if _, err := with(output, "text", whole.String()); err != nil {
		return nil, err
	}
	return map[string]any{"outputs": []object{output}}, nil
}

// Titan's text models name the same things in another way in chunks.

func (s *splitter) titan(top object) error {
	result, err := only(top["results"])
	if err != nil || len(top) != 2 || top["inputTextTokenCount"] == nil || len(result) != 3 {
		return ErrForm
	}
	return s.completion(text(result["outputText"]), func(piece string, last bool) any {
		chunk := map[string]any{"outputText": piece, "index": 0, "totalOutputTextTokenCount": nil, "completionReason": nil, "inputTextTokenCount": nil}
		if last {
			chunk["inputTextTokenCount"] = top["inputTextTokenCount"]
			chunk["totalOutputTextTokenCount"], chunk["completionReason"] = result["tokenCount"], result["completionReason"]
		}
		return chunk
	})
}

func joinTitan(events []event) (any, error) {
	var input, output, reason json.RawMessage
	var whole strings.Builder
	for _, ev := range events {
		whole.WriteString(text(ev.object["outputText"]))
		for name, into := range map[string]*json.RawMessage{"inputTextTokenCount": &input, "totalOutputTextTokenCount": &output, "completionReason": &reason} {
			if value := ev.object[name]; !isNull(value) {
				*into = value
			}
		}
	}
	if input == nil || output == nil || reason == nil {
		return nil, ErrForm
	}
	return map[string]any{
		"inputTextTokenCount": input,
		"results":             []any{map[string]any{"outputText": whole.String(), "tokenCount": output, "completionReason": reason}},
	}, nil
}

// Cohere's Command R: the last event repeats the whole body.

func (s *splitter) cohere(top object) error {
	if !isNull(top["tool_calls"]) || !isNull(top["citations"]) {
		return ErrForm
	}
	start := map[string]any{"event_type": "stream-start", "is_finished": false, "generation_id": top["generation_id"]}
	if err := s.add("", start, 0); err != nil {
		return err
	}
	err := s.pieces("", text(top["text"]), func(piece string) any {
		return map[string]any{"event_type": "text-generation", "is_finished": false, "text": piece}
	})
	if err != nil {
		return err
	}
	return s.add("", map[string]any{"event_type": "stream-end", "is_finished": true, "finish_reason": top["finish_reason"], "response": top}, 0)
}

func joinCohere(events []event) (any, error) {
	last := events[len(events)-1].object
	if text(last["event_type"]) != "stream-end" || last["response"] == nil {
		return nil, ErrForm
	}
	return last["response"], nil
}
