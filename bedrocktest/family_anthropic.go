package bedrocktest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

// anthropic is Anthropic's Messages API, as InvokeModel takes it. Source:
// "Anthropic Claude Messages API" of the Bedrock User Guide.
type anthropic struct{}

type anthropicRequest struct {
	Version       string             `json:"anthropic_version"`
	MaxTokens     *int64             `json:"max_tokens"`
	Messages      []anthropicMessage `json:"messages"`
	System        json.RawMessage    `json:"system"` // a string or text blocks
	Temperature   *float64           `json:"temperature"`
	TopP          *float64           `json:"top_p"`
	StopSequences []string           `json:"stop_sequences"`
	Tools         []struct {
		Type         string          `json:"type"`
		Name         string          `json:"name"`
		Description  string          `json:"description"`
		InputSchema  json.RawMessage `json:"input_schema"`
		CacheControl *cacheControl   `json:"cache_control"`
	} `json:"tools"`
	ToolChoice *struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"tool_choice"`
	OutputConfig struct {
		Format anthropicFormat `json:"format"`
	} `json:"output_config"`
	OutputFormat anthropicFormat `json:"output_format"` // its name in the beta
}

type anthropicFormat struct {
	Schema json.RawMessage `json:"schema"`
}

type cacheControl struct {
	Type string `json:"type"`
	TTL  string `json:"ttl"`
}

type anthropicMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"` // a string or blocks
}

type anthropicBlock struct {
	Type         string          `json:"type"`
	Text         string          `json:"text"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      json.RawMessage `json:"content"`
	IsError      bool            `json:"is_error"`
	Thinking     string          `json:"thinking"`
	Signature    string          `json:"signature"`
	Data         string          `json:"data"`
	CacheControl *cacheControl   `json:"cache_control"`
}

func invalid(format string, args ...any) *Reply {
	return Error(400, "ValidationException", fmt.Sprintf(format, args...))
}

func (anthropic) read(req *Request) *Reply {
	var body anthropicRequest
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return invalid(malformed)
	}
	c := &req.Conversation
	if body.MaxTokens != nil {
		c.MaxTokens = *body.MaxTokens
	}
	c.Temperature, c.TopP, c.StopSequences = body.Temperature, body.TopP, body.StopSequences
	c.Thinking = readThinking(req.Body)
	if c.OutputSchema = body.OutputConfig.Format.Schema; c.OutputSchema == nil {
		c.OutputSchema = body.OutputFormat.Schema
	}
	for _, t := range body.Tools {
		tool := Tool{Name: t.Name, Description: t.Description, Schema: t.InputSchema}
		c.Tools = append(c.Tools, tool)
		control := t.CacheControl
		t.CacheControl = nil
		c.cachePart("tools", string(marshal(t)), toolTokens(tool))
		c.cacheControl(control)
	}
	if tc := body.ToolChoice; tc != nil {
		c.ToolChoice = ToolChoice{Mode: tc.Type, Name: tc.Name}
	}
	system, problem := anthropicBlocks(body.System)
	if problem != nil {
		return invalid("system: Input should be a valid list")
	}
	for _, b := range system {
		c.System = append(c.System, b.Text)
		c.cachePart("system", b.Text, CountTokens(b.Text))
		c.cacheControl(b.CacheControl)
	}
	for i, m := range body.Messages {
		blocks, err := anthropicBlocks(m.Content)
		if err != nil {
			return invalid("messages.%d.content: Input should be a valid list", i)
		}
		message := Message{Role: m.Role}
		head := int64(messageTokens)
		for _, v := range blocks {
			b := v.block()
			message.Blocks = append(message.Blocks, b)
			key := v
			key.CacheControl = nil
			c.cachePart(m.Role, string(marshal(key)), head+blockTokens(b))
			c.cacheControl(v.CacheControl)
			head = 0
		}
		c.Messages = append(c.Messages, message)
	}
	return validateAnthropic(req, &body)
}

// anthropicBlocks reads content that is a string or a list of blocks.
func anthropicBlocks(raw json.RawMessage) (blocks []anthropicBlock, err error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case raw[0] == '"':
		var text string
		err = json.Unmarshal(raw, &text)
		return []anthropicBlock{{Type: "text", Text: text}}, err
	}
	err = json.Unmarshal(raw, &blocks)
	return blocks, err
}

func (v anthropicBlock) block() Block {
	switch v.Type {
	case "text":
		return Block{Text: v.Text}
	case "tool_use":
		return Block{ToolUse: &ToolCall{ID: v.ID, Name: v.Name, Input: v.Input}}
	case "tool_result":
		result := &ToolResult{ID: v.ToolUseID, Error: v.IsError}
		inner, _ := anthropicBlocks(v.Content)
		for _, b := range inner {
			result.Content = append(result.Content, b.block())
		}
		return Block{ToolResult: result}
	case "thinking":
		return Block{Reasoning: &ReasoningBlock{Text: v.Thinking, Signature: v.Signature}}
	case "redacted_thinking":
		data, err := base64.StdEncoding.DecodeString(v.Data)
		if err != nil {
			data = []byte(v.Data)
		}
		return Block{Reasoning: &ReasoningBlock{Redacted: data}}
	}
	return Block{Raw: marshal(v)}
}

// anthropicVersion is Bedrock's own, or a date, which Anthropic's SDK for
// TypeScript puts into the body.
var anthropicVersion = regexp.MustCompile(`^(bedrock-)?\d{4}-\d{2}-\d{2}$`)

// validateAnthropic checks what the model's own API checks, with its messages.
func validateAnthropic(req *Request, body *anthropicRequest) *Reply {
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(req.Body, &keys)
	for _, key := range []string{"model", "stream"} {
		if _, ok := keys[key]; ok {
			return invalid("%s: Extra inputs are not permitted", key)
		}
	}
	switch {
	case body.Version == "":
		return invalid("anthropic_version: Field required")
	case !anthropicVersion.MatchString(body.Version):
		return invalid("Invalid API version: %s", body.Version)
	case body.MaxTokens == nil:
		return invalid("max_tokens: Field required")
	case *body.MaxTokens < 1:
		return invalid("max_tokens: must be greater than or equal to 1")
	case body.Temperature != nil && (*body.Temperature < 0 || *body.Temperature > 1):
		return invalid("temperature: range: 0..1")
	case body.Messages == nil:
		return invalid("messages: Field required")
	case len(body.Messages) == 0:
		return invalid("messages: at least one message is required")
	}
	for i, m := range req.Messages {
		if m.Role != "user" && m.Role != "assistant" && m.Role != "system" { // of which newer models take one
			return invalid(unexpectedRole, m.Role)
		}
		if i == 0 && m.Role != "user" {
			return invalid("messages: first message must use the \"user\" role")
		}
		if len(m.Blocks) == 0 && (m.Role == "user" || i < len(req.Messages)-1) {
			return invalid("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		for _, b := range m.Blocks {
			if b.isText() && b.Text == "" {
				return invalid("messages: text content blocks must be non-empty")
			}
			if b.isText() && strings.TrimSpace(b.Text) == "" {
				return invalid("messages: text content blocks must contain non-whitespace text")
			}
		}
	}
	for _, s := range req.System {
		if s == "" {
			return invalid("system: text content blocks must be non-empty")
		}
	}
	names := map[string]bool{}
	for i, t := range body.Tools {
		if names[t.Name] {
			return invalid("tools: Tool names must be unique.")
		}
		names[t.Name] = true
		if t.Type != "" && t.Type != "custom" {
			continue // a tool of the service
		}
		if !toolName(t.Name, 128) {
			return invalid("tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i)
		}
		if !isObjectSchema(t.InputSchema) {
			return invalid("tools.%d.custom.input_schema.type: Input should be 'object'", i)
		}
	}
	if r := checkToolChoice(&req.Conversation, "Tool '%s' not found in provided tools"); r != nil {
		return r
	}
	if r := checkCacheMarks(req, func(ttl string) *Reply {
		if ttl == "1h" {
			return nil
		}
		return invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
	}); r != nil {
		return r
	}
	return checkAnthropicToolTurns(req.Messages)
}

// checkAnthropicToolTurns holds tool results against the calls before them.
func checkAnthropicToolTurns(messages []Message) *Reply {
	for i, m := range messages {
		var open []string
		if i > 0 {
			open = callIDs(messages[i-1])
		}
		var have []string
		for j, b := range m.Blocks {
			if b.ToolResult == nil {
				continue
			}
			have = append(have, b.ToolResult.ID)
			if !contains(open, b.ToolResult.ID) {
				return invalid("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", i, j, b.ToolResult.ID)
			}
		}
		if missing := without(open, have); len(missing) > 0 {
			return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, strings.Join(missing, ", "))
		}
	}
	return nil
}

func anthropicUsage(u bedrockkit.Usage) object {
	return object{
		"input_tokens":                u.InputTokens,
		"output_tokens":               u.OutputTokens,
		"cache_read_input_tokens":     u.CacheReadTokens,
		"cache_creation_input_tokens": u.CacheWrite5mTokens + u.CacheWrite1hTokens,
		"cache_creation": object{
			"ephemeral_5m_input_tokens": u.CacheWrite5mTokens,
			"ephemeral_1h_input_tokens": u.CacheWrite1hTokens,
		},
	}
}

// modelName is how the Messages API names the model: "claude-haiku-4-5-20251001".
func (a *answer) modelName() string {
	name := string(a.req.Model.Base())
	_, name, _ = strings.Cut(name, ".")
	name, _, _ = strings.Cut(name, "-v1")
	return name
}

func anthropicContent(b Block) any {
	switch {
	case b.ToolUse != nil:
		return object{"type": "tool_use", "id": toolID(b.ToolUse.ID), "name": b.ToolUse.Name, "input": b.ToolUse.input()}
	case b.Reasoning != nil && b.Reasoning.Redacted != nil:
		return object{"type": "redacted_thinking", "data": base64.StdEncoding.EncodeToString(b.Reasoning.Redacted)}
	case b.Reasoning != nil:
		return object{"type": "thinking", "thinking": b.Reasoning.Text, "signature": b.Reasoning.Signature}
	case b.Raw != nil:
		return b.Raw
	}
	return object{"type": "text", "text": b.Text}
}

// toolID gives an id that the server made the prefix of the Messages API.
func toolID(id string) string {
	if rest, ok := strings.CutPrefix(id, "tooluse_"); ok {
		return "toolu_bdrk_" + rest
	}
	return id
}

func (anthropic) body(a *answer) []byte {
	content := []any{}
	for _, b := range a.blocks {
		content = append(content, anthropicContent(b))
	}
	v := a.anthropicMessage()
	v["content"], v["usage"] = content, anthropicUsage(a.usage)
	v["stop_reason"], v["stop_sequence"] = a.anthropicStop()
	return marshal(v)
}

func (a *answer) anthropicMessage() object {
	return object{
		"id": "msg_bdrk_" + a.id, "type": "message", "role": "assistant", "model": a.modelName(),
		"content": []any{}, "stop_reason": nil, "stop_sequence": nil,
	}
}

func (a *answer) anthropicStop() (reason string, sequence any) {
	if a.stopSequence != "" {
		sequence = a.stopSequence
	}
	switch {
	case a.stop == bedrockkit.StopContentFiltered:
		return "refusal", sequence
	case a.stop == bedrockkit.StopGuardrailIntervened && a.req.guardrail != nil:
		return "end_turn", sequence // the model's word; Bedrock adds its own beside it
	}
	return string(a.stop), sequence
}

func (anthropic) frames(a *answer) []Frame {
	var frames []Frame
	add := func(v object) { frames = append(frames, Frame{Type: v["type"].(string), Payload: marshal(v)}) }

	message := a.anthropicMessage()
	usage := anthropicUsage(a.usage)
	usage["output_tokens"] = min(1, a.usage.OutputTokens)
	message["usage"] = usage
	add(object{"type": "message_start", "message": message})
	for i, b := range a.blocks {
		start := b
		switch {
		case b.ToolUse != nil:
			call := *b.ToolUse
			call.Input = nil
			start.ToolUse = &call
		case b.Reasoning != nil && b.Reasoning.Redacted == nil:
			start.Reasoning = &ReasoningBlock{}
		case b.Raw == nil:
			start.Text = ""
		}
		add(object{"type": "content_block_start", "index": i, "content_block": anthropicContent(start)})
		delta := func(typ, key, piece string) {
			p := append(make([]byte, 0, 160), `{"type":"content_block_delta","index":`...)
			p = strconv.AppendInt(p, int64(i), 10)
			p = append(p, `,"delta":{"type":"`...)
			p = append(p, typ...)
			p = append(p, `","`...)
			p = append(p, key...)
			p = append(p, `":`...)
			p = append(p, marshal(piece)...)
			frames = append(frames, Frame{Type: "content_block_delta", Payload: append(p, "}}"...), Tokens: CountTokens(piece)})
		}
		switch {
		case b.ToolUse != nil:
			delta("input_json_delta", "partial_json", "")
			for _, p := range b.pieces {
				delta("input_json_delta", "partial_json", p)
			}
		case b.Reasoning != nil:
			for _, p := range b.pieces {
				delta("thinking_delta", "thinking", p)
			}
			if b.Reasoning.Signature != "" {
				delta("signature_delta", "signature", b.Reasoning.Signature)
			}
		case b.Raw == nil:
			for _, p := range b.pieces {
				delta("text_delta", "text", p)
			}
		}
		add(object{"type": "content_block_stop", "index": i})
	}
	reason, sequence := a.anthropicStop()
	add(object{"type": "message_delta", "delta": object{"stop_reason": reason, "stop_sequence": sequence}, "usage": object{"output_tokens": a.usage.OutputTokens}})
	add(object{"type": "message_stop", "amazon-bedrock-invocationMetrics": a.invocationMetrics()})
	return frames
}
