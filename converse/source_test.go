package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// messages reads a source and holds what every source promises.
func messages(t *testing.T, s stream.Source) (got []stream.Message, err error) {
	t.Helper()
	for m, failed := range s.Messages() {
		require.NoError(t, err, "an error is the last")
		got, err = append(got, m), failed
		require.EqualValues(t, len(got), m.Sequence)
	}
	for i, m := range got {
		require.Equal(t, i == len(got)-1, m.Last())
	}
	return got, err
}

func lines(t *testing.T, messages []stream.Message) (lines []string) {
	t.Helper()
	for _, m := range messages {
		m.Sequence = 0
		m.Usage = nil
		data, err := json.Marshal(m)
		require.NoError(t, err)
		lines = append(lines, strings.Replace(string(data), `,"sequence":0`, "", 1))
	}
	return lines
}

func TestSource(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(
		bedrocktest.Reasoning("hm").Text("Wait.").Block(bedrocktest.Block{ToolUse: &bedrocktest.ToolCall{ID: "t1", Name: "check_stock", Input: json.RawMessage(`{"title":"Berserk"}`)}}).Usage(bedrockkit.Usage{InputTokens: 1000}),
		bedrocktest.Text("Three.").Usage(bedrockkit.Usage{InputTokens: 2000, OutputTokens: 10}),
	)
	s := chat.Source(t.Context(), ask("Berserk?"))
	assert.Nil(t, s.Result())
	got, err := messages(t, s)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`{"type":"reasoning","data":"hm","round":1}`,
		`{"type":"token","data":"Wait.","round":1}`,
		`{"type":"usage","round":1,"stop_reason":"tool_use","cost":"0.0011"}`,
		`{"type":"tool_use","round":1,"tool_use_id":"t1","name":"check_stock","input":{"title":"Berserk"}}`,
		`{"type":"tool_result","round":1,"tool_use_id":"t1","name":"check_stock","status":"success"}`,
		`{"type":"token","data":"Three.","round":2}`,
		`{"type":"usage","round":2,"stop_reason":"end_turn","cost":"0.002255"}`,
		`{"type":"complete","stop_reason":"end_turn","cost":"0.003355"}`,
	}, lines(t, got))
	assert.EqualValues(t, 1000, got[2].Usage.InputTokens)
	assert.EqualValues(t, 3010, got[7].Usage.Total())
	assert.Len(t, s.Result().Messages, 4)

	got, err = messages(t, s)
	assert.ErrorIs(t, err, stream.ErrUsed)
	assert.Len(t, got, 1)
}

// Of a tool's result the reader is sent as much text as was asked for.
func TestSourceOfToolResults(t *testing.T) {
	results := map[string]any{
		"text": "漫画漫画", "json": map[string]any{"n": 1},
		"both":    converse.Contents{converse.Text("one"), converse.Image{Format: "png", Bytes: []byte("x")}, converse.JSON(`{"a":2}`)},
		"picture": converse.Contents{converse.Image{Format: "png", Bytes: []byte("x")}},
		"error":   errors.New("the password is hunter2"),
	}
	tool := converse.NewTool("get", "Gets.", func(_ context.Context, in struct {
		What string `json:"what"`
	}) (any, error) {
		err, _ := results[in.What].(error)
		return results[in.What], err
	})
	tests := []struct {
		what  string
		bytes int
		data  string
		cut   bool
	}{
		{"text", 0, "", false},
		{"text", 12, "漫画漫画", false},
		{"text", 11, "漫画漫", true},
		{"text", 1, "", true},
		{"json", 100, `{"n":1}`, false},
		{"both", 100, "one\n{\"a\":2}", false},
		{"both", 5, "one\n{", true},
		{"picture", 100, "", false},
		{"error", 100, "the tool failed", false},
		{"error", 0, "", false},
	}
	for _, tt := range tests {
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = []converse.Tool{tool} })
		srv.Reply(bedrocktest.ToolUse("get", map[string]any{"what": tt.what}), bedrocktest.Text("ok"))
		got, err := messages(t, converse.NewSource(t.Context(), func(ctx context.Context) iter.Seq2[converse.RunEvent, error] {
			return chat.RunStream(ctx, ask("get"))
		}, func(o *converse.SourceOptions) { o.ToolResults = tt.bytes }))
		require.NoError(t, err)
		for _, m := range got {
			if m.Type == stream.TypeToolResult {
				assert.Equal(t, tt.data, m.Data, tt)
				assert.Equal(t, tt.cut, m.Truncated, tt)
				assert.Equal(t, tt.what == "error", m.Status == stream.StatusError)
			}
			assert.NotContains(t, m.Data, "hunter2")
		}
	}
}

// What the user has to answer is not an error for the reader.
func TestSourceThatWaitsForTheUser(t *testing.T) {
	pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) { return "paid", nil },
		func(o *converse.ToolOptions) { o.Approval = true })
	choose := converse.NewTool("choose", "Asks.", func(context.Context, struct{}) (string, error) { return "", converse.Ask("Which one?") })
	stop := converse.NewTool("stop", "Stops.", func(context.Context, struct{}) (string, error) { return "", converse.Stop("done") })
	for name, tt := range map[string]struct {
		err     error
		pending []stream.Pending
	}{
		"pay":    {converse.ErrPending, []stream.Pending{{ToolUseID: "t1", ToolName: "pay"}}},
		"choose": {converse.ErrPending, []stream.Pending{{ToolUseID: "t1", ToolName: "choose", Question: "Which one?"}}},
		"stop":   {converse.ErrStopped, nil},
	} {
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = []converse.Tool{pay, choose, stop} })
		srv.Reply(bedrocktest.NewReply().Block(bedrocktest.Block{ToolUse: &bedrocktest.ToolCall{ID: "t1", Name: name}}))
		s := chat.Source(t.Context(), ask("go"))
		got, err := messages(t, s)
		assert.ErrorIs(t, err, tt.err)
		last := got[len(got)-1]
		assert.Equal(t, stream.TypeComplete, last.Type)
		assert.Equal(t, bedrockkit.StopToolUse, last.StopReason)
		assert.Equal(t, tt.pending, last.Pending)
		assert.NotNil(t, last.Usage)
		assert.Len(t, s.Result().Rounds, 1)
	}
}

func TestSourceThatFails(t *testing.T) {
	tests := []struct {
		code   string
		option func(*converse.Options)
		reply  *bedrocktest.Reply
		usage  bool
	}{
		{"max_rounds", func(o *converse.Options) { o.MaxRounds = 1 }, use("x"), true},
		{"max_tool_calls", func(o *converse.Options) { o.MaxToolCalls = -1 }, use("x"), true},
		{"max_run_tokens", func(o *converse.Options) { o.MaxRunTokens = 10 }, use("x"), true},
		{"max_run_cost", func(o *converse.Options) { o.MaxRunCost = new(pricing.MustAmount("0.000001")) }, use("x"), true},
		{"max_run_time", func(o *converse.Options) { o.MaxRunTime = 50 * time.Millisecond }, bedrocktest.Text("one two").Stall(), false},
		{"throttled", once, bedrocktest.Error(429, "ThrottlingException", "the secret text"), false},
		{"truncated", once, bedrocktest.Text("one two three").ChunkSize(1).EndAfter(6), true},
		{"canceled", once, bedrocktest.Text("never read"), false},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			chat, srv, _ := newChat(t, tt.option)
			srv.Reply(tt.reply)
			s := chat.Source(t.Context(), ask("go"))
			if tt.code == "canceled" {
				srv.Reset()
				require.NoError(t, s.Close())
			}
			got, err := messages(t, s)
			require.Error(t, err)
			last := got[len(got)-1]
			assert.Equal(t, stream.TypeError, last.Type)
			assert.Equal(t, tt.code, last.Code)
			assert.Equal(t, tt.usage, last.Usage != nil)
			assert.NotContains(t, strings.Join(lines(t, got), ""), "secret")
			assert.NotNil(t, s.Result())
		})
	}
}

// A source of events of one's own need not be right.
func TestSourceOfOtherEvents(t *testing.T) {
	for name, events := range map[string][]converse.RunEvent{"nothing": nil, "no result": {{Text: "a"}}} {
		got, err := messages(t, converse.NewSource(t.Context(), func(context.Context) iter.Seq2[converse.RunEvent, error] {
			return func(yield func(converse.RunEvent, error) bool) {
				for _, ev := range events {
					yield(ev, nil)
				}
			}
		}))
		assert.ErrorContains(t, err, "without a result", name)
		assert.Equal(t, "unknown_error", got[len(got)-1].Code)
	}
}

// A reader that is gone stops the model and the tools; the conversation so far is
// there when Write returns.
func TestWriteOfALoopThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		started, canceled := make(chan bool), make(chan error, 1)
		slow := converse.NewTool("slow", "Takes its time.", func(ctx context.Context, _ struct{}) (string, error) {
			close(started)
			<-ctx.Done()
			canceled <- context.Cause(ctx)
			return "", ctx.Err()
		})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{slow} })
		srv.Reply(bedrocktest.Text("I look.").ToolUse("slow", nil))
		gone := errors.New("410 Gone")
		s := chat.Source(t.Context(), ask("go"))
		err := stream.Write(t.Context(), s, stream.Sink{Send: func(_ context.Context, m stream.Message) error {
			if m.Type == stream.TypeToolUse {
				<-started
				return gone
			}
			return nil
		}})
		assert.ErrorIs(t, err, gone)
		assert.ErrorIs(t, <-canceled, stream.ErrClosed)
		require.NotNil(t, s.Result())
		assert.Len(t, s.Result().Rounds, 1)
	})
}

func TestBroadcastOfALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		look := converse.NewTool("look", "Looks.", func(context.Context, struct{}) (string, error) { return "three", nil })
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{look} })
		srv.Reply(bedrocktest.Text("I look.").ToolUse("look", nil), bedrocktest.Text(strings.Repeat("word ", 100)).Pace(100))
		b := stream.NewBroadcast()
		ran := make(chan error, 1)
		go func() { ran <- b.Run(chat.Source(t.Context(), ask("go"))) }()
		var all []stream.Message
		for m, err := range b.Subscribe(t.Context(), 0) {
			require.NoError(t, err)
			if all = append(all, m); m.Sequence == 7 {
				break // the connection is lost
			}
		}
		for m, err := range b.Subscribe(t.Context(), 7) {
			require.NoError(t, err)
			all = append(all, m)
		}
		require.NoError(t, <-ran)
		text := ""
		for i, m := range all {
			assert.EqualValues(t, i+1, m.Sequence)
			if m.Type == stream.TypeToken {
				text += m.Data
			}
		}
		assert.Equal(t, "I look."+strings.Repeat("word ", 100), text)
		assert.Len(t, srv.Requests(), 2, "the model was asked once a round")
	})
}

func TestEverySinkTakesALoop(t *testing.T) {
	source := func() stream.Source {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("I look.").ToolUse("check_stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."))
		return chat.Source(t.Context(), ask("Berserk?"))
	}
	w := httptest.NewRecorder()
	require.NoError(t, stream.Write(t.Context(), source(), stream.SSE(w)))
	for _, event := range []string{"token", "usage", "tool_use", "tool_result", "complete"} {
		assert.Contains(t, w.Body.String(), "\nevent: "+event+"\ndata: {")
	}
	var text strings.Builder
	require.NoError(t, stream.Write(t.Context(), source(), stream.PlainText(&text)))
	assert.Equal(t, "I look.Three.", text.String())
}
