package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// Blocks is content. In JSON it is also read from a plain string.
type Blocks []Block

// Text returns content of one text block.
func Text(text string) Blocks { return Blocks{{Type: "text", Text: text}} }

// Text is all text of the blocks.
func (b Blocks) Text() string {
	var s strings.Builder
	for _, block := range b {
		if block.Type == "text" {
			s.WriteString(block.Text)
		}
	}
	return s.String()
}

// Block is one block of content; Type says which of the fields it has.
type Block struct {
	Type string `json:"type"` // "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"

	Text string `json:"text,omitempty"`

	Source  *Source `json:"source,omitempty"`  // of an image or a document
	Title   string  `json:"title,omitempty"`   // of a document, as is Context
	Context string  `json:"context,omitempty"` // what the model reads about a document and cannot cite

	ID    string          `json:"id,omitempty"` // of a tool_use, as are Name and Input
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"` // a JSON object; nil stands for {}

	ToolUseID string `json:"tool_use_id,omitempty"` // of a tool_result, as are Content and IsError
	Content   Blocks `json:"content,omitempty"`
	IsError   bool   `json:"is_error,omitempty"`

	Thinking  string `json:"thinking,omitempty"`  // of thinking, as is Signature
	Signature string `json:"signature,omitempty"` // it is to be given back as it came
	Data      string `json:"data,omitempty"`      // of redacted_thinking, likewise

	Citations    *Citations    `json:"citations,omitempty"` // of a document or a text
	CacheControl *CacheControl `json:"cache_control,omitempty"`

	// Extra are fields that are not above.
	Extra map[string]json.RawMessage `json:"-"`
	// Raw is the whole of a block whose type is none of those above. It is
	// written as it is, and nothing else of the block.
	Raw json.RawMessage `json:"-"`
}

// Image returns an image, such as one of the media type image/png.
func Image(mediaType string, data []byte) Block {
	return Block{Type: "image", Source: &Source{Type: "base64", MediaType: mediaType, Data: data}}
}

// PDF returns a document.
func PDF(title string, data []byte) Block {
	return Block{Type: "document", Title: title, Source: &Source{Type: "base64", MediaType: "application/pdf", Data: data}}
}

// TextDocument returns a document of plain text.
func TextDocument(title, text string) Block {
	return Block{Type: "document", Title: title, Source: &Source{Type: "text", MediaType: "text/plain", Data: []byte(text)}}
}

// ToolResult returns what a tool gave for the tool_use of an id.
func ToolResult(id, text string) Block {
	return Block{Type: "tool_result", ToolUseID: id, Content: Text(text)}
}

// Source is an image's or a document's data. Which types a model takes is said
// in its documentation; Bedrock's take "base64" for images, and "base64",
// "text" and "content" for documents.
type Source struct {
	Type      string // "base64", "text", "content", "url" or "file"
	MediaType string // of "base64" and "text": "image/png", "application/pdf", "text/plain"…
	Data      []byte // of "base64" the bytes themselves, of "text" the text
	Content   Blocks // of "content"
	URL       string // of "url"
	FileID    string // of "file"

	Extra map[string]json.RawMessage // fields that are not above
}

// Citations belong to a document or to a text. A document's say whether the
// model is to cite it; a text's are where it comes from.
type Citations struct {
	Enabled bool
	List    []Citation
}

// Citation is a place that a text cites. Source: "Citations", Anthropic's
// documentation.
type Citation struct {
	Type          string // "char_location", "page_location", "content_block_location", "search_result_location"…
	CitedText     string
	DocumentIndex int // from 0, over all documents of the request
	DocumentTitle string
	Start, End    int // characters, pages or blocks, by Type; End is the first one that does not belong to it

	// Raw is the citation as it came, and as it goes back to the model.
	Raw json.RawMessage
}

// blockTypes are those that Block has the fields of.
var blockTypes = map[string]bool{
	"text": true, "image": true, "document": true, "tool_use": true, "tool_result": true,
	"thinking": true, "redacted_thinking": true,
}

// plainBlock is a Block without its methods.
type plainBlock Block

// wireBlock is a block as it is written: all of a message in one pass, however
// large its images are. What a type requires is there even where it is empty.
type wireBlock struct {
	*plainBlock
	Text      *string         `json:"text,omitempty"`
	Source    any             `json:"source,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	Content   []any           `json:"content,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature *string         `json:"signature,omitempty"`
}

func (b *Block) wire() (any, error) {
	if b.Raw != nil {
		if !json.Valid(b.Raw) {
			return nil, errors.New("raw is not JSON")
		}
		return b.Raw, nil
	}
	w := &wireBlock{plainBlock: (*plainBlock)(b), Input: b.Input}
	var err error
	switch b.Type {
	case "":
		return nil, errors.New("the block has no type")
	case "text":
		w.Text = &b.Text
	case "thinking":
		w.Thinking, w.Signature = &b.Thinking, &b.Signature
	case "tool_use":
		if len(b.Input) == 0 {
			w.Input = json.RawMessage("{}")
		}
	}
	if b.Source != nil {
		if w.Source, err = b.Source.wire(); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
	if w.Content, err = b.Content.wire(); err != nil {
		return nil, err
	}
	if b.Extra == nil {
		return w, nil
	}
	raw, err := family.Marshal(w, b.Extra)
	return json.RawMessage(raw), err
}

func (b Blocks) wire() ([]any, error) {
	if b == nil {
		return nil, nil
	}
	list := make([]any, len(b))
	for i := range b {
		w, err := b[i].wire()
		if err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		list[i] = w
	}
	return list, nil
}

// MarshalJSON writes the block as the Messages API takes it.
func (b Block) MarshalJSON() ([]byte, error) {
	w, err := b.wire()
	if err != nil {
		return nil, err
	}
	return family.Marshal(w, nil)
}

// UnmarshalJSON reads a block. One of an unknown type is kept whole.
func (b *Block) UnmarshalJSON(data []byte) error {
	var plain plainBlock
	extra, err := family.Unmarshal(data, &plain)
	if err == nil && blockTypes[plain.Type] {
		*b = Block(plain)
		b.Extra = extra
		return nil
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	if blockTypes[head.Type] {
		return fmt.Errorf("a block of the type %s: %w", head.Type, err)
	}
	*b = Block{Type: head.Type, Raw: bytes.Clone(data)}
	return nil
}

// UnmarshalJSON reads a list of blocks or a string.
func (b *Blocks) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte{'"'}) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*b = Text(text)
		return nil
	}
	return json.Unmarshal(data, (*[]Block)(b))
}

// wireSource is a source in JSON. Its data are a string, base64 or not, and
// its content is a string or a list.
type wireSource struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      any    `json:"data,omitempty"`
	Content   []any  `json:"content,omitempty"`
	URL       string `json:"url,omitempty"`
	FileID    string `json:"file_id,omitempty"`
}

func (s *Source) wire() (any, error) {
	w := &wireSource{Type: s.Type, MediaType: s.MediaType, URL: s.URL, FileID: s.FileID}
	switch {
	case s.Type == "text":
		w.Data = string(s.Data)
	case s.Data != nil:
		w.Data = s.Data
	}
	var err error
	if w.Content, err = s.Content.wire(); err != nil {
		return nil, err
	}
	if s.Extra == nil {
		return w, nil
	}
	raw, err := family.Marshal(w, s.Extra)
	return json.RawMessage(raw), err
}

// MarshalJSON writes the source as the Messages API takes it.
func (s Source) MarshalJSON() ([]byte, error) {
	w, err := s.wire()
	if err != nil {
		return nil, err
	}
	return family.Marshal(w, nil)
}

// UnmarshalJSON reads a source.
func (s *Source) UnmarshalJSON(data []byte) error {
	var v struct {
		Type      string          `json:"type"`
		MediaType string          `json:"media_type"`
		Data      json.RawMessage `json:"data"`
		Content   Blocks          `json:"content"`
		URL       string          `json:"url"`
		FileID    string          `json:"file_id"`
	}
	extra, err := family.Unmarshal(data, &v)
	if err != nil {
		return err
	}
	*s = Source{Type: v.Type, MediaType: v.MediaType, Content: v.Content, URL: v.URL, FileID: v.FileID, Extra: extra}
	switch {
	case len(v.Data) == 0:
		return nil
	case v.Type == "text":
		var text string
		err = json.Unmarshal(v.Data, &text)
		s.Data = []byte(text)
	default:
		err = json.Unmarshal(v.Data, &s.Data)
	}
	return err
}

// MarshalJSON writes a text's list, or a document's {"enabled":…}.
func (c Citations) MarshalJSON() ([]byte, error) {
	if c.List != nil {
		return family.Marshal(c.List, nil)
	}
	return json.Marshal(struct {
		Enabled bool `json:"enabled"`
	}{c.Enabled})
}

// UnmarshalJSON reads either form.
func (c *Citations) UnmarshalJSON(data []byte) error {
	*c = Citations{}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte{'['}) {
		return json.Unmarshal(data, &c.List)
	}
	var v struct {
		Enabled bool `json:"enabled"`
	}
	err := json.Unmarshal(data, &v)
	c.Enabled = v.Enabled
	return err
}

// MarshalJSON writes the citation as it came.
func (c Citation) MarshalJSON() ([]byte, error) {
	if c.Raw == nil {
		return nil, errors.New("a citation that no model has made: it has no raw JSON")
	}
	return c.Raw, nil
}

// UnmarshalJSON reads a citation of any type.
func (c *Citation) UnmarshalJSON(data []byte) error {
	var v struct {
		Type            string `json:"type"`
		CitedText       string `json:"cited_text"`
		DocumentIndex   int    `json:"document_index"`
		DocumentTitle   string `json:"document_title"`
		StartCharIndex  int    `json:"start_char_index"`
		EndCharIndex    int    `json:"end_char_index"`
		StartPageNumber int    `json:"start_page_number"`
		EndPageNumber   int    `json:"end_page_number"`
		StartBlockIndex int    `json:"start_block_index"`
		EndBlockIndex   int    `json:"end_block_index"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*c = Citation{
		Type: v.Type, CitedText: v.CitedText, DocumentIndex: v.DocumentIndex, DocumentTitle: v.DocumentTitle,
		Start: v.StartCharIndex + v.StartPageNumber + v.StartBlockIndex, // it has one of them
		End:   v.EndCharIndex + v.EndPageNumber + v.EndBlockIndex,
		Raw:   bytes.Clone(data),
	}
	return nil
}
