package converse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit"
)

// Request is one request of the Converse API. A zero field is taken from the client's
// [Options]; if it is zero there too, it is not sent. Its JSON has the form of the
// API: see [Request.MarshalJSON].
type Request struct {
	Model    bedrockkit.ModelID
	Messages []Message
	System   Contents // Text, GuardText, GuardImage or CachePoint; default Options.System

	MaxTokens     int // of the thinking and the answer together; see NoMaxTokens
	Temperature   *float64
	TopP          *float64
	StopSequences []string // at most 2,500

	// Tools are the tools that the model may call. The default is the specs of
	// Options.Tools.
	Tools      []ToolSpec
	ToolChoice ToolChoice

	// Thinking makes a model of Anthropic think before it answers. It is a budget in
	// tokens, at least 1,024. MaxTokens must cover both the thinking and the answer.
	// If MaxTokens is zero, it becomes Options.MaxTokens + Thinking. A model that
	// takes no budget (Claude 4.7 and later) decides itself how much it thinks; Effort
	// bounds it. [NoThinking] turns thinking off, if the model can do that. Zero sends
	// nothing; many models then think. For the reasoning of other models, use Effort
	// or AdditionalFields.
	Thinking int

	// Effort is how much work the model puts into thinking and the answer: "low",
	// "medium", "high", and for some models "none", "minimal", "xhigh" or "max". It is
	// sent in the field that the model takes: the output configuration,
	// reasoning_effort, reasoning.effort or Nova's reasoningConfig. Empty sends
	// nothing.
	Effort string

	// OutputFormat makes the model answer in JSON that fits a schema, if it can. A
	// [Client] closes the schema's objects, and moves keywords that the service does
	// not know to descriptions, as [Generate] does.
	OutputFormat *OutputFormat

	// Guardrail checks the request and the answer; see [Response.Trace].
	Guardrail bedrockkit.Guardrail

	ServiceTier bedrockkit.ServiceTier
	Latency     bedrockkit.Latency

	// PromptVariables are the values for the variables of a prompt of Prompt
	// management. Model must then be the ARN of the prompt. The only other fields that
	// may be set are Messages, Guardrail, Metadata and the fields of the response.
	PromptVariables map[string]string

	// Metadata is written to the logs of model invocations, so that the request can be
	// found there: up to 16 pairs of 256 characters.
	Metadata map[string]string

	// AdditionalFields is a JSON object with the model's own parameters. A fallback
	// target of another provider does not get them.
	AdditionalFields json.RawMessage
	// ResponseFields are JSON pointers, such as "/stop_sequence", to fields of the
	// model's own response that Converse does not return: up to 10. Their values are
	// in [Response.AdditionalFields].
	ResponseFields []string
}

// ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"` // 1 to 64 characters from [A-Za-z0-9_-]
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema,omitempty"` // a JSON Schema of type object

	// Strict makes the service force the model to follow the schema, if the model
	// supports it.
	Strict bool `json:"strict,omitempty"`

	// System means that the service itself runs the tool, such as "nova_grounding".
	// Only its name is sent.
	System bool `json:"system,omitempty"`

	// CachePoint, if any, comes after the tool.
	CachePoint *CachePoint `json:"cache_point,omitempty"`
}

// ToolChoice says whether the model must call a tool. With the zero value, the model
// decides. The tool loop uses it only in the first round, because a model that must
// call a tool in every round can never answer.
type ToolChoice struct {
	Any  bool   `json:"any,omitempty"`  // it must call one
	Tool string `json:"tool,omitempty"` // it must call this one
}

// OutputFormat describes the JSON that the answer must be.
type OutputFormat struct {
	Schema      json.RawMessage `json:"schema"` // a JSON Schema, in the subset of draft 2020-12 that the service supports
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
}

// isPrompt reports whether the model is a prompt of Prompt management, which
// brings its own system prompt, tools and inference parameters along.
func (r *Request) isPrompt() bool {
	ident, err := r.Model.Parse()
	return err == nil && ident.Kind == bedrockkit.KindPrompt
}

// appendBody appends the request as Bedrock takes it. It is written by hand: a
// long history would cost more in reflection than in the rest of the request.
func (r *Request) appendBody(b []byte, op bedrockkit.Operation, s *subject) ([]byte, error) {
	fields, effort := r.modelFields(s)
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
	if r.MaxTokens > 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0 {
		field("inferenceConfig")
		b = r.appendInference(b)
	}
	if len(r.Tools) > 0 || r.ToolChoice != (ToolChoice{}) {
		field("toolConfig")
		if b, err = r.appendTools(b); err != nil {
			return nil, err
		}
	}
	if f := r.OutputFormat; f != nil || effort != "" {
		field("outputConfig")
		b = append(b, '{')
		if f != nil {
			b = f.appendJSON(b)
		}
		if effort != "" {
			if f != nil {
				b = append(b, ',')
			}
			b = appendString(append(b, `"effort":`...), effort)
		}
		b = append(b, '}')
	}
	if r.Guardrail != (bedrockkit.Guardrail{}) {
		field("guardrailConfig")
		b = appendGuardrail(b, &r.Guardrail, op.Streaming())
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
	if len(fields) > 0 {
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
	if r.MaxTokens > 0 {
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
	b = append(b, `"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":`...)
	b = appendString(b, string(bytes.TrimSpace(f.Schema))) // a string that holds JSON
	if f.Name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, f.Name)
	}
	if f.Description != "" {
		b = append(b, `,"description":`...)
		b = appendString(b, f.Description)
	}
	return append(b, `}}}`...)
}

func appendGuardrail(b []byte, g *bedrockkit.Guardrail, streaming bool) []byte {
	b = append(b, `{"guardrailIdentifier":`...)
	b = appendString(b, g.ID)
	b = append(b, `,"guardrailVersion":`...)
	b = appendString(b, g.Version)
	if g.Trace != "" {
		b = append(b, `,"trace":`...)
		b = appendString(b, string(g.Trace))
	}
	if streaming && g.StreamMode != "" {
		b = append(b, `,"streamProcessingMode":`...)
		b = appendString(b, string(g.StreamMode))
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
