package converse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Function is a tool with the code behind it. [Tool] makes one.
type Function struct {
	Spec ToolSpec

	err    error // of its making; the first request that offers it returns it
	handle func(context.Context, json.RawMessage) (Contents, error)
}

// ToolOptions are those of one tool.
type ToolOptions struct {
	// Schema is the JSON Schema of the input. By default it is inferred from
	// the Go type: json tags name the fields, those without omitempty or
	// omitzero are required, and a jsonschema tag describes one.
	Schema json.RawMessage
}

// Tool makes a tool of a Go function. In is a struct or a map; the model's
// arguments are held against the JSON Schema before fn runs. What fn returns
// goes to the model: a string as text, anything else as JSON. An error goes to
// the model as well, as an error result with the error's text, so it should
// say what would be right and nothing that the model's user must not see.
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
	f := Function{Spec: ToolSpec{Name: name, Description: description}}
	schema, raw, err := toolSchema[In](o.Schema)
	if err != nil {
		f.err = fmt.Errorf("tool %q: %w", name, err)
		return f
	}
	f.Spec.InputSchema = raw
	f.handle = func(ctx context.Context, input json.RawMessage) (Contents, error) {
		var args any
		if err := json.Unmarshal(input, &args); err != nil {
			return nil, fmt.Errorf("the arguments are no JSON: %w", err)
		}
		if err := schema.Validate(args); err != nil {
			return nil, fmt.Errorf("the arguments do not fit the tool's JSON Schema: %w", err)
		}
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, fmt.Errorf("the arguments do not fit: %w", err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return toolContent(out)
	}
	return f
}

// toolSchema is the schema to validate by and its JSON to send.
func toolSchema[In any](raw json.RawMessage) (*jsonschema.Resolved, json.RawMessage, error) {
	var schema *jsonschema.Schema
	var err error
	if raw == nil {
		if schema, err = jsonschema.For[In](nil); err != nil {
			return nil, nil, fmt.Errorf("inferring a JSON Schema: %w", err)
		}
		if raw, err = json.Marshal(schema); err != nil {
			return nil, nil, err
		}
	} else {
		if err := json.Unmarshal(raw, &schema); err != nil {
			return nil, nil, fmt.Errorf("reading its JSON Schema: %w", err)
		}
	}
	if schema == nil || schema.Type != "object" {
		return nil, nil, errors.New("its input is no JSON object; take a struct or a map")
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("resolving its JSON Schema: %w", err)
	}
	return resolved, raw, nil
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
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("the result can not be written as JSON: %w", err)
	}
	switch raw[0] {
	case '{':
		return Contents{JSON(raw)}, nil
	case '[':
		return Contents{JSON(append(append([]byte(`{"results":`), raw...), '}'))}, nil
	}
	return Contents{Text(raw)}, nil
}

// errTool is what the model is told of a tool that panicked: not what was in
// the panic, which is for the log.
var errTool = errors.New("the tool failed")

// PanicError is the error of a tool that panicked, as [RunEvent.Err] has it.
// The model is told only that the tool failed.
type PanicError struct {
	Tool  string
	Value any
	Stack []byte
}

// Error says which tool panicked.
func (e *PanicError) Error() string { return fmt.Sprintf("tool %q panicked", e.Tool) }

// run runs the tool of one call. It always returns a result that can be sent;
// err says for the log what went wrong.
func (f Function) run(ctx context.Context, use ToolUse, o Options) (result ToolResult, err error) {
	result = ToolResult{ToolUseID: use.ID, Status: ToolSuccess}
	if o.ToolTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.ToolTimeout, fmt.Errorf("the tool took longer than %s", o.ToolTimeout))
		defer cancel()
	}
	input := use.Input
	if len(bytes.TrimSpace(input)) == 0 {
		input = json.RawMessage("{}")
	}
	content, err := f.safely(ctx, input)
	told := err
	var panicked *PanicError
	switch {
	case errors.As(err, &panicked):
		told = errTool
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
		told = err
	case err == nil:
		if err = checkResult(content, o.MaxToolResult); err != nil {
			told = err
		}
	}
	if err != nil {
		result.Status, result.Content = ToolError, Contents{Text(errorText(told))}
		return result, err
	}
	result.Content = content
	return result, nil
}

// safely calls the code and turns a panic into an error. Code that does not
// keep to its context is waited for, as nothing can stop it.
func (f Function) safely(ctx context.Context, input json.RawMessage) (content Contents, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Tool: f.Spec.Name, Value: v, Stack: debug.Stack()}
		}
	}()
	return f.handle(ctx, input)
}

// errorText is an error's text, bounded and never blank.
func errorText(err error) string {
	const bound = 4 << 10
	text := err.Error()
	if len(text) > bound {
		text = strings.ToValidUTF8(text[:bound], "") + "…"
	}
	if strings.TrimSpace(text) == "" {
		return errTool.Error()
	}
	return text
}

// checkResult finds what the service would refuse in a result.
func checkResult(contents Contents, bound int) error {
	if size := contentsSize(contents); size > bound {
		return fmt.Errorf("the result has about %d bytes, %d are allowed; ask for less", size, bound)
	}
	if len(contents) == 0 {
		return errTool
	}
	for _, c := range contents {
		switch c := c.(type) {
		case Text:
			if strings.TrimSpace(string(c)) == "" {
				return errTool
			}
		case JSON, Image, Document, Video, SearchResult, Raw:
		default:
			return fmt.Errorf("a tool's result can not hold a %T", c)
		}
		if _, err := c.appendJSON(nil); err != nil {
			return fmt.Errorf("the result can not be sent: %w", err)
		}
	}
	return nil
}

func contentsSize(contents Contents) int {
	return contents.sizeHint()
}

// unknownTool is the result for a tool that there is not.
func unknownTool(use ToolUse, tools []Function) (ToolResult, error) {
	names := make([]string, len(tools))
	for i, f := range tools {
		names[i] = f.Spec.Name
	}
	err := fmt.Errorf("there is no tool %q; the tools are %q", use.Name, names)
	return ToolResult{ToolUseID: use.ID, Status: ToolError, Content: Contents{Text(errorText(err))}}, err
}
