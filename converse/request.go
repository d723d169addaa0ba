package converse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
)

// Request is one request of the Converse API. What is zero is taken from the
// client's [Options].
type Request struct {
	Model    bedrockkit.ModelID `json:"model_id,omitempty"`
	Messages []Message          `json:"messages"`
	System   Contents           `json:"system,omitempty"` // Text or CachePoint; default Options.System

	MaxTokens     int      `json:"max_tokens,omitempty"` // of the answer
	Temperature   *float64 `json:"temperature,omitempty"`
	TopP          *float64 `json:"top_p,omitempty"`
	StopSequences []string `json:"stop_sequences,omitempty"`

	// Tools are what the model may call; default the specs of Options.Tools.
	Tools      []ToolSpec `json:"tools,omitempty"`
	ToolChoice ToolChoice `json:"tool_choice,omitzero"`

	ServiceTier bedrockkit.ServiceTier `json:"service_tier,omitempty"`

	// AdditionalFields is a JSON object of parameters that are the model's own.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
}

// ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"` // 1 to 64 of letters, digits, _ and -
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"input_schema"` // a JSON Schema of type object
}

// ToolChoice says whether the model must call a tool. The zero value leaves it
// to the model. The tool loop obeys it in its first round: a model that had to
// call a tool in every round could never answer.
type ToolChoice struct {
	Any  bool   `json:"any,omitempty"`  // it must call one
	Tool string `json:"tool,omitempty"` // it must call this one
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// check finds what Bedrock would refuse, and says where it is.
func (r *Request) check() error {
	if len(r.Messages) == 0 {
		return errors.New("messages is empty; give at least one, as converse.User(\"…\") makes it")
	}
	if r.Messages[0].Role != RoleUser {
		return fmt.Errorf("messages[0].role is %q; a conversation starts with user", r.Messages[0].Role)
	}
	hasTools := false
	for i, m := range r.Messages {
		if m.Role != RoleUser && m.Role != RoleAssistant {
			return fmt.Errorf("messages[%d].role is %q; it is user or assistant", i, m.Role)
		}
		if i > 0 && m.Role == r.Messages[i-1].Role {
			return fmt.Errorf("messages[%d].role is %q as the one before; roles alternate", i, m.Role)
		}
		if len(m.Content) == 0 {
			return fmt.Errorf("messages[%d].content is empty", i)
		}
		for j, c := range m.Content {
			switch c := c.(type) {
			case Text:
				if strings.TrimSpace(string(c)) == "" {
					return fmt.Errorf("messages[%d].content[%d] is a blank text", i, j)
				}
				if !utf8.ValidString(string(c)) {
					return fmt.Errorf("messages[%d].content[%d] is a text that is no valid UTF-8", i, j)
				}
			case ToolUse:
				hasTools = true
			case ToolResult:
				hasTools = true
				for k, inner := range c.Content {
					if text, ok := inner.(Text); ok && strings.TrimSpace(string(text)) == "" {
						return fmt.Errorf("messages[%d].content[%d].content[%d] is a blank text", i, j, k)
					}
				}
			}
		}
		if err := checkToolResults(r.Messages, i); err != nil {
			return err
		}
	}
	for i, c := range r.System {
		if text, ok := c.(Text); ok && strings.TrimSpace(string(text)) == "" {
			return fmt.Errorf("system[%d] is a blank text", i)
		}
	}
	if r.MaxTokens < 0 {
		return fmt.Errorf("max tokens is %d; it is at least 1", r.MaxTokens)
	}
	for name, v := range map[string]*float64{"temperature": r.Temperature, "top p": r.TopP} {
		if v != nil && !(*v >= 0 && *v <= 1) {
			return fmt.Errorf("%s is %v; it is from 0 to 1", name, *v)
		}
	}
	if hasTools && len(r.Tools) == 0 {
		return errors.New("messages hold tool blocks, but there are no tools; give the tools that the conversation began with")
	}
	names := make(map[string]bool, len(r.Tools))
	for i, t := range r.Tools {
		switch {
		case !toolName.MatchString(t.Name):
			return fmt.Errorf("tools[%d].name %q is not 1 to 64 of letters, digits, _ and -", i, t.Name)
		case names[t.Name]:
			return fmt.Errorf("tools[%d].name %q is there twice", i, t.Name)
		case strings.TrimSpace(t.Description) == "":
			return fmt.Errorf("tools[%d] (%s) has no description", i, t.Name)
		}
		names[t.Name] = true
		var schema struct{ Type json.RawMessage }
		if err := json.Unmarshal(t.InputSchema, &schema); err != nil || string(schema.Type) != `"object"` {
			return fmt.Errorf("tools[%d] (%s): the input schema is not a JSON Schema of type object", i, t.Name)
		}
	}
	if r.ToolChoice.Any && len(r.Tools) == 0 {
		return errors.New("tool choice: a tool must be called, and there are no tools")
	}
	if r.ToolChoice.Tool != "" && !names[r.ToolChoice.Tool] {
		return fmt.Errorf("tool choice: there is no tool %q", r.ToolChoice.Tool)
	}
	return nil
}

// checkToolResults sees that message i answers exactly the tool uses of the
// one before.
func checkToolResults(messages []Message, i int) error {
	open := make(map[string]bool)
	if i > 0 {
		for _, use := range messages[i-1].ToolUses() {
			if open[use.ID] {
				return fmt.Errorf("messages[%d] has two tool uses with the id %q", i-1, use.ID)
			}
			open[use.ID] = true
		}
	}
	for j, c := range messages[i].Content {
		result, ok := c.(ToolResult)
		if !ok {
			continue
		}
		if !open[result.ToolUseID] {
			return fmt.Errorf("messages[%d].content[%d] is a result for %q, which is no open tool use of the message before", i, j, result.ToolUseID)
		}
		delete(open, result.ToolUseID)
	}
	for id := range open {
		return fmt.Errorf("messages[%d] has no result for the tool use %q of the message before", i, id)
	}
	return nil
}

// body is the request as Bedrock takes it. It is written by hand: a long
// history would cost more in reflection than in the rest of the request.
func (r *Request) body() (json.RawMessage, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b := make([]byte, 0, r.sizeHint())
	b = append(b, `{"messages":[`...)
	var err error
	for i, m := range r.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = m.appendJSON(b); err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
	}
	b = append(b, ']')
	if len(r.System) > 0 {
		b = append(b, `,"system":`...)
		if b, err = appendContents(b, r.System); err != nil {
			return nil, fmt.Errorf("system.%w", err)
		}
	}
	b = r.appendInference(b)
	if len(r.Tools) > 0 {
		b = r.appendTools(b)
	}
	if r.ServiceTier != "" {
		b = append(b, `,"serviceTier":{"type":`...)
		b = append(appendString(b, string(r.ServiceTier)), '}')
	}
	if len(r.AdditionalFields) > 0 {
		b = append(b, `,"additionalModelRequestFields":`...)
		if b, err = appendObject(b, r.AdditionalFields); err != nil {
			return nil, fmt.Errorf("additional fields: %w", err)
		}
	}
	return append(b, '}'), nil
}

func (r *Request) appendInference(b []byte) []byte {
	start := len(b)
	b = append(b, `,"inferenceConfig":{`...)
	empty := len(b)
	field := func(name string) {
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
	}
	if r.MaxTokens > 0 {
		field("maxTokens")
		b = strconv.AppendInt(b, int64(r.MaxTokens), 10)
	}
	if r.Temperature != nil {
		field("temperature")
		b = strconv.AppendFloat(b, *r.Temperature, 'g', -1, 64)
	}
	if r.TopP != nil {
		field("topP")
		b = strconv.AppendFloat(b, *r.TopP, 'g', -1, 64)
	}
	if len(r.StopSequences) > 0 {
		field("stopSequences")
		b = append(b, '[')
		for i, s := range r.StopSequences {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		b = append(b, ']')
	}
	if len(b) == empty {
		return b[:start]
	}
	return append(b, '}')
}

func (r *Request) appendTools(b []byte) []byte {
	b = append(b, `,"toolConfig":{"tools":[`...)
	for i, t := range r.Tools {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"toolSpec":{"name":`...)
		b = appendString(b, t.Name)
		b = append(b, `,"description":`...)
		b = appendString(b, t.Description)
		b = append(b, `,"inputSchema":{"json":`...)
		b = append(b, bytes.TrimSpace(t.InputSchema)...)
		b = append(b, `}}}`...)
	}
	b = append(b, ']')
	switch {
	case r.ToolChoice.Tool != "":
		b = append(b, `,"toolChoice":{"tool":{"name":`...)
		b = append(appendString(b, r.ToolChoice.Tool), `}}`...)
	case r.ToolChoice.Any:
		b = append(b, `,"toolChoice":{"any":{}}`...)
	}
	return append(b, '}')
}

// sizeHint is about the size of the body.
func (r *Request) sizeHint() int {
	n := 512
	for _, t := range r.Tools {
		n += len(t.InputSchema) + len(t.Description) + 128
	}
	for _, c := range r.System {
		n += contentSize(c)
	}
	for _, m := range r.Messages {
		n += 32
		for _, c := range m.Content {
			n += contentSize(c)
		}
	}
	return n
}

func contentSize(c Content) int {
	const frame = 64
	switch c := c.(type) {
	case Text:
		return len(c) + len(c)/16 + frame
	case Image:
		return len(c.Bytes)*4/3 + frame
	case Document:
		return len(c.Bytes)*4/3 + 2*frame
	case ToolUse:
		return len(c.Input) + 2*frame
	case ToolResult:
		n := 2 * frame
		for _, c := range c.Content {
			n += contentSize(c)
		}
		return n
	case JSON:
		return len(c) + frame
	case Reasoning:
		return len(c.Text) + len(c.Signature) + 2*frame
	case Redacted:
		return len(c)*4/3 + frame
	case Raw:
		return len(c)
	}
	return frame
}
