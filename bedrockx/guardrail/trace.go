package guardrail

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// ParseTrace reads the trace of a Converse response whose request named a guardrail
// with its trace enabled: converse.Response.Trace. It returns a verdict for the prompt
// and one for each part of the answer that was checked, or none without a trace. These
// verdicts have no Text, because the response has it.
func ParseTrace(trace json.RawMessage) ([]Verdict, error) {
	var t struct {
		Guardrail struct {
			Input   map[string]json.RawMessage   `json:"inputAssessment"`
			Outputs map[string][]json.RawMessage `json:"outputAssessments"`
		} `json:"guardrail"`
	}
	if len(trace) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(trace, &t); err != nil {
		return nil, fmt.Errorf("guardrail: reading a trace: %w", err)
	}
	var all []Verdict
	add := func(id string, source Source, raw json.RawMessage) error {
		v, err := verdict(id, source, raw)
		all = append(all, v)
		return err
	}
	for id, raw := range t.Guardrail.Input {
		if err := add(id, Input, raw); err != nil {
			return nil, err
		}
	}
	for id, list := range t.Guardrail.Outputs {
		for _, raw := range list {
			if err := add(id, Output, raw); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Verdict) int { // "input" is before "output"
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Guardrail, b.Guardrail))
	})
	return all, nil
}

func verdict(id string, source Source, raw json.RawMessage) (Verdict, error) {
	// The findings of automated reasoning are a union, which encoding/json cannot
	// read into the SDK's types.
	var members map[string]json.RawMessage
	var reasoning struct{ Findings []json.RawMessage }
	var a types.GuardrailAssessment
	err := json.Unmarshal(raw, &members)
	if part, ok := members["automatedReasoningPolicy"]; ok && err == nil {
		err = json.Unmarshal(part, &reasoning)
		delete(members, "automatedReasoningPolicy")
	}
	if err == nil {
		raw, err = json.Marshal(members)
	}
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("guardrail: reading an assessment: %w", err)
	}
	v := Verdict{Guardrail: id, Source: source, Findings: findings(&a)}
	if len(reasoning.Findings) > 0 {
		v.Findings = append(v.Findings, Finding{Policy: Reasoning})
	}
	for _, f := range v.Findings {
		v.Intervened = v.Intervened || f.Action != "" && f.Action != "NONE"
	}
	if m := a.InvocationMetrics; m != nil {
		if m.Usage != nil {
			v.Units = units(m.Usage)
		}
		if m.GuardrailProcessingLatency != nil {
			v.Latency = time.Duration(*m.GuardrailProcessingLatency) * time.Millisecond
		}
	}
	return v, nil
}
