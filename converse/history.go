package converse

import (
	"fmt"
	"slices"
)

// OpenCalls returns the tool calls at the end of a history that have no result yet, in
// order. Such a history cannot be sent: add the results with [Answer], or run the
// calls with [Options.Resume].
func OpenCalls(history []Message) []ToolUse {
	uses, content := lastCalls(history)
	answered := make(map[string]bool, len(content))
	for _, c := range content {
		if r, ok := c.(ToolResult); ok {
			answered[r.ToolUseID] = true
		}
	}
	return slices.DeleteFunc(uses, func(use ToolUse) bool { return answered[use.ID] })
}

// noResult is what the model reads of a call that nobody answers any more.
const noResult = "There is no result: the call was interrupted."

// lastCalls are the tool uses of the last answer and the content of the user's
// message behind it.
func lastCalls(history []Message) (uses []ToolUse, results Contents) {
	n := len(history)
	if n > 0 && history[n-1].Role == RoleUser {
		results = history[n-1].Content
		n--
	}
	if n > 0 && history[n-1].Role == RoleAssistant {
		uses = history[n-1].ToolUses()
	}
	return uses, results
}

// Answer adds the results of open calls to a history, in the order of the calls. It
// returns an error if a result does not belong to an open call.
func Answer(history []Message, results ...ToolResult) ([]Message, error) {
	uses, content := lastCalls(history)
	open := make(map[string]bool, len(uses))
	for _, use := range uses {
		open[use.ID] = true
	}
	for _, c := range content {
		if r, ok := c.(ToolResult); ok {
			delete(open, r.ToolUseID)
		}
	}
	given := make(map[string]Contents, len(results))
	for _, r := range results {
		if !open[r.ToolUseID] {
			return nil, fmt.Errorf("there is no open call %q; converse.OpenCalls lists them", r.ToolUseID)
		}
		delete(open, r.ToolUseID)
		given[r.ToolUseID] = Contents{r}
	}
	var others Contents
	for _, c := range content {
		if r, ok := c.(ToolResult); ok && slices.ContainsFunc(uses, func(use ToolUse) bool { return use.ID == r.ToolUseID }) {
			given[r.ToolUseID] = append(given[r.ToolUseID], r)
		} else {
			others = append(others, c)
		}
	}
	answer := Message{Role: RoleUser, Content: make(Contents, 0, len(uses)+len(others))}
	for _, use := range uses {
		answer.Content = append(answer.Content, given[use.ID]...)
		delete(given, use.ID)
	}
	answer.Content = append(answer.Content, others...)
	if n := len(history); n > 0 && history[n-1].Role == RoleUser {
		history = history[:n-1]
	}
	if len(answer.Content) == 0 {
		return slices.Clone(history), nil
	}
	return append(slices.Clip(history), answer), nil
}

// Append returns the history with a message added at its end. Roles must alternate, so
// if the last message has the same role, the content is added to that message.
func Append(history []Message, m Message) []Message {
	history = slices.Clone(history)
	if last := len(history) - 1; last >= 0 && history[last].Role == m.Role {
		history[last].Content = slices.Concat(history[last].Content, m.Content)
		return history
	}
	return append(history, m)
}
