package converse_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// A policy that neither calls the next handler nor decodes is no empty answer.
func TestSendWithoutAnAnswer(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Middleware = []bedrockx.Middleware{func(bedrockx.Handler) bedrockx.Handler {
			return func(context.Context, *bedrockx.Call) error { return nil }
		}}
	}))
	_, err := client.Send(t.Context(), converse.Request{
		Model:    "amazon.nova-lite-v1:0",
		Messages: []converse.Message{converse.User("hello")},
	})
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "without calling its Decode")
}
