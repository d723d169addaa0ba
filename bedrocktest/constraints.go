package bedrocktest

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The constraints of Converse's and ConverseStream's API model: lengths,
// patterns, enumerations. The service checks them first and names all that are
// broken together. Source: the service's model (bedrockruntime v1.63).

var (
	toolUseIDPattern        = regexp.MustCompile(`^[a-zA-Z0-9_.:-]+$`)
	toolNamePattern         = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	s3URIPattern            = regexp.MustCompile(`^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$`)
	accountPattern          = regexp.MustCompile(`^[0-9]{12}$`)
	guardrailIDPattern      = regexp.MustCompile(`^([a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+)$`)
	guardrailVersionPattern = regexp.MustCompile(`^([1-9][0-9]{0,7}|DRAFT)$`)
	metadataPattern         = regexp.MustCompile(`^[a-zA-Z0-9\s:_@$#=/+,.-]*$`)
)

var (
	imageFormats    = []string{"png", "jpeg", "gif", "webp"}
	documentFormats = []string{"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}
	videoFormats    = []string{"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"}
	audioFormats    = []string{"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"}
)

// constraints holds a request against the API's model. The reply says what
// cannot be read or what is broken, or is nil.
func (b *converseRequest) constraints() *Reply {
	c := &constrainer{}
	for i, m := range b.Messages {
		c.message(m, "messages."+itoa(i+1)+".member")
	}
	for i, raw := range b.System {
		c.content(raw, "system."+itoa(i+1)+".member", systemKeys)
	}
	c.inference(b)
	c.tools(b)
	if b.GuardrailConfig != nil {
		c.guardrail(b.GuardrailConfig)
	}
	c.settings(b)
	if c.broken != nil {
		return unreadable(c.broken)
	}
	return c.reply()
}

type constrainer struct {
	violations
	broken error // what cannot be read
}

// read decodes a member of the request.
func (c *constrainer) read(raw json.RawMessage, v any) bool {
	err := json.Unmarshal(raw, v)
	if err != nil && c.broken == nil {
		c.broken = err
	}
	return err == nil
}

func (c *constrainer) inference(b *converseRequest) {
	inf := b.InferenceConfig
	const at = "inferenceConfig."
	if n := inf.MaxTokens; n != nil && *n < 1 {
		c.add(string(marshal(*n)), at+"maxTokens", "Member must have value greater than or equal to 1")
	} else if n != nil && *n > math.MaxInt32 && c.broken == nil {
		c.broken = &json.UnmarshalTypeError{Value: "number", Field: "inferenceConfig.maxTokens"}
	}
	for _, p := range []struct {
		name  string
		value *float64
	}{{"temperature", inf.Temperature}, {"topP", inf.TopP}} {
		switch {
		case p.value == nil:
		case *p.value < 0:
			c.add(string(marshal(*p.value)), at+p.name, "Member must have value greater than or equal to 0")
		case *p.value > 1:
			c.add(string(marshal(*p.value)), at+p.name, "Member must have value less than or equal to 1")
		}
	}
	if len(inf.StopSequences) > maxStopSequences {
		c.list(at+"stopSequences", "Member must have length less than or equal to 2500")
	}
	for _, s := range inf.StopSequences {
		if s == "" {
			c.add("["+strings.Join(inf.StopSequences, ", ")+"]", at+"stopSequences",
				"Member must satisfy constraint: [Member must have length greater than or equal to 1]")
			break
		}
	}
}

const maxStopSequences = 2500

func (c *constrainer) tools(b *converseRequest) {
	if b.ToolConfig == nil {
		return
	}
	if len(b.ToolConfig.Tools) == 0 {
		c.list("toolConfig.tools", atLeastOne)
	}
	for i, t := range b.ToolConfig.Tools {
		at := "toolConfig.tools." + itoa(i+1) + ".member."
		switch {
		case t.ToolSpec != nil:
			c.toolName(t.ToolSpec.Name, at+"toolSpec.name")
			if d := t.ToolSpec.Description; d != nil && *d == "" {
				c.add("", at+"toolSpec.description", atLeastOne)
			}
		case t.SystemTool != nil:
			c.toolName(t.SystemTool.Name, at+"systemTool.name")
		case t.CachePoint != nil:
			c.cachePoint(*t.CachePoint, at+"cachePoint")
		}
	}
}

func (c *constrainer) toolName(name, at string) { c.text(name, at, toolNamePattern, 64) }

func (c *constrainer) cachePoint(p cachePoint, at string) {
	c.oneOf(p.Type, at+".type", "default")
	if p.TTL != "" {
		c.oneOf(p.TTL, at+".ttl", "5m", "30m", "1h")
	}
}

func (c *constrainer) guardrail(g *guardrailConfig) {
	const at = "guardrailConfig."
	if len(g.ID) > 2048 || !guardrailIDPattern.MatchString(g.ID) {
		c.add(g.ID, at+"guardrailIdentifier", "Member must satisfy regular expression pattern: "+guardrailIDPattern.String())
	}
	if !guardrailVersionPattern.MatchString(g.Version) {
		c.add(g.Version, at+"guardrailVersion", "Member must satisfy regular expression pattern: "+guardrailVersionPattern.String())
	}
	if g.Trace != "" {
		c.oneOf(g.Trace, at+"trace", "enabled", "disabled", "enabled_full")
	}
	if g.StreamProcessingMode != "" {
		c.oneOf(g.StreamProcessingMode, at+"streamProcessingMode", "sync", "async")
	}
}

// settings are the members that say how the request is served.
func (c *constrainer) settings(b *converseRequest) {
	if n := len(b.RequestMetadata); b.RequestMetadata != nil && (n == 0 || n > 16) {
		c.list("requestMetadata", "Member must have length between 1 and 16")
	}
	for _, key := range sortedKeys(b.RequestMetadata) {
		if key == "" || !metadata(key) || !metadata(b.RequestMetadata[key]) {
			c.add(key, "requestMetadata", "Map keys and values must satisfy regular expression pattern: [a-zA-Z0-9\\s:_@$#=/+,-.]{1,256}")
		}
	}
	if b.PerformanceConfig.Latency != "" {
		c.oneOf(b.PerformanceConfig.Latency, "performanceConfig.latency", "standard", "optimized")
	}
	if b.ServiceTier != nil {
		c.oneOf(b.ServiceTier.Type, "serviceTier.type", "priority", "default", "flex", "reserved")
	}
	if len(b.AdditionalModelResponseFieldPaths) > 10 {
		c.list("additionalModelResponseFieldPaths", "Member must have length less than or equal to 10")
	}
	if f := b.OutputConfig.TextFormat; f != nil {
		c.oneOf(f.Type, "outputConfig.textFormat.type", "json_schema")
	}
}

func metadata(s string) bool {
	return utf8.RuneCountInString(s) <= 256 && metadataPattern.MatchString(s)
}

func (c *constrainer) message(m converseMessage, at string) {
	c.oneOf(m.Role, at+".role", "user", "assistant", "system")
	for j, raw := range m.Content {
		c.content(raw, at+".content."+itoa(j+1)+".member", messageKeys)
	}
}

// content holds a block against the model. One that is not a block at all is
// refused later.
func (c *constrainer) content(raw json.RawMessage, at string, allowed []string) {
	key, member, refused := union(raw, "", allowed)
	if refused != nil {
		return
	}
	at += "." + key
	switch key {
	case "image", "document", "video", "audio":
		c.media(key, member, at)
	case "cachePoint":
		var p cachePoint
		if c.read(member, &p) {
			c.cachePoint(p, at)
		}
	case "guardContent":
		c.guardContent(member, at)
	case "citationsContent":
		c.citations(member, at)
	case "toolUse":
		c.toolUse(member, at)
	case "toolResult":
		c.toolResult(member, at)
	}
}

func (c *constrainer) toolUse(raw json.RawMessage, at string) {
	var u struct{ ToolUseID, Name, Type string }
	if !c.read(raw, &u) || u.Type != "" {
		return
	}
	c.text(u.ToolUseID, at+".toolUseId", toolUseIDPattern, 64)
	c.toolName(u.Name, at+".name")
}

func (c *constrainer) toolResult(raw json.RawMessage, at string) {
	var t struct {
		ToolUseID, Type string
		Status          *string
		Content         []json.RawMessage
	}
	if !c.read(raw, &t) || t.Type != "" {
		return
	}
	c.text(t.ToolUseID, at+".toolUseId", toolUseIDPattern, 64)
	if t.Status != nil {
		c.oneOf(*t.Status, at+".status", "success", "error")
	}
	for k, raw := range t.Content {
		c.content(raw, at+".content."+itoa(k+1)+".member", toolResultKeys)
	}
}

func (c *constrainer) media(key string, raw json.RawMessage, at string) {
	var m struct {
		Format *string
		Source map[string]json.RawMessage
	}
	if !c.read(raw, &m) {
		return
	}
	formats := map[string][]string{"image": imageFormats, "document": documentFormats, "video": videoFormats, "audio": audioFormats}[key]
	switch {
	case m.Format != nil:
		c.oneOf(*m.Format, at+".format", formats...)
	case key != "document":
		c.missing(at + ".format")
	}
	c.source(m.Source, at+".source")
}

func (c *constrainer) source(source map[string]json.RawMessage, at string) {
	if raw, ok := source["bytes"]; ok {
		var data []byte
		if c.read(raw, &data) && len(data) == 0 {
			c.list(at+".bytes", atLeastOne)
		}
	}
	if raw, ok := source["s3Location"]; ok {
		var s3 struct {
			URI         string
			BucketOwner *string
		}
		if !c.read(raw, &s3) {
			return
		}
		if !s3URIPattern.MatchString(s3.URI) {
			c.add(s3.URI, at+".s3Location.uri", "Member must satisfy regular expression pattern: "+s3URIPattern.String())
		}
		if len(s3.URI) > 1024 {
			c.add(s3.URI, at+".s3Location.uri", "Member must have length less than or equal to 1024")
		}
		if s3.BucketOwner != nil && !accountPattern.MatchString(*s3.BucketOwner) {
			c.add(*s3.BucketOwner, at+".s3Location.bucketOwner", "Member must satisfy regular expression pattern: [0-9]{12}")
		}
	}
}

func (c *constrainer) guardContent(raw json.RawMessage, at string) {
	var g struct {
		Text  *struct{ Qualifiers []string }
		Image *struct {
			Format string
			Source map[string]json.RawMessage
		}
	}
	if !c.read(raw, &g) {
		return
	}
	if g.Text != nil {
		for _, q := range g.Text.Qualifiers {
			c.oneOf(q, at+".text.qualifiers", "grounding_source", "query", "guard_content")
		}
	}
	if g.Image != nil {
		c.oneOf(g.Image.Format, at+".image.format", "png", "jpeg")
		c.source(g.Image.Source, at+".image.source")
	}
}

var citationLocations = []string{"web", "documentChar", "documentPage", "documentChunk", "searchResultLocation"}

func (c *constrainer) citations(raw json.RawMessage, at string) {
	var v struct {
		Citations []struct{ Location map[string]map[string]any }
	}
	if !c.read(raw, &v) {
		return
	}
	for i, citation := range v.Citations {
		for _, kind := range sortedKeys(citation.Location) {
			where := at + ".citations." + itoa(i+1) + ".member.location"
			c.oneOf(kind, where, citationLocations...)
			location := citation.Location[kind]
			for _, key := range sortedKeys(location) {
				if n, ok := location[key].(float64); ok && n < 0 {
					c.add(string(marshal(n)), where+"."+kind+"."+key, "Member must have value greater than or equal to 0")
				}
			}
		}
	}
}

// text holds a text against its pattern and its length of 1 to most, in the
// service's order.
func (v *violations) text(value, at string, pattern *regexp.Regexp, most int) {
	if !pattern.MatchString(value) {
		v.add(value, at, "Member must satisfy regular expression pattern: "+strings.Trim(pattern.String(), "^$"))
	}
	switch n := utf8.RuneCountInString(value); {
	case n < 1:
		v.add(value, at, atLeastOne)
	case n > most:
		v.add(value, at, "Member must have length less than or equal to "+itoa(most))
	}
}
