package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// Request is the body of a chat completion. Messages are required.
type Request struct {
	Messages []Message `json:"messages"`

	// MaxTokens bounds the answer, reasoning included. The default is what the
	// model gives. For OpenAI's models it is sent as max_completion_tokens, the
	// only name that the newer ones take.
	MaxTokens int `json:"max_tokens,omitempty"`

	Temperature      *float64 `json:"temperature,omitempty"`       // 0 to 2
	TopP             *float64 `json:"top_p,omitempty"`             // 0 to 1
	FrequencyPenalty *float64 `json:"frequency_penalty,omitempty"` // -2 to 2
	PresencePenalty  *float64 `json:"presence_penalty,omitempty"`  // -2 to 2
	Seed             *int64   `json:"seed,omitempty"`
	Stop             []string `json:"stop,omitempty"`

	// ReasoningEffort is how much the model thinks: "low", "medium" or "high",
	// and other words of newer models. The default is the model's.
	ReasoningEffort string `json:"reasoning_effort,omitempty"`

	Tools             []Tool          `json:"tools,omitempty"`
	ToolChoice        *ToolChoice     `json:"tool_choice,omitempty"`         // default: the model decides
	ParallelToolCalls *bool           `json:"parallel_tool_calls,omitempty"` // default: the model's
	ResponseFormat    *ResponseFormat `json:"response_format,omitempty"`     // default: text

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Tool is a tool that the model may use.
type Tool struct {
	Type     string   `json:"type"` // "function", which is filled in
	Function Function `json:"function"`
}

// Function is what a tool is called by.
type Function struct {
	Name        string          `json:"name"` // 1 to 64 letters, digits, _ and -
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON Schema of the type object
	Strict      *bool           `json:"strict,omitempty"`     // the arguments must fit the schema
}

// ToolChoice says whether the model is to use a tool. One of its fields is set.
type ToolChoice struct {
	Mode string // "auto" (default), "required" or "none"
	Name string // of the tool that it must use
}

// MarshalJSON writes the word, or the object that names a tool.
func (c ToolChoice) MarshalJSON() ([]byte, error) {
	if c.Name == "" {
		return json.Marshal(c.Mode)
	}
	return family.Marshal(namedTool{"function", struct {
		Name string `json:"name"`
	}{c.Name}}, nil)
}

// UnmarshalJSON reads either.
func (c *ToolChoice) UnmarshalJSON(data []byte) error {
	*c = ToolChoice{}
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &c.Mode)
	}
	var named namedTool
	if err := json.Unmarshal(data, &named); err != nil {
		return err
	}
	if c.Name = named.Function.Name; c.Name == "" {
		return errors.New("the tool_choice names no function")
	}
	return nil
}

type namedTool struct {
	Type     string `json:"type"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

// ResponseFormat says which form the answer has.
type ResponseFormat struct {
	Type       string      `json:"type"`                  // "text", "json_object" or "json_schema"
	JSONSchema *JSONSchema `json:"json_schema,omitempty"` // of "json_schema"
}

// JSONSchema is the schema that an answer fits.
type JSONSchema struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	Strict      *bool           `json:"strict,omitempty"`
}

// JSON returns a response format: JSON that fits a schema.
func JSON(name string, schema json.RawMessage) *ResponseFormat {
	strict := true
	return &ResponseFormat{Type: "json_schema", JSONSchema: &JSONSchema{Name: name, Schema: schema, Strict: &strict}}
}

// MaxOutputTokens is MaxTokens; 0 stands for the most that the model gives.
func (r Request) MaxOutputTokens() int { return r.MaxTokens }

// NewDecoder returns a decoder of the answer.
func (Request) NewDecoder() event.Decoder { return NewDecoder() }

const maxCompletionTokens = "max_completion_tokens"

// EncodeInvoke returns the body. Its errors name the field that is wrong. What
// depends on the model is left to the service.
func (r Request) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := chats.Check(model); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.Tools = slices.Clone(r.Tools)
	for i := range r.Tools {
		r.Tools[i].Type = "function"
	}
	if r.MaxTokens > 0 && strings.HasPrefix(string(model.Base()), "openai.") {
		extra := map[string]json.RawMessage{maxCompletionTokens: fmt.Append(nil, r.MaxTokens)}
		for name, value := range r.Extra {
			extra[name] = value
		}
		r.MaxTokens, r.Extra = 0, extra
	}
	return r.MarshalJSON()
}

var legalName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (r *Request) check() error {
	if len(r.Messages) == 0 {
		return errors.New("messages is empty; give at least one, as openai.User(\"…\") makes it")
	}
	open := map[string]bool{} // calls that have no result yet
	for i := range r.Messages {
		if err := r.Messages[i].check(open); err != nil {
			return fmt.Errorf("messages[%d]%w", i, err)
		}
	}
	switch {
	case r.MaxTokens < 0:
		return fmt.Errorf("max_tokens is %d; it is at least 1, or 0 for the model's most", r.MaxTokens)
	case r.MaxTokens > 0 && r.Extra[maxCompletionTokens] != nil:
		return errors.New("max_tokens and max_completion_tokens are both set; set MaxTokens alone")
	}
	names := map[string]bool{}
	for i, tool := range r.Tools {
		name := tool.Function.Name
		switch {
		case tool.Type != "" && tool.Type != "function":
			return fmt.Errorf("tools[%d].type is %q; it is function", i, tool.Type)
		case !legalName.MatchString(name):
			return fmt.Errorf("tools[%d].function.name is %q; it has 1 to 64 letters, digits, _ and -", i, name)
		case names[name]:
			return fmt.Errorf("tools[%d].function.name is %q, as is that of another tool", i, name)
		case tool.Function.Parameters != nil && !isObject(tool.Function.Parameters):
			return fmt.Errorf("tools[%d].function.parameters is not a JSON object", i)
		}
		names[name] = true
	}
	if err := r.ToolChoice.check(names); err != nil {
		return err
	}
	if err := r.ResponseFormat.check(); err != nil {
		return err
	}
	return errors.Join(family.Between("temperature", r.Temperature, 0, 2), family.Between("top_p", r.TopP, 0, 1),
		family.Between("frequency_penalty", r.FrequencyPenalty, -2, 2), family.Between("presence_penalty", r.PresencePenalty, -2, 2))
}

func (c *ToolChoice) check(names map[string]bool) error {
	switch {
	case c == nil:
		return nil
	case c.Name != "" && c.Mode != "":
		return errors.New("tool_choice has a mode and a name; it needs one")
	case c.Name != "" && !names[c.Name]:
		return fmt.Errorf("tool_choice names %q, which is not a tool of the request", c.Name)
	case c.Name == "" && c.Mode != "auto" && c.Mode != "required" && c.Mode != "none":
		return fmt.Errorf("tool_choice is %q; it is auto, required, none or the name of a tool", c.Mode)
	case c.Mode == "required" && len(names) == 0:
		return errors.New("tool_choice is required, and the request has no tools")
	}
	return nil
}

func (f *ResponseFormat) check() error {
	switch {
	case f == nil:
		return nil
	case f.Type == "json_schema" && (f.JSONSchema == nil || !isObject(f.JSONSchema.Schema) || !legalName.MatchString(f.JSONSchema.Name)):
		return errors.New("response_format.json_schema needs a name of letters, digits, _ and -, and a schema that is a JSON object")
	case f.Type != "json_schema" && f.Type != "json_object" && f.Type != "text":
		return fmt.Errorf("response_format.type is %q; it is text, json_object or json_schema", f.Type)
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	var v map[string]json.RawMessage
	return json.Unmarshal(raw, &v) == nil && v != nil
}

type plainRequest Request

// MarshalJSON writes the body as the models take it.
func (r Request) MarshalJSON() ([]byte, error) { return family.Marshal(plainRequest(r), r.Extra) }

// UnmarshalJSON reads a body.
func (r *Request) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainRequest)(r))
	return err
}
