package converse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
)

// The service counts what would be sent, tools and system prompt included, for
// the model behind a profile.
func TestCountTokens(t *testing.T) {
	chat, srv, _ := newChat(t)
	n, err := chat.CountTokens(t.Context(), ask("How many copies of Berserk are there?"))
	require.NoError(t, err)
	longer, err := chat.CountTokens(t.Context(), ask("How many copies of Berserk are there? "+strings.Repeat("word ", 100)))
	require.NoError(t, err)
	assert.Greater(t, longer, n+50)
	bare, err := chat.CountTokens(t.Context(), ask("How many copies of Berserk are there?"), func(o *converse.Options) { o.Tools, o.System = nil, nil })
	require.NoError(t, err)
	assert.Less(t, bare, n)
	for _, req := range srv.Requests() {
		assert.Equal(t, bedrockkit.OpCountTokens, req.Op, "nothing is billed")
		assert.EqualValues(t, "anthropic.claude-haiku-4-5-20251001-v1:0", req.Model)
	}

	n, err = bedrockx.CountTokens(t.Context(), bedrockx.New(srv.Client()), model,
		anthropic.Request{MaxTokens: 10, Messages: []anthropic.Message{anthropic.User("Hello there")}})
	require.NoError(t, err)
	assert.Positive(t, n)
}

// A model that has no CountTokens is told before anything is asked.
func TestCountTokensNotSupported(t *testing.T) {
	chat, srv, _ := newChat(t)
	for _, id := range []bedrockkit.ModelID{"us.anthropic.claude-opus-5", "us.anthropic.claude-sonnet-5"} {
		_, err := chat.CountTokens(t.Context(), ask("Hi"), func(o *converse.Options) { o.Model = id })
		assert.ErrorIs(t, err, bedrockx.ErrNotSupported)
		assert.Equal(t, bedrockx.KindValidation, bedrockx.KindOf(err))
	}
	assert.Empty(t, srv.Requests())
	assert.Greater(t, converse.EstimateInput(ask(strings.Repeat("word ", 100))), int64(100))

	// One that is not known is asked, and the service says so.
	refusing, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	require.NoError(t, err)
	defer refusing.Close()
	refusing.Control(bedrockkit.OpCountTokens, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Error(400, "ValidationException", "The provided model doesn't support counting tokens.")
	})
	unknown := bedrockx.New(refusing.Client(), func(o *bedrockx.Options) {
		o.Capabilities = func(bedrockkit.ModelID) (bedrockkit.Capability, bool) { return bedrockkit.Capability{}, false }
	})
	_, err = converse.New(unknown, func(o *converse.Options) { o.Model = model }).CountTokens(t.Context(), ask("Hi"))
	assert.ErrorIs(t, err, bedrockx.ErrNotSupported)

	_, err = converse.New(bedrockx.New(countless{}), func(o *converse.Options) { o.Model = model }).CountTokens(t.Context(), ask("Hi"))
	assert.ErrorIs(t, err, bedrockx.ErrNotSupported, "an API without the method")
}

// countless has the operations of the library alone.
type countless struct{ bedrockx.RuntimeAPI }

// A bound goes by the service's count, for whole answers and streams.
func TestCountedInput(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	count := bedrockx.CountedInput(bedrockx.New(srv.Client()))
	var counts []int64
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.InputTokens = func(ctx context.Context, call *bedrockx.Call) (int64, error) {
			n, err := count(ctx, call)
			assert.NoError(t, err, call.Op)
			counts = append(counts, n)
			return n, err
		}
		o.MaxTotalTokens = 100_000
	})
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 64)...)
	chat := converse.New(client, func(o *converse.Options) { o.Model = model })
	req := converse.Request{Messages: []converse.Message{converse.UserContent(converse.Text("Which manga is this?"), converse.Image{Format: "png", Bytes: png})}}
	_, err := chat.Send(t.Context(), req)
	require.NoError(t, err)
	s, err := chat.Stream(t.Context(), req)
	require.NoError(t, err)
	for _, err := range s.Text() {
		require.NoError(t, err)
	}
	body := anthropic.Request{MaxTokens: 10, Messages: []anthropic.Message{{Role: "user", Content: append(anthropic.Text("Which?"), anthropic.Image("image/png", png))}}}
	_, err = bedrockx.Invoke(t.Context(), client, model, body)
	require.NoError(t, err)
	s, err = stream.Invoke(t.Context(), client, model, body)
	require.NoError(t, err)
	for _, err := range s.Text() {
		require.NoError(t, err)
	}
	require.Len(t, counts, 4)
	for _, n := range counts {
		assert.Positive(t, n)
	}
}
