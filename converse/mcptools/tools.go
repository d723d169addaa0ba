package mcptools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mangaassist/bedrockkit/converse"
)

// Tools returns the server's tools. It connects if needed, and asks the server
// only if the list has changed since the last call: the server said so, or the
// connection is new. If the list cannot be read again, the last one is returned
// and [Options.OnError] is called: calls of its tools then fail until the server is
// back.
//
// It fails if the server cannot be reached at all, lists more than
// [Options.MaxTools], or, without OnError, has a tool that cannot be offered (a
// [*ToolError]).
func (s *Server) Tools(ctx context.Context) ([]converse.Tool, error) {
	s.mu.Lock()
	last, ever, fresh := s.tools, s.ever, s.session != nil && s.listed == s.changes
	s.mu.Unlock()
	if fresh {
		return slices.Clone(last), nil
	}
	tools, err := s.list(ctx)
	switch {
	case err == nil:
		return slices.Clone(tools), nil
	case !ever, ctx.Err() != nil, errors.Is(err, ErrClosed), isToolError(err):
		return nil, err
	}
	s.report(ctx, err)
	return slices.Clone(last), nil
}

func isToolError(err error) bool {
	_, ok := errors.AsType[*ToolError](err)
	return ok
}

func (s *Server) report(ctx context.Context, err error) {
	if s.o.OnError != nil {
		s.o.OnError(ctx, err)
	}
}

// list reads the server's list of tools and keeps it.
func (s *Server) list(ctx context.Context) ([]converse.Tool, error) {
	session, err := s.Session(ctx)
	if err != nil {
		return nil, err
	}
	// A change that is announced while the list is read makes it old again.
	s.mu.Lock()
	changes := s.changes
	s.mu.Unlock()
	listed, err := s.read(ctx, session)
	if err != nil {
		return nil, err
	}

	originals := make([]string, len(listed))
	for i, tool := range listed {
		originals[i] = tool.Name
	}
	ours := ""
	s.mu.Lock()
	names := legalNames(&s.names, originals)
	if s.o.Resources && session.InitializeResult().Capabilities.Resources != nil {
		ours = s.names.give("\x00"+readResource, readResource) // no tool of the server's has that key
	}
	s.mu.Unlock()
	var tools []converse.Tool
	for i, tool := range listed {
		made, err := s.tool(tool, names[i])
		if err == nil {
			tools = append(tools, made)
			continue
		}
		err = &ToolError{s.name(), tool.Name, err}
		if s.o.OnError == nil {
			return nil, err
		}
		s.report(ctx, err)
	}
	if ours != "" {
		tools = append(tools, s.resourceTool(ours))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools, s.ever, s.listed = tools, true, changes
	return tools, nil
}

// read asks for all pages of the list. A tool that is listed again, as when the
// list changes between two pages, counts once.
func (s *Server) read(ctx context.Context, session *mcp.ClientSession) ([]*mcp.Tool, error) {
	if session.InitializeResult().Capabilities.Tools == nil {
		return nil, nil
	}
	if s.o.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.o.ConnectTimeout, fmt.Errorf("no list within %s", s.o.ConnectTimeout))
		defer cancel()
	}
	var tools []*mcp.Tool
	listed := map[string]bool{}
	params := &mcp.ListToolsParams{}
	for seen := 0; ; {
		page, err := session.ListTools(ctx, params)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("mcptools: listing the tools of %s: %w", s.label(), err)
		}
		if seen += max(1, len(page.Tools)); seen > s.o.MaxTools { // an empty page counts, so that there is an end
			return nil, fmt.Errorf("mcptools: %s lists more than %d tools; raise Options.MaxTools", s.label(), s.o.MaxTools)
		}
		for _, tool := range page.Tools {
			if listed[tool.Name] || s.o.Select != nil && !s.o.Select(tool) {
				continue
			}
			listed[tool.Name] = true
			tools = append(tools, tool)
		}
		if page.NextCursor == "" {
			return tools, nil
		}
		params.Cursor = page.NextCursor
	}
}

// tool makes a converse tool of one of the server's.
func (s *Server) tool(tool *mcp.Tool, name string) (converse.Tool, error) {
	schema, err := json.Marshal(tool.InputSchema)
	if err != nil {
		return converse.Tool{}, fmt.Errorf("its schema cannot be written as JSON: %w", err)
	}
	approval := tool.Annotations == nil || !tool.Annotations.ReadOnlyHint
	if s.o.Approval != nil {
		approval = s.o.Approval(tool)
	}
	title := tool.Title
	if title == "" && tool.Annotations != nil {
		title = tool.Annotations.Title
	}
	// The service wants a description.
	spec := converse.ToolSpec{Name: name, Description: cmp.Or(tool.Description, title, tool.Name), InputSchema: schema}
	called := tool.Name
	f := converse.NewRawTool(spec, func(ctx context.Context, use converse.ToolUse) (converse.Contents, error) {
		return s.call(ctx, called, use)
	}, func(o *converse.ToolOptions) {
		o.Approval, o.Timeout = approval, s.o.ToolTimeout
	})
	return f, f.Err()
}

// call runs one call. It is sent once, whatever becomes of it.
func (s *Server) call(ctx context.Context, name string, use converse.ToolUse) (converse.Contents, error) {
	result, err := do(ctx, s, func(session *mcp.ClientSession) (*mcp.CallToolResult, error) {
		return session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: use.Input})
	})
	if err != nil {
		return nil, told(err)
	}
	return resultContents(result, use.ID)
}

// codeNoResource is the code of a resource that is not there in earlier versions of
// the protocol; now it is CodeInvalidParams (SEP-2164).
const codeNoResource = -32002

// told lets the model read the server's answer to a wrong call, so that it can
// correct it. Other errors are for the log.
func told(err error) error {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok {
		if wire.Code == jsonrpc.CodeInvalidParams || wire.Code == codeNoResource {
			return converse.Tellf("%s", wire.Message)
		}
	}
	return err
}
