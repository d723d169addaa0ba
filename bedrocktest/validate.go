package bedrocktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// What Bedrock refuses, with the messages that it gives.

// resolve is the model behind an id, as far as the server knows.
func (s *Server) resolve(id bedrockkit.ModelID) bedrockkit.ModelID {
	if m, ok := s.opts.Profiles[id]; ok {
		return m
	}
	return id
}

// isClaude reports whether the model is Anthropic's, or one whose id does not
// tell and whose body is Anthropic's or Converse's.
func (s *Server) isClaude(req *Request) bool {
	if p := s.resolve(req.Model).Provider(); p != "" {
		return p == "anthropic"
	}
	_, claude := req.family.(anthropic)
	return claude || req.family == nil
}

// constraint refuses one value.
func constraint(value []byte, at, rule string) *Reply {
	var v violations
	v.add(string(value), at, rule)
	return v.reply()
}

// unreadable refuses a body that cannot be read as the operation's input.
func unreadable(err error) *Reply {
	why := err.Error()
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		// Not the words of encoding/json, which name types of this package.
		why = "a value of another type than " + wrong.Value + " is expected"
		if wrong.Field != "" {
			why += " at " + strings.TrimPrefix(wrong.Field, ".")
		}
	}
	return Error(400, "SerializationException", "Unable to parse the request body: "+why)
}

func checkToolChoice(c *Conversation, format string) *Reply {
	if c.ToolChoice.Mode != "tool" {
		return nil
	}
	if slices.ContainsFunc(c.Tools, func(t Tool) bool { return t.Name == c.ToolChoice.Name }) {
		return nil
	}
	return invalid(format, c.ToolChoice.Name)
}

func callIDs(m Message) (ids []string) {
	for _, b := range m.Blocks {
		if b.ToolUse != nil {
			ids = append(ids, b.ToolUse.ID)
		}
	}
	return ids
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// without is what of a is not in b.
func without(a, b []string) (rest []string) {
	for _, s := range a {
		if !contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// isText reports whether the block is one of text, an empty one included.
func (b Block) isText() bool {
	return b.ToolUse == nil && b.ToolResult == nil && b.Reasoning == nil && (b.Raw == nil || b.Text != "")
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

func isObjectSchema(raw json.RawMessage) bool {
	var v map[string]json.RawMessage
	return isObject(raw) && json.Unmarshal(raw, &v) == nil && string(v["type"]) == `"object"`
}

func toolName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func itoa(i int) string { return string(marshal(i)) }
