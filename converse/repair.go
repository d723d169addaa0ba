package converse

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// A Change is one change that [Repair] has made.
type Change struct {
	Path string `json:"path"` // the place in the original request, as in [Problem]
	Text string `json:"text"` // what was changed; it has no text of a user or the model
}

func (c Change) String() string { return c.Path + ": " + c.Text }

// Repair fixes what can be fixed safely in a request, and returns the new request and
// the changes. It does not change the slices of r. It returns a request unchanged if
// Bedrock would take it, or if it was repaired before.
//
// It fixes common problems of histories that were cut, merged, stored or made by
// another model:
//
//   - Messages of one role in a row become one. Empty messages, and assistant
//     messages before the first user message, are left out.
//   - Blank texts and nil are left out. Bytes that are not UTF-8 are replaced. White
//     space is removed from the end of an answer that the model should continue.
//   - A tool use without a result gets a result that says so, with the status error.
//     A result without a tool use, or with an id that already has a result, is left
//     out. Results go to the beginning of their message. A tool use whose id was used
//     before gets a new id, and so does its result.
//   - If the request has no tools, tool uses and results become texts, so that the
//     model knows what they said and calls none. The same is done with a tool use or
//     a result in a message of the wrong role.
//   - Reasoning is left out in a message of the user, without a signature for Claude,
//     and for a model that takes none back. An image in a message of the assistant
//     becomes a text if the model is Claude.
//   - Thinking after a change is left out if the model binds it to what came before;
//     see [Rebound].
//   - Names and ids of tool uses and names of documents become valid, and names of
//     documents unique.
//   - A cache point that may not follow the blocks before it moves before them, or is
//     left out. If there are too many, the oldest points of the messages are left out
//     first. A TTL that is not allowed becomes 5m.
//
// It does not fix anything else; [Preflight] finds the rest.
func Repair(r Request) (Request, []Change) {
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	return r.repair(&s)
}

func (r *Request) repair(s *subject) (Request, []Change) {
	var found *PreflightError
	if !errors.As(r.preflight(bedrockkit.OpConverse, s), &found) || !slices.ContainsFunc(found.Problems, func(p Problem) bool { return p.fixes }) {
		return *r, nil
	}
	m := &repairer{out: *r, subject: s, ids: make(ids), names: make(map[string]int)}
	m.system()
	for _, msg := range m.clean() {
		m.append(msg)
	}
	m.close()
	m.cachePoints()
	m.prefill()
	m.out.Messages = make([]Message, len(m.messages))
	for i, msg := range m.messages {
		m.out.Messages[i] = Message{Role: msg.role, Content: make(Contents, len(msg.pieces))}
		for j, p := range msg.pieces {
			m.out.Messages[i].Content[j] = p.Content
		}
	}
	m.unbind(r)
	return m.out, m.changes
}

// unbind leaves out the thinking that was bound to what was changed.
func (m *repairer) unbind(given *Request) {
	before := given.Messages
	if !reflect.DeepEqual(withoutPoints(m.out.System), withoutPoints(given.System)) {
		before = nil // all of it was
	}
	kept := m.subject.rebound(before, m.out.Messages)
	for i := range kept {
		if len(kept[i].Content) < len(m.out.Messages[i].Content) {
			m.change("messages["+strconv.Itoa(i)+"]", "thinking was left out that was bound to what has changed before it")
		}
	}
	m.out.Messages = kept
}

// A repairer builds the repaired request.
type repairer struct {
	out     Request
	changes []Change
	subject *subject

	ids      ids            // of tool uses
	names    map[string]int // of documents, with the last number that was put behind one
	messages []repaired     // so far
	held     []repaired     // of other roles, which must not come between a tool use and its result
}

// A fixed message and its content, which says where it was.
type repaired struct {
	role   Role
	at     int
	pieces []piece
}

type piece struct {
	Content
	message, index int
	was            string // the id that a tool use had
}

func (m *repairer) change(path, format string, args ...any) {
	m.changes = append(m.changes, Change{path, fmt.Sprintf(format, args...)})
}

func (p piece) path() string {
	return "messages[" + strconv.Itoa(p.message) + "].content[" + strconv.Itoa(p.index) + "]"
}

func (m *repaired) path() string { return "messages[" + strconv.Itoa(m.at) + "]" }

func (m *repairer) system() {
	kept := make(Contents, 0, len(m.out.System))
	for i, c := range m.out.System {
		path := "system[" + strconv.Itoa(i) + "]"
		if c = m.text(path, c, true); c == nil {
			continue
		}
		if _, ok := c.(CachePoint); ok && len(kept) == 0 {
			m.change(path, "a cache point with nothing before it was left out")
			continue
		}
		kept = append(kept, c)
	}
	if len(kept) > 0 || m.out.System != nil {
		m.out.System = kept
	}
}

// text fixes a block that may be a text, or nil: nil if it is left out, as
// blank texts are outside of results.
func (m *repairer) text(path string, c Content, blanks bool) Content {
	switch t := c.(type) {
	case nil:
		m.change(path, "nil was left out")
		return nil
	case Text:
		if !jsonscan.IsText(string(t)) {
			m.change(path, "bytes that are not UTF-8 were replaced")
			t = Text(jsonscan.ToText(string(t)))
		}
		if blanks && isBlank(t) {
			m.change(path, "a blank text was left out")
			return nil
		}
		return t
	}
	return c
}

// clean fixes each block for itself, and puts messages of one role into one.
func (m *repairer) clean() []repaired {
	noTools := len(m.out.Tools) == 0
	var all []repaired
	for i, msg := range m.out.Messages {
		next := repaired{role: msg.Role, at: i}
		for j, c := range msg.Content {
			p := piece{Content: c, message: i, index: j}
			if p.Content = m.text(p.path(), c, true); p.Content == nil {
				continue
			}
			switch b := p.Content.(type) {
			case Reasoning, Redacted:
				thinking, isText := b.(Reasoning)
				switch {
				case msg.Role != RoleAssistant:
					m.change(p.path(), "reasoning in a message of the %s was left out", msg.Role)
					continue
				case m.subject.refusesReasoning():
					m.change(p.path(), "reasoning was left out, which the model does not take back")
					continue
				case isText && thinking.Signature == "" && m.subject.claude():
					m.change(p.path(), "reasoning without a signature was left out")
					continue
				}
			case ToolUse:
				if b = m.toolUse(p.path(), b); noTools || msg.Role != RoleAssistant {
					m.change(p.path(), "a tool use became a text%s", because(noTools))
					p.Content = Text("[called the tool " + b.Name + " with " + string(b.Input) + "]")
					break
				}
				p.Content = b
			case ToolResult:
				b = m.toolResult(p.path(), b)
				if noTools || msg.Role != RoleUser {
					m.change(p.path(), "a tool's result became a text%s", because(noTools))
					for _, c := range resultTexts(b, msg.Role) {
						next.pieces = append(next.pieces, piece{Content: m.document(p.path(), c), message: i, index: j})
					}
					continue
				}
				p.Content = b
			case Image:
				if msg.Role != RoleUser && (m.subject.claude() || msg.Role == RoleSystem) {
					m.change(p.path(), "an image in a message of the %s became a text", msg.Role)
					p.Content = Text("[an image]")
				}
			case Document:
				p.Content = m.document(p.path(), b)
			}
			next.pieces = append(next.pieces, p)
		}
		m.dropLeadingPoints(&next)
		switch last := lastTurn(all); {
		case len(next.pieces) == 0:
			m.change(next.path(), "an empty message was left out")
		case last >= 0 && all[last].role == next.role:
			m.change(next.path(), "it was put into the message before, which has the same role")
			all[last].pieces = append(all[last].pieces, next.pieces...)
		default:
			all = append(all, next)
		}
	}
	return all
}

func because(noTools bool) string {
	if noTools {
		return ", as the request has no tools"
	}
	return ", as it was in a message of the wrong role"
}

// lastTurn is the index of the last message of the user or the assistant, or
// -1.
func lastTurn(messages []repaired) int {
	for i, msg := range slices.Backward(messages) {
		if msg.role == RoleUser || msg.role == RoleAssistant {
			return i
		}
	}
	return -1
}

// document makes a document's name legal and unlike all before; other content
// is returned as it is.
func (m *repairer) document(path string, c Content) Content {
	d, ok := c.(Document)
	if !ok {
		return c
	}
	if !isDocumentName(d.Name) {
		m.change(path, "the document's name was made legal")
		d.Name = legalDocumentName(d.Name)
	}
	if last := m.names[d.Name]; last > 0 {
		m.change(path, "the document got a name of its own")
		for n := last + 1; ; n++ {
			suffix := fmt.Sprintf(" (%d)", n)
			name := strings.TrimSpace(d.Name[:min(len(d.Name), maxDocumentName-len(suffix))]) + suffix
			if m.names[name] == 0 {
				m.names[d.Name] = n
				d.Name = name
				break
			}
		}
	}
	m.names[d.Name] = 1
	return d
}

// append adds a message to those that are done, and sees that tool uses and
// results belong together.
func (m *repairer) append(msg repaired) {
	open := m.open()
	switch msg.role {
	case RoleUser:
		m.results(&msg, open)
		if len(msg.pieces) == 0 {
			m.change(msg.path(), "an empty message was left out")
			return
		}
	case RoleAssistant:
		if len(open) > 0 {
			answer := repaired{role: RoleUser, at: msg.at}
			m.results(&answer, open)
			m.add(answer)
		}
		if !slices.ContainsFunc(m.messages, func(msg repaired) bool { return msg.role == RoleUser }) {
			m.change(msg.path(), "a message of the assistant before the first of the user was left out")
			return
		}
		msg.pieces = m.distinct(msg.pieces)
	default:
		if len(open) > 0 {
			m.change(msg.path(), "it was put behind the results of the tool uses before it")
			m.held = append(m.held, msg)
			return
		}
	}
	m.add(msg)
}

func (m *repairer) add(msg repaired) {
	if last := lastTurn(m.messages); last >= 0 && m.messages[last].role == msg.role {
		m.change(msg.path(), "it was put into the message before, which has the same role")
		before := &m.messages[last]
		before.pieces = append(before.pieces, msg.pieces...)
		if msg.role == RoleAssistant {
			m.held = append(m.held, m.messages[last+1:]...)
			m.messages = m.messages[:last+1]
		}
	} else {
		m.messages = append(m.messages, msg)
	}
	if len(m.open()) == 0 {
		m.messages = append(m.messages, m.held...)
		m.held = nil
	}
}

// close gives the last tool uses results.
func (m *repairer) close() {
	if open := m.open(); len(open) > 0 {
		answer := repaired{role: RoleUser, at: len(m.out.Messages)}
		m.results(&answer, open)
		m.add(answer)
	}
	m.messages = append(m.messages, m.held...)
}

// prefill fixes the beginning of an answer that the model is to go on with,
// after all that may be left out behind it.
func (m *repairer) prefill() {
	if len(m.messages) == 0 {
		return
	}
	last := m.messages[len(m.messages)-1]
	if !m.subject.claude() || last.role != RoleAssistant {
		return
	}
	end := &last.pieces[len(last.pieces)-1]
	if text, ok := end.Content.(Text); ok && trimEnd(string(text)) != string(text) {
		m.change(end.path(), "white space was cut off the end of the answer that the model is to go on with")
		end.Content = Text(trimEnd(string(text)))
	}
}
