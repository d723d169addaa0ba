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
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/internal/outputschema"
)

// ErrOutput matches every [*OutputError], for errors.Is.
var ErrOutput = errors.New("the answer is not of the form that was asked for")

// OutputError is the error of [Generate] if the model's answer does not fit the
// schema, even after the model was asked again.
type OutputError struct {
	Output     string                // the model's answer, unchanged
	Detail     string                // what does not fit; it may repeat parts of the answer
	StopReason bedrockkit.StopReason // why the model stopped
}

// Error says that the answer does not fit. It does not repeat any of the answer.
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
// The JSON Schema is inferred from the type, as for [NewTool], unless the request has
// an OutputFormat. If the model is known to support an output format, Generate uses
// it; keywords that the service would refuse are moved to descriptions. Otherwise
// Generate makes the model call a tool that takes the value. The tool has the name of
// the OutputFormat, or "answer". In both cases the answer is validated against the
// whole schema. If it does not fit, the model is asked again once, with what is wrong.
// If it still does not fit, or if the answer was cut, the error is an [*OutputError].
//
// The model may call [Options.Tools] first, as in [Client.Run], within the loop's
// bounds. The result is never nil and has the usage and cost of all rounds, as in Run.
// Its Messages end with the value as JSON text, without the tool and without the
// attempt that did not fit.
func Generate[T any](ctx context.Context, c *Client, req Request, optFns ...func(*Options)) (T, *RunResult, error) {
	var value T
	l := c.loop(&req, optFns)
	g, err := newGenerator[T](req.OutputFormat)
	if err != nil {
		return value, l.result, &bedrockx.Error{
			Op: bedrockkit.OpConverse, Model: cmp.Or(req.Model, l.o.Model), Kind: bedrockx.KindValidation, Err: fmt.Errorf("generate %T: %w", value, err)}
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
	wrapped bool // the value is not an object: it is the property "value" of one
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
		schema = jsonscan.Join([]member{{Key: "type", Value: json.RawMessage(`"object"`)},
			{Key: "properties", Value: jsonscan.Join([]member{{Key: "value", Value: schema}})},
			{Key: "required", Value: json.RawMessage(`["value"]`)}, {Key: "additionalProperties", Value: json.RawMessage("false")}})
	}
	g.format.Schema = schema
	g.schema, err = resolveSchema(schema)
	return g, err
}

func (g *generator) run(ctx context.Context, l *loop) error {
	s := l.client.subject(ctx, cmp.Or(l.req.Model, l.o.Model), l.o.pipeline)
	strict, err := outputschema.Close(g.format.Schema)
	l.req.OutputFormat = nil
	native := s.Supports(bedrockkit.FeatureStructuredOutput)
	switch {
	case err == nil && native == bedrockkit.Yes:
		format := g.format
		format.Schema = strict
		l.req.OutputFormat = &format
	default:
		if native == bedrockkit.Unknown {
			l.o.skipped = append(l.o.skipped, bedrockx.Skipped{What: bedrockx.SkipStructuredOutput})
		}
		if err := g.useTool(l, &s); err != nil {
			return &bedrockx.Error{Op: bedrockkit.OpConverse, Model: cmp.Or(l.req.Model, l.o.Model), Kind: bedrockx.KindValidation, Err: err}
		}
	}
	l.review = func(t *Turn) bool { return g.look(l, t) }
	err = l.run(ctx)
	if g.done {
		return g.err
	}
	return err
}

// useTool offers the model a tool that takes the value. A model that is known to
// obey is made to call one; of any other it is asked for.
func (g *generator) useTool(l *loop, s *subject) error {
	if s.no(bedrockkit.FeatureTools) {
		return errors.New("the model takes neither an output format nor tools, so Generate cannot ask it for a value; ask another model, or read the value out of the text of Send")
	}
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
	choice := ToolChoice{Any: true}
	if byName := s.ToolChoice.Tool; len(l.req.Tools) == 1 && byName != bedrockkit.No && byName >= s.ToolChoice.Any {
		choice = ToolChoice{Tool: g.tool}
	}
	t := l.req.thought(s)
	if s.ForcesTool(t.asked && t.on()) == bedrockkit.Yes {
		l.choice = choice
		l.req.ToolChoice = choice
		return nil
	}
	l.choice, l.req.ToolChoice = ToolChoice{}, ToolChoice{}
	ask := Text(fmt.Sprintf("Give your answer by calling the tool %q.", g.tool))
	if s.no(bedrockkit.FeatureSystem) {
		l.req.Tools[len(l.req.Tools)-1].Description += " " + string(ask)
		return nil
	}
	system := l.req.System
	if system == nil {
		system = l.o.System
	}
	l.req.System = append(slices.Clone(system), ask)
	return nil
}

// look takes the value out of a round; false ends the loop.
func (g *generator) look(l *loop, t *Turn) bool {
	output, call, found := g.output(t)
	if !found {
		if len(t.Calls) > 0 {
			return true // other tools come first
		}
		problem := fmt.Errorf("it was not given by calling the tool %q", g.tool)
		if g.tool == "" {
			problem = fmt.Errorf("the model stopped with %s", t.Response.StopReason)
		}
		return g.retry(l, t, call, output, problem)
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
	stop := t.Response.StopReason
	for _, use := range t.Calls {
		if use.Name == g.tool && g.tool != "" {
			return string(use.Input), use, true
		}
	}
	text := jsonText(t.Response.Text())
	return text, ToolUse{}, len(t.Calls) == 0 && (stop.Complete() || stop == bedrockkit.StopToolUse) && (g.tool == "" || json.Valid([]byte(text)))
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
