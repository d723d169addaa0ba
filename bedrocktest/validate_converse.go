package bedrocktest

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
)

// What Converse and ConverseStream refuse. Sources: the constraints of the
// service's model (lengths, patterns, enumerations), the restrictions that the
// API reference names (Message, DocumentBlock…), and messages of the service
// that its users have published.

const (
	maxCachePoints   = 4
	maxImages        = 20           // in a message
	maxImageBytes    = 15 << 20 / 4 // 3.75 MB
	maxDocuments     = 5            // in a request
	maxDocumentBytes = 9 << 20 / 2  // 4.5 MB
)

var (
	toolUseIDPattern        = regexp.MustCompile(`^[a-zA-Z0-9_.:-]{1,64}$`)
	s3URIPattern            = regexp.MustCompile(`^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$`)
	accountPattern          = regexp.MustCompile(`^[0-9]{12}$`)
	guardrailIDPattern      = regexp.MustCompile(`^([a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+)$`)
	guardrailVersionPattern = regexp.MustCompile(`^([1-9][0-9]{0,7}|DRAFT)$`)
	metadataPattern         = regexp.MustCompile(`^[a-zA-Z0-9\s:_@$#=/+,.-]*$`)
	jsonPointerPattern      = regexp.MustCompile(`^(/([^~]|~[01])*)$`)
)

var (
	messageKeys = []string{"text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint",
		"reasoningContent", "citationsContent", "searchResult"}
	toolResultKeys = []string{"json", "text", "image", "document", "video", "searchResult"}
	systemKeys     = []string{"text", "guardContent", "cachePoint"}
	contentKeys    = append([]string{"json"}, messageKeys...)

	imageFormats    = []string{"png", "jpeg", "gif", "webp"}
	documentFormats = []string{"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}
	videoFormats    = []string{"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"}
	audioFormats    = []string{"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"}
)

func (s *Server) validateConverse(req *Request, body *converseRequest) *Reply {
	base := string(s.resolve(req.Model).Base())
	if req.cachedTools && strings.HasPrefix(base, "amazon.nova") {
		return invalid("Malformed input request: extraneous key [cachePoint] is not permitted, please reformat your input and try again.")
	}
	if c, known := bedrockkit.Capabilities(s.resolve(req.Model)); known {
		if r := validateCapability(req, body, c); r != nil {
			return r
		}
	}
	return validateConverse(req, body, strings.HasPrefix(base, "anthropic."))
}

// validateCapability refuses what the model does not have.
func validateCapability(req *Request, body *converseRequest, c bedrockkit.Capability) *Reply {
	uses := map[string]bool{}
	for _, m := range body.Messages {
		for _, raw := range m.Content {
			key, member, r := union(raw, "", messageKeys)
			uses[key] = r == nil || uses[key]
			var result struct{ Content []map[string]json.RawMessage }
			if key != "toolResult" || json.Unmarshal(member, &result) != nil {
				continue
			}
			for _, block := range result.Content {
				for key := range block {
					uses[key] = true
				}
			}
		}
	}
	last := len(body.Messages) - 1
	tools := body.ToolConfig
	for _, f := range []struct {
		used    bool
		feature bedrockkit.Feature
		name    string
	}{
		{len(body.System) > 0, bedrockkit.FeatureSystem, "system messages"},
		{uses["image"], bedrockkit.FeatureImages, "images"},
		{uses["document"], bedrockkit.FeatureDocuments, "documents"},
		{uses["video"], bedrockkit.FeatureVideo, "videos"},
		{tools != nil && len(tools.Tools) > 0, bedrockkit.FeatureTools, "tool use"},
		{tools != nil && len(tools.Tools) > 0 && req.Op.streams(), bedrockkit.FeatureToolStreaming, "tool use in streaming mode"},
		{tools != nil && (tools.ToolChoice["any"] != nil || tools.ToolChoice["tool"] != nil), bedrockkit.FeatureToolChoice, "the toolConfig.toolChoice field"},
		{body.OutputConfig.TextFormat != nil, bedrockkit.FeatureStructuredOutput, "the outputConfig.textFormat field"},
		{last >= 0 && body.Messages[last].Role == "assistant", bedrockkit.FeaturePrefill, "assistant message prefill"},
	} {
		if f.used && !c.Has(f.feature) {
			return invalid("This model doesn't support %s.", f.name)
		}
	}
	switch {
	case len(req.cacheMarks) == 0:
	case c.PromptCache.MinTokens == 0:
		return Error(403, "AccessDeniedException", "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.")
	case !c.PromptCache.OneHour && slices.Contains(req.cacheMarks, "1h"):
		return constraint([]byte("1h"), "cachePoint.ttl", "This model supports a ttl of 5m only")
	}
	return nil
}

func validateConverse(req *Request, body *converseRequest, anthropic bool) *Reply {
	v := &converseValidator{req: req, body: body, anthropic: anthropic, names: map[string]bool{}}
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
	anthropic bool
	names     map[string]bool // of documents
	documents int
}

func oneOf(value, at string, allowed ...string) *Reply {
	if slices.Contains(allowed, value) {
		return nil
	}
	return constraint([]byte(value), at, "Member must satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
}

func (v *converseValidator) parameters() *Reply {
	b := v.body
	inf := b.InferenceConfig
	switch {
	case inf.MaxTokens != nil && *inf.MaxTokens < 1:
		return constraint(marshal(*inf.MaxTokens), "inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
	case inf.MaxTokens != nil && *inf.MaxTokens > math.MaxInt32:
		return Error(400, "SerializationException", "Unable to parse the request body: maxTokens is no 32-bit integer")
	case inf.Temperature != nil && (*inf.Temperature < 0 || *inf.Temperature > 1):
		return constraint(marshal(*inf.Temperature), "inferenceConfig.temperature", "Member must have value between 0 and 1")
	case inf.TopP != nil && (*inf.TopP < 0 || *inf.TopP > 1):
		return constraint(marshal(*inf.TopP), "inferenceConfig.topP", "Member must have value between 0 and 1")
	case len(inf.StopSequences) > 2500:
		return constraint([]byte("[…]"), "inferenceConfig.stopSequences", "Member must have length less than or equal to 2500")
	case slices.Contains(inf.StopSequences, ""):
		return constraint(nil, "inferenceConfig.stopSequences", "Member must have length greater than or equal to 1")
	}
	if b.ServiceTier != nil {
		if r := oneOf(b.ServiceTier.Type, "serviceTier.type", "priority", "default", "flex", "reserved"); r != nil {
			return r
		}
	}
	if b.PerformanceConfig.Latency != "" {
		if r := oneOf(b.PerformanceConfig.Latency, "performanceConfig.latency", "standard", "optimized"); r != nil {
			return r
		}
	}
	if g := b.GuardrailConfig; g != nil {
		if r := validateGuardrail(g); r != nil {
			return r
		}
	}
	if n := len(b.RequestMetadata); b.RequestMetadata != nil && (n == 0 || n > 16) {
		return constraint(marshal(b.RequestMetadata), "requestMetadata", "Member must have length between 1 and 16")
	}
	for key, value := range b.RequestMetadata {
		if key == "" || !metadata(key) || !metadata(value) {
			return constraint([]byte(key), "requestMetadata", "Map keys and values must satisfy regular expression pattern: [a-zA-Z0-9\\s:_@$#=/+,-.]{1,256}")
		}
	}
	if b.AdditionalModelRequestFields != nil && !isObject(b.AdditionalModelRequestFields) {
		return invalid("The additionalModelRequestFields field must be a JSON object.")
	}
	if len(b.AdditionalModelResponseFieldPaths) > 10 {
		return constraint(marshal(b.AdditionalModelResponseFieldPaths), "additionalModelResponseFieldPaths", "Member must have length less than or equal to 10")
	}
	for _, p := range b.AdditionalModelResponseFieldPaths {
		if len(p) > 256 || !jsonPointerPattern.MatchString(p) {
			return invalid("The additionalModelResponseFieldPaths field holds %q, which is not a valid JSON pointer.", p)
		}
	}
	if f := b.OutputConfig.TextFormat; f != nil {
		if r := oneOf(f.Type, "outputConfig.textFormat.type", "json_schema"); r != nil {
			return r
		}
		if !isObject([]byte(f.Structure.JSONSchema.Schema)) {
			return invalid("The schema in outputConfig.textFormat.structure.jsonSchema is not a valid JSON schema.")
		}
	}
	return nil
}

func metadata(s string) bool {
	return utf8.RuneCountInString(s) <= 256 && metadataPattern.MatchString(s)
}

func validateGuardrail(g *guardrailConfig) *Reply {
	switch {
	case len(g.ID) > 2048 || !guardrailIDPattern.MatchString(g.ID):
		return constraint([]byte(g.ID), "guardrailConfig.guardrailIdentifier", "Member must satisfy regular expression pattern: "+guardrailIDPattern.String())
	case !guardrailVersionPattern.MatchString(g.Version):
		return constraint([]byte(g.Version), "guardrailConfig.guardrailVersion", "Member must satisfy regular expression pattern: "+guardrailVersionPattern.String())
	}
	if g.Trace != "" {
		if r := oneOf(g.Trace, "guardrailConfig.trace", "enabled", "disabled", "enabled_full"); r != nil {
			return r
		}
	}
	if g.StreamProcessingMode != "" {
		return oneOf(g.StreamProcessingMode, "guardrailConfig.streamProcessingMode", "sync", "async")
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
	if len(tc.Tools) == 0 {
		return constraint([]byte("[]"), "toolConfig.tools", "Member must have length greater than or equal to 1")
	}
	seen := map[string]bool{}
	for i, t := range tc.Tools {
		name, kind := "", "toolSpec"
		switch {
		case t.ToolSpec != nil:
			name = t.ToolSpec.Name
		case t.SystemTool != nil:
			name, kind = t.SystemTool.Name, "systemTool"
		case t.CachePoint != nil:
			if r := cachePointType(t.CachePoint.Type, "toolConfig.tools."+itoa(i+1)+".member.cachePoint"); r != nil {
				return r
			}
			continue
		case !t.other:
			return invalid("The Tool object at toolConfig.tools.%d must set one of the following keys: toolSpec, systemTool, cachePoint.", i)
		default:
			continue
		}
		at := "toolConfig.tools." + itoa(i+1) + ".member." + kind
		switch {
		case len(name) < 1 || len(name) > 64:
			return constraint([]byte(name), at+".name", "Member must have length between 1 and 64")
		case !toolName(name, 64):
			return constraint([]byte(name), at+".name", "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
		case seen[name]:
			return invalid("The toolConfig.tools field contains the tool name %s more than once. Give each tool a name of its own and try again.", name)
		}
		seen[name] = true
		if t.ToolSpec == nil {
			continue
		}
		switch {
		case t.ToolSpec.Description != nil && *t.ToolSpec.Description == "":
			return constraint(nil, at+".description", "Member must have length greater than or equal to 1")
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
			r = v.guardContent(member, "system."+itoa(i+1)+".member.guardContent")
		case key == "cachePoint" && i == 0:
			r = nothingToCache()
		case key == "cachePoint":
			r = checkCachePoint(member, "system."+itoa(i+1)+".member.cachePoint")
		}
		if r != nil {
			return r
		}
	}
	return nil
}

// checkCachePoint holds a cache point's type against the only one that there is.
func checkCachePoint(raw json.RawMessage, at string) *Reply {
	var p cachePoint
	if err := json.Unmarshal(raw, &p); err != nil {
		return unreadable(err)
	}
	return cachePointType(p.Type, at)
}

func cachePointType(typ, at string) *Reply { return oneOf(typ, at+".type", "default") }

func nothingToCache() *Reply { return invalid("There is nothing available to cache.") }

// blank reports whether a JSON string holds nothing but white space.
func blank(raw json.RawMessage) bool {
	var s string
	return json.Unmarshal(raw, &s) == nil && strings.TrimSpace(s) == ""
}

func (v *converseValidator) turns() *Reply {
	previous := ""
	for i, m := range v.body.Messages {
		switch {
		case m.Role == "system":
		case m.Role != "user" && m.Role != "assistant":
			return constraint([]byte(m.Role), "messages."+itoa(i+1)+".member.role", "Member must satisfy enum value set: [user, assistant, system]")
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
	images, hasText, hasDocument, others, previous := 0, false, false, false, ""
	for j, raw := range m.Content {
		at := "messages." + itoa(i) + ".content." + itoa(j)
		key, member, r := union(raw, at, messageKeys)
		if r != nil {
			return r
		}
		switch key {
		case "text":
			hasText = true
		case "image":
			images++
		case "document":
			hasDocument = true
			v.documents++
		case "toolResult":
			if others && v.anthropic && !serverTool(member) {
				return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i)
			}
		case "cachePoint":
			switch {
			case j == 0:
				return nothingToCache()
			case previous == "reasoningContent":
				return invalid("Cache point cannot be inserted after reasoning block. Please remove the invalid cache point and try again.")
			case previous == "document" || previous == "video":
				return invalid("messages.%d.content.%d.type: Field required", i, j)
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
	case images > maxImages:
		return invalid("You can't include more than %d images in a message.", maxImages)
	case v.documents > maxDocuments:
		return invalid("You can't include more than %d documents in a request.", maxDocuments)
	case hasDocument && !hasText:
		return invalid("The content field in the Message object at messages.%d has a document and no text. Add a ContentBlock object with a text field and try again.", i)
	}
	return nil
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

func (v *converseValidator) block(role, key string, member json.RawMessage, i, j int) *Reply {
	at := "messages." + itoa(i+1) + ".member.content." + itoa(j+1) + ".member." + key
	switch key {
	case "text":
		if blank(member) {
			return invalid("The text field in the ContentBlock object at messages.%d.content.%d is blank. Add text to the text field, and try again.", i, j)
		}
	case "image", "document":
		if role != "user" {
			return invalid("The %s at messages.%d.content.%d is in a message of the role %s. You can only include images and documents if the role is user.", key, i, j, role)
		}
		return v.media(key, member, at, key == "document")
	case "video", "audio":
		return v.media(key, member, at, false)
	case "cachePoint":
		return checkCachePoint(member, at)
	case "guardContent":
		return v.guardContent(member, at)
	case "reasoningContent":
		if role != "assistant" {
			return invalid("User messages cannot contain reasoning content. Please remove the reasoning content and try again.")
		}
	case "citationsContent":
		return validateCitations(member, at)
	case "toolUse", "toolResult":
		if serverTool(member) {
			return nil
		}
		if v.body.ToolConfig == nil {
			return invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
		}
		if key == "toolUse" {
			return validateToolUse(role, member, at, i, j)
		}
		return v.toolResult(role, member, at, i, j)
	}
	return nil
}

func validateToolUse(role string, raw json.RawMessage, at string, i, j int) *Reply {
	var u struct {
		ToolUseID, Name string
		Input           json.RawMessage
	}
	switch err := json.Unmarshal(raw, &u); {
	case err != nil:
		return unreadable(err)
	case role != "assistant":
		return invalid("messages.%d: `tool_use` blocks can only be in `assistant` messages", i)
	case !toolUseIDPattern.MatchString(u.ToolUseID):
		return constraint([]byte(u.ToolUseID), at+".toolUseId", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+")
	case !toolName(u.Name, 64):
		return constraint([]byte(u.Name), at+".name", "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+")
	case !isObject(u.Input):
		return invalid("The format of the value at messages.%d.content.%d.toolUse.input is invalid. Provide a json object for the field and try again.", i, j)
	}
	return nil
}

func (v *converseValidator) toolResult(role string, raw json.RawMessage, at string, i, j int) *Reply {
	var t struct {
		ToolUseID string
		Status    *string
		Content   []json.RawMessage
	}
	switch err := json.Unmarshal(raw, &t); {
	case err != nil:
		return unreadable(err)
	case role != "user":
		return invalid("messages.%d: `tool_result` blocks can only be in `user` messages", i)
	case !toolUseIDPattern.MatchString(t.ToolUseID):
		return constraint([]byte(t.ToolUseID), at+".toolUseId", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+")
	case t.Status != nil && *t.Status == "error" && len(t.Content) == 0:
		return invalid("messages.%d.content.%d.toolResult: content cannot be empty if status is error.", i, j)
	}
	if t.Status != nil {
		if r := oneOf(*t.Status, at+".status", "success", "error"); r != nil {
			return r
		}
	}
	for k, raw := range t.Content {
		where := "messages." + itoa(i) + ".content." + itoa(j) + ".toolResult.content." + itoa(k)
		key, member, r := union(raw, where, toolResultKeys)
		switch {
		case r != nil:
		case key == "text" && blank(member):
			r = invalid("The text field in the ToolResultContentBlock object at %s is blank. Add text to the text field, and try again.", where)
		case key == "json" && !isObject(member):
			r = invalid("The format of the value at %s.json is invalid. Provide a json object for the field and try again.", where)
		case key == "image", key == "video", key == "document":
			r = v.media(key, member, at+".content."+itoa(k+1)+".member."+key, false)
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
		Format *string
		Name   string
		Source map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable(err)
	}
	formats, most := imageFormats, math.MaxInt
	switch key {
	case "image":
		most = maxImageBytes
	case "document":
		formats, most = documentFormats, maxDocumentBytes
		switch {
		case !documentName(m.Name):
			return invalid("The value at %s.name is invalid. A document name can have 1 to 200 alphanumeric characters, whitespace characters (no more than one in a row), hyphens, parentheses and square brackets.", zeroBased(at))
		case named && v.names[m.Name]:
			return invalid("Messages can't contain duplicate document names. Rename the document and retry your request.")
		}
		if named {
			v.names[m.Name] = true
		}
	case "video":
		formats = videoFormats
	case "audio":
		formats = audioFormats
	}
	switch {
	case m.Format != nil:
		if r := oneOf(*m.Format, at+".format", formats...); r != nil {
			return r
		}
	case key != "document":
		return constraint([]byte("null"), at+".format", "Member must not be null")
	}
	return validateSource(key, m.Source, at+".source", most)
}

// zeroBased is a path of the form that the service's own checks have.
func zeroBased(at string) string {
	var path []string
	for _, part := range strings.Split(at, ".") {
		if part == "member" {
			continue
		}
		var n int
		if json.Unmarshal([]byte(part), &n) == nil {
			part = itoa(n - 1)
		}
		path = append(path, part)
	}
	return strings.Join(path, ".")
}

func validateSource(key string, source map[string]json.RawMessage, at string, most int) *Reply {
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
			switch {
			case len(data) == 0:
				return constraint(nil, at+".bytes", "Member must have length greater than or equal to 1")
			case len(data) > most:
				return invalid("The %s at %s is too large: it has %d bytes, %d are allowed.", key, at, len(data), most)
			}
		case kind == "s3Location":
			var s3 struct {
				URI         string
				BucketOwner *string
			}
			switch err := json.Unmarshal(raw, &s3); {
			case err != nil:
				return unreadable(err)
			case len(s3.URI) > 1024 || !s3URIPattern.MatchString(s3.URI):
				return constraint([]byte(s3.URI), at+".s3Location.uri", "Member must satisfy regular expression pattern: "+s3URIPattern.String())
			case s3.BucketOwner != nil && !accountPattern.MatchString(*s3.BucketOwner):
				return constraint([]byte(*s3.BucketOwner), at+".s3Location.bucketOwner", "Member must satisfy regular expression pattern: [0-9]{12}")
			}
		case kind == "text" && key == "document":
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

func (v *converseValidator) guardContent(raw json.RawMessage, at string) *Reply {
	var g struct {
		Text *struct {
			Text       json.RawMessage
			Qualifiers []string
		}
		Image *struct {
			Format string
			Source map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return unreadable(err)
	}
	switch {
	case g.Text != nil:
		if blank(g.Text.Text) {
			return invalid("The text field in the GuardrailConverseContentBlock object at %s is blank. Add text to the text field, and try again.", zeroBased(at))
		}
		for _, q := range g.Text.Qualifiers {
			if r := oneOf(q, at+".text.qualifiers", "grounding_source", "query", "guard_content"); r != nil {
				return r
			}
		}
	case g.Image != nil:
		if r := oneOf(g.Image.Format, at+".image.format", "png", "jpeg"); r != nil {
			return r
		}
		return validateSource("image", g.Image.Source, at+".image.source", math.MaxInt)
	}
	return nil
}

func validateCitations(raw json.RawMessage, at string) *Reply {
	var c struct {
		Citations []struct {
			Location map[string]map[string]any
		}
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return unreadable(err)
	}
	for i, citation := range c.Citations {
		for kind, location := range citation.Location {
			where := at + ".citations." + itoa(i+1) + ".member.location"
			if r := oneOf(kind, where, "web", "documentChar", "documentPage", "documentChunk", "searchResultLocation"); r != nil {
				return r
			}
			for key, value := range location {
				if n, ok := value.(float64); ok && n < 0 {
					return constraint(marshal(n), where+"."+kind+"."+key, "Member must have value greater than or equal to 0")
				}
			}
		}
	}
	return nil
}

// toolTurns holds tool results against the calls before them.
func (v *converseValidator) toolTurns() *Reply {
	messages := v.req.Messages
	var open []string
	for i, m := range messages {
		calls := callIDs(m)
		for k, id := range calls {
			if contains(calls[:k], id) {
				return invalid("The toolUse blocks at messages.%d.content contain duplicate Ids: %s", i, id)
			}
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
	return checkCacheMarks(v.req.cacheMarks, func(ttl string) *Reply {
		if ttl == "30m" {
			return nil
		}
		return oneOf(ttl, "cachePoint.ttl", "5m", "1h")
	})
}

// checkCacheMarks holds the TTLs of cache points against the rules of all
// bodies, and each against known.
func checkCacheMarks(marks []string, known func(ttl string) *Reply) *Reply {
	if len(marks) > maxCachePoints {
		return invalid("A maximum of %d blocks with cache_control may be provided. Found %d.", maxCachePoints, len(marks))
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
			return invalid("a ttl='%s' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.", ttl)
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
		return invalid("messages: final assistant content cannot end with trailing whitespace")
	}
	return nil
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
