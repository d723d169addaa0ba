package converse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mangaassist/bedrockkit/internal/outputschema"
)

// A Tool is the description of a tool for the model, and the code that runs. [NewTool]
// and [NewRawTool] make one.
type Tool struct {
	Spec ToolSpec

	approval bool
	timeout  time.Duration
	err      error // of its making; the first request that offers it returns it
	schema   *jsonschema.Resolved
	handle   ToolHandler
}

// Err returns what is wrong with the tool's name, type or schema, or nil. It is the
// error that the first request with the tool would return.
func (t Tool) Err() error { return t.err }

// A ToolHandler runs a call of a tool and returns the content of its result: [Text],
// [JSON] (an object), [Image], [Document], [Video], [SearchResult] or [Raw]. If it
// returns no content, the model reads that the tool is done. The call's Input has been
// validated against the tool's schema.
type ToolHandler func(ctx context.Context, use ToolUse) (Contents, error)

// A ToolMiddleware wraps a tool's handler in another handler, for example for a log, a
// cache or a limit. It runs after the arguments were validated and the call was
// approved, and within the tool's timeout. If it changes the Input, the Input is not
// validated again.
type ToolMiddleware func(next ToolHandler) ToolHandler

// With returns the tool wrapped in middleware. The first one is the outermost.
func (t Tool) With(middleware ...ToolMiddleware) Tool {
	for _, m := range slices.Backward(middleware) {
		if t.handle != nil {
			t.handle = m(t.handle)
		}
	}
	return t
}

// ToolOptions are the options of one tool.
type ToolOptions struct {
	// Schema is the JSON Schema of the input. By default it is inferred from the Go
	// type, by the rules of encoding/json. A json tag names a field, and a field
	// without omitempty or omitzero is required. A jsonschema tag describes the field.
	// An enum tag lists its allowed values, separated by commas. A type that has its
	// own UnmarshalJSON returns its schema as a [JSONSchemer].
	Schema json.RawMessage

	// Strict makes the service force the model to follow the schema, if the model
	// supports it. Keywords that the service does not take are moved to descriptions,
	// for the model. The arguments are always validated here, against the whole
	// schema.
	Strict bool

	// Timeout bounds each run of the tool, instead of [Options.ToolTimeout]. Zero
	// means [Options.ToolTimeout]; negative means none.
	Timeout time.Duration

	// Approval is for tools with side effects: [Options.Approve] must allow each call.
	// If [Options.Approve] is nil, the loop ends with a [*PendingError] before the
	// tool runs.
	Approval bool
}

// NewTool makes a tool from a Go function. In is a struct or a map. The model's
// arguments are validated against the JSON Schema before fn runs. The model gets what
// fn returns: a string as text, a JSON object as JSON, a list as JSON under the key
// "results", [Contents] and a [Content] unchanged, anything else as text.
//
// If fn returns an error, the model reads only that the tool failed, because an error
// may hold what the user must not see. Use [Tellf] for what the model should know to
// fix its call. [Stop] and [Ask] end the loop.
//
// fn must be safe for concurrent use. Its context ends when the context of the loop
// ends, and after [Options.ToolTimeout].
//
// If the name, the type or the schema is wrong, the first request that offers the tool
// returns the error, before anything is sent. Tool.Err returns it too.
func NewTool[In, Out any](name, description string, fn func(context.Context, In) (Out, error), optFns ...func(*ToolOptions)) Tool {
	var o ToolOptions
	for _, option := range optFns {
		option(&o)
	}
	spec := ToolSpec{Name: name, Description: description}
	raw, err := inferSchema[In](o.Schema)
	if err != nil {
		return Tool{Spec: spec, err: fmt.Errorf("tool %q: %w", name, err)}
	}
	spec.InputSchema = raw
	return NewRawTool(spec, func(ctx context.Context, use ToolUse) (Contents, error) {
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

// NewRawTool makes a tool from a description with a JSON Schema and a handler. The
// handler gets the arguments as JSON, validated against the schema. Everything else is
// as for [NewTool]. ToolOptions.Schema has no effect: the schema of spec is used. A
// pattern that Go's regexp cannot compile, such as a lookahead, is shown to the model
// but not validated.
func NewRawTool(spec ToolSpec, handle ToolHandler, optFns ...func(*ToolOptions)) Tool {
	var o ToolOptions
	for _, option := range optFns {
		option(&o)
	}
	t := Tool{Spec: spec, handle: handle, approval: o.Approval, timeout: o.Timeout}
	t.schema, t.err = resolveSchema(spec.InputSchema)
	if t.Spec.Strict = spec.Strict || o.Strict; t.Spec.Strict && t.err == nil {
		if t.Spec.InputSchema, t.err = outputschema.Close(spec.InputSchema); t.err != nil {
			t.err = fmt.Errorf("its JSON Schema cannot be strict: %w", t.err)
		}
	}
	if t.err != nil {
		t.err = fmt.Errorf("tool %q: %w", spec.Name, t.err)
	}
	return t
}

// specs are what the model reads of tools.
func specs(tools []Tool) ([]ToolSpec, error) {
	var list []ToolSpec
	for _, t := range tools {
		if t.err != nil {
			return nil, t.err
		}
		list = append(list, t.Spec)
	}
	return list, nil
}

// check holds the arguments of a call against the tool's schema.
func (t Tool) check(input json.RawMessage) error {
	switch {
	case t.err != nil:
		return t.err // one that the request did not offer
	case t.handle == nil || t.schema == nil:
		return errors.New("the tool has no code; converse.NewTool and converse.NewRawTool make one")
	}
	var args any
	if err := json.Unmarshal(input, &args); err != nil {
		return &argumentsError{"the arguments are no JSON: " + err.Error()}
	}
	if err := t.schema.Validate(args); err != nil {
		return &argumentsError{"the arguments do not fit the tool's JSON Schema: " + err.Error()}
	}
	return nil
}

// argumentsError is the error of arguments that do not fit. The model reads
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

// noOutput is the result of a tool that has run and says nothing.
const noOutput = Text("done")

// toolContent is what a tool returned, as the content of its result. The
// service takes JSON objects only, so a list is wrapped in one and any other
// value is given as text.
func toolContent(out any) (Contents, error) {
	switch out := out.(type) {
	case nil:
		return Contents{noOutput}, nil
	case string:
		if isBlank(out) {
			return Contents{noOutput}, nil
		}
		return Contents{Text(out)}, nil
	case Contents:
		return out, nil
	case Content:
		return Contents{out}, nil
	case json.RawMessage:
		if len(out) == 0 {
			return Contents{noOutput}, nil
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
	case '"': // a type of its own that is a text in JSON
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		return toolContent(text)
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
