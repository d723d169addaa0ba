package bedrockx

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// content is what of a request decides how many tokens it can take, and at which
// price.
type content struct {
	media  string // a part of the input whose tokens its bytes do not show; "" if there is none
	open   string // a part that brings input of its own, such as a tool that reads the web
	tools  bool   // tools or an output format: the service adds a prompt of its own
	models int    // tools whose definition the model knows: each adds a prompt
	cached bool   // cache points
	change string // a part that is not in the body and may change: an answer to it is not kept
	hour   bool   // with a TTL of an hour
	long   bool   // a context window of a million tokens

	tier    bedrockkit.ServiceTier
	latency bedrockkit.Latency
}

// scanContent reads a body of any family. It knows members by their names and
// values by their beginnings, wherever they are; what it takes for media and is
// not only makes a bound higher. Strings of a prompt cannot be mistaken for
// members, as their quotes are escaped.
func scanContent(body []byte) content {
	var c content
	var key, before string // the last two members
	urls, references := false, false
	for raw, isKey := range jsonStrings(body) {
		if isKey {
			before, key = key, name(raw)
			c.member(key)
			references = references || key == "image_url"
			continue
		}
		head := beginning(raw)
		switch {
		case key == "text": // whatever it looks like, the model reads its characters
		case strings.HasPrefix(head, "data:") && strings.Contains(head, ";base64,"), isBinary(head, key):
			c.media = "an image, a document, audio or video"
		}
		switch key {
		case "type":
			c.typed(head, before)
			references = references || head == "url"
		case "serviceTier", "service_tier":
			c.tier = bedrockkit.ServiceTier(head)
		case "latency":
			c.latency = bedrockkit.Latency(head)
		case "ttl":
			c.hour = c.hour || head == "1h"
		case "url", "image_url":
			urls = urls || strings.HasPrefix(head, "http://") || strings.HasPrefix(head, "https://")
		case "guardrailVersion":
			if head == "DRAFT" {
				c.change = "a draft of a guardrail"
			}
		case "anthropic_beta":
			c.long = c.long || strings.HasPrefix(head, "context-1m")
		}
	}
	if urls && references {
		c.media = "a file on another server"
		c.change = c.media
	}
	return c
}

// member takes note of a member of an object.
func (c *content) member(key string) {
	switch key {
	case "s3Location", "s3_location":
		c.media, c.change = "a file in S3", "a file in S3"
	case "input_audio":
		c.media = "audio"
	case "file_id", "fileId":
		c.media, c.change = "a file", "a file"
	case "systemTool", "mcp_servers":
		c.open, c.change = serverTool, serverTool
	case "tools", "toolConfig", "outputConfig", "output_config", "output_format", "response_format":
		c.tools = true
	case "cachePoint", "cache_control":
		c.cached = true
	}
}

// typed takes note of the value of a member "type".
func (c *content) typed(value, before string) {
	if before == "serviceTier" {
		c.tier = bedrockkit.ServiceTier(value)
		return
	}
	// Tools of Anthropic's own have a day as their version.
	tool, day, dated := strings.Cut(value, "_20")
	if !dated || len(day) != 6 || strings.Trim(day, "0123456789") != "" {
		return
	}
	switch tool {
	case "computer", "bash", "text_editor", "memory":
		c.models++
	default:
		c.open, c.change = serverTool, serverTool
	}
}

const serverTool = "a tool that the service runs"

// knownToolTokens is the most that the definition of a tool that the model knows
// adds: 735 for "computer". Source: Anthropic, "Computer use", pricing.
const knownToolTokens = 1024

// jsonStrings yields the strings of a JSON text without their quotes, and
// whether each names a member. It allocates nothing.
func jsonStrings(body []byte) func(func(raw []byte, isKey bool) bool) {
	return func(yield func([]byte, bool) bool) {
		for {
			start := bytes.IndexByte(body, '"')
			if start < 0 {
				return
			}
			body = body[start+1:]
			end := stringEnd(body)
			if end < 0 {
				return
			}
			raw := body[:end]
			body = body[end+1:]
			rest := bytes.TrimLeft(body, " \t\r\n")
			if !yield(raw, len(rest) > 0 && rest[0] == ':') {
				return
			}
		}
	}
}

// stringEnd is where the string ends that b begins with; -1 if it does not.
func stringEnd(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 {
			return -1
		}
		i += from
		slashes := 0
		for slashes < i && b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		from = i + 1
	}
}

// name is the name of a member. One that is longer than any that matters is "".
func name(raw []byte) string {
	if len(raw) > 64 {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var s string
	_ = json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &s)
	return s
}

// sniffed is how much of a string is looked at: base64 of a kilobyte.
const sniffed = 1368

// beginning is the beginning of a string, its escapes resolved.
func beginning(raw []byte) string {
	raw = raw[:min(len(raw), sniffed)]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var s string
	for cut := 0; cut < 12 && cut < len(raw); cut++ { // an escape may be cut
		if json.Unmarshal(append(append([]byte{'"'}, raw[:len(raw)-cut]...), '"'), &s) == nil {
			return s
		}
	}
	return ""
}

// isBinary reports whether a value is the base64 of an image, a document, audio
// or video, by its beginning. Text in base64, such as a document of plain text,
// is not: it has no more tokens than bytes.
func isBinary(head, key string) bool {
	const shortest = 16 // in base64; no file of these kinds is shorter
	head = strings.NewReplacer("\n", "", "\r", "").Replace(head)
	head = strings.TrimRight(head, "=")
	if len(head) < shortest || !isBase64([]byte(head)) {
		return false
	}
	data, err := base64.RawStdEncoding.DecodeString(head[:len(head)/4*4])
	if err != nil {
		return false
	}
	if bytes.Contains(data, []byte("%PDF-")) { // it may stand behind a text
		return true
	}
	if isText(data) {
		return false
	}
	for _, magic := range signatures {
		if strings.HasPrefix(string(data), magic) {
			return true
		}
	}
	if len(data) > 8 && string(data[4:8]) == "ftyp" { // MP4, MOV
		return true
	}
	switch key {
	case "bytes", "image", "images", "inputImage", "video", "audio", "document", "file_data", "base64", "mediaSource", "base64String":
		return true
	}
	return false
}

// signatures are what files begin with: PNG, JPEG, GIF, WebP and WAV, the ZIP
// of DOCX and XLSX, the container of DOC and XLS, WebM and MKV, Ogg, FLAC,
// MP3, FLV, MPEG, WMV, TIFF.
var signatures = []string{
	"\x89PNG", "\xff\xd8\xff", "GIF8", "RIFF", "PK\x03\x04", "\xd0\xcf\x11\xe0", "\x1aE\xdf\xa3", "OggS", "fLaC",
	"ID3", "FLV", "\x00\x00\x01\xba", "\x00\x00\x01\xb3", "\x30\x26\xb2\x75", "II*\x00", "MM\x00*",
}

// isText reports whether data is the beginning of a text.
func isText(data []byte) bool {
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return len(data) < utf8.UTFMax && !utf8.FullRune(data)
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f':
			return false
		}
		data = data[n:]
	}
	return true
}

// content is what of the call's request decides its bound.
func (c *Call) content(body []byte) content {
	found := scanContent(body)
	if c.Op == bedrockkit.OpInvokeModel || c.Op == bedrockkit.OpInvokeModelWithResponseStream {
		found.tier, found.latency = c.Options.Invoke.ServiceTier, c.Options.Invoke.Latency
		if c.SDKInput != nil && c.Body == nil {
			found.ofSDK(c.SDKInput)
		}
	}
	return found
}

// dependsOnOthers reports whether the answer depends on something outside of the
// request, which may change.
func (c *Call) dependsOnOthers() bool {
	if ident, err := c.Model.Parse(); err == nil && ident.Kind == bedrockkit.KindPrompt {
		if _, version, _ := strings.Cut(string(c.Model), ":prompt/"); !strings.Contains(version, ":") {
			return true
		}
	}
	return c.Options.Invoke.Guardrail.Version == "DRAFT" || scanContent(c.body()).change != ""
}

// ofSDK takes the parameters that an input of the SDK sets itself.
func (c *content) ofSDK(sdkInput func() (any, error)) {
	input, err := sdkInput()
	if err != nil {
		return // the attempt will show
	}
	var tier, latency string
	switch in := input.(type) {
	case *bedrockruntime.InvokeModelInput:
		tier, latency = string(in.ServiceTier), string(in.PerformanceConfigLatency)
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		tier, latency = string(in.ServiceTier), string(in.PerformanceConfigLatency)
	}
	if tier != "" {
		c.tier = bedrockkit.ServiceTier(tier)
	}
	if latency != "" {
		c.latency = bedrockkit.Latency(latency)
	}
}
