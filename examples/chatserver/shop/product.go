package shop

import (
	"context"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// A Product is what the shop has of a manga: what changes from hour to hour, unlike
// the catalogue.
type Product struct {
	PriceJPY int      // of a volume, in yen
	Volumes  []Volume // from the first on; only the first if nobody knows how many there are
}

// A Volume is the stock of one volume.
type Volume struct {
	Quantity    int // copies
	RestockDays int // until it is back, if it is sold out
}

// volume is the stock of a volume, counted from 1. One that is not listed is sold
// out.
func (p Product) volume(n int) Volume {
	if n < 1 || n > len(p.Volumes) {
		return Volume{}
	}
	return p.Volumes[n-1]
}

// Products are the prices and the stock of a shop. It is safe for concurrent use.
type Products interface {
	// Products returns what the shop has of some manga, by their ids. Those that it
	// does not sell are left out. It asks its store once for all of them.
	Products(ctx context.Context, ids ...string) (map[string]Product, error)
}

// Invented are the prices and the stock that a shop has by default. They are derived
// from the ids, so they are the same every day.
func Invented(books *catalog.Catalog) Products { return invented{books} }

type invented struct{ books *catalog.Catalog }

// Products implements [Products].
func (i invented) Products(_ context.Context, ids ...string) (map[string]Product, error) {
	all := map[string]Product{}
	for _, id := range ids {
		m, ok := i.books.ByID(id)
		if !ok {
			continue
		}
		p := Product{PriceJPY: price(id)}
		for n := 1; n <= max(1, m.Volumes); n++ {
			v := Volume{Quantity: stock(id, n)}
			if v.Quantity == 0 {
				v.RestockDays = 3 + int(invent(id, "restock", n)%12)
			}
			p.Volumes = append(p.Volumes, v)
		}
		all[id] = p
	}
	return all, nil
}

// stock returns the copies of a volume that the shop has: none of about one
// volume in twelve.
func stock(id string, volume int) int {
	n := invent(id, "stock", volume)
	if n%12 == 0 {
		return 0
	}
	return int(1 + n/12%15)
}

// prices are usual ones of tankobon in Japan, in yen with tax.
var prices = []int{484, 528, 572, 594, 638, 693, 715, 792}

// price returns the shop's price for a volume, in yen. It is the same for all
// volumes of a manga.
func price(id string) int { return prices[invent(id, "price")%uint32(len(prices))] }
