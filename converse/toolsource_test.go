package converse_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// A source of tools is asked before each request, and its tools run besides
// the others.
func TestToolSource(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		asked := 0
		chat, srv, runs := newChat(t, func(o *converse.Options) {
			o.ToolSource = func(context.Context) ([]converse.Tool, error) {
				if asked++; asked == 1 {
					return nil, nil
				}
				return []converse.Tool{converse.NewTool("late", "Came later.",
					func(context.Context, struct{}) (string, error) { return "here", nil })}, nil
			}
		})
		srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "Berserk"}),
			bedrocktest.ToolUse("late", nil), bedrocktest.Text("Done."))
		result, err := run(t, streamed, chat, ask("Go."))
		require.NoError(t, err)
		assert.Equal(t, 3, asked, "once before each request")
		assert.EqualValues(t, 1, runs.Load())
		late := result.Messages[4].Content[0].(converse.ToolResult)
		assert.Equal(t, converse.Contents{converse.Text("here")}, late.Content)
	})
}

// A source that fails, panics or outlives its context ends the loop before
// anything is sent.
func TestToolSourceFails(t *testing.T) {
	broken := errors.New("no list")
	for name, source := range map[string]func(context.Context) ([]converse.Tool, error){
		"error": func(context.Context) ([]converse.Tool, error) { return nil, broken },
		"panic": func(context.Context) ([]converse.Tool, error) { panic(broken) },
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, streamed bool) {
				chat, srv, _ := newChat(t, func(o *converse.Options) { o.ToolSource = source })
				_, err := run(t, streamed, chat, ask("Go."))
				var failure *bedrockx.Error
				require.ErrorAs(t, err, &failure)
				if name == "error" {
					assert.ErrorIs(t, err, broken)
				} else {
					var panicked *converse.PanicError
					assert.ErrorAs(t, err, &panicked)
				}
				assert.Empty(t, srv.Requests())
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	chat, _, _ := newChat(t, func(o *converse.Options) {
		o.ToolSource = func(ctx context.Context) ([]converse.Tool, error) {
			cancel()
			return nil, ctx.Err()
		}
	})
	_, err := chat.Send(ctx, ask("Go."))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, bedrockx.KindCanceled, bedrockx.KindOf(err))
}

// Generate offers the source's tools, too.
func TestToolSourceOfGenerate(t *testing.T) {
	chat, srv, _ := newChat(t, func(o *converse.Options) {
		o.ToolSource = func(context.Context) ([]converse.Tool, error) {
			return []converse.Tool{converse.NewTool("late", "Came later.",
				func(context.Context, struct{}) (string, error) { return "7", nil })}, nil
		}
	})
	srv.Reply(bedrocktest.ToolUse("late", nil), bedrocktest.Text(`{"copies":7}`))
	value, _, err := converse.Generate[struct {
		Copies int `json:"copies"`
	}](t.Context(), chat, ask("How many?"))
	require.NoError(t, err)
	assert.Equal(t, 7, value.Copies)
}
