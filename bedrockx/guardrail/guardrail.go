package guardrail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/pricing"
)

// ErrIntervened matches every [*InterventionError], for errors.Is.
var ErrIntervened = errors.New("the guardrail intervened")

// ErrNoText is the error of a prompt that cannot be checked, because this package does
// not know the form of its body. For your own bodies, set [Options.Texts]. A prompt
// that is known to have no text, such as one with only images, passes.
var ErrNoText = errors.New("the body has no text that the guardrail could check")

// A Source says what is checked.
type Source string

// The sources.
const (
	Input  Source = "input"  // a prompt
	Output Source = "output" // an answer
)

// A Checker checks texts. It must be safe for concurrent use. If it costs nothing, it
// must return a Cost of zero, because a nil Cost makes the cost of the call unknown.
type Checker interface {
	Check(ctx context.Context, source Source, texts []string) (Verdict, error)
}

// A Verdict is the result of a guardrail for a prompt or an answer.
type Verdict struct {
	Guardrail  string    `json:"guardrail"` // its id, or "checks"
	Source     Source    `json:"source"`
	Intervened bool      `json:"intervened"`
	Text       string    `json:"text,omitempty"` // what to show instead: a message, or the text with parts of it masked
	Findings   []Finding `json:"findings,omitempty"`

	// Units are the text units that the guardrail has read, by dimension of
	// package pricing, and Cost what they cost; nil if that is not known.
	Units   pricing.Units   `json:"units,omitempty"`
	Cost    *pricing.Amount `json:"cost,omitempty"`
	Latency time.Duration   `json:"latency_ns,omitempty"`
}

// A Policy is a kind of check.
type Policy string

// The policies.
const (
	Content      Policy = "content"       // hate, insults, sexual, violence, misconduct
	PromptAttack Policy = "prompt_attack" // jailbreaks and injected instructions
	Topic        Policy = "topic"         // denied topics
	Word         Policy = "word"          // your own words and managed lists
	PII          Policy = "pii"           // sensitive information: names, numbers
	Regex        Policy = "regex"         // sensitive information by regular expressions
	Grounding    Policy = "grounding"     // contextual grounding and relevance
	Reasoning    Policy = "reasoning"     // automated reasoning
)

// A Finding is something that a policy has found.
type Finding struct {
	Policy Policy `json:"policy"`
	Name   string `json:"name,omitempty"`   // of the filter, topic, entity or expression; empty for words
	Action string `json:"action,omitempty"` // "BLOCKED", "ANONYMIZED" or "NONE"; empty if it only scores

	// Score is the severity or confidence, from 0 to 1. Content filters have three
	// levels: 1/3, 2/3 or 1.
	Score float64 `json:"score,omitempty"`

	// Match is the text that was found. It may be personal data: keep it out of
	// logs.
	Match string `json:"match,omitempty"`
}

// An InterventionError is the error of a call whose prompt or answer a guardrail
// has refused.
type InterventionError struct{ Verdict Verdict }

// Error names the guardrail and what it found, without the texts.
func (e *InterventionError) Error() string {
	var found []string
	for _, f := range e.Verdict.Findings {
		what := string(f.Policy)
		if f.Name != "" && f.Policy != Regex { // an expression's name may tell what it looks for
			what += " " + f.Name
		}
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	text := fmt.Sprintf("guardrail %s intervened on the %s", e.Verdict.Guardrail, e.Verdict.Source)
	if len(found) > 0 {
		text += ": " + strings.Join(found, ", ")
	}
	return text
}

// Is reports whether target is [ErrIntervened].
func (*InterventionError) Is(target error) bool { return target == ErrIntervened }
