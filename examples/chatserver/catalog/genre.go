package catalog

import "slices"

// Demographic is the readership that a manga's magazine aims at.
type Demographic string

// The demographics.
const (
	Shonen Demographic = "shonen" // boys
	Seinen Demographic = "seinen" // men
	Shojo  Demographic = "shojo"  // girls
	Josei  Demographic = "josei"  // women
	Kodomo Demographic = "kodomo" // children
)

// Genre is a genre, a theme or a setting: "action", "time-travel", "pirates".
type Genre string

// term is a word of the catalogue's vocabulary: its name in both languages,
// and what people write for it.
type term struct {
	key   string
	label Text
	words []string
}

var demographics = []term{
	{"shonen", Text{"shonen", "少年漫画"}, []string{"shonen", "shounen", "少年漫画", "少年マンガ", "少年誌", "少年向け", "for boys"}},
	{"seinen", Text{"seinen", "青年漫画"}, []string{"seinen", "青年漫画", "青年マンガ", "青年誌", "青年向け", "青年", "for men", "for adults", "大人向け"}},
	{"shojo", Text{"shojo", "少女漫画"}, []string{"shojo", "shoujo", "少女漫画", "少女マンガ", "少女誌", "少女向け", "for girls"}},
	{"josei", Text{"josei", "女性漫画"}, []string{"josei", "女性漫画", "女性マンガ", "女性誌", "女性向け", "for women"}},
	{"kodomo", Text{"children's", "児童漫画"}, []string{"kodomo", "児童漫画", "子供向け", "子ども向け", "こども向け", "小学生", "for kids", "for children", "childrens", "kids"}},
}

var genres = []term{
	{"action", Text{"action", "アクション"}, []string{"action", "アクション", "バトル", "battle", "battles", "fighting", "戦闘"}},
	{"adventure", Text{"adventure", "冒険"}, []string{"adventure", "adventures", "冒険", "アドベンチャー"}},
	{"animals", Text{"animals", "動物"}, []string{"animals", "animal", "動物", "cats", "cat", "猫漫画", "ペット"}},
	{"art", Text{"art", "芸術"}, []string{"art", "painting", "芸術", "美術", "漫画家"}},
	{"comedy", Text{"comedy", "コメディ"}, []string{"comedy", "comedies", "funny", "hilarious", "コメディ", "笑える", "面白おかしい", "ラブコメ", "romcom"}},
	{"coming-of-age", Text{"coming of age", "成長"}, []string{"coming of age", "成長物語", "青春"}},
	{"crime", Text{"crime", "犯罪"}, []string{"crime", "gangster", "yakuza", "mafia", "犯罪", "マフィア", "ヤクザ", "裏社会"}},
	{"delinquents", Text{"delinquents", "不良"}, []string{"delinquent", "delinquents", "不良", "ヤンキー"}},
	{"detective", Text{"detectives", "探偵"}, []string{"detective", "detectives", "探偵", "刑事"}},
	{"drama", Text{"drama", "ドラマ"}, []string{"drama", "dramas", "ヒューマンドラマ", "人間ドラマ", "泣ける", "感動", "moving", "sad"}},
	{"dystopia", Text{"dystopia", "ディストピア"}, []string{"dystopia", "dystopian", "ディストピア"}},
	{"family", Text{"family", "家族"}, []string{"family", "家族"}},
	{"fantasy", Text{"fantasy", "ファンタジー"}, []string{"fantasy", "ファンタジー"}},
	{"food", Text{"food", "グルメ"}, []string{"food", "cooking", "gourmet", "グルメ", "料理", "食べ物", "食漫画"}},
	{"friendship", Text{"friendship", "友情"}, []string{"friendship", "友情", "仲間"}},
	{"gag", Text{"gags", "ギャグ"}, []string{"gag", "gags", "ギャグ"}},
	{"game", Text{"games", "ゲーム・勝負"}, []string{"gambling", "ギャンブル", "麻雀", "将棋", "囲碁", "mahjong", "shogi", "board games", "デスゲーム", "death game"}},
	{"harem", Text{"harem", "ハーレム"}, []string{"harem", "ハーレム"}},
	{"historical", Text{"history", "歴史"}, []string{"historical", "history", "歴史", "時代劇", "時代物", "時代もの", "戦国"}},
	{"horror", Text{"horror", "ホラー"}, []string{"horror", "scary", "creepy", "ホラー", "怖い", "恐怖", "恐い"}},
	{"isekai", Text{"isekai", "異世界"}, []string{"isekai", "異世界", "another world", "転生"}},
	{"lgbtq", Text{"LGBTQ", "LGBTQ"}, []string{"lgbt", "lgbtq", "queer", "gay", "lesbian", "yuri", "百合"}},
	{"magic", Text{"magic", "魔法"}, []string{"magic", "wizard", "wizards", "witch", "witches", "魔法", "魔女"}},
	{"magical-girl", Text{"magical girls", "魔法少女"}, []string{"magical girl", "magical girls", "魔法少女", "変身ヒロイン"}},
	{"martial-arts", Text{"martial arts", "格闘"}, []string{"martial arts", "boxing", "格闘", "武道", "柔道", "ボクシング", "judo"}},
	{"mecha", Text{"mecha", "ロボット"}, []string{"mecha", "robot", "robots", "ロボット", "メカ"}},
	{"medical", Text{"medicine", "医療"}, []string{"medical", "medicine", "doctors", "doctor", "医療", "医者", "医師"}},
	{"monsters", Text{"monsters", "怪物・妖怪"}, []string{"monsters", "monster", "demons", "kaiju", "怪獣", "妖怪", "モンスター", "魔物"}},
	{"music", Text{"music", "音楽"}, []string{"music", "band", "jazz", "idol", "idols", "音楽", "バンド", "ジャズ", "アイドル", "ピアノ"}},
	{"mystery", Text{"mystery", "ミステリー"}, []string{"mystery", "mysteries", "ミステリー", "ミステリ", "推理", "謎解き"}},
	{"ninja", Text{"ninja", "忍者"}, []string{"ninja", "ninjas", "忍者", "忍び"}},
	{"pirates", Text{"pirates", "海賊"}, []string{"pirate", "pirates", "海賊"}},
	{"politics", Text{"politics", "政治"}, []string{"politics", "political", "政治"}},
	{"post-apocalyptic", Text{"life after the end of the world", "終末世界"}, []string{"post apocalyptic", "apocalypse", "apocalyptic", "終末", "ポストアポカリプス", "文明崩壊"}},
	{"psychological", Text{"psychology", "心理"}, []string{"psychological", "心理戦", "心理描写", "サイコ", "頭脳戦", "mind games"}},
	{"romance", Text{"romance", "恋愛"}, []string{"romance", "romantic", "love story", "love stories", "romcom", "恋愛", "ラブストーリー", "ラブコメ", "恋もの", "恋物語", "胸キュン"}},
	{"samurai", Text{"swordsmen", "侍・剣士"}, []string{"samurai", "swordsman", "swordsmen", "侍", "剣士", "サムライ", "剣豪"}},
	{"school", Text{"school life", "学園"}, []string{"school", "high school", "学園", "学校", "高校"}},
	{"sci-fi", Text{"science fiction", "SF"}, []string{"sci fi", "scifi", "science fiction", "sf", "cyberpunk", "サイバーパンク", "サイエンスフィクション"}},
	{"slice-of-life", Text{"slice of life", "日常"}, []string{"slice of life", "日常", "ほのぼの", "癒し", "癒やし", "relaxing", "cozy", "cosy", "wholesome", "ゆるい"}},
	{"space", Text{"space", "宇宙"}, []string{"space", "astronaut", "astronauts", "宇宙"}},
	{"spies", Text{"spies", "スパイ"}, []string{"spy", "spies", "スパイ"}},
	{"sports", Text{"sports", "スポーツ"}, []string{"sports", "sport", "baseball", "basketball", "soccer", "football", "volleyball", "tennis", "スポーツ", "スポ根", "野球", "サッカー", "バスケ", "バレーボール", "テニス"}},
	{"superheroes", Text{"superheroes", "ヒーロー"}, []string{"superhero", "superheroes", "ヒーロー"}},
	{"supernatural", Text{"the supernatural", "超常"}, []string{"supernatural", "ghosts", "ghost", "occult", "超能力", "オカルト", "幽霊", "怪異"}},
	{"survival", Text{"survival", "サバイバル"}, []string{"survival", "サバイバル"}},
	{"thriller", Text{"suspense", "サスペンス"}, []string{"thriller", "thrillers", "suspense", "サスペンス", "スリラー"}},
	{"time-travel", Text{"time travel", "タイムトラベル"}, []string{"time travel", "time loop", "タイムトラベル", "タイムスリップ", "タイムリープ", "タイムループ"}},
	{"vampires", Text{"vampires", "吸血鬼"}, []string{"vampire", "vampires", "吸血鬼", "ヴァンパイア", "バンパイア"}},
	{"war", Text{"war", "戦争"}, []string{"war", "戦争", "戦記"}},
	{"work", Text{"working life", "仕事"}, []string{"workplace", "office", "仕事", "職業", "お仕事", "会社員"}},
	{"zombies", Text{"zombies", "ゾンビ"}, []string{"zombie", "zombies", "ゾンビ"}},
}

func find(terms []term, key string) *term {
	if i := slices.IndexFunc(terms, func(t term) bool { return t.key == key }); i >= 0 {
		return &terms[i]
	}
	return nil
}

func label(terms []term, key string) Text {
	if t := find(terms, key); t != nil {
		return t.label
	}
	return Text{EN: key, JA: key}
}

// Label returns the genre's name for readers.
func (g Genre) Label() Text { return label(genres, string(g)) }

// Label returns the demographic's name for readers.
func (d Demographic) Label() Text { return label(demographics, string(d)) }

func (g Genre) known() bool       { return find(genres, string(g)) != nil }
func (d Demographic) known() bool { return find(demographics, string(d)) != nil }

// Genres returns all genres of the vocabulary, in alphabetical order.
func Genres() []Genre {
	all := make([]Genre, len(genres))
	for i, t := range genres {
		all[i] = Genre(t.key)
	}
	return all
}
