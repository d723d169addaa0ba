package bedrocktest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

// What Bedrock refuses, with the messages that it gives.

// modelList is the base models that a server knows: those that Bedrock had or
// has, one a line.
//
//go:embed models.txt
var modelList string

var defaultModels = sync.OnceValue(func() []bedrockkit.ModelID {
	var models []bedrockkit.ModelID
	for line := range strings.Lines(modelList) {
		models = append(models, bedrockkit.ModelID(strings.TrimSpace(line)))
	}
	return models
})

// knownModel refuses an id that names no model here. Ids that do not tell
// their model (application profiles, provisioned and imported models) are
// taken.
func (s *Server) knownModel(id bedrockkit.ModelID) *Reply {
	unknown := invalid("The provided model identifier is invalid.")
	if s.opts.AnyModel && id != "" {
		return nil
	}
	if slices.Contains(s.opts.Models, id) {
		return nil
	}
	if _, ok := s.opts.Profiles[id]; ok {
		return nil
	}
	ident, err := id.Parse()
	if err != nil {
		return unknown
	}
	if ident.Base == "" {
		return nil
	}
	for _, m := range s.models() {
		// A context window's suffix, as in "…-v1:0:200k", names the same model.
		if ident.Base == m || strings.HasPrefix(string(ident.Base), string(m)+":") {
			return nil
		}
	}
	return unknown
}

// resolve is the model behind an id, as far as the server was told.
func (s *Server) resolve(id bedrockkit.ModelID) bedrockkit.ModelID {
	if m, ok := s.opts.Profiles[id]; ok {
		return m
	}
	return id
}

func constraint(value []byte, at, rule string) *Reply {
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, at, rule)
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
