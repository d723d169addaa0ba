package offline

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

func five(tool string) string {
	return tool + " " + tool + " " + tool + " " + tool + " " + tool
}

// What a new user tried after a list, an order or nothing.
func TestFollowUpsOnAList(t *testing.T) {
	horror, seinen, like := "Recommend some horror manga", "What are the best seinen manga from 2023?", "ワンピースに似たアクション漫画を教えてください"
	for _, tt := range []struct {
		before, question, tools string
		has                     []string
		hasNot                  []string
	}{
		{like, "一番短いのは？", five(search), []string{"その中で一番短いのは、『聖闘士星矢』（全28巻、1986〜1990年）です"}, []string{"shortest"}},
		{like, "この中で最も長い漫画はどれですか", five(search), []string{"一番長いのは、『FAIRY TAIL』（全63巻"}, nil},
		{like, "一番古いのは？", five(search), []string{"一番古いのは、『ドラゴンボール』", "1984"}, nil},
		{like, "which is the shortest?", five(search), []string{"The shortest of them is **Saint Seiya** (聖闘士星矢), 28 volumes (1986–1990)"}, nil},
		{like, "Which of them is the shortest?", five(search), []string{"Saint Seiya"}, nil},
		{like, "Which of those is longest?", five(search), []string{"The longest of them is **Fairy Tail**"}, nil},
		{like, "which one is the newest", five(search), []string{"The newest of them is **Magi**"}, nil},
		{"Who is the author of Monster?", "which is the shortest?", search, []string{"**Monster**", "18 volumes"}, []string{"of them"}},
		{"スポーツ漫画のおすすめ", "一番短い作品を教えてください", five(search), []string{"一番短いのは、『クロスゲーム』"}, nil},
		{"ホラー漫画のおすすめは？", "一番短いのは？", five(search), []string{"一番短いのは、『うずまき』（全3巻、1998〜1999年）です"}, []string{"光が死んだ夏"}}, // which goes on
		{like, "What's the longest?", five(search), []string{"The longest of them is **Fairy Tail**"}, nil},
		{"", "Which is shorter, Naruto or Bleach?", search + " " + search, []string{"The shortest of them is **Naruto**", "72 volumes"}, []string{"74"}},
		{"", "which is the longest?", "", []string{"Which manga do you mean?"}, nil},
		{"", "一番新しいのは？", "", []string{"どの作品のことでしょうか"}, nil},

		{horror, "under five volumes", search, []string{"horror manga of at most 4 volumes", "Uzumaki"}, []string{"10 volumes", "11 volumes"}},
		{horror, "5巻以内で", search, []string{"5巻以内のホラーの漫画", "『うずまき』"}, []string{"全10巻", "全11巻"}},
		{"ホラー漫画のおすすめは？", "5巻未満のものは？", search, []string{"4巻以内のホラーの漫画"}, nil},
		{horror, "Do you have anything under 3 volumes?", search, []string{"horror manga of at most 2 volumes"}, nil},
		{"スポーツ漫画のおすすめ", "8巻以下のものはありますか？", search, []string{"8巻以内のスポーツの漫画"}, nil},
		{horror, "Recommend a short manga", search, []string{"recommend these short manga:"}, nil},
		{horror, "anything shorter?", search, []string{"short horror manga"}, nil},
		{"", "horror shorter than 5 volumes", search, []string{"horror manga of at most 4 volumes"}, []string{"10 volumes", "11 volumes"}},
		{"", "3 horror manga under 5 volumes", search, []string{"3. **"}, []string{"4. **"}},
		{"", "3冊以内のホラー漫画", search, []string{"3巻以内のホラーの漫画", "4. **"}, nil},

		{seinen, "as a table", five(search), []string{"Here they are as a table:\n\n| No. | Title | Author | Years | Volumes | Genres |\n| --: | :-- | :-- | --: | --: | :-- |\n| 1 | **Dogsred** (ドッグスレッド) | Satoru Noda | since 2023 | 2+ (2024) | ", "\n| 5 | **"}, []string{"\n1. "}},
		{seinen, "Can you show them as a table, please?", five(search), []string{"\n| 1 | **Dogsred**"}, nil},
		{seinen, "put that in a table please", five(search), []string{"\n| 1 | **Dogsred**"}, nil},
		{seinen, "短いホラー漫画を表で表示して", search, []string{"短めのホラーの漫画", "\n| 番号 | 作品 |", "\n| 1 | **『うずまき』**"}, nil},
		{seinen, "短いのを表で", search, []string{"2023年に連載されていた短めの青年漫画", "\n| 番号 | 作品 |"}, nil},
		{seinen, "それを表にしてください", five(search), []string{"表にまとめました。", "\n| 1 | **『ドッグスレッド』** | 野田サトル | "}, []string{"\n1. "}},
		{seinen, "表で教えて", five(search), []string{"\n| 1 | **『ドッグスレッド』**"}, nil},
		{"", "best horror manga as a table", search, []string{"horror manga:\n\n| No. |", "\n| 1 | **", "\n| 5 | **"}, []string{"Why:", "\n1. "}},
		{"", "Compare Naruto and Bleach in a table", search + " " + search, []string{"| 1 | **Naruto**", "| 2 | **Bleach**"}, nil},
		{"", "as a table", "", []string{"Which manga do you mean?"}, nil},
		{"", "give me a table tennis manga", search, []string{"Ping Pong"}, []string{"| No. |"}},

		{seinen, "the second one", search, []string{"**Mujina into the Deep**", "Inio Asano", "- Genres: "}, nil},
		{seinen, "Tell me more about the second one", search, []string{"Mujina into the Deep", "- Genres: "}, nil},
		{seinen, "the 2nd", search, []string{"Mujina into the Deep"}, nil},
		{seinen, "number 2", search, []string{"Mujina into the Deep"}, nil},
		{seinen, "2番目の", search, []string{"『**MUJINA INTO THE DEEP**』", "- ジャンル: "}, nil},
		{seinen, "二つ目の漫画について教えて", search, []string{"- ジャンル: "}, nil},
		{seinen, "2つ目の作品について教えて", search, []string{"- ジャンル: "}, []string{"\n1. "}},

		{"", "cancel my order ORD-MANGA002", order, []string{"I can't cancel it", "ORD-MANGA002 is not sent yet", "reply to your confirmation e-mail", "**being packed**"}, nil},
		{"", "注文 ORD-MANGA004 をキャンセルしてください", order, []string{"手続きはできません", "まだ発送前", "確認メールに返信"}, []string{"cancel"}},
		{"", "please cancel ORD-MANGA001", order, []string{"too late to cancel", "about a return", "**on its way**"}, nil},
		{"", "ORD-MANGA003を返品したい", order, []string{"返品について店舗スタッフに", "**配達済み**"}, nil},
		{"", "Cancel order ORD-MANGA005", order, []string{"nothing left to do"}, nil},
		{"", "cancel ORD-ZZZZZZZZ", order, []string{"could not find the order"}, []string{"not sent yet"}},
		{"", "ORD-MANGA002とORD-MANGA003をキャンセルしたい", order + " " + order, []string{"手続きはできません。\n\nご注文 ORD-MANGA002 はまだ発送前", "ご注文 ORD-MANGA003 はすでに発送"}, nil},
		{"", "cancel my order", "", []string{"I can't cancel it", "order number"}, nil},
		{"", "注文をキャンセルしたい", "", []string{"手続きはできません", "注文番号"}, nil},
		{"Where is ORD-MANGA002?", "cancel it", order, []string{"ORD-MANGA002 is not sent yet"}, nil},
		{"ORD-MANGA004の状況は？", "それをキャンセルできますか", order, []string{"ORD-MANGA004 はまだ発送前"}, nil},
		{"", "注文した漫画をキャンセルしたい", "", []string{"手続きはできません"}, nil},
		{"", "fantasy manga about heroes who return the ring", search, []string{"1. **"}, []string{"cancel"}},
		{"", "Was ORD-MANGA005 cancelled?", order, []string{"**was cancelled**"}, []string{"I can't cancel"}},
		{"", "ORD-MANGA005はキャンセルされましたか", order, []string{"**キャンセル済み**"}, []string{"手続き"}},
	} {
		t.Run(tt.before+"/"+tt.question, func(t *testing.T) {
			c := newChat(t)
			if tt.before != "" {
				c.ask(tt.before)
			}
			answer := c.ask(tt.question)
			assert.Equal(t, tt.tools, c.called())
			for _, s := range tt.has {
				assert.Contains(t, answer, s)
			}
			for _, s := range tt.hasNot {
				assert.NotContains(t, answer, s)
			}
			checkText(t, answer)
		})
	}
}

// A table can be asked about like any other list.
func TestFollowUpsOnATable(t *testing.T) {
	c := newChat(t)
	c.ask("What are the best seinen manga from 2023?")
	c.ask("as a table")
	assert.Contains(t, c.ask("who wrote the second one?"), "Inio Asano")
	japanese := c.ask("表にして")
	assert.Contains(t, japanese, "| 1 | **『ドッグスレッド』**")
	assert.Contains(t, japanese, " | 2以上（2024年） | ", "the heading says what the number is")
	assert.Contains(t, c.ask("一番短いのは？"), "その中で一番短いのは")

	c = newChat(t)
	c.ask("List some mystery manga")
	one := c.a.titlesIn(c.ask("Only those under 5 volumes"))
	require.Len(t, one, 1)
	assert.Equal(t, one, c.a.titlesIn(c.ask("Make it a table")), "a list of one is a list")
}

// What narrows a search down belongs to it, whatever was asked in between.
func TestASearchIsRemembered(t *testing.T) {
	c := newChat(t)
	c.ask("Recommend some drama manga")
	c.ask("which is the shortest?")
	assert.Contains(t, c.ask("under five volumes"), "drama manga of at most 4 volumes")
	first := c.a.titlesIn(c.messages[len(c.messages)-1].Text())
	c.ask("as a table")
	c.ask("the second one")
	more := c.ask("any others?")
	assert.Contains(t, more, "here are some more")
	for _, m := range c.a.titlesIn(more) {
		assert.Contains(t, m.Genres, catalog.Genre("drama"))
		assert.LessOrEqual(t, m.Volumes, 4)
		assert.NotContains(t, first, m)
	}
}

// The manga with the smallest number is the shortest, whatever the catalogue is.
func TestShortestIsShortest(t *testing.T) {
	for _, before := range []string{"Recommend some horror manga", "sports manga", "恋愛ものの少女漫画のおすすめ", "Something like Death Note"} {
		c := newChat(t)
		list := c.a.titlesIn(c.ask(before))
		answer := c.a.titlesIn(c.ask("which is the shortest?"))
		if assert.NotEmpty(t, answer, before) {
			assert.Contains(t, list, answer[0])
			for _, m := range list {
				assert.True(t, m.Volumes == 0 || m.Status != catalog.Finished || m.Volumes >= answer[0].Volumes, "%s: %s", before, m.Romaji)
			}
		}
	}
}

func TestVolumeBoundIsNoVolume(t *testing.T) {
	a := New(catalog.Default())
	q := a.understand([]turn{{true, "ホラー、5巻以内"}})
	assert.Zero(t, q.volume)
	assert.Equal(t, 5, q.terms.MaxVolumes)
	q = a.understand([]turn{{true, "ベルセルクの5巻"}})
	assert.Equal(t, 5, q.volume)
}
