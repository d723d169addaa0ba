package bedrocktest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
)

// A Guardrail is one that requests may name. It looks at the last user message
// and at the answer: a word in either blocks it, what matches a pattern is hidden
// in the answer. The trace has both.
type Guardrail struct {
	ID      string // as it is named in requests; its ARN is taken too
	Version string // the default is DRAFT

	// Words block a text that holds one, in any case.
	Words []string

	// Patterns by name, in the syntax of package regexp. What matches is
	// replaced by {name}.
	Patterns map[string]string

	// InputMessage and OutputMessage stand in place of what is blocked.
	InputMessage, OutputMessage string
}

// A finding is what a guardrail says of a text.
type finding struct {
	text       string // what may be shown
	blocked    bool
	changed    bool // something was hidden
	words      []object
	regexes    []object
	characters int
}

func (f finding) intervened() bool { return f.blocked || f.changed }

// check says what is wrong with a guardrail.
func (g Guardrail) check() error {
	if g.ID == "" {
		return errors.New("it has no ID")
	}
	for _, name := range sortedKeys(g.Patterns) {
		if _, err := regexp.Compile(g.Patterns[name]); err != nil {
			return fmt.Errorf("the pattern %s: %w", name, err)
		}
	}
	return nil
}

// find looks into a text.
func (g *Guardrail) find(text, message string) finding {
	f := finding{text: text, characters: utf8.RuneCountInString(text)}
	lower := strings.ToLower(text)
	for _, w := range g.Words {
		if w != "" && strings.Contains(lower, strings.ToLower(w)) {
			f.words = append(f.words, object{"match": w, "action": "BLOCKED", "detected": true})
			f.blocked = true
		}
	}
	for _, name := range sortedKeys(g.Patterns) {
		re := regexp.MustCompile(g.Patterns[name]) // New has checked it
		for _, match := range re.FindAllString(f.text, -1) {
			f.regexes = append(f.regexes, object{"name": name, "match": match, "regex": g.Patterns[name], "action": "ANONYMIZED", "detected": true})
			f.changed = true
		}
		f.text = re.ReplaceAllLiteralString(f.text, "{"+name+"}")
	}
	if f.blocked {
		f.text = message
		if f.text == "" {
			f.text = "Sorry, the model cannot answer this question."
		}
	}
	return f
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// assessment is the finding as the API writes it.
func (f finding) assessment() object {
	v := object{"invocationMetrics": object{
		"guardrailProcessingLatency": 50 + f.characters/100,
		"usage":                      f.units(),
		"guardrailCoverage":          f.coverage(),
	}}
	if f.words != nil {
		v["wordPolicy"] = object{"customWords": f.words, "managedWordLists": []any{}}
	}
	if f.regexes != nil {
		v["sensitiveInformationPolicy"] = object{"piiEntities": []any{}, "regexes": f.regexes}
	}
	return v
}

// units counts text units of 1,000 characters.
func (f finding) units() object {
	n := (f.characters + 999) / 1000
	return object{
		"topicPolicyUnits": 0, "contentPolicyUnits": 0, "wordPolicyUnits": n, "sensitiveInformationPolicyUnits": 0,
		"sensitiveInformationPolicyFreeUnits": n, "contextualGroundingPolicyUnits": 0,
	}
}

func (f finding) coverage() object {
	return object{"textCharacters": object{"guarded": f.characters, "total": f.characters}}
}

// guardrail finds one that a request names.
func (s *Server) guardrail(id, version string) (*Guardrail, *Reply) {
	if _, name, ok := strings.Cut(id, ":guardrail/"); ok {
		id = name
	}
	for i := range s.opts.Guardrails {
		g := &s.opts.Guardrails[i]
		want := g.Version
		if want == "" {
			want = "DRAFT"
		}
		if g.ID == id && want == version {
			return g, nil
		}
	}
	return nil, Error(400, "ValidationException", "The guardrail identifier or version provided in the request does not exist.")
}

// guard checks a request's last user message. A blocked one is answered by the
// guardrail, and no model is asked.
func (x *exchange) guard() *Reply {
	req := x.req
	if req.guardrail == nil {
		return nil
	}
	f := req.guardrail.find(req.LastText(), req.guardrail.InputMessage)
	x.guarded = &f
	if !f.blocked {
		return nil
	}
	// Only the guardrail is charged for, not the model. Source: "How charges are
	// calculated for Amazon Bedrock Guardrails", User Guide.
	return Text(f.text).Stop(bedrockkit.StopGuardrailIntervened).Usage(bedrockkit.Usage{})
}

// guardAnswer checks what the model said.
func (a *answer) guardAnswer() {
	g := a.req.guardrail
	if g == nil || a.stop == bedrockkit.StopGuardrailIntervened {
		return
	}
	var all finding
	for i := range a.blocks {
		b := &a.blocks[i]
		if !b.isText() {
			continue
		}
		f := g.find(b.Text, g.OutputMessage)
		all.words, all.regexes = append(all.words, f.words...), append(all.regexes, f.regexes...)
		all.characters += f.characters
		all.blocked, all.changed = all.blocked || f.blocked, all.changed || f.changed
		if f.blocked {
			a.blocks = []Block{{Text: f.text, pieces: tokens(f.text)}}
			break
		}
		if f.changed {
			b.Text, b.pieces = f.text, tokens(f.text)
		}
	}
	if all.intervened() {
		a.stop, a.stopSequence = bedrockkit.StopGuardrailIntervened, ""
	}
	a.guardedOutput = &all
}

// guardrailTrace is the trace of a Converse response, if it was asked for.
func (a *answer) guardrailTrace() object {
	req := a.req
	if req.guardrail == nil || !strings.HasPrefix(req.trace, "enabled") {
		return nil
	}
	v := object{}
	if a.guardedInput != nil {
		v["inputAssessment"] = object{req.guardrail.ID: a.guardedInput.assessment()}
	}
	if a.guardedOutput != nil {
		v["outputAssessments"] = object{req.guardrail.ID: []object{a.guardedOutput.assessment()}}
	}
	return object{"guardrail": v}
}

// withAction adds to an InvokeModel body, or to the last event of its stream,
// what a guardrail did.
func (a *answer) withAction(body []byte) []byte {
	if a.req.guardrail == nil {
		return body
	}
	action := "NONE"
	if a.stop == bedrockkit.StopGuardrailIntervened {
		action = "INTERVENED"
	}
	return fmt.Appendf(body[:len(body)-1], `,"amazon-bedrock-guardrailAction":"%s"}`, action)
}
