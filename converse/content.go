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
// [CachePoint] or [Raw]. The set is closed.
type Content interface {
	appendJSON(b []byte) ([]byte, error)
	sizeHint() int // about the bytes of its JSON
}

// Text is a text in UTF-8. Bedrock refuses one that is blank.
type Text string

// Image is a picture: of up to 3.75 MB, 20 of them in a message at most.
type Image struct {
	Format string // "png", "jpeg", "gif" or "webp"
	Bytes  []byte

	// S3URI, instead of Bytes, is an object in Amazon S3, where the model takes
	// one. S3Owner is the account of its bucket, if that is another's.
	S3URI   string
	S3Owner string
}

// Document is a file for the model to read: of up to 4.5 MB, five of them in a
// request at most, and beside a [Text]. Exactly one of Bytes, S3URI, Text and
// Chunks is set.
type Document struct {
	Format string // "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt" or "md"; may be empty with Text and Chunks
	// Name has letters, digits, single spaces, hyphens, parentheses and square
	// brackets, 200 of them at most. No other document of the request has it.
	// The model sees it. [DocumentName] makes one of a file's name.
	Name  string
	Bytes []byte

	S3URI   string // an object in Amazon S3, where the model takes one
	S3Owner string // the account of its bucket, if that is another's

	Text   string   // the document as plain text
	Chunks []string // the document in the pieces that are to be cited

	Context   string // what the model is told about it, for its citations
	Citations bool   // whether the model is to cite it; the answer is then [CitedText]
}

// Video is a film.
type Video struct {
	Format string // "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv" or "three_gp"
	Bytes  []byte

	S3URI   string // an object in Amazon S3, instead of Bytes
	S3Owner string // the account of its bucket, if that is another's
}

// Audio is a recording.
type Audio struct {
	Format string // "mp3", "wav", "flac", "ogg", "opus", "aac", "m4a", "mp4", "pcm", "webm" and others
	Bytes  []byte

	S3URI   string // an object in Amazon S3, instead of Bytes
	S3Owner string // the account of its bucket, if that is another's
}

// ToolUse is a call of a tool that the model asks for.
type ToolUse struct {
	ID    string
	Name  string
	Input json.RawMessage // a JSON object, exactly as the model wrote it
}

// ToolStatus says how a tool fared.
type ToolStatus string

// The statuses. The empty one means success.
const (
	ToolSuccess ToolStatus = "success"
	ToolError   ToolStatus = "error"
)

// ToolResult answers a [ToolUse] of the message before.
type ToolResult struct {
	ToolUseID string
	Content   Contents // Text, JSON, Image, Document, Video or SearchResult
	Status    ToolStatus
}

// JSON is a JSON object within a [ToolResult].
type JSON json.RawMessage

// Reasoning is what the model thought before it answered. With its signature
// it must be given back exactly as it came.
type Reasoning struct {
	Text      string
	Signature string
}

// Redacted is reasoning that the provider encrypted. It must be given back
// exactly as it came.
type Redacted []byte

// CitedText is a text of the model with the passages that it rests on. Models
// write it where a [Document] or a [SearchResult] has Citations set.
type CitedText struct {
	Content   []string // the pieces of the text
	Citations []Citation
}

// Text is the text without its citations.
func (c CitedText) Text() string { return strings.Join(c.Content, "") }

// Citation is a passage that a [CitedText] rests on.
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

// Location says where a passage is. Its zero value means that the model has
// not told.
type Location struct {
	Kind       LocationKind
	Index      int // of the document or the search result in the request, from 0
	Start, End int // the passage, in what Kind counts
	URL        string
	Domain     string // with URL, of [LocationWeb]
}

// SearchResult is what a search of the caller's own has found, for the model
// to cite.
type SearchResult struct {
	Source    string // its URL or another name
	Title     string
	Content   []string // its text, in pieces
	Citations bool     // whether the model is to cite it
}

// Qualifier says what a [GuardText] is to a guardrail's contextual grounding.
type Qualifier string

// The qualifiers.
const (
	QualifierGroundingSource Qualifier = "grounding_source"
	QualifierQuery           Qualifier = "query"
	QualifierGuardContent    Qualifier = "guard_content"
)

// GuardText is a text for the guardrail to look at. Where a request has a
// [GuardText] or a [GuardImage], its guardrail looks at nothing else.
type GuardText struct {
	Text       string
	Qualifiers []Qualifier
}

// GuardImage is a picture for the guardrail to look at.
type GuardImage struct {
	Format string // "png" or "jpeg"
	Bytes  []byte
}

// CachePoint marks the end of a prefix that the service may cache.
type CachePoint struct {
	TTL string `json:"ttl,omitempty"` // "5m" (the default) or "1h", where the model has it
}

// Raw is content that this version does not know, kept byte for byte: the JSON
// object of the block. It is sent as it is; nothing in it is checked. A tool use
// that the service runs by itself is one. A stream sends a block in pieces,
// which only who knows it can join: what is not known is left out of the message
// of a stream, and is in stream.Result.
type Raw json.RawMessage

// File is content of a file's data: an [Image], a [Document] or a [Video], by
// the extension of its name, or of an object in Amazon S3 where data is nil
// and the name is its URI, "s3://bucket/key". A document is named by
// [DocumentName].
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

// The formats of the API (API reference: ImageBlock, DocumentBlock,
// VideoBlock, AudioBlock).
var (
	imageFormats    = setOf("png", "jpeg", "gif", "webp")
	guardFormats    = setOf("png", "jpeg")
	documentFormats = setOf("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
	videoFormats    = setOf("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")
	audioFormats    = setOf("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm")
)

func setOf[T comparable](values ...T) map[T]bool {
	set := make(map[T]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return set
}

// maxDocumentName is the most characters of a document's name.
const maxDocumentName = 200

// DocumentName makes a legal name for a [Document] of the name of a file:
// without its folder and extension, and with single spaces in the place of
// what Bedrock refuses. Where nothing is left it is "document".
func DocumentName(file string) string {
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(file, `\`, "/")), path.Ext(file))
	return legalDocumentName(name)
}

func legalDocumentName(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case b.Len() == maxDocumentName:
		case isAlphanumeric(r), r == '-', r == '(', r == ')', r == '[', r == ']':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), " ") && b.Len() > 0:
			b.WriteByte(' ')
		}
	}
	if name = strings.TrimSpace(b.String()); name == "" {
		return "document"
	}
	return name
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isDocumentName reports whether the service takes the name.
func isDocumentName(name string) bool {
	space := false
	for _, r := range name {
		isSpace := r == ' ' || r == '\t' || r == '\n' || r == '\r'
		if isSpace && space || !isSpace && !isAlphanumeric(r) && !strings.ContainsRune("-()[]", r) {
			return false
		}
		space = isSpace
	}
	return name != "" && len(name) <= maxDocumentName // all of it is ASCII
}
