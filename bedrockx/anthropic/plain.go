package anthropic

import (
	"strconv"
	"unicode/utf8"
)

// appendPlain appends the body that nearly every one is, of texts and the
// parameters that all have, and reports whether it is one. It writes what
// encoding/json would, in a fraction of the time.
func (r *Request) appendPlain(b []byte) ([]byte, bool) {
	if len(r.AnthropicBeta)+len(r.StopSequences)+len(r.Tools)+len(r.Extra) > 0 || r.Temperature != nil || r.TopP != nil ||
		r.TopK != nil || r.ToolChoice != nil || r.Thinking != nil || r.OutputConfig != nil {
		return b, false
	}
	b = append(b, `{"anthropic_version":`...)
	b, ok := appendString(b, r.AnthropicVersion)
	b = append(b, `,"max_tokens":`...)
	b = strconv.AppendInt(b, int64(r.MaxTokens), 10)
	if len(r.System) > 0 {
		b = append(b, `,"system":`...)
		var plain bool
		b, plain = r.System.appendPlain(b)
		ok = ok && plain
	}
	b = append(b, `,"messages":[`...)
	for i := range r.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		m := &r.Messages[i]
		var role, plain bool
		b = append(b, `{"role":`...)
		b, role = appendString(b, m.Role)
		b = append(b, `,"content":`...)
		b, plain = m.Content.appendPlain(b)
		b = append(b, '}')
		if ok = ok && role && plain; !ok {
			return b, false
		}
	}
	return append(b, "]}"...), ok
}

// appendPlain appends a list of texts.
func (list Blocks) appendPlain(b []byte) ([]byte, bool) {
	b = append(b, '[')
	for i := range list {
		block := &list[i]
		if !block.plain() {
			return b, false
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":"text","text":`...)
		var ok bool
		if b, ok = appendString(b, block.Text); !ok {
			return b, false
		}
		b = append(b, '}')
	}
	return append(b, ']'), true
}

// plain reports whether a block is a text and nothing else.
func (b *Block) plain() bool {
	return b.Type == "text" && b.Text != "" && b.Source == nil && b.Title == "" && b.Context == "" && b.ID == "" && b.Name == "" &&
		b.Input == nil && b.ToolUseID == "" && len(b.Content) == 0 && !b.IsError && b.Thinking == "" && b.Signature == "" &&
		b.Data == "" && b.Citations == nil && b.CacheControl == nil && len(b.Extra) == 0 && b.Raw == nil
}

// appendString appends a string as JSON, and reports false for one that
// encoding/json writes in a way of its own.
func appendString(b []byte, s string) ([]byte, bool) {
	b = append(b, '"')
	start, ascii := 0, true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			ascii = ascii && c < utf8.RuneSelf
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			return b, false
		}
	}
	b = append(append(b, s[start:]...), '"')
	if ascii {
		return b, true
	}
	for i := 0; i+2 < len(s); i++ { // U+2028 and U+2029 end lines in JavaScript
		if s[i] == 0xE2 && s[i+1] == 0x80 && s[i+2]&^1 == 0xA8 {
			return b, false
		}
	}
	return b, utf8.ValidString(s)
}
