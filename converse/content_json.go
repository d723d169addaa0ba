package converse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The blocks as the API has them (API reference, ContentBlock), written and
// read by hand: what is read and written again is the same JSON.

var errNoObject = errors.New("it is no JSON object")

func (c Text) appendJSON(b []byte) ([]byte, error) {
	return appendTextBlock(b, string(c)), nil
}

func (c Image) appendJSON(b []byte) ([]byte, error) {
	return appendMedia(b, "image", c.Format, c.Bytes, c.S3URI, c.S3Owner), nil
}

func (c Video) appendJSON(b []byte) ([]byte, error) {
	return appendMedia(b, "video", c.Format, c.Bytes, c.S3URI, c.S3Owner), nil
}

func (c Audio) appendJSON(b []byte) ([]byte, error) {
	return appendMedia(b, "audio", c.Format, c.Bytes, c.S3URI, c.S3Owner), nil
}

func appendMedia(b []byte, kind, format string, data []byte, uri, owner string) []byte {
	b = append(b, `{"`...)
	b = append(b, kind...)
	b = append(b, `":{"format":`...)
	b = appendString(b, format)
	b = append(b, `,"source":`...)
	b = appendSource(b, data, uri, owner)
	return append(b, `}}`...)
}

func (c Document) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"document":{`...)
	if c.Format != "" {
		b = append(b, `"format":`...)
		b = append(appendString(b, c.Format), ',')
	}
	b = append(b, `"name":`...)
	b = appendString(b, c.Name)
	b = append(b, `,"source":`...)
	switch {
	case c.Text != "":
		b = append(b, `{"text":`...)
		b = append(appendString(b, c.Text), '}')
	case c.Chunks != nil:
		b = append(b, `{"content":`...)
		b = append(appendTexts(b, c.Chunks), '}')
	default:
		b = appendSource(b, c.Bytes, c.S3URI, c.S3Owner)
	}
	if c.Context != "" {
		b = append(b, `,"context":`...)
		b = appendString(b, c.Context)
	}
	b = appendCitationsConfig(b, c.Citations)
	return append(b, `}}`...), nil
}

func appendCitationsConfig(b []byte, enabled bool) []byte {
	if !enabled {
		return b
	}
	return append(b, `,"citations":{"enabled":true}`...)
}

func appendSource(b, data []byte, uri, owner string) []byte {
	if uri == "" {
		b = append(b, `{"bytes":`...)
		return append(appendBlob(b, data), '}')
	}
	b = append(b, `{"s3Location":{"uri":`...)
	b = appendString(b, uri)
	if owner != "" {
		b = append(b, `,"bucketOwner":`...)
		b = appendString(b, owner)
	}
	return append(b, `}}`...)
}

func appendBlob(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// appendTexts appends pieces of text as the API's blocks of one text each.
func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTextBlock(b, s)
	}
	return append(b, ']')
}

func appendTextBlock(b []byte, s string) []byte {
	b = append(b, `{"text":`...)
	return append(appendString(b, s), '}')
}

func (c ToolUse) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"toolUse":{"toolUseId":`...)
	b = appendString(b, c.ID)
	b = append(b, `,"name":`...)
	b = appendString(b, c.Name)
	b = append(b, `,"input":`...)
	b, err := appendObject(b, c.Input)
	if err != nil {
		return nil, fmt.Errorf("the input of the tool use %q: %w", c.ID, err)
	}
	if b, err = appendExtra(b, c.Extra); err != nil {
		return nil, fmt.Errorf("the extra members of the tool use %q: %w", c.ID, err)
	}
	return append(b, `}}`...), nil
}

func (c ToolResult) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"toolResult":{"toolUseId":`...)
	b = appendString(b, c.ToolUseID)
	b = append(b, `,"content":`...)
	b, err := appendContents(b, c.Content)
	if err != nil {
		return nil, fmt.Errorf("the result of the tool use %q: %w", c.ToolUseID, err)
	}
	if c.Status != "" {
		b = append(b, `,"status":`...)
		b = appendString(b, string(c.Status))
	}
	return append(b, `}}`...), nil
}

func (c JSON) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"json":`...)
	b, err := appendObject(b, json.RawMessage(c))
	return append(b, '}'), err
}

func (c Reasoning) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"reasoningContent":{"reasoningText":{"text":`...)
	b = appendString(b, c.Text)
	if c.Signature != "" {
		b = append(b, `,"signature":`...)
		b = appendString(b, c.Signature)
	}
	return append(b, `}}}`...), nil
}

func (c Redacted) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"reasoningContent":{"redactedContent":`...)
	return append(appendBlob(b, c), `}}`...), nil
}

func (c CitedText) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"citationsContent":{"content":`...)
	b = appendTexts(b, c.Content)
	if c.Citations != nil {
		b = append(b, `,"citations":[`...)
		for i, citation := range c.Citations {
			if i > 0 {
				b = append(b, ',')
			}
			b = citation.appendJSON(b)
		}
		b = append(b, ']')
	}
	return append(b, `}}`...), nil
}

func (c Citation) appendJSON(b []byte) []byte {
	b = append(b, '{')
	field := func(key string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, key...)
		b = append(b, `":`...)
	}
	if c.Title != "" {
		field("title")
		b = appendString(b, c.Title)
	}
	if c.Source != "" {
		field("source")
		b = appendString(b, c.Source)
	}
	if c.SourceContent != nil {
		field("sourceContent")
		b = appendTexts(b, c.SourceContent)
	}
	if c.Location.Kind != "" {
		field("location")
		b = c.Location.appendJSON(b)
	}
	return append(b, '}')
}

// indexKey is what the API calls Location.Index.
func (k LocationKind) indexKey() string {
	if k == LocationSearchResult {
		return "searchResultIndex"
	}
	return "documentIndex"
}

func (l Location) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendString(b, string(l.Kind))
	b = append(b, `:{`...)
	if l.Kind == LocationWeb {
		comma := ""
		if l.URL != "" {
			b = appendString(append(b, `"url":`...), l.URL)
			comma = ","
		}
		if l.Domain != "" {
			b = append(b, comma...)
			b = appendString(append(b, `"domain":`...), l.Domain)
		}
		return append(b, `}}`...)
	}
	b = append(b, '"')
	b = append(b, l.Kind.indexKey()...)
	b = strconv.AppendInt(append(b, `":`...), int64(l.Index), 10)
	b = strconv.AppendInt(append(b, `,"start":`...), int64(l.Start), 10)
	b = strconv.AppendInt(append(b, `,"end":`...), int64(l.End), 10)
	return append(b, `}}`...)
}

func (c SearchResult) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"searchResult":{"source":`...)
	b = appendString(b, c.Source)
	b = append(b, `,"title":`...)
	b = appendString(b, c.Title)
	b = append(b, `,"content":`...)
	b = appendTexts(b, c.Content)
	b = appendCitationsConfig(b, c.Citations)
	return append(b, `}}`...), nil
}

func (c GuardText) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"guardContent":{"text":{"text":`...)
	b = appendString(b, c.Text)
	if c.Qualifiers != nil {
		b = append(b, `,"qualifiers":[`...)
		for i, q := range c.Qualifiers {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, string(q))
		}
		b = append(b, ']')
	}
	return append(b, `}}}`...), nil
}

func (c GuardImage) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"guardContent":`...)
	b = appendMedia(b, "image", c.Format, c.Bytes, "", "")
	return append(b, '}'), nil
}

func (c ToolAddition) appendJSON(b []byte) ([]byte, error) {
	return c.Tool.appendJSON(append(b, `{"toolAddition":{"tool":`...)), nil
}

func (c ToolRemoval) appendJSON(b []byte) ([]byte, error) {
	return c.Tool.appendJSON(append(b, `{"toolRemoval":{"tool":`...)), nil
}

func (r ToolReference) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for _, field := range []struct{ key, value string }{{"name", r.Name}, {"serverName", r.ServerName}, {"type", r.Type}} {
		if field.value == "" {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, field.key), ':')
		b = appendString(b, field.value)
	}
	return append(b, `}}}`...)
}

func (c CachePoint) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"cachePoint":{"type":"default"`...)
	if c.TTL != "" {
		b = append(b, `,"ttl":`...)
		b = appendString(b, c.TTL)
	}
	return append(b, `}}`...), nil
}

func (c Raw) appendJSON(b []byte) ([]byte, error) {
	return appendObject(b, json.RawMessage(c))
}

func appendObject(b []byte, raw json.RawMessage) ([]byte, error) {
	obj, ok := object(raw)
	if !ok {
		return nil, errNoObject
	}
	return append(b, obj...), nil
}

// appendExtra appends the members of a JSON object to those of another one,
// which has some.
func appendExtra(b []byte, extra json.RawMessage) ([]byte, error) {
	obj, ok := object(extra)
	if !ok {
		return nil, errNoObject
	}
	if inner := bytes.TrimSpace(obj[1 : len(obj)-1]); len(inner) > 0 {
		b = append(append(b, ','), inner...)
	}
	return b, nil
}

// frame is about the JSON around a block's value.
const frame = 64

func textSize(s string) int    { return len(s) + len(s)/32 }
func blobSize(data []byte) int { return len(data)*4/3 + 4 }
func textsSize(s []string) (n int) {
	for _, s := range s {
		n += textSize(s) + frame/4
	}
	return n
}

func (c Text) sizeHint() int  { return textSize(string(c)) + frame/4 }
func (c Image) sizeHint() int { return blobSize(c.Bytes) + len(c.S3URI) + frame }
func (c Video) sizeHint() int { return blobSize(c.Bytes) + len(c.S3URI) + frame }
func (c Audio) sizeHint() int { return blobSize(c.Bytes) + len(c.S3URI) + frame }
func (c Document) sizeHint() int {
	return blobSize(c.Bytes) + len(c.S3URI) + len(c.Name) + textSize(c.Text) + textsSize(c.Chunks) + textSize(c.Context) + 2*frame
}
func (c ToolUse) sizeHint() int    { return len(c.Input) + len(c.Extra) + len(c.ID) + len(c.Name) + frame }
func (c ToolResult) sizeHint() int { return c.Content.sizeHint() + len(c.ToolUseID) + 2*frame }
func (c JSON) sizeHint() int       { return len(c) + frame }
func (c Reasoning) sizeHint() int  { return textSize(c.Text) + len(c.Signature) + 2*frame }
func (c Redacted) sizeHint() int   { return blobSize(c) + frame }
func (c CitedText) sizeHint() int {
	n := textsSize(c.Content) + frame
	for _, citation := range c.Citations {
		n += len(citation.Title) + len(citation.Source) + textsSize(citation.SourceContent) + 3*frame
	}
	return n
}
func (c SearchResult) sizeHint() int {
	return len(c.Source) + len(c.Title) + textsSize(c.Content) + 2*frame
}
func (c GuardText) sizeHint() int  { return textSize(c.Text) + 2*frame }
func (c GuardImage) sizeHint() int { return blobSize(c.Bytes) + 2*frame }
func (c CachePoint) sizeHint() int { return frame }
func (c ToolAddition) sizeHint() int {
	return len(c.Tool.Name) + len(c.Tool.ServerName) + len(c.Tool.Type) + 2*frame
}
func (c ToolRemoval) sizeHint() int { return ToolAddition(c).sizeHint() }
func (c Raw) sizeHint() int         { return len(c) }

func (c Contents) sizeHint() int {
	n := frame
	for _, block := range c {
		if block != nil {
			n += block.sizeHint()
		}
	}
	return n
}
