package converse

import (
	"reflect"
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// Some models bind what they thought to all that came before it: a block that is
// sent back is refused if the system prompt, the tools or an earlier message has
// changed. Source: Amazon Bedrock User Guide, "Thinking block binding", 2026-10.

// Rebound makes a changed history valid for a model that binds thinking to what comes
// before it: it removes the thinking after the first change. before is the history
// before the change, after the changed one. Cache points do not count as a change.
// Rebound returns after unchanged if the model does not bind thinking, if that is not
// known, or if there is no thinking after the change.
//
// Call it if you cut, summarize or redact a history. It is not needed if you send the
// history with a [Client] and the model takes the field thinking.block_binding: the
// client then asks the service to drop the thinking that no longer fits.
func Rebound(model bedrockkit.ModelID, before, after []Message) []Message {
	s := subjectOf(model, bedrockkit.Capabilities)
	return s.rebound(before, after)
}

func (s *subject) rebound(before, after []Message) []Message {
	if !s.Thinking.BoundTo("prefix") {
		return after
	}
	return withoutContent(after, firstChange(before, after), isThinking)
}

// firstChange is the index of the first message that differs, or the number of
// messages that both have.
func firstChange(before, after []Message) int {
	for i := range min(len(before), len(after)) {
		if before[i].Role != after[i].Role || !slices.EqualFunc(withoutPoints(before[i].Content), withoutPoints(after[i].Content), sameContent) {
			return i
		}
	}
	return min(len(before), len(after))
}

func sameContent(a, b Content) bool { return reflect.DeepEqual(a, b) }

func withoutPoints(contents Contents) Contents {
	isPoint := func(c Content) bool { _, ok := c.(CachePoint); return ok }
	if !slices.ContainsFunc(contents, isPoint) {
		return contents
	}
	return slices.DeleteFunc(slices.Clone(contents), isPoint)
}
