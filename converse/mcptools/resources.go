package mcptools

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mangaassist/bedrockkit/converse"
)

// readResource is the tool of [Options.Resources].
const readResource = "read_resource"

// Resource reads a resource as content of a message: a text, a picture, a document or
// a video. Content that no model reads becomes a line of text that says what was left
// out. A message with a document also needs a [converse.Text]. For the list of
// resources see [Server.Session].
func (s *Server) Resource(ctx context.Context, uri string) (converse.Contents, error) {
	return s.resource(ctx, uri, uri)
}

func (s *Server) resource(ctx context.Context, uri, id string) (converse.Contents, error) {
	result, err := do(ctx, s, func(session *mcp.ClientSession) (*mcp.ReadResourceResult, error) {
		return session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
	})
	if err != nil {
		return nil, fmt.Errorf("mcptools: reading the resource %q: %w", uri, err)
	}
	var contents converse.Contents
	for i, r := range result.Contents {
		if r == nil { // which a server can send
			continue
		}
		if content := resourceOf(r, fmt.Sprintf("%s/%d", id, i)); content != nil {
			contents = append(contents, content)
		}
	}
	if len(contents) == 0 {
		contents = converse.Contents{converse.Text("[the resource is empty]")}
	}
	return contents, nil
}

// resourceTool lets the model read a resource.
func (s *Server) resourceTool(name string) converse.Tool {
	return converse.NewRawTool(converse.ToolSpec{
		Name:        name,
		Description: "Reads a resource by its URI, as other tools or the user name it.",
		InputSchema: json.RawMessage(`{"type":"object","properties":{"uri":{"type":"string","description":"the URI of the resource"}},"required":["uri"]}`),
	}, func(ctx context.Context, use converse.ToolUse) (converse.Contents, error) {
		var in struct {
			URI string `json:"uri"`
		}
		if err := json.Unmarshal(use.Input, &in); err != nil {
			return nil, err
		}
		contents, err := s.resource(ctx, in.URI, use.ID)
		if err != nil {
			return nil, told(err)
		}
		return contents, nil
	}, func(o *converse.ToolOptions) { o.Timeout = s.o.ToolTimeout })
}

// Prompt returns a prompt of the server as the messages that begin a conversation.
// args are the prompt's arguments by name; nil means none. For the list of prompts see
// [Server.Session].
func (s *Server) Prompt(ctx context.Context, name string, args map[string]string) ([]converse.Message, error) {
	result, err := do(ctx, s, func(session *mcp.ClientSession) (*mcp.GetPromptResult, error) {
		return session.GetPrompt(ctx, &mcp.GetPromptParams{Name: name, Arguments: args})
	})
	if err != nil {
		return nil, fmt.Errorf("mcptools: the prompt %q: %w", name, err)
	}
	var messages []converse.Message
	for i, m := range result.Messages {
		if m == nil {
			continue
		}
		role := converse.RoleUser
		if m.Role == "assistant" {
			role = converse.RoleAssistant
		}
		if content := contentOf(m.Content, fmt.Sprintf("%s/%d", name, i)); content != nil {
			if raw, ok := content.(converse.JSON); ok { // JSON belongs into the results of tools
				content = converse.Text(raw)
			}
			messages = converse.Append(messages, converse.Message{Role: role, Content: converse.Contents{content}})
		}
	}
	return messages, nil
}
