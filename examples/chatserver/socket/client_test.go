package socket_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

// say posts a message of a caller through an API Gateway, and returns the frames of
// its answer.
func (w *world) say(t *testing.T, caller auth.Caller, message string) []frame {
	t.Helper()
	api := &posts{}
	connections := socket.NewMemoryConnections()
	require.NoError(t, connections.Put(t.Context(), socket.Connection{ID: "abc=", Caller: caller, Address: "192.0.2.1", Expires: soon()}))
	require.NoError(t, w.handler.Gateway(api, connections).Answer(t.Context(), "abc=", []byte(message)))
	require.NotEmpty(t, api.frames, message)
	return api.frames
}

func soon() time.Time { return time.Now().Add(time.Hour) }

// What a model reads but nobody sees is taken out of messages.
func TestTextIsCleaned(t *testing.T) {
	w := behindGateway(t)
	w.fake.Reply(bedrocktest.Text("ok"))
	content := "Cafe\u0301 \u202eevil\u202c \U000E0041\U000E0042\x07 👨\u200d👩\u200d👧 ﾊﾝｶｸ 𠮷 👍\ufe0f"
	message, err := json.Marshal(map[string]any{"messages": []any{
		map[string]string{"role": "user", "content": content}, map[string]string{"role": "assistant", "content": content},
		map[string]string{"role": "user", "content": content},
	}})
	require.NoError(t, err)
	w.say(t, auth.Caller{ID: "a"}, strings.Replace(string(message), "ﾊﾝｶｸ", `\udc00ﾊﾝｶｸ`, 1)) // a lone surrogate
	var body struct {
		Messages []struct{ Content []struct{ Text string } }
	}
	require.NoError(t, json.Unmarshal(w.fake.Requests()[0].Body, &body))
	require.Len(t, body.Messages, 3)
	for _, m := range body.Messages {
		assert.Equal(t, "Café evil  👨‍👩‍👧 ﾊﾝｶｸ 𠮷 👍️", m.Content[0].Text)
	}
	frames := w.say(t, auth.Caller{ID: "a"}, `{"messages":[{"role":"user","content":"\u202e\u0007"}]}`)
	assert.Contains(t, frames[0].Message, "must not be empty")
}

// JSON that two readers could read in two ways is refused.
func TestJSONIsStrict(t *testing.T) {
	w := behindGateway(t)
	for message, want := range map[string]string{
		`{"messages":[{"role":"user","content":"a","content":"b"}]}`:             "/messages/0/content: it is there twice",
		`{"type":"stop","type":"chat"}`:                                          "/type: it is there twice",
		`{"messages":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: "deeper than 16",
		`{"type":"stop"} {}`: "something after",
		`{"type":"stop"`:     "not valid JSON",
		`"a"`:                "not valid JSON of the expected form",
	} {
		frames := w.say(t, auth.Caller{ID: "a"}, message)
		assert.Equal(t, "bad_request", frames[0].Code, message)
		assert.Contains(t, frames[0].Message, want, message)
	}
	assert.Empty(t, w.fake.Requests())
}

// The id of another caller's answer is of no use.
func TestAnswersAreTheirCallers(t *testing.T) {
	w := behindGateway(t)
	w.fake.Reply(bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(100))
	conn := w.dial(t)
	send(t, conn, hello)
	first := next(t, conn)
	require.Equal(t, "token", next(t, conn).Type)
	other := auth.Caller{ID: "another"}
	frames := w.say(t, other, fmt.Sprintf(`{"type":"resume","request_id":"x","answer_id":%q}`, first.AnswerID))
	assert.Equal(t, "gone", frames[len(frames)-1].Code)

	// It can neither be read nor stopped; its own caller can do both.
	connections := socket.NewMemoryConnections()
	require.NoError(t, connections.Put(t.Context(), socket.Connection{ID: "abc=", Caller: other, Expires: soon()}))
	stop := fmt.Appendf(nil, `{"type":"stop","answer_id":%q}`, first.AnswerID)
	require.NoError(t, w.handler.Gateway(&posts{}, connections).Answer(t.Context(), "abc=", stop))
	require.Equal(t, "token", next(t, conn).Type)
	require.NoError(t, connections.Put(t.Context(), socket.Connection{ID: "abc=", Caller: auth.Caller{ID: "key " + w.key[4:12]}, Expires: soon()}))
	require.NoError(t, w.handler.Gateway(&posts{}, connections).Answer(t.Context(), "abc=", stop))
	_, frames = answer(t, conn)
	assert.Equal(t, "cancelled", frames[len(frames)-1].StopReason)
}

// A caller whose token has expired connects anew.
func TestExpiredCaller(t *testing.T) {
	w := behindGateway(t)
	frames := w.say(t, auth.Caller{ID: "a", Expires: soon().AddDate(-1, 0, 0)}, hello)
	assert.Equal(t, "unauthorized", frames[0].Code)
	assert.Empty(t, w.fake.Requests())
}

// A panic ends its answer alone, and its value stays out of the log.
func TestPanicIsAnError(t *testing.T) {
	w := behindGateway(t)
	w.panics = "cannot answer CANARY"
	frames := w.say(t, auth.Caller{ID: "a"}, hello)
	last := frames[len(frames)-1]
	assert.Equal(t, "internal", last.Code)
	assert.NotContains(t, last.Message, "CANARY")
	require.Eventually(t, func() bool { return strings.Contains(w.log.String(), "level=WARN msg=failed request_id=one") }, 10*time.Second, time.Millisecond)
	assert.NotContains(t, w.log.String(), "CANARY")
	w.panics = nil
	w.fake.Reply(bedrocktest.Text("ok"))
	frames = w.say(t, auth.Caller{ID: "a"}, hello)
	assert.Equal(t, "complete", frames[len(frames)-1].Type)
}

// A client can always stop what it is sent. A stop of anything else counts as any
// message does, as it asks the store of the answers.
func TestStopsCount(t *testing.T) {
	w := behindGateway(t)
	api, connections := &posts{}, socket.NewMemoryConnections()
	caller := auth.Caller{ID: "a"}
	require.NoError(t, connections.Put(t.Context(), socket.Connection{ID: "abc=", Caller: caller, Address: "192.0.2.1", Expires: soon()}))
	for range 40 {
		require.NoError(t, w.handler.Gateway(api, connections).Answer(t.Context(), "abc=", []byte(`{"type":"stop","request_id":"r1","answer_id":"nothing"}`)))
	}
	require.NotEmpty(t, api.frames)
	assert.Equal(t, "busy", api.frames[0].Code)
}
