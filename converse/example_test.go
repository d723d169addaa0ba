package converse_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
)

func newFake(replies ...*bedrocktest.Reply) (*bedrockx.Client, func()) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	fake.Reply(replies...)
	return bedrockx.New(fake.Client()), func() { fake.Close() }
}

func ExampleClient_Run() {
	client, done := newFake(
		bedrocktest.ToolUse("check_stock", map[string]any{"title": "Berserk", "volume": 3}),
		bedrocktest.Text("Yes, two copies of volume 3."),
	)
	defer done()

	type stockQuery struct {
		Title  string `json:"title" jsonschema:"the manga's title"`
		Volume int    `json:"volume,omitempty" jsonschema:"one volume; all if left out"`
	}
	stock := converse.NewTool("check_stock", "Says how many copies are in stock.",
		func(ctx context.Context, q stockQuery) (map[string]int, error) {
			fmt.Printf("looking for %s %d\n", q.Title, q.Volume)
			return map[string]int{"copies": 2}, nil
		})
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You are the assistant of a manga store.")
		o.Tools = []converse.Tool{stock}
	})

	result, err := chat.Run(context.Background(), converse.Request{
		Messages: []converse.Message{converse.User("Is volume 3 of Berserk in stock?")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	fmt.Println(len(result.Rounds), "rounds,", len(result.Messages), "messages")
	// Output:
	// looking for Berserk 3
	// Yes, two copies of volume 3.
	// 2 rounds, 4 messages
}

func ExampleClient_RunStream() {
	client, done := newFake(bedrocktest.ToolUse("now", map[string]any{}), bedrocktest.Text("It is noon.").Chunks("It is ", "noon."))
	defer done()
	now := converse.NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "12:00", nil })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Tool{now}
	})

	request := converse.Request{Messages: []converse.Message{converse.User("What time is it?")}}
	for ev, err := range chat.RunStream(context.Background(), request) {
		switch {
		case err != nil:
			log.Fatal(err)
		case ev.Text != "":
			fmt.Printf("text %q\n", ev.Text)
		case ev.ToolUse != nil:
			fmt.Println("calls", ev.ToolUse.Name)
		case ev.ToolResult != nil:
			fmt.Println("gave", ev.ToolResult.Content[0])
		}
	}
	// Output:
	// calls now
	// gave 12:00
	// text "It is "
	// text "noon."
}

// A tool loop goes to a reader as any answer does: here over a WebSocket.
func ExampleClient_Source() {
	client, done := newFake(bedrocktest.ToolUse("now", map[string]any{}), bedrocktest.Text("It is noon.").Chunks("It is ", "noon."))
	defer done()
	now := converse.NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "12:00", nil })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Tool{now}
	})
	websocket := stream.JSON(func(ctx context.Context, data []byte) error { // conn.Write(ctx, websocket.MessageText, data)
		var m stream.Message
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", m.Type, cmp.Or(m.Data, m.ToolName, string(m.StopReason)))
		return nil
	})

	ctx := context.Background()
	answer := chat.Source(ctx, converse.Request{Messages: []converse.Message{converse.User("What time is it?")}})
	err := stream.Write(ctx, answer, websocket, func(o *stream.WriteOptions) { o.Coalesce = time.Second })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(answer.Result().Messages), "messages to keep")
	// Output:
	// usage: tool_use
	// tool_use: now
	// tool_result: now
	// token: It is noon.
	// usage: end_turn
	// complete: end_turn
	// 4 messages to keep
}

// A history is plain JSON, and what was stored can be sent again.
func ExampleMessage() {
	history := []converse.Message{
		converse.User("ベルセルクの作者は?"),
		converse.Assistant("三浦建太郎です。"),
	}
	stored, err := json.Marshal(history)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(stored))
	var again []converse.Message
	if err := json.Unmarshal(stored, &again); err != nil {
		log.Fatal(err)
	}
	fmt.Println(again[1].Text())
	// Output:
	// [{"role":"user","content":[{"text":"ベルセルクの作者は?"}]},{"role":"assistant","content":[{"text":"三浦建太郎です。"}]}]
	// 三浦建太郎です。
}

// The answer as a value of a Go type.
func ExampleGenerate() {
	client, done := newFake(bedrocktest.Text(`{"stars":5,"summary":"A masterpiece."}`))
	defer done()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})

	type Review struct {
		Stars   int    `json:"stars" jsonschema:"1 to 5"`
		Summary string `json:"summary"`
	}
	review, result, err := converse.Generate[Review](context.Background(), chat, converse.Request{
		Messages: []converse.Message{converse.User("Sum up what readers say of Berserk.")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(review.Stars, review.Summary)
	fmt.Println(len(result.Rounds), "round")
	// Output:
	// 5 A masterpiece.
	// 1 round
}

// A call that needs consent: the loop ends, the history is stored, and the
// conversation goes on when the user has answered.
func ExampleAnswer() {
	client, done := newFake(bedrocktest.ToolUse("refund", map[string]any{"order": "ORD-12345678"}), bedrocktest.Text("The refund was not made."))
	defer done()
	refund := converse.NewTool("refund", "Refunds an order.", func(_ context.Context, in struct {
		Order string `json:"order"`
	}) (string, error) {
		return "refunded", nil
	}, func(o *converse.ToolOptions) { o.Approval = true })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Tool{refund}
	})

	ctx := context.Background()
	result, err := chat.Run(ctx, converse.Request{Messages: []converse.Message{converse.User("I want my money back.")}})
	var pending *converse.PendingError
	if !errors.As(err, &pending) {
		log.Fatal(err)
	}
	call := pending.Calls[0].ToolUse
	fmt.Printf("may it %s %s? no\n", call.Name, call.Input)

	history, err := converse.Answer(result.Messages, converse.ToolResult{
		ToolUseID: call.ID, Status: converse.ToolError, Content: converse.Contents{converse.Text("A clerk refused it.")},
	})
	if err != nil {
		log.Fatal(err)
	}
	result, err = chat.Run(ctx, converse.Request{Messages: history})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	// Output:
	// may it refund {"order":"ORD-12345678"}? no
	// The refund was not made.
}

// A log of every tool, by middleware.
func ExampleTool_With() {
	client, done := newFake(bedrocktest.ToolUse("now", nil), bedrocktest.Text("It is noon."))
	defer done()
	log := func(next converse.ToolHandler) converse.ToolHandler {
		return func(ctx context.Context, use converse.ToolUse) (converse.Contents, error) {
			contents, err := next(ctx, use)
			fmt.Println("ran", use.Name, "error:", err)
			return contents, err
		}
	}
	now := converse.NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "12:00", nil })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Tool{now.With(log)}
	})
	result, err := chat.Run(context.Background(), converse.Request{Messages: []converse.Message{converse.User("What time is it?")}})
	fmt.Println(result.Text(), err)
	// Output:
	// ran now error: <nil>
	// It is noon. <nil>
}

// Each round before its tools run: to look, to change, to stop.
func ExampleClient_Turns() {
	client, done := newFake(bedrocktest.ToolUse("now", nil), bedrocktest.Text("It is noon."))
	defer done()
	now := converse.NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "12:00", nil })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Tool{now}
	})
	request := converse.Request{Messages: []converse.Message{converse.User("What time is it?")}}
	for turn, err := range chat.Turns(context.Background(), request) {
		if err != nil {
			log.Fatal(err)
		}
		for _, call := range turn.Calls {
			fmt.Println(turn.Number, "calls", call.Name)
		}
		fmt.Println(turn.Number, "stopped with", turn.Response.StopReason)
	}
	// Output:
	// 1 calls now
	// 1 stopped with tool_use
	// 2 stopped with end_turn
}

// Everything that is wrong is told at once, with where it is.
func ExamplePreflight() {
	fmt.Println(converse.Preflight(converse.Request{
		Messages: []converse.Message{
			converse.User("Is Berserk in stock?"),
			converse.UserContent(converse.ToolResult{ToolUseID: "t1", Status: converse.ToolError}),
		},
	}))
	// Output:
	// messages[1].role: it is "user" as the one before; roles alternate; messages[1].content[0].toolResult.content: it is empty; an error says what went wrong; messages[1].content[0].toolResult.toolUseId: "t1" is no open tool use of the message before; toolConfig: the messages hold tool uses or results, and there are no tools; give the tools that the conversation began with
}

// A history that was cut begins with the answer to a question that is gone.
func ExampleRepair() {
	repaired, changes := converse.Repair(converse.Request{
		Messages: []converse.Message{
			converse.Assistant("Yes, two copies."),
			converse.User("How much is it?"),
			converse.User("And when can I have it?"),
		},
	})
	for _, change := range changes {
		fmt.Println(change)
	}
	fmt.Println(len(repaired.Messages), "message:", repaired.Messages[0].Content)
	// Output:
	// messages[2]: it was put into the message before, which has the same role
	// messages[0]: a message of the assistant before the first of the user was left out
	// 1 message: [How much is it? And when can I have it?]
}

// A file becomes the content that its name says.
func ExampleFile() {
	file, err := converse.File("Volume 1 & 2: prices.csv", []byte("title,price\nBerserk,14.99\n"))
	if err != nil {
		log.Fatal(err)
	}
	question := converse.UserContent(file, converse.Text("Which volumes are cheaper than $10?"))
	document := question.Content[0].(converse.Document)
	fmt.Println(document.Format, document.Name)
	// Output:
	// csv Volume 1 2 prices
}

// The second request reads what the first has written to the prompt cache.
func ExampleOptions_cachePoints() {
	client, done := newFake(bedrocktest.Text("Yes."), bedrocktest.Text("$14.99."))
	defer done()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You are the assistant of a manga store. " + strings.Repeat("The rules of the store… ", 1000))
		o.CachePoints = "5m"
	})
	var history []converse.Message
	for _, question := range []string{"Is Berserk in stock?", "How much is it?"} {
		history = append(history, converse.User(question))
		answer, err := chat.Send(context.Background(), converse.Request{Messages: history})
		if err != nil {
			log.Fatal(err)
		}
		history = append(history, answer.Message)
		c := answer.PromptCache
		fmt.Printf("read %d tokens, which saved $%s; wrote %d, which cost $%s more\n", c.ReadTokens, c.Saved, c.WrittenTokens, c.MissCost)
	}
	// Output:
	// read 0 tokens, which saved $0; wrote 6021, which cost $0.007616565 more
	// read 6021 tokens, which saved $0.00596079; wrote 13, which cost $0.000016445 more
}
