package converse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// decodeContent reads one block. A block that this version does not know, or
// that it would lose a part of, is kept as it is. It is within that many
// tool results.
func decodeContent(raw json.RawMessage, within int) (Content, error) {
	trimmed := bytes.TrimSpace(raw)
	all, isObject := jsonscan.Entries(trimmed, '{')
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
	switch kind := f.members[0].Key; kind {
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
		if v.has("type") && text(v.members, "type") != "tool_use" {
			return nil // the service runs it by itself
		}
		return ToolUse{ID: v.str("toolUseId"), Name: v.str("name"), Input: v.input("input"), Extra: v.rest()}
	case "toolResult":
		if within > 1 {
			return nil // no service nests them; each level would be read again
		}
		v := f.object(kind)
		defer v.end()
		result := ToolResult{ToolUseID: v.str("toolUseId"), Content: Contents{}, Status: ToolStatus(v.optional("status"))}
		if v.has("content") { // the SDK's serializer leaves an empty one out
			result.Content = v.contents("content", within+1)
		}
		return result
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
			cited.Citations = append(cited.Citations, readCitation(readFields(m.Value, v.ok)))
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
				guarded.Qualifiers = append(guarded.Qualifiers, Qualifier(readString(m.Value, text.ok)))
			}
		}
		return guarded
	case "toolAddition":
		return ToolAddition{readReference(f.object(kind))}
	case "toolRemoval":
		return ToolRemoval{readReference(f.object(kind))}
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

func readReference(f fields) ToolReference {
	defer f.end()
	tool := f.object("tool")
	defer tool.end()
	return ToolReference{Name: tool.optional("name"), ServerName: tool.optional("serverName"), Type: tool.optional("type")}
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
// made false: a value of ours would lose a part of the block.
type fields struct {
	members []member
	ok      *bool
}

func readFields(raw json.RawMessage, ok *bool) fields {
	all, isObject := jsonscan.Entries(raw, '{')
	*ok = *ok && isObject
	return fields{all, ok}
}

func (f *fields) want(ok bool) { *f.ok = *f.ok && ok }

// end says that all members were read.
func (f *fields) end() { f.want(len(f.members) == 0) }

func (f *fields) has(key string) bool { return find(f.members, key) != nil }

func (f *fields) take(key string) json.RawMessage {
	for i, m := range f.members {
		if m.Key == key {
			f.members = slices.Delete(f.members, i, i+1)
			return m.Value
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

// rest takes all members that are left, nil for none.
func (f *fields) rest() json.RawMessage {
	if len(f.members) == 0 {
		return nil
	}
	rest := jsonscan.Join(f.members)
	f.members = nil
	return rest
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
	return jsonscan.Unquote(raw)
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
	all, isList := jsonscan.Entries(f.take(key), '[')
	f.want(isList)
	return all
}

func (f *fields) texts(key string) []string {
	list := f.list(key)
	texts := make([]string, len(list))
	for i, m := range list {
		v := readFields(m.Value, f.ok)
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
