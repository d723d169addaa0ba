package bedrocktest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// What Converse and ConverseStream refuse beside the constraints of their API's
// model. Sources: the restrictions that the API reference names (Message,
// DocumentBlock…), and messages of the service that its users have published.

const (
	maxCachePoints   = 4
	maxDocuments     = 5           // in a request
	maxS3Documents   = 1000        // likewise, that Nova finds in Amazon S3
	maxDocumentBytes = 9 << 20 / 2 // 4.5 MB
)

var jsonPointerPattern = regexp.MustCompile(`^(/([^~]|~[01])*)$`)

var (
	messageKeys = []string{"text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint",
		"reasoningContent", "citationsContent", "searchResult"}
	toolResultKeys = []string{"json", "text", "image", "document", "video", "searchResult"}
	systemKeys     = []string{"text", "guardContent", "cachePoint"}
	contentKeys    = append([]string{"json"}, messageKeys...)
)

func (s *Server) validateConverse(req *Request, body *converseRequest) *Reply {
	if r := validateConverse(req, body, string(s.resolve(req.Model).Base())); r != nil {
		return r
	}
	return s.checkModel(req, body.asked(req))
}

// asked is what the rules of models look at.
func (b *converseRequest) asked(req *Request) asked {
	a := asked{uses: map[string]bool{}, strict: -1, format: b.OutputConfig.TextFormat != nil, cacheTools: req.cachedTools}
	_ = json.Unmarshal(b.AdditionalModelRequestFields, &a.fields) // it was checked before
	for _, m := range b.Messages {
		a.use(m.Content)
	}
	if b.ToolConfig != nil {
		specs := 0
		for _, t := range b.ToolConfig.Tools {
			if t.ToolSpec == nil {
				continue
			}
			if t.ToolSpec.Strict && a.strict < 0 {
				a.strict = specs
			}
			specs++
		}
	}
	return a
}

// use notes the kinds of blocks, those in tool results included.
func (a *asked) use(content []json.RawMessage) {
	for _, raw := range content {
		var block map[string]json.RawMessage
		if json.Unmarshal(raw, &block) != nil {
			continue
		}
		for key, member := range block {
			a.uses[key] = true
			switch key {
			case "toolResult":
				var result struct{ Content []json.RawMessage }
				_ = json.Unmarshal(member, &result)
				a.use(result.Content)
			case "document":
				var d struct {
					Citations struct{ Enabled bool }
				}
				_ = json.Unmarshal(member, &d)
				a.citations = a.citations || d.Citations.Enabled
			}
		}
	}
}

func validateConverse(req *Request, body *converseRequest, base string) *Reply {
	if r := body.constraints(); r != nil {
		return r
	}
	v := &converseValidator{req: req, body: body, base: base, anthropic: strings.HasPrefix(base, "anthropic."), names: map[string]bool{}}
	for _, step := range []func() *Reply{v.parameters, v.prompt, v.tools, v.system, v.turns, v.toolTurns, v.cachePoints, v.prefill} {
		if r := step(); r != nil {
			return r
		}
	}
	return nil
}

type converseValidator struct {
	req       *Request
	body      *converseRequest
	base      string // of the model
	anthropic bool
	names     map[string]bool // of documents
	documents int
	inS3      int // of documents, for Nova
}

func (v *converseValidator) parameters() *Reply {
	b := v.body
	if b.AdditionalModelRequestFields != nil && !isObject(b.AdditionalModelRequestFields) {
		return invalid("The additionalModelRequestFields field must be a JSON object.")
	}
	for _, p := range b.AdditionalModelResponseFieldPaths {
		if len(p) > 256 || !jsonPointerPattern.MatchString(p) {
			return invalid("The additionalModelResponseFieldPaths field holds %q, which is not a valid JSON pointer.", p)
		}
	}
	if f := b.OutputConfig.TextFormat; f != nil && !isObject([]byte(f.Structure.JSONSchema.Schema)) {
		return invalid("The schema in outputConfig.textFormat.structure.jsonSchema is not a valid JSON schema.")
	}
	return nil
}

// prompt holds a request against what may be set beside a prompt of Prompt
// management.
func (v *converseValidator) prompt() *Reply {
	ident, err := v.req.Model.Parse()
	isPrompt := err == nil && ident.Kind == bedrockkit.KindPrompt
	inf := v.body.InferenceConfig
	switch {
	case !isPrompt && len(v.body.Messages) == 0:
		return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	case isPrompt && (v.body.System != nil || v.body.ToolConfig != nil || v.body.AdditionalModelRequestFields != nil ||
		inf.MaxTokens != nil || inf.Temperature != nil || inf.TopP != nil || inf.StopSequences != nil):
		return invalid("The additionalModelRequestFields, inferenceConfig, system and toolConfig fields can't be set with a prompt of Prompt management.")
	}
	return nil
}

func (v *converseValidator) tools() *Reply {
	tc := v.body.ToolConfig
	if tc == nil {
		return nil
	}
	seen := map[string]bool{}
	for i, t := range tc.Tools {
		name := ""
		switch {
		case t.ToolSpec != nil:
			name = t.ToolSpec.Name
		case t.SystemTool != nil:
			name = t.SystemTool.Name
		case t.CachePoint != nil || t.other:
			continue
		default:
			return invalid("The Tool object at toolConfig.tools.%d must set one of the following keys: toolSpec, systemTool, cachePoint.", i)
		}
		if seen[name] {
			return invalid("The toolConfig.tools field contains the tool name %s more than once. Give each tool a name of its own and try again.", name)
		}
		seen[name] = true
		if t.ToolSpec == nil {
			continue
		}
		switch {
		case !isObject(t.ToolSpec.InputSchema.JSON):
			return invalid("The value at toolConfig.tools.%d.toolSpec.inputSchema.json must be a JSON object.", i)
		case !isObjectSchema(t.ToolSpec.InputSchema.JSON):
			return invalid("The value at toolConfig.tools.%d.toolSpec.inputSchema.json.type must be one of the following: object.", i)
		}
	}
	chosen := 0
	for _, choice := range tc.ToolChoice {
		if string(choice) != "null" {
			chosen++
		}
	}
	if tc.ToolChoice != nil && chosen != 1 {
		return invalid("The ToolChoice object at toolConfig.toolChoice must set one of the following keys: auto, any, tool.")
	}
	return checkToolChoice(&v.req.Conversation, "The tool %s in toolConfig.toolChoice is not defined in toolConfig.tools.")
}

// union reads a block as its one member. Members that this version does not
// know are taken: a newer service may.
func union(raw json.RawMessage, at string, allowed []string) (key string, member json.RawMessage, refused *Reply) {
	refused = invalid("The ContentBlock object at %s must set one of the following keys: %s.", at, strings.Join(allowed, ", "))
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return "", nil, refused
	}
	for k, m := range members {
		if string(m) == "null" {
			continue
		}
		if key != "" {
			return "", nil, refused
		}
		key, member = k, m
	}
	if key == "" || slices.Contains(contentKeys, key) && !slices.Contains(allowed, key) {
		return "", nil, refused
	}
	return key, member, nil
}

func (v *converseValidator) system() *Reply {
	for i, raw := range v.body.System {
		key, member, r := union(raw, "system."+itoa(i), systemKeys)
		switch {
		case r != nil:
		case key == "text" && blank(member):
			r = invalid("The text field in the SystemContentBlock object at system.%d is blank. Add text to the text field, and try again.", i)
		case key == "guardContent":
			r = guardContent(member, "system."+itoa(i)+".guardContent")
		case key == "cachePoint" && i == 0:
			r = nothingToCache()
		}
		if r != nil {
			return r
		}
	}
	return nil
}

func nothingToCache() *Reply { return invalid("There is nothing available to cache.") }

func (v *converseValidator) turns() *Reply {
	previous := ""
	for i, m := range v.body.Messages {
		switch {
		case m.Role == "system":
		case previous == "" && m.Role != "user":
			return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
		case previous == m.Role:
			return invalid("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		default:
			previous = m.Role
		}
		if len(m.Content) == 0 {
			return invalid("The content field in the Message object at messages.%d is empty. Add a ContentBlock object to the content field and try again.", i)
		}
		if r := v.message(i, m); r != nil {
			return r
		}
	}
	if previous == "" && len(v.body.Messages) > 0 {
		return invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	return nil
}

func (v *converseValidator) message(i int, m converseMessage) *Reply {
	hasText, hasDocument, others, previous := false, false, false, ""
	for j, raw := range m.Content {
		at := "messages." + itoa(i) + ".content." + itoa(j)
		key, member, r := union(raw, at, messageKeys)
		if r != nil {
			return r
		}
		switch key {
		case "text":
			hasText = true
		case "document":
			hasDocument = true
		case "toolResult":
			if others && v.anthropic && !serverTool(member) {
				return v.req.modelSays("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i)
			}
		case "cachePoint":
			switch {
			case j == 0:
				return nothingToCache()
			case previous == "reasoningContent":
				return invalid("Cache point cannot be inserted after reasoning block. Please remove the invalid cache point and try again.")
			case previous == "document" || previous == "video":
				return v.req.modelSays("messages.%d.content.%d.type: Field required", i, j)
			}
		}
		others = others || key != "toolResult" && key != "cachePoint"
		previous = key
		if key == "document" && isPDF(member) {
			previous = "pdf"
		}
		if r := v.block(m.Role, key, member, i, j); r != nil {
			return r
		}
	}
	switch {
	case v.documents > maxDocuments:
		return invalid("You can't include more than %d documents in a request.", maxDocuments)
	case v.inS3 > maxS3Documents:
		return invalid("You can't include more than %d documents in a request.", maxS3Documents)
	case hasDocument && !hasText:
		return invalid("The content field in the Message object at messages.%d has a document and no text. Add a ContentBlock object with a text field and try again.", i)
	}
	return nil
}

// toolTurns holds tool results against the calls before them.
func (v *converseValidator) toolTurns() *Reply {
	messages := v.req.Messages
	var open []string
	all := map[string]bool{}
	for i, m := range messages {
		calls := callIDs(m)
		for k, id := range calls {
			if contains(calls[:k], id) {
				return invalid("The toolUse blocks at messages.%d.content contain duplicate Ids: %s", i, id)
			}
		}
		for _, id := range calls {
			if v.anthropic && all[id] {
				return invalid("messages.%d: `tool_use` ids must be unique", i)
			}
			all[id] = true
		}
		var have []string
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
		open = calls
	}
	if len(open) > 0 {
		return invalid("Expected toolResult blocks at messages.%d.content for the following Ids: %s", len(messages), strings.Join(open, ", "))
	}
	return nil
}

func (v *converseValidator) cachePoints() *Reply {
	return checkCacheMarks(v.req, func(string) *Reply { return nil }) // the TTLs are of the API's model
}

// checkCacheMarks holds the TTLs of cache points against the rules of all
// bodies, and each against known.
func checkCacheMarks(req *Request, known func(ttl string) *Reply) *Reply {
	marks := req.cacheMarks
	if len(marks) > maxCachePoints {
		return req.modelSays("A maximum of %d blocks with cache_control may be provided. Found %d.", maxCachePoints, len(marks))
	}
	short := false
	for _, ttl := range marks {
		if ttl == "" || ttl == "5m" {
			short = true
			continue
		}
		if r := known(ttl); r != nil {
			return r
		}
		if short {
			return req.modelSays("a ttl='%s' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.", ttl)
		}
	}
	return nil
}

// prefill checks the beginning of an answer that the model is to go on with.
func (v *converseValidator) prefill() *Reply {
	messages := v.req.Messages
	if !v.anthropic || len(messages) == 0 {
		return nil
	}
	last := messages[len(messages)-1]
	content := v.body.Messages[len(messages)-1].Content
	if last.Role != "assistant" || len(content) == 0 {
		return nil
	}
	var text struct{ Text *string }
	if json.Unmarshal(content[len(content)-1], &text) == nil && text.Text != nil && strings.TrimRight(*text.Text, " \t\r\n") != *text.Text {
		return v.req.modelSays("messages: final assistant content cannot end with trailing whitespace")
	}
	return nil
}
