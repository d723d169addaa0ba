package offline

import (
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// stockAnswer says what is in stock, and what it costs.
func stockAnswer(q *question, k known, canCheck bool) string {
	lang := q.lang
	if !canCheck {
		return lang.say(
			"I'm sorry, I can't see the stock and the prices from here. What I can tell you:\n\n%s",
			"申し訳ありません、ここからは在庫と価格を確認できません。作品についてはご案内できます。\n\n%s", factsAnswer(q, k))
	}
	var parts []string
	for _, c := range k.stock {
		switch {
		case c.err:
			parts = append(parts, unavailable(q, k, c))
		case c.out.Volume > 0:
			parts = append(parts, volumeStock(lang, c.out))
		default:
			parts = append(parts, seriesStock(lang, c.out))
		}
	}
	for _, s := range k.searches {
		if s.err {
			parts = append(parts, failed(lang))
		} else if len(s.out.Results) == 0 {
			parts = append(parts, notFound(lang))
		}
	}
	if len(parts) == 0 {
		return failed(lang)
	}
	return strings.Join(parts, "\n\n")
}

func volumeStock(lang language, o shop.AvailabilityOutput) string {
	title := titled(lang, o.Title, o.Romaji)
	if o.Available {
		return lang.say(
			"Good news: %s volume %d is **in stock**, %s at ¥%s ($%s) each.",
			"はい、%s%d巻は**在庫があります**（%s、1冊%s円・$%s）。",
			title, o.Volume, copies(lang, o.Quantity), yen(o.PriceJPY), o.PriceUSD)
	}
	return lang.say(
		"I'm sorry, %s volume %d is **sold out**. It should be back in about %d days, at ¥%s ($%s).",
		"申し訳ありません、%s%d巻はただいま**品切れ**です。約%d日で入荷の予定です（1冊%s円・$%s）。",
		title, o.Volume, o.RestockDays, yen(o.PriceJPY), o.PriceUSD)
}

func copies(lang language, n int) string {
	if n == 1 {
		return lang.say("1 copy", "残り1冊")
	}
	return lang.say("%d copies", "残り%d冊", n)
}

func seriesStock(lang language, o shop.AvailabilityOutput) string {
	title := titled(lang, o.Title, o.Romaji)
	price := lang.say("A volume costs ¥%s ($%s).", "1冊%s円（$%s）です。", yen(o.PriceJPY), o.PriceUSD)
	switch {
	case !o.Available:
		return lang.say("I'm sorry, %s is **sold out** at the moment. %s", "申し訳ありません、%sはただいま**品切れ**です。%s", title, price)
	case o.Volumes == 0:
		return lang.say("Good news: %s is **in stock**. %s", "はい、%sは**在庫があります**。%s", title, price)
	case o.Volumes == 1:
		return lang.say("Good news: %s is **in stock**. It costs ¥%s ($%s).", "はい、%sは**在庫があります**。%s円（$%s）です。", title, yen(o.PriceJPY), o.PriceUSD)
	case o.InStock == o.Volumes:
		return lang.say(
			"Good news: all %[2]d volumes of %[1]s that we list are **in stock**. %[3]s The whole set is ¥%[4]s ($%[5]s).",
			"はい、%[1]sは、取り扱いの全%[2]d冊の**在庫があります**。%[3]sセットでは%[4]s円（$%[5]s）になります。",
			title, o.Volumes, price, yen(o.SetPriceJPY), o.SetPriceUSD)
	}
	var gone []string
	for _, v := range o.SoldOut {
		gone = append(gone, strconv.Itoa(v))
	}
	word := "volume"
	if len(gone) > 1 {
		word = "volumes"
	}
	soldOut := lang.say("%[2]s %[1]s", "%[1]s", lang.list(gone), word)
	if missing := o.Volumes - o.InStock; missing > len(gone) {
		soldOut = lang.say("among others %s", "%sなど", soldOut)
	}
	return lang.say(
		"We have %[2]d of the %[3]d volumes of %[1]s that we list **in stock**. %[4]s Sold out: %[5]s.",
		"%[1]sは、取り扱いの%[3]d冊のうち%[2]d冊の**在庫があります**。%[4]s品切れの巻: %[5]s。",
		title, o.InStock, o.Volumes, price, soldOut)
}

// unavailable explains a check that failed, as far as the search before it
// tells why.
func unavailable(q *question, k known, c checked) string {
	for _, s := range k.searches {
		if len(s.out.Results) == 0 || s.out.Results[0].MangaID != c.in.MangaID || c.in.Volume == nil {
			continue
		}
		b := s.out.Results[0]
		title := titled(q.lang, b.Title, b.Romaji)
		switch {
		case b.Volumes == 0:
			return q.lang.say("I'm sorry, I can't check single volumes of %s.", "申し訳ありません、%sは巻ごとの在庫を確認できません。", title)
		case *c.in.Volume > b.Volumes && b.Status == catalog.Finished:
			return q.lang.say("There is no volume %[2]d of %[1]s: it has %[3]s.", "%[1]sは%[3]sですので、%[2]d巻はありません。", title, *c.in.Volume, volumeCount(q.lang, b))
		case *c.in.Volume > b.Volumes:
			return q.lang.say("We do not list volume %[2]d of %[1]s; we know of %[3]s.", "%[1]sの%[2]d巻は当店では取り扱いがありません（%[3]s）。", title, *c.in.Volume, volumeCount(q.lang, b))
		}
	}
	return failed(q.lang)
}

// yen writes an amount with a comma before every three digits.
func yen(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
