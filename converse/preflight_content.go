package converse

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// block checks a block of a message.
func (c *checker) block(role Role, block Content) {
	switch b := block.(type) {
	case Image:
		// The API reference has images in the user's messages alone, and is older
		// than models that answer with one.
		if role == RoleSystem || role != RoleUser && c.subject.claude() {
			c.fixable("image", "it is in a message of the %s; images come from the user", role)
		}
	case Document:
		if role != RoleUser {
			c.add("document", "it is in a message of the %s; documents come from the user", role)
		}
		if c.names[b.Name] {
			c.fixable("document.name", "another document of the request has the same name")
		}
		if c.names == nil {
			c.names = make(map[string]bool)
		}
		c.names[b.Name] = true
		c.cites = c.cites || b.Citations
	case ToolUse:
		c.hasTools = true
		if role != RoleAssistant {
			c.fixable("toolUse", "it is in a message of the %s; tool uses come from the assistant", role)
		}
		c.push("toolUse", -1)
		c.toolUseID(b.ID)
		if !isName(b.Name, "_-") {
			c.fixable("name", "it is not 1 to 64 characters from [A-Za-z0-9_-]")
		}
		if _, ok := object(b.Input); !ok {
			c.add("input", "%v", errNoObject)
		}
		c.pop()
		return
	case ToolResult:
		c.hasTools = true
		if role != RoleUser {
			c.fixable("toolResult", "it is in a message of the %s; results come from the user", role)
		}
		c.push("toolResult", -1)
		c.toolResult(b)
		c.pop()
		return
	case Reasoning, Redacted:
		thinking, isText := block.(Reasoning)
		switch {
		case role != RoleAssistant:
			c.fixable("reasoningContent", "it is in a message of the %s; reasoning comes from the assistant", role)
		case c.subject.refusesReasoning():
			c.fixable("reasoningContent", "the model takes no reasoning back")
		case isText && thinking.Signature == "" && c.subject.claude():
			c.fixable("reasoningContent.reasoningText.signature", "it is empty; a model of Anthropic takes back what it signed")
		}
		return
	case ToolAddition, ToolRemoval:
		c.toolReference(role, block)
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
		if !r.says() {
			c.fixable("content", "it is empty; an error says what went wrong")
		}
	default:
		c.add("status", "it is %q; it must be success or error", r.Status)
	}
	for k, block := range r.Content {
		c.push("content", k)
		switch b := block.(type) {
		case SearchResult:
		case Text: // a blank one is taken here
			c.utf8(b)
		case JSON:
			if _, ok := object(json.RawMessage(b)); !ok {
				c.add("json", "%v", errNoObject)
			}
		case nil, Image, Document, Video, Raw:
			c.media(block)
		default:
			c.add("", "a tool's result cannot hold %s", kindOf(block))
		}
		c.pop()
	}
}

func (c *checker) utf8(t Text) {
	if !jsonscan.IsText(string(t)) {
		c.fixable("text", "it is not valid UTF-8")
	}
}

// media checks the blocks that messages and tool results share.
func (c *checker) media(block Content) {
	switch b := block.(type) {
	case nil:
		c.fixable("", "it is nil")
	case Text:
		if isBlank(b) {
			c.fixable("text", "it is blank")
		} else {
			c.utf8(b)
		}
	case Image:
		c.push("image", -1)
		c.needs(bedrockkit.FeatureImages, "images")
		c.format(b.Format, imageFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, math.MaxInt)
		c.pop()
	case Video:
		c.push("video", -1)
		c.needs(bedrockkit.FeatureVideo, "videos")
		c.format(b.Format, videoFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, math.MaxInt)
		c.pop()
	case Audio:
		c.push("audio", -1)
		c.needs(bedrockkit.FeatureAudio, "audio")
		c.format(b.Format, audioFormats)
		c.source(b.Bytes, b.S3URI, b.S3Owner, math.MaxInt)
		c.pop()
	case Document:
		c.push("document", -1)
		c.needs(bedrockkit.FeatureDocuments, "documents")
		c.document(b)
		c.pop()
	case Raw:
		all, ok := jsonscan.Entries(bytes.TrimSpace(b), '{')
		switch {
		case !ok || len(all) != 1:
			c.add("", "it is not a JSON object of one key")
		case string(all[0].Value) == "null":
			c.add(all[0].Key, "it is null")
		}
	default: // a pointer has the methods of Content as well
		c.add("", "it is a %s; give the value itself", kindOf(block))
	}
}

func (c *checker) needs(f bedrockkit.Feature, what string) {
	if c.subject.no(f) {
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

// document checks a document and counts it. The bound on its size does not hold
// for a PDF of newer models of Anthropic, or for a PDF or DOCX of Nova. The bound
// on their number does not hold for what Nova finds in Amazon S3. Source: Amazon Bedrock
// User Guide, "Inference API restrictions", 2026-11. Of images that page says
// that there is no bound, and the API reference that there is one: not checked.
func (c *checker) document(d Document) {
	count, bound := &c.documents, maxDocuments
	if d.S3URI != "" && c.subject.nova() {
		count, bound = &c.inS3, maxS3Documents
	}
	if *count++; *count == bound+1 {
		c.add("", "it is the request's document number %d; %d are allowed", bound+1, bound)
	}
	most := maxDocumentBytes
	if d.Format == "pdf" && c.subject.readsLongPDFs() || c.subject.nova() && (d.Format == "pdf" || d.Format == "docx") {
		most = math.MaxInt
	}
	if d.Format != "" {
		c.format(d.Format, documentFormats)
	}
	if !isDocumentName(d.Name) {
		c.fixable("name", "it is not 1 to %d of letters, digits, single spaces and -()[]; converse.DocumentName makes one", maxDocumentName)
	}
	switch sources := countTrue(d.Text != "", d.Chunks != nil, len(d.Bytes) > 0, d.S3URI != ""); {
	case sources > 1:
		c.add("source", "the document has %d sources; give one of Bytes, S3URI, Text and Chunks", sources)
	case d.Text == "" && d.Chunks == nil:
		c.source(d.Bytes, d.S3URI, d.S3Owner, most)
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
	switch {
	case !isName(id, "_.:-"):
		c.fixable("toolUseId", "it is not 1 to 64 characters from [A-Za-z0-9_.:-]")
	case len(id) < mistralID && c.subject.mistral():
		c.fixable("toolUseId", "it has %d characters; a model of Mistral AI wants at least %d", len(id), mistralID)
	}
}

// toolReference checks a change of the tools in a message of the system.
func (c *checker) toolReference(role Role, block Content) {
	kind, tool := "toolAddition", ToolReference{}
	switch b := block.(type) {
	case ToolAddition:
		tool = b.Tool
	case ToolRemoval:
		kind, tool = "toolRemoval", b.Tool
	}
	c.push(kind, -1)
	defer c.pop()
	switch {
	case role != RoleSystem:
		c.add("", "it is in a message of the %s; tools change in one of the system", role)
	case tool.Name == "" && tool.ServerName == "":
		c.add("tool.name", "it is empty; it must be one of the request's tools")
	case tool.ServerName == "" && !hasTool(c.request.Tools, tool.Name):
		c.add("tool.name", "there is no tool %q in the request", tool.Name)
	}
}
