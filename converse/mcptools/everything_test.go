package mcptools_test

import (
	"context"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/mcptools"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// The reference server of the protocol, which is written in TypeScript.
func TestServerEverything(t *testing.T) {
	command, ok := servertest.MCP(t)
	if !ok {
		return
	}
	s := mcptools.New(mcptools.Command(command[0], command[1:]...), func(o *mcptools.Options) {
		o.Approval = func(*mcp.Tool) bool { return false }
		o.Resources = true
	})
	defer func() { assert.NoError(t, s.Close()) }()
	tools, err := s.Tools(t.Context())
	require.NoError(t, err)
	assert.Contains(t, names(t, tools), "read_resource")
	chat, srv := newChat(t, s.Tools, func(o *converse.Options) { o.MaxToolResult = 1 << 20 })

	answer := runOne(t, chat, srv, "echo", map[string]any{"message": "ワンピース"})
	assert.Equal(t, converse.Contents{converse.Text("Echo: ワンピース")}, answer.Content)

	answer = runOne(t, chat, srv, "get-tiny-image", nil)
	var picture converse.Image
	for _, c := range answer.Content {
		if image, ok := c.(converse.Image); ok {
			picture = image
		}
	}
	assert.Equal(t, "png", picture.Format)
	assert.NotEmpty(t, picture.Bytes)

	answer = runOne(t, chat, srv, "get-structured-content", map[string]any{"location": "New York"})
	require.IsType(t, converse.JSON(nil), answer.Content[0])
	assert.Contains(t, string(answer.Content[0].(converse.JSON)), `"temperature"`)

	answer = runOne(t, chat, srv, "get-structured-content", map[string]any{"location": "Atlantis"})
	assert.Equal(t, converse.ToolError, answer.Status)

	session, err := s.Session(t.Context())
	require.NoError(t, err)
	for resource, err := range session.Resources(t.Context(), nil) {
		require.NoError(t, err)
		contents, err := s.Resource(t.Context(), resource.URI)
		require.NoError(t, err)
		assert.NotEmpty(t, contents)
		srv.Reply(bedrocktest.ToolUse("read_resource", map[string]any{"uri": resource.URI}), bedrocktest.Text("Read."))
		_, err = chat.Run(context.Background(), ask("Read it."))
		require.NoError(t, err)
		break
	}
	for prompt, err := range session.Prompts(t.Context(), nil) {
		require.NoError(t, err)
		args := map[string]string{}
		for _, argument := range prompt.Arguments {
			args[argument.Name] = "1"
		}
		messages, err := s.Prompt(t.Context(), prompt.Name, args)
		if assert.NoError(t, err, prompt.Name) {
			assert.NotEmpty(t, messages)
		}
		break
	}
}
