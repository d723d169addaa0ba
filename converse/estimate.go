package converse

import (
	"archive/zip"
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// EstimateTokens estimates the tokens of a message. It is more often too high than too
// low. Use it for decisions that need no exact count: when to cut a history, or how
// much of a quota to reserve. For an exact count, use [Client.CountTokens], which asks
// the service.
//
// In a text, three Latin letters or two other bytes count as one token. An image
// counts as 4,800 tokens, the most of today's models. A text document counts as its
// text, a page of a PDF as 3,000 tokens, and an office document as the text in it.
// Files in Amazon S3 are not read: a document there counts as 50,000 tokens, a video
// as 100,000.
func EstimateTokens(m Message) int64 {
	return 8 + estimate(m.Content)
}

const (
	imageTokens    = 4800 // Anthropic, "Vision": 2,576 pixels of edge from Claude Opus 4.7 on
	pageTokens     = 3000 // Anthropic, "PDF support": 1,500 to 3,000 of text a page; its picture is about as much
	documentTokens = 50_000
	videoTokens    = 100_000
)

func estimate(contents Contents) int64 {
	n := int64(0)
	for _, c := range contents {
		n += 8
		switch c := c.(type) {
		case Text:
			n += textTokens(string(c))
		case ToolUse:
			n += textTokens(c.Name) + textTokens(string(c.Input)) + int64(len(c.Extra))/2
		case ToolResult:
			n += estimate(c.Content)
		case JSON:
			n += textTokens(string(c))
		case Reasoning:
			n += textTokens(c.Text) // a signature is not counted
		case Image, GuardImage:
			n += imageTokens
		case Document:
			n += documentSize(c)
		case Video:
			n += binary(c.S3URI, len(c.Bytes), videoTokens)
		case Audio:
			n += binary(c.S3URI, len(c.Bytes), documentTokens)
		default:
			// What is rare is as large as its JSON.
			if data, err := (Contents{c}).MarshalJSON(); err == nil {
				n += int64(len(data)) / 2
			}
		}
	}
	return n
}

// textTokens counts a text. Words have three letters a token and more in most
// languages; digits, signs and other scripts have fewer.
func textTokens(s string) int64 {
	letters := 0
	for _, r := range s {
		if r == ' ' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			letters++
		}
	}
	return int64((letters+2)/3) + int64(len(s)-letters+1)/2
}

// binary counts what is not text and not a picture: a minute of a recording has
// about as many tokens as a hundredth of its bytes.
func binary(uri string, size int, elsewhere int64) int64 {
	if uri != "" {
		return elsewhere
	}
	return max(2000, int64(size)/50)
}

// pdfPage is a page in a PDF whose objects are not compressed.
var pdfPage = regexp.MustCompile(`/Type\s*/Page[^s]`)

func documentSize(d Document) int64 {
	n := textTokens(d.Name) + textTokens(d.Context) + textTokens(d.Text)
	for _, chunk := range d.Chunks {
		n += textTokens(chunk)
	}
	switch {
	case d.S3URI != "":
		return n + documentTokens
	case len(d.Bytes) == 0:
		return n
	case d.Format == "pdf":
		if pages := int64(len(pdfPage.FindAllIndex(d.Bytes, -1))); pages > 0 {
			return n + pages*pageTokens
		}
		return n + max(pageTokens, int64(len(d.Bytes))/10)
	case d.Format == "docx", d.Format == "xlsx":
		return n + office(d.Bytes)
	case utf8.Valid(d.Bytes):
		return n + textTokens(string(d.Bytes))
	}
	return n + int64(len(d.Bytes))/2
}

// office counts the text in the parts of an office document, which is a ZIP file
// of XML.
func office(data []byte) int64 {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return int64(len(data)) * 2
	}
	size := uint64(0)
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, ".xml") && !strings.Contains(f.Name, "styles") && !strings.Contains(f.Name, "theme") {
			size += min(f.UncompressedSize64, 1<<32)
		}
	}
	return int64(min(size, 1<<40) / 4) // half of it and more are tags
}
