package nova

import (
	"encoding/json"
	"maps"

	"github.com/mangaassist/bedrockkit/internal/converseform"
	"github.com/mangaassist/bedrockkit/internal/family"
)

func split(s *family.Splitter, body family.Object) error {
	if body["output"] == nil {
		return family.ErrForm
	}
	s.Nested = true
	return converseform.Split(s, body)
}

// join takes the events of Converse out of Nova's chunks.
func join(events []family.Event) (any, error) {
	if events[0].Object["messageStart"] == nil {
		return nil, family.ErrForm
	}
	var inner []family.Event
	for _, ev := range events {
		for name, raw := range ev.Object {
			if len(ev.Object) != 1 {
				return nil, family.ErrForm
			}
			e := family.Event{Name: name, Raw: raw}
			if err := family.Read(raw, &e.Object); err != nil {
				return nil, err
			}
			if name == "metadata" {
				maps.DeleteFunc(e.Object, func(_ string, value json.RawMessage) bool { return string(value) == "{}" })
			}
			inner = append(inner, e)
		}
	}
	return converseform.Join(inner)
}
