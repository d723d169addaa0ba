package pricing

import (
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit"
)

// Guardrails is the id under which a table has the prices of Amazon Bedrock
// Guardrails. It is not a model: its usage is the [Units] that [ParseGuardrailUnits]
// reads. The tokens of the model that the guardrail checks are separate.
const Guardrails bedrockkit.ModelID = "amazon.guardrails"

// guardrailUnits are the counts of an assessment (API reference,
// GuardrailUsage).
type guardrailUnits struct {
	Content   int64 `json:"contentPolicyUnits"`
	Images    int64 `json:"contentPolicyImageUnits"`
	Topic     int64 `json:"topicPolicyUnits"`
	Word      int64 `json:"wordPolicyUnits"`
	PII       int64 `json:"sensitiveInformationPolicyUnits"`
	Regex     int64 `json:"sensitiveInformationPolicyFreeUnits"`
	Grounding int64 `json:"contextualGroundingPolicyUnits"`
	Reasoning int64 `json:"automatedReasoningPolicyUnits"`
}

type assessment struct {
	Metrics struct {
		Usage *guardrailUnits
	} `json:"invocationMetrics"`
}

// ParseGuardrailUnits reads the units that a guardrail is billed for. Use them as
// CostOptions.Units with the model [Guardrails]. data is a response of ApplyGuardrail,
// the trace of a Converse response or of the metadata of its stream, the member
// guardrail of that trace, or one assessment. Converse returns a trace only if the
// request asked for it. If data has no units, the error is [ErrUnknownUsage].
func ParseGuardrailUnits(data []byte) (Units, error) {
	type trace struct {
		Input   map[string]assessment   `json:"inputAssessment"`
		Outputs map[string][]assessment `json:"outputAssessments"`
	}
	var v struct {
		Usage *guardrailUnits `json:"usage"` // of ApplyGuardrail: the sum of its assessments
		assessment
		trace
		Guardrail trace `json:"guardrail"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("reading the units of a guardrail: %w", err)
	}
	units, told := Units{}, false
	add := func(u *guardrailUnits) {
		if u == nil {
			return
		}
		told = true
		for d, n := range map[Dimension]int64{
			GuardrailContent: u.Content, GuardrailImage: u.Images, GuardrailTopic: u.Topic, GuardrailWord: u.Word,
			GuardrailPII: u.PII, GuardrailRegex: u.Regex, GuardrailGrounding: u.Grounding, GuardrailReasoning: u.Reasoning,
		} {
			if n != 0 {
				units[d] += n
			}
		}
	}
	if v.Usage != nil {
		add(v.Usage)
	} else {
		add(v.Metrics.Usage)
		for _, t := range []trace{v.trace, v.Guardrail} {
			for _, a := range t.Input {
				add(a.Metrics.Usage)
			}
			for _, all := range t.Outputs {
				for _, a := range all {
					add(a.Metrics.Usage)
				}
			}
		}
	}
	if !told {
		return nil, fmt.Errorf("reading the units of a guardrail: %w", ErrUnknownUsage)
	}
	if err := valid(&bedrockkit.Usage{}, units); err != nil {
		return nil, fmt.Errorf("reading the units of a guardrail: %w", err)
	}
	return units, nil
}
