package bedrocktest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
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

// familyOf finds the family by the model or, where its id says nothing of it,
// by what is in the body.
func (s *Server) familyOf(req *Request) (family, *Reply) {
	base := string(s.resolve(req.Model).Base())
	unknown := invalid("bedrocktest: the server does not know the InvokeModel bodies of %s; use Converse", req.Model)
	for _, other := range []string{"amazon.nova-canvas", "amazon.nova-reel", "amazon.nova-sonic", "amazon.nova-2-sonic", "amazon.nova-2-multimodal-embeddings"} {
		if strings.HasPrefix(base, other) {
			return nil, unknown
		}
	}
	for _, f := range []struct {
		prefix string
		family family
	}{
		{"anthropic.", anthropic{}},
		{"amazon.nova", nova{}},
		{"amazon.titan-text", titanText{}},
		{"amazon.titan-embed-text", titanEmbed{}},
		{"amazon.titan-embed-image", titanMultimodal{}},
		{"amazon.rerank", rerank{}},
		{"cohere.command-r", cohereChat{}},
		{"cohere.embed", cohereEmbed{}},
		{"cohere.rerank", rerank{}},
		{"meta.", llama{}},
		{"mistral.", mistral{}},
	} {
		if strings.HasPrefix(base, f.prefix) {
			return f.family, nil
		}
	}
	if base != "" {
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
	if r := s.knownModel(req.Model); r != nil {
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
	if _, ok := f.(computer); ok && req.Op.streams() {
		return invalid("The model is unsupported for streaming.")
	}
	return f.read(req)
}

// invokeHeaders are the headers with which InvokeModel tells what it used.
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
