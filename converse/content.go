package converse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Content is a block of a message: [Text], [Image], [Document], [ToolUse],
// [ToolResult], [JSON] (within a tool result), [Reasoning], [Redacted],
// [CachePoint] or [Raw]. The set is closed.
type Content interface {
	appendJSON(b []byte) ([]byte, error)
}

// Text is a text. Bedrock refuses one that is blank.
type Text string

// Image is a picture.
type Image struct {
	Format string // "png", "jpeg", "gif" or "webp"
	Bytes  []byte
	S3URI  string // instead of Bytes, where the model takes it
}

// Document is a file for the model to read.
type Document struct {
	Format string // "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt" or "md"
	// Name has letters, digits, single spaces, hyphens, parentheses and square
	// brackets, 200 of them at most. The model sees it.
	Name  string
	Bytes []byte
	S3URI string // instead of Bytes, where the model takes it
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
	Content   Contents // Text, JSON, Image or Document
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

// CachePoint marks the end of a prefix that the service may cache.
type CachePoint struct {
	TTL string // "5m" (the default) or "1h", where the model has it
}

// Raw is content that this version does not know, kept byte for byte: the JSON
// object of the block.
type Raw json.RawMessage

func (c Text) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"text":`...)
	b = appendString(b, string(c))
	return append(b, '}'), nil
}

func (c Image) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"image":{"format":`...)
	b = appendString(b, c.Format)
	b = appendSource(b, c.Bytes, c.S3URI)
	return append(b, `}}`...), nil
}

func (c Document) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"document":{"format":`...)
	b = appendString(b, c.Format)
	b = append(b, `,"name":`...)
	b = appendString(b, c.Name)
	b = appendSource(b, c.Bytes, c.S3URI)
	return append(b, `}}`...), nil
}

func appendSource(b, data []byte, uri string) []byte {
	b = append(b, `,"source":{`...)
	if uri != "" {
		b = append(b, `"s3Location":{"uri":`...)
		b = appendString(b, uri)
		b = append(b, '}')
	} else {
		b = append(b, `"bytes":"`...)
		b = base64.StdEncoding.AppendEncode(b, data)
		b = append(b, '"')
	}
	return append(b, '}')
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
	b = append(b, `{"reasoningContent":{"redactedContent":"`...)
	b = base64.StdEncoding.AppendEncode(b, c)
	return append(b, `"}}`...), nil
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

// appendObject appends a JSON object, "{}" for none.
func appendObject(b []byte, raw json.RawMessage) ([]byte, error) {
	trimmed := bytes.TrimSpace(raw)
	switch {
	case len(trimmed) == 0:
		return append(b, "{}"...), nil
	case trimmed[0] != '{' || !json.Valid(trimmed):
		return nil, fmt.Errorf("it is no JSON object")
	}
	return append(b, trimmed...), nil
}

// decodeContent reads one block. A block that this version does not know, or
// that has a field that it does not know, is kept as it is.
func decodeContent(raw json.RawMessage) (Content, error) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, fmt.Errorf("a block is a JSON object with one key, such as {\"text\":\"…\"}")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(trimmed, &keys); err != nil {
		return nil, fmt.Errorf("a block is not valid JSON")
	}
	var v wireBlock
	dec := json.NewDecoder(bytes.NewReader(trimmed))
	dec.DisallowUnknownFields()
	if len(keys) != 1 || dec.Decode(&v) != nil || !exact(keys) {
		return Raw(bytes.Clone(trimmed)), nil
	}
	switch {
	case v.Text != nil:
		return *v.Text, nil
	case v.Image != nil && v.Image.known(false):
		return Image{Format: v.Image.Format, Bytes: v.Image.Source.Bytes, S3URI: v.Image.Source.uri()}, nil
	case v.Document != nil && v.Document.known(true):
		return Document{Format: v.Document.Format, Name: v.Document.Name, Bytes: v.Document.Source.Bytes, S3URI: v.Document.Source.uri()}, nil
	case v.ToolUse != nil:
		input, ok := v.ToolUse.input()
		if !ok {
			return Raw(bytes.Clone(trimmed)), nil
		}
		return ToolUse{ID: v.ToolUse.ToolUseID, Name: v.ToolUse.Name, Input: input}, nil
	case v.ToolResult != nil:
		content, err := decodeContents(v.ToolResult.Content)
		if err != nil {
			return nil, fmt.Errorf("the result of the tool use %q: %w", v.ToolResult.ToolUseID, err)
		}
		return ToolResult{ToolUseID: v.ToolResult.ToolUseID, Content: content, Status: v.ToolResult.Status}, nil
	case v.JSON != nil && bytes.HasPrefix(bytes.TrimSpace(*v.JSON), []byte{'{'}):
		return JSON(*v.JSON), nil
	case v.Reasoning != nil && v.Reasoning.Text != nil && v.Reasoning.Redacted == nil:
		return Reasoning{Text: v.Reasoning.Text.Text, Signature: v.Reasoning.Text.Signature}, nil
	case v.Reasoning != nil && v.Reasoning.Redacted != nil && v.Reasoning.Text == nil:
		return Redacted(*v.Reasoning.Redacted), nil
	case v.CachePoint != nil && v.CachePoint.Type == "default":
		return CachePoint{TTL: v.CachePoint.TTL}, nil
	}
	return Raw(bytes.Clone(trimmed)), nil
}

// exact reports whether the keys are written as the service writes them:
// encoding/json would take them in any case.
func exact(keys map[string]json.RawMessage) bool {
	for key := range keys {
		switch key {
		case "text", "image", "document", "toolUse", "toolResult", "json", "reasoningContent", "cachePoint":
		default:
			return false
		}
	}
	return true
}

// input is the arguments as an object. A model that calls a tool without
// arguments may send nothing, null or an empty string.
func (u *wireToolUse) input() (json.RawMessage, bool) {
	switch trimmed := bytes.TrimSpace(u.Input); {
	case len(trimmed) == 0, string(trimmed) == "null", string(trimmed) == `""`:
		return json.RawMessage("{}"), true
	case trimmed[0] == '{':
		return u.Input, true
	}
	return nil, false
}

// The blocks as they are on the wire (API reference, ContentBlock).
type (
	wireBlock struct {
		Text       *Text            `json:"text"`
		Image      *wireMedia       `json:"image"`
		Document   *wireMedia       `json:"document"`
		ToolUse    *wireToolUse     `json:"toolUse"`
		ToolResult *wireToolResult  `json:"toolResult"`
		JSON       *json.RawMessage `json:"json"`
		Reasoning  *wireReasoning   `json:"reasoningContent"`
		CachePoint *wireCachePoint  `json:"cachePoint"`
	}
	wireMedia struct {
		Format string     `json:"format"`
		Name   string     `json:"name"`
		Source wireSource `json:"source"`
	}
	wireSource struct {
		Bytes []byte `json:"bytes"`
		S3    *struct {
			URI string `json:"uri"`
		} `json:"s3Location"`
	}
	wireToolUse struct {
		ToolUseID string          `json:"toolUseId"`
		Name      string          `json:"name"`
		Input     json.RawMessage `json:"input"`
	}
	wireToolResult struct {
		ToolUseID string            `json:"toolUseId"`
		Content   []json.RawMessage `json:"content"`
		Status    ToolStatus        `json:"status"`
	}
	wireReasoning struct {
		Text *struct {
			Text      string `json:"text"`
			Signature string `json:"signature"`
		} `json:"reasoningText"`
		Redacted *[]byte `json:"redactedContent"`
	}
	wireCachePoint struct {
		Type string `json:"type"`
		TTL  string `json:"ttl"`
	}
)

func (s wireSource) uri() string {
	if s.S3 == nil {
		return ""
	}
	return s.S3.URI
}

// known reports whether nothing of the block would be lost.
func (m *wireMedia) known(named bool) bool {
	return (m.Source.S3 != nil) != (m.Source.Bytes != nil) && (named || m.Name == "")
}
