package bedrocktest

import (
	"encoding/json"

	"github.com/mangaassist/bedrockkit"
)

// The shapes of Converse and ConverseStream. Source: the API reference and the
// serializers of bedrockruntime v1.63.

type converseRequest struct {
	Messages        []converseMessage `json:"messages"`
	System          []json.RawMessage `json:"system"`
	InferenceConfig struct {
		MaxTokens     *int64   `json:"maxTokens"`
		Temperature   *float64 `json:"temperature"`
		TopP          *float64 `json:"topP"`
		StopSequences []string `json:"stopSequences"`
	} `json:"inferenceConfig"`
	ToolConfig *struct {
		Tools      []converseTool             `json:"tools"`
		ToolChoice map[string]json.RawMessage `json:"toolChoice"`
	} `json:"toolConfig"`
	OutputConfig struct {
		Effort     string `json:"effort"`
		TextFormat *struct {
			Type      string `json:"type"`
			Structure struct {
				JSONSchema struct {
					Schema string `json:"schema"`
				} `json:"jsonSchema"`
			} `json:"structure"`
		} `json:"textFormat"`
	} `json:"outputConfig"`
	ServiceTier *struct {
		Type string `json:"type"`
	} `json:"serviceTier"`
	PerformanceConfig struct {
		Latency string `json:"latency"`
	} `json:"performanceConfig"`
	GuardrailConfig                   *guardrailConfig  `json:"guardrailConfig"`
	RequestMetadata                   map[string]string `json:"requestMetadata"`
	AdditionalModelRequestFields      json.RawMessage   `json:"additionalModelRequestFields"`
	AdditionalModelResponseFieldPaths []string          `json:"additionalModelResponseFieldPaths"`
}

type guardrailConfig struct {
	ID      string `json:"guardrailIdentifier"`
	Version string `json:"guardrailVersion"`
	Trace   string `json:"trace"`

	StreamProcessingMode string `json:"streamProcessingMode"` // of streams
}

type converseMessage struct {
	Role    string            `json:"role"`
	Content []json.RawMessage `json:"content"`
}

type converseBlock struct {
	Text    *string `json:"text"`
	ToolUse *struct {
		ID    string          `json:"toolUseId"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
		Type  string          `json:"type"` // of one that the service runs by itself
	} `json:"toolUse"`
	ToolResult *struct {
		ID      string            `json:"toolUseId"`
		Content []json.RawMessage `json:"content"`
		Status  string            `json:"status"`
		Type    string            `json:"type"` // as above
	} `json:"toolResult"`
	ReasoningContent *struct {
		ReasoningText *struct {
			Text      string `json:"text"`
			Signature string `json:"signature"`
		} `json:"reasoningText"`
		RedactedContent []byte `json:"redactedContent"`
	} `json:"reasoningContent"`
	CachePoint *cachePoint `json:"cachePoint"`
	Document   *struct {
		Name   string          `json:"name"`
		Format string          `json:"format"`
		Source json.RawMessage `json:"source"`
	} `json:"document"`
	GuardContent *struct {
		Text *struct {
			Text string `json:"text"`
		} `json:"text"`
	} `json:"guardContent"`
	JSON json.RawMessage `json:"json"`
}

type cachePoint struct {
	Type string `json:"type"`
	TTL  string `json:"ttl"`
}

type converseTool struct {
	ToolSpec *struct {
		Name        string  `json:"name"`
		Description *string `json:"description"`
		Strict      bool    `json:"strict"`
		InputSchema struct {
			JSON json.RawMessage `json:"json"`
		} `json:"inputSchema"`
	} `json:"toolSpec"`
	CachePoint *cachePoint `json:"cachePoint"`
	SystemTool *struct {
		Name string `json:"name"`
	} `json:"systemTool"`

	other bool // it has a member that is not known here
}

func (t *converseTool) UnmarshalJSON(b []byte) error {
	type plain converseTool
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	for _, m := range members {
		t.other = t.other || string(m) != "null"
	}
	return nil
}

func (s *Server) converse(x *exchange) *Reply {
	var body converseRequest
	if err := json.Unmarshal(x.req.Body, &body); err != nil {
		return unreadable(err)
	}
	x.req.readConverse(&body)
	if r := s.served(x.req, bedrockkit.FeatureConverse); r != nil {
		return r
	}
	if g := body.GuardrailConfig; g != nil {
		var refused *Reply
		if x.req.guardrail, refused = s.guardrail(g.ID, g.Version); refused != nil {
			return refused
		}
		x.req.trace = g.Trace
	}
	return s.validateConverse(x.req, &body)
}

func (b *converseRequest) decode(raw json.RawMessage) (v converseBlock) {
	// A block of a kind or shape that is not known stays Raw.
	_ = json.Unmarshal(raw, &v)
	return v
}

func (req *Request) readConverse(body *converseRequest) {
	c := &req.Conversation
	if body.ServiceTier != nil {
		req.tier = body.ServiceTier.Type
	}
	req.latency, req.fieldPaths = body.PerformanceConfig.Latency, body.AdditionalModelResponseFieldPaths
	if n := body.InferenceConfig.MaxTokens; n != nil {
		c.MaxTokens = *n
	}
	c.Temperature, c.TopP = body.InferenceConfig.Temperature, body.InferenceConfig.TopP
	c.StopSequences = body.InferenceConfig.StopSequences
	c.Thinking = readThinking(body.AdditionalModelRequestFields)
	if e := body.OutputConfig.Effort; e != "" {
		c.Thinking.Effort = e
	}
	if f := body.OutputConfig.TextFormat; f != nil && json.Valid([]byte(f.Structure.JSONSchema.Schema)) {
		c.OutputSchema = json.RawMessage(f.Structure.JSONSchema.Schema)
	}
	if tc := body.ToolConfig; tc != nil {
		for _, t := range tc.Tools {
			switch {
			case t.ToolSpec != nil:
				tool := Tool{Name: t.ToolSpec.Name, Schema: t.ToolSpec.InputSchema.JSON}
				if t.ToolSpec.Description != nil {
					tool.Description = *t.ToolSpec.Description
				}
				c.Tools = append(c.Tools, tool)
				c.cachePart("tools", string(marshal(t.ToolSpec)), toolTokens(tool))
			case t.CachePoint != nil:
				c.cacheMark(t.CachePoint.TTL)
				req.cachedTools = true
			}
		}
		for mode, v := range tc.ToolChoice {
			c.ToolChoice.Mode = mode
			var named struct{ Name string }
			if json.Unmarshal(v, &named) == nil {
				c.ToolChoice.Name = named.Name
			}
		}
	}
	for _, raw := range body.System {
		b, text := body.decode(raw), ""
		switch {
		case b.Text != nil:
			text = *b.Text
		case b.GuardContent != nil && b.GuardContent.Text != nil:
			text = b.GuardContent.Text.Text
		case b.CachePoint != nil:
			c.cacheMark(b.CachePoint.TTL)
			continue
		}
		c.System = append(c.System, text)
		c.cachePart("system", text, CountTokens(text))
	}
	for _, m := range body.Messages {
		message := Message{Role: m.Role}
		head := int64(messageTokens)
		for _, raw := range m.Content {
			v := body.decode(raw)
			if v.CachePoint != nil {
				c.cacheMark(v.CachePoint.TTL)
				continue
			}
			b := v.block(raw)
			message.Blocks = append(message.Blocks, b)
			c.cachePart(m.Role, string(raw), head+blockTokens(b))
			head = 0
		}
		c.Messages = append(c.Messages, message)
	}
}

func (v converseBlock) block(raw json.RawMessage) Block {
	b := Block{Raw: raw}
	switch {
	case v.Text != nil:
		b.Text = *v.Text
	case v.ToolUse != nil && v.ToolUse.Type == "":
		b.ToolUse = &ToolCall{ID: v.ToolUse.ID, Name: v.ToolUse.Name, Input: v.ToolUse.Input}
	case v.ToolResult != nil && v.ToolResult.Type == "":
		b.ToolResult = &ToolResult{ID: v.ToolResult.ID, Error: v.ToolResult.Status == "error"}
		for _, raw := range v.ToolResult.Content {
			var inner converseBlock
			_ = json.Unmarshal(raw, &inner)
			b.ToolResult.Content = append(b.ToolResult.Content, inner.block(raw))
		}
	case v.ReasoningContent != nil:
		b.Reasoning = &ReasoningBlock{Redacted: v.ReasoningContent.RedactedContent}
		if t := v.ReasoningContent.ReasoningText; t != nil {
			b.Reasoning.Text, b.Reasoning.Signature = t.Text, t.Signature
		}
	case v.GuardContent != nil && v.GuardContent.Text != nil:
		b.Text = v.GuardContent.Text.Text
	}
	return b
}
