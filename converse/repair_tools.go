package converse

import (
	"slices"
	"strconv"
	"strings"
)

func (m *repairer) toolUse(path string, use ToolUse) ToolUse {
	if name := legalName(use.Name, "_-"); name != use.Name {
		m.change(path, "the tool's name was made legal")
		use.Name = name
	}
	use.ID = m.legalID(path, use.ID)
	return use
}

func (m *repairer) legalID(path, id string) string {
	legal := legalID(id)
	if m.subject.mistral() && len(legal) < mistralID {
		legal += strings.Repeat("0", mistralID-len(legal))
	}
	if legal != id {
		m.change(path, "the tool use's id was made legal")
	}
	return legal
}

func (m *repairer) toolResult(path string, r ToolResult) ToolResult {
	r.ToolUseID = m.legalID(path, r.ToolUseID)
	kept := make(Contents, 0, len(r.Content))
	for k, c := range r.Content {
		inner := path + ".toolResult.content[" + strconv.Itoa(k) + "]"
		if c = m.text(inner, c, false); c == nil {
			continue
		}
		if d, ok := c.(Document); ok && !isDocumentName(d.Name) {
			m.change(inner, "the document's name was made legal")
			d.Name = legalDocumentName(d.Name)
			c = d
		}
		kept = append(kept, c)
	}
	r.Content = kept
	if r.Status == ToolError && !r.says() {
		m.change(path, "the error got a text")
		r.Content = Contents{Text("The tool failed.")}
	}
	return r
}

// resultTexts is what a result said, for a message of the role.
func resultTexts(r ToolResult, role Role) Contents {
	head := "[the tool returned]"
	if r.Status == ToolError {
		head = "[the tool failed]"
	}
	texts := Contents{Text(head)}
	for _, c := range r.Content {
		switch b := c.(type) {
		case Text:
			if !isBlank(b) {
				texts = append(texts, b)
			}
		case JSON:
			texts = append(texts, Text("```json\n"+string(b)+"\n```"))
		case Image, Document, Video, SearchResult:
			if role == RoleUser {
				texts = append(texts, b)
			}
		}
	}
	return texts
}

// open are the tool uses of the last message.
func (m *repairer) open() []piece {
	if len(m.messages) == 0 {
		return nil
	}
	var open []piece
	for _, p := range m.messages[len(m.messages)-1].pieces {
		if _, ok := p.Content.(ToolUse); ok {
			open = append(open, p)
		}
	}
	return open
}

// distinct gives tool uses whose id came before in the conversation another one,
// and leaves out copies: what has the id, name and input of one before it in the
// message is the same call.
func (m *repairer) distinct(pieces []piece) []piece {
	var calls []ToolUse
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if use, ok := p.Content.(ToolUse); ok {
			if slices.ContainsFunc(calls, use.same) {
				m.change(p.path(), "a copy of the tool use %q was left out", use.ID)
				continue
			}
			calls = append(calls, use)
			p.was = use.ID
			if use.ID = m.ids.take(use.ID); use.ID != p.was {
				m.change(p.path(), "a second tool use with the id %q got the id %q", p.was, use.ID)
				p.Content = use
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// results gives a message exactly one result for each open tool use, at its
// beginning. Of two uses that had one id the first gets the first result.
func (m *repairer) results(msg *repaired, open []piece) {
	var results, others []piece
	answered := make(map[string]bool)
	moved := false
	for _, p := range msg.pieces {
		result, ok := p.Content.(ToolResult)
		_, isPoint := p.Content.(CachePoint)
		switch {
		case isPoint && len(others) == 0 && len(results) > 0:
			results = append(results, p)
			continue
		case !ok:
			others = append(others, p)
			continue
		}
		i := slices.IndexFunc(open, func(o piece) bool {
			return o.was == result.ToolUseID && !answered[o.Content.(ToolUse).ID]
		})
		switch {
		case i >= 0:
			moved = moved || len(others) > 0
			result.ToolUseID = open[i].Content.(ToolUse).ID
			answered[result.ToolUseID] = true
			p.Content = result
			results = append(results, p)
		case slices.ContainsFunc(open, func(o piece) bool { return o.was == result.ToolUseID }):
			m.change(p.path(), "a second result for %q was left out", result.ToolUseID)
		default:
			m.change(p.path(), "the result for %q was left out: there is no such tool use in the message before", result.ToolUseID)
		}
	}
	if moved {
		m.change(msg.path(), "the results of tools were put first")
	}
	for _, o := range open {
		id := o.Content.(ToolUse).ID
		if answered[id] {
			continue
		}
		m.change(o.path(), "the tool use %q got a result that says that there is none", id)
		o.Content = ToolResult{ToolUseID: id, Status: ToolError, Content: Contents{Text(noResult)}}
		results = append(results, o)
	}
	msg.pieces = append(results, others...)
	m.dropLeadingPoints(msg)
}
