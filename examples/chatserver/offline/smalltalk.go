package offline

// smallTalk answers what needs no look-up.
func smallTalk(q *question) string {
	switch q.topic {
	case empty:
		return q.lang.say(
			"Ask me anything about manga: a title, a genre, an author, or an order.",
			"漫画のことなら何でもお尋ねください。作品名、ジャンル、作者、ご注文番号のどれでもどうぞ。")
	case greeting:
		return q.lang.say(
			"Hello, and welcome to MangaAssist! I can recommend manga, look up a series, check stock and prices, and find your order. What would you like to read?",
			"いらっしゃいませ、MangaAssistです。漫画のおすすめ、作品の情報、在庫と価格、ご注文の状況をご案内できます。どんな作品をお探しですか？")
	case thanks:
		return q.lang.say(
			"You're welcome! Enjoy your reading, and ask whenever you need another manga.",
			"どういたしまして。どうぞ楽しい読書を。ほかにも気になる作品があれば、いつでもお尋ねください。")
	case farewell:
		return q.lang.say(
			"Goodbye, and happy reading!",
			"ありがとうございました。またのお越しをお待ちしております。")
	case help:
		return q.lang.say(
			"I am the assistant of a manga shop. You can ask me, for example:\n\n"+
				"- \"What are the best seinen manga from 2023?\"\n- \"Something similar to One Piece\"\n- \"Is Berserk volume 3 in stock?\"\n- \"What is the status of order ORD-MANGA001?\"",
			"漫画専門店のアシスタントです。たとえば、次のようにお尋ねください。\n\n"+
				"- 「ワンピースに似たアクション漫画を教えてください」\n- 「恋愛ものの少女漫画のおすすめは？」\n- 「ベルセルクの3巻は在庫がありますか？」\n- 「注文 ORD-MANGA001 の状況は？」")
	case orderNumber:
		if q.cancel {
			return mayNotCancel(q.lang) + q.lang.say(
				" Give me the order number, such as ORD-MANGA001, and I'll see how far the order is and what you can do.",
				"注文番号（例: ORD-MANGA001）を教えていただければ、ご注文の状況と、できることをお調べします。")
		}
		return q.lang.say(
			"I'll gladly look. Please give me the order number: it begins with \"ORD-\" and has eight letters or digits after it, such as ORD-MANGA001.",
			"ご注文の状況をお調べします。注文番号を教えてください。「ORD-」に続く8桁の英数字です（例: ORD-MANGA001）。")
	case whichOf:
		if q.rank != unranked || q.table {
			return q.lang.say(
				"Which manga do you mean? Name some, or ask me for a genre first.",
				"どの作品のことでしょうか？作品名を挙げていただくか、まずジャンルをお尋ねください。")
		}
		return q.lang.say(
			"Which manga do you mean? Tell me its title, and I'll look it up.",
			"どの作品のことでしょうか？作品名を教えていただければ、お調べします。")
	}
	return q.lang.say(
		"I'm afraid I can only help with manga: recommendations, series and their authors, stock and prices, and orders of this shop. What would you like to read?",
		"申し訳ありませんが、私がお手伝いできるのは漫画のことだけです。おすすめ、作品や作者の情報、在庫と価格、ご注文の状況をご案内できます。どんな作品をお探しですか？")
}
