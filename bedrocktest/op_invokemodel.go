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

// families by provider, the first part of a model's id.
var families = map[string]family{
	"anthropic": anthropic{},
}

// familyOf finds the family by the model's provider or, where the id says
// nothing of it, by the body.
func (s *Server) familyOf(req *Request) family {
	if f, ok := families[s.resolve(req.Model).Provider()]; ok {
		return f
	}
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(req.Body, &keys)
	for _, k := range []struct{ key, provider string }{
		{"anthropic_version", "anthropic"},
	} {
		if _, ok := keys[k.key]; ok {
			return families[k.provider]
		}
	}
	return families["anthropic"]
}

func (s *Server) invokeModel(x *exchange) *Reply {
	req := x.req
	if r := s.knownModel(req.Model); r != nil {
		return r
	}
	if accept := req.Header.Get("Accept"); accept != "" && accept != "*/*" && !strings.HasPrefix(accept, "application/") {
		return Error(400, "ValidationException", "The Accept header must be application/json.")
	}
	req.tier = req.Header.Get("X-Amzn-Bedrock-Service-Tier")
	req.latency = req.Header.Get("X-Amzn-Bedrock-PerformanceConfig-Latency")
	req.family = s.familyOf(req)
	return req.family.read(req)
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
