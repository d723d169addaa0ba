package stream

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// append appends the message's JSON. It is written by hand, since it is written
// for every token. Unlike that of encoding/json it does not escape <, > and &,
// which would take six times their room.
func (m *Message) append(b []byte) []byte {
	truncated := m.Truncated
	b = appendText(append(b, '{'), "type", m.Type)
	if m.Data != "" {
		b = appendText(append(b, ','), "data", m.Data)
	}
	b = appendInt(b, "sequence", m.Sequence)
	if m.Round != 0 {
		b = appendInt(b, "round", int64(m.Round))
	}
	if m.ToolUseID != "" {
		b = appendText(append(b, ','), "tool_use_id", m.ToolUseID)
	}
	if m.ToolName != "" {
		b = appendText(append(b, ','), "name", m.ToolName)
	}
	if len(m.Input) > 0 {
		var input bytes.Buffer
		if json.Compact(&input, m.Input) != nil {
			truncated = true
		} else {
			b = append(append(b, `,"input":`...), input.Bytes()...)
		}
	}
	if m.Status != "" {
		b = appendText(append(b, ','), "status", m.Status)
	}
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	if m.Usage != nil {
		b = appendUsage(append(b, `,"usage":`...), m.Usage)
	}
	if m.StopReason != "" {
		b = appendText(append(b, ','), "stop_reason", string(m.StopReason))
	}
	if m.Cost != "" {
		b = appendText(append(b, ','), "cost", m.Cost)
	}
	for i, p := range m.Pending {
		if i == 0 {
			b = append(b, `,"pending":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendText(append(b, '{'), "tool_use_id", p.ToolUseID)
		b = appendText(append(b, ','), "name", p.ToolName)
		if p.Question != "" {
			b = appendText(append(b, ','), "question", p.Question)
		}
		if b = append(b, '}'); i == len(m.Pending)-1 {
			b = append(b, ']')
		}
	}
	if m.Code != "" {
		b = appendText(append(b, ','), "code", m.Code)
	}
	return append(b, '}')
}

func appendText(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	return jsonscan.AppendQuote(b, value)
}

func appendInt(b []byte, name string, value int64) []byte {
	b = append(append(append(b, ',', '"'), name...), `":`...)
	return strconv.AppendInt(b, value, 10)
}

func appendUsage(b []byte, u *bedrockkit.Usage) []byte {
	data, err := json.Marshal(u)
	if err != nil {
		return append(b, "null"...) // it has numbers and a bool
	}
	return append(b, data...)
}

// minMessage is the least bound on a message: all that a message cannot do
// without fits into it.
const minMessage = 1 << 10

// fit yields the message as one or more whose JSON has at most limit bytes,
// whatever their sequence will be. Text and reasoning are split between
// characters; the pieces but the last have the sequence before the message's,
// as a reader that has not seen the last has not seen the message. Of anything
// else so much is left out that it fits.
func (m Message) fit(limit int) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		if m.fits(limit) {
			yield(m)
			return
		}
		m.pieces(limit)(yield)
	}
}

// pieces is fit for a message that is too large.
func (m Message) pieces(limit int) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		piece, rest := m, m.Data
		piece.Data = ""
		room := limit - piece.size() - len(`,"data":""`)
		if !m.isText() || room < maxWidth {
			yield(m.cut(limit))
			return
		}
		for rest != "" {
			n := prefix(rest, room)
			piece.Data, rest = rest[:n], rest[n:]
			if piece.Sequence = m.Sequence; rest != "" {
				piece.Sequence--
			}
			if !yield(piece) {
				return
			}
		}
	}
}

// fits reports whether the message's JSON has at most limit bytes.
func (m *Message) fits(limit int) bool {
	return m.isPlain() && envelope+maxWidth*len(m.Data) <= limit || m.size() <= limit
}

// maxWidth is the most bytes that a character, or a byte, takes in a JSON string.
const maxWidth = len(`\u0000`)

// envelope is more than what a piece of text takes besides its text.
const envelope = len(`{"type":"reasoning","data":"","sequence":-9223372036854775808,"round":-9223372036854775808}`)

// size is a bound on the bytes of the message's JSON; for a text that needs no
// escapes it is exact but for the sequence.
func (m Message) size() int {
	text := m.Data
	m.Data, m.Sequence = "", math.MaxInt64
	size := len(m.append(make([]byte, 0, 256)))
	if text != "" {
		size += len(`,"data":""`) + quoted(text)
	}
	return size
}

// isText reports whether the message is a piece of a longer text.
func (m *Message) isText() bool { return m.Type == TypeToken || m.Type == TypeReasoning }

// isPlain reports whether the message is a piece of text and nothing else.
func (m *Message) isPlain() bool {
	return m.isText() && m.ToolUseID == "" && m.ToolName == "" && m.Input == nil && m.Status == "" && !m.Truncated &&
		m.Usage == nil && m.StopReason == "" && m.Cost == "" && m.Pending == nil && m.Code == ""
}

// cut leaves out of a message what keeps it from having at most limit bytes,
// the least important first. The message says so.
func (m Message) cut(limit int) Message {
	m.Truncated = true
	m.Input = nil
	if over := m.size() - limit; over > 0 && m.Data != "" {
		m.Data = m.Data[:prefix(m.Data, quoted(m.Data)-over)]
	}
	if m.size() > limit {
		pending := append([]Pending(nil), m.Pending...)
		for i := range pending {
			pending[i].Question = pending[i].Question[:prefix(pending[i].Question, 256)]
		}
		for m.Pending = pending; len(m.Pending) > 0 && m.size() > limit; {
			m.Pending = m.Pending[:len(m.Pending)-1]
		}
	}
	if m.size() <= limit {
		return m
	}
	// Its names alone are too long: they are not the service's.
	kept := Message{Type: m.Type[:prefix(m.Type, 64)], Truncated: true, Usage: m.Usage}
	kept.Code = m.Code[:prefix(m.Code, 64)]
	return kept
}

// quoted is how many bytes the text takes in a JSON string, its quotes apart.
func quoted(text string) int {
	n := 0
	for i := 0; i < len(text); {
		size, width := unit(text[i:])
		i += size
		n += width
	}
	return n
}

// prefix is the length of the longest beginning of a text that takes at most
// room bytes in a JSON string and ends between characters.
func prefix(text string, room int) int {
	i := 0
	for i < len(text) {
		size, width := unit(text[i:])
		if room -= width; room < 0 {
			break
		}
		i += size
	}
	return i
}

// unit is the length of the first character of a text, and how many bytes it
// takes in a JSON string as jsonscan.AppendQuote writes it.
func unit(text string) (size, width int) {
	switch c := text[0]; {
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r != utf8.RuneError || size > 1:
			return size, size
		case len(text) >= 3 && c == 0xED && text[1]&0xE0 == 0xA0 && text[2]&0xC0 == 0x80:
			return 3, len(`\ud800`) // a lone surrogate
		}
		return 1, len("\uFFFD")
	case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
		return 1, 2
	case c < ' ':
		return 1, len(`\u0000`)
	}
	return 1, 1
}
