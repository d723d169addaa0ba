package mistral

import (
	"maps"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// Mistral's text completion: "outputs" has one element, a piece of the text.

func split(s *family.Splitter, top family.Object) error {

	output, err := family.Only(top["outputs"])
	if err != nil || len(top) != 1 || family.Within(output, "text", "stop_reason") != nil {
		return family.ErrForm
	}
	return s.Completion(output["text"], func(piece string, last bool) any {
		chunk := map[string]any{"text": piece, "stop_reason": nil}
		if last {
			chunk["stop_reason"] = output["stop_reason"]
		}
		return map[string]any{"outputs": []any{chunk}}
	})
}

func join(events []family.Event) (any, error) {
	if events[0].Object["outputs"] == nil {
		return nil, family.ErrForm
	}

	output := family.Object{}
	var whole strings.Builder
	for _, ev := range events {
		if len(ev.Object) == 0 {
			continue // metrics, which were taken out
		}
		piece, err := family.Only(ev.Object["outputs"])
		if err != nil || len(ev.Object) != 1 {
			return nil, family.ErrForm
		}
		whole.WriteString(family.Text(piece["text"]))
		maps.Copy(output, piece)
	}
	if _, err := family.With(output, "text", whole.String()); err != nil {
		return nil, err
	}
	return map[string]any{"outputs": []family.Object{output}}, nil
}
