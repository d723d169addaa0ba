package jsonscan

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzValidUTF8(f *testing.F) {
	for _, seed := range []string{
		"", "plain, and more than a word", "日本語のマンガ", "한국어 텍스트", "aé日😀", "\xe3\x81", "日\xe3\x81", "日\xff本語の",
		"\xe0\x80\x80日本語", "日\xe0\x9f\xbf日本", "\xed\xa0\x80日本語", "日\xed\xbf\xbf日本", "\xe0\xa4\xb9日本語", "\xed\x9f\xbf日本語", "\xef\xbf\xbd日本語", "日本\xc0\x80語語語",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		require.Equal(t, utf8.Valid(s), validUTF8(s), "%q", s)
	})
}
