package shop

import (
	"context"
	"fmt"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// AvailabilityInput is the input of [Shop.CheckMangaAvailability].
type AvailabilityInput struct {
	MangaID string `json:"manga_id"`         // "MNG-" and eight letters or digits, from a search
	Volume  *int   `json:"volume,omitempty"` // nil for the whole series
}

// AvailabilityOutput says what the shop has of a manga, and what it costs. The
// fields of one volume are set if one was asked for, otherwise those of the
// series.
type AvailabilityOutput struct {
	MangaID string `json:"manga_id"`
	Title   string `json:"title"`
	Romaji  string `json:"title_romaji"`
	English string `json:"title_english,omitempty"`

	Available bool   `json:"available"` // the volume, or at least one of the series
	PriceJPY  int    `json:"price_jpy"` // of a volume, in yen
	PriceUSD  string `json:"price_usd"` // the same in dollars and cents, at the shop's rate

	Volume      int `json:"volume,omitempty"`
	Quantity    int `json:"quantity,omitempty"`     // copies of the volume in stock
	RestockDays int `json:"restock_days,omitempty"` // until the volume is back, if it is sold out

	Volumes     int    `json:"volumes,omitempty"`          // that the shop lists; 0 if the catalogue does not know the number
	InStock     int    `json:"volumes_in_stock,omitempty"` // how many of them are in stock
	SoldOut     []int  `json:"sold_out_volumes,omitempty"` // the first of those that are not, at most 10
	SetPriceJPY int    `json:"set_price_jpy,omitempty"`    // all volumes in yen, if all are in stock
	SetPriceUSD string `json:"set_price_usd,omitempty"`
}

// CheckMangaAvailability says whether a manga, or one volume of it, is in
// stock, and at what price.
func (s *Shop) CheckMangaAvailability(ctx context.Context, in AvailabilityInput) (AvailabilityOutput, error) {
	if !catalog.ValidID(in.MangaID) {
		return AvailabilityOutput{}, invalid("manga_id", `%q is not a manga id; one is "MNG-" and eight capital letters or digits, such as MNG-ONEPIECE: call %s to find it`, clip(in.MangaID), SearchMangaCatalogTool)
	}
	m, ok := s.books.ByID(in.MangaID)
	if !ok {
		return AvailabilityOutput{}, notFound("manga_id", "the shop has no manga %s; call %s to find the id", in.MangaID, SearchMangaCatalogTool)
	}
	products, err := s.products.Products(ctx, m.ID)
	if err != nil {
		return AvailabilityOutput{}, err
	}
	p, ok := products[m.ID]
	if !ok {
		return AvailabilityOutput{}, notFound("manga_id", "the shop does not sell %s (%s)", m.Romaji, m.ID)
	}
	out := AvailabilityOutput{
		MangaID: m.ID, Title: m.Title, Romaji: m.Romaji, English: m.English,
		PriceJPY: p.PriceJPY, PriceUSD: dollars(p.PriceJPY),
	}
	if in.Volume != nil {
		return out.ofVolume(m, p, *in.Volume)
	}
	return out.ofSeries(m, p), nil
}

func (out AvailabilityOutput) ofVolume(m *catalog.Manga, p Product, volume int) (AvailabilityOutput, error) {
	switch {
	case volume < 1:
		return AvailabilityOutput{}, invalid("volume", "%d is no volume; the first is 1", volume)
	case m.Volumes == 0:
		return AvailabilityOutput{}, notFound("volume", "the catalogue does not know the volumes of %s (%s); ask without a volume", m.Romaji, m.ID)
	case volume > m.Volumes && m.Status == catalog.Finished:
		return AvailabilityOutput{}, notFound("volume", "%s (%s) is finished and has %s, so there is no volume %d", m.Romaji, m.ID, count(m.Volumes), volume)
	case volume > m.Volumes:
		return AvailabilityOutput{}, notFound("volume", "the shop lists %s of %s (%s), as of %d, and no volume %d yet", count(m.Volumes), m.Romaji, m.ID, m.VolumesAsOf, volume)
	}
	out.Volume = volume
	v := p.volume(volume)
	out.Quantity, out.RestockDays = v.Quantity, v.RestockDays
	out.Available = out.Quantity > 0
	return out, nil
}

func count(volumes int) string {
	if volumes == 1 {
		return "1 volume"
	}
	return fmt.Sprintf("%d volumes", volumes)
}

// maxSoldOut bounds the sold-out volumes that are listed.
const maxSoldOut = 10

func (out AvailabilityOutput) ofSeries(m *catalog.Manga, p Product) AvailabilityOutput {
	if m.Volumes == 0 {
		out.Available = p.volume(1).Quantity > 0
		return out
	}
	out.Volumes = m.Volumes
	for v := 1; v <= m.Volumes; v++ {
		if p.volume(v).Quantity > 0 {
			out.InStock++
		} else if len(out.SoldOut) < maxSoldOut {
			out.SoldOut = append(out.SoldOut, v)
		}
	}
	out.Available = out.InStock > 0
	if out.InStock == out.Volumes {
		out.SetPriceJPY = out.PriceJPY * out.Volumes
		out.SetPriceUSD = dollars(out.SetPriceJPY)
	}
	return out
}

func trackingNumber(id string) string {
	n := invent(id, "tracking")
	return fmt.Sprintf("4%03d-%04d-%04d", n%1000, n/1000%10000, n/7%10000)
}
