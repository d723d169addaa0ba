package rest

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Clean returns a text in the normal form C, without characters that nobody
// sees but a model reads: control characters but for line feeds and tabs, the
// ones that change the direction of the writing, tags, and the marks that Unicode
// sets aside. All that people write with stays: the joiners and the variation
// selectors of emoji, half-width kana, rare kanji.
func Clean(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return norm.NFC.String(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r':
			return '\n'
		case unicode.IsControl(r), // C0 and C1
			r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C, // bidirectional
			r >= 0xE0000 && r <= 0xE007F,              // tags
			r >= 0xFFF9 && r <= 0xFFFB,                // interlinear annotations
			r == 0xFEFF, r == unicode.ReplacementChar, // a byte order mark; what was no character
			r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE: // noncharacters
			return -1
		}
		return r
	}, text))
}
