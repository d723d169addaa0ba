package mcptools

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"path"
	"reflect"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mangaassist/bedrockkit/converse"
)

// resultContents is what a tool returned, as the content of its result. id is
// that of the call.
func resultContents(result *mcp.CallToolResult, id string) (converse.Contents, error) {
	if result.NeedsInput() {
		return nil, converse.Tellf("the tool asks for input that this program does not give")
	}
	if result.IsError {
		var texts []string
		for _, c := range result.Content {
			if text, ok := c.(*mcp.TextContent); ok && strings.TrimSpace(text.Text) != "" {
				texts = append(texts, text.Text)
			}
		}
		if raw, err := json.Marshal(result.StructuredContent); len(texts) == 0 && result.StructuredContent != nil && err == nil {
			texts = []string{string(raw)}
		}
		if len(texts) == 0 {
			texts = []string{"the tool reports an error and does not say which"}
		}
		return nil, converse.Tellf("%s", strings.Join(texts, "\n"))
	}
	blocks := result.Content
	var contents converse.Contents
	if result.StructuredContent != nil {
		raw, rest, err := structured(result)
		if err != nil {
			return nil, err
		}
		contents, blocks = append(contents, converse.JSON(raw)), rest
	}
	for i, c := range blocks {
		if content := contentOf(c, fmt.Sprintf("%s/%d", id, i)); content != nil {
			contents = append(contents, content)
		}
	}
	if len(contents) == 0 {
		contents = converse.Contents{converse.Text("done")}
	}
	return contents, nil
}

// structured is the structured content as a JSON object, and the blocks that
// say something else. A server repeats it as a text, for older clients; that
// text is taken if it is there, as it has every digit of its numbers.
func structured(result *mcp.CallToolResult) (json.RawMessage, []mcp.Content, error) {
	raw, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return nil, nil, fmt.Errorf("the structured result cannot be written as JSON: %w", err)
	}
	var rest []mcp.Content
	for _, c := range result.Content {
		var value any
		text, ok := c.(*mcp.TextContent)
		if ok && json.Unmarshal([]byte(text.Text), &value) == nil && reflect.DeepEqual(value, result.StructuredContent) {
			raw = json.RawMessage(text.Text)
			continue
		}
		rest = append(rest, c)
	}
	if raw = bytes.TrimSpace(raw); raw[0] != '{' {
		raw = fmt.Appendf(nil, `{"result":%s}`, raw)
	}
	return raw, rest, nil
}

// contentOf is a block as content, nil if there is nothing in it. id is unique
// to the block: two documents of a request must not have one name.
func contentOf(c mcp.Content, id string) converse.Content {
	switch c := c.(type) {
	case *mcp.TextContent:
		return textOf(c.Text)
	case *mcp.ImageContent:
		return fileOf("", c.MIMEType, c.Data, id)
	case *mcp.AudioContent:
		return leftOut("audio", c.MIMEType, len(c.Data))
	case *mcp.ResourceLink:
		link := map[string]string{"resource": c.URI}
		for key, value := range map[string]string{"name": c.Name, "title": c.Title, "description": c.Description, "type": c.MIMEType} {
			if value != "" {
				link[key] = value
			}
		}
		raw, err := json.Marshal(link)
		if err != nil {
			return textOf(c.URI)
		}
		return converse.JSON(raw)
	case *mcp.EmbeddedResource:
		if c.Resource == nil {
			return nil
		}
		return resourceOf(c.Resource, id)
	}
	return leftOut(fmt.Sprintf("%T", c), "", 0)
}

func textOf(text string) converse.Content {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return converse.Text(text)
}

// resourceOf is the content of a resource.
func resourceOf(r *mcp.ResourceContents, id string) converse.Content {
	if len(r.Blob) == 0 {
		return textOf(r.Text)
	}
	return fileOf(r.URI, r.MIMEType, r.Blob, id)
}

// extensions are those by which converse.File knows a media type.
var extensions = map[string]string{
	"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp",
	"application/pdf": "pdf", "text/csv": "csv", "text/html": "html", "text/plain": "txt", "text/markdown": "md",
	"application/msword": "doc", "application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":       "xlsx",
	"video/mp4": "mp4", "video/webm": "webm", "video/quicktime": "mov", "video/x-matroska": "mkv", "video/mpeg": "mpeg",
}

// fileOf is the content of a file: by its media type, or if there is none by
// the extension of its URI.
func fileOf(uri, mimeType string, data []byte, id string) converse.Content {
	name := "file"
	if u, err := url.Parse(uri); err == nil && path.Base(u.Path) != "." && path.Base(u.Path) != "/" {
		name = path.Base(u.Path)
	}
	media, _, _ := mime.ParseMediaType(mimeType)
	ext := extensions[media]
	if ext == "" && media == "" {
		ext = strings.TrimPrefix(path.Ext(name), ".")
	}
	content, err := converse.File(name+"."+ext, data)
	if err != nil {
		return leftOut(name, mimeType, len(data))
	}
	if document, ok := content.(converse.Document); ok {
		sum := sha256.Sum256([]byte(id))
		document.Name = converse.DocumentName(strings.TrimSuffix(name, path.Ext(name)) + " " + hex.EncodeToString(sum[:4]) + "." + ext)
		return document
	}
	return content
}

// leftOut lets the model know of content that it cannot read.
func leftOut(what, mimeType string, size int) converse.Content {
	if mimeType != "" {
		what += ", " + mimeType
	}
	return converse.Text(fmt.Sprintf("[left out: %s, %d bytes; it cannot be read as the result of a tool]", what, size))
}
