package offline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // for readPicture
	_ "image/png"
	"maps"
	"slices"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/covers"
)

// A picture is what can be said of one without knowing what it shows.
type picture struct {
	colors     []string // the largest area first
	brightness string
	gray       bool
}

// readPicture reads an image block of a request; nil if it is none.
func readPicture(block json.RawMessage) *picture {
	var b struct {
		Image *struct {
			Source struct{ Bytes []byte }
		}
	}
	if json.Unmarshal(block, &b) != nil || b.Image == nil {
		return nil
	}
	if _, err := covers.Read(b.Image.Source.Bytes); err != nil {
		return nil
	}
	m, _, err := image.Decode(bytes.NewReader(b.Image.Source.Bytes))
	if err != nil {
		return nil
	}
	areas, light, n := map[string]int{}, 0, 0
	bounds := m.Bounds()
	every := max(1, bounds.Dx()*bounds.Dy()/40_000) // some of the pixels are enough
	for i := 0; i < bounds.Dx()*bounds.Dy(); i += every {
		c := color.NRGBAModel.Convert(m.At(bounds.Min.X+i%bounds.Dx(), bounds.Min.Y+i/bounds.Dx())).(color.NRGBA)
		areas[named(c)]++
		light += (299*int(c.R) + 587*int(c.G) + 114*int(c.B)) / 1000
		n++
	}
	p := &picture{brightness: "medium"}
	for _, name := range slices.SortedFunc(maps.Keys(areas), func(a, b string) int { return cmp.Or(areas[b]-areas[a], cmp.Compare(a, b)) }) {
		if areas[name]*50 >= n && len(p.colors) < 5 { // at least a fiftieth
			p.colors = append(p.colors, name)
		}
	}
	switch light /= n; {
	case light < 80:
		p.brightness = "dark"
	case light > 170:
		p.brightness = "bright"
	}
	p.gray = !slices.ContainsFunc(p.colors, func(c string) bool { return c != "black" && c != "white" && c != "gray" })
	return p
}

// named is the word for a colour.
func named(c color.NRGBA) string {
	r, g, b := int(c.R), int(c.G), int(c.B)
	high, low := max(r, g, b), min(r, g, b)
	switch {
	case high < 45:
		return "black"
	case low > 215:
		return "white"
	case high-low < 30:
		return "gray"
	}
	hue := 0
	switch d := high - low; high {
	case r:
		hue = (60*(g-b)/d + 360) % 360
	case g:
		hue = 60*(b-r)/d + 120
	default:
		hue = 60*(r-g)/d + 240
	}
	switch {
	case hue < 15 || hue >= 345:
		if low > 120 {
			return "pink"
		}
		return "red"
	case hue < 45:
		if high < 150 {
			return "brown"
		}
		return "orange"
	case hue < 70:
		return "yellow"
	case hue < 165:
		return "green"
	case hue < 255:
		return "blue"
	case hue < 290:
		return "purple"
	}
	return "pink"
}

// inJapanese are the words for colours.
var inJapanese = map[string]string{
	"black": "黒", "white": "白", "gray": "灰色", "red": "赤", "orange": "橙色", "yellow": "黄色", "green": "緑", "blue": "青", "purple": "紫", "pink": "ピンク", "brown": "茶色",
}

// describe fills in what can be said of a cover.
func (p *picture) describe(m *catalog.Manga, into map[string]any) {
	style := "flat colours, simple shapes"
	if p.gray {
		style = "black and white"
	}
	title, original := "a manga", "漫画"
	if m != nil {
		title, original = m.Romaji, "『"+m.Title+"』"
	}
	words := []string{}
	for _, c := range p.colors {
		words = append(words, inJapanese[c])
	}
	into["dominant_colors"], into["brightness"], into["style"] = p.colors, p.brightness, style
	into["elements"], into["fits_all_ages"] = []string{"areas of " + english.list(p.colors)}, true
	into["alt_text_en"] = fmt.Sprintf("The cover of %s, in %s.", title, english.list(p.colors))
	into["alt_text_ja"] = fmt.Sprintf("%sの表紙。色は%s。", original, japanese.list(words))
}
