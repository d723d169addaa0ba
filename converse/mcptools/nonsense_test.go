package mcptools_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse/mcptools"
)

// answering is a shelf that answers some methods in its own way.
func answering(answers map[string]func(ctx context.Context, req mcp.Request) (mcp.Result, error)) *mcp.Server {
	server := shelf("shelf")
	server.AddResource(&mcp.Resource{URI: "shelf://hours", Name: "hours"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{}, nil
	})
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if answer, ok := answers[method]; ok {
				return answer(ctx, req)
			}
			return next(ctx, method, req)
		}
	})
	return server
}

// A server that returns null where something ought to be breaks nothing.
func TestNullsOfAServer(t *testing.T) {
	s := newServer(t, answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
		"resources/read": func(context.Context, mcp.Request) (mcp.Result, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{nil, {URI: "shelf://hours", Text: "9 to 5"}}}, nil
		},
		"prompts/get": func(context.Context, mcp.Request) (mcp.Result, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{nil, {Role: "user", Content: &mcp.TextContent{Text: "Hi."}}}}, nil
		},
		"tools/list": func(context.Context, mcp.Request) (mcp.Result, error) {
			return &mcp.ListToolsResult{Tools: []*mcp.Tool{nil, {Name: "look", InputSchema: map[string]any{"type": "object"}}}}, nil
		},
	}))
	contents, err := s.Resource(t.Context(), "shelf://hours")
	require.NoError(t, err)
	assert.Len(t, contents, 1)
	messages, err := s.Prompt(t.Context(), "hello", nil)
	require.NoError(t, err)
	assert.Len(t, messages, 1)
	tools, err := s.Tools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"look"}, names(t, tools))
}

// A list without end is an error, also if its pages are empty.
func TestListWithoutEnd(t *testing.T) {
	page := 0
	s := newServer(t, answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
		"tools/list": func(context.Context, mcp.Request) (mcp.Result, error) {
			page++
			return &mcp.ListToolsResult{Tools: []*mcp.Tool{}, NextCursor: fmt.Sprint(page)}, nil
		},
	}), func(o *mcptools.Options) { o.MaxTools = 20 })
	_, err := s.Tools(t.Context())
	require.ErrorContains(t, err, "more than 20")
	assert.Less(t, page, 30)
}

// A server that does not answer is given up after the time for connecting.
func TestHangingList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
			"tools/list": func(ctx context.Context, _ mcp.Request) (mcp.Result, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}), func(o *mcptools.Options) { o.ConnectTimeout = 5 * time.Second })
		began := time.Now()
		_, err := s.Tools(t.Context())
		require.ErrorContains(t, err, "5s")
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// A tool that is listed several times is offered once.
func TestToolListedSeveralTimes(t *testing.T) {
	s := newServer(t, answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
		"tools/list": func(context.Context, mcp.Request) (mcp.Result, error) {
			tool := &mcp.Tool{Name: "look", InputSchema: map[string]any{"type": "object"}}
			return &mcp.ListToolsResult{Tools: []*mcp.Tool{tool, tool, tool}}, nil
		},
	}))
	tools, err := s.Tools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"look"}, names(t, tools))
}

// A tool keeps its name when the server adds one that has a better right to it:
// the conversation knows the first one by it.
func TestNameIsKept(t *testing.T) {
	listed := []string{"stock check"}
	server := answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
		"tools/list": func(context.Context, mcp.Request) (mcp.Result, error) {
			result := &mcp.ListToolsResult{}
			for _, name := range listed {
				result.Tools = append(result.Tools, &mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object"}})
			}
			return result, nil
		},
	})
	s := newServer(t, server)
	tools, err := s.Tools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"stock_check"}, names(t, tools))
	listed = []string{"stock_check", "stock check"}
	mcp.AddTool(server, &mcp.Tool{Name: "another"}, func(context.Context, *mcp.CallToolRequest, titleIn) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	require.Eventually(t, func() bool {
		tools, err = s.Tools(t.Context())
		return err == nil && len(tools) == 2
	}, 5*time.Second, 10*time.Millisecond)
	got := names(t, tools)
	assert.Equal(t, "stock_check", got[1], "the one that had it")
	assert.Regexp(t, `^stock_check_[0-9a-f]{8}$`, got[0])
}

// The model reads that a resource is not there, by the code of today and that of
// earlier servers.
func TestResourceThatIsNotThere(t *testing.T) {
	for _, code := range []int64{jsonrpc.CodeInvalidParams, -32002} {
		server := answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
			"resources/read": func(context.Context, mcp.Request) (mcp.Result, error) {
				return nil, &jsonrpc.Error{Code: code, Message: "there is no such resource"}
			},
		})
		s := newServer(t, server, func(o *mcptools.Options) { o.Resources = true })
		chat, srv := newChat(t, s.Tools)
		result := runOne(t, chat, srv, "read_resource", map[string]any{"uri": "shelf://nothing"})
		assert.Equal(t, "error", string(result.Status))
		assert.Contains(t, fmt.Sprint(result.Content), "there is no such resource")
	}
}

// An error that is a structured result reaches the model, and a huge one is bounded.
func TestErrorsOfTools(t *testing.T) {
	var answer *mcp.CallToolResult
	server := answering(map[string]func(context.Context, mcp.Request) (mcp.Result, error){
		"tools/call": func(context.Context, mcp.Request) (mcp.Result, error) { return answer, nil },
	})
	s := newServer(t, server)
	chat, srv := newChat(t, s.Tools)
	answer = &mcp.CallToolResult{IsError: true, Content: []mcp.Content{}, StructuredContent: map[string]any{"reason": "sold out"}}
	result := runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"})
	assert.Equal(t, "error", string(result.Status))
	assert.Contains(t, fmt.Sprint(result.Content), `{"reason":"sold out"}`)

	answer = &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: strings.Repeat("x", 2<<20)}}}
	result = runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"})
	assert.Equal(t, "error", string(result.Status))
	assert.Less(t, len(fmt.Sprint(result.Content)), 300<<10)
}
