package mcptools_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/mcptools"
)

// TestMain is also the server of TestCommand: the same program, started again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := shelf("shelf").Run(context.Background(), &mcp.StdioTransport{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

type titleIn struct {
	Title string `json:"title" jsonschema:"the manga's title"`
}

type stockOut struct {
	Title  string `json:"title"`
	Copies int    `json:"copies"`
	Number uint64 `json:"number"` // more digits than a float64 has
}

var readOnly = &mcp.ToolAnnotations{ReadOnlyHint: true}

// shelf is a server of a manga store.
func shelf(name string) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
	schema := json.RawMessage(`{"type":"object","properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}`)
	server.AddTool(&mcp.Tool{Name: "check_stock", Description: "Says how many copies are in stock.", InputSchema: schema, Annotations: readOnly},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var in titleIn
			if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
				return nil, err
			}
			switch in.Title {
			case "":
				return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: "the title is empty; give one"}}}, nil
			case "$env": // what the server sees of the environment
				in.Title = strings.Join(os.Environ(), " ")
			}
			text, err := json.Marshal(stockOut{in.Title, 3, 9007199254740993})
			return &mcp.CallToolResult{StructuredContent: json.RawMessage(text), Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}}, err
		})
	mcp.AddTool(server, &mcp.Tool{Name: "order.create", Description: "Orders a copy."},
		func(_ context.Context, _ *mcp.CallToolRequest, in titleIn) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ordered " + in.Title}}}, nil, nil
		})
	return server
}

// inMemory connects to a server in this process, each time anew.
func inMemory(server *mcp.Server) mcptools.Dial {
	return func(context.Context) (mcp.Transport, error) {
		client, theirs := mcp.NewInMemoryTransports()
		if _, err := server.Connect(context.Background(), theirs, nil); err != nil {
			return nil, err
		}
		return client, nil
	}
}

func newServer(t *testing.T, server *mcp.Server, optFns ...func(*mcptools.Options)) *mcptools.Server {
	t.Helper()
	s := mcptools.New(inMemory(server), optFns...)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// newChat returns a conversation with a fake Bedrock that has the tools of a
// source and consents to all calls.
func newChat(t *testing.T, source func(context.Context) ([]converse.Tool, error), optFns ...func(*converse.Options)) (*converse.Client, *bedrocktest.Server) {
	t.Helper()
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	fns := append([]func(*converse.Options){func(o *converse.Options) {
		o.Model = model
		o.ToolSource = source
		o.Approve = func(context.Context, converse.ToolUse) error { return nil }
	}}, optFns...)
	return converse.New(bedrockx.New(srv.Client()), fns...), srv
}

func ask(text string) converse.Request {
	return converse.Request{Messages: []converse.Message{converse.User(text)}}
}

// runOne lets the model call one tool and returns its result.
func runOne(t *testing.T, chat *converse.Client, srv *bedrocktest.Server, name string, input map[string]any) converse.ToolResult {
	t.Helper()
	srv.Reply(bedrocktest.ToolUse(name, input), bedrocktest.Text("So it is."))
	result, err := chat.Run(t.Context(), ask("Go on."))
	require.NoError(t, err)
	require.Len(t, result.Messages, 4)
	answer, ok := result.Messages[2].Content[0].(converse.ToolResult)
	require.True(t, ok, "%T", result.Messages[2].Content[0])
	return answer
}

func names(t *testing.T, tools []converse.Tool) []string {
	t.Helper()
	var list []string
	for _, f := range tools {
		require.NoError(t, f.Err())
		list = append(list, f.Spec.Name)
	}
	return list
}

func TestToolsInALoop(t *testing.T) {
	s := newServer(t, shelf("shelf"))
	chat, srv := newChat(t, s.Tools)
	answer := runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"})
	assert.Equal(t, converse.ToolSuccess, answer.Status)
	require.Len(t, answer.Content, 1, "the text that repeats the structure is not sent twice")
	assert.JSONEq(t, `{"title":"Berserk","copies":3,"number":9007199254740993}`, string(answer.Content[0].(converse.JSON)))
	assert.Contains(t, string(answer.Content[0].(converse.JSON)), "9007199254740993", "every digit is kept")

	answer = runOne(t, chat, srv, "order_create", map[string]any{"title": "Monster"})
	assert.Equal(t, converse.Contents{converse.Text("ordered Monster")}, answer.Content)

	answer = runOne(t, chat, srv, "check_stock", map[string]any{"title": ""})
	assert.Equal(t, converse.ToolError, answer.Status)
	assert.Equal(t, converse.Contents{converse.Text("the title is empty; give one")}, answer.Content)

	answer = runOne(t, chat, srv, "check_stock", map[string]any{"name": "Berserk"})
	assert.Equal(t, converse.ToolError, answer.Status, "the loop validates the arguments itself")
}

// Consent is asked for what the server does not declare read-only.
func TestApproval(t *testing.T) {
	refuse := func(o *converse.Options) {
		o.Approve = func(context.Context, converse.ToolUse) error { return converse.Tellf("not today") }
	}
	s := newServer(t, shelf("shelf"))
	chat, srv := newChat(t, s.Tools, refuse)
	assert.Equal(t, converse.ToolSuccess, runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"}).Status)
	answer := runOne(t, chat, srv, "order_create", map[string]any{"title": "Berserk"})
	assert.Equal(t, converse.Contents{converse.Text("the call was not approved: not today")}, answer.Content)

	strict := newServer(t, shelf("shelf"), func(o *mcptools.Options) {
		o.Approval = func(*mcp.Tool) bool { return true }
		o.Select = func(tool *mcp.Tool) bool { return tool.Name == "check_stock" }
	})
	tools, err := strict.Tools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"check_stock"}, names(t, tools))
	chat, srv = newChat(t, strict.Tools, refuse)
	assert.Equal(t, converse.ToolError, runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"}).Status)
}

func TestNames(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "names", Version: "1"}, nil)
	long := strings.Repeat("x", 70)
	for _, name := range []string{"a.b", "a_b", "a/b", long + ".1", long + ".2", "fine-1"} {
		server.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)},
			func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: req.Params.Name}}}, nil
			})
	}
	s := newServer(t, server, func(o *mcptools.Options) { o.Approval = func(*mcp.Tool) bool { return false } })
	tools, err := s.Tools(t.Context())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, name := range names(t, tools) {
		assert.Regexp(t, `^[a-zA-Z0-9_-]{1,64}$`, name)
		assert.False(t, seen[name], "%s stands twice", name)
		seen[name] = true
	}
	assert.Len(t, seen, 6)
	assert.True(t, seen["a_b"], "a legal name stays as it is")
	assert.True(t, seen["fine-1"])
	for _, f := range tools {
		assert.NotEmpty(t, f.Spec.Description, "Bedrock wants one")
	}
	chat, srv := newChat(t, s.Tools)
	answer := runOne(t, chat, srv, "a_b", map[string]any{})
	assert.Equal(t, converse.Contents{converse.Text("a_b")}, answer.Content, "the server is called by its own name")
}

func TestJoin(t *testing.T) {
	one, two := shelf("north"), shelf("south")
	north, south := newServer(t, one), newServer(t, two, func(o *mcptools.Options) { o.Name = "south shop" })
	two.RemoveTools("order.create")
	join := mcptools.Join(north, south)
	tools, err := join(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"north_check_stock", "order_create", "south_shop_check_stock"}, names(t, tools))

	// A tool that comes later does not take the name of one that is there.
	mcp.AddTool(two, &mcp.Tool{Name: "order_create", Description: "Orders."},
		func(context.Context, *mcp.CallToolRequest, titleIn) (*mcp.CallToolResult, any, error) {
			return nil, nil, nil
		})
	require.Eventually(t, func() bool {
		tools, err = join(t.Context())
		require.NoError(t, err)
		return len(tools) == 4
	}, 10*time.Second, time.Millisecond)
	assert.Equal(t, []string{"north_check_stock", "order_create", "south_shop_check_stock", "south_shop_order_create"}, names(t, tools))

	same := mcptools.Join(newServer(t, shelf("x")), newServer(t, shelf("x")))
	tools, err = same(t.Context())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, name := range names(t, tools) {
		seen[name] = true
	}
	assert.Len(t, seen, 4, "two servers of one name")
}

func TestTwoHundredTools(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "many", Version: "1"}, &mcp.ServerOptions{PageSize: 30})
	for i := range 200 {
		mcp.AddTool(server, &mcp.Tool{Name: fmt.Sprintf("tool_%03d", i), Description: "One of many.", Annotations: readOnly},
			func(context.Context, *mcp.CallToolRequest, titleIn) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(i)}}}, nil, nil
			})
	}
	s := newServer(t, server)
	chat, srv := newChat(t, s.Tools)
	answer := runOne(t, chat, srv, "tool_199", map[string]any{"title": "x"})
	assert.Equal(t, converse.Contents{converse.Text("199")}, answer.Content)

	few := newServer(t, server, func(o *mcptools.Options) { o.MaxTools = 199 })
	_, err := few.Tools(t.Context())
	assert.ErrorContains(t, err, "more than 199 tools; raise Options.MaxTools")
}

// A result over the loop's bound is an error result, and the loop goes on.
func TestResultOfTenMegabytes(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "large", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "dump", Description: "Dumps all.", Annotations: readOnly},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strings.Repeat("x", 10<<20)}}}, nil, nil
		})
	s := newServer(t, server)
	chat, srv := newChat(t, s.Tools)
	answer := runOne(t, chat, srv, "dump", map[string]any{})
	assert.Equal(t, converse.ToolError, answer.Status)
	assert.Contains(t, string(answer.Content[0].(converse.Text)), "262144 are allowed; ask for less")
}

// A call that hangs ends after its time, and the server is told.
func TestHangingCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan struct{})
		server := mcp.NewServer(&mcp.Implementation{Name: "slow", Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "wait", Description: "Waits.", Annotations: readOnly},
			func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
				<-ctx.Done()
				close(cancelled)
				return nil, nil, ctx.Err()
			})
		s := mcptools.New(inMemory(server), func(o *mcptools.Options) { o.ToolTimeout = time.Minute })
		chat, srv := newChat(t, s.Tools)
		start := time.Now()
		answer := runOne(t, chat, srv, "wait", map[string]any{})
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Equal(t, converse.Contents{converse.Text("the tool took longer than 1m0s")}, answer.Content)
		<-cancelled
		require.NoError(t, s.Close())
	})
}

// A list that changes in the middle of a loop is followed.
func TestListChangesInALoop(t *testing.T) {
	server := shelf("shelf")
	told := make(chan struct{}, 10)
	s := newServer(t, server, func(o *mcptools.Options) {
		o.Approval = func(*mcp.Tool) bool { return false }
		o.ClientOptions.ToolListChangedHandler = func(context.Context, *mcp.ToolListChangedRequest) { told <- struct{}{} }
	})
	mcp.AddTool(server, &mcp.Tool{Name: "open_box", Description: "Opens the box of tools."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			server.RemoveTools("check_stock")
			mcp.AddTool(server, &mcp.Tool{Name: "hammer", Description: "Hits."},
				func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
					return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "bang"}}}, nil, nil
				})
			return nil, nil, nil
		})
	opened := func(ctx context.Context) ([]converse.Tool, error) {
		tools, err := s.Tools(ctx)
		for i, f := range tools {
			if f.Spec.Name == "open_box" { // the notice is there before the next request
				tools[i] = f.With(func(next converse.ToolHandler) converse.ToolHandler {
					return func(ctx context.Context, use converse.ToolUse) (converse.Contents, error) {
						contents, err := next(ctx, use)
						<-told
						return contents, err
					}
				})
			}
		}
		return tools, err
	}
	chat, srv := newChat(t, opened)
	srv.Reply(bedrocktest.ToolUse("open_box", nil), bedrocktest.ToolUse("hammer", nil), bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"}),
		bedrocktest.Text("Done."))
	result, err := chat.Run(t.Context(), ask("Work."))
	require.NoError(t, err)
	results := map[int]converse.ToolResult{}
	for i, m := range result.Messages {
		if answer, ok := m.Content[0].(converse.ToolResult); ok {
			results[i] = answer
		}
	}
	assert.Equal(t, converse.Contents{converse.Text("done")}, results[2].Content)
	assert.Equal(t, converse.Contents{converse.Text("bang")}, results[4].Content)
	assert.Equal(t, converse.ToolError, results[6].Status, "a tool that was removed")
	assert.Contains(t, string(results[6].Content[0].(converse.Text)), `there is no tool "check_stock"`)
}

// A server that dies costs the calls in flight; the next one starts it again.
func TestServerThatDies(t *testing.T) {
	var calls atomic.Int32
	var dials int
	var live net.Conn
	server := mcp.NewServer(&mcp.Implementation{Name: "frail", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "lift", Description: "Lifts.", Annotations: readOnly},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			if calls.Add(1) == 1 {
				_ = live.Close()
				<-ctx.Done()
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "lifted"}}}, nil, nil
		})
	var told []error
	s := mcptools.New(func(context.Context) (mcp.Transport, error) {
		if dials++; dials == 2 {
			return nil, errors.New("secret-host: no route")
		}
		ours, theirs := net.Pipe()
		live = ours
		_, err := server.Connect(context.Background(), &mcp.IOTransport{Reader: theirs, Writer: theirs}, nil)
		return &mcp.IOTransport{Reader: ours, Writer: ours}, err
	}, func(o *mcptools.Options) {
		o.Name = "frail"
		o.OnError = func(_ context.Context, err error) { told = append(told, err) }
	})
	defer s.Close()
	chat, srv := newChat(t, s.Tools)

	srv.Reply(bedrocktest.ToolUse("lift", nil), bedrocktest.ToolUse("lift", nil), bedrocktest.Text("At last."))
	result, err := chat.Run(t.Context(), ask("Lift."))
	require.NoError(t, err, "the loop goes on")
	first, second := result.Messages[2].Content[0].(converse.ToolResult), result.Messages[4].Content[0].(converse.ToolResult)
	assert.Equal(t, converse.ToolError, first.Status)
	assert.Equal(t, converse.Contents{converse.Text("the tool's server cannot be reached now")}, first.Content)
	assert.NotContains(t, fmt.Sprint(result.Messages), "secret-host")
	assert.Equal(t, converse.Contents{converse.Text("lifted")}, second.Content)
	assert.EqualValues(t, 2, calls.Load(), "the call that was lost is not sent again")
	require.Len(t, told, 1, "the list could not be read once, and the last one was used")
	assert.ErrorContains(t, told[0], `connecting to server "frail": secret-host: no route`)

	require.NoError(t, s.Close())
	_, err = s.Tools(t.Context())
	assert.ErrorIs(t, err, mcptools.ErrClosed)
	_, err = s.Session(t.Context())
	assert.ErrorIs(t, err, mcptools.ErrClosed)
}

// A server that was never there is an error before any money is spent.
func TestServerThatIsNotThere(t *testing.T) {
	s := mcptools.New(mcptools.Command("no-such-program-anywhere"))
	defer s.Close()
	chat, _ := newChat(t, s.Tools)
	_, err := chat.Run(t.Context(), ask("Hello?"))
	require.ErrorContains(t, err, "no-such-program-anywhere")
	var failure *bedrockx.Error
	require.ErrorAs(t, err, &failure)

	synctest.Test(t, func(t *testing.T) {
		client, _ := mcp.NewInMemoryTransports() // nobody answers
		s := mcptools.New(func(context.Context) (mcp.Transport, error) { return client, nil })
		_, err := s.Tools(t.Context())
		assert.ErrorContains(t, err, "no handshake within 30s")
		require.NoError(t, s.Close())
	})
}

func TestToolThatCannotBeOffered(t *testing.T) {
	server := shelf("shelf")
	server.AddTool(&mcp.Tool{Name: "odd", InputSchema: json.RawMessage(`{"type":"object","$ref":"#"}`)},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return nil, nil })
	strict := newServer(t, server)
	_, err := strict.Tools(t.Context())
	var odd *mcptools.ToolError
	require.ErrorAs(t, err, &odd)
	assert.Equal(t, "odd", odd.Tool)
	assert.Equal(t, "shelf", odd.Server)

	var told []error
	lenient := newServer(t, server, func(o *mcptools.Options) {
		o.OnError = func(_ context.Context, err error) { told = append(told, err) }
	})
	tools, err := lenient.Tools(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"check_stock", "order_create"}, names(t, tools))
	require.Len(t, told, 1)
	require.ErrorAs(t, told[0], &odd)
}

var png = append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 16)...)

func TestContents(t *testing.T) {
	for _, test := range []struct {
		name   string
		result *mcp.CallToolResult
		want   converse.Contents
		told   string // of an error result
	}{
		{"nothing", &mcp.CallToolResult{}, converse.Contents{converse.Text("done")}, ""},
		{"a blank text", &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: " "}}}, converse.Contents{converse.Text("done")}, ""},
		{"a picture beside a structure", &mcp.CallToolResult{StructuredContent: map[string]any{"a": 1.0},
			Content: []mcp.Content{&mcp.TextContent{Text: `{"a": 1}`}, &mcp.ImageContent{MIMEType: "image/png", Data: png}}},
			converse.Contents{converse.JSON(`{"a": 1}`), converse.Image{Format: "png", Bytes: png}}, ""},
		{"a structured list", &mcp.CallToolResult{StructuredContent: []any{"x"}}, converse.Contents{converse.JSON(`{"result":["x"]}`)}, ""},
		{"a text that is not the structure", &mcp.CallToolResult{StructuredContent: map[string]any{"a": 1.0},
			Content: []mcp.Content{&mcp.TextContent{Text: "One."}}}, converse.Contents{converse.JSON(`{"a":1}`), converse.Text("One.")}, ""},
		{"audio", &mcp.CallToolResult{Content: []mcp.Content{&mcp.AudioContent{MIMEType: "audio/wav", Data: []byte("RIFF")}}},
			converse.Contents{converse.Text("[left out: audio, audio/wav, 4 bytes; it cannot be read as the result of a tool]")}, ""},
		{"a picture of an unknown kind", &mcp.CallToolResult{Content: []mcp.Content{&mcp.ImageContent{MIMEType: "image/tiff", Data: []byte("II")}}},
			converse.Contents{converse.Text("[left out: file, image/tiff, 2 bytes; it cannot be read as the result of a tool]")}, ""},
		{"a link", &mcp.CallToolResult{Content: []mcp.Content{&mcp.ResourceLink{URI: "shelf://1", Name: "one", MIMEType: "text/plain"}}},
			converse.Contents{converse.JSON(`{"name":"one","resource":"shelf://1","type":"text/plain"}`)}, ""},
		{"an embedded text", &mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "shelf://1", Text: "One."}}}},
			converse.Contents{converse.Text("One.")}, ""},
		{"an error without a text", &mcp.CallToolResult{IsError: true}, nil, "the tool reports an error and does not say which"},
		{"an error with two texts", &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: "a"}, &mcp.TextContent{Text: "b"}}}, nil, "a\nb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := mcp.NewServer(&mcp.Implementation{Name: "contents", Version: "1"}, nil)
			server.AddTool(&mcp.Tool{Name: "give", InputSchema: json.RawMessage(`{"type":"object"}`), Annotations: readOnly},
				func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return test.result, nil })
			s := newServer(t, server)
			chat, srv := newChat(t, s.Tools)
			answer := runOne(t, chat, srv, "give", nil)
			if test.told != "" {
				assert.Equal(t, converse.ToolError, answer.Status)
				assert.Equal(t, converse.Contents{converse.Text(test.told)}, answer.Content)
				return
			}
			assert.Equal(t, converse.ToolSuccess, answer.Status)
			assert.Equal(t, test.want, answer.Content)
		})
	}
}

// Two documents of one name, as two calls return them, have two names.
func TestDocumentsHaveNamesOfTheirOwn(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "papers", Version: "1"}, nil)
	server.AddTool(&mcp.Tool{Name: "bill", InputSchema: json.RawMessage(`{"type":"object"}`), Annotations: readOnly},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{
				&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///bills/may.2026.pdf", MIMEType: "application/pdf", Blob: []byte("%PDF-1.7")}},
				&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///bills/may.2026.pdf", Blob: []byte("%PDF-1.7")}}}}, nil
		})
	s := newServer(t, server)
	chat, srv := newChat(t, s.Tools)
	srv.Reply(bedrocktest.ToolUse("bill", nil), bedrocktest.ToolUse("bill", nil), bedrocktest.Text("Two bills."))
	result, err := chat.Run(t.Context(), ask("The bills?"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, i := range []int{2, 4} {
		for _, c := range result.Messages[i].Content[0].(converse.ToolResult).Content {
			document := c.(converse.Document)
			assert.Equal(t, "pdf", document.Format)
			assert.Regexp(t, `^may 2026 [0-9a-f]{8}$`, document.Name)
			seen[document.Name] = true
		}
	}
	assert.Len(t, seen, 4)
}

func TestResourcesAndPrompts(t *testing.T) {
	server := shelf("shelf")
	server.AddResource(&mcp.Resource{URI: "shelf://hours", Name: "hours", MIMEType: "text/plain"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "9 to 5"}}}, nil
		})
	server.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "who"}}},
		func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{
				{Role: "user", Content: &mcp.TextContent{Text: "Greet " + req.Params.Arguments["who"]}},
				{Role: "user", Content: &mcp.ResourceLink{URI: "shelf://hours", Name: "hours"}},
				{Role: "assistant", Content: &mcp.TextContent{Text: "Hello"}}}}, nil
		})
	s := newServer(t, server, func(o *mcptools.Options) { o.Resources = true })

	contents, err := s.Resource(t.Context(), "shelf://hours")
	require.NoError(t, err)
	assert.Equal(t, converse.Contents{converse.Text("9 to 5")}, contents)
	_, err = s.Resource(t.Context(), "shelf://nothing")
	assert.ErrorContains(t, err, `reading the resource "shelf://nothing"`)

	messages, err := s.Prompt(t.Context(), "greet", map[string]string{"who": "Guts"})
	require.NoError(t, err)
	require.Len(t, messages, 2)
	assert.Equal(t, converse.Message{Role: converse.RoleUser, Content: converse.Contents{converse.Text("Greet Guts"),
		converse.Text(`{"name":"hours","resource":"shelf://hours"}`)}}, messages[0])
	assert.Equal(t, converse.RoleAssistant, messages[1].Role)

	chat, srv := newChat(t, s.Tools)
	answer := runOne(t, chat, srv, "read_resource", map[string]any{"uri": "shelf://hours"})
	assert.Equal(t, converse.Contents{converse.Text("9 to 5")}, answer.Content)
	answer = runOne(t, chat, srv, "read_resource", map[string]any{"uri": "shelf://nothing"})
	assert.Equal(t, converse.ToolError, answer.Status)
	assert.Contains(t, string(answer.Content[0].(converse.Text)), "not found", "the model can correct its call")
}

// The same over the two transports of the protocol: a process of its own, and
// streamable HTTP.
func TestTransports(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "canary")
	web := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return shelf("shelf") }, nil))
	defer web.Close()
	for name, dial := range map[string]mcptools.Dial{
		"stdio": mcptools.Command(program, "serve"),
		"http":  mcptools.HTTP(web.URL, web.Client()),
	} {
		t.Run(name, func(t *testing.T) {
			s := mcptools.New(dial)
			defer func() {
				require.NoError(t, s.Close())
				web.CloseClientConnections()
			}()
			chat, srv := newChat(t, s.Tools)
			for range 2 {
				answer := runOne(t, chat, srv, "check_stock", map[string]any{"title": "Berserk"})
				assert.Contains(t, string(answer.Content[0].(converse.JSON)), "9007199254740993")
			}
			if name == "stdio" {
				assert.NotContains(t, string(runOne(t, chat, srv, "check_stock", map[string]any{"title": "$env"}).Content[0].(converse.JSON)), "canary")
			}
		})
	}
}

// Many goroutines share one connection and one list.
func TestConcurrentUse(t *testing.T) {
	var dials atomic.Int32
	server := shelf("shelf")
	dial := inMemory(server)
	s := mcptools.New(func(ctx context.Context) (mcp.Transport, error) {
		dials.Add(1)
		return dial(ctx)
	})
	defer s.Close()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			tools, err := s.Tools(t.Context())
			if assert.NoError(t, err) {
				assert.Len(t, tools, 2)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, dials.Load())
}

// A schema with a union at its top, which Claude does not take.
func TestUnionAtTheTop(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "union", Version: "1"}, nil)
	schema := `{"type":"object","anyOf":[{"properties":{"title":{"type":"string"}},"required":["title"]},{"properties":{"isbn":{"type":"string"}},"required":["isbn"]}]}`
	server.AddTool(&mcp.Tool{Name: "find", InputSchema: json.RawMessage(schema), Annotations: readOnly},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(bytes.TrimSpace(req.Params.Arguments))}}}, nil
		})
	s := newServer(t, server)
	chat, srv := newChat(t, s.Tools, func(o *converse.Options) { o.Model = "us.amazon.nova-lite-v1:0" })
	answer := runOne(t, chat, srv, "find", map[string]any{"isbn": "1"})
	assert.Equal(t, converse.Contents{converse.Text(`{"isbn":"1"}`)}, answer.Content)
	answer = runOne(t, chat, srv, "find", map[string]any{"name": "x"})
	assert.Equal(t, converse.ToolError, answer.Status, "the arguments are validated against the whole schema")
}
