package converse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// add takes a round into the sums.
func (r *RunResult) add(resp *Response) {
	r.Rounds = append(r.Rounds, resp)
	r.Usage = r.Usage.Add(resp.Usage)
	switch {
	case resp.Cost == nil:
		r.Cost, r.CostErr = nil, resp.CostErr
	case r.Cost != nil:
		sum := r.Cost.Add(*resp.Cost)
		r.Cost = &sum
	}
}

// lost notes a round that brought nothing: what it took, nobody knows, unless
// nothing was sent.
func (r *RunResult) lost(err error) {
	var e *bedrockx.Error
	if errors.As(err, &e) && e.Attempts == 0 {
		return
	}
	r.Usage.Unknown = true
	r.Cost, r.CostErr = nil, err
}

// identify returns an answer whose tool uses have legal ids that no other tool
// use of the conversation has: models repeat ids, and Claude refuses a history
// with two tool uses of one id. A tool use that is the same as one before it in
// the answer, id, name and input, is the same call and is left out.
func identify(answer Message, history []Message) Message {
	if !slices.ContainsFunc(answer.Content, func(c Content) bool { _, ok := c.(ToolUse); return ok }) {
		return answer
	}
	ids := newIDs(history)
	content := make(Contents, 0, len(answer.Content))
	var calls []ToolUse
	for _, c := range answer.Content {
		if use, ok := c.(ToolUse); ok {
			if slices.ContainsFunc(calls, use.same) {
				continue
			}
			calls = append(calls, use)
			use.ID = ids.take(legalID(use.ID))
			c = use
		}
		content = append(content, c)
	}
	return Message{Role: answer.Role, Content: content}
}

// same reports whether two tool uses of an answer are one call.
func (c ToolUse) same(other ToolUse) bool {
	return c.ID == other.ID && c.Name == other.Name && bytes.Equal(c.Input, other.Input)
}

// ids are those of tool uses that are taken.
type ids map[string]bool

// newIDs are those of a history.
func newIDs(history []Message) ids {
	taken := make(ids)
	for _, m := range history {
		for _, c := range m.Content {
			if use, ok := c.(ToolUse); ok {
				taken[use.ID] = true
			}
		}
	}
	return taken
}

// take returns the id, with a number behind it if it is taken.
func (taken ids) take(id string) string {
	unique := id
	for n := 2; taken[unique]; n++ {
		suffix := "-" + strconv.Itoa(n)
		unique = id[:min(len(id), maxName-len(suffix))] + suffix
	}
	taken[unique] = true
	return unique
}

// keep adds an answer to the conversation, as far as it can be sent again: not
// what is blank, no tool uses that will have no results, and no reasoning at
// the end, which would lead to nothing. A name that the model made up is made
// legal, since the service would refuse it in each later request. If the model
// binds thinking to what comes before it, none is kept behind a change.
func (r *RunResult) keep(answer Message, resp *Response, uses, bound bool) {
	if resp.StopReason == bedrockkit.StopGuardrailIntervened {
		r.redact(resp.Trace)
	}
	kept := Message{Role: answer.Role}
	end := 0 // behind the last block that is not reasoning
	for _, c := range answer.Content {
		switch block := c.(type) {
		case Text:
			if isBlank(block) {
				continue
			}
		case CitedText:
			if c = withoutBlanks(block); c == nil {
				continue
			}
		case ToolUse:
			if !uses {
				continue
			}
			block.Name = legalName(block.Name, "_-")
			c = block
		case Raw:
			if id := unreadUse(block); id != "" {
				continue
			}
		}
		if !isThinking(c) {
			kept.Content = append(kept.Content, c)
			end = len(kept.Content)
		} else if !bound || unchanged(kept.Content, resp.Message.Content, c) {
			kept.Content = append(kept.Content, c)
		}
	}
	if kept.Content = kept.Content[:end]; end > 0 {
		r.Messages = Append(r.Messages, kept) // to the beginning of it, if the request had one
	}
}

// unchanged reports whether what is kept is what came before a block of an
// answer.
func unchanged(kept, answer Contents, block Content) bool {
	i := slices.IndexFunc(answer, func(c Content) bool { return sameContent(c, block) })
	return i >= 0 && slices.EqualFunc(kept, answer[:i], sameContent)
}

// withoutBlanks is a cited text without the pieces that are blank, nil if none
// is left.
func withoutBlanks(c CitedText) Content {
	if slices.ContainsFunc(c.Content, isBlank) {
		c.Content = slices.DeleteFunc(slices.Clone(c.Content), isBlank)
	}
	if len(c.Content) == 0 {
		return nil
	}
	return c
}

// redact takes what a guardrail has stopped out of the conversation, as it
// would be stopped again with each later request: the user's last message, and
// the beginning of an answer. It goes by the stop reason. A trace is there only
// if it was asked for; if it says that the answer alone was blocked, the message
// of the user stays.
func (r *RunResult) redact(trace json.RawMessage) {
	const removed = Text("[removed by a guardrail]")
	last := len(r.Messages) - 1
	if last >= 0 && r.Messages[last].Role == RoleAssistant {
		r.Messages = r.Messages[:last]
		last--
	}
	for last >= 0 && r.Messages[last].Role != RoleUser {
		last--
	}
	if last < 0 || answerBlocked(trace) {
		return
	}
	m := Message{Role: RoleUser}
	for _, c := range r.Messages[last].Content {
		if result, ok := c.(ToolResult); ok {
			result.Content = Contents{removed}
			m.Content = append(m.Content, result)
		}
	}
	if len(m.Content) == 0 {
		m.Content = Contents{removed}
	}
	r.Messages = slices.Clone(r.Messages)
	r.Messages[last] = m
}

// answerBlocked reports whether a trace says that a guardrail has blocked the
// answer and not what was asked (API reference, GuardrailTraceAssessment).
func answerBlocked(trace json.RawMessage) bool {
	var t struct {
		Guardrail struct{ InputAssessment, OutputAssessments any }
	}
	return json.Unmarshal(trace, &t) == nil && blocks(t.Guardrail.OutputAssessments) && !blocks(t.Guardrail.InputAssessment)
}

// blocks reports whether an assessment holds a filter whose action was to block.
func blocks(assessment any) bool {
	switch v := assessment.(type) {
	case map[string]any:
		for key, value := range v {
			if key == "action" && value == "BLOCKED" || blocks(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, blocks)
	}
	return false
}

// checkUses refuses open calls if two have one id.
func checkUses(uses []ToolUse) error {
	seen := make(map[string]bool, len(uses))
	for _, use := range uses {
		if seen[use.ID] {
			return fmt.Errorf("%w: %q", ErrDuplicateToolUse, use.ID)
		}
		seen[use.ID] = true
	}
	return nil
}
