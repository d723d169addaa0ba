package guardrail

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// ChecksAPI is what [Checks] calls of a *bedrockruntime.Client.
type ChecksAPI interface {
	InvokeGuardrailChecks(context.Context, *bedrockruntime.InvokeGuardrailChecksInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeGuardrailChecksOutput, error)
}

// ChecksOptions are the options of [Checks]. The zero value of a field means its
// default.
type ChecksOptions struct {
	// Content are the categories of harmful content to look for. The default is all;
	// an empty list that is not nil means none.
	Content []types.GuardrailChecksContentFilterCategory

	// Attacks are the attacks to look for in prompts. The default is all; an empty
	// list that is not nil means none.
	Attacks []types.GuardrailChecksPromptAttackCategory

	// Entities are the kinds of sensitive information to look for. The default
	// is none.
	Entities []types.GuardrailChecksSensitiveInformationEntityType

	// Severity and Confidence are the lowest scores, from 0 to 1, at which a finding
	// intervenes: Severity for content and attacks, Confidence for sensitive
	// information. The default is 0.5; negative means that findings are only reported.
	Severity, Confidence float64
}

// Checks returns a checker that asks the service's classifiers without a guardrail in
// the account. It needs the IAM action bedrock:InvokeGuardrailChecks. Such checks have
// no text to show: the Verdict's Text is empty. Their price is not known.
func Checks(api ChecksAPI, optFns ...func(*ChecksOptions)) Checker {
	c := &checks{api: api}
	for _, fn := range optFns {
		fn(&c.o)
	}
	if c.o.Content == nil {
		c.o.Content = types.GuardrailChecksContentFilterCategory("").Values()
	}
	if c.o.Attacks == nil {
		c.o.Attacks = types.GuardrailChecksPromptAttackCategory("").Values()
	}
	for _, bound := range []*float64{&c.o.Severity, &c.o.Confidence} {
		switch {
		case *bound == 0:
			*bound = 0.5
		case *bound < 0:
			*bound = 2 // no score is so high
		}
	}
	return c
}

type checks struct {
	api ChecksAPI
	o   ChecksOptions
}

func (c *checks) Check(ctx context.Context, source Source, texts []string) (Verdict, error) {
	message := types.GuardrailChecksMessage{Role: types.GuardrailChecksRoleUser}
	if source == Output {
		message.Role = types.GuardrailChecksRoleAssistant
	}
	for _, text := range texts {
		message.Content = append(message.Content, &types.GuardrailChecksContentBlockMemberText{Value: text})
	}
	began := time.Now()
	v := Verdict{Guardrail: "checks", Source: source}
	config := c.config(source)
	if config == nil {
		return v, nil // there is nothing to look for
	}
	out, err := c.api.InvokeGuardrailChecks(ctx, &bedrockruntime.InvokeGuardrailChecksInput{Checks: config, Messages: []types.GuardrailChecksMessage{message}})
	if err != nil {
		return Verdict{}, fmt.Errorf("guardrail checks: %w", err)
	}
	v.Latency = time.Since(began)
	if out.Results == nil {
		return Verdict{}, fmt.Errorf("guardrail checks: the response has no results")
	}
	if r := out.Results.ContentFilter; r != nil {
		for _, entry := range r.Results {
			c.scored(&v, Content, string(entry.Category), entry.SeverityScore, c.o.Severity)
		}
	}
	if r := out.Results.PromptAttack; r != nil {
		for _, entry := range r.Results {
			c.scored(&v, PromptAttack, string(entry.Category), entry.SeverityScore, c.o.Severity)
		}
	}
	if r := out.Results.SensitiveInformation; r != nil {
		for _, entry := range r.Results {
			f := c.scored(&v, PII, string(entry.Type), entry.ConfidenceScore, c.o.Confidence)
			if i := int(aws.ToInt32(entry.ContentIndex)); f != nil && i >= 0 && i < len(texts) {
				f.Match = between(texts[i], int(aws.ToInt32(entry.BeginOffset)), int(aws.ToInt32(entry.EndOffset)))
			}
		}
	}
	return v, nil
}

// config says what is looked for; nil if that is nothing.
func (c *checks) config(source Source) *types.GuardrailChecksConfig {
	config := &types.GuardrailChecksConfig{}
	if len(c.o.Content) > 0 {
		config.ContentFilter = &types.GuardrailChecksContentFilterConfig{}
		for _, category := range c.o.Content {
			config.ContentFilter.Categories = append(config.ContentFilter.Categories, types.GuardrailChecksContentFilterCategoryConfig{Category: category})
		}
	}
	if len(c.o.Attacks) > 0 && source == Input {
		config.PromptAttack = &types.GuardrailChecksPromptAttackConfig{}
		for _, category := range c.o.Attacks {
			config.PromptAttack.Categories = append(config.PromptAttack.Categories, types.GuardrailChecksPromptAttackCategoryConfig{Category: category})
		}
	}
	if len(c.o.Entities) > 0 {
		config.SensitiveInformation = &types.GuardrailChecksSensitiveInformationConfig{}
		for _, entity := range c.o.Entities {
			config.SensitiveInformation.Entities = append(config.SensitiveInformation.Entities, types.GuardrailChecksSensitiveInformationEntityConfig{Type: entity})
		}
	}
	if *config == (types.GuardrailChecksConfig{}) {
		return nil
	}
	return config
}

// scored adds a finding with a score of more than nothing. One that reaches the
// bound intervenes.
func (c *checks) scored(v *Verdict, policy Policy, name string, score *float64, bound float64) *Finding {
	s := aws.ToFloat64(score)
	if s <= 0 {
		return nil
	}
	f := Finding{Policy: policy, Name: name, Score: s, Action: "NONE"}
	if s >= bound {
		f.Action, v.Intervened = "BLOCKED", true
	}
	v.Findings = append(v.Findings, f)
	return &v.Findings[len(v.Findings)-1]
}

// between is a part of a text by offsets in characters.
func between(text string, begin, end int) string {
	at := 0
	from, to := len(text), len(text)
	for i := range text {
		if at == begin {
			from = i
		}
		if at == end {
			to = i
			break
		}
		at++
	}
	if begin < 0 || from > to || begin > utf8.RuneCountInString(text) {
		return ""
	}
	return text[from:to]
}
