package cohere

import (
	"github.com/mangaassist/bedrockkit/internal/family"
)

// Cohere's Command R: the last event repeats the whole body.

func split(s *family.Splitter, top family.Object) error {
	if top["finish_reason"] == nil || top["text"] == nil {
		return family.ErrForm
	}

	if !family.IsNull(top["tool_calls"]) || !family.IsNull(top["citations"]) {
		return family.ErrForm
	}
	start := map[string]any{"event_type": "stream-start", "is_finished": false, "generation_id": top["generation_id"]}
	if err := s.Add("", start, 0); err != nil {
		return err
	}
	err := s.Pieces("", family.Text(top["text"]), func(piece string) any {
		return map[string]any{"event_type": "text-generation", "is_finished": false, "text": piece}
	})
	if err != nil {
		return err
	}
	return s.Add("", map[string]any{"event_type": "stream-end", "is_finished": true, "finish_reason": top["finish_reason"], "response": top}, 0)
}

func join(events []family.Event) (any, error) {
	if events[0].Object["event_type"] == nil {
		return nil, family.ErrForm
	}

	last := events[len(events)-1].Object
	if family.Text(last["event_type"]) != "stream-end" || last["response"] == nil ||
		family.Within(last, "event_type", "is_finished", "finish_reason", "response") != nil {
		return nil, family.ErrForm
	}
	return last["response"], nil
}
