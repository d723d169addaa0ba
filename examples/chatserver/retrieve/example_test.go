package retrieve_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
)

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	client := bedrockx.New(fake.Client())
	ctx := context.Background()

	index := retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 0), &retrieve.Memory{})
	spent, err := index.Add(ctx, []retrieve.Document{
		{ID: "MNG-00000001", Text: "Giant titans besiege the last walled city.", Fields: map[string][]string{"genre": {"action", "horror"}}},
		{ID: "MNG-00000002", Text: "A boy finds a piano in the forest.", Fields: map[string][]string{"genre": {"music"}}},
		{ID: "MNG-00000003", Text: "A pianist is haunted by what he plays.", Fields: map[string][]string{"genre": {"horror"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(spent.Texts, "documents for", spent.Cost, "USD")

	found, _, err := index.Search(ctx, "the piano in the forest", func(o *retrieve.SearchOptions) {
		o.K, o.Filter = 1, map[string][]string{"genre": {"music"}}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found[0].ID, found[0].Text)
	// Output:
	// 3 documents for 0.0000006 USD
	// MNG-00000002 A boy finds a piano in the forest.
}
