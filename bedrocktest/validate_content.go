package bedrocktest

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

func (v *converseValidator) block(role, key string, member json.RawMessage, i, j int) *Reply {
	at := "messages." + itoa(i) + ".content." + itoa(j) + "." + key
	switch key {
	case "text":
		if blank(member) {
			return invalid("The text field in the ContentBlock object at messages.%d.content.%d is blank. Add text to the text field, and try again.", i, j)
		}
	case "image", "document":
		// A model that answers with images gets them back.
		if role == "system" || role != "user" && (v.anthropic || key == "document") {
			return invalid("The %s at messages.%d.content.%d is in a message of the role %s. You can only include images and documents if the role is user.", key, i, j, role)
		}
		return v.media(key, member, at, key == "document")
	case "video", "audio":
		return v.media(key, member, at, false)
	case "guardContent":
		return guardContent(member, at)
	case "reasoningContent":
		if role != "assistant" {
			return invalid("User messages cannot contain reasoning content. Please remove the reasoning content and try again.")
		}
	case "toolUse", "toolResult":
		if serverTool(member) {
			return nil
		}
		if v.body.ToolConfig == nil {
			return invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
		}
		if key == "toolUse" {
			return checkToolUse(role, member, i, j)
		}
		return v.toolResult(role, member, at, i, j)
	}
	return nil
}

func checkToolUse(role string, raw json.RawMessage, i, j int) *Reply {
	var u struct{ Input json.RawMessage }
	switch err := json.Unmarshal(raw, &u); {
	case err != nil:
		return unreadable(err)
	case role != "assistant":
		return invalid("messages.%d: `tool_use` blocks can only be in `assistant` messages", i)
	case !isObject(u.Input):
		return invalid("The format of the value at messages.%d.content.%d.toolUse.input is invalid. Provide a json object for the field and try again.", i, j)
	}
	return nil
}

func (v *converseValidator) toolResult(role string, raw json.RawMessage, at string, i, j int) *Reply {
	var t struct {
		Status  string
		Content []json.RawMessage
	}
	switch err := json.Unmarshal(raw, &t); {
	case err != nil:
		return unreadable(err)
	case role != "user":
		return v.req.modelSays("messages.%d: `tool_result` blocks can only be in `user` messages", i)
	case t.Status == "error" && !slices.ContainsFunc(t.Content, says):
		return invalid("The content field at messages.%d.content.%d.toolResult cannot be empty when status value is error.", i, j)
	}
	for k, raw := range t.Content {
		where := at + ".content." + itoa(k)
		key, member, r := union(raw, where, toolResultKeys)
		switch {
		case r != nil:
		case key == "json" && !isObject(member):
			r = invalid("The format of the value at %s.json is invalid. Provide a json object for the field and try again.", where)
		case key == "image", key == "video", key == "document":
			r = v.media(key, member, where+"."+key, false)
		}
		if r != nil {
			return r
		}
	}
	return nil
}

// media checks an image, a document, a video or an audio block. A document of
// a message has a name that no other has.
func (v *converseValidator) media(key string, raw json.RawMessage, at string, named bool) *Reply {
	var m struct {
		Name   string
		Format string
		Source map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable(err)
	}
	most := math.MaxInt
	switch key {
	case "document":
		most = v.documentBytes(m.Format)
		if v.nova() && m.Source["s3Location"] != nil {
			v.inS3++
		} else {
			v.documents++
		}
		switch {
		case !documentName(m.Name):
			return invalid("The value at %s.name is invalid. A document name can have 1 to 200 alphanumeric characters, whitespace characters (no more than one in a row), hyphens, parentheses and square brackets.", at)
		case named && v.names[m.Name]:
			return invalid("Messages can't contain duplicate document names. Rename the document and retry your request.")
		}
		if named {
			v.names[m.Name] = true
		}
	}
	return checkSource(key, m.Source, at+".source", most)
}

func (v *converseValidator) nova() bool { return strings.HasPrefix(v.base, "amazon.nova-") }

// documentBytes bounds a document, but for a PDF of Claude from 4 on and a PDF or
// DOCX of Nova. Source: Amazon Bedrock User Guide, "Inference API restrictions",
// 2026-11. Of images that page says that there is no bound.
func (v *converseValidator) documentBytes(format string) int {
	old := func(prefix string) bool { return strings.HasPrefix(v.base, "anthropic.claude-"+prefix) }
	if format == "pdf" && v.anthropic && !old("3") && !old("v") && !old("instant") || v.nova() && (format == "pdf" || format == "docx") {
		return math.MaxInt
	}
	return maxDocumentBytes
}

func checkSource(key string, source map[string]json.RawMessage, at string, most int) *Reply {
	if len(source) != 1 {
		return invalid("The source object at %s must set exactly one key.", at)
	}
	for kind, raw := range source {
		switch {
		case kind == "bytes":
			var data []byte
			if err := json.Unmarshal(raw, &data); err != nil {
				return unreadable(err)
			}
			if len(data) > most {
				return invalid("The %s at %s is too large: it has %d bytes, %d are allowed.", key, at, len(data), most)
			}
		case kind == "s3Location", kind == "text" && key == "document":
		case kind == "content" && key == "document":
			var content []json.RawMessage
			if json.Unmarshal(raw, &content) != nil || len(content) == 0 {
				return invalid("The content at %s is empty.", at)
			}
		default:
			return invalid("The source object at %s must set one of the following keys: bytes, s3Location.", at)
		}
	}
	return nil
}

func guardContent(raw json.RawMessage, at string) *Reply {
	var g struct {
		Text *struct {
			Text json.RawMessage
		}
		Image *struct {
			Source map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return unreadable(err)
	}
	switch {
	case g.Text != nil && blank(g.Text.Text):
		return invalid("The text field in the GuardrailConverseContentBlock object at %s is blank. Add text to the text field, and try again.", at)
	case g.Text == nil && g.Image != nil:
		return checkSource("image", g.Image.Source, at+".image.source", math.MaxInt)
	}
	return nil
}

// says reports whether a block of a tool's result is not a blank text. The
// service takes those, but an error has to say something.
func says(raw json.RawMessage) bool {
	var block map[string]json.RawMessage
	return json.Unmarshal(raw, &block) != nil || block["text"] == nil || !blank(block["text"])
}

// blank reports whether a JSON string holds nothing but white space.
func blank(raw json.RawMessage) bool {
	var s string
	return json.Unmarshal(raw, &s) == nil && strings.TrimSpace(s) == ""
}

func isPDF(raw json.RawMessage) bool {
	var d struct{ Format string }
	return json.Unmarshal(raw, &d) == nil && d.Format == "pdf"
}

// serverTool reports whether a tool use or a tool result is of a tool that the
// service runs by itself.
func serverTool(raw json.RawMessage) bool {
	var t struct{ Type string }
	return json.Unmarshal(raw, &t) == nil && t.Type != ""
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
