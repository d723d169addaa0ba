package semantic_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx/semantic"
)

// alike is an embedder to which all questions are the same.
func alike(context.Context, string) ([]float32, error) { return []float32{1, 0}, nil }

// Questions that differ by a number, a negation or a name have no answer in
// common, however near their vectors are.
func TestGuards(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		same          bool
	}{
		{"Is volume 3 in stock in Shibuya?", "Is volume 4 in stock in Shibuya?", false},
		{"Is volume three in stock?", "Is volume four in stock?", false},
		{"第3巻はありますか", "第４巻はありますか", false},
		{"第3巻はありますか", "第３巻はありますか", true},
		{"第三巻はありますか", "第四巻はありますか", false},
		{"Does it cost 1.50?", "Does it cost 1.05?", false},
		{"How do I turn on the renewal?", "How do I turn off the renewal?", false},
		{"Can I return a manga?", "Can't I return a manga?", false},
		{"Can I return a manga?", "Can’t I return a manga?", false},
		{"Do you not ship?", "Don't you ship?", true},
		{"返品できますか", "返品できませんか", false},
		{"Kann ich das zurückgeben?", "Kann ich das nicht zurückgeben?", false},
		{"Who wrote Berserk?", "Who wrote Monster?", false},
		{"Berserk: who wrote it?", "Who wrote Berserk?", true},
		{"ワンピースの作者は?", "ナルトの作者は?", false},
		{`What is "one piece" about?`, `What is "two pieces" about?`, false},
		{"When do you open?", "What are your opening hours?", true},
		{"When do you open?", "When do you close?", false},
		{"Please tell me about shipping.", "tell me about shipping, please", true},
	} {
		s := open(t, semantic.New(alike))
		s.ask(tt.first)
		_, hit := s.ask(tt.second)
		assert.Equal(t, tt.same, hit, "%s | %s", tt.first, tt.second)

		s = open(t, semantic.New(alike, func(o *semantic.Options) { o.Guards = []semantic.Guard{} }))
		s.ask(tt.first)
		_, hit = s.ask(tt.second)
		assert.True(t, hit, "without guards: %s | %s", tt.first, tt.second)
	}
}

// A check of the user's own sees both questions; only then is one kept.
func TestAccept(t *testing.T) {
	var asked [][2]string
	verdict, failure := true, error(nil)
	s := open(t, semantic.New(alike, func(o *semantic.Options) {
		o.Accept = func(_ context.Context, a, b string) (bool, error) {
			asked = append(asked, [2]string{a, b})
			return verdict, failure
		}
	}))
	s.ask("where are you?")
	_, hit := s.ask("in which street?")
	assert.True(t, hit)
	verdict = false
	_, hit = s.ask("which street is it?")
	assert.False(t, hit)
	verdict, failure = true, errors.New("the judge is away")
	_, hit = s.ask("the street?")
	assert.False(t, hit)
	assert.Len(t, s.told, 1)
	assert.Equal(t, [2]string{"in which street?", "where are you?"}, asked[0])
}

func FuzzGuards(f *testing.F) {
	f.Add("Is volume ３.5 “of” Berserk in ワンピース „x “?")
	f.Fuzz(func(t *testing.T, question string) {
		for _, guard := range []semantic.Guard{semantic.Numbers, semantic.Negations, semantic.Names} {
			assert.True(t, slices.Equal(guard(question), guard(question)))
		}
	})
}
