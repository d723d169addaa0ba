package shop_test

import (
	"context"
	"fmt"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

func Example() {
	s := shop.New(catalog.Default())
	ctx := context.Background()

	found, err := s.SearchMangaCatalog(ctx, shop.SearchInput{Query: "鬼滅の刃"})
	fmt.Println(found.Results[0].MangaID, found.Results[0].Volumes, err)

	_, err = s.CheckMangaAvailability(ctx, shop.AvailabilityInput{MangaID: "Demon Slayer"})
	fmt.Println(err)

	order, err := s.GetOrderStatus(ctx, shop.OrderInput{OrderID: "ORD-MANGA001"})
	fmt.Println(order.Status, order.ETADays, err)
	// Output:
	// MNG-KIMETSU0 23 <nil>
	// manga_id: "Demon Slayer" is not a manga id; one is "MNG-" and eight capital letters or digits, such as MNG-ONEPIECE: call search_manga_catalog to find it
	// shipped 2 <nil>
}
