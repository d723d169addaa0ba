package bedrocktest

import (
	"encoding/json"
	"strconv"
	"strings"
)

type object = map[string]any

// converseBody is the answer as a Converse response.
func converseBody(a *answer) []byte {
	content := []any{}
	for _, b := range a.blocks {
		switch {
		case b.ToolUse != nil:
			content = append(content, object{"toolUse": object{"toolUseId": b.ToolUse.ID, "name": b.ToolUse.Name, "input": b.ToolUse.input()}})
		case b.Reasoning != nil && b.Reasoning.Redacted != nil:
			content = append(content, object{"reasoningContent": object{"redactedContent": b.Reasoning.Redacted}})
		case b.Reasoning != nil:
			text := object{"text": b.Reasoning.Text}
			if b.Reasoning.Signature != "" {
				text["signature"] = b.Reasoning.Signature
			}
			content = append(content, object{"reasoningContent": object{"reasoningText": text}})
		case b.Raw != nil:
			content = append(content, b.Raw)
		default:
			content = append(content, object{"text": b.Text})
		}
	}
	v := a.metadata()
	v["output"] = object{"message": object{"role": "assistant", "content": content}}
	a.stopped(v)
	return marshal(v)
}

// stopped adds how the answer ended: what Converse's body and the event
// messageStop share.
func (a *answer) stopped(v object) object {
	v["stopReason"] = a.stop
	if fields := a.responseFields(); fields != nil {
		v["additionalModelResponseFields"] = fields
	}
	return v
}

// responseFields are the fields of the model's own body that the request has
// asked for, in the objects that they are in. A path that leads nowhere is left
// out. Source: Converse, additionalModelResponseFieldPaths, API reference.
func (a *answer) responseFields() object {
	if a.native == nil || len(a.req.fieldPaths) == 0 {
		return nil
	}
	plain := *a
	plain.native = nil
	var body any
	_ = json.Unmarshal(a.native.body(&plain), &body)
	var fields object
	for _, path := range a.req.fieldPaths {
		keys := strings.Split(strings.TrimPrefix(path, "/"), "/")
		value, into := body, object{}
		out := into
		for i, key := range keys {
			key = pointerEscapes.Replace(key)
			m, ok := value.(map[string]any)
			if value = m[key]; !ok || value == nil {
				out = nil
				break
			}
			if i < len(keys)-1 {
				next := object{}
				into[key] = next
				into = next
				continue
			}
			into[key] = value
		}
		if out != nil {
			fields = merged(fields, out)
		}
	}
	return fields
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// merged is a with what is in b, objects member by member.
func merged(a, b object) object {
	if a == nil {
		return b
	}
	for k, v := range b {
		x, ok1 := a[k].(object)
		y, ok2 := v.(object)
		if ok1 && ok2 {
			v = merged(x, y)
		}
		a[k] = v
	}
	return a
}

// metadata is what Converse's body and ConverseStream's last event share.
func (a *answer) metadata() object {
	v := object{
		"metrics": object{"latencyMs": a.latency.Milliseconds()},
		"usage":   a.converseUsage(),
	}
	if a.tier != "" {
		v["serviceTier"] = object{"type": a.tier}
	}
	if t := a.guardrailTrace(); t != nil {
		v["trace"] = t
	}
	if a.req.latency != "" {
		v["performanceConfig"] = object{"latency": a.req.latency}
	}
	return v
}

func (a *answer) converseUsage() object {
	u := a.usage
	input := u.InputTokens
	// The streams of OpenAI's models count cached tokens as input. Source: usage
	// of GPT-5.6 that users of the service have published.
	if a.streamed && a.req.Model.Provider() == "openai" {
		input = u.TotalInput()
	}
	v := object{
		"inputTokens":  input,
		"outputTokens": u.OutputTokens,
		"totalTokens":  u.Total(),
	}
	writes := u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens
	if u.CacheReadTokens+writes > 0 {
		v["cacheReadInputTokens"] = u.CacheReadTokens
		v["cacheWriteInputTokens"] = writes
	}
	var details []object
	for _, d := range []struct {
		ttl string
		n   int64
	}{{"1h", u.CacheWrite1hTokens}, {"30m", u.CacheWrite30mTokens}, {"5m", u.CacheWrite5mTokens}} {
		if d.n > 0 {
			details = append(details, object{"ttl": d.ttl, "inputTokens": d.n})
		}
	}
	if details != nil {
		v["cacheDetails"] = details
	}
	return v
}

// converseFrames are the answer's events in ConverseStream. A text block has
// no contentBlockStart there.
func converseFrames(a *answer) []Frame {
	frames := []Frame{{Type: "messageStart", Payload: []byte(`{"role":"assistant"}`)}}
	add := func(eventType string, v any) {
		frames = append(frames, Frame{Type: eventType, Payload: marshal(v)})
	}
	for i, b := range a.blocks {
		switch {
		case b.ToolUse != nil:
			add("contentBlockStart", object{"contentBlockIndex": i, "start": object{"toolUse": object{"toolUseId": b.ToolUse.ID, "name": b.ToolUse.Name}}})
			// The first piece of an input is empty, and the only one of a call
			// without arguments.
			frames = append(frames, converseDelta(i, `{"toolUse":{"input":`, "", `}}`))
			for _, p := range b.pieces {
				frames = append(frames, converseDelta(i, `{"toolUse":{"input":`, p, `}}`))
			}
		case b.Reasoning != nil:
			for _, p := range b.pieces {
				frames = append(frames, converseDelta(i, `{"reasoningContent":{"text":`, p, `}}`))
			}
			if b.Reasoning.Redacted != nil {
				add("contentBlockDelta", object{"contentBlockIndex": i, "delta": object{"reasoningContent": object{"redactedContent": b.Reasoning.Redacted}}})
			}
			if b.Reasoning.Signature != "" {
				frames = append(frames, converseDelta(i, `{"reasoningContent":{"signature":`, b.Reasoning.Signature, `}}`))
			}
		case b.Raw != nil:
			add("contentBlockStart", object{"contentBlockIndex": i, "start": b.Raw})
		default:
			for _, p := range b.pieces {
				frames = append(frames, converseDelta(i, `{"text":`, p, `}`))
			}
		}
		add("contentBlockStop", object{"contentBlockIndex": i})
	}
	add("messageStop", a.stopped(object{}))
	add("metadata", a.metadata())
	return frames
}

func converseDelta(index int, before, piece, after string) Frame {
	p := append(make([]byte, 0, 128), `{"contentBlockIndex":`...)
	p = strconv.AppendInt(p, int64(index), 10)
	p = append(p, `,"delta":`...)
	p = append(p, before...)
	p = append(p, marshal(piece)...)
	p = append(p, after...)
	return Frame{Type: "contentBlockDelta", Payload: append(p, '}'), Tokens: CountTokens(piece)}
}
