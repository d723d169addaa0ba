package converse

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A Change is one thing that [Repair] has done.
type Change struct {
	Path string `json:"path"` // where it was in the request that was given, as in [Problem]
	Text string `json:"text"` // what was done; it holds nothing that a user or the model said
}

func (c Change) String() string { return c.Path + ": " + c.Text }

// Repair returns the request with what can be mended safely mended, and says
// what it did. The slices of r stay as they are. A request that Bedrock would
// take is returned unchanged, and so is one that was repaired before.
//
// It mends what goes wrong in histories that were cut, merged, stored or made
// by another model:
//
//   - messages of one role in a row become one; those of the assistant before
//     the first of the user, and empty ones, are left out;
//   - blank texts and nil are left out, bytes that are no UTF-8 replaced, and
//     white space is cut off the end of an answer that the model is to go on
//     with;
//   - a tool use without a result gets one that says so, with the status error;
//     a result without a tool use and a second one of the same id are left out;
//     results come first in their message;
//   - where the request has no tools, tool uses and results become texts, so
//     that the model knows what they said and calls none; likewise what stands
//     in a message of the wrong role;
//   - reasoning in a message of the user is left out;
//   - names and ids of tool uses and names of documents become legal, and the
//     latter unique;
//   - cache points that may not stand where they are go before the blocks that
//     they may not follow, or are left out; of more than four the newest ones
//     stay, and a TTL that is not allowed becomes 5m.
//
// Anything else is left for [Preflight] to find.
func Repair(r Request) (Request, []Change) { return r.repair(bedrockkit.Capabilities) }

func (r *Request) repair(capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)) (Request, []Change) {
	var found *PreflightError
	if !errors.As(r.preflight(bedrockx.OpConverse, capabilities), &found) || !slices.ContainsFunc(found.Problems, func(p Problem) bool { return p.mends }) {
		return *r, nil
	}
	m := &mender{out: *r, anthropic: r.Model.Provider() == "anthropic", names: make(map[string]int)}
	m.model, m.known = capabilities(r.Model)
	m.system()
	for _, msg := range m.clean() {
		m.append(msg)
	}
	m.finish()
	m.cachePoints()
	m.out.Messages = make([]Message, len(m.messages))
	for i, msg := range m.messages {
		m.out.Messages[i] = Message{Role: msg.role, Content: make(Contents, len(msg.pieces))}
		for j, p := range msg.pieces {
			m.out.Messages[i].Content[j] = p.Content
		}
	}
	return m.out, m.changes
}

// A mender builds the repaired request.
type mender struct {
	out       Request
	changes   []Change
	anthropic bool
	model     bedrockkit.Capability
	known     bool

	names    map[string]int // of documents, with the last number that was put behind one
	messages []mended       // so far
	held     []mended       // of other roles, which must not come between a tool use and its result
}

// A mended message and its content, which says where it was.
type mended struct {
	role   Role
	at     int
	pieces []piece
}

type piece struct {
	Content
	message, index int
}

func (m *mender) change(path, format string, args ...any) {
	m.changes = append(m.changes, Change{path, fmt.Sprintf(format, args...)})
}

func (p piece) path() string {
	return "messages[" + strconv.Itoa(p.message) + "].content[" + strconv.Itoa(p.index) + "]"
}

func (m *mended) path() string { return "messages[" + strconv.Itoa(m.at) + "]" }

func (m *mender) system() {
	kept := make(Contents, 0, len(m.out.System))
	for i, c := range m.out.System {
		path := "system[" + strconv.Itoa(i) + "]"
		if c = m.text(path, c); c == nil {
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

// text mends a block that may be a text, or nil: nil where it is left out.
func (m *mender) text(path string, c Content) Content {
	switch t := c.(type) {
	case nil:
		m.change(path, "nil was left out")
		return nil
	case Text:
		if !utf8.ValidString(string(t)) {
			m.change(path, "bytes that are no UTF-8 were replaced")
			t = Text(strings.ToValidUTF8(string(t), "\uFFFD"))
		}
		if strings.TrimSpace(string(t)) == "" {
			m.change(path, "a blank text was left out")
			return nil
		}
		return t
	}
	return c
}

// clean mends each block for itself, and puts messages of one role into one.
func (m *mender) clean() []mended {
	noTools := len(m.out.Tools) == 0
	var all []mended
	for i, msg := range m.out.Messages {
		next := mended{role: msg.Role, at: i}
		for j, c := range msg.Content {
			p := piece{c, i, j}
			if p.Content = m.text(p.path(), c); p.Content == nil {
				continue
			}
			switch b := p.Content.(type) {
			case Reasoning, Redacted:
				if msg.Role != RoleAssistant {
					m.change(p.path(), "reasoning in a message of the %s was left out", msg.Role)
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
						next.pieces = append(next.pieces, piece{m.document(p.path(), c), i, j})
					}
					continue
				}
				p.Content = b
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
func lastTurn(messages []mended) int {
	for i, msg := range slices.Backward(messages) {
		if msg.role == RoleUser || msg.role == RoleAssistant {
			return i
		}
	}
	return -1
}

func (m *mender) toolUse(path string, use ToolUse) ToolUse {
	if name := legalName(use.Name, "_-"); name != use.Name {
		m.change(path, "the tool's name was made legal")
		use.Name = name
	}
	use.ID = m.legalID(path, use.ID)
	return use
}

func (m *mender) legalID(path, id string) string {
	legal := legalID(id)
	if legal != id {
		m.change(path, "the tool use's id was made legal")
	}
	return legal
}

func (m *mender) toolResult(path string, r ToolResult) ToolResult {
	r.ToolUseID = m.legalID(path, r.ToolUseID)
	kept := make(Contents, 0, len(r.Content))
	for k, c := range r.Content {
		inner := path + ".toolResult.content[" + strconv.Itoa(k) + "]"
		if c = m.text(inner, c); c == nil {
			continue
		}
		if d, ok := c.(Document); ok && !isDocumentName(d.Name) {
			m.change(inner, "the document's name was made legal")
			d.Name = legalDocumentName(d.Name)
			c = d
		}
		kept = append(kept, c)
	}
	if r.Status == ToolError && len(kept) == 0 {
		m.change(path, "the error got a text")
		kept = Contents{Text("The tool failed.")}
	}
	r.Content = kept
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
			texts = append(texts, b)
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

// document makes a document's name legal and unlike all before; other content
// is returned as it is.
func (m *mender) document(path string, c Content) Content {
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

func (m *mender) dropLeadingPoints(msg *mended) {
	for len(msg.pieces) > 0 {
		if _, ok := msg.pieces[0].Content.(CachePoint); !ok {
			return
		}
		m.change(msg.pieces[0].path(), "a cache point with nothing before it was left out")
		msg.pieces = msg.pieces[1:]
	}
}

// append adds a message to those that are done, and sees that tool uses and
// results belong together.
func (m *mender) append(msg mended) {
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
			answer := mended{role: RoleUser, at: msg.at}
			m.results(&answer, open)
			m.add(answer)
		}
		if !slices.ContainsFunc(m.messages, func(msg mended) bool { return msg.role == RoleUser }) {
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

func (m *mender) add(msg mended) {
	if last := lastTurn(m.messages); last >= 0 && m.messages[last].role == msg.role {
		m.change(msg.path(), "it was put into the message before, which has the same role")
		before := &m.messages[last]
		before.pieces = append(before.pieces, msg.pieces...)
		if msg.role == RoleAssistant {
			before.pieces = m.distinct(before.pieces)
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

// open are the tool uses of the last message.
func (m *mender) open() []piece {
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

// distinct leaves out tool uses whose id came before.
func (m *mender) distinct(pieces []piece) []piece {
	seen := make(map[string]bool)
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if use, ok := p.Content.(ToolUse); ok {
			if seen[use.ID] {
				m.change(p.path(), "a second tool use with the id %q was left out", use.ID)
				continue
			}
			seen[use.ID] = true
		}
		kept = append(kept, p)
	}
	return kept
}

// results gives a message exactly one result for each open tool use, at its
// beginning.
func (m *mender) results(msg *mended, open []piece) {
	var results, others []piece
	isOpen, answered := make(map[string]bool), make(map[string]bool)
	for _, o := range open {
		isOpen[o.Content.(ToolUse).ID] = true
	}
	moved := false
	for _, p := range msg.pieces {
		result, ok := p.Content.(ToolResult)
		_, isPoint := p.Content.(CachePoint)
		switch {
		case isPoint && len(others) == 0 && len(results) > 0:
			results = append(results, p)
		case !ok:
			others = append(others, p)
		case answered[result.ToolUseID]:
			m.change(p.path(), "a second result for %q was left out", result.ToolUseID)
		case !isOpen[result.ToolUseID]:
			m.change(p.path(), "the result for %q was left out: there is no such tool use in the message before", result.ToolUseID)
		default:
			moved = moved || len(others) > 0
			answered[result.ToolUseID] = true
			results = append(results, p)
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

// finish mends the end of the conversation.
func (m *mender) finish() {
	if open := m.open(); len(open) > 0 {
		answer := mended{role: RoleUser, at: len(m.out.Messages)}
		m.results(&answer, open)
		m.add(answer)
	}
	m.messages = append(m.messages, m.held...)
	if len(m.messages) == 0 {
		return
	}
	last := m.messages[len(m.messages)-1]
	if !m.anthropic || last.role != RoleAssistant {
		return
	}
	end := &last.pieces[len(last.pieces)-1]
	if text, ok := end.Content.(Text); ok && trimEnd(string(text)) != string(text) {
		m.change(end.path(), "white space was cut off the end of the answer that the model is to go on with")
		end.Content = Text(trimEnd(string(text)))
	}
}

// cachePoints mends where the points stand, how many there are and their TTLs.
func (m *mender) cachePoints() {
	uncached := m.known && m.model.PromptCache.MinTokens == 0
	m.out.Tools = slices.Clone(m.out.Tools)
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil && m.known && !m.model.PromptCache.Tools {
			m.change("toolConfig.tools["+strconv.Itoa(i)+"]", "the cache point was left out, which the model does not take here")
			t.CachePoint = nil
		}
	}
	if uncached {
		m.out.System = slices.DeleteFunc(m.out.System, func(c Content) bool { // our own slice
			_, ok := c.(CachePoint)
			if ok {
				m.change("system", "a cache point was left out: the model caches no prompts")
			}
			return ok
		})
	}
	for i := range m.messages {
		m.messages[i].pieces = m.place(m.messages[i].pieces, uncached)
	}
	m.bound()
	m.ttls()
}

// place moves cache points before the blocks that they may not follow.
func (m *mender) place(pieces []piece, uncached bool) []piece {
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if _, ok := p.Content.(CachePoint); !ok {
			kept = append(kept, p)
			continue
		}
		if uncached {
			m.change(p.path(), "a cache point was left out: the model caches no prompts")
			continue
		}
		at := len(kept)
		for at > 0 && !cacheable(kept[at-1].Content) {
			at--
		}
		isPoint := false
		if at > 0 {
			_, isPoint = kept[at-1].Content.(CachePoint)
		}
		switch {
		case at == len(kept):
			kept = append(kept, p)
		case at == 0 || isPoint:
			m.change(p.path(), "a cache point was left out, which the service does not take here")
		default:
			m.change(p.path(), "a cache point was put before blocks that it may not follow")
			kept = slices.Insert(kept, at, p)
		}
	}
	return kept
}

// bound leaves out the points that are too many: the oldest of the messages
// first, as the tools and the system prompt change least.
func (m *mender) bound() {
	surplus := countPoints(m.out.Tools, m.out.System) - maxCachePoints
	for _, msg := range m.messages {
		for _, p := range msg.pieces {
			if _, ok := p.Content.(CachePoint); ok {
				surplus++
			}
		}
	}
	drop := func(c Content, path string) bool {
		if _, ok := c.(CachePoint); !ok || surplus <= 0 {
			return false
		}
		surplus--
		m.change(path, "a cache point was left out: %d are allowed", maxCachePoints)
		return true
	}
	for i := range m.messages {
		m.messages[i].pieces = slices.DeleteFunc(m.messages[i].pieces, func(p piece) bool { return drop(p.Content, p.path()) })
	}
	m.out.System = slices.DeleteFunc(m.out.System, func(c Content) bool { return drop(c, "system") })
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil && drop(*t.CachePoint, "toolConfig.tools["+strconv.Itoa(i)+"]") {
			t.CachePoint = nil
		}
	}
}

// countPoints is how many cache points stand before the messages.
func countPoints(tools []ToolSpec, system Contents) (n int) {
	for _, t := range tools {
		if t.CachePoint != nil {
			n++
		}
	}
	for _, c := range system {
		if _, ok := c.(CachePoint); ok {
			n++
		}
	}
	return n
}

// ttls makes TTLs that are not allowed the default one.
func (m *mender) ttls() {
	short := false
	mend := func(p CachePoint, path string) CachePoint {
		switch p.TTL {
		case "", "5m":
			short = true
		case "30m", "1h":
			if short || p.TTL == "1h" && m.known && !m.model.PromptCache.OneHour {
				m.change(path, "the TTL of a cache point became 5m")
				short = true
				p.TTL = ""
			}
		}
		return p
	}
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil {
			p := mend(*t.CachePoint, "toolConfig.tools["+strconv.Itoa(i)+"]")
			t.CachePoint = &p
		}
	}
	for i, c := range m.out.System {
		if p, ok := c.(CachePoint); ok {
			m.out.System[i] = mend(p, "system["+strconv.Itoa(i)+"]")
		}
	}
	for _, msg := range m.messages {
		for j, piece := range msg.pieces {
			if p, ok := piece.Content.(CachePoint); ok {
				msg.pieces[j].Content = mend(p, piece.path())
			}
		}
	}
}
