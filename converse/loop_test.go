package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
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
)

// The table of docs/tools.md: what a loop does after each stop reason.
func TestStopReasonTable(t *testing.T) {
	const (
		ends  = "ends"
		calls = "runs the tools"
		fails = "fails"
	)
	guide, err := os.ReadFile("../docs/tools.md")
	require.NoError(t, err)
	table := map[bedrockkit.StopReason]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (ends|runs the tools|fails) \\|").FindAllStringSubmatch(string(guide), -1) {
		table[bedrockkit.StopReason(row[1])] = row[2]
	}
	for _, known := range []bedrockkit.StopReason{bedrockkit.StopEndTurn, bedrockkit.StopToolUse, bedrockkit.StopMaxTokens, bedrockkit.StopSequence,
		bedrockkit.StopGuardrailIntervened, bedrockkit.StopContentFiltered, bedrockkit.StopMalformedModelOutput, bedrockkit.StopMalformedToolUse,
		bedrockkit.StopContextWindowExceeded} {
		require.Contains(t, table, known)
	}
	require.Len(t, table, 9)
	table["a_reason_of_tomorrow"] = ends
	for reason, want := range table {
		t.Run(string(reason), func(t *testing.T) {
			bothWays(t, func(t *testing.T, streamed bool) {
				chat, srv, runs := newChat(t, once)
				srv.Reply(bedrocktest.Text("I will").ToolUse("check_stock", map[string]any{"title": "Berserk"}).Stop(reason))
				if want == calls {
					srv.Reply(bedrocktest.Text("Three."))
				}
				result, err := run(t, streamed, chat, ask("Berserk?"))
				switch want {
				case calls:
					require.NoError(t, err)
					assert.EqualValues(t, 1, runs.Load())
					assert.Equal(t, "Three.", result.Text())
				case ends:
					require.NoError(t, err)
					assert.Zero(t, runs.Load())
					assert.Equal(t, reason, result.Last().StopReason)
				case fails:
					require.ErrorIs(t, err, bedrockx.ErrModelError)
					assert.Zero(t, runs.Load())
				}
				// Whatever came of it, the conversation can go on.
				srv.Reply(bedrocktest.Text("Still here."))
				history := converse.Append(result.Messages, converse.User("And now?"))
				result, err = run(t, streamed, chat, converse.Request{Messages: history})
				require.NoError(t, err)
				assert.Equal(t, "Still here.", result.Text())
			})
		})
	}
}

// once makes one attempt of each request.
var once = converse.Call(func(o *bedrockx.Options) { o.MaxAttempts = 1 })

func use(title string) *bedrocktest.Reply {
	return bedrocktest.ToolUse("check_stock", map[string]any{"title": title}).Usage(bedrockkit.Usage{InputTokens: 1000, OutputTokens: 100})
}

// A loop stops at each of its bounds with an error of its own, runs no tool
// whose result nobody would be told, and hands over the conversation so far.
func TestLoopBounds(t *testing.T) {
	tests := []struct {
		name   string
		option func(*converse.Options)
		want   error
		rounds int
		runs   int
	}{
		{"rounds", func(o *converse.Options) { o.MaxRounds = 3 }, converse.ErrMaxRounds, 3, 2},
		{"rounds by default", func(*converse.Options) {}, converse.ErrMaxRounds, 5, 4},
		{"calls", func(o *converse.Options) { o.MaxToolCalls = 2 }, converse.ErrMaxToolCalls, 3, 2},
		{"no calls", func(o *converse.Options) { o.MaxToolCalls = -1 }, converse.ErrMaxToolCalls, 1, 0},
		{"tokens", func(o *converse.Options) { o.MaxRunTokens = 2000 }, converse.ErrMaxRunTokens, 2, 1},
		{"cost", func(o *converse.Options) { o.MaxRunCost = new(pricing.MustAmount("0.003")) }, converse.ErrMaxRunCost, 2, 1},
		{"no cost", func(o *converse.Options) { o.MaxRunCost = new(pricing.Amount) }, converse.ErrMaxRunCost, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, streamed bool) {
				chat, srv, runs := newChat(t, tt.option)
				for range tt.rounds {
					srv.Reply(use("Berserk"))
				}
				result, err := run(t, streamed, chat, ask("again and again"))
				require.ErrorIs(t, err, tt.want)
				assert.Len(t, result.Rounds, tt.rounds)
				assert.EqualValues(t, tt.runs, runs.Load())
				assert.Equal(t, converse.RoleUser, result.Messages[len(result.Messages)-1].Role, "without the call that nobody answers")
				assert.Empty(t, converse.OpenCalls(result.Messages))
				assert.EqualValues(t, 1100*tt.rounds, result.Usage.Total())
			})
		})
	}
}

// A bound on money that nobody can count is reached.
func TestLoopWithoutAPriceHasReachedItsCost(t *testing.T) {
	chat, srv, runs := newChat(t, func(o *converse.Options) {
		o.Model = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc" // says nothing of its model
		o.MaxRunCost = new(pricing.MustAmount("10"))
	})
	srv.Reply(use("Berserk"))
	result, err := run(t, false, chat, ask("q"))
	assert.ErrorIs(t, err, converse.ErrMaxRunCost)
	assert.Zero(t, runs.Load())
	assert.Nil(t, result.Cost)
	assert.Error(t, result.CostErr)
}

func TestLoopEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		wait := converse.NewTool("wait", "Waits.", func(ctx context.Context, _ struct{}) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) {
			o.Model, o.Tools, o.MaxRunTime = model, []converse.Tool{wait}, 10*time.Second
		})
		srv.Reply(bedrocktest.ToolUse("wait", nil))
		began := time.Now()
		result, err := chat.Run(t.Context(), ask("wait"))
		assert.ErrorIs(t, err, converse.ErrMaxRunTime)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.Len(t, converse.OpenCalls(result.Messages), 1, "what became of it, nobody knows")
	})
}

func TestTurns(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(use("Berserk"), bedrocktest.Text("Three."))
	var seen []string
	for turn, err := range chat.Turns(t.Context(), ask("Berserk?")) {
		require.NoError(t, err)
		assert.Equal(t, len(turn.Result.Rounds), turn.Number)
		for _, call := range turn.Calls {
			seen = append(seen, "calls "+call.Name)
			assert.Zero(t, runs.Load(), "not yet")
			turn.Request.MaxTokens = 77
		}
		seen = append(seen, turn.Response.Text())
	}
	assert.Equal(t, []string{"calls check_stock", "", "Three."}, seen)
	assert.EqualValues(t, 1, runs.Load())
	assert.EqualValues(t, 77, srv.Requests()[1].MaxTokens, "what the caller changed")
}

func TestTurnsThatAreLeftLeaveTheCallsOpen(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(use("Berserk"))
	var history []converse.Message
	for turn, err := range chat.Turns(t.Context(), ask("Berserk?")) {
		require.NoError(t, err)
		history = turn.Result.Messages
		break
	}
	assert.Zero(t, runs.Load())
	require.Len(t, converse.OpenCalls(history), 1)

	_, err := chat.Run(t.Context(), converse.Request{Messages: history})
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "converse.Answer", "only who asks for it has calls of a history run")
	srv.Reply(bedrocktest.Text("Three."))
	result, err := chat.Run(t.Context(), converse.Request{Messages: history}, func(o *converse.Options) { o.Resume = true })
	require.NoError(t, err)
	assert.Equal(t, "Three.", result.Text())
	assert.EqualValues(t, 1, runs.Load())
	assert.Len(t, result.Messages, 4)
}

// With Options.Repair an open call of a history gets a result, in the history
// as well, and its tool does not run.
func TestLoopRepairsOpenCalls(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var changes []converse.Change
		chat, srv, runs := newChat(t, func(o *converse.Options) {
			o.Repair = func(c []converse.Change) { changes = append(changes, c...) }
		})
		srv.Reply(bedrocktest.Text("Never mind."), bedrocktest.Text("ok"))
		history := []converse.Message{converse.User("q"), {Role: converse.RoleAssistant, Content: converse.Contents{
			converse.ToolUse{ID: "1", Name: "check_stock", Input: json.RawMessage(`{"title":"x"}`)}}}}
		result, err := run(t, streamed, chat, converse.Request{Messages: history})
		require.NoError(t, err)
		assert.Zero(t, runs.Load())
		require.Len(t, changes, 1)
		assert.Equal(t, "messages[2]", changes[0].Path)
		assert.Len(t, history, 2)
		_, err = run(t, streamed, chat, converse.Request{Messages: converse.Append(result.Messages, converse.User("And now?"))})
		require.NoError(t, err)
		assert.Len(t, changes, 1, "once")
	})
}

// The caller answers a call himself and goes on after the model's last word.
func TestTurnsThatAreChanged(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(use("Berserk"), bedrocktest.Text("Three."), bedrocktest.Text("Yes, three."))
	var last *converse.Turn
	for turn, err := range chat.Turns(t.Context(), ask("Berserk?")) {
		require.NoError(t, err)
		for _, call := range turn.Calls {
			turn.Answer(converse.ToolResult{ToolUseID: call.ID, Content: converse.Contents{converse.Text("three")}})
			turn.Add(converse.Text("Be quick."))
		}
		if turn.Number == 2 {
			turn.Add(converse.Text("Are you sure?"))
		}
		last = turn
	}
	assert.Equal(t, 3, last.Number)
	assert.Zero(t, runs.Load())
	assert.Equal(t, "Be quick.", last.Result.Messages[2].Text(), "behind the result")
	assert.Equal(t, "Are you sure?", last.Result.Messages[4].Text())
	assert.Equal(t, "Yes, three.", last.Result.Text())
}

// What the caller adds beside a call that waits is not lost.
func TestTurnsAddBesideAnOpenCall(t *testing.T) {
	pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) { return "paid", nil },
		func(o *converse.ToolOptions) { o.Approval = true })
	chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = append(o.Tools, pay) })
	srv.Reply(bedrocktest.ToolUse("pay", nil))
	var history []converse.Message
	for turn, err := range chat.Turns(t.Context(), ask("Pay.")) {
		history = turn.Result.Messages
		if err != nil {
			require.ErrorIs(t, err, converse.ErrPending)
			break
		}
		turn.Add(converse.Text("Be quick."))
	}
	open := converse.OpenCalls(history)
	require.Len(t, open, 1)
	history, err := converse.Answer(history, converse.ToolResult{ToolUseID: open[0].ID, Content: converse.Contents{converse.Text("No.")}})
	require.NoError(t, err)
	srv.Reply(bedrocktest.Text("ok"))
	_, err = chat.Run(t.Context(), converse.Request{Messages: history})
	require.NoError(t, err)
	last := srv.Requests()[1].Messages[2]
	require.NotNil(t, last.Blocks[0].ToolResult, "the result comes first")
	assert.Equal(t, "Be quick.", last.Blocks[1].Text)
}

// A tool that the model must call gets its input.
func TestForcedToolGetsItsInput(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var got stockIn
		stock := converse.NewTool("check_stock", "Says how many.", func(_ context.Context, in stockIn) (int, error) { got = in; return 3, nil })
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = []converse.Tool{stock} })
		srv.Reply(use("Berserk"), bedrocktest.Text("Three."))
		req := ask("Berserk?")
		req.ToolChoice.Tool = "check_stock"
		_, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Equal(t, "Berserk", got.Title)
		assert.Equal(t, "check_stock", srv.Requests()[0].ToolChoice.Name)
		assert.Empty(t, srv.Requests()[1].ToolChoice.Name, "once")
	})
}

func TestTurnsErrorComesOnceAndLast(t *testing.T) {
	chat, srv, _ := newChat(t, func(o *converse.Options) { o.MaxRounds = 1 })
	srv.Reply(use("Berserk"))
	n := 0
	for turn, err := range chat.Turns(t.Context(), ask("Berserk?")) {
		n++
		assert.ErrorIs(t, err, converse.ErrMaxRounds)
		assert.Len(t, turn.Result.Rounds, 1)
	}
	assert.Equal(t, 1, n)
}

// A round of three calls: one runs, one asks the user, one needs approval.
func TestLoopWaitsForTheUser(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var paid atomic.Int32
		size := converse.NewTool("ask_size", "Asks for the size.", func(context.Context, struct{}) (string, error) {
			return "", converse.Ask("S or M?")
		})
		pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) {
			paid.Add(1)
			return "paid", nil
		}, func(o *converse.ToolOptions) { o.Approval = true })
		chat, srv, runs := newChat(t, func(o *converse.Options) { o.Tools = append(o.Tools, size, pay) })
		srv.Reply(bedrocktest.ToolUse("pay", nil).ToolUse("check_stock", map[string]any{"title": "x"}).ToolUse("ask_size", nil))
		result, err := run(t, streamed, chat, ask("Buy me a shirt."))
		var pending *converse.PendingError
		require.ErrorAs(t, err, &pending)
		require.ErrorIs(t, err, converse.ErrPending)
		require.Len(t, pending.Calls, 2)
		assert.Equal(t, "pay", pending.Calls[0].ToolUse.Name)
		assert.Equal(t, "S or M?", pending.Calls[1].Question)
		assert.NotContains(t, err.Error(), "S or M?")
		assert.EqualValues(t, 1, runs.Load())
		assert.Zero(t, paid.Load())

		// Days later, in another process, the user has answered.
		stored, err := json.Marshal(result.Messages)
		require.NoError(t, err)
		var history []converse.Message
		require.NoError(t, json.Unmarshal(stored, &history))
		open := converse.OpenCalls(history)
		require.Len(t, open, 2)
		history, err = converse.Answer(history, converse.ToolResult{ToolUseID: open[1].ID, Content: converse.Contents{converse.Text("M")}})
		require.NoError(t, err)
		srv.Reply(bedrocktest.Text("Done."))
		approved := func(o *converse.Options) {
			o.Resume = true
			o.Approve = func(_ context.Context, use converse.ToolUse) error {
				assert.Equal(t, "pay", use.Name)
				return nil
			}
		}
		result, err = chat.Run(t.Context(), converse.Request{Messages: history}, approved)
		require.NoError(t, err)
		assert.Equal(t, "Done.", result.Text())
		assert.EqualValues(t, 1, paid.Load())
		assert.EqualValues(t, 1, runs.Load(), "what has run does not run again")
		var texts []string
		for _, r := range srv.Requests()[1].ToolResults() {
			texts = append(texts, r.Text())
		}
		assert.Equal(t, []string{"paid", `{"copies":3,"title":"x"}`, "M"}, texts, "all in one message, in the order of the calls")
	})
}

func TestApproval(t *testing.T) {
	tests := []struct {
		name string
		err  error
		told string
	}{
		{"granted", nil, "paid"},
		{"refused", errors.New("canary-4711"), "the call was not approved"},
		{"refused with a word", converse.Tellf("too much money"), "the call was not approved: too much money"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ran := false
			pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) {
				ran = true
				return "paid", nil
			}, func(o *converse.ToolOptions) { o.Approval = true })
			chat, srv, runs := newChat(t, func(o *converse.Options) { o.Tools = append(o.Tools, pay) })
			srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"}).ToolUse("pay", nil).ToolUse("pay", map[string]any{"amount": 1}), bedrocktest.Text("ok"))
			asked := 0
			_, err := chat.Run(t.Context(), ask("Pay."), func(o *converse.Options) {
				o.Approve = func(context.Context, converse.ToolUse) error {
					asked++
					assert.Zero(t, runs.Load(), "no tool of the round has run")
					return tt.err
				}
			})
			require.NoError(t, err)
			assert.Equal(t, 1, asked, "only for a call that could run")
			assert.Equal(t, tt.err == nil, ran)
			body := string(srv.Requests()[1].Body)
			assert.Contains(t, body, tt.told)
			assert.NotContains(t, body, "canary-4711")
		})
	}
}

func TestToolEndsTheLoop(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		hand := converse.NewTool("hand_over", "Hands over to a person.", func(context.Context, struct{}) (string, error) {
			return "", converse.Stop("a person takes over")
		})
		chat, srv, runs := newChat(t, func(o *converse.Options) { o.Tools = append(o.Tools, hand) })
		srv.Reply(bedrocktest.ToolUse("hand_over", nil).ToolUse("check_stock", map[string]any{"title": "x"}))
		result, err := run(t, streamed, chat, ask("A person, please."))
		require.ErrorIs(t, err, converse.ErrStopped)
		assert.ErrorContains(t, err, "hand_over")
		assert.EqualValues(t, 1, runs.Load())
		assert.Empty(t, converse.OpenCalls(result.Messages))

		srv.Reply(bedrocktest.Text("Back again."))
		result, err = run(t, streamed, chat, converse.Request{Messages: converse.Append(result.Messages, converse.User("Are you there?"))})
		require.NoError(t, err)
		assert.Equal(t, "Back again.", result.Text())
	})
}

func TestAnswerWantsAnOpenCall(t *testing.T) {
	_, err := converse.Answer([]converse.Message{converse.User("a")}, converse.ToolResult{ToolUseID: "1"})
	assert.ErrorContains(t, err, `no open call "1"`)
	history := []converse.Message{converse.User("a"), {Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "1", Name: "x"}}}}
	_, err = converse.Answer(history, converse.ToolResult{ToolUseID: "1"}, converse.ToolResult{ToolUseID: "1"})
	assert.ErrorContains(t, err, `no open call "1"`, "twice")
	got, err := converse.Answer(history, converse.ToolResult{ToolUseID: "1"})
	require.NoError(t, err)
	assert.Len(t, got, 3)
	assert.Len(t, history, 2)
}

// A name that the model made up does not poison the history.
func TestLoopMadeUpToolName(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.ToolUse("check stock!", map[string]any{}).ToolUse(strings.Repeat("x", 80), map[string]any{}), bedrocktest.Text("ok"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		uses := result.Messages[1].ToolUses()
		assert.Equal(t, "check_stock_", uses[0].Name)
		assert.Len(t, uses[1].Name, 64)
		assert.Equal(t, "check stock!", result.Rounds[0].Message.ToolUses()[0].Name, "as it came")
	})
}

// A call without a name is one of a tool that does not exist, and bounded.
func TestLoopCallWithoutAName(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.MaxRounds = 2 })
		srv.Reply(bedrocktest.ToolUse("", nil), bedrocktest.ToolUse("", nil))
		result, err := run(t, streamed, chat, ask("q"))
		assert.ErrorIs(t, err, converse.ErrMaxRounds)
		assert.Len(t, result.Rounds, 2)
	})
}

// What a guardrail stopped would be stopped again with each later request.
func TestLoopTakesOutWhatAGuardrailStopped(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(use("x"), bedrocktest.Text("I cannot talk about that.").Stop(bedrockkit.StopGuardrailIntervened))
		req := ask("q")
		result, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		removed := result.Messages[2].Content[0].(converse.ToolResult)
		assert.Equal(t, converse.Contents{converse.Text("[removed by a guardrail]")}, removed.Content, "the result stays one")
		assert.Equal(t, "I cannot talk about that.", result.Messages[3].Text())

		srv.Reply(bedrocktest.Text("No.").Stop(bedrockkit.StopGuardrailIntervened))
		result, err = run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Equal(t, "[removed by a guardrail]", result.Messages[0].Text())
		assert.Equal(t, "q", req.Messages[0].Text(), "the caller's stay")
	})
}

// Reasoning that led to nothing that is kept is left out with it.
func TestLoopKeepsNoReasoningWithoutItsEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.MaxRounds = 1 })
		srv.Reply(bedrocktest.Reasoning("Hm.").ToolUse("check_stock", map[string]any{"title": "x"}))
		result, err := run(t, streamed, chat, ask("q"))
		require.ErrorIs(t, err, converse.ErrMaxRounds)
		assert.Len(t, result.Messages, 1)
	})
}

// A model may know of a tool from elsewhere: an older round, or a text that it
// was given.
func TestLoopRunsNoToolThatWasNotOffered(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var deleted atomic.Int32
		remove := converse.NewTool("delete_all", "Deletes.", func(context.Context, struct{}) (string, error) {
			deleted.Add(1)
			return "deleted", nil
		})
		chat, srv, runs := newChat(t, func(o *converse.Options) { o.Tools = append(o.Tools, remove) })
		srv.Reply(bedrocktest.ToolUse("delete_all", nil).ToolUse("check_stock", map[string]any{"title": "x"}), bedrocktest.Text("Done."))
		req := ask("q")
		req.Tools = []converse.ToolSpec{{Name: "check_stock", InputSchema: json.RawMessage(`{"type":"object"}`)}}
		_, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Zero(t, deleted.Load())
		assert.EqualValues(t, 1, runs.Load())
		results := srv.Requests()[1].ToolResults()
		assert.True(t, results[0].Error)
		assert.Equal(t, `there is no tool "delete_all"; the tools are ["check_stock"]`, results[0].Text())
	})
}

// Calls that are taken up again count as others do.
func TestResumeKeepsTheRules(t *testing.T) {
	call := func(id string) converse.ToolUse {
		return converse.ToolUse{ID: id, Name: "check_stock", Input: json.RawMessage(`{"title":"x"}`)}
	}
	for _, tt := range []struct {
		name  string
		calls converse.Contents
		want  error
	}{
		{"too many", converse.Contents{call("a"), call("b"), call("c")}, converse.ErrMaxToolCalls},
		{"two of one id", converse.Contents{call("a"), call("a")}, converse.ErrDuplicateToolUse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chat, srv, runs := newChat(t)
			history := []converse.Message{converse.User("q"), {Role: converse.RoleAssistant, Content: tt.calls}}
			_, err := chat.Run(t.Context(), converse.Request{Messages: history}, func(o *converse.Options) { o.Resume, o.MaxToolCalls = true, 2 })
			assert.ErrorIs(t, err, tt.want)
			assert.Zero(t, runs.Load())
			assert.Empty(t, srv.Requests())
		})
	}
}

func TestLoopGoesOnWithABegunAnswer(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("is in stock."), bedrocktest.Text("Yes."))
		result, err := run(t, streamed, chat, converse.Request{Messages: []converse.Message{converse.User("q"), converse.Assistant("Berserk")}})
		require.NoError(t, err)
		require.Len(t, result.Messages, 2)
		_, err = run(t, streamed, chat, converse.Request{Messages: converse.Append(result.Messages, converse.User("Sure?"))})
		assert.NoError(t, err, "the conversation can be sent again")
	})
}
