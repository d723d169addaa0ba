package converse

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/outputschema"
)

func (c *checker) inference() {
	r := c.request
	c.push("inferenceConfig", -1)
	defer c.pop()
	switch most := c.subject.MaxOutput; {
	case r.MaxTokens < NoMaxTokens || r.MaxTokens > math.MaxInt32:
		c.add("maxTokens", "it is %d; it must be from 1 to %d, or NoMaxTokens", r.MaxTokens, math.MaxInt32)
	case most > 0 && r.MaxTokens > most:
		c.add("maxTokens", "it is %d; the model answers with at most %d", r.MaxTokens, most)
	}
	c.sampling()
	if n := len(r.StopSequences); n > maxStopSequences {
		c.add("stopSequences", "it has %d; %d are allowed", n, maxStopSequences)
	}
	for i, s := range r.StopSequences {
		problem := ""
		switch {
		case s == "":
			problem = "it is empty"
		case c.subject.claude() && isBlank(s): // BerriAI/litellm issue 3286
			problem = "it is blank; a model of Anthropic wants other than white space"
		default:
			continue
		}
		c.push("stopSequences", i)
		c.add("", "%s", problem)
		c.pop()
	}
}

// sampling checks the parameters of sampling, by what the API and the model take.
func (c *checker) sampling() {
	r, takes := c.request, &c.subject.Sampling
	for _, p := range []struct {
		name  string
		value *float64
		takes bedrockkit.Parameter
	}{{"temperature", r.Temperature, takes.Temperature}, {"topP", r.TopP, takes.TopP}} {
		switch v := p.value; {
		case v == nil:
		case !(*v >= 0 && *v <= 1):
			c.add(p.name, "it is %v; it must be from 0 to 1", *v)
		case p.takes.Takes(*v) == bedrockkit.No:
			c.add(p.name, "it is %v; the model takes %s", *v, bounds(p.takes))
		}
	}
	var topK *float64
	if json.Unmarshal(c.thought.own["top_k"], &topK) == nil && topK != nil && takes.TopK.Takes(*topK) == bedrockkit.No {
		c.add("", "the additional field top_k is set; the model takes %s", bounds(takes.TopK))
	}
	if r.Temperature != nil && r.TopP != nil && takes.Both == bedrockkit.No {
		c.add("temperature", "it is set beside topP; the model takes one of them")
	}
}

// bounds says what a parameter may be.
func bounds(p bedrockkit.Parameter) string {
	switch {
	case p.Accepted == bedrockkit.No || p.Min == nil && p.Max == nil:
		return "none"
	case p.Min == nil:
		return fmt.Sprintf("at most %v", *p.Max)
	case p.Max == nil:
		return fmt.Sprintf("%v and more", *p.Min)
	case *p.Min == *p.Max:
		return fmt.Sprintf("none but %v", *p.Min)
	}
	return fmt.Sprintf("%v to %v", *p.Min, *p.Max)
}

func (c *checker) tools() {
	r := c.request
	c.push("toolConfig", -1)
	defer c.pop()
	for i := range r.Tools {
		c.push("tools", i)
		c.tool(i)
		c.pop()
	}
	// What a model without tools does with one of the service's own is not known.
	ours := slices.ContainsFunc(r.Tools, func(t ToolSpec) bool { return !t.System })
	switch {
	case !ours:
	case c.subject.no(bedrockkit.FeatureTools):
		c.add("", "the model takes no tools")
	case c.streaming && c.subject.no(bedrockkit.FeatureToolStreaming):
		c.add("", "the model takes no tools in a stream")
	}
	switch choice := r.ToolChoice; {
	case choice == ToolChoice{}:
	case c.refusesChoice(choice):
		c.add("toolChoice", "the model cannot be made to call a tool")
	case c.thought.on() && c.subject.ForcesTool(true) == bedrockkit.No:
		c.add("toolChoice", "a model that thinks cannot be made to call a tool")
	case len(r.Tools) == 0:
		c.add("toolChoice", "a tool must be called, and there are no tools")
	case choice.Tool != "" && !hasTool(r.Tools, choice.Tool):
		c.add("toolChoice", "there is no tool %q", choice.Tool)
	}
}

func (c *checker) tool(i int) {
	t := &c.request.Tools[i]
	kind := "toolSpec"
	if t.System {
		kind = "systemTool"
	}
	c.push(kind, -1)
	defer c.pop()
	if !isName(t.Name, "_-") {
		c.add("name", "%q is not 1 to 64 characters from [A-Za-z0-9_-]", t.Name)
	}
	for k := range i {
		if c.request.Tools[k].Name == t.Name {
			c.add("name", "another tool has the name %q", t.Name)
			break
		}
	}
	if t.System {
		return
	}
	if !isObjectSchema(t.InputSchema) {
		c.add("inputSchema.json", "it is not a JSON Schema of type object")
	} else if union := topUnion(t.InputSchema); union != "" && c.subject.claude() {
		c.add("inputSchema.json", "it has %s at the top, which models of Anthropic do not take", union)
	}
	if t.Strict && c.subject.no(bedrockkit.FeatureStrictTools) {
		c.add("strict", "the model does not hold tools to their schema")
	}
}

func (c *checker) refusesChoice(choice ToolChoice) bool {
	own := c.subject.ToolChoice.Any
	if choice.Tool != "" {
		own = c.subject.ToolChoice.Tool
	}
	return own == bedrockkit.No || c.subject.no(bedrockkit.FeatureToolChoice)
}

// parameters checks what is about the whole request.
func (c *checker) parameters() {
	r := c.request
	c.cachePoints()
	c.thinking()
	if f := r.OutputFormat; f != nil {
		if c.subject.no(bedrockkit.FeatureStructuredOutput) {
			c.add("outputConfig", "the model has no output format; make it call a tool instead")
		} else if c.subject.claude() && c.cites {
			c.add("outputConfig", "an output format and documents to cite cannot be in one request")
		}
		if _, ok := object(f.Schema); !ok || len(f.Schema) == 0 {
			c.add("outputConfig.textFormat.structure.jsonSchema.schema", "%v", errNoObject)
		} else if c.subject.claude() && c.subject.Supports(bedrockkit.FeatureStructuredOutput) == bedrockkit.Yes {
			if err := outputschema.Refusal(f.Schema); err != nil {
				c.add("outputConfig.textFormat.structure.jsonSchema.schema", "no answer can be held to it: %v", err)
			}
		}
	}
	if g := r.Guardrail; g != (bedrockkit.Guardrail{}) {
		c.guardrail(g)
	}
	switch r.ServiceTier {
	case "", "priority", "default", "flex", "reserved":
	default:
		c.add("serviceTier.type", "it is %q; it must be priority, default, flex or reserved", r.ServiceTier)
	}
	switch r.Latency {
	case "", bedrockkit.LatencyStandard, bedrockkit.LatencyOptimized:
	default:
		c.add("performanceConfig.latency", "it is %q; it must be standard or optimized", r.Latency)
	}
	if n := len(r.Metadata); n > maxMetadata {
		c.add("requestMetadata", "it has %d pairs; %d are allowed", n, maxMetadata)
	}
	for key, value := range r.Metadata {
		if key == "" || !isMetadata(key) || !isMetadata(value) {
			c.add("requestMetadata", "a key or value is not up to %d of letters, digits, white space and :_@$#=/+,-.", maxMetadataText)
			break
		}
	}
	if _, ok := object(r.AdditionalFields); !ok {
		c.add("additionalModelRequestFields", "%v", errNoObject)
	}
	if n := len(r.ResponseFields); n > maxFieldPaths {
		c.add("additionalModelResponseFieldPaths", "it has %d; %d are allowed", n, maxFieldPaths)
	}
	for i, p := range r.ResponseFields {
		if len(p) > maxFieldPath || !fieldPath.MatchString(p) {
			c.push("additionalModelResponseFieldPaths", i)
			c.add("", "it is not a JSON pointer, such as /stop_sequence, of up to %d characters", maxFieldPath)
			c.pop()
		}
	}
}

func (c *checker) guardrail(g bedrockkit.Guardrail) {
	c.push("guardrailConfig", -1)
	defer c.pop()
	if len(g.ID) > maxGuardrailID || !guardrailID.MatchString(g.ID) {
		c.add("guardrailIdentifier", "it is not an id or an ARN of a guardrail")
	}
	if !guardrailVersion.MatchString(g.Version) {
		c.add("guardrailVersion", "it is %q; it must be a number or DRAFT", g.Version)
	}
	switch g.Trace {
	case "", bedrockkit.GuardrailTraceEnabled, bedrockkit.GuardrailTraceDisabled, bedrockkit.GuardrailTraceFull:
	default:
		c.add("trace", "it is %q; it must be enabled, disabled or enabled_full", g.Trace)
	}
	switch g.StreamMode {
	case "", bedrockkit.GuardrailSync, bedrockkit.GuardrailAsync:
	default:
		c.add("streamProcessingMode", "it is %q; it must be sync or async", g.StreamMode)
	}
}

// prompt checks what may be set beside a prompt of Prompt management.
func (c *checker) prompt() {
	r := c.request
	if !r.isPrompt() {
		return
	}
	for _, field := range []struct {
		set  bool
		name string
	}{
		{len(r.System) > 0, "system"},
		{r.MaxTokens > 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0, "inferenceConfig"},
		{len(r.Tools) > 0, "toolConfig"},
		{len(r.AdditionalFields) > 0 || r.Thinking != 0, "additionalModelRequestFields"},
	} {
		if field.set {
			c.add(field.name, "the model is a prompt of Prompt management, which brings its own")
		}
	}
}

// cachePoints checks the points of the whole request, in the order in which
// the service reads them: tools, system, messages.
func (c *checker) cachePoints() {
	r := c.request
	for i, t := range r.Tools {
		if t.CachePoint != nil {
			c.push("toolConfig.tools", i)
			if c.subject.PromptCache.Tools == bedrockkit.No {
				c.fixable("cachePoint", "the model takes none after tools")
			}
			c.cachePoint(*t.CachePoint)
			c.pop()
		}
	}
	for i, block := range r.System {
		if p, ok := block.(CachePoint); ok {
			c.push("system", i)
			c.cachePoint(p)
			c.pop()
		}
	}
	for i, m := range r.Messages {
		for j, block := range m.Content {
			if p, ok := block.(CachePoint); ok {
				c.push("messages", i)
				c.push("content", j)
				c.cachePoint(p)
				c.pop()
				c.pop()
			}
		}
	}
}

func (c *checker) cachePoint(p CachePoint) {
	if c.points++; c.points == c.subject.maxPoints()+1 {
		c.fixable("cachePoint", "it is the request's cache point number %d; %d are allowed", c.points, c.points-1)
	}
	cache := c.subject.PromptCache
	if c.subject.no(bedrockkit.FeaturePromptCache) {
		c.fixable("cachePoint", "the model caches no prompts")
	}
	switch p.TTL {
	case "", "5m":
		c.shortTTL = true
		if p.TTL == "5m" && cache.TTL(p.TTL) == bedrockkit.No {
			c.fixable("cachePoint.ttl", "it is 5m; the model has %s only", strings.Join(cache.TTLs, ", "))
		}
	case "30m", "1h":
		switch {
		case c.shortTTL:
			c.fixable("cachePoint.ttl", "it is %q after one of 5m; a longer one comes before a shorter one, in the order of tools, system and messages", p.TTL)
		case cache.TTL(p.TTL) == bedrockkit.No:
			c.fixable("cachePoint.ttl", "it is %s; the model has %s only", p.TTL, strings.Join(cache.TTLs, ", "))
		}
	default:
		c.add("cachePoint.ttl", "it is %q; it must be 5m or 1h", p.TTL)
	}
}

// model checks how the model is named.
func (c *checker) model() {
	switch {
	case c.subject.no(bedrockkit.FeatureConverse):
		c.add("modelId", "the model has no Converse on Bedrock Runtime")
	case c.subject.bare && c.subject.no(bedrockkit.FeatureOnDemand):
		var profiles []string
		for _, p := range c.subject.Profiles {
			profiles = append(profiles, string(p.ID))
		}
		instead := "an inference profile"
		if len(profiles) > 0 {
			instead = strings.Join(profiles, " or ")
		}
		c.add("modelId", "the model is not served by its bare id; use %s", instead)
	}
}
