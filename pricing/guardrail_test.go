package pricing_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

const assessed = `{"invocationMetrics":{"guardrailProcessingLatency":50,"usage":{"topicPolicyUnits":2,"contentPolicyUnits":3,"wordPolicyUnits":4,
	"sensitiveInformationPolicyUnits":5,"sensitiveInformationPolicyFreeUnits":6,"contextualGroundingPolicyUnits":7,"contentPolicyImageUnits":0}}}`

func TestGuardrailUnits(t *testing.T) {
	one := pricing.Units{pricing.GuardrailTopic: 2, pricing.GuardrailContent: 3, pricing.GuardrailWord: 4,
		pricing.GuardrailPII: 5, pricing.GuardrailRegex: 6, pricing.GuardrailGrounding: 7}
	two := pricing.Units{}
	for d, n := range one {
		two[d] = 2 * n
	}
	both := `{"inputAssessment":{"g":` + assessed + `},"outputAssessments":{"g":[` + assessed + `]}}`
	for body, want := range map[string]pricing.Units{
		assessed:                     one,
		both:                         two,
		`{"guardrail":` + both + `}`: two,
		`{"action":"NONE","usage":{"contentPolicyUnits":1},"assessments":[` + assessed + `]}`: {pricing.GuardrailContent: 1},
		`{"usage":{}}`: {},
	} {
		got, err := pricing.ParseGuardrailUnits([]byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, want, got, body)
	}
	for _, body := range []string{`{}`, `{"guardrail":{"actionReason":"No action."}}`} {
		_, err := pricing.ParseGuardrailUnits([]byte(body))
		assert.ErrorIs(t, err, pricing.ErrUnknownUsage, body)
	}
	for _, body := range []string{`{`, `{"usage":{"contentPolicyUnits":-1}}`} {
		_, err := pricing.ParseGuardrailUnits([]byte(body))
		assert.Error(t, err, body)
	}

	cost := func(u pricing.Units) (pricing.Amount, error) {
		return pricing.Default().Cost(pricing.Guardrails, bedrockkit.Usage{}, func(o *pricing.CostOptions) { o.Units = u })
	}
	got, err := cost(one) // 2×0.15 + 3×0.15 + 5×0.10 + 7×0.10, per thousand; words and patterns are free
	require.NoError(t, err)
	assert.Equal(t, "0.00195", got.String())
	_, err = cost(pricing.Units{pricing.GuardrailReasoning: 1})
	assert.ErrorIs(t, err, pricing.ErrNoRate)
}

func ExampleParseGuardrailUnits() {
	trace := []byte(`{"guardrail":{"inputAssessment":{"abc":{"invocationMetrics":{"usage":{"contentPolicyUnits":2,"topicPolicyUnits":2}}}}}}`)
	units, err := pricing.ParseGuardrailUnits(trace) // of a Converse response
	if err != nil {
		panic(err)
	}
	cost, err := pricing.Default().Cost(pricing.Guardrails, bedrockkit.Usage{}, func(o *pricing.CostOptions) { o.Units = units })
	fmt.Println(cost, err)
	// Output: 0.0006 <nil>
}
