package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/internal/family"
)

// check finds what cannot be right, so that it is known before it costs time
// and money. What depends on the model is CheckModel's.
func (r *Request) check() error {
	if r.MaxTokens < 1 {
		return fmt.Errorf("max_tokens is %d; give the most tokens that the answer may have, at least 1", r.MaxTokens)
	}
	if len(r.Messages) == 0 {
		return errors.New("messages is empty; give at least one, as anthropic.User(\"…\") makes it")
	}
	var marks marks
	for i := range r.Tools {
		if err := r.Tools[i].check(); err != nil {
			return fmt.Errorf("tools[%d]: %w", i, err)
		}
		if err := marks.add(r.Tools[i].CacheControl); err != nil {
			return fmt.Errorf("tools[%d].cache_control: %w", i, err)
		}
	}
	for i := range r.System {
		if err := r.System[i].check(&marks); err != nil {
			return fmt.Errorf("system[%d]%w", i, err)
		}
	}
	for i, m := range r.Messages {
		switch {
		case m.Role != "user" && m.Role != "assistant" && m.Role != "system":
			return fmt.Errorf("messages[%d].role is %q; it is user, assistant or system", i, m.Role)
		case i == 0 && m.Role != "user":
			return fmt.Errorf("messages[0].role is %s; the first message is the user's", m.Role)
		case len(m.Content) == 0:
			return fmt.Errorf("messages[%d].content is empty", i)
		}
		for j := range m.Content {
			if err := m.Content[j].check(&marks); err != nil {
				return fmt.Errorf("messages[%d].content[%d]%w", i, j, err)
			}
		}
	}
	if err := r.checkToolChoice(); err != nil {
		return err
	}
	if err := r.checkThinking(); err != nil {
		return err
	}
	for i, s := range r.StopSequences {
		if strings.TrimSpace(s) == "" {
			return fmt.Errorf("stop_sequences[%d] is blank", i)
		}
	}
	return errors.Join(family.Between("temperature", r.Temperature, 0, 1), family.Between("top_p", r.TopP, 0, 1))
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

func (t *Tool) check() error {
	switch {
	case t.Name == "":
		return errors.New("it has no name")
	case t.Type != "" && t.Type != "custom":
		return nil // one of Anthropic's
	case !toolName.MatchString(t.Name):
		return fmt.Errorf("the name %q is not of 1 to 128 letters, digits, _ and -", t.Name)
	case !isObject(t.InputSchema):
		return errors.New(`input_schema is no JSON object; the least is {"type":"object"}`)
	}
	return nil
}

// isObject reports whether JSON is an object.
func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte{'{'}) && json.Valid(raw)
}

func (r *Request) checkToolChoice() error {
	c := r.ToolChoice
	if c == nil {
		return nil
	}
	switch c.Type {
	case "auto", "any", "none":
		if c.Name != "" {
			return fmt.Errorf("tool_choice names %q, but its type is %q; to force a tool it is \"tool\"", c.Name, c.Type)
		}
	case "tool":
		if !slices.ContainsFunc(r.Tools, func(t Tool) bool { return t.Name == c.Name }) {
			return fmt.Errorf("tool_choice names %q, which is not among the tools", c.Name)
		}
	default:
		return fmt.Errorf("tool_choice.type is %q; it is auto, any, tool or none", c.Type)
	}
	return nil
}

// minThinking is the least budget of extended thinking.
const minThinking = 1024

func (r *Request) checkThinking() error {
	t := r.Thinking
	if t == nil {
		return nil
	}
	interleaved := slices.ContainsFunc(r.AnthropicBeta, func(name string) bool { return strings.HasPrefix(name, "interleaved-thinking") })
	switch {
	case t.Type == "":
		return errors.New("thinking has no type; it is adaptive, enabled, between_tools or disabled")
	case t.Type != "enabled":
		return nil
	case t.BudgetTokens < minThinking:
		return fmt.Errorf("thinking.budget_tokens is %d; it is at least %d", t.BudgetTokens, minThinking)
	case t.BudgetTokens >= r.MaxTokens && !interleaved:
		return fmt.Errorf("thinking.budget_tokens is %d and leaves nothing of the %d of max_tokens for the answer", t.BudgetTokens, r.MaxTokens)
	}
	return nil
}

// marks counts the marks of the prompt cache, in the order of the prefix.
type marks struct {
	n     int
	short bool // one of five minutes was among them
}

// maxMarks is the most marks of a request ("Prompt caching for faster model
// inference", Bedrock User Guide).
const maxMarks = 4

func (m *marks) add(c *CacheControl) error {
	if c == nil {
		return nil
	}
	if m.n++; m.n > maxMarks {
		return fmt.Errorf("it is mark %d of the prompt cache; a request has %d at most", m.n, maxMarks)
	}
	switch {
	case c.Type != "ephemeral":
		return fmt.Errorf("its type is %q; it is ephemeral, as anthropic.Cache makes it", c.Type)
	case c.TTL == "1h" && m.short:
		return errors.New("a TTL of 1h comes after one of 5m; the longer ones come first")
	case c.TTL == "" || c.TTL == "5m":
		m.short = true
	case c.TTL != "1h":
		return fmt.Errorf("its ttl is %q; it is 5m or 1h", c.TTL)
	}
	return nil
}

// check returns an error whose text goes on where the block's path ends.
func (b *Block) check(m *marks) error {
	if err := m.add(b.CacheControl); err != nil {
		return fmt.Errorf(".cache_control: %w", err)
	}
	switch {
	case b.Raw != nil:
	case b.Type == "":
		return errors.New(": it has no type")
	case !blockTypes[b.Type]:
		return fmt.Errorf(": the type %q is not known here; give the whole block as raw JSON", b.Type)
	case b.Type == "text" && strings.TrimSpace(b.Text) == "":
		return errors.New(".text is blank")
	case (b.Type == "image" || b.Type == "document") && b.Source.empty():
		return errors.New(".source is empty")
	case b.Type == "tool_use" && (b.ID == "" || b.Name == ""):
		return errors.New(": a tool_use has an id and a name")
	case b.Type == "tool_use" && len(b.Input) > 0 && !isObject(b.Input):
		return errors.New(".input is no JSON object")
	case b.Type == "tool_result" && b.ToolUseID == "":
		return errors.New(".tool_use_id is empty")
	}
	for i := range b.Content {
		if err := b.Content[i].check(m); err != nil {
			return fmt.Errorf(".content[%d]%w", i, err)
		}
	}
	return nil
}

func (s *Source) empty() bool {
	return s == nil || len(s.Data) == 0 && len(s.Content) == 0 && s.URL == "" && s.FileID == "" && len(s.Extra) == 0
}
