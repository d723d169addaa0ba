package converse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A Problem is one thing in a request that Bedrock would refuse.
type Problem struct {
	// Path is the place in the request, with the names of the API:
	// messages[2].content[0].toolResult.toolUseId.
	Path string `json:"path"`
	// Text says what is wrong and what would be right. It has no text of a user or the
	// model.
	Text string `json:"text"`

	fixes bool // Repair fixes it
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

// PreflightError is the error of a request that Bedrock would refuse. It lists
// everything that is wrong. errors.Is finds [bedrockx.ErrValidation].
type PreflightError struct {
	Problems []Problem `json:"problems"` // at least one
}

// Error names the first problems.
func (e *PreflightError) Error() string {
	const shown = 5
	var b strings.Builder
	for i, p := range e.Problems {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Unwrap lets errors.Is find [bedrockx.ErrValidation].
func (e *PreflightError) Unwrap() error { return bedrockx.ErrValidation }

// Preflight validates a request: it finds what Bedrock would refuse, without sending
// anything. The error is a [*PreflightError] and lists all problems at once. A
// [Client] calls it for every request, after it has filled in the defaults of its
// [Options]. If you call it yourself, r must already have what the options would add,
// such as the tools.
//
// It looks up what a model takes in [bedrockkit.Capabilities]; a client uses
// bedrockx.Options.Capabilities. It does not check what only the service can know:
// whether the model and the guardrail exist, how long the prompt is, and what is in a
// file or in [Raw].
func Preflight(r Request) error {
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	return r.preflight(bedrockkit.OpConverse, &s)
}

func (r *Request) preflight(op bedrockkit.Operation, s *subject) error {
	c := checker{request: r, subject: *s, streaming: op.Streaming(), thought: r.thought(s)}
	c.model()
	c.messages()
	c.system()
	c.inference()
	c.tools()
	c.parameters()
	c.prompt()
	if len(c.problems) == 0 {
		return nil
	}
	return &PreflightError{Problems: c.problems}
}

// A checker looks for problems. Its path is made a string only for one.
type checker struct {
	request   *Request
	subject   subject
	thought   thought
	streaming bool
	problems  []Problem
	path      []segment

	hasTools  bool            // a message has a tool use or a tool result
	uses      map[string]bool // the ids of the tool uses of the last message
	allUses   map[string]bool // and of all, for a model of Anthropic: "tool_use ids must be unique"
	documents int             // that the request carries, those in results of tools included
	inS3      int             // and those that it refers to
	names     map[string]bool // of documents
	points    int             // cache points, in the service's order: see cachePoint
	shortTTL  bool            // one of 5 minutes came
	cites     bool            // a document is to be cited
}

type segment struct {
	name  string
	index int // -1 for none
}

func (c *checker) push(name string, index int) { c.path = append(c.path, segment{name, index}) }
func (c *checker) pop()                        { c.path = c.path[:len(c.path)-1] }

// add notes a problem of a member of where the checker is, or of that place
// itself where the member is "".
func (c *checker) add(member, format string, args ...any) {
	var b strings.Builder
	for _, s := range append(c.path, segment{member, -1}) {
		if s.name == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	c.problems = append(c.problems, Problem{Path: b.String(), Text: fmt.Sprintf(format, args...)})
}

// fixable notes a problem that Repair fixes.
func (c *checker) fixable(member, format string, args ...any) {
	c.add(member, format, args...)
	c.problems[len(c.problems)-1].fixes = true
}

func (c *checker) messages() {
	messages := c.request.Messages
	var previous Role
	for i := range messages {
		m := &messages[i]
		c.push("messages", i)
		switch m.Role {
		case RoleUser, RoleAssistant:
			switch previous {
			case "":
				if m.Role != RoleUser {
					c.fixable("role", "it is %q; a conversation starts with user", m.Role)
				}
			case m.Role:
				c.fixable("role", "it is %q as the one before; roles alternate", m.Role)
			}
			previous = m.Role
		case RoleSystem:
			if c.subject.no(bedrockkit.FeatureSystemMessages) {
				c.add("role", "it is system, and the model takes a system prompt only: Request.System")
			}
		default:
			c.add("role", "it is %q; it must be user or assistant", m.Role)
		}
		c.content(m)
		c.toolResults(i)
		c.pop()
	}
	switch {
	case len(messages) == 0:
		if !c.request.isPrompt() {
			c.add("messages", "it is empty; give at least one message, as converse.User(\"…\") makes it")
		}
		return
	case previous == "":
		c.add("messages", "it has no message of the user; a conversation starts with one")
	}
	last := len(messages) - 1
	for j, block := range messages[last].Content {
		if use, ok := block.(ToolUse); ok {
			c.push("messages", last)
			c.push("content", j)
			c.fixable("toolUse", "there is no message after it with a result for the tool use %q", use.ID)
			c.pop()
			c.pop()
		}
	}
	if c.hasTools && len(c.request.Tools) == 0 {
		c.fixable("toolConfig", "the messages hold tool uses or results, and there are no tools; give the tools that the conversation began with")
	}
	if messages[last].Role == RoleAssistant {
		c.prefill(last)
	}
}

// prefill checks the beginning of an answer that the model is to go on with.
func (c *checker) prefill(last int) {
	c.push("messages", last)
	defer c.pop()
	if c.subject.no(bedrockkit.FeaturePrefill) {
		c.add("role", "it is assistant in the last message, and the model goes on with no answer that was begun")
	} else if c.subject.claude() && c.subject.ID != "" && c.thought.on() {
		c.add("role", "it is assistant in the last message, and a model that thinks goes on with no answer that was begun")
	}
	content := c.request.Messages[last].Content
	if len(content) == 0 || !c.subject.claude() {
		return
	}
	if text, ok := content[len(content)-1].(Text); ok && trimEnd(string(text)) != string(text) {
		c.push("content", len(content)-1)
		c.fixable("text", "it is the beginning of an answer that the model is to go on with, and ends in white space")
		c.pop()
	}
}

func (c *checker) content(m *Message) {
	if len(m.Content) == 0 {
		c.fixable("content", "it is empty; leave the message out")
	}
	hasText, hasDocument, others := false, false, false
	for j, block := range m.Content {
		c.push("content", j)
		switch block.(type) {
		case Text:
			hasText = true
		case Document:
			hasDocument = true
		case ToolResult:
			if others && c.subject.claude() {
				c.fixable("toolResult", "it comes after other content; results come first in a message")
			}
		case CachePoint:
			switch {
			case j == 0:
				c.fixable("cachePoint", "there is nothing before it in the message to cache")
			case !cacheable(m.Content[j-1]):
				c.fixable("cachePoint", "it comes right after %s; put it after another block", kindOf(m.Content[j-1]))
			}
		}
		switch block.(type) {
		case ToolResult, CachePoint:
		default:
			others = true
		}
		c.block(m.Role, block)
		c.pop()
	}
	if hasDocument && !hasText {
		c.add("content", "it has a document and no text; add one that says what to do with it")
	}
}

// toolResults sees that message i answers exactly the tool uses of the one
// before, and that its own tool uses can be told apart.
func (c *checker) toolResults(i int) {
	open := c.uses // of the message before
	c.uses = nil
	var results map[string]bool
	for j, block := range c.request.Messages[i].Content {
		switch b := block.(type) {
		case ToolUse:
			inMessage, inHistory := setID(&c.uses, b.ID), !c.subject.claude() || setID(&c.allUses, b.ID)
			c.push("content", j)
			switch {
			case !inMessage:
				c.fixable("toolUse.toolUseId", "another tool use of the message has the id %q", b.ID)
			case !inHistory:
				c.fixable("toolUse.toolUseId", "another tool use of the conversation has the id %q", b.ID)
			}
			c.pop()
		case ToolResult:
			switch first := setID(&results, b.ToolUseID); {
			case !open[b.ToolUseID]:
				c.push("content", j)
				c.fixable("toolResult.toolUseId", "%q is no open tool use of the message before", b.ToolUseID)
				c.pop()
			case !first:
				c.push("content", j)
				c.fixable("toolResult.toolUseId", "another result of the message is for %q", b.ToolUseID)
				c.pop()
			}
		}
	}
	if len(open) == 0 {
		return
	}
	for _, block := range c.request.Messages[i-1].Content {
		if use, ok := block.(ToolUse); ok && !results[use.ID] {
			c.fixable("content", "it has no result for the tool use %q of the message before", use.ID)
		}
	}
}

// setID adds an id to a set and reports whether it is new there.
func setID(set *map[string]bool, id string) bool {
	if (*set)[id] {
		return false
	}
	if *set == nil {
		*set = make(map[string]bool)
	}
	(*set)[id] = true
	return true
}

func (c *checker) system() {
	if len(c.request.System) > 0 && c.subject.no(bedrockkit.FeatureSystem) {
		c.add("system", "the model takes no system prompt")
	}
	for i, block := range c.request.System {
		c.push("system", i)
		switch b := block.(type) {
		case nil, Text, Raw:
			c.media(block)
		case GuardText, GuardImage:
			c.guard(block)
		case CachePoint:
			if i == 0 {
				c.fixable("cachePoint", "there is nothing before it in the system prompt to cache")
			}
		default:
			c.add("", "a system prompt cannot hold %s", kindOf(b))
		}
		c.pop()
	}
}
