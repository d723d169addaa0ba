package pricing

import (
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// scanner reads the JSON of a table in one pass, several times as fast as
// encoding/json does. What it refuses is read by that, which also says what is
// wrong with it.
type scanner struct {
	jsonscan.Scanner
	words map[string]string // texts that come again and again
}

// scanData reads a table and reports whether it could.
func scanData(text []byte) (data Data, ok bool) {
	s := scanner{jsonscan.New(text), map[string]string{}}
	data.Sources = map[string]Source{}
	seen := map[string]bool{}
	ok = s.Object(func(key []byte) bool {
		if seen[string(key)] {
			return false
		}
		seen[string(key)] = true
		switch string(key) {
		case "$schema":
			return s.word(&data.Schema)
		case "sources":
			return s.Object(func(key []byte) bool {
				name := string(key)
				var source Source
				ok := jsonscan.Plain(key) && s.Object(func(key []byte) bool {
					switch string(key) {
					case "title":
						return s.word(&source.Title)
					case "date":
						return s.word(&source.Date)
					}
					return false
				})
				data.Sources[name] = source
				return ok
			})
		case "models":
			return s.List(func() bool {
				data.Models = append(data.Models, Model{})
				return s.model(&data.Models[len(data.Models)-1])
			})
		case "rows":
			return s.List(func() bool {
				data.Rows = append(data.Rows, Row{})
				return s.row(&data.Rows[len(data.Rows)-1])
			})
		}
		return false
	})
	return data, ok && s.End()
}

func (s *scanner) model(m *Model) bool {
	return s.Object(func(key []byte) bool {
		switch string(key) {
		case "id":
			return word(s, &m.ID)
		case "aliases":
			return words(s, &m.Aliases)
		}
		return false
	})
}

func (s *scanner) row(r *Row) bool {
	return s.Object(func(key []byte) bool {
		switch string(key) {
		case "model":
			return word(s, &r.Model)
		case "scopes":
			return words(s, &r.Scopes)
		case "tier":
			return word(s, &r.Tier)
		case "regions":
			return words(s, &r.Regions)
		case "above_input":
			return s.number(&r.AboveInput)
		case "up_to_input":
			return s.number(&r.UpToInput)
		case "from":
			return word(s, &r.From)
		case "to":
			return word(s, &r.To)
		case "rates":
			if r.Rates != nil {
				return false
			}
			r.Rates = make(map[Dimension]Rate, 4)
			return s.Object(func(key []byte) bool {
				if !jsonscan.Plain(key) {
					return false
				}
				dimension := Dimension(s.intern(key))
				raw, ok := s.Str()
				if !ok || !jsonscan.Plain(raw) {
					return false
				}
				rate, ok := shortRate(raw)
				r.Rates[dimension] = rate
				return ok
			})
		case "sources":
			return words(s, &r.Sources)
		case "confidence":
			return word(s, &r.Confidence)
		case "note":
			return word(s, &r.Note)
		}
		return false
	})
}

func (s *scanner) intern(raw []byte) string {
	text, ok := s.words[string(raw)]
	if !ok {
		text = string(raw)
		s.words[text] = text
	}
	return text
}

// word takes a string, of plain ASCII for speed and of any text otherwise.
func word[T ~string](s *scanner, to *T) bool {
	raw, ok := s.Str()
	if !ok {
		return false
	}
	if jsonscan.Plain(raw) {
		*to = T(s.intern(raw))
		return true
	}
	text, ok := jsonscan.AppendString(nil, raw)
	*to = T(text)
	return ok
}

func (s *scanner) word(to *string) bool { return word(s, to) }

func words[T ~string](s *scanner, to *[]T) bool {
	*to = []T{}
	return s.List(func() bool {
		*to = append(*to, "")
		return word(s, &(*to)[len(*to)-1])
	})
}

func (s *scanner) number(to *int64) bool {
	n, ok := s.Number()
	*to = int64(n)
	return ok
}

// shortRate reads a rate that an int64 holds without thinking about it: at most
// eight digits before the point and nine after it.
func shortRate(raw []byte) (Rate, bool) {
	var n int64
	places, point := 0, false
	for i, c := range raw {
		switch {
		case '0' <= c && c <= '9':
			n = n*10 + int64(c-'0')
			if point {
				places++
			}
		case c == '.' && !point && i > 0 && i < len(raw)-1:
			point = true
		default:
			return 0, false
		}
	}
	if len(raw) == 0 || len(raw)-places > 9 || places > rateDigits {
		return 0, false
	}
	for ; places < rateDigits; places++ {
		n *= 10
	}
	return Rate(n), true
}
