package quota

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// A Quota is how much an account may use a model in a region, as the Service Quotas
// console shows it. A bound that is 0 or negative means no bound.
//
// When a request starts, Bedrock reserves its input, its cached input and its max
// tokens. When the request has ended, that becomes input + cache writes + output ×
// burndown. Source: "How tokens are counted in Amazon Bedrock", User Guide. A request
// without max tokens reserves the most that the model can answer. That is the most
// common cause of throttling, so set max tokens.
type Quota struct {
	// Model is the model, or its cross-region profile, that has the quota. Each has
	// its own: "us.amazon.nova-lite-v1:0" is not "amazon.nova-lite-v1:0". An ARN means
	// the same as its id. An application inference profile uses the quota of its model
	// if bedrockx.Options.Resolve knows that model.
	Model bedrockkit.ModelID `json:"model"`

	// Region and Account are the region and the account that are called. Empty means
	// that the values apply to every region or account; each of them still has its own
	// quota. Options.Account and Target.Account of package bedrockx name the accounts.
	Region  string `json:"region,omitempty"`
	Account string `json:"account,omitempty"`

	TokensPerMinute   int64 `json:"tokens_per_minute,omitempty"`
	RequestsPerMinute int64 `json:"requests_per_minute,omitempty"` // most models no longer have one

	// Burndown is how many tokens of the quota one token of output takes. The default
	// is the burndown in the table of models (bedrockkit.Capability). If the table has
	// none, it is 5 for Anthropic's models from Claude 3.7 to 4, 10 for Anthropic's
	// newer models, and 1 for older models and for other providers. Throttles correct
	// a burndown that is too low, but nothing corrects one that is too high.
	Burndown float64 `json:"burndown,omitempty"`

	// MaxTokens is the output reservation assumed for a request that does not set max
	// tokens. The default is the most that the model can answer, or 64,000 if that is
	// not known.
	MaxTokens int64 `json:"max_tokens,omitempty"`
}

// maxBurndown is far above any burndown that was ever reported (15).
const maxBurndown = 1000

// Taken returns how many tokens of the quota a request with this usage has taken.
func (q Quota) Taken(u bedrockkit.Usage) int64 {
	return u.TotalInput() - u.CacheReadTokens + int64(math.Ceil(float64(u.OutputTokens)*q.Burndown))
}

// resolved validates a quota and fills in its defaults.
func (q Quota) resolved() (Quota, error) {
	if err := q.Model.Validate(); err != nil {
		return q, err
	}
	if !(q.Burndown >= 0 && q.Burndown <= maxBurndown) { // NaN is neither
		return q, fmt.Errorf("the burndown of %s is %v; it must be between 0 and %d", q.Model, q.Burndown, maxBurndown)
	}
	q.Model = canonical(q.Model)
	if q.Burndown == 0 {
		q.Burndown = burndown(q.Model)
	}
	return q, nil
}

// amount is what the quota allows, as text.
func (q Quota) amount() string {
	switch {
	case q.TokensPerMinute <= 0:
		return fmt.Sprintf("%d requests", q.RequestsPerMinute)
	case q.RequestsPerMinute <= 0:
		return fmt.Sprintf("%d tokens", q.TokensPerMinute)
	}
	return fmt.Sprintf("%d tokens and %d requests", q.TokensPerMinute, q.RequestsPerMinute)
}

// canonical is the id that stands for all forms of it.
func canonical(id bedrockkit.ModelID) bedrockkit.ModelID {
	ident, err := id.Parse()
	switch {
	case err != nil || ident.Base == "":
		return id
	case ident.Prefix != "":
		return bedrockkit.ModelID(ident.Prefix) + "." + ident.Base
	}
	return ident.Base
}

// burndown is the default of [Quota].Burndown: that of the table of models, and
// of a model that it does not give one by the rule of its provider.
func burndown(model bedrockkit.ModelID) float64 {
	if known, _ := bedrockkit.Capabilities(model); known.OutputBurndown > 0 {
		return float64(known.OutputBurndown)
	}
	name, ok := strings.CutPrefix(string(model.Base()), "anthropic.claude-")
	if !ok {
		return 1
	}
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	switch {
	case begins("3-7", "opus-4", "sonnet-4", "haiku-4"):
		return 5
	case begins("3", "v", "instant"):
		return 1
	}
	return 10
}

// ErrLimited means that a [Limiter] stopped a request, because the quota had no room
// for it in time. Nothing was sent.
var ErrLimited = errors.New("held back by the client's own quota")
