package bedrockx

import (
	"context"
	"errors"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Skipped is something that was left out of a call because the model does not take it,
// or because too little is known of the model. The rest of the call was sent
// unchanged. It is reported once for each call and model, in [Outcome.Skipped] and to
// Options.OnSkipped.
type Skipped struct {
	What  string             `json:"what"` // one of the Skip constants, or a word of yours
	Model bedrockkit.ModelID `json:"model"`

	// Support is the reason: No if the model is known not to take it, Unknown if
	// nothing is known about it.
	Support bedrockkit.Support `json:"support"`
}

// What is left out of a call. If your model is not in the table of models, describe it
// with Options.Capabilities.
const (
	SkipCachePoints      = "cache_points"      // no cache points were set
	SkipStructuredOutput = "structured_output" // the form of the answer is requested in another way
	SkipStrictTools      = "strict_tools"      // the service does not force the model to follow the tools' schemas
	SkipTemperature      = "temperature"       // a default temperature
	SkipAdditionalFields = "additional_fields" // the model's own parameters, for a fallback of another provider
	SkipContinuation     = "continuation"      // the stream is not continued if it breaks
	SkipPrice            = "price"             // the call has no cost, and CostErr says why
)

// Skip reports that something was left out of the call. It adds s to Skipped and calls
// Options.OnSkipped, once for each What and Model. If Model is empty, it is the call's
// own. Skip may be called until the call has ended.
func (c *Call) Skip(s Skipped) {
	setDefault(&s.Model, c.Model)
	c.settling.Lock()
	told := slices.ContainsFunc(c.Skipped, func(old Skipped) bool { return old.What == s.What && old.Model == s.Model })
	if !told {
		c.Skipped = append(c.Skipped, s)
	}
	c.settling.Unlock()
	if told || c.Options == nil {
		return
	}
	for _, fn := range c.Options.OnSkipped {
		fn(context.WithoutCancel(c.ctx), c, s)
	}
}

// skipPrice reports that an answered call has no price.
func (c *Call) skipPrice(unpriced error) {
	if errors.Is(unpriced, pricing.ErrUnknownModel) || errors.Is(unpriced, pricing.ErrNoRate) {
		c.Skip(Skipped{What: SkipPrice})
	}
}
