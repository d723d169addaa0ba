package bedrocktest

import (
	"fmt"
	"slices"
	"strings"
)

// Violations of the constraints of the API's model. The service looks at all of a
// request first and names them together:
//
//	2 validation errors detected: Value '' at 'toolConfig.tools.1.member.toolSpec.name'
//	failed to satisfy constraint: Member must have length greater than or equal to 1; …
//
// Source: messages of the service that its users have published (BerriAI/litellm
// #24668 and #19384, genkit-ai/aws-bedrock-js-plugin #43).
type violations []string

// add is a value that breaks a rule. The value is not shown if it is not a plain
// one: a list or an object.
func (v *violations) add(value, at, rule string) {
	*v = append(*v, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", value, at, rule))
}

// list is a list or an object that breaks a rule.
func (v *violations) list(at, rule string) {
	*v = append(*v, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", at, rule))
}

func (v *violations) missing(at string) { v.list(at, "Member must not be null") }

func (v *violations) oneOf(value, at string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.add(value, at, "Member must satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
	}
}

// reply is the refusal, or nil.
func (v violations) reply() *Reply {
	if len(v) == 0 {
		return nil
	}
	errors := "errors"
	if len(v) == 1 {
		errors = "error"
	}
	return invalid("%s", fmt.Sprintf("%d validation %s detected: %s", len(v), errors, strings.Join(v, "; ")))
}
