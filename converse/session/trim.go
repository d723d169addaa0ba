package session

import (
	"github.com/mangaassist/bedrockkit/converse"
)

// Trim cuts the beginning of a history, so that kept has at most budget tokens, as
// estimate counts them. It cuts only before a question of the user, so that a tool
// call stays with its result. The last question and what follows it are always kept.
// If the message with the question also has the results of the turn before, it is
// split. An append to kept or cut never writes to messages.
func Trim(messages []converse.Message, budget int64, estimate func(converse.Message) int64) (kept, cut []converse.Message) {
	total := int64(0)
	at := 0 // where what is kept begins
	for i := len(messages) - 1; i >= 0; i-- {
		total += estimate(messages[i])
		if total > budget && at > 0 {
			break
		}
		if isQuestion(messages[i]) {
			at = i
			if total > budget {
				break
			}
		}
	}
	kept, cut = messages[at:len(messages):len(messages)], messages[:at:at]
	if at == 0 {
		return kept, cut
	}
	results, question := split(messages[at])
	if len(results) > 0 {
		cut = append(cut, converse.Message{Role: converse.RoleUser, Content: results})
		kept = append([]converse.Message{{Role: converse.RoleUser, Content: question}}, kept[1:]...)
	}
	return kept, cut
}

// isQuestion reports whether a conversation can begin with a message: whether it
// is the user's and has more than the results of tools.
func isQuestion(m converse.Message) bool {
	if m.Role != converse.RoleUser {
		return false
	}
	_, question := split(m)
	return len(question) > 0
}

// split parts the results of a message, with the cache points behind them, from
// what the user says in it.
func split(m converse.Message) (results, question converse.Contents) {
	for _, c := range m.Content {
		switch c.(type) {
		case converse.ToolResult:
			results = append(results, c)
		case converse.CachePoint:
			if len(question) > 0 {
				question = append(question, c)
			}
		default:
			question = append(question, c)
		}
	}
	return results, question
}
