// Package covers has the pictures of the catalogue: it draws a small cover for each
// manga, and reads a picture that somebody sends.
//
//	png := covers.Draw(manga)
//	cover, err := covers.Read(upload)
package covers

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	_ "image/jpeg" // for Read
	"image/png"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// The size of a cover that is drawn.
const (
	width, height = 120, 180
)

// The bounds of a picture that somebody sends.
const (
	MaxBytes  = 128 << 10
	MaxPixels = 4 << 20
)

// moods are the backgrounds of genres, the first genre that is here counts.
var moods = map[catalog.Genre]color.RGBA{
	"horror": {30, 10, 30, 255}, "war": {90, 60, 40, 255}, "crime": {40, 40, 50, 255}, "psychological": {60, 30, 90, 255}, "mystery": {35, 45, 80, 255},
	"romance": {245, 170, 190, 255}, "slice-of-life": {250, 230, 150, 255}, "comedy": {255, 215, 60, 255}, "food": {240, 150, 60, 255},
	"adventure": {60, 140, 220, 255}, "fantasy": {110, 70, 190, 255}, "sports": {50, 160, 80, 255}, "sci-fi": {20, 60, 120, 255}, "action": {210, 50, 45, 255},
}

// bands are the colours of the stripe that says whom a manga is for.
var bands = map[catalog.Demographic]color.RGBA{
	"": {128, 128, 128, 255}, catalog.Shonen: {255, 220, 0, 255}, catalog.Seinen: {20, 20, 20, 255},
	catalog.Shojo: {255, 110, 180, 255}, catalog.Josei: {150, 60, 140, 255}, catalog.Kodomo: {90, 200, 250, 255},
}

// Draw returns the cover of a manga as a PNG. It is an invented picture: a colour for
// the genre, a stripe for the readers, and a sun and hills that differ from manga to
// manga. It is always the same for the same manga.
func Draw(m *catalog.Manga) []byte {
	sky := color.RGBA{200, 200, 205, 255}
	for _, genre := range m.Genres {
		if c, ok := moods[genre]; ok {
			sky = c
			break
		}
	}
	h := fnv.New32a()
	h.Write([]byte(m.ID))
	seed := int(h.Sum32())
	sunX, sunY, radius := 25+seed%70, 45+seed/70%60, 14+seed/4200%16
	hill := 110 + seed/70000%40
	sun := color.RGBA{255 - sky.R/2, 255 - sky.G/2, 200 - sky.B/2, 255}
	ground := color.RGBA{sky.R / 3, sky.G / 3, sky.B / 3, 255}

	picture := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{sky, sun, ground, bands[m.Demographic]})
	for y := range height {
		for x := range width {
			slope := (x - sunX) * (x - sunX) / 60
			switch dx, dy := x-sunX, y-sunY; {
			case y < 18:
				picture.SetColorIndex(x, y, 3)
			case y > hill+slope/2:
				picture.SetColorIndex(x, y, 2)
			case dx*dx+dy*dy < radius*radius:
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		panic(err) // it goes to memory
	}
	return out.Bytes()
}

// A Picture is one that was found good.
type Picture struct {
	Format string // "png" or "jpeg", by the content
	Bytes  []byte
}

// Pixels is how many a picture has that somebody sends, by its head alone. The error
// is for the sender.
func Pixels(data []byte) (int, error) {
	if len(data) > MaxBytes {
		return 0, fmt.Errorf("it has %d bytes; it has at most %d", len(data), MaxBytes)
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil || format != "png" && format != "jpeg":
		return 0, errors.New("it is no PNG or JPEG")
	case config.Width < 1 || config.Height < 1 || config.Width > MaxPixels/config.Height:
		return 0, fmt.Errorf("it is %d × %d pixels; it has at most %d", config.Width, config.Height, MaxPixels)
	}
	return config.Width * config.Height, nil
}

// Read checks a picture that somebody sends: its size, its pixels, and that all of it
// can be read. The error is for the sender.
func Read(data []byte) (Picture, error) {
	if _, err := Pixels(data); err != nil {
		return Picture{}, err
	}
	_, format, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Picture{}, errors.New("a part of it cannot be read")
	}
	return Picture{format, data}, nil
}
