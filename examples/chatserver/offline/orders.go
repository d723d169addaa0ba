package offline

import (
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// orderAnswer says how far the orders have come.
func orderAnswer(q *question, k known, canLook bool) string {
	lang := q.lang
	var parts []string
	for _, id := range q.badIDs {
		parts = append(parts, lang.say(
			"%s is not an order number: one begins with \"ORD-\" and has eight letters or digits after it, such as ORD-MANGA001. Could you check it?",
			"「%s」は注文番号の形ではありません。「ORD-」に続く8桁の英数字です（例: ORD-MANGA001）。お確かめください。", id))
	}
	if len(q.orders) > 0 && !canLook {
		parts = append(parts, lang.say("I'm sorry, I can't look up orders from here.", "申し訳ありません、ここからはご注文の状況を確認できません。"))
	}
	if q.cancel && len(k.orders) > 0 {
		parts = append(parts, mayNotCancel(lang))
	}
	for _, o := range k.orders {
		if o.err {
			parts = append(parts, lang.say(
				"I could not find the order %s. Please compare the number with your confirmation.",
				"ご注文 %s は見つかりませんでした。確認メールの注文番号をお確かめください。", o.id))
			continue
		}
		if q.cancel {
			parts = append(parts, cancelAdvice(lang, o.out))
		}
		parts = append(parts, orderStatus(lang, o.out))
	}
	if len(parts) == 0 {
		return failed(lang)
	}
	return strings.Join(parts, "\n\n")
}

func mayNotCancel(lang language) string {
	return lang.say(
		"I'm sorry, I can look up an order, but I can't cancel it or arrange a return.",
		"申し訳ありません、私にできるのはご注文の確認だけで、キャンセルや返品の手続きはできません。")
}

// cancelAdvice says what the customer can do.
func cancelAdvice(lang language, o shop.OrderOutput) string {
	switch o.Status {
	case shop.Processing, shop.Backordered:
		return lang.say(
			"Your order %s is not sent yet, so the shop's staff still can: please reply to your confirmation e-mail and ask them to cancel it.",
			"ご注文 %s はまだ発送前ですので、確認メールに返信して、店舗スタッフにキャンセルをご依頼ください。", o.OrderID)
	case shop.Canceled:
		return lang.say("For %s there is nothing left to do.", "ご注文 %s については、お手続きの必要はありません。", o.OrderID)
	}
	return lang.say(
		"Your order %s has been sent, so it is too late to cancel it: please reply to your confirmation e-mail and ask the shop's staff about a return.",
		"ご注文 %s はすでに発送されておりキャンセルできませんので、確認メールに返信して、返品について店舗スタッフにご相談ください。", o.OrderID)
}

func orderStatus(lang language, o shop.OrderOutput) string {
	var s strings.Builder
	switch o.Status {
	case shop.Shipped:
		s.WriteString(lang.say("Your order %s is **on its way**", "ご注文 %s は**発送済み**です", o.OrderID))
	case shop.Processing:
		s.WriteString(lang.say("Your order %s is **being packed**", "ご注文 %s は**発送の準備中**です", o.OrderID))
	case shop.Backordered:
		s.WriteString(lang.say("Your order %s is **waiting for a volume that is sold out**", "ご注文 %s は、**品切れの巻の入荷待ち**です", o.OrderID))
	case shop.Delivered:
		s.WriteString(lang.say("Your order %s **has been delivered**", "ご注文 %s は**配達済み**です", o.OrderID))
	case shop.Canceled:
		s.WriteString(lang.say("Your order %s **was cancelled**, and nothing is charged", "ご注文 %s は**キャンセル済み**で、代金はかかりません", o.OrderID))
	default:
		s.WriteString(lang.say("The status of your order %s is **%s**", "ご注文 %s の状況: **%s**", o.OrderID, o.Status))
	}
	if o.ETADays > 0 {
		s.WriteString(lang.say(" and should arrive in about %d days", "（お届けまで約%d日）", o.ETADays))
	}
	s.WriteString(lang.say(".", "。"))
	if o.Tracking != "" {
		s.WriteString(lang.say(" %s, tracking number %s.", "配送: %s、追跡番号 %s。", o.Carrier, o.Tracking))
	}
	s.WriteString("\n")
	for _, item := range o.Items {
		fmt.Fprintf(&s, "\n- %s%s", titled(lang, item.Title, item.Romaji), lang.say(" volume %d", "%d巻", item.Volume))
		if item.Quantity > 1 {
			fmt.Fprintf(&s, " × %d", item.Quantity)
		}
	}
	s.WriteString(lang.say("\n\nTotal: ¥%s ($%s)", "\n\n合計: %s円（$%s）", yen(o.TotalJPY), o.TotalUSD))
	return s.String()
}
