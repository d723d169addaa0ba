package bedrocktest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

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

const maxCachePoints = 4

func (s *Server) validateConverse(req *Request, body *converseRequest) *Reply {
	if req.cachedTools && strings.HasPrefix(string(s.resolve(req.Model).Base()), "amazon.nova") {
		return invalid("Malformed input request: extraneous key [cachePoint] is not permitted, please reformat your input and try again.")
	}
	return req.validateConverse(body)
}

func (req *Request) validateConverse(body *converseRequest) *Reply {
	inf := body.InferenceConfig
	switch {
	case inf.MaxTokens != nil && *inf.MaxTokens < 1:
		return constraint(marshal(*inf.MaxTokens), "inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
	case inf.Temperature != nil && (*inf.Temperature < 0 || *inf.Temperature > 1):
		return constraint(marshal(*inf.Temperature), "inferenceConfig.temperature", "Member must have value between 0 and 1")
	case inf.TopP != nil && (*inf.TopP < 0 || *inf.TopP > 1):
		return constraint(marshal(*inf.TopP), "inferenceConfig.topP", "Member must have value between 0 and 1")
	case len(body.Messages) == 0:
		return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	if r := validateTools(req, body); r != nil {
		return r
	}
	for i, b := range body.System {
		if b.Text != nil && strings.TrimSpace(*b.Text) == "" {
			return invalid("The text field in the SystemContentBlock object at system.%d is blank. Add text to the text field, and try again.", i)
		}
	}
	if r := validateTurns(req, body); r != nil {
		return r
	}
	return validateCachePoints(req)
}

func constraint(value []byte, at, rule string) *Reply {
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, at, rule)
}

func validateTools(req *Request, body *converseRequest) *Reply {
	tc := body.ToolConfig
	if tc == nil {
		return nil
	}
	if len(tc.Tools) == 0 {
		return constraint([]byte("[]"), "toolConfig.tools", "Member must have length greater than or equal to 1")
	}
	seen := map[string]bool{}
	for i, t := range tc.Tools {
		if t.ToolSpec == nil {
			continue
		}
		name := t.ToolSpec.Name
		switch {
		case len(name) < 1 || len(name) > 64:
			return invalid("1 validation error detected: Value '%s' at 'toolConfig.tools.%d.member.toolSpec.name' failed to satisfy constraint: Member must have length between 1 and 64", name, i+1)
		case !toolName(name, 64):
			return invalid("1 validation error detected: Value '%s' at 'toolConfig.tools.%d.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+", name, i+1)
		case t.ToolSpec.Description != nil && *t.ToolSpec.Description == "":
			return invalid("1 validation error detected: Value '' at 'toolConfig.tools.%d.member.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		case seen[name]:
			return invalid("The toolConfig.tools field contains the tool name %s more than once. Give each tool a name of its own and try again.", name)
		case !isObject(t.ToolSpec.InputSchema.JSON):
			return invalid("The value at toolConfig.tools.%d.toolSpec.inputSchema.json must be a JSON object.", i)
		case !isObjectSchema(t.ToolSpec.InputSchema.JSON):
			return invalid("The value at toolConfig.tools.%d.toolSpec.inputSchema.json.type must be one of the following: object.", i)
		}
		seen[name] = true
	}
	return checkToolChoice(&req.Conversation, "The tool %s in toolConfig.toolChoice is not defined in toolConfig.tools.")
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

func validateTurns(req *Request, body *converseRequest) *Reply {
	previous := ""
	for i, m := range req.Messages {
		switch {
		case m.Role == "system":
			continue // newer models take it between the turns
		case m.Role != "user" && m.Role != "assistant":
			return constraint([]byte(m.Role), "messages."+itoa(i+1)+".member.role", "Member must satisfy enum value set: [user, assistant, system]")
		case previous == "" && m.Role != "user":
			return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
		case previous == m.Role:
			return invalid("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		case len(body.Messages[i].Content) == 0:
			return invalid("The content field in the Message object at messages.%d is empty. Add a ContentBlock object to the content field and try again.", i)
		}
		previous = m.Role
		names := map[string]bool{}
		for j, raw := range body.Messages[i].Content {
			if r := validateBlock(body, raw, i, j, names); r != nil {
				return r
			}
		}
	}
	return checkConverseToolTurns(req)
}

func validateBlock(body *converseRequest, raw json.RawMessage, i, j int, names map[string]bool) *Reply {
	b := body.decode(raw)
	switch {
	case b.Text != nil && strings.TrimSpace(*b.Text) == "":
		return invalid("The text field in the ContentBlock object at messages.%d.content.%d is blank. Add text to the text field, and try again.", i, j)
	case (b.ToolUse != nil || b.ToolResult != nil) && body.ToolConfig == nil:
		return invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
	case b.ToolUse != nil && !isObject(b.ToolUse.Input):
		return invalid("The format of the value at messages.%d.content.%d.toolUse.input is invalid. Provide a json object for the field and try again.", i, j)
	case b.ToolUse != nil && !toolName(b.ToolUse.Name, 64):
		return constraint([]byte(b.ToolUse.Name), "messages."+itoa(i+1)+".member.content."+itoa(j+1)+".member.toolUse.name", "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
	case b.ToolResult != nil:
		if b.ToolResult.Status == "error" && len(b.ToolResult.Content) == 0 {
			return invalid("messages.%d.content.%d.toolResult: content cannot be empty if status is error.", i, j)
		}
		for k, raw := range b.ToolResult.Content {
			v := body.decode(raw)
			if v.JSON != nil && !isObject(v.JSON) {
				return invalid("The format of the value at messages.%d.content.%d.toolResult.content.%d.json is invalid. Provide a json object for the field and try again.", i, j, k)
			}
			if v.Text != nil && strings.TrimSpace(*v.Text) == "" {
				return invalid("The text field in the ToolResultContentBlock object at messages.%d.content.%d.toolResult.content.%d is blank. Add text to the text field, and try again.", i, j, k)
			}
		}
	case b.Document != nil:
		name := b.Document.Name
		switch {
		case !documentName(name):
			return invalid("The value at messages.%d.content.%d.document.name is invalid. A document name can have 1 to 200 alphanumeric characters, whitespace characters (no more than one in a row), hyphens, parentheses and square brackets.", i, j)
		case names[name]:
			return invalid("The message at messages.%d contains documents with the same name %s. Give each document a name of its own and try again.", i, name)
		}
		names[name] = true
	}
	return nil
}

// checkConverseToolTurns holds tool results against the calls before them.
func checkConverseToolTurns(req *Request) *Reply {
	for i, m := range req.Messages {
		calls := callIDs(m)
		for k, id := range calls {
			if contains(calls[:k], id) {
				return invalid("The toolUse blocks at messages.%d.content contain duplicate Ids: %s", i, id)
			}
		}
		var open, have []string
		if i > 0 {
			open = callIDs(req.Messages[i-1])
		}
		for _, b := range m.Blocks {
			if b.ToolResult != nil {
				have = append(have, b.ToolResult.ID)
			}
		}
		if len(have) > len(open) {
			return invalid("The number of toolResult blocks at messages.%d.content exceeds the number of toolUse blocks of previous turn.", i)
		}
		if missing := without(open, have); len(missing) > 0 {
			return invalid("Expected toolResult blocks at messages.%d.content for the following Ids: %s", i, strings.Join(missing, ", "))
		}
		if extra := without(have, open); len(extra) > 0 {
			return invalid("The toolResult blocks at messages.%d.content contain Ids that are not in the toolUse blocks of the previous turn: %s", i, strings.Join(extra, ", "))
		}
	}
	return nil
}

func validateCachePoints(req *Request) *Reply {
	if len(req.cacheMarks) > maxCachePoints {
		return invalid("A maximum of %d blocks with cache_control may be provided. Found %d.", maxCachePoints, len(req.cacheMarks))
	}
	if req.cachedReasoning {
		return invalid("A cachePoint can not come directly after reasoningContent. Put it after another block and try again.")
	}
	short := false
	for _, ttl := range req.cacheMarks {
		switch {
		case ttl == "" || ttl == "5m":
			short = true
		case ttl != "1h" && ttl != "30m":
			return constraint([]byte(ttl), "cachePoint.ttl", "Member must satisfy enum value set: [5m, 1h]")
		case short:
			return invalid("a ttl='%s' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.", ttl)
		}
	}
	return nil
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
	var v struct{ Type json.RawMessage }
	return isObject(raw) && json.Unmarshal(raw, &v) == nil && string(v.Type) == `"object"`
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

func documentName(s string) bool {
	if s == "" || utf8.RuneCountInString(s) > 200 {
		return false
	}
	space := false
	for _, c := range s {
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if space {
				return false
			}
			space = true
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.ContainsRune("-()[]", c):
		default:
			return false
		}
		space = false
	}
	return true
}

func itoa(i int) string { return string(marshal(i)) }
