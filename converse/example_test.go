package converse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
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
	stock := converse.Tool("check_stock", "Says how many copies are in stock.",
		func(ctx context.Context, q stockQuery) (map[string]int, error) {
			fmt.Printf("looking for %s %d\n", q.Title, q.Volume)
			return map[string]int{"copies": 2}, nil
		})
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = "You are the assistant of a manga store."
		o.Tools = []converse.Function{stock}
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
	now := converse.Tool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "12:00", nil })
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.Tools = []converse.Function{now}
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
