package covers_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/covers"
)

// Each manga has a cover of its own that can be sent to a model.
func TestDraw(t *testing.T) {
	seen := map[string]string{}
	for m := range catalog.Default().All() {
		data := covers.Draw(m)
		assert.Less(t, len(data), 8<<10)
		picture, err := covers.Read(data)
		require.NoError(t, err, m.ID)
		assert.Equal(t, "png", picture.Format)
		assert.Empty(t, seen[string(data)], "%s has the cover of another", m.ID)
		seen[string(data)] = m.ID
	}
	m, _ := catalog.Default().ByID("MNG-ONEPIECE")
	assert.Equal(t, covers.Draw(m), covers.Draw(m))
}

func TestRead(t *testing.T) {
	encoded := func(w, h int, encode func(*bytes.Buffer, image.Image) error) []byte {
		var b bytes.Buffer
		require.NoError(t, encode(&b, image.NewGray(image.Rect(0, 0, w, h))))
		return b.Bytes()
	}
	asPNG := func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) }
	asJPEG := func(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) }
	small := encoded(8, 8, asPNG)
	picture, err := covers.Read(encoded(8, 8, asJPEG))
	require.NoError(t, err)
	assert.Equal(t, "jpeg", picture.Format)

	// A header may promise more pixels than memory has.
	bomb := bytes.Clone(small)
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	for want, data := range map[string][]byte{
		"it is no PNG or JPEG":                             []byte("<svg/>"),
		"it is 4000 × 4000 pixels; it has at most 4194304": encoded(4000, 4000, asPNG),
		"it is 60000 × 60000 pixels":                       bomb,
		"it has 131073 bytes; it has at most 131072":       make([]byte, 128<<10+1),
		"a part of it cannot be read":                      small[:len(small)-20],
	} {
		_, err := covers.Read(data)
		assert.ErrorContains(t, err, want)
	}
	var moving bytes.Buffer
	require.NoError(t, gif.Encode(&moving, image.NewGray(image.Rect(0, 0, 2, 2)), nil))
	_, err = covers.Read(moving.Bytes())
	assert.ErrorContains(t, err, "it is no PNG or JPEG")
	_, err = covers.Read(nil)
	assert.Error(t, err)
}
