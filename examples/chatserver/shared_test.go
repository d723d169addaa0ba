package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// Of two processes behind one address, one gives the ticket and begins the answer, and
// the other opens the WebSocket, reads on and stops.
func TestProcessesShareAnswers(t *testing.T) {
	addr, _ := servertest.Redis(t)
	file, keys := newKeys(t, "page", "other")
	args := []string{"-keys", file, "-shared", "redis://" + addr, "-cache", "off"}
	first, _ := start(t, 30, args...)
	second, log := start(t, 30, args...)
	open := func(ticketOf, at, key string) *client {
		_, body := call(t, "POST", ticketOf+"/v1/ticket", "", "X-Api-Key", key)
		var issued struct{ Ticket string }
		require.NoError(t, json.Unmarshal([]byte(body), &issued), body)
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(at, "http", "ws", 1)+"/ws?ticket="+issued.Ticket, nil)
		require.NoError(t, err)
		t.Cleanup(func() { conn.CloseNow() })
		return &client{t, conn}
	}
	c := open(second, first, keys[0])
	c.send(`{"request_id":"one","messages":[{"role":"user","content":"Recommend five seinen manga"}]}`)
	begun := c.next()
	require.Equal(t, "start", begun.Type, "%+v", begun)
	require.NoError(t, c.conn.CloseNow())

	other := open(first, second, keys[1])
	other.send(fmt.Sprintf(`{"type":"stop","answer_id":%q}`, begun.AnswerID))
	other.send(fmt.Sprintf(`{"type":"resume","request_id":"x","answer_id":%q}`, begun.AnswerID))
	_, frames := other.answer()
	assert.Equal(t, "gone", frames[len(frames)-1].Code, "it is another caller's")

	c = open(first, second, keys[0])
	c.send(fmt.Sprintf(`{"type":"resume","request_id":"again","answer_id":%q}`, begun.AnswerID))
	for c.next().Type != "token" {
	}
	c.send(`{"type":"stop","request_id":"again"}`)
	_, frames = c.answer()
	assert.Equal(t, "cancelled", frames[len(frames)-1].StopReason)
	assert.NotContains(t, log.String(), "msg=answered", "the other process asked the model")

	resp, body := call(t, "GET", second+"/readyz", "")
	assert.Equal(t, 200, resp.StatusCode)
	assert.Contains(t, body, `"shared":"ready"`)
	for _, args := range [][]string{{"-shared", "http://x"}, {"-gateway", "http://127.0.0.1:1/prod", "-gateway-secret", "env:A_SECRET", "-gateway-connections", "redis://x"}} {
		inAWS(t, "http://127.0.0.1:1", true)
		t.Setenv("A_SECRET", strings.Repeat("s", 40))
		err := run(t.Context(), append(args, "-addr", "127.0.0.1:0"), io.Discard, io.Discard)
		assert.ErrorContains(t, err, args[len(args)-2])
	}
}
