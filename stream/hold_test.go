package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
)

// held opens a stream of pieces whose calls have a Hold.
func held(t *testing.T, hold func(text string, whole bool) (bool, error), reply *bedrocktest.Reply) *stream.Stream {
	t.Helper()
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(reply)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.MaxAttempts = 1
		o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
			return func(ctx context.Context, call *bedrockx.Call) error {
				call.Hold = hold
				return next(ctx, call)
			}
		})
	})
	s, err := stream.Converse(t.Context(), client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hi"}}}}})
	require.NoError(t, err)
	return s
}

// Nothing reaches the reader before Hold has released it, and all of it before
// the end.
func TestHold(t *testing.T) {
	var seen, given strings.Builder
	waiting := 0
	s := held(t, func(text string, whole bool) (bool, error) {
		seen.WriteString(text)
		waiting += len(text)
		if waiting < 8 && !whole {
			return false, nil
		}
		waiting = 0
		return true, nil
	}, bedrocktest.Text("One two three four.").Chunks("One ", "two ", "three ", "four."))
	for ev, err := range s.Events() {
		require.NoError(t, err)
		if ev.Type == stream.Text {
			given.WriteString(ev.Text)
			assert.True(t, strings.HasPrefix(seen.String(), given.String()), "%q was given before it was seen", ev.Text)
			assert.Zero(t, waiting)
		}
	}
	assert.Equal(t, "One two three four.", given.String())
	assert.Equal(t, given.String(), seen.String())
	assert.True(t, s.Result().Complete)
}

// What is refused is never given out, in the middle and at the end.
func TestHoldRefuses(t *testing.T) {
	bad := errors.New("bad")
	for name, refuses := range map[string]func(text string, whole bool) bool{
		"in the middle": func(text string, _ bool) bool { return strings.Contains(text, "three") },
		"at the end":    func(_ string, whole bool) bool { return whole },
	} {
		t.Run(name, func(t *testing.T) {
			s := held(t, func(text string, whole bool) (bool, error) {
				if refuses(text, whole) {
					return true, bad
				}
				return strings.Contains(text, "One"), nil
			}, bedrocktest.Text("One two three four.").Chunks("One ", "two ", "three ", "four."))
			var given string
			var last error
			for text, err := range s.Text() {
				if last = err; err == nil {
					given += text
				}
			}
			assert.ErrorIs(t, last, bad)
			assert.Equal(t, bedrockx.KindRefused, bedrockx.KindOf(last))
			assert.Equal(t, "One ", given)
		})
	}
}

// A stream that breaks gives an error and nothing that was held.
func TestHoldOfABrokenStream(t *testing.T) {
	s := held(t, func(string, bool) (bool, error) { return false, nil },
		bedrocktest.Text("One two three four.").Chunks("One ", "two ", "three ", "four.").CutAfter(600))
	for text, err := range s.Text() {
		assert.Empty(t, text)
		assert.ErrorIs(t, err, bedrockx.ErrTruncated)
	}
}

// Tool calls wait as text does.
func TestHoldOfTools(t *testing.T) {
	s := held(t, func(_ string, whole bool) (bool, error) { return false, nil }, bedrocktest.Text("Look.").ToolUse("look", nil))
	for ev, err := range s.Events() {
		require.NoError(t, err)
		_ = ev
	}
	assert.Equal(t, "tool_use", string(s.Result().StopReason))
}

// A result has nothing that Hold has not released: not while the reader reads, and
// not after the answer was refused.
func TestHoldAndResult(t *testing.T) {
	refused := errors.New("refused")
	var s *stream.Stream
	said := ""
	s = held(t, func(text string, whole bool) (bool, error) {
		if said += text; strings.Contains(said, "four") {
			return false, refused
		}
		return strings.HasSuffix(said, "two "), nil
	}, bedrocktest.NewReply().Reasoning("Hm.").Text("One two three four.").Chunks("One ", "two ", "three ", "four.").ToolUse("look", nil))
	given := ""
	for ev, err := range s.Events() {
		assert.NotContains(t, s.Result().Text(), "three")
		if err != nil {
			require.ErrorIs(t, err, refused)
			continue
		}
		if ev.Type == stream.Text {
			given += ev.Text
		}
	}
	r := s.Result()
	assert.Equal(t, "One two ", given)
	assert.Equal(t, given, r.Text())
	assert.False(t, r.Complete)
	for _, b := range r.Blocks {
		assert.NotEqual(t, stream.BlockToolUse, b.Kind, "what came with it")
	}

	// A reader that leaves has what it was given.
	s = held(t, func(string, bool) (bool, error) { return false, nil }, bedrocktest.Text("One two three.").Chunks("One ", "two ", "three."))
	assert.Empty(t, s.Result().Text())
	require.NoError(t, s.Close())
	assert.Empty(t, s.Result().Text())
	assert.Empty(t, s.Result().Blocks)
}
