package offline

import (
	"context"
	"slices"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// Assistant answers questions about manga. It keeps no state, so any number
// of goroutines may use it.
type Assistant struct {
	books *catalog.Catalog
	shop  *shop.Shop // for requests without tools
}

// New returns an assistant that knows the names in the catalogue.
func New(books *catalog.Catalog) *Assistant {
	return &Assistant{books: books, shop: shop.New(books)}
}

// offers says whether the request lets the model call the tool.
func offers(c *bedrocktest.Conversation, tool string) bool {
	return c.ToolChoice.Mode != "none" && slices.ContainsFunc(c.Tools, func(t bedrocktest.Tool) bool { return t.Name == tool })
}

// answer returns what the assistant says next in the conversation: a text, or
// the tools that it calls.
func (a *Assistant) answer(c *bedrocktest.Conversation) (text string, calls []bedrocktest.ToolCall) {
	turns, rounds := split(c.Messages)
	q := a.understand(turns)
	k := read(rounds)
	offered := func(tool string) bool { return offers(c, tool) }
	if calls := a.next(&q, k, offered); len(calls) > 0 {
		return "", calls
	}
	if !offered(shop.SearchMangaCatalogTool) {
		a.lookUp(&q, &k)
	}
	canCheck := offered(shop.CheckMangaAvailabilityTool)
	switch q.topic {
	case orders:
		return orderAnswer(&q, k, offered(shop.GetOrderStatusTool)), nil
	case stock:
		return stockAnswer(&q, k, canCheck), nil
	case facts:
		return factsAnswer(&q, k), nil
	case books:
		return a.booksAnswer(&q, k, canCheck), nil
	}
	return smallTalk(&q), nil
}

// lookUp searches the catalogue for a question that came without tools.
func (a *Assistant) lookUp(q *question, k *known) {
	var inputs []shop.SearchInput
	switch q.topic {
	case books:
		inputs = []shop.SearchInput{{Query: q.query, Genre: q.genre, MaxResults: min(q.count+len(q.shown), 20)}}
	case facts, stock:
		for _, m := range q.titles {
			inputs = append(inputs, shop.SearchInput{Query: m.Title, MaxResults: 1})
		}
	}
	for _, in := range inputs {
		out, err := a.shop.SearchMangaCatalog(context.Background(), in)
		k.searches = append(k.searches, searched{in, out, err != nil})
	}
}
