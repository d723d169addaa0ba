package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
)

// guardrail lets a guardrail of Amazon Bedrock check each question and each answer.
func (b *builder) guardrail(context.Context) (func(*assistant.Options), error) {
	g, err := b.Settings.guardrail()
	if err != nil {
		return nil, err
	}
	if g.ID == "" {
		b.say("guardrail", "none")
		return func(*assistant.Options) {}, nil
	}
	b.say("guardrail", "%s, version %s", g.ID, g.Version)
	return func(o *assistant.Options) { o.Guardrail = g }, nil
}

// guardrail is the one that -guardrail names, the zero value for none. An ARN has
// colons of its own.
func (s Settings) guardrail() (g bedrockkit.Guardrail, err error) {
	if s.Guardrail == "" {
		return g, nil
	}
	if at := strings.LastIndexByte(s.Guardrail, ':'); at > 0 {
		g.ID, g.Version = s.Guardrail[:at], s.Guardrail[at+1:]
	}
	if g.ID == "" || g.Version == "" {
		return g, fmt.Errorf("-guardrail is %q; it is an id or an ARN, and the version after a colon, such as gr12abc34def:1", s.Guardrail)
	}
	return g, nil
}

// offlineGuardrails are what the offline model has under the name of -guardrail: one
// that blocks questions about pirated copies, and hides e-mail addresses in answers.
func (s Settings) offlineGuardrails() []bedrocktest.Guardrail {
	g, err := s.guardrail()
	if err != nil || g.ID == "" {
		return nil
	}
	if _, id, ok := strings.Cut(g.ID, ":guardrail/"); ok {
		g.ID = id
	}
	return []bedrocktest.Guardrail{{
		ID: g.ID, Version: g.Version, Words: []string{"pirated", "海賊版"},
		Patterns:     map[string]string{"EMAIL": `[\w.+-]+@[\w-]+\.[\w.]+`},
		InputMessage: "This store does not talk about pirated copies. / 当店では海賊版についてはお答えしません。",
	}}
}
