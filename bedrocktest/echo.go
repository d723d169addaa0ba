package bedrocktest

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Responder is the model: it answers requests. It is called by many
// goroutines at once. Its context ends when the client leaves or the server is
// closed. Nil means that it has no answer.
type Responder func(ctx context.Context, req *Request) *Reply

// Echo is a Responder that can hold a conversation without knowing anything.
// A tool choice of "any" or "tool" is honoured by calling the tool with an
// input that fits its schema; tool results are repeated; an output schema is
// answered with a value that fits it; any other text is repeated. Where a
// request asks for reasoning, the answer begins with some.
func Echo(_ context.Context, req *Request) *Reply {
	r := NewReply()
	if req.Thinking.asked() {
		b := &ReasoningBlock{}
		if !req.Thinking.Omitted {
			b.Text = "I have to answer this: " + strings.TrimSpace(req.LastText())
		}
		r.Block(Block{Reasoning: b})
	}
	if results := req.ToolResults(); len(results) > 0 {
		var parts []string
		for _, r := range results {
			name := "the tool"
			if call, ok := req.ToolCall(r.ID); ok {
				name = call.Name
			}
			verb := " returned: "
			if r.Error {
				verb = " failed: "
			}
			parts = append(parts, name+verb+r.Text())
		}
		return r.Text(strings.Join(parts, "\n"))
	}
	if tool, ok := req.chosenTool(); ok {
		return r.ToolUse(tool.Name, Sample(tool.Schema))
	}
	if len(req.OutputSchema) > 0 {
		return r.Text(string(Sample(req.OutputSchema)))
	}
	text := strings.TrimSpace(req.LastText())
	if text == "" {
		text = "I have received your message."
	}
	return r.Text("You said: " + text)
}

// chosenTool is the tool that the tool choice wants called.
func (c *Conversation) chosenTool() (Tool, bool) {
	if len(c.Tools) == 0 {
		return Tool{}, false
	}
	switch c.ToolChoice.Mode {
	case "any":
		return c.Tools[0], true
	case "tool":
		if i := slices.IndexFunc(c.Tools, func(t Tool) bool { return t.Name == c.ToolChoice.Name }); i >= 0 {
			return c.Tools[i], true
		}
	}
	return Tool{}, false
}

// Sample returns a JSON value that fits a JSON Schema: the required properties,
// and of each constraint the simplest value that meets it. It follows $ref into
// the schema itself and reads type, enum, const, default, examples, format,
// allOf, anyOf, oneOf and the bounds; a pattern is not read.
func Sample(schema json.RawMessage) json.RawMessage {
	var root any
	if json.Unmarshal(schema, &root) != nil {
		return json.RawMessage("{}")
	}
	return marshal((&sampler{root: root, left: sampleValues}).value(root, "value", 0))
}

// The bounds on recursive schemas: how deep a sample is and how many values it
// is made of.
const (
	sampleDepth  = 32
	sampleValues = 10_000
)

type sampler struct {
	root any
	left int // values that may still be made
}

func (s *sampler) value(node any, name string, depth int) any {
	if s.left--; s.left < 0 || depth > sampleDepth {
		return nil
	}
	m, ok := node.(map[string]any)
	if !ok {
		return name // true: anything goes
	}
	if ref, ok := m["$ref"].(string); ok {
		if target := s.lookup(ref); target != nil {
			return s.value(target, name, depth+1)
		}
	}
	for _, key := range []string{"const", "default"} {
		if v, ok := m[key]; ok {
			return v
		}
	}
	for _, key := range []string{"enum", "examples"} {
		if list, ok := m[key].([]any); ok && len(list) > 0 {
			return list[0]
		}
	}
	if list, ok := m["allOf"].([]any); ok {
		merged := map[string]any{}
		for k, v := range m {
			if k != "allOf" {
				merged[k] = v
			}
		}
		for _, part := range list {
			s.merge(merged, part, depth)
		}
		return s.value(merged, name, depth+1)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := m[key].([]any); ok && len(list) > 0 {
			merged := map[string]any{}
			for k, v := range m {
				if k != key {
					merged[k] = v
				}
			}
			s.merge(merged, list[0], depth)
			return s.value(merged, name, depth+1)
		}
	}
	return s.typed(m, name, depth)
}

// merge adds a schema's keywords to another's.
func (s *sampler) merge(into map[string]any, part any, depth int) {
	m, ok := part.(map[string]any)
	if !ok || depth > sampleDepth {
		return
	}
	if ref, ok := m["$ref"].(string); ok {
		s.merge(into, s.lookup(ref), depth+1)
	}
	for k, v := range m {
		switch k {
		case "$ref":
		case "properties":
			props, _ := into[k].(map[string]any)
			both := map[string]any{}
			for name, p := range props {
				both[name] = p
			}
			if more, ok := v.(map[string]any); ok {
				for name, p := range more {
					both[name] = p
				}
			}
			into[k] = both
		case "required":
			have, _ := into[k].([]any)
			more, _ := v.([]any)
			into[k] = append(slices.Clone(have), more...)
		default:
			into[k] = v
		}
	}
}

func (s *sampler) typed(m map[string]any, name string, depth int) any {
	typ, _ := m["type"].(string)
	if list, ok := m["type"].([]any); ok && len(list) > 0 {
		typ, _ = list[0].(string)
	}
	if typ == "" {
		switch {
		case m["properties"] != nil:
			typ = "object"
		case m["items"] != nil:
			typ = "array"
		}
	}
	number := func(key string) (float64, bool) { f, ok := m[key].(float64); return f, ok }
	switch typ {
	case "object":
		out := map[string]any{}
		props, _ := m["properties"].(map[string]any)
		required, _ := m["required"].([]any)
		for _, r := range required {
			if key, ok := r.(string); ok {
				out[key] = s.value(props[key], key, depth+1)
			}
		}
		return out
	case "array":
		out := []any{}
		n, _ := number("minItems")
		for range int(min(n, 100)) {
			out = append(out, s.value(m["items"], name, depth+1))
		}
		return out
	case "integer", "number":
		return s.number(number, typ == "integer")
	case "boolean":
		return true
	case "null":
		return nil
	}
	text := name
	if format, ok := m["format"].(string); ok {
		text = formats[format]
		if text == "" {
			text = name
		}
	}
	if n, ok := number("minLength"); ok {
		if missing := int(min(n, 10_000)) - utf8.RuneCountInString(text); missing > 0 {
			text += strings.Repeat("x", missing)
		}
	}
	if n, ok := number("maxLength"); ok && n >= 0 && float64(utf8.RuneCountInString(text)) > n {
		text = string([]rune(text)[:int(n)])
	}
	return text
}

func (s *sampler) number(bound func(string) (float64, bool), integer bool) any {
	low, hasLow := bound("minimum")
	if x, ok := bound("exclusiveMinimum"); ok && (!hasLow || x >= low) {
		low, hasLow = x+1, true
		if high, ok := bound("maximum"); ok && low > high && !integer {
			low = (x + high) / 2
		} else if high, ok := bound("exclusiveMaximum"); ok && low >= high && !integer {
			low = (x + high) / 2
		}
	}
	n := 1.0
	if hasLow && n < low {
		n = low
	}
	if high, ok := bound("maximum"); ok && n > high {
		n = high
	}
	if high, ok := bound("exclusiveMaximum"); ok && n >= high {
		n = high - 1
		if hasLow && n < low {
			n = low
		}
	}
	step, _ := bound("multipleOf")
	if integer && step <= 0 {
		step = 1
	}
	if step > 0 {
		n = math.Ceil(n/step) * step
		if high, ok := bound("maximum"); ok && n > high {
			n = math.Floor(high/step) * step
		}
	}
	if integer {
		return int64(n)
	}
	return n
}

var formats = map[string]string{
	"date":      "2024-01-31",
	"date-time": "2024-01-31T12:00:00Z",
	"time":      "12:00:00Z",
	"duration":  "PT1H",
	"email":     "user@example.com",
	"hostname":  "example.com",
	"ipv4":      "192.0.2.1",
	"ipv6":      "2001:db8::1",
	"uri":       "https://example.com/",
	"uuid":      "123e4567-e89b-42d3-a456-426614174000",
}

// lookup follows a JSON pointer of the schema itself, as "#/$defs/item".
func (s *sampler) lookup(ref string) any {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	node := s.root
	for key := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if key == "" {
			continue
		}
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
	}
	return node
}
