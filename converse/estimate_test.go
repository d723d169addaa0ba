package converse_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
)

// An estimate is rather too high than too low, for every kind of content.
func TestEstimateTokens(t *testing.T) {
	words := strings.Repeat("word ", 10_000) // about 10,000 tokens
	var office bytes.Buffer
	w := zip.NewWriter(&office)
	part, err := w.Create("word/document.xml")
	require.NoError(t, err)
	_, err = fmt.Fprintf(part, "<w:t>%s</w:t>", words)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	pdf := []byte("%PDF-1.7\n" + strings.Repeat("<< /Type /Page /Parent 1 0 R >>\n", 90) + "<< /Type /Pages >>")

	for name, test := range map[string]struct {
		content converse.Content
		least   int64
	}{
		"text":            {converse.Text(words), 10_000},
		"Japanese":        {converse.Text(strings.Repeat("漫画", 500)), 1_400},
		"digits":          {converse.Text(strings.Repeat("1234567890", 100)), 500},
		"text document":   {converse.Document{Name: "a", Text: words}, 10_000},
		"chunks":          {converse.Document{Name: "a", Chunks: []string{words, words}}, 20_000},
		"text file":       {converse.Document{Name: "a", Format: "txt", Bytes: []byte(words)}, 10_000},
		"office document": {converse.Document{Name: "a", Format: "docx", Bytes: office.Bytes()}, 10_000},
		"broken document": {converse.Document{Name: "a", Format: "xlsx", Bytes: []byte(words)}, 10_000},
		"old document":    {converse.Document{Name: "a", Format: "doc", Bytes: append([]byte{0xff}, words...)}, 10_000},
		"PDF of 90 pages": {converse.Document{Name: "a", Format: "pdf", Bytes: pdf}, 270_000},
		"compressed PDF":  {converse.Document{Name: "a", Format: "pdf", Bytes: bytes.Repeat([]byte{0xff}, 500_000)}, 50_000},
		"document in S3":  {converse.Document{Name: "a", Format: "pdf", S3URI: "s3://b/k"}, 50_000},
		"image":           {converse.Image{Format: "png", Bytes: []byte("small")}, 4_800},
		"guarded image":   {converse.GuardImage{Format: "png", Bytes: []byte("small")}, 4_800},
		"video in S3":     {converse.Video{Format: "mp4", S3URI: "s3://b/k"}, 100_000},
		"audio":           {converse.Audio{Format: "mp3", Bytes: make([]byte, 1_000_000)}, 20_000},
		"cited text":      {converse.CitedText{Content: []string{words}}, 10_000},
		"guarded text":    {converse.GuardText{Text: words}, 10_000},
		"search result":   {converse.SearchResult{Source: "s", Title: "t", Content: []string{words}}, 10_000},
		"tool use":        {converse.ToolUse{ID: "1", Name: "a", Input: []byte(`"` + words + `"`)}, 10_000},
		"result":          {converse.ToolResult{ToolUseID: "1", Content: converse.Contents{converse.Text(words), converse.JSON(`"` + words + `"`)}}, 20_000},
		"reasoning":       {converse.Reasoning{Text: words}, 10_000},
		"unknown content": {converse.Raw(`{"new":{"text":"` + words + `"}}`), 10_000},
	} {
		assert.GreaterOrEqual(t, converse.EstimateTokens(converse.UserContent(test.content)), test.least, name)
	}
	assert.Less(t, converse.EstimateTokens(converse.User("Which manga is new?")), int64(25))
}
