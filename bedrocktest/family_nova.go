package bedrocktest

import (
	"bytes"
	"encoding/json"
	"slices"
)

// nova is Amazon Nova's own body. It is Converse's, but for the maximum of
// tokens, the names of the cache counts and the stream, whose events are
// members of one object. Source: "Complete request schema", Nova User Guide.
type nova struct{}

func (nova) read(req *Request) *Reply {
	var body converseRequest
	var more struct {
		SchemaVersion   string `json:"schemaVersion"`
		InferenceConfig struct {
			MaxNewTokens *int64 `json:"max_new_tokens"`
			Stop         []string
			Reasoning    json.RawMessage `json:"reasoningConfig"`
		} `json:"inferenceConfig"`
	}
	if json.Unmarshal(req.Body, &body) != nil || json.Unmarshal(req.Body, &more) != nil {
		return invalid(malformed)
	}
	if n := more.InferenceConfig.MaxNewTokens; n != nil {
		body.InferenceConfig.MaxTokens = n
	}
	if v := more.SchemaVersion; v != "" && v != "messages-v1" {
		return invalid("Malformed input request: #/schemaVersion: %s is not a valid enum value, please reformat your input and try again.", v)
	}
	tier, latency := req.tier, req.latency // the headers say them here
	req.readConverse(&body)
	req.tier, req.latency = tier, latency
	req.Thinking = readThinking(req.Body)
	if more.InferenceConfig.Reasoning != nil {
		req.Thinking = readThinking(marshal(object{"reasoningConfig": more.InferenceConfig.Reasoning}))
	}
	if req.cachedTools {
		return invalid("Malformed input request: extraneous key [cachePoint] is not permitted, please reformat your input and try again.")
	}
	// An empty system block, which clients send where there is no system prompt,
	// is taken here.
	body.System = slices.DeleteFunc(body.System, func(b json.RawMessage) bool { return string(bytes.TrimSpace(b)) == "{}" })
	return validateConverse(req, &body, "amazon.nova-")
}

func (nova) body(a *answer) []byte {
	var v object
	_ = json.Unmarshal(converseBody(a), &v)
	delete(v, "metrics")
	delete(v, "serviceTier")
	delete(v, "performanceConfig")
	v["usage"] = novaUsage(a)
	return marshal(v)
}

func novaUsage(a *answer) object {
	u := a.usage
	return object{
		"inputTokens": u.InputTokens, "outputTokens": u.OutputTokens, "totalTokens": u.Total(),
		"cacheReadInputTokenCount": u.CacheReadTokens, "cacheWriteInputTokenCount": u.TotalInput() - u.InputTokens - u.CacheReadTokens,
	}
}

func (nova) frames(a *answer) []Frame {
	frames := converseFrames(a)
	for i, f := range frames {
		if f.Type == "metadata" {
			f.Payload = marshal(object{
				"metadata":                         object{"usage": novaUsage(a), "metrics": object{}, "trace": object{}},
				"amazon-bedrock-invocationMetrics": a.invocationMetrics(),
			})
		} else {
			f.Payload = marshal(map[string]json.RawMessage{f.Type: f.Payload})
		}
		frames[i] = f
	}
	return frames
}
