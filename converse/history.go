package converse

import (
	"fmt"
	"slices"
)

// OpenCalls are the tool calls at the end of a history that have no result
// yet, in their order. Such a history cannot be sent: [Answer] gives the
// results, and [Options.Resume] runs the calls.
func OpenCalls(history []Message) []ToolUse {
	uses, results := lastCalls(history)
	return slices.DeleteFunc(uses, func(use ToolUse) bool {
		return slices.ContainsFunc(results, func(c Content) bool { return answers(c, use) })
	})
}

// noResult is what the model is told of a call that nobody answers any more.
const noResult = "There is no result: the call was interrupted."

func answers(c Content, use ToolUse) bool {
	result, ok := c.(ToolResult)
	return ok && result.ToolUseID == use.ID
}

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
	open := OpenCalls(history)
	for _, r := range results {
		i := slices.IndexFunc(open, func(use ToolUse) bool { return use.ID == r.ToolUseID })
		if i < 0 {
			return nil, fmt.Errorf("there is no open call %q; converse.OpenCalls lists them", r.ToolUseID)
		}
		open = slices.Delete(open, i, i+1)
	}
	answer := Message{Role: RoleUser}
	for _, use := range uses {
		for _, c := range content {
			if answers(c, use) {
				answer.Content = append(answer.Content, c)
			}
		}
		for _, r := range results {
			if answers(r, use) {
				answer.Content = append(answer.Content, r)
			}
		}
	}
	for _, c := range content {
		if !slices.ContainsFunc(uses, func(use ToolUse) bool { return answers(c, use) }) {
			answer.Content = append(answer.Content, c)
		}
	}
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
