package bedrocktest

import (
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Which models there are, and whether they serve a request. The facts are those
// of the table of models (models.json of the root package), with its sources.

// models are the ids that the server knows.
func (s *Server) models() []bedrockkit.ModelID {
	ids := slices.Clone(s.opts.Models)
	for _, c := range bedrockkit.Models() {
		ids = append(ids, c.IDs...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

const (
	unknownModel = "The provided model identifier is invalid."
	endedModel   = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
	otherAction  = "This action doesn't support the model that you provided. Try again with a supported model."
)

// knownModel refuses an id that names no model here, and one that has ended. Ids
// that do not name their model (application profiles, provisioned and imported
// models) are taken.
func (s *Server) knownModel(id bedrockkit.ModelID) *Reply {
	if s.opts.AnyModel && id != "" || s.added(id) {
		return nil
	}
	target := s.resolve(id)
	ident, err := target.Parse()
	if err != nil {
		return invalid(unknownModel)
	}
	if ident.Base == "" {
		return nil
	}
	c, known := bedrockkit.Capabilities(ident.Base)
	if !known || !s.ignores(RuleModel) && gated(ident.Base) {
		return invalid(unknownModel)
	}
	if !s.opts.AllowEnded && c.Lifecycle.Ended(s.today()) {
		return Error(404, "ResourceNotFoundException", endedModel)
	}
	return nil
}

// added reports whether the options name the model.
func (s *Server) added(id bedrockkit.ModelID) bool {
	if slices.Contains(s.opts.Models, id) {
		return true
	}
	base := string(s.resolve(id).Base())
	return base != "" && slices.ContainsFunc(s.opts.Models, func(m bedrockkit.ModelID) bool {
		return base == string(m) || strings.HasPrefix(base, string(m)+":")
	})
}

// gated reports whether the model is one that an account does not see unless it
// was let in.
func gated(base bedrockkit.ModelID) bool {
	return strings.HasPrefix(string(base), "anthropic.claude-mythos")
}

// today is the day by which models have ended: the zero time, which means the
// day of the table, unless the caller has set a clock.
func (s *Server) today() time.Time {
	if s.opts.ownClock {
		return s.opts.Now()
	}
	return time.Time{}
}

// capability is what the table says of the model of a request: nothing, if the
// model is one of the options' own.
func (s *Server) capability(id bedrockkit.ModelID) bedrockkit.Capability {
	if s.added(id) {
		return bedrockkit.Capability{}
	}
	c, _ := bedrockkit.Capabilities(s.resolve(id))
	return c
}

// served refuses a request for a model that does not serve it: one that is
// unknown or has ended, one that is called by profiles only, or one that the
// operation does not have.
func (s *Server) served(req *Request, operation bedrockkit.Feature) *Reply {
	if r := s.knownModel(req.Model); r != nil {
		return r
	}
	c := s.capability(req.Model)
	if !s.ignores(RuleAction) && c.Supports(operation) == bedrockkit.No {
		return invalid(otherAction)
	}
	ident, err := req.Model.Parse()
	bare := err == nil && ident.Kind == bedrockkit.KindFoundationModel
	if bare && !s.ignores(RuleOnDemand) && c.Supports(bedrockkit.FeatureOnDemand) == bedrockkit.No {
		return invalid("Invocation of model ID %s with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", req.Model)
	}
	return nil
}

// systemProfiles are the service's own profiles that public lists have.
func (s *Server) systemProfiles() []bedrockkit.ModelID {
	var ids []bedrockkit.ModelID
	for _, c := range bedrockkit.Models() {
		if c.Lifecycle.Ended(s.today()) && !s.opts.AllowEnded {
			continue
		}
		for _, p := range c.Profiles {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
