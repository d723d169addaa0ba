package converse

import (
	"cmp"
	"context"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A subject is the model of a request as far as it is known, which the rules go
// by. Of a model that nobody knows each rule passes: the request goes out as it
// was written.
type subject struct {
	bedrockkit.Capability
	base bedrockkit.ModelID // behind a profile or an ARN; "" if nobody says
	bare bool               // the id that goes out is that of the model itself
}

// subjectOf is what capabilities say of a model.
func subjectOf(model bedrockkit.ModelID, capabilities func(bedrockkit.ModelID) (bedrockkit.Capability, bool)) subject {
	s := subject{base: model.Base(), bare: isBare(model)}
	s.Capability, _ = capabilities(model)
	return s
}

// subject is the model of a request, by Options.Resolve of the pipeline if its id
// does not name. What cannot be resolved is not known, which is not an error.
func (c *Client) subject(ctx context.Context, model bedrockkit.ModelID, call []func(*bedrockx.Options)) subject {
	if model.Base() != "" && len(call) == 0 {
		return subjectOf(model, c.capabilities)
	}
	o := c.bedrock.Options()
	for _, fn := range call {
		fn(&o)
	}
	if model.Base() == "" && o.Resolve != nil {
		if resolved, err := o.Resolve(ctx, model); err == nil {
			model = resolved
		}
	}
	if o.Capabilities == nil {
		o.Capabilities = bedrockkit.Capabilities
	}
	return subjectOf(model, o.Capabilities)
}

// maxPoints is the most cache points that the model takes in a request.
func (s *subject) maxPoints() int { return cmp.Or(s.PromptCache.MaxPoints, maxCachePoints) }

// no reports whether the model is known not to have a feature.
func (s *subject) no(f bedrockkit.Feature) bool { return s.Supports(f) == bedrockkit.No }

func (s *subject) is(prefix string) bool { return strings.HasPrefix(string(s.base), prefix) }

func (s *subject) claude() bool  { return s.is("anthropic.") }
func (s *subject) nova() bool    { return s.is("amazon.nova-") }
func (s *subject) mistral() bool { return s.is("mistral.") }

// readsLongPDFs reports whether a document's bound of 4.5 MB does not hold for
// a PDF: for Claude from 4 on. Source: Amazon Bedrock User Guide, "Inference API
// restrictions", 2026-11.
func (s *subject) readsLongPDFs() bool {
	return s.claude() && !s.is("anthropic.claude-3") && !s.is("anthropic.claude-v") && !s.is("anthropic.claude-instant")
}
