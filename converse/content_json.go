package converse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// The blocks as the API has them (API reference, ContentBlock), written and
// read by hand: what is read and written again is the same JSON.

var errNoObject = errors.New("it is no JSON object")

func (c Text) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"text":`...)
	b = appendString(b, string(c))
	return append(b, '}'), nil
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
		b = append(b, `{"text":`...)
		b = append(appendString(b, s), '}')
	}
	return append(b, ']')
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
func (c ToolUse) sizeHint() int    { return len(c.Input) + len(c.ID) + len(c.Name) + frame }
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
func (c Raw) sizeHint() int        { return len(c) }

func (c Contents) sizeHint() int {
	n := frame
	for _, block := range c {
		if block != nil {
			n += block.sizeHint()
		}
	}
	return n
}

// decodeContent reads one block. A block that this version does not know, or
// of which it would lose something, is kept as it is. It is within that many
// tool results.
func decodeContent(raw json.RawMessage, within int) (Content, error) {
	trimmed := bytes.TrimSpace(raw)
	all, isObject := entries(trimmed, '{')
	if !isObject {
		return nil, errors.New(`a block is a JSON object with one key, such as {"text":"…"}`)
	}
	ok := true
	c := readContent(fields{all, &ok}, within)
	if c == nil || !ok {
		return Raw(bytes.Clone(trimmed)), nil
	}
	return c, nil
}

// readContent reads a block of a known kind, nil for any other.
func readContent(f fields, within int) (c Content) {
	if len(f.members) != 1 {
		return nil
	}
	switch kind := f.members[0].key; kind {
	case "text":
		return Text(f.str(kind))
	case "image":
		v := f.object(kind)
		defer v.end()
		format, data, uri, owner := v.media()
		return Image{format, data, uri, owner}
	case "video":
		v := f.object(kind)
		defer v.end()
		format, data, uri, owner := v.media()
		return Video{format, data, uri, owner}
	case "audio":
		v := f.object(kind)
		defer v.end()
		format, data, uri, owner := v.media()
		return Audio{format, data, uri, owner}
	case "document":
		return readDocument(f.object(kind))
	case "toolUse":
		v := f.object(kind)
		defer v.end()
		return ToolUse{ID: v.str("toolUseId"), Name: v.str("name"), Input: v.input("input")}
	case "toolResult":
		if within > 1 {
			return nil // no service nests them; each level would be read again
		}
		v := f.object(kind)
		defer v.end()
		return ToolResult{ToolUseID: v.str("toolUseId"), Content: v.contents("content", within+1), Status: ToolStatus(v.optional("status"))}
	case "json":
		return JSON(f.rawObject(kind))
	case "reasoningContent":
		v := f.object(kind)
		defer v.end()
		if v.has("redactedContent") {
			return Redacted(v.blob("redactedContent"))
		}
		text := v.object("reasoningText")
		defer text.end()
		return Reasoning{Text: text.str("text"), Signature: text.optional("signature")}
	case "citationsContent":
		v := f.object(kind)
		defer v.end()
		cited := CitedText{Content: v.texts("content")}
		if !v.has("citations") {
			return cited
		}
		cited.Citations = []Citation{}
		for _, m := range v.list("citations") {
			cited.Citations = append(cited.Citations, readCitation(readFields(m.value, v.ok)))
		}
		return cited
	case "searchResult":
		v := f.object(kind)
		defer v.end()
		return SearchResult{Source: v.str("source"), Title: v.str("title"), Content: v.texts("content"), Citations: v.citations()}
	case "guardContent":
		v := f.object(kind)
		defer v.end()
		if v.has("image") {
			image := v.object("image")
			defer image.end()
			source := image.object("source")
			defer source.end()
			return GuardImage{Format: image.str("format"), Bytes: source.blob("bytes")}
		}
		text := v.object("text")
		defer text.end()
		guarded := GuardText{Text: text.str("text")}
		if text.has("qualifiers") {
			guarded.Qualifiers = []Qualifier{}
			for _, m := range text.list("qualifiers") {
				guarded.Qualifiers = append(guarded.Qualifiers, Qualifier(readString(m.value, text.ok)))
			}
		}
		return guarded
	case "cachePoint":
		v := f.object(kind)
		defer v.end()
		if v.str("type") != "default" {
			return nil
		}
		return CachePoint{TTL: v.optional("ttl")}
	}
	return nil
}

func readDocument(f fields) Document {
	defer f.end()
	d := Document{Format: f.optional("format"), Name: f.str("name"), Context: f.optional("context"), Citations: f.citations()}
	source := f.object("source")
	defer source.end()
	switch {
	case source.has("text"):
		d.Text = source.str("text")
		source.want(d.Text != "")
	case source.has("content"):
		d.Chunks = source.texts("content")
	default:
		d.Bytes, d.S3URI, d.S3Owner = source.data()
	}
	return d
}

func readCitation(f fields) Citation {
	defer f.end()
	c := Citation{Title: f.optional("title"), Source: f.optional("source")}
	if f.has("sourceContent") {
		c.SourceContent = f.texts("sourceContent")
	}
	if !f.has("location") {
		return c
	}
	location := f.object("location")
	defer location.end()
	for _, kind := range []LocationKind{LocationChar, LocationPage, LocationChunk, LocationSearchResult} {
		if !location.has(string(kind)) {
			continue
		}
		v := location.object(string(kind))
		defer v.end()
		c.Location = Location{Kind: kind, Index: v.number(kind.indexKey()), Start: v.number("start"), End: v.number("end")}
		return c
	}
	web := location.object(string(LocationWeb))
	defer web.end()
	c.Location = Location{Kind: LocationWeb, URL: web.optional("url"), Domain: web.optional("domain")}
	return c
}

// fields are the members of a JSON object that have not been read yet. Where
// one that must be there is not, or is of another type, or one is left, ok is
// made false: the block cannot be told by a value of ours without a loss.
type fields struct {
	members []member
	ok      *bool
}

func readFields(raw json.RawMessage, ok *bool) fields {
	all, isObject := entries(raw, '{')
	*ok = *ok && isObject
	return fields{all, ok}
}

func (f *fields) want(ok bool) { *f.ok = *f.ok && ok }

// end says that all members were read.
func (f *fields) end() { f.want(len(f.members) == 0) }

func (f *fields) has(key string) bool { return find(f.members, key) != nil }

func (f *fields) take(key string) json.RawMessage {
	for i, m := range f.members {
		if m.key == key {
			f.members = slices.Delete(f.members, i, i+1)
			return m.value
		}
	}
	return nil
}

func (f *fields) object(key string) fields { return readFields(f.take(key), f.ok) }

func (f *fields) rawObject(key string) json.RawMessage {
	raw := f.take(key)
	f.want(len(raw) > 0 && raw[0] == '{')
	return bytes.Clone(raw)
}

func (f *fields) str(key string) string { return readString(f.take(key), f.ok) }

// optional reads a string that may be missing; an empty one is the same.
func (f *fields) optional(key string) string {
	if !f.has(key) {
		return ""
	}
	return f.str(key)
}

func readString(raw json.RawMessage, ok *bool) (s string) {
	if len(raw) == 0 || raw[0] != '"' {
		*ok = false
		return ""
	}
	return unquote(raw)
}

func (f *fields) number(key string) int {
	n, err := strconv.Atoi(string(f.take(key)))
	f.want(err == nil)
	return n
}

// blob reads base64, in the one form that we write.
func (f *fields) blob(key string) []byte {
	text := f.str(key)
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	f.want(err == nil && base64.StdEncoding.EncodedLen(len(data)) == len(text))
	return data
}

func (f *fields) list(key string) []member {
	all, isList := entries(f.take(key), '[')
	f.want(isList)
	return all
}

func (f *fields) texts(key string) []string {
	list := f.list(key)
	texts := make([]string, len(list))
	for i, m := range list {
		v := readFields(m.value, f.ok)
		texts[i] = v.str("text")
		v.end()
	}
	return texts
}

func (f *fields) contents(key string, within int) Contents {
	contents, err := decodeContents(f.list(key), within)
	f.want(err == nil)
	return contents
}

// input is a tool's arguments. A model that calls a tool without arguments may
// send nothing, null or an empty string.
func (f *fields) input(key string) json.RawMessage {
	switch raw := f.take(key); {
	case len(raw) == 0, string(raw) == "null", string(raw) == `""`:
		return json.RawMessage("{}")
	default:
		f.want(raw[0] == '{')
		return bytes.Clone(raw)
	}
}

// citations reads a citations configuration that is on, or none.
func (f *fields) citations() bool {
	if !f.has("citations") {
		return false
	}
	v := f.object("citations")
	defer v.end()
	f.want(string(v.take("enabled")) == "true")
	return true
}

func (f *fields) media() (format string, data []byte, uri, owner string) {
	format = f.str("format")
	source := f.object("source")
	defer source.end()
	data, uri, owner = source.data()
	return format, data, uri, owner
}

// data reads the bytes of a source, or where they are.
func (f *fields) data() (data []byte, uri, owner string) {
	if !f.has("s3Location") {
		return f.blob("bytes"), "", ""
	}
	v := f.object("s3Location")
	defer v.end()
	uri, owner = v.str("uri"), v.optional("bucketOwner")
	f.want(uri != "")
	return nil, uri, owner
}
