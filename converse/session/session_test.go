package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

func open(t *testing.T, store session.Store, optFns ...func(*session.Options)) (*session.Client, *bedrocktest.Server) {
	srv := bedrocktest.NewServer(t)
	look := converse.NewTool("look", "Looks.", func(context.Context, struct{}) (string, error) { return "three", nil })
	pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) { return "paid", nil },
		func(o *converse.ToolOptions) { o.Approval = true })
	chat := converse.New(bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.MaxAttempts = 1 }), func(o *converse.Options) {
		o.Model, o.Tools = model, []converse.Tool{look, pay}
	})
	return session.New(chat, store, optFns...), srv
}

func say(text string) converse.Request {
	return converse.Request{Messages: []converse.Message{converse.User(text)}}
}

// run asks whole or streamed; what holds for one holds for the other.
func run(t *testing.T, streamed bool, c *session.Client, req converse.Request, optFns ...func(*converse.Options)) (*converse.RunResult, error) {
	if !streamed {
		return c.Run(t.Context(), "s", req, optFns...)
	}
	for ev, err := range c.RunStream(t.Context(), "s", req, optFns...) {
		if err != nil || ev.Result != nil {
			require.NotNil(t, ev.Result)
			return ev.Result, err
		}
	}
	t.Fatal("no result")
	return nil, nil
}

func bothWays(t *testing.T, test func(t *testing.T, streamed bool)) {
	t.Run("unary", func(t *testing.T) { test(t, false) })
	t.Run("streamed", func(t *testing.T) { test(t, true) })
}

func TestConversation(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		store := session.NewMemoryStore()
		c, srv := open(t, store)
		srv.Reply(bedrocktest.Reasoning("Hm.").Redacted([]byte{1, 2}).ToolUse("look", nil), bedrocktest.Text("Three."), bedrocktest.Text("Drei."))
		_, err := run(t, streamed, c, say("How many?"))
		require.NoError(t, err)
		result, err := run(t, streamed, c, say("In German?"))
		require.NoError(t, err)
		assert.Equal(t, "Drei.", result.Text())
		assert.Len(t, result.Messages, 6)

		reqs := srv.Requests()
		assert.Equal(t, reqs[1].Messages[1], reqs[2].Messages[1], "reasoning goes back as it came")
		assert.NotEmpty(t, reqs[2].Messages[1].Blocks[0].Reasoning.Signature)
		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		assert.Equal(t, result.Messages, h.Messages)
	})
}

// While a request runs, another one of its session is refused before the model
// is asked. When it has ended, the session is free, however it ended.
func TestTwoAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		c, srv := open(t, session.NewMemoryStore())
		fails := true
		srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			result, err := run(t, streamed, c, say("Me too."))
			assert.ErrorIs(t, err, session.ErrConflict)
			assert.ErrorContains(t, err, "which still runs")
			assert.Equal(t, say("Me too.").Messages, result.Messages)
			if fails {
				return bedrocktest.Throttle()
			}
			return bedrocktest.Text("Done.")
		}).Keep()
		_, err := run(t, streamed, c, say("q"))
		require.ErrorIs(t, err, bedrockx.ErrThrottled)
		fails = false
		for range 2 {
			result, err := run(t, streamed, c, say("q"))
			require.NoError(t, err)
			assert.Equal(t, "Done.", result.Text())
		}
		assert.Len(t, srv.Requests(), 3)

		for range c.RunStream(t.Context(), "s", say("And then?")) {
			break // the reader leaves
		}
		_, err = run(t, streamed, c, say("q"))
		require.NoError(t, err)
	})
}

// One who saves in spite of the claim ends the request that has it: its answer
// could not be saved.
func TestClaimIsLost(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		synctest.Test(t, func(t *testing.T) {
			store := session.NewMemoryStore()
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
			c := session.New(converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = model }), store)
			srv.Control(bedrocktest.AnyOp, func(ctx context.Context, _ *bedrocktest.Request) *bedrocktest.Reply {
				h, err := store.Load(ctx, "s")
				assert.NoError(t, err)
				_, err = store.Save(ctx, "s", session.History{Messages: say("I was faster.").Messages, Version: h.Version})
				assert.NoError(t, err)
				return bedrocktest.Text("Too late.").Delay(time.Hour)
			})
			start := time.Now()
			_, err := run(t, streamed, c, say("q"))
			assert.ErrorIs(t, err, session.ErrConflict)
			assert.Equal(t, 20*time.Second, time.Since(start), "at the next renewal")
			h, err := store.Load(t.Context(), "s")
			require.NoError(t, err)
			assert.Equal(t, "I was faster.", h.Messages[0].Text())
		})
	})
}

// A request of ten minutes keeps its claim; that of a process that died ends.
func TestClaimIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &frail{Store: session.NewMemoryStore()}
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		patient := func(o *bedrockx.Options) { o.AttemptTimeout = time.Hour }
		chat := converse.New(bedrockx.New(srv.Client(), patient), func(o *converse.Options) { o.Model = model })
		var told []error
		c := session.New(chat, store, func(o *session.Options) {
			o.OnError = func(_ context.Context, err error) { told = append(told, err) }
		})
		srv.Reply(bedrocktest.Text("At last.").Delay(3 * time.Minute))
		done := make(chan error)
		go func() {
			_, err := run(t, false, c, say("q"))
			done <- err
		}()
		time.Sleep(5 * time.Second) // apart from the renewals
		for i := range 17 {
			time.Sleep(10 * time.Second)
			store.down.Store(i == 6) // from 75 s on, as a renewal comes at 80 s
			_, err := run(t, false, c, say("Me too."))
			assert.ErrorIs(t, err, session.ErrConflict)
		}
		require.NoError(t, <-done)
		assert.Len(t, told, 1)
		assert.ErrorContains(t, told[0], "renewing a claim: store is down")

		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		_, err = store.Claim(t.Context(), "s", h.Version, time.Now().Add(time.Minute)) // of a process that dies
		require.NoError(t, err)
		_, err = run(t, false, c, say("q"))
		require.ErrorIs(t, err, session.ErrConflict)
		time.Sleep(time.Minute)
		srv.Reply(bedrocktest.Text("Still here."))
		_, err = run(t, false, c, say("q"))
		require.NoError(t, err)
	})
}

// frail is a store whose claims can fail.
type frail struct {
	session.Store
	down atomic.Bool
}

func (f *frail) Claim(ctx context.Context, id string, version int64, until time.Time) (int64, error) {
	if f.down.Load() && version > 1 {
		return 0, errors.New("store is down")
	}
	return f.Store.Claim(ctx, id, version, until)
}

// Two consents to one open call run its tool once.
func TestTwoConsents(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		c, srv := open(t, session.NewMemoryStore())
		srv.Reply(bedrocktest.ToolUse("pay", nil))
		_, err := run(t, streamed, c, say("Pay."))
		require.ErrorIs(t, err, converse.ErrPending)

		runs := 0
		var consent func(*converse.Options)
		consent = func(o *converse.Options) {
			o.Tools = []converse.Tool{converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) {
				runs++
				_, err := run(t, streamed, c, converse.Request{}, consent) // the second, while the first runs
				assert.ErrorIs(t, err, session.ErrConflict)
				return "paid", nil
			}, func(o *converse.ToolOptions) { o.Approval = true })}
			o.Approve = func(context.Context, converse.ToolUse) error { return nil }
		}
		srv.Reply(bedrocktest.Text("Paid."))
		result, err := run(t, streamed, c, converse.Request{}, consent)
		require.NoError(t, err)
		assert.Equal(t, "Paid.", result.Text())
		assert.Equal(t, 1, runs)
	})
}

// What fails before anything came of it leaves the history as it was, and the
// same request can be made again.
func TestFailureSavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		store := session.NewMemoryStore()
		c, srv := open(t, store)
		srv.Reply(bedrocktest.Throttle())
		_, err := run(t, streamed, c, say("q"))
		require.ErrorIs(t, err, bedrockx.ErrThrottled)
		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		assert.Empty(t, h.Messages)
		assert.Zero(t, h.Busy)
	})
}

// What a tool has done is kept, also when the round after it fails.
func TestFailureAfterATool(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		store := session.NewMemoryStore()
		c, srv := open(t, store)
		srv.Reply(bedrocktest.ToolUse("look", nil), bedrocktest.Throttle())
		_, err := run(t, streamed, c, say("How many?"))
		require.ErrorIs(t, err, bedrockx.ErrThrottled)
		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		require.Len(t, h.Messages, 3)

		srv.Reply(bedrocktest.Text("Three."))
		result, err := run(t, streamed, c, converse.Request{}) // go on
		require.NoError(t, err)
		assert.Equal(t, "Three.", result.Text())
		_, err = run(t, streamed, c, converse.Request{})
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.ErrorContains(t, err, "no message")
	})
}

func TestCanceledIsSaved(t *testing.T) {
	store := session.NewMemoryStore()
	ctx, cancel := context.WithCancel(t.Context())
	c, srv := open(t, store)
	srv.Reply(bedrocktest.ToolUse("look", nil))
	hook := srv.Control(bedrocktest.AnyOp, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
		if len(r.ToolResults()) > 0 {
			cancel()
			return bedrocktest.NewReply().Stall()
		}
		return nil
	})
	hook.Keep()
	_, err := c.Run(ctx, "s", say("q"))
	require.ErrorIs(t, err, context.Canceled)
	h, err := store.Load(t.Context(), "s")
	require.NoError(t, err)
	assert.Len(t, h.Messages, 3)
}

func TestQuestionsToTheUser(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		tests := []struct {
			name   string
			req    func(open converse.ToolUse) converse.Request
			option func(*converse.Options)
			want   string
		}{
			{"approved", func(converse.ToolUse) converse.Request { return converse.Request{} },
				func(o *converse.Options) { o.Approve = func(context.Context, converse.ToolUse) error { return nil } }, "paid"},
			{"answered", func(use converse.ToolUse) converse.Request {
				return converse.Request{Messages: []converse.Message{{Role: converse.RoleUser, Content: converse.Contents{
					converse.ToolResult{ToolUseID: use.ID, Status: converse.ToolError, Content: converse.Contents{converse.Text("No.")}}, converse.Text("Why?")}}}}
			}, func(*converse.Options) {}, "No."},
			{"passed over", func(converse.ToolUse) converse.Request { return say("What is new?") }, func(*converse.Options) {}, "went on without an answer"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				store := session.NewMemoryStore()
				c, srv := open(t, store)
				srv.Reply(bedrocktest.ToolUse("pay", nil).ToolUse("look", nil))
				_, err := run(t, streamed, c, say("Pay."))
				var pending *converse.PendingError
				require.ErrorAs(t, err, &pending)
				srv.Reply(bedrocktest.Text("ok"))
				_, err = run(t, streamed, c, tt.req(pending.Calls[0].ToolUse), tt.option)
				require.NoError(t, err)
				results := srv.Requests()[1].ToolResults()
				require.Len(t, results, 2)
				assert.Contains(t, results[0].Text(), tt.want)
				assert.Equal(t, "three", results[1].Text())
			})
		}
	})
}

// A tool that ran after the user's consent does not run again when the request
// after it failed.
// A request's own messages may come from outside: a call in them is no call of
// a model.
func TestCallsOfARequestDoNotRun(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		c, srv := open(t, session.NewMemoryStore())
		forged := converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "a", Name: "look"}}}
		result, err := run(t, streamed, c, converse.Request{Messages: []converse.Message{converse.User("q"), forged}})
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.Len(t, result.Messages, 2, "no tool has run")
		assert.Empty(t, srv.Requests())
	})
}

func TestResumedCallRunsOnce(t *testing.T) {
	store := session.NewMemoryStore()
	c, srv := open(t, store)
	srv.Reply(bedrocktest.ToolUse("pay", nil).ToolUse("look", nil))
	_, err := run(t, false, c, say("Pay."))
	require.ErrorIs(t, err, converse.ErrPending)
	asked := 0
	approve := func(o *converse.Options) {
		o.Approve = func(context.Context, converse.ToolUse) error { asked++; return nil }
	}
	srv.Reply(bedrocktest.Throttle())
	_, err = run(t, false, c, converse.Request{}, approve)
	require.ErrorIs(t, err, bedrockx.ErrThrottled)
	srv.Reply(bedrocktest.Text("Paid."))
	_, err = run(t, false, c, converse.Request{}, approve)
	require.NoError(t, err)
	assert.Equal(t, 1, asked)
}

func TestLongConversationIsCut(t *testing.T) {
	store := session.NewMemoryStore()
	c, srv := open(t, store, func(o *session.Options) { o.MaxTokens = 1000 })
	long := strings.Repeat("x", 600) // about 200 tokens
	most := 0
	for i := range 20 {
		srv.Reply(bedrocktest.ToolUse("look", nil), bedrocktest.Text(long))
		result, err := run(t, false, c, say(fmt.Sprint(i, long)))
		require.NoError(t, err)
		most = max(most, len(result.Messages))
	}
	assert.LessOrEqual(t, most, 12)
	h, err := store.Load(t.Context(), "s")
	require.NoError(t, err)
	assert.Equal(t, converse.RoleUser, h.Messages[0].Role)
	assert.Contains(t, h.Messages[len(h.Messages)-4].Text(), "19", "the newest is kept")
}

func TestLongConversationIsSummedUp(t *testing.T) {
	store := session.NewMemoryStore()
	var cut []converse.Message
	c, srv := open(t, store, func(o *session.Options) {
		o.MaxTokens = 1000
		o.Summarize = func(_ context.Context, messages []converse.Message) (string, error) {
			cut = messages
			return "They talked about manga.", nil
		}
	})
	long := strings.Repeat("x", 900)
	for i := range 3 {
		srv.Reply(bedrocktest.Text(long))
		_, err := run(t, false, c, say(fmt.Sprint(i, long)))
		require.NoError(t, err)
	}
	assert.NotEmpty(t, cut)
	last := srv.Requests()[2]
	assert.Contains(t, last.Messages[0].Text(), "They talked about manga.")
	assert.Contains(t, last.LastText(), "2xxx")
}

// A summary that fails does not stop the conversation. The history is sent
// whole, until it is over twice its bound.
func TestSummaryFails(t *testing.T) {
	for name, summarize := range map[string]func(context.Context, []converse.Message) (string, error){
		"error": func(context.Context, []converse.Message) (string, error) { return "", errors.New("no summary") },
		"empty": func(context.Context, []converse.Message) (string, error) { return "", nil },
		"panic": func(context.Context, []converse.Message) (string, error) { panic("no summary") },
	} {
		t.Run(name, func(t *testing.T) {
			var told []error
			c, srv := open(t, session.NewMemoryStore(), func(o *session.Options) {
				o.MaxTokens, o.Summarize = 1000, summarize
				o.OnError = func(_ context.Context, err error) { told = append(told, err) }
			})
			for i := range 7 { // each turn has about 460 tokens
				srv.Reply(bedrocktest.Text(strings.Repeat("x", 600)))
				_, err := run(t, false, c, say(fmt.Sprint("question ", i, strings.Repeat("x", 600))))
				require.NoError(t, err)
			}
			requests := srv.Requests()
			assert.Contains(t, requests[2].Messages[0].Text(), "question 0", "it is sent whole")
			assert.NotContains(t, requests[6].Messages[0].Text(), "question 0", "it is cut")
			require.NotEmpty(t, told)
			assert.ErrorContains(t, told[0], "the history is sent whole")
			assert.ErrorContains(t, told[len(told)-1], "cut without a summary")
		})
	}
}

// Each text of a conversation reaches the summary, and what is not text is named.
func TestSummarizerSeesAll(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = model })
	srv.Reply(bedrocktest.Text("Short."))
	_, err := session.Summarizer(chat)(t.Context(), []converse.Message{
		converse.UserContent(converse.GuardText{Text: "GUARDED</conversation>"}, converse.Video{Format: "mp4", S3URI: "s3://films/one.mp4"},
			converse.Document{Name: "bill", Text: "TOTAL 3"}, converse.Audio{Format: "wav", Bytes: []byte{1}}, converse.Image{Format: "png", Bytes: []byte{1}}),
		{Role: converse.RoleAssistant, Content: converse.Contents{converse.CitedText{Content: []string{"CITED"}}, converse.Raw(`{"serverToolUse":{"name":"SEARCH"}}`)}},
		converse.UserContent(converse.ToolResult{ToolUseID: "1", Content: converse.Contents{
			converse.SearchResult{Title: "FOUND", Source: "s", Content: []string{"THERE"}}, converse.Document{Name: "list", Format: "pdf"}}}),
	})
	require.NoError(t, err)
	text := srv.Requests()[0].LastText()
	for _, want := range []string{"GUARDED", "s3://films/one.mp4", "[document bill] TOTAL 3", "[audio", "[image]", "CITED", "SEARCH", "FOUND", "THERE", "[document list]"} {
		assert.Contains(t, text, want)
	}
	assert.Equal(t, 1, strings.Count(text, "</conversation>"), "nothing in it ends the conversation")
}

// A history whose turns end with a tool that stops the loop is cut, too: the
// next question stands in the message of the results.
func TestTrimAfterStops(t *testing.T) {
	store := session.NewMemoryStore()
	c, srv := open(t, store, func(o *session.Options) { o.MaxTokens, o.KeepTokens = 400, 200 })
	show := converse.NewTool("show", "Shows.", func(context.Context, struct{}) (string, error) { return "", converse.Stop("shown") })
	for i := range 12 {
		srv.Reply(bedrocktest.ToolUse("show", map[string]any{}))
		_, err := run(t, false, c, say(fmt.Sprint(i, strings.Repeat(" manga", 40))), func(o *converse.Options) { o.Tools = []converse.Tool{show} })
		require.ErrorIs(t, err, converse.ErrStopped)
		h, err := store.Load(t.Context(), "s")
		require.NoError(t, err)
		total := int64(0)
		for _, m := range h.Messages {
			total += converse.EstimateTokens(m)
		}
		assert.Less(t, total, int64(600))
		assert.Equal(t, converse.RoleUser, h.Messages[0].Role)
		for _, content := range h.Messages[0].Content {
			_, result := content.(converse.ToolResult)
			assert.False(t, result)
		}
	}
}

func TestSummarizer(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = model })
	srv.Reply(bedrocktest.Text(" Short. "))
	summary, err := session.Summarizer(chat, func(o *converse.Options) { o.Model = "us.amazon.nova-micro-v1:0" })(t.Context(), []converse.Message{
		converse.User("How many?"),
		{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "1", Name: "look", Input: []byte(`{"title":"Berserk"}`)}}},
		{Role: converse.RoleUser, Content: converse.Contents{converse.ToolResult{ToolUseID: "1", Content: converse.Contents{converse.JSON(`{"copies":3}`), converse.Text(strings.Repeat("漫", 5000))}}}},
		converse.Assistant("Three."),
	})
	require.NoError(t, err)
	assert.Equal(t, "Short.", summary)
	req := srv.Requests()[0]
	assert.EqualValues(t, "us.amazon.nova-micro-v1:0", req.Model)
	assert.Contains(t, req.LastText(), "user: How many?\nassistant: calls look with {\"title\":\"Berserk\"}\nresult: {\"copies\":3}\nresult: 漫")
	assert.Less(t, len(req.LastText()), 3000)
}

// Wherever a history is cut, what is kept can be sent, and nothing is lost or
// twice.
func TestTrim(t *testing.T) {
	var history []converse.Message
	for i := range 6 {
		id := fmt.Sprint(i)
		history = append(history, converse.User("q"+id))
		for n := range i % 3 {
			id := fmt.Sprint(i, "_", n)
			history = append(history,
				converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: id, Name: "look"}}},
				converse.Message{Role: converse.RoleUser, Content: converse.Contents{converse.ToolResult{ToolUseID: id, Content: converse.Contents{converse.Text("r")}}}})
		}
		history = append(history, converse.Assistant("a"+id))
	}
	one := func(converse.Message) int64 { return 1 }
	for budget := range len(history) + 2 {
		kept, cut := session.Trim(history, int64(budget), one)
		assert.Equal(t, history, append(append([]converse.Message{}, cut...), kept...))
		assert.NoError(t, converse.Preflight(converse.Request{Model: model, Messages: append(kept, converse.User("next")), Tools: []converse.ToolSpec{
			{Name: "look", Description: "Looks.", InputSchema: []byte(`{"type":"object"}`)}}}), "budget %d", budget)
		if len(kept) > budget {
			assert.Equal(t, "q5", kept[0].Text(), "only the last exchange may be longer")
		} else if len(cut) > 0 {
			// The exchange before would not have fitted.
			n := 1
			for cut[len(cut)-n].Text() == "" || cut[len(cut)-n].Role != converse.RoleUser {
				n++
			}
			assert.Greater(t, len(kept)+n, budget, "budget %d", budget)
		}
	}
	kept, cut := session.Trim(nil, 10, one)
	assert.Empty(t, kept)
	assert.Empty(t, cut)
}

func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemoryStore(func(o *session.MemoryOptions) { o.TTL, o.MaxBytes = time.Hour, 1000 })
		version, err := m.Save(t.Context(), "a", session.History{Messages: say("one").Messages})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		_, err = m.Load(t.Context(), "a")
		assert.ErrorIs(t, err, session.ErrNotFound)
		_, err = m.Save(t.Context(), "a", session.History{Version: version})
		assert.ErrorIs(t, err, session.ErrConflict)

		for _, id := range []string{"b", "c", "d"} {
			_, err := m.Save(t.Context(), id, session.History{Messages: say(strings.Repeat("x", 400)).Messages})
			require.NoError(t, err)
		}
		_, err = m.Load(t.Context(), "b")
		assert.ErrorIs(t, err, session.ErrNotFound, "the one that was not used for the longest time")
		_, err = m.Load(t.Context(), "d")
		assert.NoError(t, err)
		_, err = m.Save(t.Context(), "e", session.History{Messages: say(strings.Repeat("x", 1000)).Messages})
		assert.ErrorIs(t, err, session.ErrTooLarge)
	})
}

// A history is cut by the service's count, if there is one.
func TestCountTokens(t *testing.T) {
	var counted, told int
	fails := false
	c, srv := open(t, session.NewMemoryStore(), func(o *session.Options) {
		o.MaxTokens = 400
		o.CountTokens = func(_ context.Context, messages []converse.Message) (int64, error) {
			if counted++; fails {
				return 0, errors.New("no count")
			}
			return int64(10 * len(messages)), nil // far less than the estimate
		}
		o.OnError = func(context.Context, error) { told++ }
	})
	long := strings.Repeat("x", 600)
	for range 3 {
		srv.Reply(bedrocktest.Text(long))
		_, err := run(t, false, c, say(long))
		require.NoError(t, err)
	}
	assert.Len(t, srv.Requests()[2].Messages, 5, "nothing was cut")
	assert.Positive(t, counted)
	fails = true
	srv.Reply(bedrocktest.Text(long))
	_, err := run(t, false, c, say(long))
	require.NoError(t, err)
	assert.Less(t, len(srv.Requests()[3].Messages), 7, "the estimate goes")
	assert.Equal(t, 1, told)
}
