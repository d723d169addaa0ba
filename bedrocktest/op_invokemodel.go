package bedrocktest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// A family knows the bodies that InvokeModel has for the models of one
// provider.
type family interface {
	// read fills the request's Conversation and returns the error that Bedrock
	// would, or nil.
	read(req *Request) *Reply
	// body is the answer as a response body.
	body(a *answer) []byte
	// frames are the answer's stream, each payload the model's own event.
	frames(a *answer) []Frame
}

// nativeFamily is that of a model by its id, or nil.
func (s *Server) nativeFamily(id bedrockkit.ModelID) family {
	base := string(s.resolve(id).Base())
	for _, f := range families {
		if strings.HasPrefix(base, f.prefix) {
			return f.family
		}
	}
	return nil
}

// families by the beginning of the model's id, the first that fits. A nil one
// has bodies that the server does not know.
var families = []struct {
	prefix string
	family family
}{
	{"amazon.nova-canvas", nil},
	{"amazon.nova-reel", nil},
	{"amazon.nova-sonic", nil},
	{"amazon.nova-2-sonic", nil},
	{"amazon.nova-2-5-sonic", nil},
	{"amazon.nova-2-multimodal-embeddings", nil},
	{"ai21.jamba", openAI{}},
	{"amazon.nova", nova{}},
	{"amazon.rerank", rerank{}},
	{"amazon.titan-embed-image", titanMultimodal{}},
	{"amazon.titan-embed-text", titanEmbed{}},
	{"amazon.titan-text", titanText{}},
	{"anthropic.", anthropic{}},
	{"cohere.command-r", cohereChat{}},
	{"cohere.embed", cohereEmbed{}},
	{"cohere.rerank", rerank{}},
	{"deepseek.r1", deepSeekR1{}},
	{"deepseek.", openAI{}},
	{"google.", openAI{}},
	{"meta.", llama{}},
	{"minimax.", openAI{}},
	{"mistral.", mistral{}},
	{"moonshot", openAI{}},
	{"nvidia.", openAI{}},
	{"openai.", openAI{}},
	{"qwen.", openAI{}},
	{"writer.", openAI{}},
	{"xai.", openAI{}},
	{"zai.", openAI{}},
}

// familyOf finds the family by the model or, where its id says nothing of it,
// by what is in the body.
func (s *Server) familyOf(req *Request) (family, *Reply) {
	unknown := invalid("bedrocktest: the server does not know the InvokeModel bodies of %s; use Converse", req.Model)
	if f := s.nativeFamily(req.Model); f != nil {
		return f, nil
	}
	if s.resolve(req.Model).Base() != "" {
		return nil, unknown
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(req.Body, &keys); err != nil {
		return nil, invalid(malformed)
	}
	for _, f := range []struct {
		key    string
		family family
	}{
		{"anthropic_version", anthropic{}},
		{"textGenerationConfig", titanText{}},
		{"inputText", titanEmbed{}},
		{"texts", cohereEmbed{}},
		{"documents", rerank{}},
		{"max_gen_len", llama{}},
		{"prompt", mistral{}},
		{"message", cohereChat{}},
		{"max_tokens", openAI{}},
		{"max_completion_tokens", openAI{}},
		{"messages", nova{}},
	} {
		if _, ok := keys[f.key]; ok {
			return f.family, nil
		}
	}
	return nil, unknown
}

func (s *Server) invokeModel(x *exchange) *Reply {
	req := x.req
	if r := s.served(req, bedrockkit.FeatureInvokeModel); r != nil {
		return r
	}
	req.tier = req.Header.Get("X-Amzn-Bedrock-Service-Tier")
	req.latency = req.Header.Get("X-Amzn-Bedrock-PerformanceConfig-Latency")
	f, r := s.familyOf(req)
	if r != nil {
		return r
	}
	req.family = f
	if id := req.Header.Get("X-Amzn-Bedrock-GuardrailIdentifier"); id != "" {
		if req.guardrail, r = s.guardrail(id, req.Header.Get("X-Amzn-Bedrock-GuardrailVersion")); r != nil {
			return r
		}
	}
	if _, ok := f.(computer); ok && req.Op.Streaming() {
		return invalid("The model is unsupported for streaming.")
	}
	return s.read(f, req)
}

// read reads a body of a family and holds it against its model.
func (s *Server) read(f family, req *Request) *Reply {
	req.family = f
	if r := f.read(req); r != nil {
		return r
	}
	if _, computes := f.(computer); computes {
		return nil
	}
	return s.checkModel(req, nativeAsked(req))
}

// nativeAsked is what the rules of models look at, of a body of the model's own.
func nativeAsked(req *Request) asked {
	a := asked{uses: map[string]bool{}, strict: -1}
	_ = json.Unmarshal(req.Body, &a.fields)
	var body struct {
		Messages []struct {
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Strict   bool `json:"strict"`
			Function struct {
				Strict bool `json:"strict"`
			} `json:"function"`
		} `json:"tools"`
		OutputConfig struct {
			Format json.RawMessage `json:"format"`
		} `json:"output_config"`
		OutputFormat   json.RawMessage `json:"output_format"`
		ResponseFormat struct {
			JSONSchema json.RawMessage `json:"json_schema"`
		} `json:"response_format"`
	}
	// What is of another shape is another family's, which was read before.
	_ = json.Unmarshal(req.Body, &body)
	a.format = body.OutputConfig.Format != nil || body.OutputFormat != nil || body.ResponseFormat.JSONSchema != nil
	for i, t := range body.Tools {
		if (t.Strict || t.Function.Strict) && a.strict < 0 {
			a.strict = i
		}
	}
	for _, m := range body.Messages {
		a.useNative(m.Content)
	}
	return a
}

// useNative notes the kinds of Anthropic's and OpenAI's blocks.
func (a *asked) useNative(content json.RawMessage) {
	var blocks []struct {
		Type      string          `json:"type"`
		Content   json.RawMessage `json:"content"`
		Citations struct {
			Enabled bool `json:"enabled"`
		} `json:"citations"`
	}
	if json.Unmarshal(content, &blocks) != nil {
		return
	}
	for _, b := range blocks {
		kind := strings.TrimSuffix(b.Type, "_url") // OpenAI's image_url
		a.uses[kind] = true
		a.citations = a.citations || b.Citations.Enabled
		if kind == "tool_result" {
			a.useNative(b.Content)
		}
	}
}

// invokeHeaders are the headers in which InvokeModel says what it used.
func invokeHeaders(h http.Header, a *answer) {
	set := func(name string, n int64) { h.Set("X-Amzn-Bedrock-"+name, strconv.FormatInt(n, 10)) }
	u := a.usage
	set("Input-Token-Count", u.InputTokens)
	set("Output-Token-Count", u.OutputTokens)
	set("Invocation-Latency", a.latency.Milliseconds())
	if u.TotalInput() > u.InputTokens {
		set("Cache-Read-Input-Token-Count", u.CacheReadTokens)
		set("Cache-Write-Input-Token-Count", u.TotalInput()-u.InputTokens-u.CacheReadTokens)
	}
	setInvokeOptions(h, a)
}

func setInvokeOptions(h http.Header, a *answer) {
	if a.tier != "" {
		h.Set("X-Amzn-Bedrock-Service-Tier", string(a.tier))
	}
	if a.req.latency != "" {
		h.Set("X-Amzn-Bedrock-PerformanceConfig-Latency", a.req.latency)
	}
}

// invocationMetrics is what the last chunk of a stream carries.
func (a *answer) invocationMetrics() object {
	u := a.usage
	v := object{
		"inputTokenCount":   u.InputTokens,
		"outputTokenCount":  u.OutputTokens,
		"invocationLatency": a.latency.Milliseconds(),
		"firstByteLatency":  a.firstByte.Milliseconds(),
	}
	if u.TotalInput() > u.InputTokens {
		v["cacheReadInputTokenCount"] = u.CacheReadTokens
		v["cacheWriteInputTokenCount"] = u.TotalInput() - u.InputTokens - u.CacheReadTokens
	}
	return v
}

// appendChunk wraps a model's own event as the payload of a chunk event.
func appendChunk(dst, event []byte) []byte {
	dst = append(dst, `{"bytes":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, event)
	return append(dst, `"}`...)
}
