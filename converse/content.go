package converse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// Content is a block of a message: [Text], [Image], [Document], [Video],
// [Audio], [ToolUse], [ToolResult], [JSON] (within a tool result), [Reasoning],
// [Redacted], [CitedText], [SearchResult], [GuardText], [GuardImage],
// [ToolAddition], [ToolRemoval], [CachePoint] or [Raw]. The set is closed.
type Content interface {
	appendJSON(b []byte) ([]byte, error)
	sizeHint() int // about the bytes of its JSON
}

// Text is a text in UTF-8. Bedrock refuses a blank text. JSON can hold half of a
// character (a lone surrogate), UTF-8 cannot: it is kept as three bytes that encode
// the surrogate's number, and written again as it was read.
type Text string

// Image is a picture. Its size and the number of images are not checked, because AWS's
// pages disagree; the model decides.
type Image struct {
	Format string // "png", "jpeg", "gif" or "webp"
	Bytes  []byte

	// S3URI, instead of Bytes, is an object in Amazon S3, if the model takes one.
	// S3Owner is the account of its bucket, if it is not your own.
	S3URI   string
	S3Owner string
}

// Document is a file for the model to read. It has at most 4.5 MB, except a PDF for
// Claude 4 and later, and a PDF or DOCX for Nova. A request has at most five
// documents; with Nova, 1,000 in Amazon S3. The message must also have a [Text]. Set
// exactly one of Bytes, S3URI, [Text] and Chunks.
type Document struct {
	Format string // "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt" or "md"; may be empty with Text and Chunks
	// Name has at most 200 letters, digits, single spaces, hyphens, parentheses and
	// square brackets. It must be unique in the request. The model sees it.
	// [DocumentName] makes one from the name of a file.
	Name  string
	Bytes []byte

	S3URI   string // an object in Amazon S3, if the model takes one
	S3Owner string // the account of its bucket, if it is not your own

	Text   string   // the document as plain text
	Chunks []string // the document in pieces, each of which can be cited

	Context   string // what the model reads about it, for its citations
	Citations bool   // makes the model cite it; the answer is then [CitedText]
}

// Video is a video.
type Video struct {
	Format string // "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv" or "three_gp"
	Bytes  []byte

	S3URI   string // an object in Amazon S3, instead of Bytes
	S3Owner string // the account of its bucket, if it is not your own
}

// Audio is a recording.
type Audio struct {
	Format string // "mp3", "wav", "flac", "ogg", "opus", "aac", "m4a", "mp4", "pcm", "webm" and others
	Bytes  []byte

	S3URI   string // an object in Amazon S3, instead of Bytes
	S3Owner string // the account of its bucket, if it is not your own
}

// ToolUse is a call of a tool that the model asks for.
type ToolUse struct {
	ID    string
	Name  string
	Input json.RawMessage // a JSON object, exactly as the model wrote it

	// Extra is a JSON object with members that this version does not know. They are
	// sent back with the block.
	Extra json.RawMessage
}

// ToolStatus says whether a tool succeeded.
type ToolStatus string

// The statuses. The empty one means success.
const (
	ToolSuccess ToolStatus = "success"
	ToolError   ToolStatus = "error"
)

// ToolResult is the result of a [ToolUse] in the message before.
type ToolResult struct {
	ToolUseID string
	Content   Contents // Text, JSON, Image, Document, Video or SearchResult
	Status    ToolStatus
}

// JSON is a JSON object within a [ToolResult].
type JSON json.RawMessage

// Reasoning is what the model thought before it answered. If it has a signature, it
// must be sent back unchanged.
type Reasoning struct {
	Text      string
	Signature string
}

// Redacted is reasoning that the provider encrypted. It must be sent back unchanged.
type Redacted []byte

// CitedText is a text of the model with the passages that support it. Models write it
// if a [Document] or a [SearchResult] has Citations set.
type CitedText struct {
	Content   []string // the pieces of the text
	Citations []Citation
}

// Text returns the text without its citations.
func (c CitedText) Text() string { return strings.Join(c.Content, "") }

// Citation is a passage that supports a [CitedText].
type Citation struct {
	Title         string   // of the document or the page
	Source        string   // of a search result
	SourceContent []string // the passage
	Location      Location
}

// LocationKind says what the numbers of a [Location] count.
type LocationKind string

// The kinds, as the API names them.
const (
	LocationChar         LocationKind = "documentChar"  // characters of a document
	LocationPage         LocationKind = "documentPage"  // pages of a document
	LocationChunk        LocationKind = "documentChunk" // Document.Chunks
	LocationSearchResult LocationKind = "searchResultLocation"
	LocationWeb          LocationKind = "web"
)

// Location says where a passage is. The zero value means that the model did not say.
type Location struct {
	Kind       LocationKind
	Index      int // of the document or the search result in the request, from 0
	Start, End int // the passage, in what Kind counts
	URL        string
	Domain     string // with URL, of [LocationWeb]
}

// SearchResult is a result of your own search, which the model can cite.
type SearchResult struct {
	Source    string // its URL or another name
	Title     string
	Content   []string // its text, in pieces
	Citations bool     // makes the model cite it
}

// Qualifier says how the contextual grounding of a guardrail uses a [GuardText].
type Qualifier string

// The qualifiers.
const (
	QualifierGroundingSource Qualifier = "grounding_source"
	QualifierQuery           Qualifier = "query"
	QualifierGuardContent    Qualifier = "guard_content"
)

// [GuardText] is a text for the guardrail to check. If a request has a [GuardText] or
// a [GuardImage], the guardrail checks nothing else.
type GuardText struct {
	Text       string
	Qualifiers []Qualifier
}

// GuardImage is an image for the guardrail to check.
type GuardImage struct {
	Format string // "png" or "jpeg"
	Bytes  []byte
}

// ToolReference names a tool of [Request.Tools], or one of an MCP server.
type ToolReference struct {
	Name       string `json:"name,omitempty"`
	ServerName string `json:"serverName,omitempty"` // of the MCP server that provides the tool
	Type       string `json:"type,omitempty"`
}

// ToolAddition, in a message of [RoleSystem], lets the model use a tool of
// [Request.Tools] from there on. So tools can change during a conversation without a
// change to what comes before: the prompt cache can still be read, and thinking that
// is bound to it stays valid.
type ToolAddition struct{ Tool ToolReference }

// ToolRemoval, in a message of RoleSystem, takes a tool away from the model from there
// on.
type ToolRemoval struct{ Tool ToolReference }

// CachePoint marks the end of a prefix that the service may cache.
type CachePoint struct {
	TTL string `json:"ttl,omitempty"` // "5m" (the default) or "1h", if the model has it
}

// Raw is a block that this version does not know, such as a tool use that the service
// runs itself. It is the JSON object of the block, byte for byte. It is sent unchanged
// and not validated. A stream sends a block in pieces, and pieces of an unknown block
// cannot be joined: they are not in the message of a stream, only in stream.Result.
type Raw json.RawMessage

// File returns content with the data of a file: an [Image], a [Document] or a [Video],
// by the extension of its name. If data is nil and name is a URI "s3://bucket/key",
// the content refers to that object in Amazon S3. [DocumentName] makes the name of a
// document.
func File(name string, data []byte) (Content, error) {
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	var uri string
	if data == nil {
		if !strings.HasPrefix(name, "s3://") {
			return nil, fmt.Errorf("file %q: it has no data, and its name is not the URI of an object in S3", name)
		}
		uri = name
	}
	switch ext {
	case "jpg":
		ext = "jpeg"
	case "htm":
		ext = "html"
	case "3gp":
		ext = "three_gp"
	}
	switch {
	case imageFormats[ext]:
		// What is called a JPEG is often something else, and refused for that.
		if kind, ok := strings.CutPrefix(http.DetectContentType(data), "image/"); ok && imageFormats[kind] {
			ext = kind
		}
		return Image{Format: ext, Bytes: data, S3URI: uri}, nil
	case documentFormats[ext]:
		return Document{Format: ext, Name: DocumentName(name), Bytes: data, S3URI: uri}, nil
	case videoFormats[ext]:
		return Video{Format: ext, Bytes: data, S3URI: uri}, nil
	}
	return nil, fmt.Errorf("file %q: Converse takes no files that end in %q", name, path.Ext(name))
}

// DocumentName makes a valid name for a [Document] from the name of a file. It removes
// the folder and the extension, and replaces what Bedrock refuses by single spaces. If
// nothing is left, it returns "document".
func DocumentName(file string) string {
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(file, `\`, "/")), path.Ext(file))
	return legalDocumentName(name)
}
