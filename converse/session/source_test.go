package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/stream"
)

// read reads a source to its end.
func read(s stream.Source) (text string, last stream.Message, err error) {
	for m, failed := range s.Messages() {
		if m.Type == stream.TypeToken {
			text += m.Data
		}
		last, err = m, failed
	}
	return text, last, err
}

func TestSource(t *testing.T) {
	store := session.NewMemoryStore()
	c, srv := open(t, store)
	srv.Reply(bedrocktest.Text("I look.").ToolUse("look", nil), bedrocktest.Text("Three."), bedrocktest.Text("Drei."))
	text, last, err := read(c.Source(t.Context(), "s", say("How many?")))
	require.NoError(t, err)
	assert.Equal(t, "I look.Three.", text)
	assert.Equal(t, stream.TypeComplete, last.Type)

	s := c.Source(t.Context(), "s", say("In German?"))
	text, _, err = read(s)
	require.NoError(t, err)
	assert.Equal(t, "Drei.", text)
	assert.Len(t, s.Result().Messages, 6)
	h, err := store.Load(t.Context(), "s")
	require.NoError(t, err)
	assert.Equal(t, s.Result().Messages, h.Messages)
}

// A call that waits for an approval is complete for the reader, and the next
// turn answers it.
func TestSourceThatWaits(t *testing.T) {
	c, srv := open(t, session.NewMemoryStore())
	srv.Reply(bedrocktest.ToolUse("pay", nil), bedrocktest.Text("Paid."))
	_, last, err := read(c.Source(t.Context(), "s", say("Pay.")))
	require.ErrorIs(t, err, converse.ErrPending)
	require.Len(t, last.Pending, 1)
	assert.Equal(t, "pay", last.Pending[0].ToolName)
	text, last, err := read(c.Source(t.Context(), "s", converse.Request{}, func(o *converse.Options) {
		o.Approve = func(context.Context, converse.ToolUse) error { return nil }
	}))
	require.NoError(t, err)
	assert.Equal(t, "Paid.", text)
	assert.Empty(t, last.Pending)
}

// What a loop has come to is saved, though its reader left.
func TestSourceThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := session.NewMemoryStore()
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		look := converse.NewTool("look", "Looks.", func(context.Context, struct{}) (string, error) { return "three", nil })
		c := session.New(converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{look} }), store)
		srv.Reply(bedrocktest.Text("I look.").ToolUse("look", nil), bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
		gone := errors.New("gone")
		began := time.Now()
		s := c.Source(t.Context(), "s", say("How many?"))
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(_ context.Context, m stream.Message) error {
			if m.Type == stream.TypeToken && m.Round == 2 {
				return gone
			}
			return nil
		}})
		assert.ErrorIs(t, err, gone)
		assert.Less(t, time.Since(began), 10*time.Second)
		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		require.Len(t, h.Messages, 3, "the question, the call and its result")
		assert.Equal(t, s.Result().Messages, h.Messages)
		assert.Zero(t, h.Busy)
	})
}

func TestSourceOfABusySession(t *testing.T) {
	store := session.NewMemoryStore()
	c, _ := open(t, store)
	h := session.History{Messages: []converse.Message{converse.User("a"), {Role: converse.RoleAssistant, Content: converse.Texts("b")}}}
	version, err := store.Save(t.Context(), "s", h)
	require.NoError(t, err)
	_, err = store.Claim(t.Context(), "s", version, time.Now().Add(time.Minute))
	require.NoError(t, err)
	_, last, err := read(c.Source(t.Context(), "s", say("c")))
	assert.ErrorIs(t, err, session.ErrConflict)
	assert.Equal(t, stream.Message{Type: stream.TypeError, Sequence: 1, Code: "conflict"}, last)
}

// An answer that could not be saved is an error, also if it waits for the user.
func TestSourceThatIsNotSaved(t *testing.T) {
	c, srv := open(t, unsaved{session.NewMemoryStore()})
	srv.Reply(bedrocktest.ToolUse("pay", nil))
	_, last, err := read(c.Source(t.Context(), "s", say("Pay.")))
	assert.ErrorIs(t, err, converse.ErrPending)
	assert.ErrorIs(t, err, session.ErrTooLarge)
	assert.Equal(t, stream.TypeError, last.Type)
	assert.Equal(t, "session_too_large", last.Code)
	assert.Empty(t, last.Pending)
}

type unsaved struct{ session.Store }

func (unsaved) Save(context.Context, string, session.History) (int64, error) {
	return 0, session.ErrTooLarge
}
