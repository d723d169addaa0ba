package guardrail

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/pricing"
)

// ApplyAPI is what [Apply] calls of a *bedrockruntime.Client.
type ApplyAPI interface {
	ApplyGuardrail(context.Context, *bedrockruntime.ApplyGuardrailInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.ApplyGuardrailOutput, error)
}

// Apply returns a checker that asks a guardrail of the account, by its id or ARN
// and a version, such as "1" or "DRAFT". It needs the IAM action
// bedrock:ApplyGuardrail on it.
func Apply(api ApplyAPI, id, version string) Checker { return &applied{api, id, version} }

type applied struct {
	api         ApplyAPI
	id, version string
}

func (a *applied) Check(ctx context.Context, source Source, texts []string) (Verdict, error) {
	in := &bedrockruntime.ApplyGuardrailInput{GuardrailIdentifier: &a.id, GuardrailVersion: &a.version, Source: types.GuardrailContentSourceInput}
	if source == Output {
		in.Source = types.GuardrailContentSourceOutput
	}
	for _, text := range texts {
		in.Content = append(in.Content, &types.GuardrailContentBlockMemberText{Value: types.GuardrailTextBlock{Text: &text}})
	}
	began := time.Now()
	out, err := a.api.ApplyGuardrail(ctx, in)
	if err != nil {
		return Verdict{}, fmt.Errorf("guardrail %s: %w", a.id, err)
	}
	v := Verdict{Guardrail: a.id, Source: source, Intervened: out.Action == types.GuardrailActionGuardrailIntervened, Latency: time.Since(began)}
	var shown []string
	for _, o := range out.Outputs {
		shown = append(shown, aws.ToString(o.Text))
	}
	v.Text = strings.Join(shown, "\n")
	for i := range out.Assessments {
		v.Findings = append(v.Findings, findings(&out.Assessments[i])...)
	}
	if out.Usage != nil {
		v.Units = units(out.Usage)
	}
	return v, nil
}

// units are the text units of a response.
func units(u *types.GuardrailUsage) pricing.Units {
	all := pricing.Units{}
	for dimension, n := range map[pricing.Dimension]*int32{
		pricing.GuardrailContent: u.ContentPolicyUnits, pricing.GuardrailImage: u.ContentPolicyImageUnits, pricing.GuardrailTopic: u.TopicPolicyUnits,
		pricing.GuardrailWord: u.WordPolicyUnits, pricing.GuardrailPII: u.SensitiveInformationPolicyUnits,
		pricing.GuardrailRegex: u.SensitiveInformationPolicyFreeUnits, pricing.GuardrailGrounding: u.ContextualGroundingPolicyUnits,
		pricing.GuardrailReasoning: u.AutomatedReasoningPolicyUnits,
	} {
		if n := aws.ToInt32(n); n > 0 {
			all[dimension] = int64(n)
		}
	}
	return all
}

// levels are the confidences of content filters as scores.
var levels = map[types.GuardrailContentFilterConfidence]float64{
	types.GuardrailContentFilterConfidenceLow: 1.0 / 3, types.GuardrailContentFilterConfidenceMedium: 2.0 / 3, types.GuardrailContentFilterConfidenceHigh: 1,
}

// findings are those of an assessment. With the scope FULL it also has what was
// looked for and not found; that is left out.
func findings(a *types.GuardrailAssessment) []Finding {
	var all []Finding
	add := func(detected *bool, f Finding) {
		if detected == nil || *detected {
			all = append(all, f)
		}
	}
	if p := a.ContentPolicy; p != nil {
		for _, f := range p.Filters {
			policy := Content
			if f.Type == types.GuardrailContentFilterTypePromptAttack {
				policy = PromptAttack
			}
			add(f.Detected, Finding{Policy: policy, Name: string(f.Type), Action: string(f.Action), Score: levels[f.Confidence]})
		}
	}
	if p := a.TopicPolicy; p != nil {
		for _, f := range p.Topics {
			add(f.Detected, Finding{Policy: Topic, Name: aws.ToString(f.Name), Action: string(f.Action)})
		}
	}
	if p := a.WordPolicy; p != nil {
		for _, f := range p.CustomWords {
			add(f.Detected, Finding{Policy: Word, Action: string(f.Action), Match: aws.ToString(f.Match)})
		}
		for _, f := range p.ManagedWordLists {
			add(f.Detected, Finding{Policy: Word, Name: string(f.Type), Action: string(f.Action), Match: aws.ToString(f.Match)})
		}
	}
	if p := a.SensitiveInformationPolicy; p != nil {
		for _, f := range p.PiiEntities {
			add(f.Detected, Finding{Policy: PII, Name: string(f.Type), Action: string(f.Action), Match: aws.ToString(f.Match)})
		}
		for _, f := range p.Regexes {
			add(f.Detected, Finding{Policy: Regex, Name: aws.ToString(f.Name), Action: string(f.Action), Match: aws.ToString(f.Match)})
		}
	}
	if p := a.ContextualGroundingPolicy; p != nil {
		for _, f := range p.Filters {
			add(f.Detected, Finding{Policy: Grounding, Name: string(f.Type), Action: string(f.Action), Score: aws.ToFloat64(f.Score)})
		}
	}
	if p := a.AutomatedReasoningPolicy; p != nil && len(p.Findings) > 0 {
		all = append(all, Finding{Policy: Reasoning})
	}
	return all
}
