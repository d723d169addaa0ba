package converse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Function is a tool with the code behind it. [Tool] and [RawTool] make one.
type Function struct {
	Spec ToolSpec

	approval bool
	timeout  time.Duration
	err      error // of its making; the first request that offers it returns it
	schema   *jsonschema.Resolved
	handle   ToolHandler
}

// A ToolHandler runs a call of a tool and returns the content of its result:
// [Text], [JSON], [Image], [Document], [Video], [SearchResult] or [Raw]. The call's Input fits the
// tool's schema.
type ToolHandler func(ctx context.Context, use ToolUse) (Contents, error)

// A ToolMiddleware wraps a tool's handler in another: for a log, a cache, a
// limit of its own. It runs after the arguments were held against the schema
// and the call was approved, and within the tool's time. What it changes in
// the Input is not held against the schema again.
type ToolMiddleware func(next ToolHandler) ToolHandler

// With returns the tool with middleware around it, the first one outermost.
func (f Function) With(middleware ...ToolMiddleware) Function {
	for _, m := range slices.Backward(middleware) {
		if f.handle != nil {
			f.handle = m(f.handle)
		}
	}
	return f
}

// ToolOptions are those of one tool.
type ToolOptions struct {
	// Schema is the JSON Schema of the input. By default it is inferred from
	// the Go type: json tags name the fields, those without omitempty or
	// omitzero are required, and a jsonschema tag describes one.
	Schema json.RawMessage

	// Strict makes the service hold the model to the schema, where the model
	// can. Keywords that the service does not take there are told to the model
	// in descriptions; the arguments are held against the whole schema here in
	// any case.
	Strict bool

	// Timeout bounds each run of the tool, in the place of
	// [Options.ToolTimeout]; negative means none.
	Timeout time.Duration

	// Approval is for tools with side effects: each call needs the consent of
	// [Options.Approve]. Where there is no such function, the loop ends with a
	// [*PendingError] before the tool runs.
	Approval bool
}

// Tool makes a tool of a Go function. In is a struct or a map; the model's
// arguments are held against the JSON Schema before fn runs. What fn returns
// goes to the model: a string as text, a JSON object as JSON, a list as JSON
// under the key "results", [Contents] and a [Content] as they are, anything else
// as text.
//
// The model is told that a tool failed, and not why: an error may hold what
// its user must not see. What the model should know, to mend its call, is said
// with [Tellf]. [Stop] and [Ask] end the loop.
//
// fn may be called by several goroutines at once. Its context ends with the
// loop's and after [Options.ToolTimeout].
//
// A mistake in name, type or schema is returned by the first request that
// offers the tool, before anything is sent.
func Tool[In, Out any](name, description string, fn func(context.Context, In) (Out, error), optFns ...func(*ToolOptions)) Function {
	var o ToolOptions
	for _, option := range optFns {
		option(&o)
	}
	spec := ToolSpec{Name: name, Description: description}
	raw, err := inferSchema[In](o.Schema)
	if err != nil {
		return Function{Spec: spec, err: fmt.Errorf("tool %q: %w", name, err)}
	}
	spec.InputSchema = raw
	return RawTool(spec, func(ctx context.Context, use ToolUse) (Contents, error) {
		var in In
		if err := json.Unmarshal(use.Input, &in); err != nil {
			return nil, badArguments(err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return toolContent(out)
	}, optFns...)
}

// RawTool makes a tool of a description with a JSON Schema and a handler that
// gets the arguments as their JSON, held against the schema. All else is as
// for [Tool]. ToolOptions.Schema has no effect: the schema is the spec's. Take
// it from nobody whom you would not run code of: one that refers to itself
// without going into the value ends the program.
func RawTool(spec ToolSpec, handle ToolHandler, optFns ...func(*ToolOptions)) Function {
	var o ToolOptions
	for _, option := range optFns {
		option(&o)
	}
	f := Function{Spec: spec, handle: handle, approval: o.Approval, timeout: o.Timeout}
	f.schema, f.err = resolveSchema(spec.InputSchema)
	if f.Spec.Strict = spec.Strict || o.Strict; f.Spec.Strict && f.err == nil {
		if f.Spec.InputSchema, f.err = strictSchema(spec.InputSchema); f.err != nil {
			f.err = fmt.Errorf("its JSON Schema cannot be strict: %w", f.err)
		}
	}
	if f.err != nil {
		f.err = fmt.Errorf("tool %q: %w", spec.Name, f.err)
	}
	return f
}

// specs are what the model is told of tools.
func specs(tools []Function) ([]ToolSpec, error) {
	var list []ToolSpec
	for _, f := range tools {
		if f.err != nil {
			return nil, f.err
		}
		list = append(list, f.Spec)
	}
	return list, nil
}

// check holds the arguments of a call against the tool's schema.
func (f Function) check(input json.RawMessage) error {
	switch {
	case f.err != nil:
		return f.err // one that the request did not offer
	case f.handle == nil || f.schema == nil:
		return errors.New("the tool has no code; converse.Tool and converse.RawTool make one")
	}
	var args any
	if err := json.Unmarshal(input, &args); err != nil {
		return &argumentsError{"the arguments are no JSON: " + err.Error()}
	}
	if err := f.schema.Validate(args); err != nil {
		return &argumentsError{"the arguments do not fit the tool's JSON Schema: " + err.Error()}
	}
	return nil
}

// argumentsError is the error of arguments that do not fit. The model is told
// what is wrong with them; the log is not, as that may repeat them.
type argumentsError struct{ detail string }

func (*argumentsError) Error() string       { return "the arguments do not fit the tool's JSON Schema" }
func (e *argumentsError) ModelText() string { return e.detail }

// badArguments is the error of arguments that Go cannot read. Its text is for
// the model only where it is that of encoding/json or of a time.
func badArguments(err error) error {
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var date *time.ParseError
	if errors.As(err, &typ) || errors.As(err, &syntax) || errors.As(err, &date) {
		return &argumentsError{"the arguments do not fit: " + err.Error()}
	}
	return fmt.Errorf("the arguments do not fit: %w", err)
}

// jsonTypes are the schemas of types that encoding/json reads in a form of
// their own.
var jsonTypes = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[[]byte]():          {Type: "string", ContentEncoding: "base64"},
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
}

// inferSchema is the JSON Schema of a Go type, unless one is given.
func inferSchema[T any](given json.RawMessage) (json.RawMessage, error) {
	if given != nil {
		return given, nil
	}
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: jsonTypes})
	if err != nil {
		return nil, fmt.Errorf("inferring a JSON Schema: %w; a type that has none needs a schema that is given", err)
	}
	return json.Marshal(schema)
}

// resolveSchema is a JSON Schema to validate by.
func resolveSchema(raw json.RawMessage) (*jsonschema.Resolved, error) {
	var schema *jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("reading its JSON Schema: %w", err)
	}
	if schema == nil || schema.Type != "object" {
		return nil, errors.New("its JSON Schema is not of type object; take a struct or a map")
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolving its JSON Schema: %w", err)
	}
	return resolved, nil
}

// toolContent is what a tool returned, as the content of its result. The
// service takes JSON objects only, so a list is wrapped in one and any other
// value is given as text.
func toolContent(out any) (Contents, error) {
	switch out := out.(type) {
	case nil:
		return Contents{Text("done")}, nil
	case string:
		if strings.TrimSpace(out) == "" {
			out = "done"
		}
		return Contents{Text(out)}, nil
	case Contents:
		return out, nil
	case Content:
		return Contents{out}, nil
	case json.RawMessage:
		if len(out) == 0 {
			return Contents{Text("done")}, nil
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("the result cannot be written as JSON: %w", err)
	}
	switch raw[0] {
	case '{':
		return Contents{JSON(raw)}, nil
	case '[':
		return Contents{JSON(append(append([]byte(`{"results":`), raw...), '}'))}, nil
	case 'n': // null
		switch reflect.TypeOf(out).Kind() {
		case reflect.Slice:
			return Contents{JSON(`{"results":[]}`)}, nil
		case reflect.Map:
			return Contents{JSON(`{}`)}, nil
		}
	}
	return Contents{Text(raw)}, nil
}
