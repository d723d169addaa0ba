package stream_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
)

func inline(o *stream.WriteOptions) { o.Inline = true }

// yields is a source of some messages, after which it does something.
type yields struct {
	messages []stream.Message
	then     func()
}

func (y yields) Close() error { return nil }

func (y yields) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for _, m := range y.messages {
			if !yield(m, nil) {
				return
			}
		}
		if y.then != nil {
			y.then()
		}
	}
}

// What is sent, and what Write returns, is the same in the caller's goroutine and
// with a second one.
func TestWriteInline(t *testing.T) {
	long := stream.Message{Type: stream.TypeToken, Data: strings.Repeat("漫画", 20_000)}
	for name, source := range map[string]func(t *testing.T) stream.Source{
		"whole": func(t *testing.T) stream.Source {
			s, _ := start(t, bedrocktest.Text("one two three").ChunkSize(2))
			return s
		},
		"broken": func(t *testing.T) stream.Source {
			s, _ := start(t, bedrocktest.Text("one two three").ChunkSize(2).EndAfter(4))
			return s
		},
		"without an end": func(*testing.T) stream.Source {
			return yields{messages: []stream.Message{{Type: stream.TypeToken, Data: "a"}}}
		},
		"empty": func(*testing.T) stream.Source { return yields{} },
		"too long for a message": func(*testing.T) stream.Source {
			return yields{messages: []stream.Message{long, {Type: stream.TypeComplete}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var apart, together kept
			wantErr := stream.Write(t.Context(), source(t), apart.sink())
			err := stream.Write(t.Context(), source(t), together.sink(), inline)
			assert.Equal(t, apart.text(), together.text())
			assert.Equal(t, apart[len(apart)-1].Type, together[len(together)-1].Type)
			assert.Equal(t, apart[len(apart)-1].Code, together[len(together)-1].Code)
			assert.Equal(t, bedrockx.KindOf(wantErr), bedrockx.KindOf(err))
			assert.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
			for i, m := range together {
				assert.EqualValues(t, i+1, m.Sequence)
			}
		})
	}
}

func TestWriteInlineOfASourceThatPanics(t *testing.T) {
	var got kept
	assert.PanicsWithValue(t, "oh", func() {
		_ = stream.Write(t.Context(), yields{[]stream.Message{{Type: stream.TypeToken, Data: "a"}}, func() { panic("oh") }}, got.sink(), inline)
	})
	require.Len(t, got, 2)
	assert.Equal(t, stream.TypeError, got[1].Type)
}

func TestWriteInlineEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, why := errors.New("410 Gone"), errors.New("shutting down")
		s, srv := start(t, bedrocktest.Text(strings.Repeat("word ", 1000)).Pace(10))
		n := 0
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(context.Context, stream.Message) error {
			if n++; n == 3 {
				return gone
			}
			return nil
		}}, inline)
		assert.ErrorIs(t, err, gone)
		assert.Equal(t, 3, n)
		synctest.Wait()
		assert.Less(t, srv.Requests()[0].Outcome.Events, 100, "the server saw it leave")

		s, _ = start(t, bedrocktest.Text("one two").ChunkSize(1).StallAfter(4))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		var got kept
		assert.ErrorIs(t, stream.Write(ctx, s, got.sink(), inline), why)
		assert.NotEmpty(t, got.text())
	})
}
