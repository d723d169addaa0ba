package bedrocktest

import (
	"encoding/json"
	"hash/fnv"
	"unicode"
	"unicode/utf8"
)

// Token counts are an estimate that is always the same for the same text:
// a token is one CJK character, or up to six characters of one word with the
// space before it. That is about four characters a token in English prose.
const tokenRunes = 6

// CountTokens is the server's count of the tokens of a text.
func CountTokens(text string) int64 {
	var n int64
	for len(text) > 0 {
		text = text[tokenLen(text):]
		n++
	}
	return n
}

// tokens splits a text into its tokens.
func tokens(text string) []string {
	var pieces []string
	for len(text) > 0 {
		n := tokenLen(text)
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

// tokenLen is the length in bytes of the first token of a text.
func tokenLen(text string) int {
	runes, word := 0, false
	for i, r := range text {
		space := unicode.IsSpace(r)
		switch {
		case r >= 0x2E80 && isCJK(r):
			if runes == 0 {
				return i + utf8.RuneLen(r)
			}
			return i
		case space && word:
			return i
		case runes == tokenRunes:
			return i
		}
		word = word || !space
		runes++
	}
	return len(text)
}

func isCJK(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) ||
		r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF
}

// blockTokens is the count of a block, from either side. What is not a
// text (images, documents) is counted by its size on the wire.
func blockTokens(b Block) int64 {
	switch {
	case b.ToolUse != nil:
		return 12 + CountTokens(b.ToolUse.Name) + CountTokens(string(b.ToolUse.Input))
	case b.ToolResult != nil:
		n := int64(12)
		for _, c := range b.ToolResult.Content {
			n += blockTokens(c)
		}
		return n
	case b.Reasoning != nil:
		return CountTokens(b.Reasoning.Text) + int64(len(b.Reasoning.Redacted))/4
	case b.Text != "":
		return CountTokens(b.Text)
	}
	if json.Valid(b.Raw) {
		return int64(len(b.Raw)+3) / 4
	}
	return 0
}

// inputTokens is the count of a whole prompt, with what the roles and the tools'
// frame cost.
func (c *Conversation) inputTokens() int64 {
	var n int64
	for _, t := range c.Tools {
		n += toolTokens(t)
	}
	for _, s := range c.System {
		n += CountTokens(s)
	}
	for _, m := range c.Messages {
		n += messageTokens
		for _, b := range m.Blocks {
			n += blockTokens(b)
		}
	}
	return n
}

const messageTokens = 4

func toolTokens(t Tool) int64 {
	return 8 + CountTokens(t.Name) + CountTokens(t.Description) + int64(len(t.Schema)+3)/4
}

// digest is a number that stands for data, the same on every machine.
func digest(data ...string) uint64 {
	h := fnv.New64a()
	for _, d := range data {
		h.Write([]byte(d))
		h.Write([]byte{0})
	}
	// FNV's low bits are weak for short inputs that differ little.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// identifier is a string of n letters and digits made from data.
func identifier(n int, data ...string) string {
	b := make([]byte, n)
	x := digest(data...)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = alphanumeric[(x>>33)%uint64(len(alphanumeric))]
	}
	return string(b)
}
