package llama

import (
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// Llama: the members of a chunk are those of the body.

func split(s *family.Splitter, top family.Object) error {
	if top["generation"] == nil {
		return family.ErrForm
	}

	return s.Completion(top["generation"], func(piece string, last bool) any {
		chunk := map[string]any{}
		for name, value := range top {
			chunk[name] = value
			if !last && name != "generation" {
				chunk[name] = nil
			}
		}
		chunk["generation"] = piece
		return chunk
	})
}

func join(events []family.Event) (any, error) {
	if events[0].Object["generation"] == nil {
		return nil, family.ErrForm
	}

	body := family.Object{}
	var whole strings.Builder
	for _, ev := range events {
		whole.WriteString(family.Text(ev.Object["generation"]))
		for name, value := range ev.Object {
			if body[name] == nil || !family.IsNull(value) { // the first chunk tells the input, the last the output
				body[name] = value
			}
		}
	}
	return family.With(body, "generation", whole.String())
}
