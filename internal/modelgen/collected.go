package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// collected is a model of collected.json.
type collected struct {
	ID        bedrockkit.ModelID   `json:"id"`
	IDs       []bedrockkit.ModelID `json:"ids"`
	Profiles  []string             `json:"profiles"` // prefixes, with their dot
	Launch    string               `json:"launch"`
	Lifecycle struct {
		State            string `json:"state"`
		Legacy           string `json:"legacy"`
		ExtendedAccess   string `json:"extended_access"`
		EOL              string `json:"eol"`
		EOLNotBefore     string `json:"eol_not_before"`
		LegacyNoticeDays int    `json:"legacy_notice_days"`
		Note             string `json:"note"`
	} `json:"lifecycle"`
	MaxInput    int                `json:"max_input"`
	MaxOutput   int                `json:"max_output"`
	Features    bedrockkit.Feature `json:"features"`
	NotFeatures bedrockkit.Feature `json:"not_features"`
	Thinking    *collectedThinking `json:"thinking"`
	Sampling    struct {
		Temperature string `json:"temperature"`
		TopP        string `json:"top_p"`
		TopK        string `json:"top_k"`
		Both        string `json:"temperature_with_top_p"`
	} `json:"sampling"`
	ToolChoice *struct {
		Any          string `json:"any"`
		Tool         string `json:"tool"`
		Auto         string `json:"auto"`
		None         string `json:"none"`
		WithThinking string `json:"with_thinking"`
	} `json:"tool_choice_rules"`
	PromptCache *struct {
		MinTokens int      `json:"min_tokens"`
		OneHour   *bool    `json:"one_hour"`
		TTL       string   `json:"ttl"`
		MaxPoints int      `json:"max_checkpoints"`
		Fields    []string `json:"fields"`
		Implicit  bool     `json:"implicit"`
		Explicit  string   `json:"explicit"`
	} `json:"prompt_cache"`
	StructuredOutput *bool  `json:"structured_output"`
	StrictTools      string `json:"strict_tools"`
	APIs             *struct {
		Runtime json.RawMessage `json:"runtime"`
		Mantle  json.RawMessage `json:"mantle"`
	} `json:"apis"`
	CountTokens struct {
		Runtime *bool `json:"runtime"`
		Mantle  *bool `json:"mantle"`
	} `json:"count_tokens"`
	Batch     *bool                    `json:"batch"`
	Burndown  int                      `json:"burndown_output"`
	Tiers     []bedrockkit.ServiceTier `json:"tiers"`
	Binding   []string                 `json:"thinking_binding"`
	Note      string                   `json:"note"`
	Elsewhere string                   `json:"limits_elsewhere"`

	Facts map[string]json.RawMessage `json:"facts"`

	// What the table has no place for: prices, and fields of the bodies.
	LongContextPriceOver json.RawMessage `json:"long_context_price_over"`
	ComputerUse          json.RawMessage `json:"computer_use"`
	CompactionBeta       json.RawMessage `json:"compaction_beta"`
	Gated                json.RawMessage `json:"gated"`
	Audio                json.RawMessage `json:"audio"`
	StopReasonRefusal    json.RawMessage `json:"stop_reason_refusal"`
}

type collectedThinking struct {
	Kind         string   `json:"kind"`
	Modes        []string `json:"modes"`
	OmittedMeans string   `json:"omitted_means"`
	Efforts      []string `json:"efforts"`
	Default      string   `json:"default_effort"`
	CapDisabled  string   `json:"effort_cap_when_disabled"`
	CapBetween   string   `json:"between_tools_effort_cap"`
	Budget       string   `json:"budget_tokens"`
	Disabled     string   `json:"disabled"`
	Field        string   `json:"field"`
	Rule         string   `json:"rule"`
	Minimal      string   `json:"minimal"`
	Refused      []string `json:"refused"`
	Display      string   `json:"display_default"`
	Note         string   `json:"note"`
}

func (b *build) collected(data []byte) error {
	var file struct {
		Generated string                            `json:"generated"`
		Sources   map[string]bedrockkit.ModelSource `json:"sources"`
		HowToRead string                            `json:"how_to_read"`
		Models    []collected                       `json:"models"`
	}
	if err := strict(data, &file); err != nil {
		return err
	}
	b.date = file.Generated
	for name, s := range file.Sources {
		if err := b.source(name, s); err != nil {
			return err
		}
	}
	for i := range file.Models {
		m := &file.Models[i]
		if len(m.Facts) == 0 { // a name and nothing that is known
			continue
		}
		if b.rows[m.ID] != nil {
			return fmt.Errorf("%s is there twice", m.ID)
		}
		c := &bedrockkit.Capability{ID: m.ID, Facts: map[string]bedrockkit.Fact{}}
		b.rows[m.ID] = c
		if err := b.take(c, m); err != nil {
			return fmt.Errorf("%s: %w", m.ID, err)
		}
	}
	return nil
}

// fact reads the fact of a field of the collection.
func (m *collected) fact(field string) (bedrockkit.Fact, error) {
	var f bedrockkit.Fact
	raw, ok := m.Facts[field]
	if !ok {
		return f, fmt.Errorf("%s has no fact", field)
	}
	return f, strict(raw, &f)
}

// take fills a row from the collection.
func (b *build) take(c *bedrockkit.Capability, m *collected) error {
	if err := b.takeFeatures(c, m); err != nil {
		return err
	}
	for _, id := range m.IDs {
		c.IDs = append(c.IDs, id)
		c.Facts["ids"] = bedrockkit.Fact{Confidence: "peer", Sources: []string{"collection"}}
	}
	for _, prefix := range m.Profiles {
		c.Profiles = append(c.Profiles, bedrockkit.Profile{ID: bedrockkit.ModelID(prefix) + m.IDs[0]})
	}
	c.MaxInput, c.MaxOutput, c.OutputBurndown, c.Tiers = m.MaxInput, m.MaxOutput, m.Burndown, m.Tiers
	l := m.Lifecycle
	c.Lifecycle = bedrockkit.Lifecycle{State: l.State, Legacy: l.Legacy, ExtendedAccess: l.ExtendedAccess, EndOfLife: l.EOL, NotBefore: l.EOLNotBefore}
	if l.State == "eol" {
		c.Lifecycle.State = "ended"
	}
	if day, _, ok := strings.Cut(m.Launch, " "); ok || day != "" {
		c.Lifecycle.Launch = day
	}
	if err := takeThinking(c, m); err != nil {
		return err
	}
	if err := takeSampling(c, m); err != nil {
		return err
	}
	if r := m.ToolChoice; r != nil {
		c.ToolChoice = bedrockkit.ToolChoice{Any: accepted(r.Any), Tool: accepted(r.Tool), WithThinking: accepted(r.WithThinking)}
	}
	takePromptCache(c, m)
	if m.APIs != nil {
		c.APIs = bedrockkit.APIs{Runtime: apis(m.APIs.Runtime), Mantle: apis(m.APIs.Mantle)}
	}
	for _, f := range []struct {
		from, to string
		there    bool
	}{
		{"max_input", "max_input", c.MaxInput != 0},
		{"max_output", "max_output", c.MaxOutput != 0},
		{"burndown_output", "output_burndown", c.OutputBurndown != 0},
		{"tiers", "tiers", c.Tiers != nil},
		{"profiles", "profiles", c.Profiles != nil},
		{"thinking", "thinking", m.Thinking != nil},
		{"thinking_binding", "thinking.binding", m.Binding != nil},
		{"sampling", "sampling", c.Sampling != bedrockkit.Sampling{}},
		{"tool_choice_rules", "tool_choice", m.ToolChoice != nil},
		{"prompt_cache", "prompt_cache", m.PromptCache != nil},
		{"apis", "apis", c.APIs.Runtime != nil || c.APIs.Mantle != nil},
		{"lifecycle", "lifecycle", m.Lifecycle.State != ""},
		{"launch", "lifecycle.launch", m.Launch != ""},
	} {
		if !f.there {
			continue
		}
		fact, err := m.fact(f.from)
		if err != nil {
			return err
		}
		c.Facts[f.to] = fact
	}
	return nil
}

// takeFeatures sets the features, those that stand in fields of their own too.
func (b *build) takeFeatures(c *bedrockkit.Capability, m *collected) error {
	var single map[string]bedrockkit.Fact
	if raw, ok := m.Facts["features"]; ok {
		if err := strict(raw, &single); err != nil {
			return err
		}
	}
	state := func(name string, s bedrockkit.Support) error {
		feature, err := bedrockkit.ParseFeature(name)
		if err != nil || s == bedrockkit.Unknown {
			return err
		}
		fact, ok := single[name]
		for _, field := range []string{name, map[string]string{"tool_choice": "tool_choice_rules", "converse": "apis", "invoke_model": "apis"}[name]} {
			if _, has := m.Facts[field]; !ok && has {
				fact, err = m.fact(field)
				ok = true
			}
		}
		if _, has := m.Facts["not_features"]; !ok && has && s == bedrockkit.No {
			fact, err = m.fact("not_features")
			ok = true
		}
		if !ok {
			if fact, ok = b.defaults[name]; !ok {
				return fmt.Errorf("the feature %s has no fact", name)
			}
		}
		b.set(c, feature, s, fact)
		return err
	}
	states := map[string]bedrockkit.Support{}
	for _, name := range m.Features.Names() {
		states[name] = bedrockkit.Yes
	}
	for _, name := range m.NotFeatures.Names() {
		states[name] = bedrockkit.No
	}
	if r := m.ToolChoice; r != nil { // the list only says that toolChoice is a field
		states["tool_choice"] = accepted(r.Any)
	}
	for name, v := range map[string]*bool{"structured_output": m.StructuredOutput, "count_tokens": m.CountTokens.Runtime, "batch": m.Batch} {
		if v != nil {
			states[name] = supported(*v)
		}
	}
	states["strict_tools"] = accepted(m.StrictTools)
	if p := m.PromptCache; p != nil && p.Explicit == "" && !slices.Contains(p.Fields, responsesBreakpoint) {
		if p.MinTokens > 0 {
			states["prompt_cache"] = bedrockkit.Yes
		}
	} else if p != nil {
		states["prompt_cache"] = bedrockkit.No
	}
	if m.APIs != nil {
		if runtime := apis(m.APIs.Runtime); runtime != nil {
			states["converse"] = supported(slices.Contains(runtime, "converse"))
			states["invoke_model"] = supported(slices.Contains(runtime, "invoke"))
		}
	}
	for name, s := range states {
		if err := state(name, s); err != nil {
			return err
		}
	}
	return nil
}

func supported(yes bool) bedrockkit.Support {
	if yes {
		return bedrockkit.Yes
	}
	return bedrockkit.No
}

// accepted reads "accepted" and "refused"; all else is not known.
func accepted(s string) bedrockkit.Support {
	switch s {
	case "accepted":
		return bedrockkit.Yes
	case "refused":
		return bedrockkit.No
	}
	return bedrockkit.Unknown
}

// apis reads a list, or "no", which is an empty one. "yes" says not which.
func apis(raw json.RawMessage) []string {
	list := []string{}
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	if string(raw) == `"no"` {
		return []string{}
	}
	return nil
}

const responsesBreakpoint = "Responses prompt_cache_breakpoint"

func takePromptCache(c *bedrockkit.Capability, m *collected) {
	p := m.PromptCache
	if p == nil {
		return
	}
	c.PromptCache = bedrockkit.PromptCache{MinTokens: p.MinTokens, MaxPoints: p.MaxPoints}
	if p.Implicit {
		c.PromptCache.Implicit = bedrockkit.Yes
	}
	switch {
	case p.TTL == "30m":
		c.PromptCache.TTLs = []string{"30m"}
	case p.OneHour != nil && *p.OneHour:
		c.PromptCache.TTLs = []string{"5m", "1h"}
	case p.OneHour != nil:
		c.PromptCache.TTLs = []string{"5m"}
	}
	switch {
	case p.Explicit != "" || slices.Contains(p.Fields, responsesBreakpoint):
		c.PromptCache.Breakpoint = "prompt_cache_breakpoint"
	case p.Fields != nil:
		c.PromptCache.System = supported(slices.Contains(p.Fields, "system"))
		c.PromptCache.Messages = supported(slices.Contains(p.Fields, "messages"))
		c.PromptCache.Tools = supported(slices.Contains(p.Fields, "tools"))
	}
}

func takeSampling(c *bedrockkit.Capability, m *collected) error {
	for _, p := range []struct {
		to   *bedrockkit.Parameter
		from string
	}{{&c.Sampling.Temperature, m.Sampling.Temperature}, {&c.Sampling.TopP, m.Sampling.TopP}, {&c.Sampling.TopK, m.Sampling.TopK}} {
		exactly := func(low, high float64) bedrockkit.Parameter {
			return bedrockkit.Parameter{Accepted: bedrockkit.Yes, Min: &low, Max: &high}
		}
		switch p.from {
		case "":
		case "refused":
			p.to.Accepted = bedrockkit.No
		case "1.0 or unset":
			*p.to = exactly(1, 1)
		case "0.99 or unset":
			*p.to = exactly(0.99, 0.99)
		case ">=0.99 and <1.0, or unset": // a copy of the card includes 1, so that 1 is not refused
			*p.to = exactly(0.99, 1)
		default:
			return fmt.Errorf("the sampling rule %q is not known", p.from)
		}
	}
	c.Sampling.Both = accepted(m.Sampling.Both)
	return nil
}

var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

func takeThinking(c *bedrockkit.Capability, m *collected) error {
	t := m.Thinking
	if t == nil {
		return nil
	}
	fact, err := m.fact("thinking")
	if err != nil {
		return err
	}
	k := &c.Thinking
	switch t.Kind {
	case "always", "adaptive", "enabled", "enabled+adaptive":
		k.Kind = bedrockkit.ThinkingClaude
	case "effort":
		k.Kind, k.Field = bedrockkit.ThinkingEffort, t.Field
	case "reasoningConfig":
		k.Kind, k.Field = bedrockkit.ThinkingNova, "reasoningConfig"
	case "always reasons", "model reasons; control over Converse unknown":
		k.Kind = bedrockkit.ThinkingFixed
	default:
		return fmt.Errorf("the kind of thinking %q is not known", t.Kind)
	}
	mode := func(name bedrockkit.ThinkingMode, s bedrockkit.Support) {
		if s != bedrockkit.Unknown {
			if k.Modes == nil {
				k.Modes = map[bedrockkit.ThinkingMode]bedrockkit.Support{}
			}
			k.Modes[name] = s
		}
	}
	for _, name := range t.Modes {
		mode(bedrockkit.ThinkingMode(name), bedrockkit.Yes)
	}
	if s := accepted(t.Budget); s == bedrockkit.No {
		mode(bedrockkit.ThinkingEnabled, s)
	} else if t.Budget != "" {
		k.MinBudget = 1024
	}
	if s := accepted(t.Disabled); s == bedrockkit.No {
		mode(bedrockkit.ThinkingDisabled, s)
	}
	switch t.OmittedMeans {
	case "adaptive":
		k.Default = bedrockkit.ThinkingAdaptive
	case "off":
		k.Default = bedrockkit.ThinkingDisabled
	}
	k.Efforts, k.DefaultEffort, k.Display = t.Efforts, t.Default, t.Display
	for _, e := range efforts {
		refused := len(t.Efforts) > 0 || slices.Contains(t.Refused, e) || t.Minimal == "refused" && e == "minimal"
		if refused && fact.Confidence != "inferred" && !slices.Contains(t.Efforts, e) {
			k.RefusedEfforts = append(k.RefusedEfforts, e)
		}
	}
	for name, most := range map[bedrockkit.ThinkingMode]string{bedrockkit.ThinkingDisabled: t.CapDisabled, bedrockkit.ThinkingBetweenTools: t.CapBetween} {
		if most != "" {
			if k.EffortCaps == nil {
				k.EffortCaps = map[bedrockkit.ThinkingMode]string{}
			}
			k.EffortCaps[name] = most
		}
	}
	for _, bound := range m.Binding {
		switch {
		case bound == "model", bound == "prefix", bound == "account":
			k.Binding = append(k.Binding, bound)
		case !strings.HasPrefix(bound, "prefix (accounts made after"): // of some accounts only
			return fmt.Errorf("the binding %q is not known", bound)
		}
		k.BlockBinding = bedrockkit.Yes
	}
	return nil
}
