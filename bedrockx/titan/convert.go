package titan

import (
	"encoding/json"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// Titan's text models name the same things in another way in chunks.

func split(s *family.Splitter, top family.Object) error {

	result, err := family.Only(top["results"])
	if err != nil || len(top) != 2 || top["inputTextTokenCount"] == nil || len(result) != 3 {
		return family.ErrForm
	}
	return s.Completion(result["outputText"], func(piece string, last bool) any {
		chunk := map[string]any{"outputText": piece, "index": 0, "totalOutputTextTokenCount": nil, "completionReason": nil, "inputTextTokenCount": nil}
		if last {
			chunk["inputTextTokenCount"] = top["inputTextTokenCount"]
			chunk["totalOutputTextTokenCount"], chunk["completionReason"] = result["tokenCount"], result["completionReason"]
		}
		return chunk
	})
}

func join(events []family.Event) (any, error) {
	if events[0].Object["outputText"] == nil {
		return nil, family.ErrForm
	}

	var input, output, reason json.RawMessage
	var whole strings.Builder
	for _, ev := range events {
		if err := family.Within(ev.Object, "outputText", "index", "inputTextTokenCount", "totalOutputTextTokenCount", "completionReason"); err != nil {
			return nil, err
		}
		whole.WriteString(family.Text(ev.Object["outputText"]))
		for name, into := range map[string]*json.RawMessage{"inputTextTokenCount": &input, "totalOutputTextTokenCount": &output, "completionReason": &reason} {
			if value := ev.Object[name]; !family.IsNull(value) {
				*into = value
			}
		}
	}
	if input == nil || output == nil || reason == nil {
		return nil, family.ErrForm
	}
	return map[string]any{
		"inputTextTokenCount": input,
		"results":             []any{map[string]any{"outputText": whole.String(), "tokenCount": output, "completionReason": reason}},
	}, nil
}
