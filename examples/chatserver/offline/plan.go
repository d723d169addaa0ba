package offline

import (
	"bytes"
	"encoding/json"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// known is what the tools have answered to the question so far.
type known struct {
	searches []searched
	orders   []ordered
	stock    []checked
}

type searched struct {
	in  shop.SearchInput
	out shop.SearchOutput
	err bool
}

type ordered struct {
	id  string
	out shop.OrderOutput
	err bool
}

type checked struct {
	in  shop.AvailabilityInput
	out shop.AvailabilityOutput
	err bool
}

// read collects the results of the tool calls in the rounds.
func read(rounds []bedrocktest.Message) known {
	var k known
	calls := make(map[string]*bedrocktest.ToolCall)
	for _, m := range rounds {
		for _, b := range m.Blocks {
			if b.ToolUse != nil {
				calls[b.ToolUse.ID] = b.ToolUse
			}
			if b.ToolResult == nil {
				continue
			}
			call := calls[b.ToolResult.ID]
			if call == nil {
				continue
			}
			bad := b.ToolResult.Error
			body := []byte(b.ToolResult.Text())
			switch call.Name {
			case shop.SearchMangaCatalogTool:
				var s searched
				s.err = decode(call.Input, &s.in) != nil || bad || decode(body, &s.out) != nil
				k.searches = append(k.searches, s)
			case shop.GetOrderStatusTool:
				var o ordered
				var in shop.OrderInput
				o.err = decode(call.Input, &in) != nil || bad || decode(body, &o.out) != nil
				o.id = in.OrderID
				k.orders = append(k.orders, o)
			case shop.CheckMangaAvailabilityTool:
				var c checked
				c.err = decode(call.Input, &c.in) != nil || bad || decode(body, &c.out) != nil
				k.stock = append(k.stock, c)
			}
		}
	}
	return k
}

func decode(b []byte, v any) error { return json.NewDecoder(bytes.NewReader(b)).Decode(v) }

// next returns the tool calls that the question still needs. There are none
// once every tool that it needs has answered, rightly or wrongly, so it ends.
func (a *Assistant) next(q *question, k known, offered func(tool string) bool) []bedrocktest.ToolCall {
	var calls []bedrocktest.ToolCall
	call := func(tool string, input any) {
		b, err := json.Marshal(input)
		if err != nil {
			panic(err) // the inputs are strings and numbers
		}
		calls = append(calls, bedrocktest.ToolCall{Name: tool, Input: b})
	}
	canSearch, canCheck := offered(shop.SearchMangaCatalogTool), offered(shop.CheckMangaAvailabilityTool)

	switch {
	case q.topic == orders && len(k.orders) == 0 && offered(shop.GetOrderStatusTool):
		for _, id := range q.orders {
			call(shop.GetOrderStatusTool, shop.OrderInput{OrderID: id})
		}
	case q.topic == books && len(k.searches) == 0 && canSearch:
		n := q.count
		if len(q.shown) > 0 { // there must be some that are new
			n = min(n+len(q.shown), 20)
		}
		call(shop.SearchMangaCatalogTool, shop.SearchInput{Query: q.query, Genre: q.genre, MaxResults: n})
	case (q.topic == facts || q.topic == stock) && len(k.searches) == 0 && len(k.stock) == 0 && canSearch:
		for _, m := range q.titles {
			call(shop.SearchMangaCatalogTool, shop.SearchInput{Query: m.Title, MaxResults: 1})
		}
	case q.topic == stock && len(k.stock) == 0 && canCheck:
		for _, id := range ids(q, k, canSearch) {
			in := shop.AvailabilityInput{MangaID: id}
			if q.volume > 0 {
				in.Volume = &q.volume
			}
			call(shop.CheckMangaAvailabilityTool, in)
		}
	}
	return calls
}

// ids returns the ids of the manga that were found, or of those that were
// named if they could not be searched for.
func ids(q *question, k known, canSearch bool) []string {
	var ids []string
	if !canSearch {
		for _, m := range q.titles {
			ids = append(ids, m.ID)
		}
		return ids
	}
	for _, s := range k.searches {
		if len(s.out.Results) > 0 && s.out.MatchedBy != catalog.ByWords && s.out.MatchedBy != catalog.ByMeaning {
			ids = append(ids, s.out.Results[0].MangaID)
		}
	}
	return ids
}
