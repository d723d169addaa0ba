package bedrockkit

import (
	"slices"
	"time"
)

// Capability is what is known of a model: what it takes and returns, how it is called
// and its lifecycle. In the zero value nothing is known: its methods return Unknown, 0
// or false. Slices and maps are shared: do not change them.
type Capability struct {
	// ID is the base model's id without its version. It stands for all ids that are
	// this id and a version.
	ID ModelID `json:"id"`

	// IDs are the ids of the base model in public lists.
	IDs []ModelID `json:"ids,omitempty"`

	// MaxInput is the context window and MaxOutput the longest answer, in tokens. They
	// are 0 if not known.
	MaxInput  int `json:"max_input,omitempty"`
	MaxOutput int `json:"max_output,omitempty"`

	Features    Features    `json:"features,omitzero"`
	Thinking    Thinking    `json:"thinking,omitzero"`
	Sampling    Sampling    `json:"sampling,omitzero"`
	ToolChoice  ToolChoice  `json:"tool_choice,omitzero"`
	PromptCache PromptCache `json:"prompt_cache,omitzero"`

	// APIs are the interfaces that serve the model.
	APIs APIs `json:"apis,omitzero"`

	// Profiles are the system-defined inference profiles of the model.
	Profiles []Profile `json:"profiles,omitempty"`

	// Tiers are the service tiers of the model; nil if not known.
	Tiers []ServiceTier `json:"tiers,omitempty"`

	// OutputBurndown is how many tokens of the quota one token of output takes; 0 if
	// not known.
	OutputBurndown int `json:"output_burndown,omitempty"`

	Lifecycle Lifecycle `json:"lifecycle,omitzero"`

	// Note is anything else that a reader should know.
	Note string `json:"note,omitempty"`

	// Facts has the source of each field, by the field's name in JSON ("max_output",
	// "features.images", "thinking").
	Facts map[string]Fact `json:"facts,omitempty"`
}

// Fact is the source of a field.
type Fact struct {
	// Confidence is "documented" (by AWS or the provider), "peer" (seen in another
	// program's code or in a public report of a live call) or "inferred". An inferred
	// fact is never a No.
	Confidence string   `json:"confidence"`
	Sources    []string `json:"sources"` // names in the table's sources, see [ModelSources]
}

// Supports returns whether the model has all features in f.
func (c Capability) Supports(f Feature) Support { return c.Features.Supports(f) }

// ForcesTool returns whether a request may force the model to call a tool. thinking
// says whether the model thinks in that request.
func (c Capability) ForcesTool(thinking bool) Support {
	forced := c.Supports(FeatureToolChoice)
	if forced == No || !thinking {
		return forced
	}
	return c.ToolChoice.WithThinking
}

// Tier returns whether the model has a service tier.
func (c Capability) Tier(t ServiceTier) Support {
	if len(c.Tiers) == 0 {
		return Unknown
	}
	return supportOf(slices.Contains(c.Tiers, t))
}

// Profile returns the model's profile with a prefix ("us", "eu", "global"), and
// whether there is one.
func (c Capability) Profile(prefix string) (Profile, bool) {
	for _, p := range c.Profiles {
		if p.Prefix() == prefix {
			return p, true
		}
	}
	return Profile{}, false
}

// Sampling says which sampling parameters a model takes.
type Sampling struct {
	Temperature Parameter `json:"temperature,omitzero"`
	TopP        Parameter `json:"top_p,omitzero"`
	TopK        Parameter `json:"top_k,omitzero"`
	Both        Support   `json:"both,omitzero"` // temperature and top_p in one request
}

// Parameter is what a model takes for one numeric parameter.
type Parameter struct {
	Accepted Support `json:"accepted,omitzero"`

	// Min and Max are the smallest and the largest value of an accepted parameter. Nil
	// means that no bound is known.
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
}

// Takes returns whether the model takes the value.
func (p Parameter) Takes(v float64) Support {
	if p.Min != nil && v < *p.Min || p.Max != nil && v > *p.Max {
		return No
	}
	return p.Accepted
}

// ToolChoice says how a request may force the model to call tools.
// [Capability.ForcesTool] combines it.
type ToolChoice struct {
	Any          Support `json:"any,omitzero"`           // some tool
	Tool         Support `json:"tool,omitzero"`          // a tool by its name
	WithThinking Support `json:"with_thinking,omitzero"` // either, while the model thinks
}

// PromptCache says how a model caches the beginning of prompts. [FeaturePromptCache]
// says whether a model takes cache points at all.
type PromptCache struct {
	MinTokens int      `json:"min_tokens,omitempty"`      // the shortest prefix that is cached; 0 if not known
	TTLs      []string `json:"ttls,omitempty"`            // all possible TTLs, the default first; nil if not known
	MaxPoints int      `json:"max_checkpoints,omitempty"` // the most cache points of a request; 0 if not known

	// Where a cache point may be: at the end of the system prompt, of a message's
	// content, of the tools.
	System   Support `json:"system,omitzero"`
	Messages Support `json:"messages,omitzero"`
	Tools    Support `json:"tools,omitzero"`

	// Implicit says whether the model caches without cache points.
	Implicit Support `json:"implicit,omitzero"`

	// Breakpoint is the field that marks a prefix in the provider's own form of a
	// request, for models that do not take cache points ("prompt_cache_breakpoint").
	Breakpoint string `json:"breakpoint,omitempty"`
}

// TTL returns whether a request can ask for a time to live ("5m", "1h").
func (p PromptCache) TTL(ttl string) Support {
	if len(p.TTLs) == 0 {
		return Unknown
	}
	return supportOf(slices.Contains(p.TTLs, ttl))
}

// APIs are the interfaces that serve a model, by endpoint: "converse", "invoke",
// "messages", "responses", "chat_completions", "bidirectional", "async". A nil list
// means not known, an empty list means none.
type APIs struct {
	Runtime []string `json:"runtime,omitzero"` // bedrock-runtime, which the AWS SDK calls
	Mantle  []string `json:"mantle,omitzero"`  // bedrock-mantle
}

// Profile is a system-defined inference profile.
type Profile struct {
	ID ModelID `json:"id"`

	// Routes say where requests may be processed, by the region that is called. They
	// are empty if only the name of the profile is known.
	Routes []Route `json:"routes,omitempty"`
}

// Route says where the requests of a profile may be processed. Not all regions are
// listed, so nothing is known of a region that is in no route.
type Route struct {
	From []string `json:"from"` // regions that are called
	To   []string `json:"to"`   // regions that may process the request; "*" for all commercial ones
}

// Destinations returns the regions that may process a request to a region ("*" for all
// commercial regions), and whether they are known.
func (p Profile) Destinations(region string) ([]string, bool) {
	for _, r := range p.Routes {
		if slices.Contains(r.From, region) {
			return r.To, true
		}
	}
	return nil, false
}

// Prefix returns the first label of the id: "us", "eu", "global".
func (p Profile) Prefix() string {
	ident, err := p.ID.Parse()
	if err != nil {
		return ""
	}
	return ident.Prefix
}

// Lifecycle says how long a model is available. Days have the form 2026-11-29, and are
// empty if not known.
type Lifecycle struct {
	State          string `json:"state,omitempty"`           // "active", "legacy" or "ended", on the table's day
	Launch         string `json:"launch,omitempty"`          // first day, or its month
	Legacy         string `json:"legacy,omitempty"`          // no new customers from this day
	ExtendedAccess string `json:"extended_access,omitempty"` // from this day the provider may change the price
	EndOfLife      string `json:"end_of_life,omitempty"`     // from this day requests get 404 ResourceNotFoundException
	NotBefore      string `json:"not_before,omitempty"`      // the announced earliest end of life
}

// Ended reports whether the model is known to have ended by a day, in UTC. The zero
// time means the table's own day ([ModelsDate]), so that a test does not depend on
// today's date.
func (l Lifecycle) Ended(day time.Time) bool {
	if l.EndOfLife == "" {
		return l.State == "ended"
	}
	on := ModelsDate()
	if !day.IsZero() {
		on = day.UTC().Format(time.DateOnly)
	}
	return l.EndOfLife <= on
}
