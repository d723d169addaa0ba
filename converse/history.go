package converse

import (
	"fmt"
	"slices"
)

// OpenCalls are the tool calls at the end of a history that have no result
// yet, in their order. Such a history cannot be sent: [Answer] gives the
// results, and [Options.Resume] runs the calls.
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

// noResult is what the model is told of a call that nobody answers any more.
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

// Answer returns the history with the results of open calls, in the order of
// the calls. A result that belongs to no open call is an error.
func Answer(history []Message, results ...ToolResult) ([]Message, error) {
	uses, content := lastCalls(history)
	open := make(map[string]bool)
	for _, use := range OpenCalls(history) {
		open[use.ID] = true
	}
	given := make(map[string]Contents)
	for _, r := range results {
		if !open[r.ToolUseID] {
			return nil, fmt.Errorf("there is no open call %q; converse.OpenCalls lists them", r.ToolUseID)
		}
		delete(open, r.ToolUseID)
		given[r.ToolUseID] = Contents{r}
	}
	var others Contents
	called := make(map[string]bool, len(uses))
	for _, use := range uses {
		called[use.ID] = true
	}
	for _, c := range content {
		if r, ok := c.(ToolResult); ok && called[r.ToolUseID] {
			given[r.ToolUseID] = append(given[r.ToolUseID], r)
		} else {
			others = append(others, c)
		}
	}
	answer := Message{Role: RoleUser}
	for _, use := range uses {
		answer.Content = append(answer.Content, given[use.ID]...)
		delete(given, use.ID)
	}
	answer.Content = append(answer.Content, others...)
	history = slices.Clone(history)
	if n := len(history); n > 0 && history[n-1].Role == RoleUser {
		history = history[:n-1]
	}
	if len(answer.Content) > 0 {
		history = append(history, answer)
	}
	return history, nil
}

// Append returns the history with a message behind it. Roles alternate, so the
// content of a message of the role of the last one is put into that one.
func Append(history []Message, m Message) []Message {
	history = slices.Clone(history)
	if last := len(history) - 1; last >= 0 && history[last].Role == m.Role {
		history[last].Content = slices.Concat(history[last].Content, m.Content)
		return history
	}
	return append(history, m)
}
