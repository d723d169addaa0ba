package converse

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/internal/outputschema"
)

// NoMaxTokens, as [Request.MaxTokens] or [Options.MaxTokens], sends no bound on the
// answer. The model's own bound then applies, and the service reserves that many
// tokens of the quota.
const NoMaxTokens = -1

// answerTokens is the bound on an answer, without the thinking before it.
const answerTokens = 2048

// maxTokens is the bound on an answer by default: the options', or room for an
// answer and for what the model thinks before it, as far as the model gives.
func (r *Request) maxTokens(s *subject, options int) int {
	t := r.thought(s)
	if options < 0 || s.Thinking.Kind == bedrockkit.ThinkingNova && t.effort == "high" {
		return NoMaxTokens
	}
	most := answerTokens + r.room(s)
	if options > 0 {
		most = options + max(0, r.Thinking)
	}
	if s.MaxOutput > 0 {
		most = min(most, max(options, s.MaxOutput)) // a bound of the caller's that is too high is an error
	}
	return most
}

// takesTemperature reports whether a temperature that nobody asked for in this
// request may be sent.
func (r *Request) takesTemperature(s *subject, temperature float64) bool {
	t := r.thought(s)
	switch {
	case s.Sampling.Temperature.Takes(temperature) == bedrockkit.No,
		s.Sampling.Both == bedrockkit.No && r.TopP != nil,
		s.Thinking.Kind == bedrockkit.ThinkingNova && t.effort == "high",
		t.asked && t.on():
		return false
	}
	return true
}

// fit changes what a model is known to refuse and what can be left out or put in
// another way without a loss: reasoning that no model takes back, the mark of
// strict tools, the form of schemas. It reports to skip what is left out. The slices
// of r stay as they are.
func (r Request) fit(s *subject, skip func(string, bedrockkit.Support)) Request {
	r.Messages = takenBack(r.Messages, s)
	copied := false
	for i := range r.Tools {
		t, changed := fitTool(r.Tools[i], s)
		if t.Strict && s.no(bedrockkit.FeatureStrictTools) {
			t.Strict, changed = false, true
			skip(bedrockx.SkipStrictTools, bedrockkit.No)
		}
		if !changed {
			continue
		}
		if !copied {
			r.Tools, copied = slices.Clone(r.Tools), true
		}
		r.Tools[i] = t
	}
	r.OutputFormat = r.OutputFormat.closed()
	return r
}

// closed is a format as the service wants it, with its objects closed and without
// keywords that it refuses: see package outputschema. What cannot be put so stays as it is.
func (f *OutputFormat) closed() *OutputFormat {
	if f == nil {
		return nil
	}
	strict, err := outputschema.Close(f.Schema)
	if err != nil {
		return f
	}
	closed := *f
	closed.Schema = strict
	return &closed
}

// takenBack is a history without the reasoning that its model does not take
// back: none that is not signed, and none at all if the model is known and not
// Claude's, since only Claude signs and only Claude reads what it signed or
// encrypted. Of a model that is not known, what is signed goes out.
// Sources: langchain-ai/langchain-aws issue 401, can1357/oh-my-pi issues 333 and
// 9086, run-llama/llama_index issue 20851, vercel/ai issue 14720.
func takenBack(messages []Message, s *subject) []Message {
	refused := func(c Content) bool {
		switch c := c.(type) {
		case Reasoning:
			return c.Signature == "" || s.ID != "" && !s.claude()
		case Redacted:
			return s.base != "" && !s.claude()
		}
		return false
	}
	return withoutContent(messages, 0, refused)
}

// refusesReasoning reports whether the model is known to refuse reasoning in a
// request: "User messages cannot contain reasoning content".
func (s *subject) refusesReasoning() bool { return s.is("deepseek.r1") || s.is("amazon.nova-2-") }

// withoutContent is a history without some content of its messages from one on.
// A message that nothing would be left of stays as it is.
func withoutContent(messages []Message, from int, drop func(Content) bool) []Message {
	out := messages
	for i := from; i < len(messages); i++ {
		content := messages[i].Content
		if !slices.ContainsFunc(content, drop) {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(content), drop)
		if len(kept) == 0 {
			continue
		}
		if &out[0] == &messages[0] {
			out = slices.Clone(messages)
		}
		out[i].Content = kept
	}
	return out
}

// unions are the keywords that Claude does not take at the top of a tool's
// schema: "input_schema does not support oneOf, allOf, or anyOf at the top
// level" (trycua/cua issue 3303).
var unions = []string{"anyOf", "oneOf", "allOf"}

// topUnion is a union at the top of a schema, or empty.
func topUnion(schema json.RawMessage) string {
	found := ""
	topKeys(schema, func(key []byte) {
		if i := index(unions, key); i >= 0 {
			found = unions[i]
		}
	})
	return found
}

// topKeys calls each with the keys of a JSON object. It runs for each tool of a
// request, and allocates nothing.
func topKeys(raw json.RawMessage, each func(key []byte)) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return
	}
	jsonscan.Members(raw, 0, 0, func(key, _ []byte) { each(key[1 : len(key)-1]) })
}

// index is the place of a key in a list, or -1.
func index(list []string, key []byte) int {
	for i, name := range list {
		if string(key) == name {
			return i
		}
	}
	return -1
}

// novaKeys are what Nova takes at the top of a tool's schema; with others it may
// ignore the tool. Definitions are kept, as the properties may refer to them.
// Source: Amazon Nova User Guide, "Troubleshooting tool calls", 2026-11.
var novaKeys = []string{"type", "properties", "required", "$defs", "definitions"}

// fitTool is a tool whose schema has the form that the model's family takes. What
// is taken out of the top and says something of the arguments goes into the
// description; the arguments are checked against the tool's own schema.
func fitTool(t ToolSpec, s *subject) (_ ToolSpec, changed bool) {
	unfit := false
	claude, nova := s.claude(), s.nova()
	topKeys(t.InputSchema, func(key []byte) {
		unfit = unfit || claude && index(unions, key) >= 0 || nova && index(novaKeys, key) < 0
	})
	if !unfit {
		return t, false
	}
	list, err := members(t.InputSchema)
	if err != nil {
		return t, false
	}
	merged := mergeUnions(list)
	kept := make([]member, 0, len(merged))
	for _, m := range merged {
		switch {
		case slices.Contains(unions, m.Key), s.nova() && !slices.Contains(novaKeys, m.Key):
			if note := compact(m.Value); note != "" && !slices.Contains(silentKeys, m.Key) {
				t.Description = appendNote(t.Description, m.Key+": "+note)
			}
		default:
			kept = append(kept, m)
		}
	}
	t.InputSchema = jsonscan.Join(kept)
	return t, true
}

// silentKeys are keywords that say nothing of the arguments that the model has to
// keep to.
var silentKeys = []string{"$schema", "$id", "$comment", "title", "additionalProperties", "examples"}

func appendNote(description, note string) string {
	if description != "" {
		description += " "
	}
	return description + "(" + note + ")"
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// mergeUnions gives the top of a schema the properties that only the branches of
// its unions have, so that the model sees them where it must not see the union.
// What all branches of an allOf require is required.
func mergeUnions(list []member) []member {
	properties, _ := members(find(list, "properties"))
	var required []string
	_ = json.Unmarshal(find(list, "required"), &required) // none, or of another form
	for _, m := range list {
		if !slices.Contains(unions, m.Key) {
			continue
		}
		branches, _ := jsonscan.Entries(bytes.TrimSpace(m.Value), '[')
		for _, branch := range branches {
			parts, _ := jsonscan.Entries(bytes.TrimSpace(branch.Value), '{')
			more, _ := members(find(parts, "properties"))
			for _, p := range more {
				if find(properties, p.Key) == nil {
					properties = append(properties, p)
				}
			}
			var also []string
			if m.Key == "allOf" && json.Unmarshal(find(parts, "required"), &also) == nil {
				for _, name := range also {
					if !slices.Contains(required, name) {
						required = append(required, name)
					}
				}
			}
		}
	}
	out := slices.Clone(list)
	set := func(key string, value json.RawMessage) {
		i := slices.IndexFunc(out, func(m member) bool { return m.Key == key })
		if i < 0 {
			out = append(out, member{Key: key, Value: value})
		} else {
			out[i].Value = value
		}
	}
	if len(properties) > 0 {
		set("properties", jsonscan.Join(properties))
	}
	if len(required) > 0 {
		raw, _ := json.Marshal(required) // strings
		set("required", raw)
	}
	return out
}
