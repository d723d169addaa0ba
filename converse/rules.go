package converse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// The bounds of the API. Sources: the API reference and the service's model
// (Converse, Message, DocumentBlock…), and where it says so below the service's
// own messages.
const (
	maxCachePoints   = 4    // of a model whose own bound is not known
	maxDocuments     = 5    // in a request: "You can't include more than 5 documents in a request."
	maxS3Documents   = 1000 // of Nova (Amazon Nova User Guide, "Document understanding", 2026-11)
	maxDocumentBytes = 9 << 20 / 2
	maxStopSequences = 2500
	maxMetadata      = 16
	maxMetadataText  = 256
	maxFieldPaths    = 10
	maxFieldPath     = 256
	maxS3URI         = 1024
	maxGuardrailID   = 2048
	maxName          = 64 // of a tool and of a tool use's id

	// The fewest characters of a tool use's id for a model of Mistral AI: "Tool
	// call id was a but must be a-z, A-Z, 0-9, with a length of 9". Longer ones
	// are taken, as those that Bedrock makes are (anomalyco/opencode issue 48843).
	mistralID = 9
)

var (
	s3URI            = regexp.MustCompile(`^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$`)
	accountID        = regexp.MustCompile(`^[0-9]{12}$`)
	guardrailID      = regexp.MustCompile(`^([a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+)$`)
	guardrailVersion = regexp.MustCompile(`^([1-9][0-9]{0,7}|DRAFT)$`)
	metadataText     = regexp.MustCompile(`^[a-zA-Z0-9\s:_@$#=/+,.-]*$`)
	fieldPath        = regexp.MustCompile(`^(/([^~]|~[01])*)$`)
)

// isBlank reports whether a text is refused in a message for having nothing but
// white space. In the result of a tool it is taken: "", " " and no content at
// all were, on 2026-09-02 (NousResearch/hermes-agent issue 55092).
func isBlank[T ~string](t T) bool { return strings.TrimSpace(string(t)) == "" }

// says reports whether a result has content that is not blank.
func (c ToolResult) says() bool {
	return slices.ContainsFunc(c.Content, func(c Content) bool {
		t, isText := c.(Text)
		return !isText || !isBlank(t)
	})
}

func trimEnd(s string) string { return strings.TrimRight(s, " \t\r\n") }

// cacheable reports whether a cache point may come right after a block. The
// service refuses one after reasoning, after a video and after a document that
// is not a PDF.
func cacheable(block Content) bool {
	switch b := block.(type) {
	case Reasoning, Redacted, Video:
		return false
	case Document:
		return b.Format == "pdf"
	}
	return true
}

// kindOf is the Go name of a block's type.
func kindOf(block Content) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", block), "converse.")
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

func hasTool(tools []ToolSpec, name string) bool {
	for i := range tools {
		if tools[i].Name == name && !tools[i].System {
			return true
		}
	}
	return false
}

func isObjectSchema(raw json.RawMessage) bool {
	schema := bytes.TrimSpace(raw)
	if len(schema) == 0 || schema[0] != '{' {
		return false
	}
	isObject := false
	end := jsonscan.Members(schema, 0, 0, func(key, value []byte) {
		if string(key) == `"type"` {
			isObject = string(value) == `"object"`
		}
	})
	return isObject && end == len(schema)
}

func isMetadata(s string) bool {
	return utf8.RuneCountInString(s) <= maxMetadataText && metadataText.MatchString(s)
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

// legalID makes an id of a tool use one that the service takes.
func legalID(id string) string { return legalName(id, "_.:-") }
