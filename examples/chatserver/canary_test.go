package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
)

// What callers ask and what lets them in goes through every path, and leaves nothing
// in the log at its finest, in the metrics, or in the errors.
func TestNothingOfTheCallersIsKept(t *testing.T) {
	const canary = "CANARYPROMPT"
	file, keys := newKeys(t, "one", "two", "three", "four", "five", "six")
	answer := offline.New(catalog.Default()).Respond
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.Responder = func(ctx context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
			body := string(req.Body)
			for code, status := range map[string]int{"ThrottlingException": 429, "ValidationException": 400, "AccessDeniedException": 403, "InternalServerException": 500} {
				if strings.Contains(body, canary+" "+code) {
					return bedrocktest.Error(status, code, "the prompt was: "+canary)
				}
			}
			switch {
			case strings.Contains(body, canary+" cut"):
				return bedrocktest.Text("I was asked: " + canary + strings.Repeat(" word", 50)).CutAfter(300)
			case strings.Contains(body, canary+" tool") && !strings.Contains(body, "toolResult"):
				return bedrocktest.ToolUse("get_order_status", map[string]any{"order_id": canary})
			case strings.Contains(body, canary+" unknown tool") && !strings.Contains(body, "toolResult"):
				return bedrocktest.ToolUse(canary, map[string]any{"x": canary})
			case strings.Contains(body, canary+" answer"):
				return bedrocktest.Text("I was asked: " + canary)
			}
			return answer(ctx, req)
		}
	})
	inAWS(t, fake.URL(), true)
	log := &logBuffer{}
	s, err := parse([]string{"-bedrock", "aws", "-keys", file, "-fallback", "off"}, io.Discard)
	require.NoError(t, err)
	srv, err := app.Build(t.Context(), s, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	defer srv.Close()
	web := httptest.NewServer(srv.Handler())
	defer web.Close()
	working, stopWorking := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- srv.Work(working) }()
	defer func() { stopWorking(); <-worked }()
	url := web.URL

	questions := []string{"answer", "ThrottlingException", "ValidationException", "AccessDeniedException", "InternalServerException", "cut", "tool", "unknown tool"}
	calls := 0
	key := func() string { calls++; return keys[calls%len(keys)] } // none asks too often
	for _, q := range questions {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			resp, body := call(t, "POST", url+"/v1/manga/query", fmt.Sprintf(`{"query":"%s %s"}`, canary, q), "X-Api-Key", key(), "Accept", accept)
			if resp.StatusCode >= 400 {
				assert.NotContains(t, body, canary, "%s %s", q, accept)
			}
		}
	}
	for _, bad := range []string{
		`{"query":"` + canary, `{"query":"` + canary + `","` + canary + `":1}`, `{"query":"` + strings.Repeat(canary, 500) + `"}`,
		`{"query":"a","model":"` + canary + `"}`, `{"query":"` + canary + `","conversation_id":"` + canary + `"}`,
	} {
		call(t, "POST", url+"/v1/manga/query", bad, "X-Api-Key", key())
	}
	resp, body := call(t, "POST", url+"/v1/manga/batch", `{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level","additional_context":"`+canary+` ValidationException"},
		{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level","additional_context":"`+canary+` answer"}]}`, "X-Api-Key", keys[0])
	require.Equal(t, 202, resp.StatusCode, body)
	call(t, "GET", url+"/v1/manga/status/"+canary+"?q="+canary, "", "X-Api-Key", key(), "User-Agent", canary)
	call(t, "POST", url+"/v1/manga/query?key="+keys[0], `{}`)
	call(t, "GET", url+"/"+canary, "")

	_, body = call(t, "POST", url+"/v1/ticket", "", "X-Api-Key", key())
	var issued struct{ Ticket string }
	require.NoError(t, json.Unmarshal([]byte(body), &issued))
	ticket := issued.Ticket
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws?ticket="+ticket, nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	c := &client{t, conn}
	for _, q := range questions {
		c.send(chat("haiku", canary+" "+q))
		_, frames := c.answer()
		assert.NotContains(t, frames[len(frames)-1].Message, canary, q)
	}
	for _, message := range []string{
		`{"messages":"` + canary, `{"type":"` + canary + `"}`, `{"request_id":"` + canary + ` ` + canary + `"}`,
		`{"type":"resume","request_id":"r","answer_id":"` + canary + `"}`, `{"messages":[{"role":"` + canary + `","content":"x"}]}`,
		`{"type":"stop","request_id":"` + canary + `","answer_id":"` + canary + `"}`,
	} {
		c.send(message)
	}
	c.send(chat("haiku", "hello"))
	c.answer()
	_, _, err = websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws?ticket="+ticket, nil)
	require.Error(t, err)
	require.Eventually(t, func() bool { // the jobs have ended
		resp, body := call(t, "GET", url+"/v1/manga/jobs", "", "X-Api-Key", keys[0])
		return resp.StatusCode == 200 && strings.Contains(body, `"failed"`) && !strings.Contains(body, `"queued"`) && !strings.Contains(body, `"processing"`)
	}, 60*time.Second, 700*time.Millisecond)

	_, metrics := call(t, "GET", url+"/metrics", "", "X-Api-Key", key())
	assert.Contains(t, metrics, "gen_ai_client_operation_duration")
	_, ops := call(t, "GET", url+"/v1/ops", "", "X-Api-Key", key())
	for where, text := range map[string]string{"log": log.String(), "metrics": metrics, "ops": ops, "summary": fmt.Sprint(srv.Summary())} {
		assert.NotContains(t, text, canary, where)
		assert.NotContains(t, text, ticket, where)
		for _, key := range keys {
			assert.NotContains(t, text, key[13:], where) // what follows its public part
		}
	}
	assert.Contains(t, log.String(), "error.code=ValidationException", "what happened is logged all the same")
}
