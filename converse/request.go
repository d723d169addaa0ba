package converse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Request is one request of the Converse API. What is zero is taken from the
// client's [Options], and what is zero there is not sent.
type Request struct {
	Model    bedrockkit.ModelID `json:"model_id,omitempty"`
	Messages []Message          `json:"messages"`
	System   Contents           `json:"system,omitempty"` // Text, GuardText, GuardImage or CachePoint; default Options.System

	MaxTokens     int      `json:"max_tokens,omitempty"` // of the answer
	Temperature   *float64 `json:"temperature,omitempty"`
	TopP          *float64 `json:"top_p,omitempty"`
	StopSequences []string `json:"stop_sequences,omitempty"` // 2,500 at most

	// Tools are what the model may call; default the specs of Options.Tools.
	Tools      []ToolSpec `json:"tools,omitempty"`
	ToolChoice ToolChoice `json:"tool_choice,omitzero"`

	// Thinking is the budget of tokens that a model of Anthropic may think for
	// before it answers: at least 1,024. MaxTokens, which has to hold the answer
	// as well, is the default and this by default. Other parameters of reasoning
	// are AdditionalFields.
	Thinking int `json:"thinking,omitempty"`

	// OutputFormat makes the model answer in JSON that fits a schema, where it
	// can.
	OutputFormat *OutputFormat `json:"output_format,omitempty"`

	Guardrail Guardrail `json:"guardrail,omitzero"`

	ServiceTier bedrockkit.ServiceTier `json:"service_tier,omitempty"`
	Latency     Latency                `json:"latency,omitempty"`

	// PromptVariables are the values of the variables of a prompt of Prompt
	// management. Its ARN is then the Model, and of the other fields only
	// Messages, Guardrail, Metadata and those of the response may be set.
	PromptVariables map[string]string `json:"prompt_variables,omitempty"`

	// Metadata is written to the logs of model invocations, to find the request
	// by: up to 16 pairs of 256 characters.
	Metadata map[string]string `json:"metadata,omitempty"`

	// AdditionalFields is a JSON object of parameters that are the model's own.
	AdditionalFields json.RawMessage `json:"additional_fields,omitempty"`
	// ResponseFields are JSON pointers, such as "/stop_sequence", to what the
	// model's own response has beyond Converse's: up to 10. They come as
	// [Response.AdditionalFields].
	ResponseFields []string `json:"response_fields,omitempty"`
}

// ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"` // 1 to 64 of letters, digits, _ and -
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema,omitempty"` // a JSON Schema of type object

	// Strict makes the service hold the model to the schema, where the model
	// can.
	Strict bool `json:"strict,omitempty"`

	// System says that the tool is one that the service itself runs, such as
	// "nova_grounding". Only its name is sent.
	System bool `json:"system,omitempty"`

	// CachePoint, if any, comes after the tool.
	CachePoint *CachePoint `json:"cache_point,omitempty"`
}

// ToolChoice says whether the model must call a tool. The zero value leaves it
// to the model. The tool loop obeys it in its first round: a model that had to
// call a tool in every round could never answer.
type ToolChoice struct {
	Any  bool   `json:"any,omitempty"`  // it must call one
	Tool string `json:"tool,omitempty"` // it must call this one
}

// OutputFormat is the JSON that an answer must be.
type OutputFormat struct {
	Schema      json.RawMessage `json:"schema"` // a JSON Schema, of the part of draft 2020-12 that the service knows
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
}

// Guardrail is the guardrail that looks at a request and its answer. The zero
// value is none.
type Guardrail struct {
	ID      string `json:"id"`              // or its ARN
	Version string `json:"version"`         // "DRAFT" or a number
	Trace   string `json:"trace,omitempty"` // "enabled", "disabled" (the default) or "enabled_full"; see [Response.Trace]

	// StreamMode says when a stream's text is looked at: "sync", before it is
	// sent on, which is the default, or "async", meanwhile, so that text may
	// have been seen that the guardrail then stops. It holds for streams.
	StreamMode string `json:"stream_mode,omitempty"`
}

// Latency is how fast an answer is to come, where the model offers it.
type Latency string

// The latencies. LatencyOptimized has prices of its own.
const (
	LatencyStandard  Latency = "standard"
	LatencyOptimized Latency = "optimized"
)

// isPrompt reports whether the model is a prompt of Prompt management, which
// brings its own system prompt, tools and inference parameters along.
func (r *Request) isPrompt() bool {
	ident, err := r.Model.Parse()
	return err == nil && ident.Kind == bedrockkit.KindPrompt
}

// appendBody appends the request as Bedrock takes it. It is written by hand: a
// long history would cost more in reflection than in the rest of the request.
func (r *Request) appendBody(b []byte, op bedrockx.Operation) ([]byte, error) {
	b = slices.Grow(b, r.sizeHint())
	b = append(b, '{')
	start := len(b)
	field := func(name string) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
	}
	var err error
	if len(r.Messages) > 0 {
		field("messages")
		b = append(b, '[')
		for i, m := range r.Messages {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = m.appendJSON(b); err != nil {
				return nil, fmt.Errorf("messages[%d].%w", i, err)
			}
		}
		b = append(b, ']')
	}
	if len(r.System) > 0 {
		field("system")
		if b, err = appendContents(b, r.System); err != nil {
			return nil, fmt.Errorf("system: %w", err)
		}
	}
	if r.MaxTokens != 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0 {
		field("inferenceConfig")
		b = r.appendInference(b)
	}
	if len(r.Tools) > 0 || r.ToolChoice != (ToolChoice{}) {
		field("toolConfig")
		if b, err = r.appendTools(b); err != nil {
			return nil, err
		}
	}
	if f := r.OutputFormat; f != nil {
		field("outputConfig")
		b = f.appendJSON(b)
	}
	if r.Guardrail != (Guardrail{}) {
		field("guardrailConfig")
		b = r.Guardrail.appendJSON(b, op.Streaming())
	}
	if r.ServiceTier != "" {
		field("serviceTier")
		b = append(b, `{"type":`...)
		b = append(appendString(b, string(r.ServiceTier)), '}')
	}
	if r.Latency != "" {
		field("performanceConfig")
		b = append(b, `{"latency":`...)
		b = append(appendString(b, string(r.Latency)), '}')
	}
	if len(r.PromptVariables) > 0 {
		field("promptVariables")
		b = appendMap(b, r.PromptVariables, func(b []byte, value string) []byte {
			b = append(b, `{"text":`...)
			return append(appendString(b, value), '}')
		})
	}
	if len(r.Metadata) > 0 {
		field("requestMetadata")
		b = appendMap(b, r.Metadata, appendString)
	}
	if fields := r.additionalFields(); len(fields) > 0 {
		field("additionalModelRequestFields")
		if b, err = appendObject(b, fields); err != nil {
			return nil, fmt.Errorf("additional fields: %w", err)
		}
	}
	if len(r.ResponseFields) > 0 {
		field("additionalModelResponseFieldPaths")
		b = appendStrings(b, r.ResponseFields)
	}
	return append(b, '}'), nil
}

func (r *Request) appendInference(b []byte) []byte {
	b = append(b, '{')
	field := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
	}
	if r.MaxTokens != 0 {
		field("maxTokens")
		b = strconv.AppendInt(b, int64(r.MaxTokens), 10)
	}
	if r.Temperature != nil {
		field("temperature")
		b = appendNumber(b, *r.Temperature)
	}
	if r.TopP != nil {
		field("topP")
		b = appendNumber(b, *r.TopP)
	}
	if len(r.StopSequences) > 0 {
		field("stopSequences")
		b = appendStrings(b, r.StopSequences)
	}
	return append(b, '}')
}

func (r *Request) appendTools(b []byte) ([]byte, error) {
	b = append(b, `{"tools":[`...)
	for i, t := range r.Tools {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = t.appendJSON(b); err != nil {
			return nil, fmt.Errorf("tools[%d]: %w", i, err)
		}
	}
	b = append(b, ']')
	switch {
	case r.ToolChoice.Tool != "":
		b = append(b, `,"toolChoice":{"tool":{"name":`...)
		b = append(appendString(b, r.ToolChoice.Tool), `}}`...)
	case r.ToolChoice.Any:
		b = append(b, `,"toolChoice":{"any":{}}`...)
	}
	return append(b, '}'), nil
}

// appendJSON appends the tool and, after it, its cache point.
func (t *ToolSpec) appendJSON(b []byte) ([]byte, error) {
	if t.System {
		b = append(b, `{"systemTool":{"name":`...)
		b = append(appendString(b, t.Name), `}}`...)
	} else {
		schema, ok := object(t.InputSchema)
		if !ok {
			return nil, fmt.Errorf("the input schema of %q: %w", t.Name, errNoObject)
		}
		b = append(b, `{"toolSpec":{"name":`...)
		b = appendString(b, t.Name)
		if t.Description != "" {
			b = append(b, `,"description":`...)
			b = appendString(b, t.Description)
		}
		b = append(b, `,"inputSchema":{"json":`...)
		b = append(b, schema...)
		b = append(b, '}')
		if t.Strict {
			b = append(b, `,"strict":true`...)
		}
		b = append(b, `}}`...)
	}
	if t.CachePoint != nil {
		return t.CachePoint.appendJSON(append(b, ','))
	}
	return b, nil
}

func (f *OutputFormat) appendJSON(b []byte) []byte {
	b = append(b, `{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":`...)
	b = appendString(b, string(bytes.TrimSpace(f.Schema))) // a string that holds JSON
	if f.Name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, f.Name)
	}
	if f.Description != "" {
		b = append(b, `,"description":`...)
		b = appendString(b, f.Description)
	}
	return append(b, `}}}}`...)
}

func (g *Guardrail) appendJSON(b []byte, streaming bool) []byte {
	b = append(b, `{"guardrailIdentifier":`...)
	b = appendString(b, g.ID)
	b = append(b, `,"guardrailVersion":`...)
	b = appendString(b, g.Version)
	if g.Trace != "" {
		b = append(b, `,"trace":`...)
		b = appendString(b, g.Trace)
	}
	if streaming && g.StreamMode != "" {
		b = append(b, `,"streamProcessingMode":`...)
		b = appendString(b, g.StreamMode)
	}
	return append(b, '}')
}

// appendNumber appends a number as JSON has it. One that JSON does not have
// becomes null; Preflight refuses it.
func appendNumber(b []byte, v float64) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, raw...)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendMap appends a map in the order of its keys, so that the same request
// is the same bytes.
func appendMap(b []byte, m map[string]string, appendValue func([]byte, string) []byte) []byte {
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		b = appendValue(b, m[key])
	}
	return append(b, '}')
}

// sizeHint is about the size of the body.
func (r *Request) sizeHint() int {
	n := 256 + len(r.AdditionalFields) + r.System.sizeHint()
	for _, t := range r.Tools {
		n += len(t.InputSchema) + textSize(t.Description) + 2*frame
	}
	if r.OutputFormat != nil {
		n += 2 * len(r.OutputFormat.Schema)
	}
	for _, m := range r.Messages {
		n += m.Content.sizeHint()
	}
	return n
}
