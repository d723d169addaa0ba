package converse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A Problem is one thing in a request that Bedrock would refuse.
type Problem struct {
	// Path says where, in the names of the API:
	// messages[2].content[0].toolResult.toolUseId.
	Path string `json:"path"`
	// Text says what is wrong and what would be right. It holds nothing that a
	// user or the model said.
	Text string `json:"text"`

	mends bool // Repair mends it
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

// PreflightError is the error of a request that Bedrock would refuse, with
// everything that is wrong with it. errors.Is finds [bedrockx.ErrValidation].
type PreflightError struct {
	Problems []Problem `json:"problems"` // at least one
}

// Error names the first problems.
func (e *PreflightError) Error() string {
	const shown = 5
	var b strings.Builder
	for i, p := range e.Problems {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Unwrap lets errors.Is find [bedrockx.ErrValidation].
func (e *PreflightError) Unwrap() error { return bedrockx.ErrValidation }

// Preflight finds what Bedrock would refuse in a request, before it is sent.
// The error is a [*PreflightError] and has all problems at once. A [Client]
// does this for every request, with the defaults of its [Options] filled in;
// so what the options would bring, such as the tools, must be there.
//
// What a model takes is known from [bedrockkit.Capabilities], for a client from
// bedrockx.Options.Capabilities. What only the service can know is not checked:
// that the model and the guardrail exist, how long the prompt is, what is in a
// file or in [Raw].
func Preflight(r Request) error {
	return r.preflight(bedrockx.OpConverse, bedrockkit.Capabilities)
}

func (r *Request) preflight(op bedrockx.Operation, capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)) error {
	c := checker{request: r, anthropic: r.Model.Provider() == "anthropic", streaming: op.Streaming()}
	c.model, c.known = capabilities(r.Model)
	c.messages()
	c.system()
	c.inference()
	c.tools()
	c.parameters()
	c.prompt()
	if len(c.problems) == 0 {
		return nil
	}
	return &PreflightError{Problems: c.problems}
}

// The bounds of the API. Sources: the API reference and the service's model
// (Converse, Message, DocumentBlock…), and where it says so below the service's
// own messages.
const (
	maxCachePoints   = 4
	maxImages        = 20 // in a message
	maxImageBytes    = 15 << 20 / 4
	maxDocuments     = 5 // in a request: "You can't include more than 5 documents in a request."
	maxDocumentBytes = 9 << 20 / 2
	maxStopSequences = 2500
	maxMetadata      = 16
	maxMetadataText  = 256
	maxFieldPaths    = 10
	maxFieldPath     = 256
	maxS3URI         = 1024
	maxGuardrailID   = 2048
	maxName          = 64 // of a tool and of a tool use's id
)

var (
	s3URI            = regexp.MustCompile(`^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$`)
	accountID        = regexp.MustCompile(`^[0-9]{12}$`)
	guardrailID      = regexp.MustCompile(`^([a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+)$`)
	guardrailVersion = regexp.MustCompile(`^([1-9][0-9]{0,7}|DRAFT)$`)
	metadataText     = regexp.MustCompile(`^[a-zA-Z0-9\s:_@$#=/+,.-]*$`)
	fieldPath        = regexp.MustCompile(`^(/([^~]|~[01])*)$`)
)

// lacks reports whether the model is known not to have a feature.
func (c *checker) lacks(f bedrockkit.Feature) bool { return c.known && !c.model.Has(f) }

// A checker looks for problems. Its path is made a string only for one.
type checker struct {
	request   *Request
	anthropic bool // the model is one of Anthropic's
	model     bedrockkit.Capability
	known     bool // model is
	streaming bool
	problems  []Problem
	path      []segment

	hasTools  bool            // a message has a tool use or a tool result
	uses      map[string]bool // the ids of the tool uses of the last message
	documents int
	names     map[string]bool // of documents
	points    int             // cache points, in the service's order: see cachePoint
	shortTTL  bool            // one of 5 minutes came
}

type segment struct {
	name  string
	index int // -1 for none
}

func (c *checker) push(name string, index int) { c.path = append(c.path, segment{name, index}) }
func (c *checker) pop()                        { c.path = c.path[:len(c.path)-1] }

// add notes a problem of a member of where the checker is, or of that place
// itself where the member is "".
func (c *checker) add(member, format string, args ...any) {
	var b strings.Builder
	for _, s := range append(c.path, segment{member, -1}) {
		if s.name == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	c.problems = append(c.problems, Problem{Path: b.String(), Text: fmt.Sprintf(format, args...)})
}

// mendable notes a problem that Repair mends.
func (c *checker) mendable(member, format string, args ...any) {
	c.add(member, format, args...)
	c.problems[len(c.problems)-1].mends = true
}

func (c *checker) messages() {
	messages := c.request.Messages
	var previous Role
	for i := range messages {
		m := &messages[i]
		c.push("messages", i)
		switch m.Role {
		case RoleUser, RoleAssistant:
			switch previous {
			case "":
				if m.Role != RoleUser {
					c.mendable("role", "it is %q; a conversation starts with user", m.Role)
				}
			case m.Role:
				c.mendable("role", "it is %q as the one before; roles alternate", m.Role)
			}
			previous = m.Role
		case RoleSystem:
		default:
			c.add("role", "it is %q; it must be user or assistant", m.Role)
		}
		c.content(m)
		c.toolResults(i)
		c.pop()
	}
	switch {
	case len(messages) == 0:
		if !c.request.isPrompt() {
			c.add("messages", "it is empty; give at least one message, as converse.User(\"…\") makes it")
		}
		return
	case previous == "":
		c.add("messages", "it has no message of the user; a conversation starts with one")
	}
	last := len(messages) - 1
	for j, block := range messages[last].Content {
		if use, ok := block.(ToolUse); ok {
			c.push("messages", last)
			c.push("content", j)
			c.mendable("toolUse", "there is no message after it with a result for the tool use %q", use.ID)
			c.pop()
			c.pop()
		}
	}
	if c.hasTools && len(c.request.Tools) == 0 {
		c.mendable("toolConfig", "the messages hold tool uses or results, and there are no tools; give the tools that the conversation began with")
	}
	if messages[last].Role == RoleAssistant {
		c.prefill(last)
	}
}

// prefill checks the beginning of an answer that the model is to go on with.
func (c *checker) prefill(last int) {
	c.push("messages", last)
	defer c.pop()
	if c.lacks(bedrockkit.FeaturePrefill) {
		c.add("role", "it is assistant in the last message, and the model goes on with no answer that was begun")
	}
	content := c.request.Messages[last].Content
	if len(content) == 0 || !c.anthropic {
		return
	}
	if text, ok := content[len(content)-1].(Text); ok && trimEnd(string(text)) != string(text) {
		c.push("content", len(content)-1)
		c.mendable("text", "it is the beginning of an answer that the model is to go on with, and ends in white space")
		c.pop()
	}
}

func trimEnd(s string) string { return strings.TrimRight(s, " \t\r\n") }

func (c *checker) content(m *Message) {
	if len(m.Content) == 0 {
		c.mendable("content", "it is empty; leave the message out")
	}
	images, hasText, hasDocument, others := 0, false, false, false
	for j, block := range m.Content {
		c.push("content", j)
		switch block.(type) {
		case Text:
			hasText = true
		case Image:
			images++
		case Document:
			hasDocument = true
			c.documents++
		case ToolResult:
			if others && c.anthropic {
				c.mendable("toolResult", "it comes after other content; results come first in a message")
			}
		case CachePoint:
			switch {
			case j == 0:
				c.mendable("cachePoint", "there is nothing before it in the message to cache")
			case !cacheable(m.Content[j-1]):
				c.mendable("cachePoint", "it comes right after %s; put it after another block", kindOf(m.Content[j-1]))
			}
		}
		switch block.(type) {
		case ToolResult, CachePoint:
		default:
			others = true
		}
		c.block(m.Role, block)
		c.pop()
	}
	if images > maxImages {
		c.add("content", "it has %d images; %d are allowed", images, maxImages)
	}
	if hasDocument && !hasText {
		c.add("content", "it has a document and no text; add one that says what to do with it")
	}
}

// cacheable reports whether a cache point may come right after a block. The
// service refuses one after reasoning, after a video and after a document that
// is no PDF.
func cacheable(block Content) bool {
	switch b := block.(type) {
	case Reasoning, Redacted, Video:
		return false
	case Document:
		return b.Format == "pdf"
	}
	return true
}

// block checks a block of a message.
func (c *checker) block(role Role, block Content) {
	switch b := block.(type) {
	case Image:
		if role != RoleUser {
			c.add("image", "it is in a message of the %s; images come from the user", role)
		}
	case Document:
		if role != RoleUser {
			c.add("document", "it is in a message of the %s; documents come from the user", role)
		}
		if c.documents == maxDocuments+1 {
			c.add("document", "it is the request's document number %d; %d are allowed", maxDocuments+1, maxDocuments)
			c.documents++ // said once
		}
		if c.names[b.Name] {
			c.mendable("document.name", "another document of the request has the same name")
		}
		if c.names == nil {
			c.names = make(map[string]bool)
		}
		c.names[b.Name] = true
	case ToolUse:
		c.hasTools = true
		if role != RoleAssistant {
			c.mendable("toolUse", "it is in a message of the %s; tool uses come from the assistant", role)
		}
		c.push("toolUse", -1)
		c.toolUseID(b.ID)
		if !isName(b.Name, "_-") {
			c.mendable("name", "it is not 1 to 64 of letters, digits, _ and -")
		}
		if _, ok := object(b.Input); !ok {
			c.add("input", "%v", errNoObject)
		}
		c.pop()
		return
	case ToolResult:
		c.hasTools = true
		if role != RoleUser {
			c.mendable("toolResult", "it is in a message of the %s; results come from the user", role)
		}
		c.push("toolResult", -1)
		c.toolResult(b)
		c.pop()
		return
	case Reasoning, Redacted:
		if role != RoleAssistant {
			c.mendable("reasoningContent", "it is in a message of the %s; reasoning comes from the assistant", role)
		}
		return
	case CitedText:
		c.push("citationsContent", -1)
		c.citations(b)
		c.pop()
		return
	case SearchResult, CachePoint:
		return
	case GuardText, GuardImage:
		c.guard(block)
		return
	case JSON:
		c.add("json", "JSON is content of a tool's result only")
		return
	}
	c.media(block)
}

func (c *checker) toolResult(r ToolResult) {
	c.toolUseID(r.ToolUseID)
	switch r.Status {
	case "", ToolSuccess:
	case ToolError:
		if len(r.Content) == 0 {
			c.mendable("content", "it is empty; an error says what went wrong")
		}
	default:
		c.add("status", "it is %q; it must be success or error", r.Status)
	}
	for k, block := range r.Content {
		c.push("content", k)
		switch b := block.(type) {
		case SearchResult:
		case JSON:
			if _, ok := object(json.RawMessage(b)); !ok {
				c.add("json", "%v", errNoObject)
			}
		case nil, Text, Image, Document, Video, Raw:
			c.media(block)
		default:
			c.add("", "a tool's result cannot hold %s", kindOf(block))
		}
		c.pop()
	}
}

// kindOf is the Go name of a block's type.
func kindOf(block Content) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", block), "converse.")
}

// media checks the blocks that messages and tool results share.
func (c *checker) media(block Content) {
	switch b := block.(type) {
	case nil:
		c.mendable("", "it is nil")
	case Text:
		switch {
		case strings.TrimSpace(string(b)) == "":
			c.mendable("text", "it is blank")
		case !utf8.ValidString(string(b)):
			c.mendable("text", "it is no valid UTF-8")
		}
	case Image:
		c.push("image", -1)
		c.needs(bedrockkit.FeatureImages, "images")
		c.format(b.Format, imageFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, maxImageBytes)
		c.pop()
	case Video:
		c.push("video", -1)
		c.needs(bedrockkit.FeatureVideo, "videos")
		c.format(b.Format, videoFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, math.MaxInt)
		c.pop()
	case Audio:
		c.push("audio", -1)
		c.format(b.Format, audioFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, math.MaxInt)
		c.pop()
	case Document:
		c.push("document", -1)
		c.needs(bedrockkit.FeatureDocuments, "documents")
		c.document(b)
		c.pop()
	case Raw:
		all, ok := entries(bytes.TrimSpace(b), '{')
		switch {
		case !ok || len(all) != 1:
			c.add("", "it is not a JSON object of one key")
		case string(all[0].value) == "null":
			c.add(all[0].key, "it is null")
		}
	default: // a pointer has the methods of Content as well
		c.add("", "it is a %s; give the value itself", kindOf(block))
	}
}

func (c *checker) needs(f bedrockkit.Feature, what string) {
	if c.lacks(f) {
		c.add("", "the model takes no %s", what)
	}
}

func (c *checker) format(format string, formats map[string]bool) {
	if !formats[format] {
		c.add("format", "%q is not one that Converse takes: %s", format, strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
	}
}

func (c *checker) source(data []byte, uri, owner string, most int) {
	switch {
	case len(data) == 0 && uri == "":
		c.add("source", "it is empty")
	case len(data) > 0 && uri != "":
		c.add("source", "it has bytes and an S3 URI; give one of them")
	case len(data) > most:
		c.add("source.bytes", "it has %d bytes; %d are allowed", len(data), most)
	case uri != "" && (len(uri) > maxS3URI || !s3URI.MatchString(uri)):
		c.add("source.s3Location.uri", "it is not of the form s3://bucket/key")
	}
	if uri != "" && owner != "" && !accountID.MatchString(owner) {
		c.add("source.s3Location.bucketOwner", "it is not an account's 12 digits")
	}
}

func (c *checker) document(d Document) {
	if d.Format != "" {
		c.format(d.Format, documentFormats)
	}
	if !isDocumentName(d.Name) {
		c.mendable("name", "it is not 1 to %d of letters, digits, single spaces and -()[]; converse.DocumentName makes one", maxDocumentName)
	}
	switch sources := countTrue(d.Text != "", d.Chunks != nil, len(d.Bytes) > 0, d.S3URI != ""); {
	case sources > 1:
		c.add("source", "the document has %d sources; give one of Bytes, S3URI, Text and Chunks", sources)
	case d.Text == "" && d.Chunks == nil:
		c.source(d.Bytes, d.S3URI, d.S3Owner, maxDocumentBytes)
	case d.Text == "" && len(d.Chunks) == 0:
		c.add("source.content", "it is empty")
	}
}

func countTrue(conditions ...bool) (n int) {
	for _, condition := range conditions {
		if condition {
			n++
		}
	}
	return n
}

func (c *checker) guard(block Content) {
	c.push("guardContent", -1)
	defer c.pop()
	switch b := block.(type) {
	case GuardText:
		if strings.TrimSpace(b.Text) == "" {
			c.add("text.text", "it is blank")
		}
		for i, q := range b.Qualifiers {
			if q != QualifierGroundingSource && q != QualifierQuery && q != QualifierGuardContent {
				c.push("text.qualifiers", i)
				c.add("", "it is %q; it must be grounding_source, query or guard_content", q)
				c.pop()
			}
		}
	case GuardImage:
		c.push("image", -1)
		c.format(b.Format, guardFormats)
		c.source(b.Bytes, "", "", math.MaxInt)
		c.pop()
	}
}

func (c *checker) citations(t CitedText) {
	for i, citation := range t.Citations {
		c.push("citations", i)
		switch l := citation.Location; l.Kind {
		case "", LocationWeb:
		case LocationChar, LocationPage, LocationChunk, LocationSearchResult:
			if l.Index < 0 || l.Start < 0 || l.End < 0 {
				c.add("location."+string(l.Kind), "its numbers are at least 0")
			}
		default:
			c.add("location", "%q is no kind of location", l.Kind)
		}
		c.pop()
	}
}

func (c *checker) toolUseID(id string) {
	if !isName(id, "_.:-") {
		c.mendable("toolUseId", "it is not 1 to 64 of letters, digits and _ . : -")
	}
}

// isName reports whether s is 1 to 64 of letters, digits and others.
func isName(s, others string) bool {
	for i := range len(s) {
		if !isAlphanumeric(rune(s[i])) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// toolResults sees that message i answers exactly the tool uses of the one
// before, and that its own tool uses can be told apart.
func (c *checker) toolResults(i int) {
	open := c.uses // of the message before
	c.uses = nil
	var results map[string]bool
	for j, block := range c.request.Messages[i].Content {
		switch b := block.(type) {
		case ToolUse:
			if !setID(&c.uses, b.ID) {
				c.push("content", j)
				c.mendable("toolUse.toolUseId", "another tool use of the message has the id %q", b.ID)
				c.pop()
			}
		case ToolResult:
			switch first := setID(&results, b.ToolUseID); {
			case !open[b.ToolUseID]:
				c.push("content", j)
				c.mendable("toolResult.toolUseId", "%q is no open tool use of the message before", b.ToolUseID)
				c.pop()
			case !first:
				c.push("content", j)
				c.mendable("toolResult.toolUseId", "another result of the message is for %q", b.ToolUseID)
				c.pop()
			}
		}
	}
	if len(open) == 0 {
		return
	}
	for _, block := range c.request.Messages[i-1].Content {
		if use, ok := block.(ToolUse); ok && !results[use.ID] {
			c.mendable("content", "it has no result for the tool use %q of the message before", use.ID)
		}
	}
}

// setID adds an id to a set and reports whether it is new there.
func setID(set *map[string]bool, id string) bool {
	if (*set)[id] {
		return false
	}
	if *set == nil {
		*set = make(map[string]bool)
	}
	(*set)[id] = true
	return true
}

func (c *checker) system() {
	if len(c.request.System) > 0 && c.lacks(bedrockkit.FeatureSystem) {
		c.add("system", "the model takes no system prompt")
	}
	for i, block := range c.request.System {
		c.push("system", i)
		switch b := block.(type) {
		case nil, Text, Raw:
			c.media(block)
		case GuardText, GuardImage:
			c.guard(block)
		case CachePoint:
			if i == 0 {
				c.mendable("cachePoint", "there is nothing before it in the system prompt to cache")
			}
		default:
			c.add("", "a system prompt cannot hold %s", kindOf(b))
		}
		c.pop()
	}
}

func (c *checker) inference() {
	r := c.request
	c.push("inferenceConfig", -1)
	defer c.pop()
	if r.MaxTokens < 0 || r.MaxTokens > math.MaxInt32 {
		c.add("maxTokens", "it is %d; it must be from 1 to %d", r.MaxTokens, math.MaxInt32)
	}
	if t := r.Temperature; t != nil && !(*t >= 0 && *t <= 1) {
		c.add("temperature", "it is %v; it must be from 0 to 1", *t)
	}
	if p := r.TopP; p != nil && !(*p >= 0 && *p <= 1) {
		c.add("topP", "it is %v; it must be from 0 to 1", *p)
	}
	if n := len(r.StopSequences); n > maxStopSequences {
		c.add("stopSequences", "it has %d; %d are allowed", n, maxStopSequences)
	}
	for i, s := range r.StopSequences {
		if s == "" {
			c.push("stopSequences", i)
			c.add("", "it is empty")
			c.pop()
		}
	}
}

func (c *checker) tools() {
	r := c.request
	c.push("toolConfig", -1)
	defer c.pop()
	for i := range r.Tools {
		c.push("tools", i)
		c.tool(i)
		c.pop()
	}
	switch {
	case len(r.Tools) == 0:
	case c.lacks(bedrockkit.FeatureTools):
		c.add("", "the model takes no tools")
	case c.streaming && c.lacks(bedrockkit.FeatureToolStreaming):
		c.add("", "the model takes no tools in a stream")
	}
	switch choice := r.ToolChoice; {
	case choice == ToolChoice{}:
	case c.lacks(bedrockkit.FeatureToolChoice):
		c.add("toolChoice", "the model cannot be made to call a tool")
	case len(r.Tools) == 0:
		c.add("toolChoice", "a tool must be called, and there are no tools")
	case choice.Tool != "" && !hasTool(r.Tools, choice.Tool):
		c.add("toolChoice", "there is no tool %q", choice.Tool)
	}
}

func hasTool(tools []ToolSpec, name string) bool {
	for i := range tools {
		if tools[i].Name == name && !tools[i].System {
			return true
		}
	}
	return false
}

func (c *checker) tool(i int) {
	t := &c.request.Tools[i]
	kind := "toolSpec"
	if t.System {
		kind = "systemTool"
	}
	c.push(kind, -1)
	defer c.pop()
	if !isName(t.Name, "_-") {
		c.add("name", "%q is not 1 to 64 of letters, digits, _ and -", t.Name)
	}
	for k := range i {
		if c.request.Tools[k].Name == t.Name {
			c.add("name", "another tool has the name %q", t.Name)
			break
		}
	}
	if t.System {
		return
	}
	if !isObjectSchema(t.InputSchema) {
		c.add("inputSchema.json", "it is not a JSON Schema of type object")
	}
}

func isObjectSchema(raw json.RawMessage) bool {
	schema := bytes.TrimSpace(raw)
	if len(schema) == 0 || schema[0] != '{' {
		return false
	}
	isObject := false
	end := scanComposite(schema, 0, 1, func(key, value []byte) {
		if string(key) == `"type"` {
			isObject = string(value) == `"object"`
		}
	})
	return isObject && end == len(schema)
}

// parameters checks what is about the whole request.
func (c *checker) parameters() {
	r := c.request
	c.cachePoints()
	c.thinking()
	if f := r.OutputFormat; f != nil {
		if c.lacks(bedrockkit.FeatureStructuredOutput) {
			c.add("outputConfig", "the model has no output format; make it call a tool instead")
		}
		if _, ok := object(f.Schema); !ok || len(f.Schema) == 0 {
			c.add("outputConfig.textFormat.structure.jsonSchema.schema", "%v", errNoObject)
		}
	}
	if g := r.Guardrail; g != (Guardrail{}) {
		c.guardrail(g)
	}
	switch r.ServiceTier {
	case "", "priority", "default", "flex", "reserved":
	default:
		c.add("serviceTier.type", "it is %q; it must be priority, default, flex or reserved", r.ServiceTier)
	}
	switch r.Latency {
	case "", LatencyStandard, LatencyOptimized:
	default:
		c.add("performanceConfig.latency", "it is %q; it must be standard or optimized", r.Latency)
	}
	if n := len(r.Metadata); n > maxMetadata {
		c.add("requestMetadata", "it has %d pairs; %d are allowed", n, maxMetadata)
	}
	for key, value := range r.Metadata {
		if key == "" || !isMetadata(key) || !isMetadata(value) {
			c.add("requestMetadata", "a key or value is not up to %d of letters, digits, white space and :_@$#=/+,-.", maxMetadataText)
			break
		}
	}
	if _, ok := object(r.AdditionalFields); !ok {
		c.add("additionalModelRequestFields", "%v", errNoObject)
	}
	if n := len(r.ResponseFields); n > maxFieldPaths {
		c.add("additionalModelResponseFieldPaths", "it has %d; %d are allowed", n, maxFieldPaths)
	}
	for i, p := range r.ResponseFields {
		if len(p) > maxFieldPath || !fieldPath.MatchString(p) {
			c.push("additionalModelResponseFieldPaths", i)
			c.add("", "it is not a JSON pointer, such as /stop_sequence, of up to %d characters", maxFieldPath)
			c.pop()
		}
	}
}

func isMetadata(s string) bool {
	return utf8.RuneCountInString(s) <= maxMetadataText && metadataText.MatchString(s)
}

func (c *checker) guardrail(g Guardrail) {
	c.push("guardrailConfig", -1)
	defer c.pop()
	if len(g.ID) > maxGuardrailID || !guardrailID.MatchString(g.ID) {
		c.add("guardrailIdentifier", "it is not an id or an ARN of a guardrail")
	}
	if !guardrailVersion.MatchString(g.Version) {
		c.add("guardrailVersion", "it is %q; it must be a number or DRAFT", g.Version)
	}
	switch g.Trace {
	case "", "enabled", "disabled", "enabled_full":
	default:
		c.add("trace", "it is %q; it must be enabled, disabled or enabled_full", g.Trace)
	}
	switch g.StreamMode {
	case "", "sync", "async":
	default:
		c.add("streamProcessingMode", "it is %q; it must be sync or async", g.StreamMode)
	}
}

// prompt checks what may be set beside a prompt of Prompt management.
func (c *checker) prompt() {
	r := c.request
	if !r.isPrompt() {
		return
	}
	for _, field := range []struct {
		set  bool
		name string
	}{
		{len(r.System) > 0, "system"},
		{r.MaxTokens != 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0, "inferenceConfig"},
		{len(r.Tools) > 0, "toolConfig"},
		{len(r.AdditionalFields) > 0, "additionalModelRequestFields"},
	} {
		if field.set {
			c.add(field.name, "the model is a prompt of Prompt management, which brings its own")
		}
	}
}

// cachePoints checks the points of the whole request, in the order in which
// the service reads them: tools, system, messages.
func (c *checker) cachePoints() {
	r := c.request
	for i, t := range r.Tools {
		if t.CachePoint != nil {
			c.push("toolConfig.tools", i)
			if c.known && c.model.PromptCache.MinTokens > 0 && !c.model.PromptCache.Tools {
				c.mendable("cachePoint", "the model takes none after tools")
			}
			c.cachePoint(*t.CachePoint)
			c.pop()
		}
	}
	for i, block := range r.System {
		if p, ok := block.(CachePoint); ok {
			c.push("system", i)
			c.cachePoint(p)
			c.pop()
		}
	}
	for i, m := range r.Messages {
		for j, block := range m.Content {
			if p, ok := block.(CachePoint); ok {
				c.push("messages", i)
				c.push("content", j)
				c.cachePoint(p)
				c.pop()
				c.pop()
			}
		}
	}
}

func (c *checker) cachePoint(p CachePoint) {
	if c.points++; c.points == maxCachePoints+1 {
		c.mendable("cachePoint", "it is the request's cache point number %d; %d are allowed", maxCachePoints+1, maxCachePoints)
	}
	cache := c.model.PromptCache
	if c.known && cache.MinTokens == 0 {
		c.mendable("cachePoint", "the model caches no prompts")
	}
	switch p.TTL {
	case "", "5m":
		c.shortTTL = true
	case "30m", "1h":
		switch {
		case c.shortTTL:
			c.mendable("cachePoint.ttl", "it is %q after one of 5m; a longer one comes before a shorter one, in the order of tools, system and messages", p.TTL)
		case p.TTL == "1h" && c.known && cache.MinTokens > 0 && !cache.OneHour:
			c.mendable("cachePoint.ttl", "it is 1h; the model has 5m only")
		}
	default:
		c.add("cachePoint.ttl", "it is %q; it must be 5m or 1h", p.TTL)
	}
}

// legalName makes a tool's name, as a model made it up, one that the service
// takes.
func legalName(name, others string) string {
	if isName(name, others) {
		return name
	}
	legal := []byte(name)
	if len(legal) > maxName {
		legal = legal[:maxName]
	}
	for i, b := range legal {
		if !isAlphanumeric(rune(b)) && strings.IndexByte(others, b) < 0 {
			legal[i] = '_'
		}
	}
	if len(legal) == 0 {
		return "unknown"
	}
	return string(legal)
}
