package bedrocktest

import (
	"fmt"
	"strings"
)

// Log is the conversation so far, for people: what was asked and how it was
// answered, texts cut to a line.
func (s *Server) Log() string {
	var b strings.Builder
	requests := s.Requests()
	fmt.Fprintf(&b, "bedrocktest: %d requests", len(requests))
	for _, r := range requests {
		name := string(r.Op)
		if name == "" {
			name = r.Method + " " + r.Path
		}
		fmt.Fprintf(&b, "\n#%d %s %s (%s)", r.N, name, r.Model, r.Proto)
		for _, t := range r.System {
			fmt.Fprintf(&b, "\n     system: %s", line(t))
		}
		for _, m := range r.Messages {
			for _, blk := range m.Blocks {
				fmt.Fprintf(&b, "\n     %s: %s", m.Role, blk.describe())
			}
		}
		o := r.Outcome
		fmt.Fprintf(&b, "\n  -> %d", o.Status)
		if o.Code != "" {
			b.WriteString(" " + o.Code)
		}
		if o.Events > 0 {
			fmt.Fprintf(&b, ", %d events", o.Events)
		}
		fmt.Fprintf(&b, ", %d bytes", o.Bytes)
		if o.End != "" {
			fmt.Fprintf(&b, ", %s", o.End)
		}
		if !o.Done {
			b.WriteString(", not finished")
		}
	}
	return b.String()
}

func (b Block) describe() string {
	switch {
	case b.ToolUse != nil:
		return fmt.Sprintf("calls %s(%s) %s", b.ToolUse.Name, line(string(b.ToolUse.Input)), b.ToolUse.ID)
	case b.ToolResult != nil:
		status := ""
		if b.ToolResult.Error {
			status = "error "
		}
		return fmt.Sprintf("result of %s: %s%s", b.ToolResult.ID, status, line(b.ToolResult.Text()))
	case b.Reasoning != nil:
		return "reasoning: " + line(b.Reasoning.Text)
	case b.Text != "":
		return line(b.Text)
	}
	return line(string(b.Raw))
}

func line(s string) string {
	const limit = 200
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return s
}
