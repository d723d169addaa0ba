package converse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// ErrOutput is what an [*OutputError] is.
var ErrOutput = errors.New("the answer is not of the form that was asked for")

// OutputError is the error of [Generate] where the model's answer does not fit
// the schema, also after it was told so.
type OutputError struct {
	Output     string                // the answer as it came
	Detail     string                // what does not fit; it may repeat parts of the answer
	StopReason bedrockkit.StopReason // why the model stopped
}

// Error says that the answer does not fit. It repeats nothing of it.
func (e *OutputError) Error() string {
	if e.StopReason == bedrockkit.StopEndTurn || e.StopReason == bedrockkit.StopToolUse {
		return ErrOutput.Error()
	}
	return fmt.Sprintf("%v: the model stopped with %s", ErrOutput, e.StopReason)
}

// Is reports whether target is [ErrOutput].
func (e *OutputError) Is(target error) bool { return target == ErrOutput }

// Generate asks the model for a value of a Go type.
//
//	type Review struct {
//		Stars   int    `json:"stars" jsonschema:"1 to 5"`
//		Summary string `json:"summary"`
//	}
//	review, _, err := converse.Generate[Review](ctx, chat, converse.Request{
//		Messages: []converse.Message{converse.User(text)},
//	})
//
// The JSON Schema is inferred from the type, as it is for [Tool], or it is that
// of the request's OutputFormat. Where the model is known to hold its answer
// to a schema, that is what is asked for; keywords that the service would
// refuse are told to the model in descriptions. Elsewhere the model is made to
// call a tool that takes the value, by the name of the OutputFormat or else
// "answer". The answer is held against the whole
// schema in any case. One that does not fit goes back to the model once, with
// what is wrong; after that, or where the answer was cut, the error is an
// [*OutputError].
//
// [Options.Tools] run on the way, as in [Client.Run], within the loop's bounds.
// The result is as that of Run: with the usage and cost of all rounds, never
// nil. Its Messages end with the value as JSON text, without the tool and
// without the attempt that did not fit.
func Generate[T any](ctx context.Context, c *Client, req Request, optFns ...func(*Options)) (T, *RunResult, error) {
	var value T
	l := c.loop(req, c.with(optFns))
	g, err := newGenerator[T](req.OutputFormat)
	if err != nil {
		return value, l.result, &bedrockx.Error{
			Op: bedrockx.OpConverse, Model: cmp.Or(req.Model, l.o.Model), Kind: bedrockx.KindValidation, Err: fmt.Errorf("generate %T: %w", value, err)}
	}
	g.decode = func(raw json.RawMessage) error {
		var fresh T
		err := json.Unmarshal(raw, &fresh)
		if err == nil {
			value = fresh
		}
		return err
	}
	err = g.run(ctx, l)
	return value, l.result, err
}

// A generator is one run of [Generate].
type generator struct {
	format  OutputFormat // with the whole schema
	schema  *jsonschema.Resolved
	wrapped bool // the value is no object: it is the property "value" of one
	decode  func(json.RawMessage) error

	tool     string // the tool that takes the value; "" where the answer is the value
	repaired bool
	keep     int // the messages before the attempt that did not fit
	done     bool
	err      error
}

func newGenerator[T any](format *OutputFormat) (*generator, error) {
	g := &generator{}
	if format != nil {
		g.format = *format
	}
	schema, err := inferSchema[T](g.format.Schema)
	if err != nil {
		return nil, err
	}
	if g.format.Schema == nil && !isObjectSchema(schema) {
		g.wrapped = true
		schema = joinMembers([]member{{"type", json.RawMessage(`"object"`)},
			{"properties", joinMembers([]member{{"value", schema}})},
			{"required", json.RawMessage(`["value"]`)}, {"additionalProperties", json.RawMessage("false")}})
	}
	g.format.Schema = schema
	g.schema, err = resolveSchema(schema)
	return g, err
}

func (g *generator) run(ctx context.Context, l *loop) error {
	capability, known := l.capability(ctx)
	strict, err := strictSchema(g.format.Schema)
	l.req.OutputFormat = nil
	if err == nil && known && capability.Has(bedrockkit.FeatureStructuredOutput) {
		format := g.format
		format.Schema = strict
		l.req.OutputFormat = &format
	} else if err := g.force(l, !known || capability.Has(bedrockkit.FeatureToolChoice)); err != nil {
		return &bedrockx.Error{Op: bedrockx.OpConverse, Model: cmp.Or(l.req.Model, l.o.Model), Kind: bedrockx.KindValidation, Err: err}
	}
	l.review = func(t *Turn) bool { return g.look(l, t) }
	err = l.run(ctx)
	if g.done {
		return g.err
	}
	return err
}

// capability is what the model is known to take, as the pipeline has it.
func (l *loop) capability(ctx context.Context) (bedrockkit.Capability, bool) {
	model := l.req.Model
	setDefault(&model, l.o.Model)
	o := l.client.bedrock.Options()
	for _, fn := range l.o.Call {
		fn(&o)
	}
	if model.Base() == "" && o.Resolve != nil {
		// What cannot be resolved is not known, which is no error.
		if resolved, err := o.Resolve(ctx, model); err == nil {
			model = resolved
		}
	}
	if o.Capabilities == nil {
		return bedrockkit.Capabilities(model)
	}
	return o.Capabilities(model)
}

// force makes the model call a tool that takes the value.
func (g *generator) force(l *loop, choice bool) error {
	setDefault(&g.format.Name, "answer")
	setDefault(&g.format.Description, "Gives the answer. Call it once, when the answer is complete.")
	g.tool, l.answer = g.format.Name, g.format.Name
	if l.req.Tools == nil {
		var err error
		if l.req.Tools, err = specs(l.o.Tools); err != nil {
			return err
		}
	}
	l.req.Tools = append(slices.Clone(l.req.Tools), ToolSpec{Name: g.tool, Description: g.format.Description, InputSchema: g.format.Schema})
	switch {
	case !choice || l.req.Thinking > 0: // a model that thinks cannot be made to call a tool
	case len(l.req.Tools) == 1:
		l.choice = ToolChoice{Tool: g.tool}
	default:
		l.choice = ToolChoice{Any: true}
	}
	l.req.ToolChoice = l.choice
	return nil
}

// look takes the value out of a round; false ends the loop.
func (g *generator) look(l *loop, t *Turn) bool {
	output, call, found := g.output(t)
	if !found {
		if len(t.Calls) > 0 {
			return true // other tools come first
		}
		return g.retry(l, t, call, output, fmt.Errorf("it was not given by calling the tool %q", g.tool))
	}
	if err := g.check(output); err != nil {
		return g.retry(l, t, call, output, err)
	}
	g.end(t, nil)
	t.Result.Messages = append(t.Result.Messages, Assistant(output))
	return false
}

// end ends the loop, and takes the attempts out of the conversation.
func (g *generator) end(t *Turn, err error) {
	g.done, g.err = true, err
	messages := t.Result.Messages
	switch last := len(messages) - 1; {
	case g.repaired:
		messages = messages[:g.keep]
	case messages[last].Role == RoleAssistant:
		messages = messages[:last]
	}
	t.Result.Messages = slices.Clip(messages)
}

// output is what a round gives as the value: the input of the tool, or the
// text.
func (g *generator) output(t *Turn) (output string, call ToolUse, found bool) {
	for _, use := range t.Calls {
		if use.Name == g.tool && g.tool != "" {
			return string(use.Input), use, true
		}
	}
	text := jsonText(t.Response.Text())
	return text, ToolUse{}, len(t.Calls) == 0 && t.Response.StopReason.Complete() && (g.tool == "" || json.Valid([]byte(text)))
}

// jsonText is a text without the fence that models put around JSON.
func jsonText(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "```"); ok {
		if _, inner, ok = strings.Cut(inner, "\n"); ok {
			text = strings.TrimSpace(strings.TrimSuffix(inner, "```"))
		}
	}
	return text
}

// check holds a value against the schema and decodes it.
func (g *generator) check(output string) error {
	raw := json.RawMessage(output)
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if err := g.schema.Validate(v); err != nil {
		return fmt.Errorf("it does not fit the JSON Schema: %w", err)
	}
	if g.wrapped {
		var w struct{ Value json.RawMessage }
		if err := json.Unmarshal(raw, &w); err != nil {
			return err
		}
		raw = w.Value
	}
	if err := g.decode(raw); err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	return nil
}

// retry sends what is wrong to the model, the first time, and else ends the
// loop.
func (g *generator) retry(l *loop, t *Turn, call ToolUse, output string, problem error) bool {
	stop := t.Response.StopReason
	last := len(t.Result.Messages) - 1
	told := t.Result.Messages[last].Role == RoleAssistant // else it was blank
	if g.repaired || !told || stop != bedrockkit.StopToolUse && !stop.Complete() || l.bounds() != nil {
		g.end(t, &OutputError{Output: output, Detail: problem.Error(), StopReason: stop})
		return false
	}
	g.repaired, g.keep = true, last
	text := "That answer cannot be used: " + clipText(problem.Error()) + ". Give it again, corrected."
	if call.ID != "" {
		t.Answer(ToolResult{ToolUseID: call.ID, Status: ToolError, Content: Contents{Text(text)}})
	} else {
		t.Add(Text(text))
	}
	return true
}
